
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_conf.h"
#include "ngx_http_delta_auth.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_MAX_DRAIN  3600      /* seconds */


static void ngx_http_delta_conf_free_keys(void *data);
static char *ngx_http_delta_conf_name(ngx_conf_t *cf, ngx_str_t *text,
    ngx_uint_t pattern, ngx_http_delta_name_t *name);
static void ngx_http_delta_conf_warn(ngx_conf_t *cf,
    ngx_http_delta_rule_t *rule);
static ngx_uint_t ngx_http_delta_conf_client(ngx_str_t *text);
static ngx_uint_t ngx_http_delta_conf_capture(ngx_str_t *text);
static ngx_uint_t ngx_http_delta_conf_uses(ngx_str_t *text, const char *name,
    ngx_uint_t whole);


ngx_str_t *
ngx_http_delta_conf_param(ngx_str_t *value, const char *key, ngx_str_t *text)
{
    size_t  len;

    len = ngx_strlen(key);

    if (value->len < len || ngx_strncmp(value->data, key, len) != 0) {
        return NULL;
    }

    text->data = value->data + len;
    text->len = value->len - len;

    return text;
}


char *
ngx_http_delta_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *hint)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"%V\", %s",
                       value, &cmd->name, hint);

    return NGX_CONF_ERROR;
}


char *
ngx_http_delta_conf_jwt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                          *value, text;
    ngx_uint_t                          i, optional, required;
    ngx_http_delta_loc_conf_t          *dlcf = conf;
    ngx_http_compile_complex_value_t    ccv;

    if (dlcf->jwt != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_http_delta_conf_once(cf, 1) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    dlcf->jwt_place = ngx_http_delta_conf_place(cf);
    if (dlcf->jwt_place.data == NULL) {
        return NGX_CONF_ERROR;
    }

    optional = 0;
    required = 0;
    dlcf->jwt = NGX_HTTP_DELTA_JWT_REQUIRED;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "off") == 0 && cf->args->nelts == 2) {
            dlcf->jwt = NGX_HTTP_DELTA_JWT_OFF;
            continue;
        }

        if (ngx_strcmp(value[i].data, "optional") == 0) {
            optional = 1;
            dlcf->jwt = NGX_HTTP_DELTA_JWT_OPTIONAL;
            continue;
        }

        if (ngx_strcmp(value[i].data, "required") == 0) {
            required = 1;
            continue;
        }

        if (ngx_http_delta_conf_param(&value[i], "aud=", &text) && text.len) {
            dlcf->jwt_audience = text;
            continue;
        }

        if (ngx_http_delta_conf_param(&value[i], "iss=", &text) && text.len) {
            dlcf->jwt_issuer = text;
            continue;
        }

        if (ngx_http_delta_conf_param(&value[i], "leeway=", &text)) {
            dlcf->jwt_leeway = ngx_parse_time(&text, 1);

            if (dlcf->jwt_leeway != (time_t) NGX_ERROR) {
                continue;
            }
        }

        if (ngx_http_delta_conf_param(&value[i], "grace=", &text)) {
            dlcf->jwt_grace = ngx_parse_time(&text, 1);

            if (dlcf->jwt_grace != (time_t) NGX_ERROR) {
                continue;
            }
        }

        if (ngx_http_delta_conf_param(&value[i], "token=", &text)
            && text.len)
        {
            dlcf->jwt_token = ngx_palloc(cf->pool,
                                         sizeof(ngx_http_complex_value_t));
            if (dlcf->jwt_token == NULL) {
                return NGX_CONF_ERROR;
            }

            ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));
            ccv.cf = cf;
            ccv.value = &text;
            ccv.complex_value = dlcf->jwt_token;

            if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                   "it takes off alone, or any of optional, aud=, iss=, "
                   "token=$variable, leeway=time and grace=time");
    }

    if (optional && required) {
        return "cannot be both optional and required";
    }

    return NGX_CONF_OK;
}


char *
ngx_http_delta_conf_key_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                        error[256];
    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_file_info_t               fi;
    ngx_pool_cleanup_t           *cln;
    ngx_http_delta_loc_conf_t    *dlcf = conf;
    ngx_http_delta_key_file_t   **files, *file;
    ngx_http_delta_main_conf_t   *mcf;

    if (dlcf->key_file != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_delta_module);
    files = mcf->key_files.elts;

    for (i = 0; i < mcf->key_files.nelts; i++) {

        if (ngx_strcmp(files[i]->path.data, value[1].data) == 0) {
            dlcf->key_file = files[i];
            return NGX_CONF_OK;
        }
    }

    file = ngx_pcalloc(cf->pool, sizeof(ngx_http_delta_key_file_t));
    files = ngx_array_push(&mcf->key_files);
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (file == NULL || files == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    *files = file;
    file->path = value[1];
    file->index = mcf->key_files.nelts - 1;
    file->keys = ngx_http_delta_auth_read_keys(&value[1], &fi, error);

    if (file->keys == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "cannot use the key file \"%V\": %s",
                           &value[1], error);
        return NGX_CONF_ERROR;
    }

    file->changed = ngx_http_delta_auth_changed(&fi);
    file->size = ngx_file_size(&fi);
    file->uniq = ngx_file_uniq(&fi);

    cln->handler = ngx_http_delta_conf_free_keys;
    cln->data = file;

    dlcf->key_file = file;

    return NGX_CONF_OK;
}


