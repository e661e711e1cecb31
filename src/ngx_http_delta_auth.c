
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_auth.h"


#define NGX_HTTP_DELTA_KEY_FILE_MAX  (256 * 1024)
#define NGX_HTTP_DELTA_ERROR_LEN     256
#define NGX_HTTP_DELTA_LIFE          (365 * 24 * 60 * 60)   /* seconds */


static void ngx_http_delta_auth_cleanup(void *data);
static void ngx_http_delta_auth_token(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, ngx_http_delta_loc_conf_t *dlcf);
static ngx_int_t ngx_http_delta_auth_bearer(ngx_str_t *value,
    ngx_str_t *token);
static ngx_int_t ngx_http_delta_auth_jwt(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx);
static ngx_uint_t ngx_http_delta_auth_named(ngx_http_request_t *r,
    ngx_http_delta_ctx_t *ctx, delta_jwt_t *jwt, ngx_uint_t afresh,
    ngx_str_t *user);
static void ngx_http_delta_auth_swap(ngx_http_request_t *r,
    ngx_pool_t **pool);
static delta_jwt_keys_t *ngx_http_delta_auth_keys(
    ngx_http_delta_worker_t *worker, ngx_http_delta_key_file_t *file);


ngx_http_delta_ctx_t *
ngx_http_delta_auth_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_delta_ctx_t       *ctx;
    ngx_http_delta_loc_conf_t  *dlcf;

    r = r->main;
    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    if (ctx) {
        if (ctx->conf != dlcf) {

            /* what another level has found does not hold by this one's rules */

            delta_jwt_free(&ctx->jwt);
            ngx_memzero(&ctx->jwt, sizeof(delta_jwt_t));
            ngx_str_null(&ctx->user);
            ngx_str_null(&ctx->token);
            ngx_str_null(&ctx->subject);
            ctx->jwt_result = 0;
            ctx->conf = dlcf;
        }

        return ctx;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_delta_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_delta_ctx_t));
    ctx->conf = dlcf;
    cln->handler = ngx_http_delta_auth_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_delta_module);

    return ctx;
}


static void
ngx_http_delta_auth_cleanup(void *data)
{
    ngx_http_delta_ctx_t  *ctx = data;

    delta_jwt_free(&ctx->jwt);
}


ngx_int_t
ngx_http_delta_auth_user(ngx_http_request_t *r, ngx_str_t *user)
{
    ngx_http_delta_ctx_t       *ctx;
    ngx_http_delta_loc_conf_t  *dlcf;

    r = r->main;
    ngx_str_null(user);

    ctx = ngx_http_delta_auth_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->user.len) {
        *user = ctx->user;
        return NGX_OK;
    }

    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    if (dlcf->user) {

        /* a demanded token is demanded, wherever the name comes from */

        if (dlcf->jwt == NGX_HTTP_DELTA_JWT_REQUIRED
            && ngx_http_delta_auth_jwt(r, ctx) <= 0)
        {
            return NGX_OK;
        }

        if (ngx_http_complex_value(r, dlcf->user, user) != NGX_OK) {
            return NGX_ERROR;
        }

        /* before auth_request has run this may be empty, or change */

        if (ctx->settled) {
            ctx->user = *user;
        }

        return NGX_OK;
    }

    if (ngx_http_delta_auth_jwt(r, ctx) > 0) {
        *user = ctx->user;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_delta_auth_claim(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    char                   number[32];
    u_char                *p;
    delta_str_t            claim;
    ngx_http_delta_ctx_t  *ctx;

    r = r->main;
    ngx_str_null(value);

    ctx = ngx_http_delta_auth_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_delta_auth_jwt(r, ctx) <= 0 || ctx->jwt.claims == NULL) {
        return NGX_OK;
    }

    claim = delta_jwt_claim(&ctx->jwt, (char *) name->data, name->len, number);

    p = ngx_pnalloc(r->pool, claim.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (claim.len) {
        ngx_memcpy(p, claim.data, claim.len);
    }

    value->data = p;
    value->len = claim.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_auth_jwt(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx)
{
    char                         number[32];
    delta_str_t                  sub;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    if (dlcf->jwt == NGX_HTTP_DELTA_JWT_OFF || dlcf->key_file == NULL) {
        return 0;
    }

    if (ctx->jwt_result) {
        return ctx->jwt_result;
    }

    ngx_http_delta_auth_token(r, ctx, dlcf);

    if (ctx->token.len == 0) {
        return 0;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);

    ctx->jwt_result = ngx_http_delta_auth_verify(mcf->worker, dlcf,
                                                 &ctx->token, &ctx->jwt);

    if (ctx->jwt_result <= 0) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "delta: refused a token: %s",
                      delta_jwt_strerror(ctx->jwt_result));
        return ctx->jwt_result;
    }

    sub = delta_jwt_claim(&ctx->jwt, "sub", 3, number);

    ctx->subject.data = ngx_pnalloc(r->pool, sub.len + 1);
    if (ctx->subject.data == NULL) {
        return 0;
    }

    if (sub.len) {
        ngx_memcpy(ctx->subject.data, sub.data, sub.len);
    }

    ctx->subject.len = sub.len;

    if (dlcf->user == NULL) {
        ctx->user = ctx->subject;
    }

    return ctx->jwt_result;
}


