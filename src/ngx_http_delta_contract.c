
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_contract.h"
#include "ngx_http_delta_metrics.h"


#define NGX_HTTP_DELTA_QUIET  60000     /* ms between two complaints */

#define NGX_HTTP_DELTA_EMITTED                                                \
    "delta_events_emitted_total{type=\"%*s\"} %uA\n"
#define NGX_HTTP_DELTA_EMITTED_HELP                                           \
    "# HELP delta_events_emitted_total Events forwarded, by type.\n"          \
    "# TYPE delta_events_emitted_total counter\n"

#define NGX_HTTP_DELTA_REJECTED                                               \
    "delta_parse_rejected_total{type=\"%*s\",reason=\"%s\"} %uA\n"
#define NGX_HTTP_DELTA_REJECTED_HELP                                          \
    "# HELP delta_parse_rejected_total Events dropped, by type and reason.\n" \
    "# TYPE delta_parse_rejected_total counter\n"

/* Those of the counters DROPPED_* that say what is wrong with an event. */

#define NGX_HTTP_DELTA_REASONS                                                \
    (NGX_HTTP_DELTA_METRIC_DROPPED_UNKNOWN                                    \
     - NGX_HTTP_DELTA_METRIC_DROPPED_SIZE + 1)
#define NGX_HTTP_DELTA_REASON_MAX  (sizeof("privileged") - 1)


typedef struct {
    size_t                       len;
    u_char                       name[DELTA_EVENT_TYPE_MAX];
    ngx_atomic_t                 emitted;
    ngx_atomic_t                 rejected[NGX_HTTP_DELTA_REASONS];
} ngx_http_delta_type_t;

/*
 * All workers count here.  Rows stay where they are, as old workers know them
 * by number; the first is for all types that no contract, or no row, has.
 */
struct ngx_http_delta_types_s {
    ngx_uint_t                   n;
    ngx_http_delta_type_t        rows[1 + DELTA_CONTRACT_EVENTS];
};


static ngx_int_t ngx_http_delta_contract_judge(
    ngx_http_delta_channel_t *channel, const delta_str_t *json,
    delta_event_t *content, ngx_http_delta_refusal_t *refusal);
static void ngx_http_delta_contract_peek(ngx_http_delta_contract_t *contract,
    const delta_str_t *json, delta_event_t *content,
    ngx_http_delta_refusal_t *refusal);
static void ngx_http_delta_contract_accept(
    ngx_http_delta_channel_t *channel, ngx_http_delta_refusal_t *refusal);
static void ngx_http_delta_contract_refuse(ngx_http_delta_channel_t *channel,
    const delta_event_t *content, ngx_http_delta_refusal_t *refusal);
static ngx_uint_t ngx_http_delta_contract_complain(
    ngx_http_delta_worker_t *worker, ngx_http_delta_refusal_t *refusal);
static ngx_http_delta_type_t *ngx_http_delta_contract_row(
    ngx_http_delta_contract_t *contract,
    const delta_contract_event_t *event);
static ngx_int_t ngx_http_delta_contract_init_zone(ngx_shm_zone_t *zone,
    void *data);
static ngx_uint_t ngx_http_delta_contract_add(ngx_http_delta_types_t *types,
    const delta_str_t *type);
static u_char *ngx_http_delta_contract_rejected(u_char *p,
    ngx_http_delta_contract_t *contract, const delta_contract_event_t *event);


/* In the order of the counters; and whether one of a known type can be. */

static const struct {
    const char  *label;
    ngx_uint_t   typed;
} ngx_http_delta_reasons[NGX_HTTP_DELTA_REASONS] = {
    { "size", 1 }, { "json", 0 }, { "object", 0 }, { "type", 0 },
    { "data", 0 }, { "invalid", 1 }, { "privileged", 1 }, { "reserved", 1 },
    { "unknown", 0 }
};

static const delta_event_t  ngx_http_delta_contract_nothing = {
    { "", 0 }, { "", 0 }
};


