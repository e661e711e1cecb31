
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_repair.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_history.h"
#include "ngx_http_delta_log.h"
#include "ngx_http_delta_metrics.h"


typedef struct ngx_http_delta_held_s  ngx_http_delta_held_t;

struct ngx_http_delta_held_s {
    ngx_http_delta_held_t       *next;
    size_t                       len;
    u_char                       data[1];
};

struct ngx_http_delta_repair_s {
    ngx_http_delta_channel_t    *channel;
    ngx_http_delta_reading_t    *reading;
    ngx_http_delta_held_t       *held;
    ngx_http_delta_held_t      **tail;
    ngx_uint_t                   nheld;
    ngx_uint_t                   again;     /* too many came meanwhile */
};


static void ngx_http_delta_repair_whole(ngx_http_delta_channel_t *channel);
static void ngx_http_delta_repair_read(ngx_http_delta_repair_t *repair);
static void ngx_http_delta_repair_gap(void *data);
static ngx_int_t ngx_http_delta_repair_entry(void *data,
    const delta_position_t *id, const delta_position_t *previous,
    const delta_str_t *json);
static void ngx_http_delta_repair_done(void *data, ngx_int_t rc);
static void ngx_http_delta_repair_hold(ngx_http_delta_repair_t *repair,
    ngx_str_t *payload);
static void ngx_http_delta_repair_free(ngx_http_delta_repair_t *repair);


static const ngx_http_delta_reader_t  ngx_http_delta_repair_reader = {
    ngx_http_delta_repair_gap,
    ngx_http_delta_repair_entry,
    ngx_http_delta_repair_done
};


