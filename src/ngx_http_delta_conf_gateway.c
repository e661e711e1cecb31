
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_conf.h"
#include "ngx_http_delta_handler.h"
#include "ngx_http_delta_health.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_publish.h"
#include "ngx_http_delta_world.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_DEADLINE      3000   /* ms */
#define NGX_HTTP_DELTA_MIN_DEADLINE  2000   /* a tick comes each second */
#define NGX_HTTP_DELTA_MAX_DEADLINE  60000
#define NGX_HTTP_DELTA_TICKS         256    /* of max= */
#define NGX_HTTP_DELTA_MAX_TICKS     10000


static char *ngx_http_delta_conf_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler, ngx_http_delta_loc_conf_t *dlcf);


char *
ngx_http_delta_conf_gateway(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->gateway) {
        return "is duplicate";
    }

    if (ngx_http_delta_conf_once(cf, 1) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "websocket") == 0) {
            dlcf->gateway |= NGX_HTTP_DELTA_WS;

        } else if (ngx_strcmp(value[i].data, "sse") == 0) {
            dlcf->gateway |= NGX_HTTP_DELTA_SSE;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid transport \"%V\", give websocket, "
                               "sse, or nothing for both", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (dlcf->gateway == 0) {
        dlcf->gateway = NGX_HTTP_DELTA_WS | NGX_HTTP_DELTA_SSE;
    }

    return ngx_http_delta_conf_handler(cf, ngx_http_delta_gateway_handler,
                                       dlcf);
}


char *
ngx_http_delta_conf_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->metrics) {
        return "is duplicate";
    }

    dlcf->metrics = 1;

    return ngx_http_delta_conf_handler(cf, ngx_http_delta_metrics_handler,
                                       dlcf);
}


char *
ngx_http_delta_conf_publish(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->publish) {
        return "is duplicate";
    }

    dlcf->publish = 1;

    return ngx_http_delta_conf_handler(cf, ngx_http_delta_publish_handler,
                                       dlcf);
}


char *
ngx_http_delta_conf_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                   ms;
    ngx_str_t                  *value, text;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->health) {
        return "is duplicate";
    }

    dlcf->health = NGX_HTTP_DELTA_DEADLINE;
    value = cf->args->elts;

    if (cf->args->nelts == 2) {
        ms = NGX_ERROR;

        if (ngx_http_delta_conf_param(&value[1], "deadline=", &text)) {
            ms = ngx_parse_time(&text, 0);
        }

        if (ms < NGX_HTTP_DELTA_MIN_DEADLINE
            || ms > NGX_HTTP_DELTA_MAX_DEADLINE)
        {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[1],
                       "it takes deadline=time, from 2s to 1m");
        }

        dlcf->health = ms;
    }

    return ngx_http_delta_conf_handler(cf, ngx_http_delta_health_handler,
                                       dlcf);
}


char *
ngx_http_delta_conf_snapshot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                         *value, text;
    ngx_uint_t                         i;
    ngx_http_delta_loc_conf_t         *dlcf = conf;
    ngx_http_delta_world_conf_t       *world;
    ngx_http_compile_complex_value_t   ccv;

    if (dlcf->world) {
        return "is duplicate";
    }

    if (ngx_http_delta_conf_once(cf, 1) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    world = ngx_pcalloc(cf->pool, sizeof(ngx_http_delta_world_conf_t));
    if (world == NULL) {
        return NGX_CONF_ERROR;
    }

    dlcf->world = world;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "range") == 0) {
            world->range = 1;
            continue;
        }

        if (ngx_strcmp(value[i].data, "full") == 0) {
            world->full = 1;
            continue;
        }

        if (ngx_http_delta_conf_param(&value[i], "max=", &text)) {

            if (ngx_http_delta_conf_number(cf, &value[i], 4, &world->max)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            if (world->max <= NGX_HTTP_DELTA_MAX_TICKS) {
                continue;
            }
        }

        if (ngx_http_delta_conf_param(&value[i], "world=", &text)
            && text.len)
        {
            ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

            ccv.cf = cf;
            ccv.value = &text;
            ccv.complex_value = &world->name;

            if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
                return NGX_CONF_ERROR;
            }

            if (world->name.lengths
                || delta_name_segment((char *) text.data, text.len))
            {
                continue;
            }
        }

        return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                   "it takes world=name, range, max=number up to 10000 and "
                   "full");
    }

    if (world->name.value.data == NULL) {
        return "says no world, give \"world=name\"";
    }

    if (world->max && !world->range) {
        return "has \"max=\", which is for \"range\"";
    }

    if (world->max == 0) {
        world->max = NGX_HTTP_DELTA_TICKS;
    }

    return ngx_http_delta_conf_handler(cf, ngx_http_delta_world_handler, dlcf);
}


/* nginx lets the last one win, and the other never answers. */

static char *
ngx_http_delta_conf_handler(ngx_conf_t *cf, ngx_http_handler_pt handler,
    ngx_http_delta_loc_conf_t *dlcf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "shares its location with another directive that answers "
               "requests, give each a location of its own";
    }

    clcf->handler = handler;
    dlcf->place = ngx_http_delta_conf_place(cf);

    return dlcf->place.data ? NGX_CONF_OK : NGX_CONF_ERROR;
}


