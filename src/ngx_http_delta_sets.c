
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_sets.h"
#include "ngx_http_delta_answer.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "core/delta_name.h"
#include <jansson.h>


#define NGX_HTTP_DELTA_SETS_TRIES    3          /* changes in between */
#define NGX_HTTP_DELTA_SETS_ANSWER   1048576    /* bytes */
#define NGX_HTTP_DELTA_SETS_IDS      65536      /* in an answer */
#define NGX_HTTP_DELTA_SETS_MAX_TTL  86400


typedef enum {
    NGX_HTTP_DELTA_SETS_ASK = 0,    /* what does Redis lack? */
    NGX_HTTP_DELTA_SETS_READ,       /* the application is to be asked */
    NGX_HTTP_DELTA_SETS_WRITE,      /* its answer is here */
    NGX_HTTP_DELTA_SETS_WAIT,
    NGX_HTTP_DELTA_SETS_DONE
} ngx_http_delta_sets_state_e;

typedef struct {
    ngx_str_t                    key;       /* in Redis */
    ngx_str_t                    member;    /* in the answer */
} ngx_http_delta_set_t;

/* It outlives its request while Redis owes a reply. */
struct ngx_http_delta_sets_s {
    ngx_http_request_t          *request;   /* NULL: gone */
    ngx_http_delta_hub_t        *hub;
    ngx_http_delta_sets_conf_t  *conf;
    ngx_http_delta_set_t        *sets;
    ngx_uint_t                   nsets;
    ngx_str_t                    key;       /* of the generation */
    ngx_str_t                    gen;       /* as it was before we asked */
    u_char                       gen_buf[NGX_INT64_LEN];

    ngx_http_delta_sets_state_e  state;
    ngx_uint_t                   tries;
    ngx_int_t                    rc;        /* when done */
    ngx_http_delta_answer_t     *answer;    /* NULL: none, or it failed */

    unsigned                     asked:1;   /* counts for max= */
    unsigned                     pending:1; /* Redis owes a reply */
};


static ngx_uint_t ngx_http_delta_sets_list(ngx_http_delta_ctx_t *ctx,
    ngx_http_delta_loc_conf_t *dlcf, ngx_http_delta_set_t *sets);
static ngx_int_t ngx_http_delta_sets_ask(ngx_http_delta_sets_t *sets);
static void ngx_http_delta_sets_missing(void *data, redisReply *reply);
static ngx_int_t ngx_http_delta_sets_read(ngx_http_delta_sets_t *sets);
static ngx_int_t ngx_http_delta_sets_answered(ngx_http_request_t *r,
    void *data, ngx_int_t rc);
static ngx_int_t ngx_http_delta_sets_write(ngx_http_delta_sets_t *sets);
static ngx_int_t ngx_http_delta_sets_fill(ngx_http_delta_sets_t *sets,
    ngx_pool_t *pool, json_t *answer);
static ngx_int_t ngx_http_delta_sets_members(ngx_http_delta_sets_t *sets,
    ngx_pool_t *pool, json_t *array, ngx_array_t *argv);
static void ngx_http_delta_sets_filled(void *data, redisReply *reply);
static ngx_int_t ngx_http_delta_sets_number(ngx_array_t *argv,
    ngx_pool_t *pool, ngx_int_t n);
static ngx_int_t ngx_http_delta_sets_error(ngx_http_delta_sets_t *sets,
    const char *what, redisReply *reply);
static ngx_int_t ngx_http_delta_sets_end(ngx_http_delta_sets_t *sets,
    ngx_int_t rc);
static ngx_uint_t ngx_http_delta_sets_replied(ngx_http_delta_sets_t *sets);
static void ngx_http_delta_sets_run(ngx_http_delta_sets_t *sets);


