
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta.h"
#include "ngx_http_delta_answer.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_conf.h"
#include "ngx_http_delta_contract.h"
#include "ngx_http_delta_control.h"
#include "ngx_http_delta_epoch.h"
#include "ngx_http_delta_handler.h"
#include "ngx_http_delta_keep.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_origin.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_stream.h"
#include "ngx_http_delta_wheel.h"


static ngx_int_t ngx_http_delta_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_delta_init(ngx_conf_t *cf);
static void *ngx_http_delta_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_delta_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_delta_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_delta_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_delta_init_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_delta_init_hubs(ngx_http_delta_worker_t *worker,
    ngx_cycle_t *cycle);
static void ngx_http_delta_exit_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_delta_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_delta_claim_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_delta_since_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_delta_session_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_delta_set_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_str_t *value);


static ngx_conf_enum_t  ngx_http_delta_envelopes[] = {
    { ngx_string("vtd"), DELTA_ENVELOPE_VTD },
    { ngx_string("op"), DELTA_ENVELOPE_OP },
    { ngx_string("type"), DELTA_ENVELOPE_TYPE },
    { ngx_string("compact"), DELTA_ENVELOPE_COMPACT },
    { ngx_string("space"), DELTA_ENVELOPE_SPACE },
    { ngx_null_string, 0 }
};


static ngx_conf_post_t  ngx_http_delta_size = { ngx_http_delta_conf_size };


#define NGX_HTTP_DELTA_ANY                                                    \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)


