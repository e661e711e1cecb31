
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_refresh.h"
#include "ngx_http_delta_lease.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_status.h"
#include "ngx_http_delta_sweep.h"


#define NGX_HTTP_DELTA_REFRESH_BATCH  NGX_HTTP_DELTA_SWEEP_BATCH
#define NGX_HTTP_DELTA_REFRESH_TICK   1000      /* ms */
#define NGX_HTTP_DELTA_REFRESH_ADD    300000    /* ms: the index, once more */
#define NGX_HTTP_DELTA_REFRESH_LAST   2         /* ticks of one that exits */


/* One refresh of many. */
typedef struct {
    ngx_http_delta_hub_t        *hub;
    ngx_uint_t                   n;
    ngx_http_delta_lease_t      *leases[1];
} ngx_http_delta_batch_t;


static void ngx_http_delta_refresh_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_delta_refresh_some(ngx_http_delta_hub_t *hub);
static void ngx_http_delta_refresh_add(ngx_http_delta_batch_t *batch);
static ngx_int_t ngx_http_delta_refresh_send(ngx_http_delta_batch_t *batch);
static void ngx_http_delta_refresh_reply(void *data, redisReply *reply);


void
ngx_http_delta_refresh_init(ngx_http_delta_hub_t *hub)
{
    ngx_queue_init(&hub->leases);
    ngx_queue_init(&hub->leaving);

    hub->lease_timer.handler = ngx_http_delta_refresh_handler;
    hub->lease_timer.data = hub;
    hub->lease_timer.log = hub->worker->log;
    hub->lease_timer.cancelable = 1;
}


void
ngx_http_delta_refresh_link_up(ngx_http_delta_hub_t *hub)
{
    ngx_queue_t             *q;
    ngx_http_delta_lease_t  *lease;

    if (hub->conf->presence == 0) {
        return;
    }

    for (q = ngx_queue_head(&hub->leases);
         q != ngx_queue_sentinel(&hub->leases);
         q = ngx_queue_next(q))
    {
        lease = ngx_queue_data(q, ngx_http_delta_lease_t, queue);
        lease->refreshed = ngx_current_msec - hub->conf->presence;
        lease->added = ngx_current_msec - NGX_HTTP_DELTA_REFRESH_ADD;
    }

    for (q = ngx_queue_head(&hub->leaving);
         q != ngx_queue_sentinel(&hub->leaving);
         q = ngx_queue_next(q))
    {
        lease = ngx_queue_data(q, ngx_http_delta_lease_t, queue);

        if (lease->calls == 0) {
            ngx_http_delta_lease_part(lease);
        }
    }

    ngx_http_delta_sweep_start(hub);

    if (!hub->lease_timer.timer_set) {
        ngx_add_timer(&hub->lease_timer, 1);
    }
}


void
ngx_http_delta_refresh_link_down(ngx_http_delta_hub_t *hub)
{
    if (hub->lease_timer.timer_set) {
        ngx_del_timer(&hub->lease_timer);
    }
}


static void
ngx_http_delta_refresh_handler(ngx_event_t *ev)
{
    ngx_http_delta_hub_t  *hub;

    hub = ev->data;

    while (ngx_http_delta_refresh_some(hub) == NGX_OK) {
        /* void */
    }

    if (!ngx_exiting) {
        ngx_http_delta_sweep(hub);

    } else if (hub->lease_last++ >= NGX_HTTP_DELTA_REFRESH_LAST) {
        ev->cancelable = 1;
    }

    ngx_add_timer(ev, NGX_HTTP_DELTA_REFRESH_TICK);
}


/* NGX_DONE: no more of them are due. */

static ngx_int_t
ngx_http_delta_refresh_some(ngx_http_delta_hub_t *hub)
{
    ngx_queue_t             *q;
    ngx_http_delta_batch_t  *batch;
    ngx_http_delta_lease_t  *lease;

    batch = NULL;

    while (!ngx_queue_empty(&hub->leases)) {
        q = ngx_queue_head(&hub->leases);
        lease = ngx_queue_data(q, ngx_http_delta_lease_t, queue);

        if (ngx_current_msec - lease->refreshed < hub->conf->presence
            || (batch && (batch->n == NGX_HTTP_DELTA_REFRESH_BATCH
                          || batch->leases[0]->conf != lease->conf)))
        {
            break;
        }

        if (batch == NULL) {
            batch = ngx_alloc(sizeof(ngx_http_delta_batch_t)
                              + NGX_HTTP_DELTA_REFRESH_BATCH
                                * sizeof(ngx_http_delta_lease_t *),
                              hub->worker->log);
            if (batch == NULL) {
                return NGX_DONE;
            }

            batch->hub = hub;
            batch->n = 0;
        }

        lease->refreshed = ngx_current_msec;
        batch->leases[batch->n++] = lease;

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&hub->leases, q);

        if (lease->unsaid) {
            (void) ngx_http_delta_status_say(lease);
        }
    }

    if (batch == NULL) {
        return NGX_DONE;
    }

    ngx_http_delta_refresh_add(batch);

    return ngx_http_delta_refresh_send(batch);
}