ngx_int_t
ngx_http_delta_sets_create(ngx_http_request_t *r, ngx_http_delta_ctx_t *ctx,
    ngx_http_delta_sets_t **out)
{
    u_char                      *p;
    size_t                       len;
    ngx_http_delta_sets_t       *sets;
    ngx_http_delta_loc_conf_t   *dlcf;
    ngx_http_delta_main_conf_t  *mcf;

    *out = NULL;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);
    dlcf = ngx_http_get_module_loc_conf(r, ngx_http_delta_module);

    if (dlcf->sets == NULL) {
        return NGX_OK;
    }

    len = sizeof("delta:gen:") - 1 + ctx->user.len;

    sets = ngx_calloc(sizeof(ngx_http_delta_sets_t)
                      + ctx->ngrants * sizeof(ngx_http_delta_set_t) + len,
                      mcf->worker->log);
    if (sets == NULL) {
        return NGX_ERROR;
    }

    sets->request = r;
    sets->hub = &mcf->worker->hubs[dlcf->redis->index];
    sets->conf = dlcf->sets;
    sets->sets = (ngx_http_delta_set_t *) (sets + 1);
    sets->nsets = ngx_http_delta_sets_list(ctx, dlcf, sets->sets);

    p = (u_char *) &sets->sets[ctx->ngrants];
    sets->key.data = p;
    sets->key.len = len;

    p = ngx_cpymem(p, "delta:gen:", sizeof("delta:gen:") - 1);
    ngx_memcpy(p, ctx->user.data, ctx->user.len);

    if (sets->nsets == 0) {
        ngx_free(sets);
        return NGX_OK;
    }

    *out = sets;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_delta_sets_list(ngx_http_delta_ctx_t *ctx,
    ngx_http_delta_loc_conf_t *dlcf, ngx_http_delta_set_t *sets)
{
    ngx_str_t              *key;
    ngx_uint_t              i, k, n;
    ngx_http_delta_rule_t  *rule;

    rule = dlcf->rules->elts;
    n = 0;

    for (i = 0; i < ctx->ngrants; i++) {

        if (!ctx->grants[i].own) {
            continue;
        }

        key = ctx->grants[i].from.len ? &ctx->grants[i].from
                                      : &ctx->grants[i].in;

        for (k = 0; k < n; k++) {
            if (key->len == sets[k].key.len
                && ngx_strncmp(key->data, sets[k].key.data, key->len) == 0)
            {
                break;
            }
        }

        if (k == n) {
            sets[n].key = *key;
            sets[n++].member = rule[i].member;
        }
    }

    return n;
}


ngx_int_t
ngx_http_delta_sets_next(ngx_http_delta_sets_t *sets)
{
    ngx_int_t  rc;

    switch (sets->state) {

    case NGX_HTTP_DELTA_SETS_ASK:
        rc = ngx_http_delta_sets_ask(sets);
        break;

    case NGX_HTTP_DELTA_SETS_READ:
        rc = ngx_http_delta_sets_read(sets);
        break;

    case NGX_HTTP_DELTA_SETS_WRITE:
        rc = ngx_http_delta_sets_write(sets);
        break;

    case NGX_HTTP_DELTA_SETS_WAIT:
        return NGX_AGAIN;

    default: /* NGX_HTTP_DELTA_SETS_DONE */
        rc = sets->rc;
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        ngx_http_delta_metric(sets->hub->worker, READS_FAILED, 1);
    }

    return ngx_http_delta_sets_end(sets, rc);
}


