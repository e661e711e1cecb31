
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_audit.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_repair.h"


#define NGX_HTTP_DELTA_AUDIT_PERIOD  60     /* seconds for all channels */
#define NGX_HTTP_DELTA_AUDIT_LEAST   8      /* channels in a second */
#define NGX_HTTP_DELTA_AUDIT_MOST    1000
#define NGX_HTTP_DELTA_AUDIT_QUIET   2000   /* ms */


/* The channel may be gone when its answer comes. */
typedef struct {
    ngx_http_delta_hub_t        *hub;
    ngx_str_t                    key;
} ngx_http_delta_audited_t;


static ngx_http_delta_channel_t *ngx_http_delta_audit_next(
    ngx_http_delta_hub_t *hub, ngx_http_delta_channel_t *channel);
static ngx_int_t ngx_http_delta_audit_ask(ngx_http_delta_channel_t *channel);
static void ngx_http_delta_audit_answer(void *data, redisReply *reply);
static void ngx_http_delta_audit_compare(ngx_http_delta_channel_t *channel,
    delta_position_t last);


void
ngx_http_delta_audit(ngx_http_delta_hub_t *hub)
{
    ngx_uint_t                 i, n, total;
    ngx_http_delta_channel_t  *channel;

    if (!ngx_http_delta_redis_ready(hub)) {
        return;
    }

    total = hub->nchannels;

    n = ngx_max(total / NGX_HTTP_DELTA_AUDIT_PERIOD,
                NGX_HTTP_DELTA_AUDIT_LEAST);
    n = ngx_min(ngx_min(n, NGX_HTTP_DELTA_AUDIT_MOST), total);

    channel = ngx_http_delta_channel_from(hub, hub->audited);

    for (i = 0; i < n; i++) {
        hub->audited = channel->sn.node.key;

        if (channel->active && channel->nmembers && !channel->broken
            && channel->state == NULL
            && (!channel->known
                || channel->last.ms + NGX_HTTP_DELTA_AUDIT_QUIET
                   < hub->heard_at)
            && ngx_http_delta_audit_ask(channel) != NGX_OK)
        {
            return;
        }

        channel = ngx_http_delta_audit_next(hub, channel);
    }

    if (n) {
        hub->audited = channel->sn.node.key;
    }
}


static ngx_http_delta_channel_t *
ngx_http_delta_audit_next(ngx_http_delta_hub_t *hub,
    ngx_http_delta_channel_t *channel)
{
    ngx_rbtree_node_t  *node;

    node = ngx_rbtree_next(&hub->channels, &channel->sn.node);

    if (node == NULL) {
        node = ngx_rbtree_min(hub->channels.root, hub->channels.sentinel);
    }

    return (ngx_http_delta_channel_t *) node;
}


static ngx_int_t
ngx_http_delta_audit_ask(ngx_http_delta_channel_t *channel)
{
    u_char                     key[600];
    ngx_str_t                  argv[6];
    ngx_http_delta_hub_t      *hub;
    ngx_http_delta_audited_t  *audited;

    hub = channel->hub;

    audited = ngx_alloc(sizeof(ngx_http_delta_audited_t)
                        + channel->sn.str.len, hub->worker->log);
    if (audited == NULL) {
        return NGX_ERROR;
    }

    audited->hub = hub;
    audited->key.data = (u_char *) (audited + 1);
    audited->key.len = channel->sn.str.len;
    ngx_memcpy(audited->key.data, channel->sn.str.data, audited->key.len);

    ngx_str_set(&argv[0], "XREVRANGE");
    argv[1].data = key;
    argv[1].len = ngx_snprintf(key, sizeof(key), "delta:{%V}", &audited->key)
                  - key;
    ngx_str_set(&argv[2], "+");
    ngx_str_set(&argv[3], "-");
    ngx_str_set(&argv[4], "COUNT");
    ngx_str_set(&argv[5], "1");

    if (ngx_http_delta_redis_command(&hub->command,
                                     ngx_http_delta_audit_answer, audited, 6,
                                     argv)
        != NGX_OK)
    {
        ngx_free(audited);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_delta_audit_answer(void *data, redisReply *reply)
{
    redisReply                *entry;
    delta_position_t           last;
    ngx_http_delta_audited_t  *audited = data;
    ngx_http_delta_channel_t  *channel;

    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1) {
        entry = reply->element[0];

        if (entry->type == REDIS_REPLY_ARRAY && entry->elements
            && entry->element[0]->type == REDIS_REPLY_STRING
            && delta_position_parse(&last, entry->element[0]->str,
                                    entry->element[0]->len)
               == 0)
        {
            channel = ngx_http_delta_channel_lookup(audited->hub,
                                                    &audited->key);
            if (channel) {
                ngx_http_delta_audit_compare(channel, last);
            }
        }
    }

    ngx_free(audited);
}


/* What the last tick came behind should have come before it. */

static void
ngx_http_delta_audit_compare(ngx_http_delta_channel_t *channel,
    delta_position_t last)
{
    ngx_http_delta_hub_t  *hub;

    hub = channel->hub;

    if (!channel->active || channel->nmembers == 0 || channel->broken
        || last.ms + NGX_HTTP_DELTA_AUDIT_QUIET > hub->heard_at)
    {
        return;
    }

    if (channel->known) {

        if (delta_position_compare(last, channel->last) <= 0) {
            return;
        }

    } else if (channel->acked == 0 || last.ms <= channel->acked) {
        /* it may have been there before us */
        return;
    }

    ngx_log_error(NGX_LOG_WARN, hub->worker->log, 0,
                  "delta: an event of \"%V\" was logged but never came",
                  &channel->name);

    ngx_http_delta_metric(hub->worker, GAPS, 1);

    ngx_http_delta_repair_break(channel);
    channel->since = channel->acked;
    ngx_http_delta_repair(channel);
}