/* The index may have been lost; it needs no more than now and then. */

static void
ngx_http_delta_refresh_add(ngx_http_delta_batch_t *batch)
{
    ngx_str_t                users[NGX_HTTP_DELTA_REFRESH_BATCH];
    ngx_uint_t               i, n;
    ngx_http_delta_lease_t  *lease;

    n = 0;

    for (i = 0; i < batch->n; i++) {
        lease = batch->leases[i];

        if (ngx_current_msec - lease->added >= NGX_HTTP_DELTA_REFRESH_ADD) {
            lease->added = ngx_current_msec;
            users[n++] = lease->user;
        }
    }

    if (n) {
        (void) ngx_http_delta_sweep_add(batch->hub, users, n,
                              ngx_http_delta_lease_window(batch->leases[0]));
    }
}


static ngx_int_t
ngx_http_delta_refresh_send(ngx_http_delta_batch_t *batch)
{
    u_char                   numbers[(2 * NGX_HTTP_DELTA_REFRESH_BATCH + 3)
                                     * NGX_INT64_LEN];
    u_char                   seen[NGX_HTTP_DELTA_SWEEP_KEY], *p;
    ngx_str_t                argv[4 * NGX_HTTP_DELTA_REFRESH_BATCH + 8], *arg;
    ngx_uint_t               i;
    ngx_http_delta_lease_t  *lease;

#define number(format, value)                                                 \
    arg->data = p;                                                            \
    p = ngx_sprintf(p, format, value);                                        \
    arg->len = p - arg->data;                                                 \
    arg++

    p = numbers;
    arg = argv;

    ngx_str_set(arg, "FCALL");
    arg++;
    ngx_str_set(arg, "delta_session_refresh");
    arg++;
    number("%ui", batch->n + 1);

    for (i = 0; i < batch->n; i++) {
        *arg++ = batch->leases[i]->key;
    }

    *arg++ = ngx_http_delta_sweep_key(batch->hub, "last_seen", seen);

    lease = batch->leases[0];
    number("%M", lease->conf->presence_lease);
    number("%M", lease->conf->resume_window);

    for (i = 0; i < batch->n; i++) {
        lease = batch->leases[i];
        *arg++ = lease->sid;
        number("%uL", lease->gen);
        number("%M", ngx_http_delta_lease_silent(lease->session));
    }

#undef number

    if (ngx_http_delta_redis_command(&batch->hub->command,
                                     ngx_http_delta_refresh_reply,
                                     batch, arg - argv, argv)
        != NGX_OK)
    {
        ngx_free(batch);
        return NGX_DONE;
    }

    for (i = 0; i < batch->n; i++) {
        batch->leases[i]->calls++;
    }

    ngx_http_delta_metric(batch->hub->worker, REFRESHES, 1);

    return NGX_OK;
}


static void
ngx_http_delta_refresh_reply(void *data, redisReply *reply)
{
    size_t                   i;
    redisReply              *one;
    ngx_http_delta_batch_t  *batch = data;

    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, batch->hub->worker->log, 0,
                      "delta: leases cannot be refreshed: %*s",
                      ngx_min(reply->len, 200), reply->str);
    }

    for (i = 0; reply && i < reply->elements; i++) {
        one = reply->element[i];

        if (one->type == REDIS_REPLY_ARRAY && one->elements == 2
            && one->element[0]->type == REDIS_REPLY_INTEGER
            && one->element[0]->integer >= 1
            && (ngx_uint_t) one->element[0]->integer <= batch->n
            && one->element[1]->type == REDIS_REPLY_STRING)
        {
            ngx_http_delta_lease_lost(
                batch->leases[one->element[0]->integer - 1],
                one->element[1]->str);
        }
    }

    for (i = 0; i < batch->n; i++) {
        batch->leases[i]->calls--;
        ngx_http_delta_lease_done(batch->leases[i]);
    }

    ngx_free(batch);
}
