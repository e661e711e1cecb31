
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_conf.h"


#define NGX_HTTP_DELTA_SETS_MAX      64
#define NGX_HTTP_DELTA_SETS_TTL      300        /* seconds */
#define NGX_HTTP_DELTA_SETS_MIN_TTL  3
#define NGX_HTTP_DELTA_SETS_MAX_TTL  86400


static char *ngx_http_delta_conf_sets_params(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_delta_sets_conf_t *sets);
static char *ngx_http_delta_conf_sets_uri(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_delta_sets_conf_t *sets);


char *
ngx_http_delta_conf_membership(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_delta_sets_conf_t  *sets;
    ngx_http_delta_loc_conf_t   *dlcf = conf;
    ngx_http_delta_main_conf_t  *mcf;

    if (dlcf->sets != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {
        dlcf->sets = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_http_delta_conf_once(cf, 2) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    sets = ngx_pcalloc(cf->pool, sizeof(ngx_http_delta_sets_conf_t));
    if (sets == NULL) {
        return NGX_CONF_ERROR;
    }

    sets->max = NGX_HTTP_DELTA_SETS_MAX;
    sets->ttl = NGX_HTTP_DELTA_SETS_TTL;

    if (ngx_http_delta_conf_sets_uri(cf, &value[1], sets) != NGX_CONF_OK
        || ngx_http_delta_conf_sets_params(cf, cmd, sets) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_delta_module);

    sets->index = mcf->nsets++;

    if (mcf->sets_every == 0 || mcf->sets_every > sets->ttl / 3) {
        mcf->sets_every = sets->ttl / 3;
    }

    dlcf->sets = sets;

    return NGX_CONF_OK;
}


static char *
ngx_http_delta_conf_sets_params(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_delta_sets_conf_t *sets)
{
    ngx_str_t   *value, text;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_delta_conf_param(&value[i], "max=", &text)) {

            if (ngx_http_delta_conf_number(cf, &value[i], 4, &sets->max)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        sets->ttl = NGX_ERROR;

        if (ngx_http_delta_conf_param(&value[i], "ttl=", &text)) {
            sets->ttl = ngx_parse_time(&text, 1);
        }

        if (sets->ttl < NGX_HTTP_DELTA_SETS_MIN_TTL
            || sets->ttl > NGX_HTTP_DELTA_SETS_MAX_TTL)
        {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                       "it takes a URI, max=number and ttl=time, from 3s to "
                       "1d");
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_delta_conf_sets_uri(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_delta_sets_conf_t *sets)
{
    u_char  *p, *last;

    last = value->data + value->len;

    if (value->len == 0 || value->data[0] != '/'
        || ngx_strlchr(value->data, last, '$'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URI \"%V\" in \"delta_membership\", give "
                           "that of an internal location, such as "
                           "/internal/membership; what it asks for it makes "
                           "of variables itself", value);
        return NGX_CONF_ERROR;
    }

    sets->uri = *value;

    p = ngx_strlchr(value->data, last, '?');

    if (p) {
        sets->uri.len = p - value->data;
        sets->args.data = p + 1;
        sets->args.len = last - p - 1;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_delta_conf_sets(ngx_conf_t *cf, ngx_http_delta_loc_conf_t *prev,
    ngx_http_delta_loc_conf_t *conf)
{
    ngx_uint_t              i, here;
    ngx_http_delta_rule_t  *rule;

    here = conf->sets != NGX_CONF_UNSET_PTR && conf->sets != NULL;

    ngx_conf_merge_ptr_value(conf->sets, prev->sets, NULL);

    if (!here || !conf->gateway || conf->rules == NULL) {
        return NGX_CONF_OK;
    }

    rule = conf->rules->elts;

    for (i = 0; i < conf->rules->nelts; i++) {
        if (rule[i].member.len) {
            return NGX_CONF_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"delta_membership %V\" for \"delta_gateway\" in %V has "
                  "nothing to ask for: none of its \"delta_subscribe\" has a "
                  "set of $delta_user that ends in a plain word, such as "
                  "from=user:$delta_user:guilds",
                  &conf->sets->uri, &conf->place);

    return NGX_CONF_ERROR;
}
