
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_state.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_contract.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "core/delta_json.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_STATE_TEXT  1024     /* bytes of d, at most */
#define NGX_HTTP_DELTA_STATE_KEY   600


/* A question to Redis: its channel may be gone when it is answered. */
typedef struct {
    ngx_http_delta_hub_t        *hub;
    ngx_str_t                    key;
} ngx_http_delta_asked_t;


static void ngx_http_delta_state_reply(void *data, redisReply *reply);
static void ngx_http_delta_state_answer(ngx_http_delta_channel_t *channel,
    redisReply *reply);
static void ngx_http_delta_state_set(ngx_http_delta_channel_t *channel,
    uint64_t v, delta_str_t d);
static delta_str_t ngx_http_delta_state_offline(
    ngx_http_delta_channel_t *channel, u_char *buf);
static ngx_uint_t ngx_http_delta_state_good(ngx_http_delta_channel_t *channel,
    delta_str_t d);
static ngx_int_t ngx_http_delta_state_version(u_char *p, size_t len,
    uint64_t *v);


void
ngx_http_delta_state_create(ngx_http_delta_channel_t *channel)
{
    delta_str_t  pattern = delta_str("presence:*"), text;

    text.data = (char *) channel->name.data;
    text.len = channel->name.len;

    if (channel->hub->conf->presence
        && delta_name_match(pattern, text, NULL))
    {
        channel->state = ngx_calloc(sizeof(ngx_http_delta_state_t),
                                    channel->hub->worker->log);
    }
}


void
ngx_http_delta_state_free(ngx_http_delta_channel_t *channel)
{
    if (channel->state == NULL) {
        return;
    }

    if (channel->state->text.data) {
        ngx_free(channel->state->text.data);
    }

    ngx_free(channel->state);
    channel->state = NULL;
}


void
ngx_http_delta_state_read(ngx_http_delta_channel_t *channel)
{
    u_char                   key[NGX_HTTP_DELTA_STATE_KEY];
    ngx_str_t                argv[4];
    ngx_http_delta_hub_t    *hub;
    ngx_http_delta_asked_t  *asked;

    hub = channel->hub;

    asked = ngx_alloc(sizeof(ngx_http_delta_asked_t) + channel->sn.str.len,
                      hub->worker->log);
    if (asked == NULL) {
        return;
    }

    asked->hub = hub;
    asked->key.data = (u_char *) (asked + 1);
    asked->key.len = channel->sn.str.len;
    ngx_memcpy(asked->key.data, channel->sn.str.data, asked->key.len);

    ngx_str_set(&argv[0], "HMGET");
    argv[1].data = key;
    argv[1].len = ngx_snprintf(key, sizeof(key), "delta:{%V}", &asked->key)
                  - key;
    ngx_str_set(&argv[2], "v");
    ngx_str_set(&argv[3], "a");

    if (ngx_http_delta_redis_command(&hub->command,
                                     ngx_http_delta_state_reply, asked, 4,
                                     argv)
        != NGX_OK)
    {
        ngx_free(asked);
        return;
    }

    ngx_http_delta_metric(hub->worker, PRESENCE_READS, 1);
}


static void
ngx_http_delta_state_reply(void *data, redisReply *reply)
{
    ngx_http_delta_asked_t    *asked = data;
    ngx_http_delta_channel_t  *channel;

    channel = ngx_http_delta_channel_lookup(asked->hub, &asked->key);

    if (reply && channel && channel->state && channel->active) {
        ngx_http_delta_state_answer(channel, reply);
    }

    ngx_free(asked);
}


static void
ngx_http_delta_state_answer(ngx_http_delta_channel_t *channel,
    redisReply *reply)
{
    u_char        buf[NGX_HTTP_DELTA_STATE_TEXT];
    uint64_t      v;
    redisReply   *version, *told;
    delta_str_t   d;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        ngx_log_error(NGX_LOG_ERR, channel->hub->worker->log, 0,
                      "delta: \"%V\" cannot be read: %*s", &channel->name,
                      reply->type == REDIS_REPLY_ERROR
                          ? ngx_min(reply->len, 200) : 0,
                      reply->str);
        return;
    }

    version = reply->element[0];
    told = reply->element[1];
    v = 0;

    if (version->type == REDIS_REPLY_STRING
        && ngx_http_delta_state_version((u_char *) version->str, version->len,
                                        &v)
           != NGX_OK)
    {
        return;
    }

    if (told->type == REDIS_REPLY_STRING) {
        d.data = told->str;
        d.len = told->len;

        if (!ngx_http_delta_state_good(channel, d)) {
            ngx_log_error(NGX_LOG_ERR, channel->hub->worker->log, 0,
                          "delta: what Redis has of \"%V\" is no presence",
                          &channel->name);
            return;
        }

    } else {
        d = ngx_http_delta_state_offline(channel, buf);
    }

    ngx_http_delta_state_set(channel, v, d);
}


