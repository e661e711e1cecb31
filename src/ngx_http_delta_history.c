
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_history.h"
#include "ngx_http_delta_contract.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_list.h"
#include "ngx_http_delta_log.h"
#include "ngx_http_delta_metrics.h"


struct ngx_http_delta_history_s {
    ngx_http_delta_channel_t    *channel;
    ngx_queue_t                  used;      /* of the worker */
    ngx_queue_t                  waits;
    ngx_http_delta_reading_t    *reading;

    /* every entry of the log behind from, up to the last one, is here */

    ngx_http_delta_list_t        list;
    delta_position_t             from;

    ngx_http_delta_list_t        read;      /* newest first */
    delta_position_t             floor;     /* how far the reading goes */

    unsigned                     valid:1;
    unsigned                     exact:1;   /* from is an event's */
    unsigned                     unproven:1;
    unsigned                     full:1;    /* more than can be kept */
    unsigned                     certain:1; /* floor is an event's */
};


static ngx_http_delta_history_t *ngx_http_delta_history_create(
    ngx_http_delta_channel_t *channel);
static ngx_int_t ngx_http_delta_history_covers(
    ngx_http_delta_history_t *history, ngx_http_delta_wait_t *wait);
static ngx_int_t ngx_http_delta_history_read(
    ngx_http_delta_history_t *history);
static void ngx_http_delta_history_gap(void *data);
static ngx_int_t ngx_http_delta_history_entry(void *data,
    const delta_position_t *id, const delta_position_t *previous,
    const delta_str_t *json);
static void ngx_http_delta_history_done(void *data, ngx_int_t rc);
static void ngx_http_delta_history_splice(ngx_http_delta_history_t *history);
static void ngx_http_delta_history_answer(ngx_http_delta_history_t *history,
    ngx_int_t failed);
static ngx_uint_t ngx_http_delta_history_was_read(
    ngx_http_delta_history_t *history, const delta_position_t *position);
static void ngx_http_delta_history_trim(ngx_http_delta_history_t *history);
static void ngx_http_delta_history_use(ngx_http_delta_history_t *history);


#define ngx_http_delta_after(one, two)                                        \
    (delta_position_compare(one, two) > 0)


static const ngx_http_delta_reader_t  ngx_http_delta_history_reader = {
    ngx_http_delta_history_gap,
    ngx_http_delta_history_entry,
    ngx_http_delta_history_done
};


static ngx_http_delta_history_t *
ngx_http_delta_history_create(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_worker_t   *worker;
    ngx_http_delta_history_t  *history;

    if (channel->history) {
        return channel->history;
    }

    worker = channel->hub->worker;

    history = ngx_calloc(sizeof(ngx_http_delta_history_t), worker->log);
    if (history == NULL) {
        return NULL;
    }

    history->channel = channel;
    ngx_queue_init(&history->waits);
    ngx_queue_insert_tail(&worker->histories, &history->used);

    channel->history = history;

    return history;
}


void
ngx_http_delta_history_add(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t *event)
{
    ngx_http_delta_list_t     *list;
    ngx_http_delta_history_t  *history;

    history = ngx_http_delta_history_create(channel);
    if (history == NULL) {
        return;
    }

    list = &history->list;

    if (history->valid) {

        /* a reading may have been ahead of the live events */

        if (list->count
            && !ngx_http_delta_after(event->position,
                                     ngx_http_delta_list_last(list)->position))
        {
            return;
        }

        if (event->exact
            && delta_position_compare(event->before,
                                      list->count
                                      ? ngx_http_delta_list_last(list)->position
                                      : history->from)
               != 0)
        {
            ngx_http_delta_history_clear(channel);
        }
    }

    if (!history->valid) {
        history->valid = 1;
        history->exact = event->exact;
        history->from = event->before;
    }

    if (ngx_http_delta_list_share(list, event, channel->hub->worker->log)
        != NGX_OK)
    {
        ngx_http_delta_history_clear(channel);
        return;
    }

    channel->hub->worker->remembered += ngx_http_delta_event_size(event);

    ngx_http_delta_history_use(history);
    ngx_http_delta_history_trim(history);
}


