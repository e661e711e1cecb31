
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_conf.h"


#define NGX_HTTP_DELTA_TTL         30000        /* ms */
#define NGX_HTTP_DELTA_REFRESH     10000
#define NGX_HTTP_DELTA_MAX_TTL     3600000


char *
ngx_http_delta_conf_presence(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                   n;
    ngx_str_t                  *value, text;
    ngx_uint_t                  i;
    ngx_msec_t                 *time;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->presence_ttl != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    if (ngx_http_delta_conf_once(cf, 1) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        dlcf->presence_ttl = 0;
        return NGX_CONF_OK;
    }

    dlcf->presence_ttl = NGX_HTTP_DELTA_TTL;
    dlcf->presence_refresh = NGX_HTTP_DELTA_REFRESH;

    for (i = 1; i < cf->args->nelts; i++) {
        time = NULL;

        if (ngx_http_delta_conf_param(&value[i], "ttl=", &text)) {
            time = &dlcf->presence_ttl;

        } else if (ngx_http_delta_conf_param(&value[i], "refresh=", &text)) {
            time = &dlcf->presence_refresh;
        }

        n = time ? ngx_parse_time(&text, 0) : NGX_ERROR;

        if (n == NGX_ERROR || n < 1000 || n > NGX_HTTP_DELTA_MAX_TTL) {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                                               "it takes ttl=time and "
                                               "refresh=time, each from 1s "
                                               "to 1h, or off");
        }

        *time = n;
    }

    if (dlcf->presence_refresh > dlcf->presence_ttl) {
        return "has a refresh= that is longer than its ttl=: a lease would "
               "end before it is refreshed";
    }

    return NGX_CONF_OK;
}


void
ngx_http_delta_conf_presence_merge(ngx_http_delta_loc_conf_t *prev,
    ngx_http_delta_loc_conf_t *conf)
{
    if (conf->presence_ttl == NGX_CONF_UNSET_MSEC) {
        conf->presence_ttl = prev->presence_ttl;
        conf->presence_refresh = prev->presence_refresh;
    }

    ngx_conf_init_msec_value(conf->presence_ttl, 0);

    if (conf->resume_window == NGX_CONF_UNSET_MSEC
        && conf->resume_overlap == NGX_CONF_UNSET_MSEC
        && conf->resume_spread == NGX_CONF_UNSET_MSEC)
    {
        conf->resume_window = prev->resume_window;
        conf->resume_overlap = prev->resume_overlap;
        conf->resume_spread = prev->resume_spread;
    }

    ngx_conf_init_msec_value(conf->resume_window, NGX_HTTP_DELTA_RESUME);
    ngx_conf_init_msec_value(conf->resume_overlap, NGX_HTTP_DELTA_OVERLAP);
    ngx_conf_init_msec_value(conf->resume_spread, NGX_HTTP_DELTA_SPREAD);
}


char *
ngx_http_delta_conf_presence_check(ngx_conf_t *cf,
    ngx_http_delta_loc_conf_t *conf)
{
    ngx_msec_t                   silent, window;
    ngx_http_delta_redis_conf_t  *redis;

    if (conf->presence_ttl == 0) {
        return NGX_CONF_OK;
    }

    silent = conf->heartbeat * 1000 * (conf->missed + 1);
    window = conf->presence_ttl + conf->resume_window;

    if (silent == 0 || silent > window) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"delta_gateway\" in %V has \"delta_presence\" and may "
                      "take clients that are there for lost: "
                      "\"delta_heartbeat time missed=number\", time * "
                      "(number + 1), must be on and not longer than ttl= and "
                      "the time of \"delta_resume\" together", &conf->place);
        return NGX_CONF_ERROR;
    }

    /* the sweep has its interval, and ticks and clocks of whole seconds */

    conf->presence_lease = conf->presence_ttl
                           - ngx_min(conf->presence_refresh / 4 + 2000,
                                     conf->presence_ttl / 6);

    redis = conf->redis;

    if (redis->presence == 0 || redis->presence > conf->presence_refresh) {
        redis->presence = conf->presence_refresh;
    }

    return NGX_CONF_OK;
}