void
ngx_http_delta_conf_if(ngx_conf_t *cf, ngx_http_delta_loc_conf_t *prev,
    ngx_http_delta_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (!clcf->noname || clcf->handler
        || (prev->gateway == 0 && prev->metrics == 0 && prev->publish == 0
            && prev->health == 0 && prev->world == NULL))
    {
        return;
    }

    conf->gateway = prev->gateway;
    conf->metrics = prev->metrics;
    conf->publish = prev->publish;
    conf->health = prev->health;
    conf->world = prev->world;
    conf->place = prev->place;

    clcf->handler = prev->gateway ? ngx_http_delta_gateway_handler
                    : prev->metrics ? ngx_http_delta_metrics_handler
                    : prev->publish ? ngx_http_delta_publish_handler
                    : prev->health ? ngx_http_delta_health_handler
                                   : ngx_http_delta_world_handler;
}


char *
ngx_http_delta_conf_check(ngx_conf_t *cf, ngx_http_delta_loc_conf_t *conf)
{
    const char                  *name, *missing;
    ngx_http_delta_rule_t       *rule;
    ngx_msec_t                   goodbye;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_delta_main_conf_t  *mcf;

    missing = NULL;

    if (conf->jwt != NGX_HTTP_DELTA_JWT_OFF && conf->key_file == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"delta_jwt\" in %V needs \"delta_jwt_key_file\", the "
                      "JWK Set that verifies the tokens, at the same or an "
                      "outer level", &conf->jwt_place);
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    name = conf->gateway ? "delta_gateway"
           : conf->metrics ? "delta_metrics"
           : conf->publish ? "delta_publish"
           : conf->health ? "delta_health" : "delta_snapshot";

    if ((conf->gateway && clcf->handler != ngx_http_delta_gateway_handler)
        || (conf->metrics && clcf->handler != ngx_http_delta_metrics_handler)
        || (conf->publish && clcf->handler != ngx_http_delta_publish_handler)
        || (conf->health && clcf->handler != ngx_http_delta_health_handler)
        || (conf->world && clcf->handler != ngx_http_delta_world_handler))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" in %V shares its location with another "
                      "directive that answers requests, give each a location "
                      "of its own",
                      name, &conf->place);
        return NGX_CONF_ERROR;
    }

    if (!conf->gateway && !conf->publish && !conf->health && !conf->world) {
        return NGX_CONF_OK;
    }

    if (conf->redis == NULL) {
        missing = "\"delta_redis redis://host:port\"";

    } else if (!conf->gateway) {
        /* it needs nothing else */

    } else if (conf->rules == NULL) {
        missing = "\"delta_subscribe channel\"";

    } else if (conf->jwt == NGX_HTTP_DELTA_JWT_OFF && conf->user == NULL) {
        missing = "an identity, by \"delta_jwt\" or \"delta_user\"";

    } else if (conf->envelope == DELTA_ENVELOPE_SPACE) {
        rule = conf->rules->elts;

        if (conf->gateway != NGX_HTTP_DELTA_SSE || conf->rules->nelts != 1
            || rule->from.text.len || rule->on_request)
        {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"delta_envelope space\" at \"delta_gateway\" in "
                          "%V is for \"delta_gateway sse\" with one "
                          "\"delta_subscribe\" of one channel", &conf->place);
            return NGX_CONF_ERROR;
        }
    }

    if (missing) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" in %V needs %s at the same or an outer level",
                      name, &conf->place, missing);
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_delta_module);
    mcf->gateways++;

    if (!conf->gateway) {
        return NGX_CONF_OK;
    }

    if (ngx_http_delta_conf_presence_check(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    mcf->max_command = ngx_max(mcf->max_command, conf->max_command);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    goodbye = conf->drain * 1000 + clcf->lingering_timeout;
    mcf->goodbye = ngx_max(mcf->goodbye, goodbye);

    return NGX_CONF_OK;
}


ngx_str_t
ngx_http_delta_conf_place(ngx_conf_t *cf)
{
    size_t      len;
    ngx_str_t   place;
    ngx_str_t  *file;

    file = &cf->conf_file->file.name;
    len = file->len + 1 + NGX_INT_T_LEN;

    place.len = 0;
    place.data = ngx_pnalloc(cf->pool, len);

    if (place.data) {
        place.len = ngx_snprintf(place.data, len, "%V:%ui", file,
                                 cf->conf_file->line)
                    - place.data;
    }

    return place;
}


char *
ngx_http_delta_conf_once(ngx_conf_t *cf, ngx_uint_t first)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *value;
    ngx_uint_t   i, k;

    value = cf->args->elts;

    for (i = first; i < cf->args->nelts; i++) {

        p = ngx_strlchr(value[i].data, value[i].data + value[i].len, '=');
        len = p ? (size_t) (p + 1 - value[i].data) : value[i].len + 1;

        /* a word is compared with its final zero */

        for (k = first; k < i; k++) {

            if (ngx_strncmp(value[i].data, value[k].data, len) == 0) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate parameter \"%V\" of \"%V\", "
                                   "give each once", &value[i], &value[0]);
                return NGX_CONF_ERROR;
            }
        }
    }

    return NGX_CONF_OK;
}