/* token= if given; else Authorization, else the subprotocol bearer.<token> */

static void
ngx_http_delta_auth_token(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx,
    ngx_http_delta_loc_conf_t *dlcf)
{
    u_char                 *p, *last, *end;
    ngx_str_t              *value;
    ngx_http_delta_line_t   line;

    if (ctx->token.len) {
        return;
    }

    if (dlcf->jwt_token) {
        (void) ngx_http_complex_value(r, dlcf->jwt_token, &ctx->token);

        if (ctx->token.len > 7
            && ngx_strncasecmp(ctx->token.data, (u_char *) "bearer ", 7) == 0)
        {
            (void) ngx_http_delta_auth_bearer(&ctx->token, &ctx->token);
        }

        return;
    }

    if (r->headers_in.authorization
        && ngx_http_delta_auth_bearer(&r->headers_in.authorization->value,
                                      &ctx->token)
           == NGX_OK)
    {
        return;
    }

    ngx_memzero(&line, sizeof(ngx_http_delta_line_t));

    while ((value = ngx_http_delta_auth_next(r, "sec-websocket-protocol",
                                             &line))
           != NULL)
    {
        p = value->data;
        last = p + value->len;

        while (p < last) {
            while (p < last && (*p == ' ' || *p == ',' || *p == '\t')) {
                p++;
            }

            for (end = p;
                 end < last && *end != ',' && *end != ' ' && *end != '\t';
                 end++)
            {
                /* void */
            }

            if (end - p > 7 && ngx_strncmp(p, "bearer.", 7) == 0) {
                ctx->token.data = p + 7;
                ctx->token.len = end - p - 7;
                return;
            }

            p = end;
        }
    }
}


static ngx_int_t
ngx_http_delta_auth_bearer(ngx_str_t *value, ngx_str_t *token)
{
    u_char  *p, *last;

    if (value->len < 8
        || ngx_strncasecmp(value->data, (u_char *) "bearer ", 7) != 0)
    {
        return NGX_DECLINED;
    }

    last = value->data + value->len;

    for (p = value->data + 7; p < last && *p == ' '; p++) {
        /* void */
    }

    token->data = p;
    token->len = last - p;

    return NGX_OK;
}