static ngx_int_t
ngx_http_delta_sets_ask(ngx_http_delta_sets_t *sets)
{
    u_char      number[NGX_INT_T_LEN];
    ngx_str_t   argv[NGX_HTTP_DELTA_MAX_RULES + 4];
    ngx_uint_t  i;

    ngx_str_set(&argv[0], "FCALL_RO");
    ngx_str_set(&argv[1], "delta_sets_missing");
    argv[2].data = number;
    argv[2].len = ngx_sprintf(number, "%ui", sets->nsets + 1) - number;
    argv[3] = sets->key;

    for (i = 0; i < sets->nsets; i++) {
        argv[4 + i] = sets->sets[i].key;
    }

    if (ngx_http_delta_redis_command(&sets->hub->command,
                                     ngx_http_delta_sets_missing, sets,
                                     4 + sets->nsets, argv)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sets->pending = 1;
    sets->state = NGX_HTTP_DELTA_SETS_WAIT;

    return NGX_AGAIN;
}


static void
ngx_http_delta_sets_missing(void *data, redisReply *reply)
{
    redisReply             *gen;
    ngx_http_delta_sets_t  *sets = data;

    if (!ngx_http_delta_sets_replied(sets)) {
        return;
    }

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements == 0
        || reply->element[0]->type != REDIS_REPLY_STRING
        || (size_t) reply->element[0]->len > sizeof(sets->gen_buf))
    {
        ngx_http_delta_sets_error(sets, "Redis does not tell its sets", reply);
        ngx_http_delta_sets_end(sets, NGX_ABORT);

    } else if (reply->elements == 1) {
        ngx_http_delta_metric_at(sets->hub->worker,
                                 sets->tries
                                     ? NGX_HTTP_DELTA_METRIC_READS_RACED
                                     : NGX_HTTP_DELTA_METRIC_READS_HIT, 1);
        ngx_http_delta_sets_end(sets, NGX_OK);

    } else {
        gen = reply->element[0];
        sets->gen.data = sets->gen_buf;
        sets->gen.len = gen->len;
        ngx_memcpy(sets->gen_buf, gen->str, gen->len);

        sets->state = NGX_HTTP_DELTA_SETS_READ;
    }

    ngx_http_delta_sets_run(sets);
}


static ngx_int_t
ngx_http_delta_sets_read(ngx_http_delta_sets_t *sets)
{
    ngx_uint_t          *asking;
    ngx_http_request_t  *r;

    r = sets->request;
    asking = &sets->hub->worker->asking[sets->conf->index];

    if (!sets->asked) {

        if (*asking >= sets->conf->max) {
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "delta: \"%V\" is being asked %ui times already, "
                          "see delta_membership max=", &sets->conf->uri,
                          *asking);
            return NGX_BUSY;
        }

        sets->asked = 1;
        (*asking)++;
    }

    sets->answer = ngx_http_delta_answer_ask(r, &sets->conf->uri,
                                             &sets->conf->args,
                                             NGX_HTTP_DELTA_SETS_ANSWER,
                                             ngx_http_delta_sets_answered,
                                             NULL);
    if (sets->answer == NULL) {
        return NGX_ERROR;
    }

    sets->state = NGX_HTTP_DELTA_SETS_WAIT;

    return NGX_AGAIN;
}


/* Whatever became of the subrequest, the request itself shall go on. */

static ngx_int_t
ngx_http_delta_sets_answered(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    ngx_http_delta_ctx_t   *ctx;
    ngx_http_delta_sets_t  *sets;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_delta_module);
    sets = ctx ? ctx->sets : NULL;

    if (r->connection->error || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST) {
        return rc;
    }

    if (sets == NULL || sets->state != NGX_HTTP_DELTA_SETS_WAIT) {
        return NGX_OK;
    }

    sets->state = NGX_HTTP_DELTA_SETS_WRITE;

    if (rc != NGX_OK || r->headers_out.status != NGX_HTTP_OK) {
        sets->answer = NULL;

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "delta: \"%V\" did not answer with the memberships: "
                      "%i, status %ui", &r->uri, rc, r->headers_out.status);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_sets_write(ngx_http_delta_sets_t *sets)
{
    json_t                   *answer;
    ngx_int_t                 rc;
    ngx_pool_t               *pool;
    json_error_t              error;
    ngx_http_delta_answer_t  *text;

    text = sets->answer;

    if (text == NULL || text->failed) {
        return text && text->large
               ? ngx_http_delta_sets_error(sets, "the answer is too large",
                                           NULL)
               : NGX_ERROR;
    }

    answer = json_loadb(text->len ? (char *) text->data : "", text->len,
                        JSON_REJECT_DUPLICATES, &error);

    ngx_http_delta_answer_free(text);

    if (answer == NULL) {
        return ngx_http_delta_sets_error(sets, "the answer is not JSON", NULL);
    }

    pool = ngx_create_pool(4096, sets->hub->worker->log);
    rc = NGX_ERROR;

    if (pool) {
        rc = ngx_http_delta_sets_fill(sets, pool, answer);
        ngx_destroy_pool(pool);
    }

    json_decref(answer);

    return rc;
}