ngx_int_t
ngx_http_delta_state_message(ngx_http_delta_channel_t *channel,
    ngx_str_t *payload)
{
    u_char         *p, *last;
    uint64_t        v;
    delta_event_t   event;

    last = payload->data + payload->len;
    p = ngx_strlchr(payload->data, last, ' ');

    if (p == NULL
        || ngx_http_delta_state_version(payload->data, p - payload->data, &v)
           != NGX_OK
        || delta_event_parse(&event, (char *) p + 1, last - p - 1) != 1
        || !delta_str_eq(event.t, "presence_update")
        || !ngx_http_delta_state_good(channel, event.d))
    {
        return NGX_DECLINED;
    }

    ngx_http_delta_state_set(channel, v, event.d);

    return NGX_OK;
}


/* Friends hear of it if it is new to us: each change comes whole. */

static void
ngx_http_delta_state_set(ngx_http_delta_channel_t *channel, uint64_t v,
    delta_str_t d)
{
    u_char                   *p, buf[NGX_HTTP_DELTA_STATE_TEXT + 64];
    ngx_uint_t                first;
    delta_str_t               json, offline;
    ngx_http_delta_state_t   *state;

    state = channel->state;

    if (state->known && v <= state->v) {
        return;
    }

    first = !state->known;
    state->known = 1;
    state->v = v;

    if (state->text.len != d.len
        || ngx_memcmp(state->text.data, d.data, d.len) != 0)
    {
        p = ngx_alloc(d.len, channel->hub->worker->log);
        if (p == NULL) {
            state->known = 0;
            return;
        }

        if (state->text.data) {
            ngx_free(state->text.data);
        }

        state->text.data = p;
        state->text.len = d.len;
        ngx_memcpy(p, d.data, d.len);

        offline = ngx_http_delta_state_offline(channel, buf);
        state->online = (d.len != offline.len
                         || ngx_memcmp(d.data, offline.data, d.len) != 0);

        json.data = (char *) buf;
        json.len = ngx_sprintf(buf, "{\"t\":\"presence_update\",\"d\":%V}",
                               &state->text)
                   - buf;

        ngx_http_delta_channel_deliver(channel, NULL, NULL, &json);
    }

    if (first) {
        channel->hub->stated(channel);
    }
}


/* As the functions say it: names of channels need no escapes. */

static delta_str_t
ngx_http_delta_state_offline(ngx_http_delta_channel_t *channel, u_char *buf)
{
    ngx_str_t    user;
    delta_str_t  d;

    user.data = channel->name.data + sizeof("presence:") - 1;
    user.len = channel->name.len - (sizeof("presence:") - 1);

    d.data = (char *) buf;
    d.len = ngx_snprintf(buf, NGX_HTTP_DELTA_STATE_TEXT,
                         "{\"id\":\"%V\",\"s\":\"offline\",\"p\":null}", &user)
            - buf;

    return d;
}


/* What can be said: as the contract has it, and within presence_sync, too. */

static ngx_uint_t
ngx_http_delta_state_good(ngx_http_delta_channel_t *channel, delta_str_t d)
{
    u_char                    buf[NGX_HTTP_DELTA_STATE_TEXT + 16], *p;
    delta_json_t              value;
    delta_event_t             event = { delta_str("presence_update"), d };
    ngx_http_delta_refusal_t  refusal;

    if (d.len > NGX_HTTP_DELTA_STATE_TEXT
        || delta_json_parse(&value, d.data, d.len) < 0
        || value.type != DELTA_JSON_OBJECT)
    {
        return 0;
    }

    p = ngx_sprintf(buf, "[[[%*s]]]", d.len, d.data);

    return delta_json_parse(&value, (char *) buf, p - buf) > 0
           && ngx_http_delta_contract_check(channel->hub->worker->conf,
                                            &event, &refusal)
              == NGX_OK;
}


static ngx_int_t
ngx_http_delta_state_version(u_char *p, size_t len, uint64_t *v)
{
    off_t  n;

    n = ngx_atoof(p, len);

    if (n < 0) {
        return NGX_ERROR;
    }

    *v = n;

    return NGX_OK;
}
