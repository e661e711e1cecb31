
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_conf.h"
#include "ngx_http_delta_auth.h"


#define NGX_HTTP_DELTA_MAX_DRAIN   3600     /* seconds */
#define NGX_HTTP_DELTA_MAX_RESUME  60000    /* ms */
#define NGX_HTTP_DELTA_MAX_WINDOW  3600000
#define NGX_HTTP_DELTA_MAX_SPREAD  3600
#define NGX_HTTP_DELTA_MAX_SIZE  (16 * 1024 * 1024)


static void ngx_http_delta_conf_free_keys(void *data);
static char *ngx_http_delta_conf_spread(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_http_delta_loc_conf_t *dlcf);


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
                                       "give vtd, op, type, compact or space");
}


char *
ngx_http_delta_conf_backfill(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                          *value;
    ngx_http_delta_loc_conf_t          *dlcf = conf;
    ngx_http_compile_complex_value_t    ccv;

    if (dlcf->backfill) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].data[0] != '/') {
        return ngx_http_delta_conf_invalid(cf, cmd, &value[1],
                   "give the URI of an internal location, as "
                   "/internal/intentions?since=$delta_since");
    }

    dlcf->backfill = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (dlcf->backfill == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = dlcf->backfill;

    return ngx_http_compile_complex_value(&ccv) == NGX_OK ? NGX_CONF_OK
                                                          : NGX_CONF_ERROR;
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
ngx_http_delta_conf_resume(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                   n;
    ngx_str_t                  *value, text;
    ngx_uint_t                  i;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->resume_window != NGX_CONF_UNSET_MSEC
        || dlcf->resume_overlap != NGX_CONF_UNSET_MSEC
        || dlcf->resume_spread != NGX_CONF_UNSET_MSEC)
    {
        return "is duplicate";
    }

    if (ngx_http_delta_conf_once(cf, 1) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_delta_conf_param(&value[i], "overlap=", &text)) {
            n = ngx_parse_time(&text, 0);

            if (n != NGX_ERROR && n <= NGX_HTTP_DELTA_MAX_RESUME) {
                dlcf->resume_overlap = n;
                continue;
            }
        }

        if (ngx_http_delta_conf_param(&value[i], "spread=", &text)) {
            n = ngx_parse_time(&text, 0);

            if (n != NGX_ERROR && n <= NGX_HTTP_DELTA_MAX_RESUME) {
                dlcf->resume_spread = n;
                continue;
            }
        }

        if (i == 1) {
            n = ngx_parse_time(&value[i], 0);

            if (n != NGX_ERROR && n >= 1000 && n <= NGX_HTTP_DELTA_MAX_WINDOW)
            {
                dlcf->resume_window = n;
                continue;
            }
        }

        return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                                           "it takes a time from 1s to 1h, "
                                           "then overlap=time and "
                                           "spread=time, each up to 1m");
    }

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
    char                        *rv;
    ngx_str_t                   *value, text;
    ngx_uint_t                   i;
    ngx_http_delta_loc_conf_t   *dlcf = conf;
    ngx_http_delta_main_conf_t  *mcf;

    if (dlcf->limit_connections != NGX_CONF_UNSET_UINT
        || dlcf->limit_channels != NGX_CONF_UNSET_UINT
        || dlcf->limit_rate != NGX_CONF_UNSET_UINT
        || dlcf->limit_admit != NGX_CONF_UNSET_UINT)
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

        } else if (ngx_http_delta_conf_param(&value[i], "admit=", &text)
                   && text.len > 3
                   && ngx_strcmp(text.data + text.len - 3, "r/s") == 0)
        {
            value[i].len -= 3;
            rv = ngx_http_delta_conf_number(cf, &value[i], 6,
                                            &dlcf->limit_admit);

        } else if (ngx_http_delta_conf_param(&value[i], "spread=", &text)) {
            rv = ngx_http_delta_conf_spread(cf, cmd, &value[i], dlcf);

        } else {
            rv = ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                     "it takes connections=number, channels=number, "
                     "rate=numberr/m, admit=numberr/s, each above 0, and "
                     "spread=time");
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (dlcf->limit_admit != NGX_CONF_UNSET_UINT) {
        mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_delta_module);
        dlcf->admission = mcf->nadmissions++;

    } else if (dlcf->limit_spread != NGX_CONF_UNSET_UINT) {
        return "has spread= without admit=";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_delta_conf_spread(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, ngx_http_delta_loc_conf_t *dlcf)
{
    ngx_int_t  n;
    ngx_str_t  text;

    ngx_http_delta_conf_param(value, "spread=", &text);

    n = ngx_parse_time(&text, 1);

    if (n == NGX_ERROR || n == 0 || n > NGX_HTTP_DELTA_MAX_SPREAD) {
        return ngx_http_delta_conf_invalid(cf, cmd, value,
                                           "give a time from 1s to 1h");
    }

    dlcf->limit_spread = n;

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


char *
ngx_http_delta_conf_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t  *size = data;

    if (*size == 0 || *size > NGX_HTTP_DELTA_MAX_SIZE) {
        return "is out of bounds, give a size from 1 to 16m,";
    }

    return NGX_CONF_OK;
}