static ngx_command_t  ngx_http_delta_directives[] = {

    { ngx_string("delta_redis"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_1MORE,
      ngx_http_delta_conf_redis,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_channel"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_delta_conf_channel,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_contracts"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_delta_conf_contracts,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_max_event"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_delta_main_conf_t, max_event),
      &ngx_http_delta_size },

    { ngx_string("delta_jwt"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_ANY,
      ngx_http_delta_conf_jwt,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_jwt_key_file"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE1,
      ngx_http_delta_conf_key_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_user"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE1,
      ngx_http_delta_conf_user,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_delta_loc_conf_t, user),
      NULL },

    { ngx_string("delta_gateway"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE12,
      ngx_http_delta_conf_gateway,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_origin"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_1MORE,
      ngx_http_delta_conf_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_subscribe"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_1MORE,
      ngx_http_delta_conf_subscribe,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_membership"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE123,
      ngx_http_delta_conf_membership,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_envelope"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE1,
      ngx_http_delta_conf_envelope,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_delta_loc_conf_t, envelope),
      &ngx_http_delta_envelopes },

    { ngx_string("delta_backfill"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE1,
      ngx_http_delta_conf_backfill,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_heartbeat"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE12,
      ngx_http_delta_conf_heartbeat,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_drain"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE1,
      ngx_http_delta_conf_drain,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_resume"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE123,
      ngx_http_delta_conf_resume,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_presence"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_NOARGS|NGX_CONF_TAKE12,
      ngx_http_delta_conf_presence,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_queue"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE123,
      ngx_http_delta_conf_queue,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_max_command"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_delta_loc_conf_t, max_command),
      &ngx_http_delta_size },

    { ngx_string("delta_limit"),
      NGX_HTTP_DELTA_ANY|NGX_CONF_1MORE,
      ngx_http_delta_conf_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_delta_conf_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_publish"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_delta_conf_publish,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_delta_conf_health,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("delta_snapshot"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_delta_conf_snapshot,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_delta_module_ctx = {
    ngx_http_delta_add_variables,          /* preconfiguration */
    ngx_http_delta_init,                   /* postconfiguration */

    ngx_http_delta_create_main_conf,       /* create main configuration */
    ngx_http_delta_init_main_conf,         /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_delta_create_loc_conf,        /* create location configuration */
    ngx_http_delta_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_delta_module = {
    NGX_MODULE_V1,
    &ngx_http_delta_module_ctx,            /* module context */
    ngx_http_delta_directives,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_delta_conf_shutdown,          /* init module */
    ngx_http_delta_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_delta_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


typedef enum {
    NGX_HTTP_DELTA_VAR_ID = 0,
    NGX_HTTP_DELTA_VAR_TRANSPORT,
    NGX_HTTP_DELTA_VAR_EVENTS,
    NGX_HTTP_DELTA_VAR_CODE
} ngx_http_delta_var_e;


static ngx_http_variable_t  ngx_http_delta_variables[] = {

    { ngx_string("delta_user"), NULL, ngx_http_delta_user_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("delta_claim_"), NULL, ngx_http_delta_claim_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("delta_since"), NULL, ngx_http_delta_since_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("delta_session"), NULL, ngx_http_delta_session_variable,
      NGX_HTTP_DELTA_VAR_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("delta_transport"), NULL, ngx_http_delta_session_variable,
      NGX_HTTP_DELTA_VAR_TRANSPORT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("delta_events_sent"), NULL, ngx_http_delta_session_variable,
      NGX_HTTP_DELTA_VAR_EVENTS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("delta_close_code"), NULL, ngx_http_delta_session_variable,
      NGX_HTTP_DELTA_VAR_CODE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_int_t
ngx_http_delta_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_delta_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_init(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_handler_pt         *h;
    ngx_http_variable_t         *v;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_delta_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_delta_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    /* identity must see what auth_request, allow and deny have done */

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_delta_precontent_handler;

    ngx_http_delta_answer_init();

    if (ngx_http_delta_origin_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (v[i].name.len > sizeof("delta_claim_") - 1
            && ngx_strncmp(v[i].name.data, "delta_claim_",
                           sizeof("delta_claim_") - 1)
               == 0)
        {
            mcf->claims = 1;
        }
    }

    return ngx_http_delta_conf_library(cf, mcf);
}


static void *
ngx_http_delta_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_delta_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_delta_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    mcf->max_event = NGX_CONF_UNSET_SIZE;

    if (ngx_array_init(&mcf->redis, cf->pool, 2, sizeof(void *)) != NGX_OK
        || ngx_array_init(&mcf->key_files, cf->pool, 2, sizeof(void *))
           != NGX_OK
        || ngx_array_init(&mcf->channels, cf->pool, 4,
                          sizeof(ngx_http_delta_channel_conf_t))
           != NGX_OK)
    {
        return NULL;
    }

    mcf->zone = ngx_http_delta_metrics_zone(cf);
    if (mcf->zone == NULL) {
        return NULL;
    }

    return mcf;
}


static char *
ngx_http_delta_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_delta_main_conf_t  *mcf = conf;

    ngx_conf_init_size_value(mcf->max_event, 64 * 1024);

    return NGX_CONF_OK;
}


static void *
ngx_http_delta_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_delta_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_delta_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->redis = NGX_CONF_UNSET_PTR;
    conf->rules = NGX_CONF_UNSET_PTR;
    conf->sets = NGX_CONF_UNSET_PTR;
    conf->origins = NGX_CONF_UNSET_PTR;
    conf->envelope = NGX_CONF_UNSET_UINT;
    conf->jwt = NGX_CONF_UNSET_UINT;
    conf->jwt_leeway = 5;
    conf->jwt_grace = 25;
    conf->key_file = NGX_CONF_UNSET_PTR;
    conf->heartbeat = NGX_CONF_UNSET;
    conf->missed = 2;
    conf->drain = NGX_CONF_UNSET;
    conf->presence_ttl = NGX_CONF_UNSET_MSEC;
    conf->resume_window = NGX_CONF_UNSET_MSEC;
    conf->resume_overlap = NGX_CONF_UNSET_MSEC;
    conf->resume_spread = NGX_CONF_UNSET_MSEC;
    conf->queue_bytes = NGX_CONF_UNSET_SIZE;
    conf->queue_events = NGX_CONF_UNSET_UINT;
    conf->queue_age = NGX_CONF_UNSET;
    conf->max_command = NGX_CONF_UNSET_SIZE;
    conf->limit_connections = NGX_CONF_UNSET_UINT;
    conf->limit_channels = NGX_CONF_UNSET_UINT;
    conf->limit_rate = NGX_CONF_UNSET_UINT;
    conf->limit_admit = NGX_CONF_UNSET_UINT;
    conf->limit_spread = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_delta_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_delta_loc_conf_t  *prev = parent;
    ngx_http_delta_loc_conf_t  *conf = child;

    ngx_http_delta_conf_if(cf, prev, conf);

    ngx_conf_merge_ptr_value(conf->redis, prev->redis, NULL);
    ngx_conf_merge_ptr_value(conf->rules, prev->rules, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);
    ngx_conf_merge_uint_value(conf->envelope, prev->envelope,
                              DELTA_ENVELOPE_VTD);

    if (conf->jwt == NGX_CONF_UNSET_UINT
        && prev->jwt != NGX_CONF_UNSET_UINT)
    {
        conf->jwt_token = prev->jwt_token;
        conf->jwt_audience = prev->jwt_audience;
        conf->jwt_issuer = prev->jwt_issuer;
        conf->jwt_leeway = prev->jwt_leeway;
        conf->jwt_grace = prev->jwt_grace;
        conf->jwt_place = prev->jwt_place;
    }

    ngx_conf_merge_uint_value(conf->jwt, prev->jwt, NGX_HTTP_DELTA_JWT_OFF);
    ngx_conf_merge_ptr_value(conf->key_file, prev->key_file, NULL);

    if (conf->user == NULL) {
        conf->user = prev->user;
    }

    if (conf->backfill == NULL) {
        conf->backfill = prev->backfill;
    }

    if (conf->heartbeat == NGX_CONF_UNSET) {
        conf->missed = prev->missed;
    }

    ngx_conf_merge_sec_value(conf->heartbeat, prev->heartbeat, 30);
    ngx_conf_merge_sec_value(conf->drain, prev->drain, 10);

    ngx_http_delta_conf_presence_merge(prev, conf);

    /* one directive each: what it leaves out has its default */

    if (conf->queue_bytes == NGX_CONF_UNSET_SIZE
        && conf->queue_events == NGX_CONF_UNSET_UINT
        && conf->queue_age == NGX_CONF_UNSET)
    {
        conf->queue_bytes = prev->queue_bytes;
        conf->queue_events = prev->queue_events;
        conf->queue_age = prev->queue_age;
    }

    ngx_conf_init_size_value(conf->queue_bytes, 1024 * 1024);
    ngx_conf_init_uint_value(conf->queue_events, 1024);
    ngx_conf_init_value(conf->queue_age, 30);

    ngx_conf_merge_size_value(conf->max_command, prev->max_command,
                              16 * 1024);

    if (conf->limit_connections == NGX_CONF_UNSET_UINT
        && conf->limit_channels == NGX_CONF_UNSET_UINT
        && conf->limit_rate == NGX_CONF_UNSET_UINT
        && conf->limit_admit == NGX_CONF_UNSET_UINT)
    {
        conf->limit_connections = prev->limit_connections;
        conf->limit_channels = prev->limit_channels;
        conf->limit_rate = prev->limit_rate;
        conf->limit_admit = prev->limit_admit;
        conf->limit_spread = prev->limit_spread;
        conf->admission = prev->admission;
    }

    ngx_conf_init_uint_value(conf->limit_connections, 32);
    ngx_conf_init_uint_value(conf->limit_channels, 512);
    ngx_conf_init_uint_value(conf->limit_rate, 120);
    ngx_conf_init_uint_value(conf->limit_admit, 0);
    ngx_conf_init_uint_value(conf->limit_spread, 10);

    if (ngx_http_delta_conf_sets(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_delta_conf_check(cf, conf);
}


static ngx_int_t
ngx_http_delta_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_http_delta_worker_t      *worker;
    ngx_http_delta_key_file_t   **files;
    ngx_http_delta_main_conf_t   *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_delta_module);

    if (mcf == NULL || (mcf->gateways == 0 && mcf->key_files.nelts == 0)) {
        return NGX_OK;
    }

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_http_delta_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    worker->conf = mcf;
    worker->log = cycle->log;
    worker->scratch = ngx_palloc(cycle->pool, NGX_HTTP_DELTA_SCRATCH);
    worker->message = ngx_palloc(cycle->pool, mcf->max_command + 1);
    worker->metrics = ngx_http_delta_metrics_slot(mcf->zone, cycle);
    worker->complaints = ngx_http_delta_contract_complaints(cycle, mcf);
    worker->keys = ngx_pcalloc(cycle->pool, sizeof(ngx_http_delta_keys_t)
                                            * (mcf->key_files.nelts + 1));
    worker->admissions = ngx_pcalloc(cycle->pool,
                                     sizeof(ngx_http_delta_admission_t)
                                     * (mcf->nadmissions + 1));
    worker->asking = ngx_pcalloc(cycle->pool, sizeof(ngx_uint_t)
                                              * (mcf->nsets + 1));

    if (worker->scratch == NULL || worker->message == NULL
        || worker->metrics == NULL || worker->complaints == NULL
        || worker->keys == NULL || worker->admissions == NULL
        || worker->asking == NULL)
    {
        return NGX_ERROR;
    }

    files = mcf->key_files.elts;

    for (i = 0; i < mcf->key_files.nelts; i++) {
        worker->keys[i].keys = files[i]->keys;
        worker->keys[i].changed = files[i]->changed;
        worker->keys[i].size = files[i]->size;
        worker->keys[i].uniq = files[i]->uniq;
    }

    for (i = 0; i < NGX_HTTP_DELTA_WHEEL; i++) {
        ngx_queue_init(&worker->wheel[i]);
    }

    ngx_queue_init(&worker->dirty);
    ngx_queue_init(&worker->histories);

    worker->flush.handler = ngx_http_delta_session_flush_handler;
    worker->flush.data = worker;
    worker->flush.log = cycle->log;

    worker->tick.handler = ngx_http_delta_wheel_tick_handler;
    worker->tick.data = worker;
    worker->tick.log = cycle->log;
    worker->tick.cancelable = 1;

    mcf->worker = worker;

    return mcf->gateways ? ngx_http_delta_init_hubs(worker, cycle) : NGX_OK;
}


static ngx_int_t
ngx_http_delta_init_hubs(ngx_http_delta_worker_t *worker, ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_http_delta_hub_t          *hub;
    ngx_http_delta_redis_conf_t  **redis;

    redis = worker->conf->redis.elts;

    worker->nhubs = worker->conf->redis.nelts;
    worker->hubs = ngx_pcalloc(cycle->pool, worker->nhubs
                                            * sizeof(ngx_http_delta_hub_t));
    if (worker->hubs == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < worker->nhubs; i++) {
        hub = &worker->hubs[i];

        hub->worker = worker;
        hub->conf = redis[i];

        ngx_http_delta_channel_init(hub);
        ngx_http_delta_control_init(hub);
        ngx_http_delta_session_init(hub);
        ngx_http_delta_keep_init(hub);
        ngx_http_delta_epoch_init(hub);
        ngx_http_delta_redis_open(hub);
    }

    return NGX_OK;
}


static void
ngx_http_delta_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                   i;
    ngx_http_delta_worker_t     *worker;
    ngx_http_delta_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_delta_module);

    if (mcf == NULL || mcf->worker == NULL) {
        return;
    }

    worker = mcf->worker;

    for (i = 0; i < worker->nhubs; i++) {
        ngx_http_delta_redis_close(&worker->hubs[i]);
        ngx_http_delta_channel_destroy(&worker->hubs[i]);
    }

    for (i = 0; i < mcf->key_files.nelts; i++) {

        if (worker->keys[i].owned) {
            delta_jwt_keys_free(worker->keys[i].keys);
        }
    }
}


static ngx_int_t
ngx_http_delta_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  user;

    if (ngx_http_delta_auth_user(r, &user) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_delta_set_variable(r, v, &user);
}


static ngx_int_t
ngx_http_delta_claim_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  *name, claim, value;

    name = (ngx_str_t *) data;

    claim.data = name->data + sizeof("delta_claim_") - 1;
    claim.len = name->len - (sizeof("delta_claim_") - 1);

    if (ngx_http_delta_auth_claim(r, &claim, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_delta_set_variable(r, v, &value);
}


static ngx_int_t
ngx_http_delta_since_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  value;

    if (ngx_http_delta_stream_since(r, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_delta_set_variable(r, v, &value);
}


static ngx_int_t
ngx_http_delta_session_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t              value;
    ngx_uint_t             n;
    ngx_http_delta_ctx_t  *ctx;

    ngx_str_null(&value);

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_delta_module);

    if (ctx == NULL || ctx->transport == 0) {
        return ngx_http_delta_set_variable(r, v, &value);
    }

    if (data == NGX_HTTP_DELTA_VAR_ID) {
        value = ctx->session_id;

    } else if (data == NGX_HTTP_DELTA_VAR_TRANSPORT) {

        if (ctx->transport == NGX_HTTP_DELTA_WS) {
            ngx_str_set(&value, "websocket");

        } else {
            ngx_str_set(&value, "sse");
        }

    } else {
        if (ctx->session) {
            n = data == NGX_HTTP_DELTA_VAR_EVENTS ? ctx->session->events_sent
                                                  : ctx->session->close_code;
        } else {
            n = data == NGX_HTTP_DELTA_VAR_EVENTS ? ctx->events_sent
                                                  : ctx->close_code;
        }

        value.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%ui", n) - value.data;
    }

    return ngx_http_delta_set_variable(r, v, &value);
}


/* An absent value is an empty one: limit_conn and limit_req skip those. */

static ngx_int_t
ngx_http_delta_set_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_str_t *value)
{
    if (value->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
    v->data = value->data;
    v->len = value->len;

    return NGX_OK;
}