ngx_int_t
ngx_http_delta_repair_next(ngx_http_delta_channel_t *channel,
    delta_position_t id, delta_position_t previous, ngx_str_t *payload)
{
    if (channel->repair) {
        ngx_http_delta_repair_hold(channel->repair, payload);
        return NGX_DECLINED;
    }

    if (channel->known && (previous.ms || previous.seq)
        && delta_position_compare(previous, channel->last) != 0)
    {
        if (delta_position_compare(id, channel->last) <= 0) {
            return NGX_DECLINED;
        }

        ngx_http_delta_metric(channel->hub->worker, GAPS, 1);
        ngx_http_delta_repair(channel);

        if (channel->repair) {
            ngx_http_delta_repair_hold(channel->repair, payload);
            return NGX_DECLINED;
        }
    }

    channel->last = id;
    channel->known = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_delta_repair_ephemeral(ngx_http_delta_channel_t *channel,
    ngx_str_t *payload)
{
    if (channel->repair) {
        ngx_http_delta_repair_hold(channel->repair, payload);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


void
ngx_http_delta_repair(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_hub_t     *hub;
    ngx_http_delta_repair_t  *repair;

    if (channel->repair) {
        return;
    }

    hub = channel->hub;

    repair = ngx_calloc(sizeof(ngx_http_delta_repair_t), hub->worker->log);
    if (repair == NULL) {
        ngx_http_delta_history_clear(channel);
        hub->unproven(channel);
        ngx_http_delta_repair_whole(channel);
        channel->known = 0;
        return;
    }

    repair->channel = channel;
    repair->tail = &repair->held;

    channel->repair = repair;

    ngx_http_delta_repair_break(channel);
    ngx_http_delta_repair_read(repair);
}


void
ngx_http_delta_repair_break(ngx_http_delta_channel_t *channel)
{
    if (!channel->broken) {
        channel->broken = 1;
        channel->since = channel->hub->heard_at;
        channel->hub->nbroken++;
    }
}


static void
ngx_http_delta_repair_whole(ngx_http_delta_channel_t *channel)
{
    if (channel->broken) {
        channel->broken = 0;
        channel->hub->nbroken--;
    }
}


static void
ngx_http_delta_repair_read(ngx_http_delta_repair_t *repair)
{
    delta_position_t           after;
    ngx_http_delta_channel_t  *channel;

    channel = repair->channel;
    after = channel->last;

    if (!channel->known && channel->since == 0) {
        /* no place and no time: whoever fetches anew gets all that is logged */
        ngx_http_delta_repair_gap(repair);
        ngx_http_delta_repair_done(repair, NGX_OK);
        return;
    }

    if (!channel->known) {
        after.ms = channel->since > NGX_HTTP_DELTA_OVERLAP
                   ? channel->since - NGX_HTTP_DELTA_OVERLAP : 0;
        after.seq = 0;
    }

    repair->again = 0;

    repair->reading = ngx_http_delta_log_read(channel, &after, channel->known,
                                              0, &ngx_http_delta_repair_reader,
                                              repair);
    if (repair->reading == NULL) {
        ngx_http_delta_repair_done(repair, NGX_ERROR);
    }
}


static void
ngx_http_delta_repair_gap(void *data)
{
    ngx_http_delta_repair_t  *repair = data;

    ngx_http_delta_history_clear(repair->channel);
    repair->channel->hub->unproven(repair->channel);
}


static ngx_int_t
ngx_http_delta_repair_entry(void *data, const delta_position_t *id,
    const delta_position_t *previous, const delta_str_t *json)
{
    ngx_http_delta_repair_t   *repair = data;
    ngx_http_delta_channel_t  *channel;

    channel = repair->channel;

    channel->last = *id;
    channel->known = 1;

    ngx_http_delta_metric(channel->hub->worker, REPAIRED, 1);
    ngx_http_delta_channel_deliver(channel, id, previous, json);

    return NGX_OK;
}


static void
ngx_http_delta_repair_done(void *data, ngx_int_t rc)
{
    ngx_str_t                  key, payload;
    ngx_http_delta_held_t     *held;
    ngx_http_delta_repair_t   *repair = data;
    ngx_http_delta_channel_t  *channel;

    channel = repair->channel;

    if (rc == NGX_OK && repair->again) {
        /* what could not be held is in the log, behind what was read */
        ngx_http_delta_repair_read(repair);
        return;
    }

    channel->repair = NULL;

    if (rc != NGX_OK) {
        /* still broken: the link's return begins anew */
        ngx_http_delta_repair_free(repair);
        return;
    }

    ngx_http_delta_repair_whole(channel);

    key = channel->sn.str;

    /* each is checked again: the last page may have held it, too */

    for (held = repair->held; held; held = held->next) {
        payload.data = held->data;
        payload.len = held->len;
        channel->hub->message(channel->hub, &key, &payload);
    }

    ngx_http_delta_repair_free(repair);

    if (!channel->broken) {
        ngx_http_delta_history_settle(channel);
    }
}


static void
ngx_http_delta_repair_hold(ngx_http_delta_repair_t *repair,
    ngx_str_t *payload)
{
    size_t                  max;
    ngx_http_delta_held_t  *held;

    held = NULL;
    max = repair->channel->hub->worker->conf->max_event
          + 2 * (DELTA_POSITION_LEN + 1);

    if (repair->nheld < NGX_HTTP_DELTA_HELD && payload->len <= max) {
        held = ngx_alloc(offsetof(ngx_http_delta_held_t, data) + payload->len,
                         repair->channel->hub->worker->log);
    }

    if (held == NULL) {
        repair->again = 1;
        return;
    }

    held->next = NULL;
    held->len = payload->len;
    ngx_memcpy(held->data, payload->data, payload->len);

    *repair->tail = held;
    repair->tail = &held->next;
    repair->nheld++;
}


static void
ngx_http_delta_repair_free(ngx_http_delta_repair_t *repair)
{
    ngx_http_delta_held_t  *held, *next;

    for (held = repair->held; held; held = next) {
        next = held->next;
        ngx_free(held);
    }

    ngx_free(repair);
}


void
ngx_http_delta_repair_forget(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_repair_whole(channel);

    if (channel->repair) {
        channel->repair->reading->data = NULL;
        ngx_http_delta_repair_free(channel->repair);
        channel->repair = NULL;
    }
}
