
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_log.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include <openssl/rand.h>


#define NGX_HTTP_DELTA_TICK     1000        /* ms */
#define NGX_HTTP_DELTA_OVERLAP  2000        /* ms before the last tick */


typedef struct ngx_http_delta_held_s  ngx_http_delta_held_t;

struct ngx_http_delta_held_s {
    ngx_http_delta_held_t       *next;
    size_t                       len;
    u_char                       data[1];
};

/* A reading of the log; it outlives a channel that goes away. */
struct ngx_http_delta_repair_s {
    ngx_http_delta_channel_t    *channel;   /* NULL: gone */
    delta_position_t             after;     /* everything up to it is known */
    ngx_http_delta_held_t       *held;
    ngx_http_delta_held_t      **tail;
    ngx_uint_t                   nheld;

    unsigned                     exact:1;   /* after is an entry of the log */
    unsigned                     proven:1;
    unsigned                     again:1;   /* too many came meanwhile */
};


static void ngx_http_delta_log_read(ngx_http_delta_repair_t *repair);
static void ngx_http_delta_log_page(void *data, redisReply *reply);
static ngx_int_t ngx_http_delta_log_prove(ngx_http_delta_repair_t *repair,
    redisReply *reply);
static ngx_int_t ngx_http_delta_log_entry(redisReply *entry,
    delta_position_t *id, delta_position_t *previous, delta_str_t *json);
static ngx_uint_t ngx_http_delta_log_absence(ngx_http_delta_repair_t *repair);
static void ngx_http_delta_log_done(ngx_http_delta_repair_t *repair);
static void ngx_http_delta_log_hold(ngx_http_delta_repair_t *repair,
    ngx_str_t *payload);
static void ngx_http_delta_log_free(ngx_http_delta_repair_t *repair);
static void ngx_http_delta_log_info(void *data, redisReply *reply);
static ngx_str_t ngx_http_delta_log_field(redisReply *reply,
    const char *name);
static void ngx_http_delta_log_tick_handler(ngx_event_t *ev);