int
ngx_http_delta_auth_verify(ngx_http_delta_worker_t *worker,
    ngx_http_delta_loc_conf_t *conf, ngx_str_t *token, delta_jwt_t *jwt)
{
    delta_jwt_keys_t    *keys;
    delta_jwt_policy_t   policy;

    if (worker == NULL || conf->key_file == NULL) {
        return DELTA_JWT_EKEY;
    }

    keys = ngx_http_delta_auth_keys(worker, conf->key_file);

    policy.audience.data = (char *) conf->jwt_audience.data;
    policy.audience.len = conf->jwt_audience.len;
    policy.issuer.data = (char *) conf->jwt_issuer.data;
    policy.issuer.len = conf->jwt_issuer.len;
    policy.now = ngx_time();
    policy.leeway = conf->jwt_leeway;

    return delta_jwt_verify(jwt, keys, (char *) token->data, token->len,
                            &policy);
}


ngx_uint_t
ngx_http_delta_auth_same(ngx_http_request_t *r, delta_jwt_t *jwt,
    ngx_str_t *user)
{
    char                        number[32];
    delta_str_t                 sub;
    ngx_http_delta_ctx_t       *ctx;
    ngx_http_delta_loc_conf_t  *dlcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    sub = delta_jwt_claim(jwt, "sub", 3, number);

    if (sub.len != ctx->subject.len
        || (sub.len && ngx_memcmp(sub.data, ctx->subject.data, sub.len) != 0))
    {
        return 0;
    }

    return dlcf->user == NULL
           || ngx_http_delta_auth_named(r, ctx, jwt, sub.len == 0, user);
}


/*
 * Whether delta_user makes that name of the token's claims.  Its variables
 * and their memory are thrown away: a session may ask this for ever.  What
 * nginx has kept of the first token counts only if a sub vouches for both.
 */

static ngx_uint_t
ngx_http_delta_auth_named(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx,
    delta_jwt_t *jwt, ngx_uint_t afresh, ngx_str_t *user)
{
    size_t                      size;
    ngx_int_t                   rc;
    ngx_str_t                   name;
    ngx_pool_t                 *pool;
    delta_jwt_t                 old;
    ngx_http_variable_value_t  *variables;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);
    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, r->connection->log);
    if (pool == NULL) {
        return 0;
    }

    old = ctx->jwt;
    variables = r->variables;

    r->variables = ngx_pcalloc(pool, size);

    if (r->variables == NULL) {
        r->variables = variables;
        ngx_destroy_pool(pool);
        return 0;
    }

    if (!afresh) {
        ngx_memcpy(r->variables, variables, size);
    }

    ctx->jwt = *jwt;

    /* swapped for so long as nothing but variables is asked */

    ngx_http_delta_auth_swap(r, &pool);
    rc = ngx_http_complex_value(r, ctx->conf->user, &name);
    ngx_http_delta_auth_swap(r, &pool);

    rc = (rc == NGX_OK && name.len == user->len
          && ngx_memcmp(name.data, user->data, name.len) == 0);

    ctx->jwt = old;
    r->variables = variables;

    ngx_destroy_pool(pool);

    return rc;
}


static void
ngx_http_delta_auth_swap(ngx_http_request_t *r, ngx_pool_t **pool)
{
    ngx_pool_t  *mine;

    mine = r->pool;
    r->pool = *pool;
    *pool = mine;
}


time_t
ngx_http_delta_auth_expires(ngx_http_delta_loc_conf_t *conf, delta_jwt_t *jwt)
{
    int64_t  last;

    if (jwt->exp == 0) {
        return 0;
    }

    /* a token may say any number */
    last = (int64_t) ngx_time() + NGX_HTTP_DELTA_LIFE;

    return (time_t) ngx_min(jwt->exp, last) + conf->jwt_grace;
}