static void
ngx_http_delta_conf_free_keys(void *data)
{
    ngx_http_delta_key_file_t  *file = data;

    delta_jwt_keys_free(file->keys);
}


char *
ngx_http_delta_conf_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_http_delta_conf_uses(&value[1], "delta_user", 1)) {
        return "cannot be made of $delta_user, which it sets";
    }

    if (ngx_http_delta_conf_capture(&value[1])) {
        return "cannot be made of $1 to $9, which hold what the last regular "
               "expression of all matched: give the group a name, "
               "(?<name>...), and use $name";
    }

    if (ngx_http_delta_conf_uses(&value[1], "upstream_http_", 0)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"delta_user %V\" is the header of whichever "
                           "upstream answered last, take it over with "
                           "auth_request_set first", &value[1]);
    }

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}


char *
ngx_http_delta_conf_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                     *p, *star, *last;
    ngx_str_t                  *value, *origin;
    ngx_uint_t                  i;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->origins == NGX_CONF_UNSET_PTR) {
        dlcf->origins = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));

        if (dlcf->origins == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        p = ngx_strnstr(value[i].data, "://", value[i].len);
        p = p ? p + 3 : value[i].data;

        last = value[i].data + value[i].len;
        star = ngx_strlchr(value[i].data, last, '*');

        if (ngx_strcmp(value[i].data, "null") == 0
            || p == last || ngx_strlchr(p, last, '/')
            || (star && (star < p || ngx_strlchr(star + 1, last, '*'))))
        {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                       "give scheme://host[:port] without a path, "
                       "*.example.com or *, with one * at most");
        }

        origin = ngx_array_push(dlcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


char *
ngx_http_delta_conf_subscribe(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                       *rv;
    ngx_str_t                  *value, text, from, in;
    ngx_uint_t                  i;
    ngx_http_delta_rule_t      *rule;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->rules == NGX_CONF_UNSET_PTR) {
        dlcf->rules = ngx_array_create(cf->pool, 8,
                                       sizeof(ngx_http_delta_rule_t));
        if (dlcf->rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (dlcf->rules->nelts == NGX_HTTP_DELTA_MAX_RULES) {
        return "is given more than 32 times at one level";
    }

    if (ngx_http_delta_conf_once(cf, 2) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    rule = ngx_array_push(dlcf->rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(ngx_http_delta_rule_t));
    ngx_str_null(&from);
    ngx_str_null(&in);

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "on_request") == 0) {
            rule->on_request = 1;

        } else if (ngx_http_delta_conf_param(&value[i], "from=", &text)) {
            from = text;

        } else if (ngx_http_delta_conf_param(&value[i], "in=", &text)) {
            in = text;

        } else {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                       "it takes from=set, in=set and on_request");
        }
    }

    if (from.data && in.data) {
        return "cannot have both from= and in=";
    }

    rv = ngx_http_delta_conf_name(cf, &value[1], from.data != NULL,
                                  &rule->channel);

    if (rv == NGX_CONF_OK && from.data) {
        rv = ngx_http_delta_conf_name(cf, &from, 0, &rule->from);
    }

    if (rv == NGX_CONF_OK && in.data) {
        rv = ngx_http_delta_conf_name(cf, &in, 0, &rule->in);
    }

    if (rv == NGX_CONF_OK) {
        ngx_http_delta_conf_warn(cf, rule);
    }

    return rv;
}


/* What in= checks is the channel's last segment, and nothing but that. */

static void
ngx_http_delta_conf_warn(ngx_conf_t *cf, ngx_http_delta_rule_t *rule)
{
    u_char                 *p;
    ngx_str_t               front;
    ngx_http_delta_name_t  *set;

    set = rule->in.text.len ? &rule->in : &rule->from;

    if (set->client) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the client chooses the set \"%V\" freely, name "
                           "it by what the client cannot choose, such as "
                           "$delta_user", &set->text);
    }

    if (!rule->channel.client) {
        return;
    }

    front = rule->channel.text;

    if (rule->in.text.len == 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the client chooses \"%V\" freely, add in=set to "
                           "check it", &front);
        return;
    }

    for (p = front.data + front.len; p > front.data && p[-1] != ':'; p--) {
        /* void */
    }

    front.len = p - front.data;

    if (ngx_http_delta_conf_client(&front)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the client chooses \"%V\" freely, in= checks the "
                           "last segment of a channel only", &front);
    }
}