ngx_int_t
ngx_http_delta_log_next(ngx_http_delta_channel_t *channel,
    delta_position_t id, delta_position_t previous, ngx_str_t *payload)
{
    if (channel->repair) {
        ngx_http_delta_log_hold(channel->repair, payload);
        return NGX_DECLINED;
    }

    if (channel->known && (previous.ms || previous.seq)
        && delta_position_compare(previous, channel->last) != 0)
    {
        if (delta_position_compare(id, channel->last) <= 0) {
            return NGX_DECLINED;
        }

        ngx_http_delta_metric(channel->hub->worker, GAPS, 1);
        ngx_http_delta_log_repair(channel);

        if (channel->repair) {
            ngx_http_delta_log_hold(channel->repair, payload);
            return NGX_DECLINED;
        }
    }

    channel->last = id;
    channel->known = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_delta_log_ephemeral(ngx_http_delta_channel_t *channel,
    ngx_str_t *payload)
{
    if (channel->repair) {
        ngx_http_delta_log_hold(channel->repair, payload);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


void
ngx_http_delta_log_repair(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_hub_t     *hub;
    ngx_http_delta_repair_t  *repair;

    if (channel->repair) {
        return;
    }

    hub = channel->hub;

    repair = ngx_calloc(sizeof(ngx_http_delta_repair_t), hub->worker->log);
    if (repair == NULL) {
        hub->unproven(channel);
        channel->known = 0;
        return;
    }

    repair->channel = channel;
    repair->tail = &repair->held;
    repair->exact = channel->known;
    repair->after = channel->last;

    if (!channel->known) {
        repair->after.ms = hub->heard_at > NGX_HTTP_DELTA_OVERLAP
                           ? hub->heard_at - NGX_HTTP_DELTA_OVERLAP : 0;
        repair->after.seq = 0;
    }

    channel->repair = repair;

    ngx_http_delta_metric(hub->worker, LOG_READS, 1);
    ngx_http_delta_log_read(repair);
}


static void
ngx_http_delta_log_read(ngx_http_delta_repair_t *repair)
{
    u_char                     key[600], from[DELTA_POSITION_LEN + 1];
    u_char                     count[NGX_INT_T_LEN];
    ngx_str_t                  argv[6];
    ngx_http_delta_channel_t  *channel;

    channel = repair->channel;

    ngx_str_set(&argv[0], "XRANGE");
    argv[1].data = key;
    argv[1].len = ngx_snprintf(key, sizeof(key), "delta:{%V}",
                               &channel->sn.str)
                  - key;

    /* the first page begins with the known entry: it must still be there */

    from[0] = '(';
    argv[2].data = from + repair->exact * !repair->proven;
    argv[2].len = delta_position_format((char *) from + 1, repair->after)
                  + 1 - repair->exact * !repair->proven;

    ngx_str_set(&argv[3], "+");
    ngx_str_set(&argv[4], "COUNT");
    argv[5].data = count;
    argv[5].len = ngx_sprintf(count, "%d", NGX_HTTP_DELTA_LOG_PAGE) - count;

    repair->again = 0;

    if (ngx_http_delta_redis_command(&channel->hub->command,
                                     ngx_http_delta_log_page, repair, 6, argv)
        != NGX_OK)
    {
        /* the link's return repairs all channels again */
        channel->repair = NULL;
        channel->broken = 1;
        ngx_http_delta_log_free(repair);
    }
}


static void
ngx_http_delta_log_page(void *data, redisReply *reply)
{
    size_t                     i;
    delta_str_t                json;
    delta_position_t           id, previous;
    ngx_http_delta_repair_t   *repair = data;
    ngx_http_delta_channel_t  *channel;

    channel = repair->channel;

    if (channel == NULL || reply == NULL) {

        if (channel) {
            channel->repair = NULL;
            channel->broken = 1;
        }

        ngx_http_delta_log_free(repair);
        return;
    }

    if (!repair->proven) {
        repair->proven = 1;

        if (ngx_http_delta_log_prove(repair, reply) != NGX_OK) {
            channel->hub->unproven(channel);
        }
    }

    if (reply->type != REDIS_REPLY_ARRAY) {
        ngx_log_error(NGX_LOG_ERR, channel->hub->worker->log, 0,
                      "delta: the log of \"%V\" cannot be read: %*s",
                      &channel->name,
                      (size_t) (reply->str ? ngx_min(reply->len, 200) : 0),
                      reply->str);
        ngx_http_delta_log_done(repair);
        return;
    }

    for (i = 0; i < reply->elements; i++) {

        if (ngx_http_delta_log_entry(reply->element[i], &id, &previous,
                                     &json)
            != NGX_OK
            || delta_position_compare(id, repair->after) <= 0)
        {
            continue;
        }

        repair->after = id;
        channel->last = id;
        channel->known = 1;

        ngx_http_delta_metric(channel->hub->worker, REPAIRED, 1);
        ngx_http_delta_channel_deliver(channel, &id, &json);
    }

    if (reply->elements == NGX_HTTP_DELTA_LOG_PAGE || repair->again) {
        ngx_http_delta_log_read(repair);
        return;
    }

    ngx_http_delta_log_done(repair);
}


/*
 * Nothing is missing between what is known and the page's first new entry: an
 * exact position is proven by its own entry; a time, by an entry behind it
 * that names one before it.
 */

static ngx_int_t
ngx_http_delta_log_prove(ngx_http_delta_repair_t *repair, redisReply *reply)
{
    delta_str_t       json;
    delta_position_t  id, previous;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    if (reply->elements == 0) {
        return ngx_http_delta_log_absence(repair) ? NGX_OK : NGX_ERROR;
    }

    if (ngx_http_delta_log_entry(reply->element[0], &id, &previous, &json)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (repair->exact) {
        return delta_position_compare(id, repair->after) == 0 ? NGX_OK
                                                              : NGX_ERROR;
    }

    if (previous.ms == 0 && previous.seq == 0) {
        return ngx_http_delta_log_absence(repair) ? NGX_OK : NGX_ERROR;
    }

    return delta_position_compare(previous, repair->after) <= 0 ? NGX_OK
                                                                : NGX_ERROR;
}


/* Whether an empty log means that there was nothing. */

static ngx_uint_t
ngx_http_delta_log_absence(ngx_http_delta_repair_t *repair)
{
    ngx_http_delta_hub_t  *hub;

    hub = repair->channel->hub;

    return !repair->exact && hub->heard_at && !hub->forgetful;
}


static void
ngx_http_delta_log_done(ngx_http_delta_repair_t *repair)
{
    ngx_str_t                  key, payload;
    ngx_http_delta_held_t     *held;
    ngx_http_delta_channel_t  *channel;

    channel = repair->channel;
    channel->repair = NULL;
    key = channel->sn.str;

    /* each is checked again: the last page may have held it, too */

    for (held = repair->held; held; held = held->next) {
        payload.data = held->data;
        payload.len = held->len;
        channel->hub->message(channel->hub, &key, &payload);
    }

    ngx_http_delta_log_free(repair);
}


static void
ngx_http_delta_log_hold(ngx_http_delta_repair_t *repair, ngx_str_t *payload)
{
    ngx_http_delta_held_t  *held;

    if (repair->nheld == NGX_HTTP_DELTA_LOG_HELD) {
        /* the log has it, behind what is being read */
        repair->again = 1;
        return;
    }

    held = ngx_alloc(offsetof(ngx_http_delta_held_t, data) + payload->len,
                     repair->channel->hub->worker->log);
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
ngx_http_delta_log_free(ngx_http_delta_repair_t *repair)
{
    ngx_http_delta_held_t  *held, *next;

    for (held = repair->held; held; held = next) {
        next = held->next;
        ngx_free(held);
    }

    ngx_free(repair);
}


void
ngx_http_delta_log_forget(ngx_http_delta_channel_t *channel)
{
    if (channel->repair) {
        channel->repair->channel = NULL;
        channel->repair = NULL;
    }
}


/* [id, ["p", previous, "e", event]] */

static ngx_int_t
ngx_http_delta_log_entry(redisReply *entry, delta_position_t *id,
    delta_position_t *previous, delta_str_t *json)
{
    size_t       i;
    redisReply  *fields, *name, *value;

    json->data = NULL;
    previous->ms = 0;
    previous->seq = 0;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
        || entry->element[0]->type != REDIS_REPLY_STRING
        || entry->element[1]->type != REDIS_REPLY_ARRAY
        || delta_position_parse(id, entry->element[0]->str,
                                entry->element[0]->len)
           != 0)
    {
        return NGX_ERROR;
    }

    fields = entry->element[1];

    for (i = 0; i + 1 < fields->elements; i += 2) {
        name = fields->element[i];
        value = fields->element[i + 1];

        if (name->type != REDIS_REPLY_STRING || name->len != 1
            || value->type != REDIS_REPLY_STRING)
        {
            continue;
        }

        if (name->str[0] == 'p'
            && delta_position_parse(previous, value->str, value->len) != 0)
        {
            return NGX_ERROR;
        }

        if (name->str[0] == 'e') {
            json->data = value->str;
            json->len = value->len;
        }
    }

    return json->data ? NGX_OK : NGX_ERROR;
}


void
ngx_http_delta_log_link_up(ngx_http_delta_hub_t *hub)
{
    u_char     id[8];
    ngx_str_t  argv[2];

    ngx_str_set(&argv[0], "INFO");
    ngx_http_delta_redis_command(&hub->command, ngx_http_delta_log_info, hub,
                                 1, argv);

    if (hub->tick_name.len == 0) {
        if (RAND_bytes(id, sizeof(id)) != 1) {
            return;
        }

        hub->tick_name.data = hub->tick_buf;
        hub->tick_name.len = ngx_hex_dump(ngx_cpymem(hub->tick_buf,
                                                     "delta:tick:", 11),
                                          id, sizeof(id))
                             - hub->tick_buf;

        hub->tick.handler = ngx_http_delta_log_tick_handler;
        hub->tick.data = hub;
        hub->tick.log = hub->worker->log;
        hub->tick.cancelable = 1;
    }

    ngx_str_set(&argv[0], "SUBSCRIBE");
    argv[1] = hub->tick_name;
    ngx_http_delta_redis_command(&hub->pubsub, NULL, NULL, 2, argv);

    if (!hub->tick.timer_set) {
        ngx_add_timer(&hub->tick, 1);
    }
}


void
ngx_http_delta_log_link_down(ngx_http_delta_hub_t *hub)
{
    if (hub->tick.timer_set) {
        ngx_del_timer(&hub->tick);
    }
}


/*
 * A Redis that is not the process of before, and kept nothing on disk, or
 * that may evict keys: there, an empty log proves nothing.
 */

static void
ngx_http_delta_log_info(void *data, redisReply *reply)
{
    ngx_str_t              id, aof, memory, policy;
    ngx_http_delta_hub_t  *hub = data;

    hub->forgetful = 1;

    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        return;
    }

    id = ngx_http_delta_log_field(reply, "\nrun_id:");
    aof = ngx_http_delta_log_field(reply, "\naof_enabled:");
    memory = ngx_http_delta_log_field(reply, "\nmaxmemory:");
    policy = ngx_http_delta_log_field(reply, "\nmaxmemory_policy:");

    if (id.len != sizeof(hub->run_id)) {
        return;
    }

    hub->forgetful = hub->known_run
                     && ngx_memcmp(hub->run_id, id.data, id.len) != 0
                     && !(aof.len == 1 && aof.data[0] == '1');

    if (!(memory.len == 1 && memory.data[0] == '0')
        && !(policy.len == 10
             && ngx_strncmp(policy.data, "noeviction", 10) == 0))
    {
        hub->forgetful = 1;

        if (!hub->known_run) {
            ngx_log_error(NGX_LOG_WARN, hub->worker->log, 0,
                          "delta: %V may evict logs: set maxmemory-policy "
                          "to noeviction", &hub->conf->name);
        }
    }

    ngx_memcpy(hub->run_id, id.data, id.len);
    hub->known_run = 1;
}


static ngx_str_t
ngx_http_delta_log_field(redisReply *reply, const char *name)
{
    char       *p, *end;
    ngx_str_t   value;

    ngx_str_null(&value);

    p = strstr(reply->str, name);

    if (p) {
        p += ngx_strlen(name);
        end = p + strcspn(p, "\r\n");
        value.data = (u_char *) p;
        value.len = end - p;
    }

    return value;
}


static void
ngx_http_delta_log_tick_handler(ngx_event_t *ev)
{
    ngx_str_t              argv[4];
    ngx_http_delta_hub_t  *hub;

    hub = ev->data;

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_tick");
    ngx_str_set(&argv[2], "1");
    argv[3] = hub->tick_name;

    ngx_http_delta_redis_command(&hub->command, NULL, NULL, 4, argv);

    ngx_add_timer(ev, NGX_HTTP_DELTA_TICK);
}


void
ngx_http_delta_log_ticked(ngx_http_delta_hub_t *hub, ngx_str_t *payload)
{
    off_t  ms;

    ms = ngx_atoof(payload->data, payload->len);

    if (ms > 0) {
        hub->heard_at = ms;
    }
}