ngx_int_t
ngx_http_delta_history_get(ngx_http_delta_wait_t *wait)
{
    ngx_http_delta_channel_t  *channel;
    ngx_http_delta_history_t  *history;

    channel = wait->channel;

    history = ngx_http_delta_history_create(channel);
    if (history == NULL) {
        return NGX_ERROR;
    }

    if (!channel->broken && channel->active
        && ngx_http_delta_history_covers(history, wait) == NGX_OK)
    {
        ngx_http_delta_history_use(history);
        ngx_http_delta_metric(channel->hub->worker, HISTORY_HITS, 1);
        return NGX_OK;
    }

    ngx_queue_insert_tail(&history->waits, &wait->queue);

    /* the log may have gone on since a reading began */

    wait->late = (history->reading != NULL);

    /* a broken channel is repaired first, and settled then */

    if (channel->broken || !channel->active || history->reading) {
        return NGX_AGAIN;
    }

    history->floor = wait->after;

    if (ngx_http_delta_history_read(history) != NGX_OK) {
        ngx_http_delta_history_cancel(wait);
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


void
ngx_http_delta_history_cancel(ngx_http_delta_wait_t *wait)
{
    ngx_queue_remove(&wait->queue);
}


static ngx_int_t
ngx_http_delta_history_covers(ngx_http_delta_history_t *history,
    ngx_http_delta_wait_t *wait)
{
    ngx_uint_t                n;
    ngx_http_delta_list_t    *list;
    ngx_http_delta_event_t  **events;

    if (!history->valid
        || ngx_http_delta_after(history->from, wait->after))
    {
        return NGX_DECLINED;
    }

    if (!wait->exact) {
        return NGX_OK;
    }

    if (history->exact
        && delta_position_compare(history->from, wait->after) == 0)
    {
        return NGX_OK;
    }

    list = &history->list;

    if (list->count == 0) {
        return NGX_DECLINED;
    }

    /* the event before the first one, or one of them */

    events = ngx_http_delta_history_list(history->channel, &wait->after, &n);

    if (n == list->count) {
        return (events[0]->exact
                && delta_position_compare(events[0]->before, wait->after) == 0)
               ? NGX_OK : NGX_DECLINED;
    }

    return delta_position_compare(events[-1]->position, wait->after) == 0
           ? NGX_OK : NGX_DECLINED;
}


ngx_http_delta_event_t **
ngx_http_delta_history_list(ngx_http_delta_channel_t *channel,
    const delta_position_t *after, ngx_uint_t *n)
{
    ngx_uint_t                 low, high, middle;
    ngx_http_delta_list_t     *list;

    list = &channel->history->list;
    low = 0;
    high = list->count;

    while (low < high) {
        middle = (low + high) / 2;

        if (ngx_http_delta_after(ngx_http_delta_list_at(list, middle)->position,
                                 *after))
        {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    *n = list->count - low;

    return list->count ? &ngx_http_delta_list_at(list, low) : NULL;
}


/* Newest first, not further back than anybody who waits now needs. */

static ngx_int_t
ngx_http_delta_history_read(ngx_http_delta_history_t *history)
{
    ngx_queue_t            *q;
    ngx_http_delta_wait_t  *wait;

    for (q = ngx_queue_head(&history->waits);
         q != ngx_queue_sentinel(&history->waits);
         q = ngx_queue_next(q))
    {
        wait = ngx_queue_data(q, ngx_http_delta_wait_t, queue);
        wait->late = 0;

        if (q == ngx_queue_head(&history->waits)
            || ngx_http_delta_after(history->floor, wait->after))
        {
            history->floor = wait->after;
            history->certain = wait->exact;
        }
    }

    history->unproven = 0;
    history->full = 0;

    ngx_http_delta_metric(history->channel->hub->worker, HISTORY_READS, 1);

    history->reading = ngx_http_delta_log_read(history->channel,
                                               &history->floor,
                                               history->certain, 1,
                                               &ngx_http_delta_history_reader,
                                               history);

    return history->reading ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_delta_history_gap(void *data)
{
    ngx_http_delta_history_t  *history = data;

    history->unproven = 1;
}


static ngx_int_t
ngx_http_delta_history_entry(void *data, const delta_position_t *id,
    const delta_position_t *previous, const delta_str_t *json)
{
    ngx_int_t                  rc;
    delta_event_t              content;
    ngx_http_delta_list_t     *read;
    ngx_http_delta_event_t    *event;
    ngx_http_delta_worker_t   *worker;
    ngx_http_delta_channel_t  *channel;
    ngx_http_delta_history_t  *history = data;

    channel = history->channel;
    worker = channel->hub->worker;
    read = &history->read;

    if (read->count >= channel->replay + NGX_HTTP_DELTA_HISTORY_EXTRA
        || read->bytes > NGX_HTTP_DELTA_HISTORY_BYTES)
    {
        history->full = 1;
        return NGX_DONE;
    }

    /* what would not have been forwarded live keeps its place only */

    (void) ngx_http_delta_contract_parse(channel, json, &content, 1);

    event = ngx_http_delta_event_create(worker->log, channel, &content, id,
                                        previous);
    if (event == NULL) {
        history->unproven = 1;
        return NGX_ERROR;
    }

    rc = ngx_http_delta_list_push(read, event, worker->log);

    if (rc != NGX_OK) {
        ngx_http_delta_event_release(event);
        history->unproven = 1;
    }

    return rc;
}


static void
ngx_http_delta_history_done(void *data, ngx_int_t rc)
{
    ngx_http_delta_history_t  *history = data;

    history->reading = NULL;

    if (rc == NGX_OK) {
        ngx_http_delta_history_splice(history);
    }

    ngx_http_delta_history_answer(history, rc);

    ngx_http_delta_list_free(&history->read);

    if (!ngx_queue_empty(&history->waits)) {

        /* those who came meanwhile and need more */

        if (ngx_http_delta_history_read(history) != NGX_OK) {
            history->floor.ms = 0;
            history->floor.seq = 0;
            ngx_http_delta_history_answer(history, NGX_ERROR);
        }
    }

    ngx_http_delta_history_trim(history);
    ngx_http_delta_history_use(history);
}


/*
 * What was read goes before what is there, if nothing can be between them.
 * Events newer than the last live one are left to come live.
 */

static void
ngx_http_delta_history_splice(ngx_http_delta_history_t *history)
{
    ngx_log_t                 *log;
    ngx_uint_t                 i, known, spliced;
    delta_position_t           until, newest;
    ngx_http_delta_list_t      list, *read;
    ngx_http_delta_event_t    *event, *oldest;
    ngx_http_delta_channel_t  *channel;

    channel = history->channel;
    log = channel->hub->worker->log;
    read = &history->read;
    oldest = read->count ? read->events[read->count - 1] : NULL;

    until.ms = UINT64_MAX;
    until.seq = UINT64_MAX;

    if (history->valid) {
        until = history->from;
        event = history->list.count
                ? ngx_http_delta_list_at(&history->list, 0) : NULL;
        known = event ? event->exact : history->exact;
        newest = event ? event->before : history->from;

    } else {
        known = channel->known;
        newest = channel->last;

        if (known) {
            until = channel->last;
        }
    }

    if (oldest == NULL) {

        if (!history->unproven
            && (!history->valid
                || ngx_http_delta_after(history->from, history->floor)))
        {
            history->valid = 1;
            history->exact = history->certain;
            history->from = history->floor;
        }

        return;
    }

    /* that one was not logged yet when the log was read */

    if (known && ngx_http_delta_after(newest, read->events[0]->position)) {
        return;
    }

    ngx_memzero(&list, sizeof(ngx_http_delta_list_t));

    for (i = read->count; i--; /* void */) {
        event = read->events[i];

        if (ngx_http_delta_after(event->position, until)) {
            break;
        }

        if (ngx_http_delta_list_share(&list, event, log) != NGX_OK) {
            ngx_http_delta_list_free(&list);
            return;
        }
    }

    spliced = list.count;

    for (i = 0; i < history->list.count; i++) {
        event = ngx_http_delta_list_at(&history->list, i);

        if (ngx_http_delta_list_share(&list, event, log) != NGX_OK) {
            ngx_http_delta_list_free(&list);
            return;
        }
    }

    channel->hub->worker->remembered -= history->list.bytes;
    ngx_http_delta_list_free(&history->list);
    history->list = list;
    channel->hub->worker->remembered += history->list.bytes;

    /* what is ahead of the live events does not make older ones void */
    if (spliced || !history->valid) {
        history->valid = 1;
        history->exact = oldest->exact;
        history->from = oldest->before;
    }

    if (!history->unproven && !history->full
        && ngx_http_delta_after(history->from, history->floor))
    {
        history->exact = history->certain;
        history->from = history->floor;
    }
}


/* Who needs more than this reading went back for stays. */

static void
ngx_http_delta_history_answer(ngx_http_delta_history_t *history,
    ngx_int_t failed)
{
    ngx_int_t               rc;
    ngx_queue_t            *q, waits;
    ngx_http_delta_wait_t  *wait;

    if (ngx_queue_empty(&history->waits)) {
        return;
    }

    ngx_queue_init(&waits);
    ngx_queue_add(&waits, &history->waits);
    ngx_queue_init(&history->waits);

    while (!ngx_queue_empty(&waits)) {
        q = ngx_queue_head(&waits);
        wait = ngx_queue_data(q, ngx_http_delta_wait_t, queue);

        ngx_queue_remove(q);

        if (failed == NGX_OK
            && (ngx_http_delta_history_covers(history, wait) == NGX_OK
                || (wait->exact
                    && ngx_http_delta_history_was_read(history, &wait->after))))
        {
            rc = NGX_OK;

        } else if (ngx_http_delta_after(history->floor, wait->after)
                   || wait->late)
        {
            ngx_queue_insert_tail(&history->waits, q);
            continue;

        } else if (failed != NGX_OK) {
            rc = NGX_ERROR;

        } else {
            rc = history->full ? NGX_BUSY : NGX_DECLINED;
        }

        wait->handler(wait->data, rc);
    }
}


/* An event that is yet to come live may be somebody's place already. */

static ngx_uint_t
ngx_http_delta_history_was_read(ngx_http_delta_history_t *history,
    const delta_position_t *position)
{
    ngx_uint_t  i;

    if ((history->channel->known
         && !ngx_http_delta_after(*position, history->channel->last))
        || (history->list.count
            && !ngx_http_delta_after(*position,
                                     ngx_http_delta_list_last(&history->list)
                                         ->position)))
    {
        return 0;
    }

    /* the one that was read up to is not among those behind it */

    if (history->certain && !history->unproven && !history->full
        && delta_position_compare(history->floor, *position) == 0)
    {
        return 1;
    }

    for (i = 0; i < history->read.count; i++) {

        if (delta_position_compare(history->read.events[i]->position,
                                   *position)
            == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_delta_history_settle(ngx_http_delta_channel_t *channel)
{
    ngx_queue_t               *q, waits;
    ngx_http_delta_wait_t     *wait;
    ngx_http_delta_history_t  *history;

    history = channel->history;

    if (history == NULL || ngx_queue_empty(&history->waits)) {
        return;
    }

    ngx_queue_init(&waits);
    ngx_queue_add(&waits, &history->waits);
    ngx_queue_init(&history->waits);

    while (!ngx_queue_empty(&waits)) {
        q = ngx_queue_head(&waits);
        wait = ngx_queue_data(q, ngx_http_delta_wait_t, queue);

        ngx_queue_remove(q);

        if (ngx_http_delta_history_covers(history, wait) == NGX_OK) {
            wait->handler(wait->data, NGX_OK);

        } else {
            ngx_queue_insert_tail(&history->waits, q);
        }
    }

    if (!ngx_queue_empty(&history->waits) && history->reading == NULL
        && ngx_http_delta_history_read(history) != NGX_OK)
    {
        ngx_http_delta_history_answer(history, NGX_ERROR);
    }
}


void
ngx_http_delta_history_clear(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_history_t  *history;

    history = channel->history;

    if (history) {
        channel->hub->worker->remembered -= history->list.bytes;
        ngx_http_delta_list_free(&history->list);
        history->valid = 0;
    }
}


void
ngx_http_delta_history_down(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_history_t  *history;

    history = channel->history;

    if (history && history->reading) {
        history->reading->data = NULL;
        history->reading = NULL;
        ngx_http_delta_list_free(&history->read);
    }
}


void
ngx_http_delta_history_free(ngx_http_delta_channel_t *channel)
{
    if (channel->history) {
        ngx_http_delta_history_down(channel);
        ngx_http_delta_history_clear(channel);
        ngx_queue_remove(&channel->history->used);
        ngx_free(channel->history);
        channel->history = NULL;
    }
}


static void
ngx_http_delta_history_trim(ngx_http_delta_history_t *history)
{
    ngx_http_delta_list_t    *list;
    ngx_http_delta_worker_t  *worker;

    list = &history->list;
    worker = history->channel->hub->worker;

    while (list->count
           && (list->count > history->channel->replay
                             + NGX_HTTP_DELTA_HISTORY_EXTRA
               || list->bytes > NGX_HTTP_DELTA_HISTORY_BYTES))
    {
        history->exact = 1;
        history->from = ngx_http_delta_list_at(list, 0)->position;

        worker->remembered -= list->bytes;
        ngx_http_delta_list_pop(list);
        worker->remembered += list->bytes;
    }
}


/* The least recently used ones make room. */

static void
ngx_http_delta_history_use(ngx_http_delta_history_t *history)
{
    ngx_queue_t               *q;
    ngx_http_delta_worker_t   *worker;
    ngx_http_delta_history_t  *oldest;

    worker = history->channel->hub->worker;

    ngx_queue_remove(&history->used);
    ngx_queue_insert_tail(&worker->histories, &history->used);

    while (worker->remembered > NGX_HTTP_DELTA_HISTORY_MEMORY) {
        q = ngx_queue_head(&worker->histories);
        oldest = ngx_queue_data(q, ngx_http_delta_history_t, used);

        if (oldest == history) {
            return;
        }

        ngx_http_delta_history_clear(oldest->channel);

        ngx_queue_remove(q);
        ngx_queue_insert_head(&history->used, q);
    }
}