/* Splits the text at ":"; each segment becomes a complex value. */

static char *
ngx_http_delta_conf_name(ngx_conf_t *cf, ngx_str_t *text, ngx_uint_t pattern,
    ngx_http_delta_name_t *name)
{
    u_char                            *p, *last, *end;
    ngx_str_t                          segment;
    ngx_uint_t                         stars, literal;
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    name->text = *text;

    if (ngx_array_init(&name->segments, cf->pool, 4,
                       sizeof(ngx_http_complex_value_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_delta_conf_capture(text)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"delta_subscribe\" holds what the "
                           "last regular expression of all matched, give the "
                           "group a name, (?<name>...), and use $name", text);
        return NGX_CONF_ERROR;
    }

    stars = 0;
    last = text->data + text->len;

    for (p = text->data; p <= last; p = end + 1) {

        end = ngx_strlchr(p, last, ':');
        if (end == NULL) {
            end = last;
        }

        segment.data = p;
        segment.len = end - p;

        cv = ngx_array_push(&name->segments);
        if (cv == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));
        ccv.cf = cf;
        ccv.value = &segment;
        ccv.complex_value = cv;

        if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        literal = (cv->lengths == NULL);

        if (!literal) {
            name->variable = 1;
            name->client |= ngx_http_delta_conf_client(&segment);
        }

        if (segment.len == 1 && *p == '*') {
            stars++;

        } else if (literal && !delta_name_segment((char *) p, end - p)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid name \"%V\" in \"delta_subscribe\", "
                               "give segments of [A-Za-z0-9._~@|+-] or "
                               "variables, joined by \":\"", text);
            return NGX_CONF_ERROR;
        }
    }

    if (!name->variable && text->len > DELTA_NAME_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "name \"%V\" in \"delta_subscribe\" is longer than "
                           "256 bytes", text);
        return NGX_CONF_ERROR;
    }

    if (stars != pattern) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, pattern
                           ? "\"%V\" in \"delta_subscribe\" needs exactly one "
                             "segment \"*\" for the ids of from="
                           : "\"%V\" in \"delta_subscribe\" has a \"*\" that "
                             "no from= fills", text);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Whether a variable in the text is the client's to choose. */

static ngx_uint_t
ngx_http_delta_conf_client(ngx_str_t *text)
{
    ngx_uint_t          i;
    static const char  *begins[] = { "arg_", "http_", "cookie_" };
    static const char  *names[] = {
        "args", "query_string", "uri", "request_uri", "document_uri",
        "request", "request_body", "request_filename", "content_type",
        "ssl_server_name"
    };

    for (i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {

        if (ngx_http_delta_conf_uses(text, begins[i], 0)) {
            return 1;
        }
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {

        if (ngx_http_delta_conf_uses(text, names[i], 1)) {
            return 1;
        }
    }

    return 0;
}


/* $1 to $9 are those of whichever regex ran last, also of a map. */

static ngx_uint_t
ngx_http_delta_conf_capture(ngx_str_t *text)
{
    u_char  digit[2];

    digit[1] = '\0';

    for (digit[0] = '1'; digit[0] <= '9'; digit[0]++) {

        if (ngx_http_delta_conf_uses(text, (char *) digit, 0)) {
            return 1;
        }
    }

    return 0;
}


/* Whether the text has that variable, or one whose name so begins. */

static ngx_uint_t
ngx_http_delta_conf_uses(ngx_str_t *text, const char *name, ngx_uint_t whole)
{
    u_char  *p, *last, c;
    size_t   len;

    len = ngx_strlen(name);
    last = text->data + text->len;

    for (p = ngx_strlchr(text->data, last, '$');
         p;
         p = ngx_strlchr(p, last, '$'))
    {
        p++;
        p += (p < last && *p == '{');

        if ((size_t) (last - p) < len || ngx_strncmp(p, name, len) != 0) {
            continue;
        }

        c = (p + len < last) ? p[len] : '\0';

        if (!whole || !(isalnum(c) || c == '_')) {
            return 1;
        }
    }

    return 0;
}


char *
ngx_http_delta_conf_envelope(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t        *value;
    ngx_conf_enum_t  *e;

    value = cf->args->elts;

    for (e = cmd->post; e->name.len; e++) {

        if (ngx_strcmp(e->name.data, value[1].data) == 0) {
            return ngx_conf_set_enum_slot(cf, cmd, conf);
        }
    }

    return ngx_http_delta_conf_invalid(cf, cmd, &value[1],
                                       "give vtd, op, type or compact");
}


char *
ngx_http_delta_conf_heartbeat(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                   n;
    ngx_str_t                  *value;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->heartbeat != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        n = 0;

    } else {
        n = ngx_parse_time(&value[1], 1);

        if (n == NGX_ERROR || n == 0) {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[1],
                                               "give a time, or off");
        }
    }

    dlcf->heartbeat = n;

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "missed=", 7) != 0) {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[2],
                                               "it takes missed=number");
        }

        return ngx_http_delta_conf_number(cf, &value[2], 7, &dlcf->missed);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_delta_conf_drain(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                   n;
    ngx_str_t                  *value;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->drain != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_parse_time(&value[1], 1);

    if (n == NGX_ERROR || n == 0 || n > NGX_HTTP_DELTA_MAX_DRAIN) {
        return ngx_http_delta_conf_invalid(cf, cmd, &value[1],
                                           "give a time from 1s to 1h");
    }

    dlcf->drain = n;

    return NGX_CONF_OK;
}