static delta_jwt_keys_t *
ngx_http_delta_auth_keys(ngx_http_delta_worker_t *worker,
    ngx_http_delta_key_file_t *file)
{
    u_char                  error[NGX_HTTP_DELTA_ERROR_LEN];
    ngx_file_info_t         fi;
    delta_jwt_keys_t       *fresh;
    ngx_http_delta_keys_t  *keys;

    keys = &worker->keys[file->index];

    if (keys->checked == ngx_time()) {
        return keys->keys;
    }

    keys->checked = ngx_time();

    if (ngx_file_info(file->path.data, &fi) == NGX_FILE_ERROR
        || (ngx_http_delta_auth_changed(&fi) == keys->changed
            && ngx_file_size(&fi) == keys->size
            && ngx_file_uniq(&fi) == keys->uniq))
    {
        return keys->keys;
    }

    fresh = ngx_http_delta_auth_read_keys(&file->path, &fi, error);

    keys->changed = ngx_http_delta_auth_changed(&fi);
    keys->size = ngx_file_size(&fi);
    keys->uniq = ngx_file_uniq(&fi);

    if (fresh == NULL) {
        ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                      "delta: kept the old keys, \"%V\" is not usable: %s",
                      &file->path, error);
        return keys->keys;
    }

    ngx_log_error(NGX_LOG_NOTICE, worker->log, 0,
                  "delta: read the keys of \"%V\" again", &file->path);

    if (keys->owned) {
        delta_jwt_keys_free(keys->keys);
    }

    keys->keys = fresh;
    keys->owned = 1;

    return fresh;
}


delta_jwt_keys_t *
ngx_http_delta_auth_read_keys(ngx_str_t *path, ngx_file_info_t *fi,
    u_char *error)
{
    u_char            *buf;
    size_t             size;
    ssize_t            n;
    ngx_fd_t           fd;
    delta_jwt_keys_t  *keys;

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_snprintf(error, NGX_HTTP_DELTA_ERROR_LEN, "%s%Z",
                     strerror(ngx_errno));
        return NULL;
    }

    keys = NULL;
    buf = NULL;

    if (ngx_fd_info(fd, fi) == NGX_FILE_ERROR) {
        ngx_snprintf(error, NGX_HTTP_DELTA_ERROR_LEN, "%s%Z",
                     strerror(ngx_errno));
        goto done;
    }

    size = ngx_file_size(fi);

    if (!ngx_is_file(fi) || size > NGX_HTTP_DELTA_KEY_FILE_MAX) {
        ngx_snprintf(error, NGX_HTTP_DELTA_ERROR_LEN,
                     "not a file of at most 256 KB%Z");
        goto done;
    }

    buf = malloc(size + 1);
    n = buf ? ngx_read_fd(fd, buf, size) : -1;

    if (n < 0) {
        ngx_snprintf(error, NGX_HTTP_DELTA_ERROR_LEN, "%s%Z",
                     strerror(ngx_errno));
        goto done;
    }

    keys = delta_jwt_keys_parse((char *) buf, n, (char *) error,
                                NGX_HTTP_DELTA_ERROR_LEN);

done:

    if (buf) {
        ngx_explicit_memzero(buf, size);
        free(buf);
    }

    ngx_close_file(fd);

    return keys;
}


ngx_str_t *
ngx_http_delta_auth_header(ngx_http_request_t *r, const char *name,
    ngx_uint_t *count)
{
    ngx_str_t              *first;
    ngx_http_delta_line_t   line;

    ngx_memzero(&line, sizeof(ngx_http_delta_line_t));

    first = ngx_http_delta_auth_next(r, name, &line);

    if (first && count) {
        do {
            (*count)++;
        } while (ngx_http_delta_auth_next(r, name, &line));
    }

    return first;
}


ngx_str_t *
ngx_http_delta_auth_next(ngx_http_request_t *r, const char *name,
    ngx_http_delta_line_t *line)
{
    size_t            len;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    if (line->part == NULL) {
        line->part = &r->headers_in.headers.part;
    }

    for ( ;; ) {

        if (line->i >= line->part->nelts) {
            if (line->part->next == NULL) {
                return NULL;
            }

            line->part = line->part->next;
            line->i = 0;
            continue;
        }

        h = (ngx_table_elt_t *) line->part->elts + line->i++;

        if (h->key.len == len
            && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0)
        {
            return &h->value;
        }
    }
}