ngx_int_t
ngx_http_delta_contract_parse(ngx_http_delta_channel_t *channel,
    const delta_str_t *json, delta_event_t *content, ngx_uint_t quiet)
{
    ngx_int_t                 rc;
    ngx_http_delta_refusal_t  refusal;

    *content = ngx_http_delta_contract_nothing;

    rc = ngx_http_delta_contract_judge(channel, json, content, &refusal);

    if (rc == NGX_OK) {

        if (!quiet) {
            ngx_http_delta_contract_accept(channel, &refusal);
        }

        return NGX_OK;
    }

    if (!quiet) {
        ngx_http_delta_contract_refuse(channel, content, &refusal);
    }

    *content = ngx_http_delta_contract_nothing;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_delta_contract_judge(ngx_http_delta_channel_t *channel,
    const delta_str_t *json, delta_event_t *content,
    ngx_http_delta_refusal_t *refusal)
{
    int                          rc;
    ngx_http_delta_main_conf_t  *mcf;

    mcf = channel->hub->worker->conf;

    refusal->event = NULL;
    refusal->where = "";
    refusal->fault.pointer[0] = '\0';

    if (json->len > mcf->max_event) {
        refusal->fault.what = "over delta_max_event";
        refusal->metric = NGX_HTTP_DELTA_METRIC_DROPPED_SIZE;

        if (mcf->contract && !channel->control) {
            ngx_http_delta_contract_peek(mcf->contract, json, content,
                                         refusal);
        }

        return NGX_DECLINED;
    }

    rc = delta_event_parse(content, json->data, json->len);

    if (rc < 0) {
        refusal->fault.what = delta_event_strerror(rc);
        refusal->metric = NGX_HTTP_DELTA_METRIC_DROPPED_JSON - 1 - rc;
        return NGX_DECLINED;
    }

    return channel->control ? NGX_OK
                            : ngx_http_delta_contract_check(mcf, content,
                                                            refusal);
}


/* What is too large is not parsed; but most events begin with their type. */

static void
ngx_http_delta_contract_peek(ngx_http_delta_contract_t *contract,
    const delta_str_t *json, delta_event_t *content,
    ngx_http_delta_refusal_t *refusal)
{
    u_char       *p, *last;
    delta_str_t   type;

    static const char  head[] = "{\"t\":\"";

    if (json->len < sizeof(head) - 1
        || ngx_memcmp(json->data, head, sizeof(head) - 1) != 0)
    {
        return;
    }

    type.data = json->data + sizeof(head) - 1;

    p = (u_char *) type.data;
    last = p + ngx_min(json->len - (sizeof(head) - 1),
                       DELTA_EVENT_TYPE_MAX + 1);

    p = ngx_strlchr(p, last, '"');
    if (p == NULL) {
        return;
    }

    type.len = p - (u_char *) type.data;

    refusal->event = delta_contract_find(contract->compiled, type);

    if (refusal->event) {
        content->t = type;
    }
}


ngx_int_t
ngx_http_delta_contract_check(ngx_http_delta_main_conf_t *mcf,
    const delta_event_t *content, ngx_http_delta_refusal_t *refusal)
{
    int                         rc;
    ngx_http_delta_contract_t  *contract;

    contract = mcf->contract;

    refusal->event = NULL;
    refusal->where = "/t";
    refusal->fault.pointer[0] = '\0';

    if (contract == NULL) {
        return NGX_OK;
    }

    refusal->event = delta_contract_find(contract->compiled, content->t);

    if (refusal->event == NULL && contract->drop) {
        refusal->fault.what = "is not in the contract";
        refusal->metric = NGX_HTTP_DELTA_METRIC_DROPPED_UNKNOWN;
        return NGX_DECLINED;
    }

    if (refusal->event && refusal->event->scope == DELTA_CONTRACT_SESSION) {
        refusal->fault.what = "is for the gateway alone to say";
        refusal->metric = NGX_HTTP_DELTA_METRIC_DROPPED_RESERVED;
        return NGX_DECLINED;
    }

    refusal->where = "/d";

    rc = delta_contract_validate(contract->compiled, refusal->event,
                                 content->d, &refusal->fault);

    if (rc == 1) {
        return NGX_OK;
    }

    refusal->metric = rc == DELTA_CONTRACT_EPRIVILEGED
                      ? NGX_HTTP_DELTA_METRIC_DROPPED_PRIVILEGED
                      : NGX_HTTP_DELTA_METRIC_DROPPED_INVALID;

    return NGX_DECLINED;
}


void
ngx_http_delta_contract_reject(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_refusal_t  refusal;

    refusal.event = NULL;
    refusal.where = "";
    refusal.fault.pointer[0] = '\0';
    refusal.fault.what = delta_event_strerror(DELTA_EVENT_EJSON);
    refusal.metric = NGX_HTTP_DELTA_METRIC_DROPPED_JSON;

    ngx_http_delta_contract_refuse(channel, &ngx_http_delta_contract_nothing,
                                   &refusal);
}


static void
ngx_http_delta_contract_accept(ngx_http_delta_channel_t *channel,
    ngx_http_delta_refusal_t *refusal)
{
    ngx_http_delta_type_t       *row;
    ngx_http_delta_contract_t   *contract;

    contract = channel->hub->worker->conf->contract;

    if (contract == NULL || channel->control) {
        return;
    }

    if (refusal->event == NULL) {
        ngx_http_delta_metric(channel->hub->worker, UNKNOWN, 1);
    }

    row = ngx_http_delta_contract_row(contract, refusal->event);

    (void) ngx_atomic_fetch_add(&row->emitted, 1);
}


static void
ngx_http_delta_contract_refuse(ngx_http_delta_channel_t *channel,
    const delta_event_t *content, ngx_http_delta_refusal_t *refusal)
{
    ngx_http_delta_type_t      *row;
    ngx_http_delta_worker_t    *worker;
    ngx_http_delta_contract_t  *contract;

    worker = channel->hub->worker;
    contract = worker->conf->contract;

    ngx_http_delta_metric_at(worker, refusal->metric, 1);

    if (contract && content->t.len && refusal->event == NULL) {
        ngx_http_delta_metric(worker, UNKNOWN, 1);
    }

    if (contract) {
        row = ngx_http_delta_contract_row(contract, refusal->event);
        (void) ngx_atomic_fetch_add(&row->rejected[refusal->metric
                                     - NGX_HTTP_DELTA_METRIC_DROPPED_SIZE],
                                    1);
    }

    if (ngx_http_delta_contract_complain(worker, refusal)) {
        ngx_log_error(NGX_LOG_WARN, worker->log, 0,
                      "delta: dropped an event%s%*s%s on \"%V\": %s%s%s%s",
                      content->t.len ? " \"" : "", content->t.len,
                      content->t.data, content->t.len ? "\"" : "",
                      &channel->name, refusal->where, refusal->fault.pointer,
                      *refusal->where ? " " : "", refusal->fault.what);
    }
}


/* Once a minute and type; those without one, by the counter they are in. */

static ngx_uint_t
ngx_http_delta_contract_complain(ngx_http_delta_worker_t *worker,
    ngx_http_delta_refusal_t *refusal)
{
    ngx_msec_t  *last;

    last = refusal->event
           ? &worker->complaints[NGX_HTTP_DELTA_NMETRICS
                                 + refusal->event->index]
           : &worker->complaints[refusal->metric];

    if (*last && ngx_current_msec - *last < NGX_HTTP_DELTA_QUIET) {
        return 0;
    }

    *last = ngx_current_msec ? ngx_current_msec : 1;

    return 1;
}


ngx_msec_t *
ngx_http_delta_contract_complaints(ngx_cycle_t *cycle,
    ngx_http_delta_main_conf_t *mcf)
{
    size_t  n;

    n = NGX_HTTP_DELTA_NMETRICS;

    if (mcf->contract) {
        n += mcf->contract->n;
    }

    return ngx_pcalloc(cycle->pool, n * sizeof(ngx_msec_t));
}


delta_merge_rule_t
ngx_http_delta_contract_rule(ngx_http_delta_main_conf_t *mcf,
    delta_str_t type)
{
    const delta_contract_event_t  *event;

    if (mcf->contract == NULL) {
        return delta_merge_rule(type);
    }

    event = delta_contract_find(mcf->contract->compiled, type);

    return event ? event->merge : DELTA_MERGE_NONE;
}


ngx_int_t
ngx_http_delta_contract_zone(ngx_conf_t *cf,
    ngx_http_delta_contract_t *contract)
{
    ngx_str_t        name = ngx_string("delta_contract");
    ngx_shm_zone_t  *zone;

    contract->rows = ngx_pcalloc(cf->pool, sizeof(ngx_uint_t)
                                         * contract->n);

    zone = ngx_shared_memory_add(cf, &name, sizeof(ngx_http_delta_types_t)
                                            + 16 * ngx_pagesize,
                                 &ngx_http_delta_module);

    if (contract->rows == NULL || zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_http_delta_contract_init_zone;
    zone->data = contract;

    return NGX_OK;
}


/* What was counted before a reload stays, whatever the contract was then. */

static ngx_int_t
ngx_http_delta_contract_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_uint_t                  i;
    ngx_slab_pool_t            *shpool;
    ngx_http_delta_types_t     *types;
    ngx_http_delta_contract_t  *contract;

    contract = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data || zone->shm.exists) {
        types = shpool->data;

    } else {
        types = ngx_slab_calloc(shpool, sizeof(ngx_http_delta_types_t));

        if (types == NULL) {
            return NGX_ERROR;
        }

        shpool->data = types;
    }

    contract->types = types;

    for (i = 0; i < contract->n; i++) {
        contract->rows[i] = ngx_http_delta_contract_add(types,
                           &delta_contract_event(contract->compiled, i)->type);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_delta_contract_add(ngx_http_delta_types_t *types,
    const delta_str_t *type)
{
    ngx_uint_t              i;
    ngx_http_delta_type_t  *row;

    for (i = 1; i <= types->n; i++) {
        row = &types->rows[i];

        if (row->len == type->len
            && ngx_memcmp(row->name, type->data, type->len) == 0)
        {
            return i;
        }
    }

    if (i > DELTA_CONTRACT_EVENTS) {
        return 0;
    }

    row = &types->rows[i];
    row->len = type->len;
    ngx_memcpy(row->name, type->data, type->len);
    types->n = i;

    return i;
}


static ngx_http_delta_type_t *
ngx_http_delta_contract_row(ngx_http_delta_contract_t *contract,
    const delta_contract_event_t *event)
{
    return &contract->types->rows[event ? contract->rows[event->index] : 0];
}


size_t
ngx_http_delta_contract_metrics_size(ngx_http_delta_main_conf_t *mcf)
{
    size_t  line;

    if (mcf->contract == NULL) {
        return 0;
    }

    line = sizeof(NGX_HTTP_DELTA_EMITTED) + DELTA_EVENT_TYPE_MAX
           + NGX_ATOMIC_T_LEN
           + NGX_HTTP_DELTA_REASONS
             * (sizeof(NGX_HTTP_DELTA_REJECTED) + DELTA_EVENT_TYPE_MAX
                + NGX_HTTP_DELTA_REASON_MAX + NGX_ATOMIC_T_LEN);

    return sizeof(NGX_HTTP_DELTA_EMITTED_HELP NGX_HTTP_DELTA_REJECTED_HELP)
           + line * (mcf->contract->n + 1);
}


u_char *
ngx_http_delta_contract_metrics(u_char *p, ngx_http_delta_main_conf_t *mcf)
{
    ngx_uint_t                     i, n;
    ngx_http_delta_type_t         *row;
    const delta_contract_event_t  *event;

    if (mcf->contract == NULL) {
        return p;
    }

    n = mcf->contract->n;

    p = ngx_sprintf(p, NGX_HTTP_DELTA_EMITTED_HELP);

    for (i = 0; i <= n; i++) {
        event = delta_contract_event(mcf->contract->compiled, i);
        row = ngx_http_delta_contract_row(mcf->contract, event);

        p = ngx_sprintf(p, NGX_HTTP_DELTA_EMITTED, event ? event->type.len : 1,
                        event ? event->type.data : "*", row->emitted);
    }

    p = ngx_sprintf(p, NGX_HTTP_DELTA_REJECTED_HELP);

    for (i = 0; i <= n; i++) {
        event = delta_contract_event(mcf->contract->compiled, i);
        p = ngx_http_delta_contract_rejected(p, mcf->contract, event);
    }

    return p;
}


static u_char *
ngx_http_delta_contract_rejected(u_char *p,
    ngx_http_delta_contract_t *contract, const delta_contract_event_t *event)
{
    ngx_uint_t              i;
    ngx_http_delta_type_t  *row;

    row = ngx_http_delta_contract_row(contract, event);

    for (i = 0; i < NGX_HTTP_DELTA_REASONS; i++) {

        if (event && !ngx_http_delta_reasons[i].typed) {
            continue;
        }

        p = ngx_sprintf(p, NGX_HTTP_DELTA_REJECTED,
                        event ? event->type.len : 1,
                        event ? event->type.data : "*",
                        ngx_http_delta_reasons[i].label, row->rejected[i]);
    }

    return p;
}