static ngx_int_t
ngx_http_delta_sets_fill(ngx_http_delta_sets_t *sets, ngx_pool_t *pool,
    json_t *answer)
{
    json_t       *value;
    json_int_t    ttl;
    ngx_str_t    *arg;
    ngx_uint_t    i;
    ngx_array_t   argv;

    ttl = sets->conf->ttl;
    value = json_object_get(answer, "ttl");

    if (value && (!json_is_integer(value) || json_integer_value(value) < 1)) {
        return ngx_http_delta_sets_error(sets, "\"ttl\" is not a number of "
                                         "seconds", NULL);
    }

    if (value) {
        ttl = ngx_max(ttl, ngx_min(json_integer_value(value),
                                   NGX_HTTP_DELTA_SETS_MAX_TTL));
    }

    if (ngx_array_init(&argv, pool, 64, sizeof(ngx_str_t)) != NGX_OK
        || (arg = ngx_array_push_n(&argv, 2)) == NULL)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&arg[0], "FCALL");
    ngx_str_set(&arg[1], "delta_sets_fill");

    if (ngx_http_delta_sets_number(&argv, pool, sets->nsets + 1) != NGX_OK
        || (arg = ngx_array_push_n(&argv, sets->nsets + 2)) == NULL)
    {
        return NGX_ERROR;
    }

    arg[0] = sets->key;

    for (i = 0; i < sets->nsets; i++) {
        arg[1 + i] = sets->sets[i].key;
    }

    arg[1 + i] = sets->gen;

    if (ngx_http_delta_sets_number(&argv, pool, ttl) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < sets->nsets; i++) {
        value = json_object_getn(answer,
                                 (char *) sets->sets[i].member.data,
                                 sets->sets[i].member.len);

        if (ngx_http_delta_sets_members(sets, pool, value, &argv) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_delta_redis_command(&sets->hub->command,
                                     ngx_http_delta_sets_filled, sets,
                                     argv.nelts, argv.elts)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sets->pending = 1;
    sets->state = NGX_HTTP_DELTA_SETS_WAIT;

    return NGX_AGAIN;
}


/* Ids are text or whole numbers; what cannot be in a channel is left out. */

static ngx_int_t
ngx_http_delta_sets_members(ngx_http_delta_sets_t *sets, ngx_pool_t *pool,
    json_t *array, ngx_array_t *argv)
{
    size_t       i, at, len;
    json_t      *id;
    ngx_str_t   *arg;

    if (!json_is_array(array)) {
        return ngx_http_delta_sets_error(sets, "an array of ids is missing",
                                         NULL);
    }

    if (json_array_size(array) + argv->nelts > NGX_HTTP_DELTA_SETS_IDS) {
        return ngx_http_delta_sets_error(sets, "there are too many ids", NULL);
    }

    at = argv->nelts;

    if (ngx_http_delta_sets_number(argv, pool, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    json_array_foreach(array, i, id) {

        if (json_is_integer(id)) {
            if (json_integer_value(id) < 0) {
                ngx_http_delta_metric(sets->hub->worker, BAD_MEMBERS, 1);

            } else if (ngx_http_delta_sets_number(argv, pool,
                                                  json_integer_value(id))
                       != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        len = json_string_length(id);

        if (!json_is_string(id)
            || !delta_name_segment(json_string_value(id), len))
        {
            ngx_http_delta_metric(sets->hub->worker, BAD_MEMBERS, 1);
            continue;
        }

        arg = ngx_array_push(argv);
        if (arg == NULL) {
            return NGX_ERROR;
        }

        arg->data = (u_char *) json_string_value(id);
        arg->len = len;
    }

    arg = argv->elts;
    arg[at].len = ngx_sprintf(arg[at].data, "%ui", argv->nelts - at - 1)
                  - arg[at].data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_sets_number(ngx_array_t *argv, ngx_pool_t *pool, ngx_int_t n)
{
    ngx_str_t  *arg;

    arg = ngx_array_push(argv);
    if (arg == NULL) {
        return NGX_ERROR;
    }

    arg->data = ngx_pnalloc(pool, NGX_INT_T_LEN);
    if (arg->data == NULL) {
        return NGX_ERROR;
    }

    arg->len = ngx_sprintf(arg->data, "%i", n) - arg->data;

    return NGX_OK;
}


static void
ngx_http_delta_sets_filled(void *data, redisReply *reply)
{
    ngx_http_delta_sets_t  *sets = data;

    if (!ngx_http_delta_sets_replied(sets)) {
        return;
    }

    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        ngx_http_delta_sets_error(sets, "Redis does not take them", reply);
        ngx_http_delta_sets_end(sets, NGX_ABORT);

    } else if (reply->integer == 1) {
        ngx_http_delta_metric_at(sets->hub->worker,
                                 sets->tries
                                     ? NGX_HTTP_DELTA_METRIC_READS_RACED
                                     : NGX_HTTP_DELTA_METRIC_READS_FILLED, 1);
        ngx_http_delta_sets_end(sets, NGX_OK);

    } else if (++sets->tries == NGX_HTTP_DELTA_SETS_TRIES) {
        ngx_http_delta_sets_end(sets, ngx_http_delta_sets_error(sets,
                                          "they change faster than they can "
                                          "be read", NULL));

    } else {
        sets->state = NGX_HTTP_DELTA_SETS_ASK;
    }

    ngx_http_delta_sets_run(sets);
}


/* One line for what went wrong, with what Redis says of it. */

static ngx_int_t
ngx_http_delta_sets_error(ngx_http_delta_sets_t *sets, const char *what,
    redisReply *reply)
{
    ngx_uint_t  error;

    error = reply && reply->type == REDIS_REPLY_ERROR;

    ngx_log_error(NGX_LOG_ERR, sets->request->connection->log, 0,
                  "delta: no memberships by \"%V\", %s%s%*s",
                  &sets->conf->uri, what, error ? ": " : "",
                  error ? ngx_min(reply->len, 200) : (size_t) 0,
                  error ? reply->str : "");

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_delta_sets_end(ngx_http_delta_sets_t *sets, ngx_int_t rc)
{
    if (sets->asked) {
        sets->hub->worker->asking[sets->conf->index]--;
        sets->asked = 0;
    }

    sets->state = NGX_HTTP_DELTA_SETS_DONE;
    sets->rc = rc;

    return rc;
}


/* 0: nobody waits for the reply any more. */

static ngx_uint_t
ngx_http_delta_sets_replied(ngx_http_delta_sets_t *sets)
{
    sets->pending = 0;

    if (sets->request == NULL) {
        ngx_free(sets);
        return 0;
    }

    ngx_http_set_log_request(sets->request->connection->log, sets->request);

    return 1;
}


static void
ngx_http_delta_sets_run(ngx_http_delta_sets_t *sets)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = sets->request;
    c = r->connection;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


void
ngx_http_delta_sets_free(ngx_http_delta_sets_t *sets)
{
    ngx_http_delta_sets_end(sets, NGX_ERROR);
    sets->request = NULL;

    /* else by the reply */

    if (!sets->pending) {
        ngx_free(sets);
    }
}
