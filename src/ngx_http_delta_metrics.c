
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_contract.h"


#define NGX_HTTP_DELTA_ZONE_SIZE                                              \
    (NGX_HTTP_DELTA_SLOTS * sizeof(ngx_http_delta_metrics_t)                  \
     + 16 * ngx_pagesize)


typedef struct {
    ngx_uint_t   gauge;
    const char  *text;
    const char  *help;
} ngx_http_delta_metric_t;


static ngx_int_t ngx_http_delta_metrics_init_zone(ngx_shm_zone_t *zone,
    void *data);
static void ngx_http_delta_metrics_bury(ngx_http_delta_metrics_t *slots,
    ngx_uint_t i);
static ngx_int_t ngx_http_delta_metrics_alive(ngx_atomic_t pid);
static uint64_t ngx_http_delta_metrics_worst(ngx_http_delta_metrics_t *slots,
    ngx_uint_t *alive, ngx_uint_t m);
static u_char *ngx_http_delta_metrics_write(u_char *p,
    ngx_http_delta_metrics_t *slots);


static const ngx_http_delta_metric_t  ngx_http_delta_metrics[] = {
#define X(name, gauge, text, help)  { gauge, text, help },
    NGX_HTTP_DELTA_METRICS(X)
#undef X
};


ngx_shm_zone_t *
ngx_http_delta_metrics_zone(ngx_conf_t *cf)
{
    ngx_str_t        name = ngx_string("delta_metrics");
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, &name, NGX_HTTP_DELTA_ZONE_SIZE,
                                 &ngx_http_delta_module);

    if (zone) {
        zone->init = ngx_http_delta_metrics_init_zone;
    }

    return zone;
}


static ngx_int_t
ngx_http_delta_metrics_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *shpool;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = shpool->data;
        return NGX_OK;
    }

    shpool->data = ngx_slab_calloc(shpool, NGX_HTTP_DELTA_SLOTS
                                           * sizeof(ngx_http_delta_metrics_t));
    zone->data = shpool->data;

    return zone->data ? NGX_OK : NGX_ERROR;
}


ngx_http_delta_metrics_t *
ngx_http_delta_metrics_slot(ngx_shm_zone_t *zone, ngx_cycle_t *cycle)
{
    ngx_uint_t                 i;
    ngx_slab_pool_t           *shpool;
    ngx_http_delta_metrics_t  *slots, *slot;

    slots = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    slot = NULL;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 1; i < NGX_HTTP_DELTA_SLOTS; i++) {

        if (slots[i].pid && !ngx_http_delta_metrics_alive(slots[i].pid)) {
            ngx_http_delta_metrics_bury(slots, i);
        }

        if (slots[i].pid == 0 && slot == NULL) {
            slot = &slots[i];
            slot->pid = ngx_pid;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (slot == NULL) {
        slot = ngx_pcalloc(cycle->pool, sizeof(ngx_http_delta_metrics_t));
    }

    return slot;
}


static void
ngx_http_delta_metrics_bury(ngx_http_delta_metrics_t *slots, ngx_uint_t i)
{
    ngx_uint_t  m;

    for (m = 0; m < NGX_HTTP_DELTA_NMETRICS; m++) {

        if (!ngx_http_delta_metrics[m].gauge) {
            slots[0].values[m] += slots[i].values[m];
        }
    }

    ngx_memzero(&slots[i], sizeof(ngx_http_delta_metrics_t));
}


static ngx_int_t
ngx_http_delta_metrics_alive(ngx_atomic_t pid)
{
    return kill((pid_t) pid, 0) == 0 || ngx_errno != ESRCH;
}


ngx_int_t
ngx_http_delta_metrics_handler(ngx_http_request_t *r)
{
    size_t                       size;
    ngx_int_t                    rc;
    ngx_buf_t                   *b;
    ngx_uint_t                   m;
    ngx_chain_t                  out;
    ngx_http_delta_main_conf_t  *mcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_delta_module);

    size = ngx_http_delta_contract_metrics_size(mcf);

    for (m = 0; m < NGX_HTTP_DELTA_NMETRICS; m++) {
        size += 3 * ngx_strlen(ngx_http_delta_metrics[m].text) + 64
                + NGX_ATOMIC_T_LEN;

        if (ngx_http_delta_metrics[m].help) {
            size += ngx_strlen(ngx_http_delta_metrics[m].help);
        }
    }

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_http_delta_metrics_write(b->last, mcf->zone->data);
    b->last = ngx_http_delta_contract_metrics(b->last, mcf);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    ngx_str_set(&r->headers_out.content_type, "text/plain; version=0.0.4");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static u_char *
ngx_http_delta_metrics_write(u_char *p, ngx_http_delta_metrics_t *slots)
{
    size_t                          len;
    ngx_uint_t                      i, m, alive[NGX_HTTP_DELTA_SLOTS];
    uint64_t                        worst;
    ngx_atomic_t                    sum;
    const ngx_http_delta_metric_t  *metric;

    for (i = 0; i < NGX_HTTP_DELTA_SLOTS; i++) {
        alive[i] = slots[i].pid
                   && ngx_http_delta_metrics_alive(slots[i].pid);
    }

    for (m = 0; m < NGX_HTTP_DELTA_NMETRICS; m++) {
        metric = &ngx_http_delta_metrics[m];
        sum = 0;

        for (i = 0; i < NGX_HTTP_DELTA_SLOTS; i++) {

            if (!metric->gauge || alive[i]) {
                sum += slots[i].values[m];
            }
        }

        if (metric->help) {
            len = strcspn(metric->text, "{");
            p = ngx_sprintf(p, "# HELP %*s %s\n# TYPE %*s %s\n",
                            len, metric->text, metric->help, len,
                            metric->text, metric->gauge ? "gauge" : "counter");
        }

        if (metric->gauge > 1) {
            worst = ngx_http_delta_metrics_worst(slots, alive, m);
            p = ngx_sprintf(p, "%s %uL.%03uL\n", metric->text, worst / 1000,
                            worst % 1000);

        } else {
            p = ngx_sprintf(p, "%s %uA\n", metric->text, sum);
        }
    }

    return p;
}


static uint64_t
ngx_http_delta_metrics_worst(ngx_http_delta_metrics_t *slots,
    ngx_uint_t *alive, ngx_uint_t m)
{
    uint64_t         now, value, worst;
    ngx_uint_t       i;
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    now = (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    worst = 0;

    for (i = 0; i < NGX_HTTP_DELTA_SLOTS; i++) {
        value = alive[i] ? slots[i].values[m] : 0;

        if (ngx_http_delta_metrics[m].gauge == 3) {
            value = (value && value < now) ? now - value : 0;
        }

        worst = ngx_max(worst, value);
    }

    return worst;
}
