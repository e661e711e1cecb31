
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_window.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_contract.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_metrics.h"


struct ngx_http_delta_window_s {
    ngx_http_delta_channel_t    *channel;
    ngx_queue_t                  queue;     /* of the hub, if floor is set */
    ngx_event_t                  timer;
    ngx_http_delta_event_t     **events;    /* of the channel's max= */
    ngx_uint_t                   count;
    size_t                       bytes;
    uint64_t                     floor;     /* ms of the first logged one */
};


static ngx_http_delta_window_t *ngx_http_delta_window_open(
    ngx_http_delta_channel_t *channel);
static void ngx_http_delta_window_handler(ngx_event_t *ev);
static void ngx_http_delta_window_hold(ngx_http_delta_window_t *window,
    uint64_t ms);
static void ngx_http_delta_window_let_go(ngx_http_delta_window_t *window);
static ngx_uint_t ngx_http_delta_window_merge(
    ngx_http_delta_channel_t *channel, ngx_http_delta_event_t **events,
    ngx_uint_t n, ngx_uint_t whole, ngx_http_delta_event_t **out);
static size_t ngx_http_delta_window_items(ngx_http_delta_main_conf_t *mcf,
    ngx_http_delta_event_t **events, size_t n, delta_merge_item_t *items,
    size_t *index);
static ngx_http_delta_event_t *ngx_http_delta_window_merged(
    ngx_http_delta_channel_t *channel, delta_merged_t *merged,
    ngx_http_delta_event_t *newest);


void
ngx_http_delta_window_put(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t *event)
{
    ngx_http_delta_window_t  *window;

    window = channel->window;

    if (channel->wait == 0
        || ngx_http_delta_contract_rule(channel->hub->worker->conf,
                                        event->content.t)
           == DELTA_MERGE_NONE)
    {
        ngx_http_delta_window_flush(channel);
        ngx_http_delta_channel_fan_out(channel, event);
        return;
    }

    if (window == NULL) {
        ngx_http_delta_channel_fan_out(channel, event);
        channel->window = ngx_http_delta_window_open(channel);
        return;
    }

    /* a replay holds what is logged: that must not be in the others, too */

    if (window->count
        && (window->events[0]->position.ms == 0) != (event->position.ms == 0))
    {
        ngx_http_delta_window_flush(channel);
    }

    if (window->floor == 0 && event->position.ms) {
        ngx_http_delta_window_hold(window, event->position.ms);
    }

    window->events[window->count++] = event;
    window->bytes += ngx_http_delta_event_size(event);
    event->refs++;

    if (window->count == channel->max
        || window->bytes > NGX_HTTP_DELTA_WINDOW_BYTES)
    {
        ngx_http_delta_window_flush(channel);
    }
}


/* NULL: out of memory, then nothing waits. */

static ngx_http_delta_window_t *
ngx_http_delta_window_open(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_window_t  *window;

    window = ngx_calloc(sizeof(ngx_http_delta_window_t)
                        + channel->max * sizeof(ngx_http_delta_event_t *),
                        channel->hub->worker->log);
    if (window == NULL) {
        return NULL;
    }

    window->channel = channel;
    window->events = (ngx_http_delta_event_t **) (window + 1);
    window->timer.handler = ngx_http_delta_window_handler;
    window->timer.data = window;
    window->timer.log = channel->hub->worker->log;
    window->timer.cancelable = 1;

    ngx_add_timer(&window->timer, channel->wait);

    return window;
}


static void
ngx_http_delta_window_handler(ngx_event_t *ev)
{
    ngx_http_delta_window_t  *window;

    window = ev->data;

    if (window->count == 0) {
        /* a quiet time: the next event goes out at once */
        ngx_http_delta_window_free(window->channel);
        return;
    }

    ngx_add_timer(ev, window->channel->wait);

    ngx_http_delta_window_flush(window->channel);
}


ngx_http_delta_event_t *
ngx_http_delta_window_first(ngx_http_delta_channel_t *channel)
{
    return (channel->window && channel->window->count)
           ? channel->window->events[0] : NULL;
}


void
ngx_http_delta_window_flush(ngx_http_delta_channel_t *channel)
{
    ngx_uint_t                i, k, n, m;
    ngx_http_delta_event_t   *out[NGX_HTTP_DELTA_WINDOW_MAX];
    ngx_http_delta_window_t  *window;

    window = channel->window;

    if (window == NULL) {
        return;
    }

    n = window->count;

    ngx_http_delta_window_let_go(window);
    window->count = 0;
    window->bytes = 0;

    for (i = 0; i < n; i += NGX_HTTP_DELTA_WINDOW_MAX) {

        m = ngx_http_delta_window_reduce(channel, &window->events[i],
                                         ngx_min(n - i,
                                                 NGX_HTTP_DELTA_WINDOW_MAX),
                                         0, out);

        for (k = 0; k < m; k++) {
            ngx_http_delta_channel_fan_out(channel, out[k]);
            ngx_http_delta_event_release(out[k]);
        }
    }

    for (i = 0; i < n; i++) {
        ngx_http_delta_event_release(window->events[i]);
    }
}


void
ngx_http_delta_window_free(ngx_http_delta_channel_t *channel)
{
    ngx_uint_t                i;
    ngx_http_delta_window_t  *window;

    window = channel->window;

    if (window == NULL) {
        return;
    }

    channel->window = NULL;

    ngx_http_delta_window_let_go(window);

    for (i = 0; i < window->count; i++) {
        ngx_http_delta_event_release(window->events[i]);
    }

    if (window->timer.timer_set) {
        ngx_del_timer(&window->timer);
    }

    ngx_free(window);
}


/* What a repair brings is older than what others hold already. */