char *
ngx_http_delta_conf_queue(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                       *rv;
    ssize_t                     size;
    ngx_str_t                  *value, text;
    ngx_uint_t                  i;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->queue_bytes != NGX_CONF_UNSET_SIZE
        || dlcf->queue_events != NGX_CONF_UNSET_UINT
        || dlcf->queue_age != NGX_CONF_UNSET)
    {
        return "is duplicate";
    }

    if (ngx_http_delta_conf_once(cf, 1) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_delta_conf_param(&value[i], "bytes=", &text)) {
            size = ngx_parse_size(&text);

            if (size > 0) {
                dlcf->queue_bytes = size;
                continue;
            }

        } else if (ngx_http_delta_conf_param(&value[i], "events=", &text)) {
            rv = ngx_http_delta_conf_number(cf, &value[i], 7,
                                            &dlcf->queue_events);
            if (rv != NGX_CONF_OK) {
                return rv;
            }

            continue;

        } else if (ngx_http_delta_conf_param(&value[i], "age=", &text)) {
            dlcf->queue_age = ngx_parse_time(&text, 1);

            if (dlcf->queue_age != (time_t) NGX_ERROR
                && dlcf->queue_age > 0)
            {
                continue;
            }
        }

        return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                   "it takes bytes=size, events=number and age=time, "
                   "each above 0");
    }

    return NGX_CONF_OK;
}


char *
ngx_http_delta_conf_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                       *rv;
    ngx_str_t                  *value, text;
    ngx_uint_t                  i;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->limit_connections != NGX_CONF_UNSET_UINT
        || dlcf->limit_channels != NGX_CONF_UNSET_UINT
        || dlcf->limit_rate != NGX_CONF_UNSET_UINT)
    {
        return "is duplicate";
    }

    if (ngx_http_delta_conf_once(cf, 1) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_delta_conf_param(&value[i], "connections=", &text)) {
            rv = ngx_http_delta_conf_number(cf, &value[i], 12,
                                            &dlcf->limit_connections);

        } else if (ngx_http_delta_conf_param(&value[i], "channels=", &text)) {
            rv = ngx_http_delta_conf_number(cf, &value[i], 9,
                                            &dlcf->limit_channels);

        } else if (ngx_http_delta_conf_param(&value[i], "rate=", &text)
                   && text.len > 3
                   && ngx_strcmp(text.data + text.len - 3, "r/m") == 0)
        {
            value[i].len -= 3;
            rv = ngx_http_delta_conf_number(cf, &value[i], 5,
                                            &dlcf->limit_rate);

        } else {
            rv = ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                     "it takes connections=number, channels=number and "
                     "rate=numberr/m, each above 0");
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_delta_conf_number(ngx_conf_t *cf, ngx_str_t *value, size_t skip,
    ngx_uint_t *number)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data + skip, value->len - skip);

    if (n == NGX_ERROR || n == 0 || n > 1000000000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"%V\", give a number above 0",
                           value);
        return NGX_CONF_ERROR;
    }

    *number = n;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_delta_conf_shutdown(ngx_cycle_t *cycle)
{
    ngx_core_conf_t             *ccf;
    ngx_http_delta_main_conf_t  *mcf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_delta_module);

    if (mcf && mcf->gateways && ccf->shutdown_timeout
        && ccf->shutdown_timeout <= mcf->goodbye)
    {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "\"worker_shutdown_timeout\" of %Mms may cut sessions "
                      "off, give it more than the %Mms of \"delta_drain\" "
                      "and \"lingering_timeout\"",
                      ccf->shutdown_timeout, mcf->goodbye);
    }

    return NGX_OK;
}