static void
ngx_http_delta_window_hold(ngx_http_delta_window_t *window, uint64_t ms)
{
    ngx_queue_t              *q, *windows;
    ngx_http_delta_window_t  *other;

    windows = &window->channel->hub->windows;

    for (q = ngx_queue_last(windows);
         q != ngx_queue_sentinel(windows);
         q = ngx_queue_prev(q))
    {
        other = ngx_queue_data(q, ngx_http_delta_window_t, queue);

        if (other->floor <= ms) {
            break;
        }
    }

    window->floor = ms;
    ngx_queue_insert_after(q, &window->queue);
}


static void
ngx_http_delta_window_let_go(ngx_http_delta_window_t *window)
{
    if (window->floor) {
        window->floor = 0;
        ngx_queue_remove(&window->queue);
    }
}


uint64_t
ngx_http_delta_window_floor(ngx_http_delta_hub_t *hub, uint64_t ms)
{
    ngx_queue_t              *q;
    ngx_http_delta_window_t  *window;

    if (ngx_queue_empty(&hub->windows)) {
        return ms;
    }

    q = ngx_queue_head(&hub->windows);
    window = ngx_queue_data(q, ngx_http_delta_window_t, queue);

    return ngx_min(ms, window->floor - 1);
}


ngx_uint_t
ngx_http_delta_window_reduce(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t **events, ngx_uint_t n, ngx_uint_t whole,
    ngx_http_delta_event_t **out)
{
    ngx_uint_t  i, m;

    /* most windows and most who come back have one event, or none */

    if (n > 1) {
        m = ngx_http_delta_window_merge(channel, events, n, whole, out);

        if (m) {
            return m;
        }
    }

    for (i = 0, m = 0; i < n; i++) {

        if (events[i]->content.t.len) {
            events[i]->refs++;
            out[m++] = events[i];
        }
    }

    return m;
}


/* 0: nothing is merged, for want of memory or because it must not be. */

static ngx_uint_t
ngx_http_delta_window_merge(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t **events, ngx_uint_t n, ngx_uint_t whole,
    ngx_http_delta_event_t **out)
{
    size_t                    i, m, covered, count, first, group, *index;
    delta_merge_t             merge;
    delta_merged_t           *merged;
    delta_merge_item_t       *items;
    ngx_http_delta_event_t   *event, *newest;
    ngx_http_delta_worker_t  *worker;

    worker = channel->hub->worker;

    items = ngx_alloc(n * (sizeof(delta_merge_item_t) + sizeof(delta_merged_t)
                           + sizeof(size_t)),
                      worker->log);
    if (items == NULL) {
        return 0;
    }

    merged = (delta_merged_t *) (items + n);
    index = (size_t *) (merged + n);

    n = ngx_http_delta_window_items(worker->conf, events, n, items, index);

    merge.max = worker->conf->max_event;
    merge.memory = NGX_HTTP_DELTA_WINDOW_BYTES;

    count = delta_merge(&merge, merged, items, n);

    covered = 0;
    first = 0;
    group = 0;
    m = 0;

    for (i = 0; i < count; i++) {
        newest = events[index[merged[i].newest]];
        covered += merged[i].parts;

        if (whole && (covered != merged[i].newest + 1 || i != group)) {

            /* merged, these would be several up to one id: they stay */

            if (covered == merged[i].newest + 1) {

                while (first < covered) {
                    out[m] = events[index[first++]];
                    out[m++]->refs++;
                }

                group = i + 1;
            }

            continue;
        }

        event = newest;

        if (merged[i].parts > 1 || covered != merged[i].newest + 1
            || first != merged[i].newest)
        {
            event = ngx_http_delta_window_merged(channel, &merged[i], newest);

            if (event == NULL) {
                goto failed;
            }

            event->before = events[index[first]]->before;
            event->exact = events[index[first]]->exact;
            event->partial = (covered != merged[i].newest + 1);

        } else {
            event->refs++;
        }

        ngx_http_delta_metric(worker, MERGES, merged[i].parts - 1);

        if (covered == merged[i].newest + 1) {
            first = covered;
            group = i + 1;
        }

        out[m++] = event;
    }

    delta_merge_free(&merge);
    ngx_free(items);

    return m;

failed:

    while (m--) {
        ngx_http_delta_event_release(out[m]);
    }

    delta_merge_free(&merge);
    ngx_free(items);

    return 0;
}


/* Those with content; index: where they are among the events. */

static size_t
ngx_http_delta_window_items(ngx_http_delta_main_conf_t *mcf,
    ngx_http_delta_event_t **events, size_t n, delta_merge_item_t *items,
    size_t *index)
{
    size_t  i, k;

    for (i = 0, k = 0; i < n; i++) {

        if (events[i]->content.t.len) {
            items[k].rule = ngx_http_delta_contract_rule(mcf,
                                                         events[i]->content.t);
            items[k].event = events[i]->content;
            index[k++] = i;
        }
    }

    return k;
}


static ngx_http_delta_event_t *
ngx_http_delta_window_merged(ngx_http_delta_channel_t *channel,
    delta_merged_t *merged, ngx_http_delta_event_t *newest)
{
    ngx_http_delta_event_t    *event;
    ngx_http_delta_refusal_t   refusal;

    /* each was as the contract says, but together they may be too many */

    if (ngx_http_delta_contract_check(channel->hub->worker->conf,
                                      &merged->event, &refusal)
        != NGX_OK)
    {
        return NULL;
    }

    event = ngx_http_delta_event_create(channel->hub->worker->log, channel,
                                        &merged->event, &newest->position,
                                        &newest->before);

    if (event && newest->position.ms == 0 && newest->position.seq == 0) {
        event->exact = 0;
    }

    return event;
}
