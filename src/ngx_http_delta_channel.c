
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_contract.h"
#include "ngx_http_delta_epoch.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_history.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_repair.h"
#include "ngx_http_delta_state.h"
#include "ngx_http_delta_window.h"
#include "core/delta_name.h"


static ngx_http_delta_channel_t *ngx_http_delta_channel_create(
    ngx_http_delta_hub_t *hub, ngx_str_t *key);
static void ngx_http_delta_channel_configure(
    ngx_http_delta_channel_t *channel);
static void ngx_http_delta_channel_free(ngx_http_delta_channel_t *channel);
static ngx_int_t ngx_http_delta_channel_key(ngx_http_delta_hub_t *hub,
    ngx_str_t *name, u_char *buf, ngx_str_t *key);
static ngx_int_t ngx_http_delta_channel_grow(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel);
static void *ngx_http_delta_channel_double(void *array, ngx_uint_t *size,
    size_t each, ngx_log_t *log);
static void ngx_http_delta_channel_subscribed(ngx_http_delta_hub_t *hub,
    ngx_str_t *key);
static void ngx_http_delta_channel_message(ngx_http_delta_hub_t *hub,
    ngx_str_t *key, ngx_str_t *payload);
static void ngx_http_delta_channel_forget(ngx_http_delta_channel_t *channel);
static ngx_int_t ngx_http_delta_channel_split(ngx_str_t *payload,
    delta_position_t *id, delta_position_t *previous, delta_str_t *json);


#define NGX_HTTP_DELTA_KEY_MAX  512


void
ngx_http_delta_channel_init(ngx_http_delta_hub_t *hub)
{
    ngx_rbtree_init(&hub->channels, &hub->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&hub->lingering);
    ngx_queue_init(&hub->windows);

    hub->subscribed = ngx_http_delta_channel_subscribed;
    hub->message = ngx_http_delta_channel_message;
}


void
ngx_http_delta_channel_destroy(ngx_http_delta_hub_t *hub)
{
    ngx_rbtree_node_t  *node;

    while (hub->channels.root != &hub->sentinel) {
        node = ngx_rbtree_min(hub->channels.root, &hub->sentinel);
        ngx_http_delta_channel_free((ngx_http_delta_channel_t *) node);
    }
}


static ngx_int_t
ngx_http_delta_channel_key(ngx_http_delta_hub_t *hub, ngx_str_t *name,
    u_char *buf, ngx_str_t *key)
{
    u_char     *p;
    ngx_str_t  *prefix;

    prefix = &hub->conf->prefix;

    if (prefix->len + name->len > NGX_HTTP_DELTA_KEY_MAX) {
        return NGX_ERROR;
    }

    p = buf;

    if (prefix->len) {
        p = ngx_cpymem(p, prefix->data, prefix->len);
    }

    p = ngx_cpymem(p, name->data, name->len);

    key->data = buf;
    key->len = p - buf;

    return NGX_OK;
}


ngx_http_delta_channel_t *
ngx_http_delta_channel_lookup(ngx_http_delta_hub_t *hub, ngx_str_t *key)
{
    return (ngx_http_delta_channel_t *)
               ngx_str_rbtree_lookup(&hub->channels, key,
                                     ngx_murmur_hash2(key->data, key->len));
}


ngx_http_delta_channel_t *
ngx_http_delta_channel_from(ngx_http_delta_hub_t *hub, ngx_rbtree_key_t key)
{
    ngx_rbtree_node_t  *node, *found;

    node = hub->channels.root;
    found = NULL;

    while (node != hub->channels.sentinel) {

        if (node->key >= key) {
            found = node;
            node = node->left;

        } else {
            node = node->right;
        }
    }

    if (found == NULL && hub->channels.root != hub->channels.sentinel) {
        found = ngx_rbtree_min(hub->channels.root, hub->channels.sentinel);
    }

    return (ngx_http_delta_channel_t *) found;
}


static ngx_http_delta_channel_t *
ngx_http_delta_channel_create(ngx_http_delta_hub_t *hub, ngx_str_t *key)
{
    size_t                     prefix;
    u_char                    *p;
    ngx_http_delta_channel_t  *channel;

    channel = ngx_calloc(sizeof(ngx_http_delta_channel_t) + key->len,
                         hub->worker->log);
    if (channel == NULL) {
        return NULL;
    }

    p = (u_char *) (channel + 1);
    ngx_memcpy(p, key->data, key->len);

    prefix = hub->conf->prefix.len;

    channel->hub = hub;
    channel->sn.str.data = p;
    channel->sn.str.len = key->len;
    channel->sn.node.key = ngx_murmur_hash2(p, key->len);
    channel->name.data = p + prefix;
    channel->name.len = key->len - prefix;
    channel->control = ngx_http_delta_channel_control(&channel->name);

    ngx_http_delta_channel_configure(channel);
    ngx_http_delta_state_create(channel);

    ngx_rbtree_insert(&hub->channels, &channel->sn.node);
    hub->nchannels++;
    ngx_http_delta_metric(hub->worker, CHANNELS, 1);

    return channel;
}


ngx_uint_t
ngx_http_delta_channel_control(ngx_str_t *name)
{
    delta_str_t  pattern = delta_str("user:*:control"), text;

    text.data = (char *) name->data;
    text.len = name->len;

    return delta_name_match(pattern, text, NULL);
}


static void
ngx_http_delta_channel_configure(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_channel_conf_t  *conf;

    conf = ngx_http_delta_channel_conf(channel->hub->worker->conf,
                                       &channel->name);

    if (conf) {
        channel->replay = conf->replay;
        channel->keep = conf->keep;
        channel->wait = conf->window;
        channel->max = conf->max;
        return;
    }

    channel->replay = NGX_HTTP_DELTA_REPLAY;
    channel->wait = 0;
    channel->keep = channel->control ? NGX_HTTP_DELTA_KEEP_CONTROL
                                     : NGX_HTTP_DELTA_KEEP;
}


/* As the function library does it: longest literal prefix first. */

ngx_http_delta_channel_conf_t *
ngx_http_delta_channel_conf(ngx_http_delta_main_conf_t *mcf, ngx_str_t *name)
{
    ngx_uint_t                      i;
    delta_str_t                     pattern, text;
    ngx_http_delta_channel_conf_t  *conf;

    conf = mcf->channels.elts;

    text.data = (char *) name->data;
    text.len = name->len;

    for (i = 0; i < mcf->channels.nelts; i++) {
        pattern.data = (char *) conf[i].pattern.data;
        pattern.len = conf[i].pattern.len;

        if (delta_name_match(pattern, text, NULL)) {
            return &conf[i];
        }
    }

    return NULL;
}


static void
ngx_http_delta_channel_free(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_hub_t  *hub;

    hub = channel->hub;

    ngx_http_delta_repair_forget(channel);
    ngx_http_delta_window_free(channel);
    ngx_http_delta_history_free(channel);
    ngx_http_delta_state_free(channel);
    ngx_rbtree_delete(&hub->channels, &channel->sn.node);
    hub->nchannels--;
    ngx_http_delta_metric(hub->worker, CHANNELS, -1);

    if (channel->members) {
        ngx_free(channel->members);
    }

    ngx_free(channel);
}


ngx_http_delta_sub_t *
ngx_http_delta_channel_join(ngx_http_delta_session_t *s, ngx_str_t *name,
    ngx_uint_t rule)
{
    u_char                     buf[NGX_HTTP_DELTA_KEY_MAX];
    ngx_str_t                  key;
    ngx_http_delta_sub_t      *sub;
    ngx_http_delta_channel_t  *channel;

    if (ngx_http_delta_channel_key(s->hub, name, buf, &key) != NGX_OK) {
        return NULL;
    }

    channel = ngx_http_delta_channel_lookup(s->hub, &key);

    if (channel == NULL) {
        channel = ngx_http_delta_channel_create(s->hub, &key);

        if (channel == NULL) {
            return NULL;
        }

        ngx_queue_insert_tail(&s->hub->lingering, &channel->linger);
    }

    if (ngx_http_delta_channel_grow(s, channel) != NGX_OK) {
        return NULL;
    }

    if (channel->nmembers == 0) {
        ngx_queue_remove(&channel->linger);
    }

    sub = &s->subs[s->nsubs];

    sub->channel = channel;
    sub->index = channel->nmembers;
    sub->rule = rule;
    sub->requested = 0;
    sub->listed = 1;
    sub->behind = 0;
    sub->synced = 0;

    channel->members[channel->nmembers].session = s;
    channel->members[channel->nmembers].index = s->nsubs;

    channel->nmembers++;
    s->nsubs++;

    if (!channel->active) {
        s->unacked++;
        ngx_http_delta_channel_ensure(channel);
    }

    return sub;
}


static ngx_int_t
ngx_http_delta_channel_grow(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    void       *p;
    ngx_log_t  *log;

    log = s->hub->worker->log;

    if (s->nsubs == s->size) {
        p = ngx_http_delta_channel_double(s->subs, &s->size,
                                          sizeof(ngx_http_delta_sub_t), log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        s->subs = p;
    }

    if (channel->nmembers == channel->size) {
        p = ngx_http_delta_channel_double(channel->members, &channel->size,
                                          sizeof(ngx_http_delta_member_t),
                                          log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        channel->members = p;
    }

    return NGX_OK;
}


static void *
ngx_http_delta_channel_double(void *array, ngx_uint_t *size, size_t each,
    ngx_log_t *log)
{
    void        *p;
    ngx_uint_t   n;

    n = *size ? 2 * *size : 4;

    p = ngx_alloc(n * each, log);
    if (p == NULL) {
        return NULL;
    }

    if (array) {
        ngx_memcpy(p, array, *size * each);
        ngx_free(array);
    }

    *size = n;

    return p;
}


void
ngx_http_delta_channel_leave(ngx_http_delta_session_t *s, ngx_uint_t i)
{
    ngx_uint_t                 m;
    ngx_http_delta_sub_t      *sub;
    ngx_http_delta_member_t   *member;
    ngx_http_delta_channel_t  *channel;

    sub = &s->subs[i];
    channel = sub->channel;
    m = sub->index;

    if (!channel->active) {
        s->unacked--;
    }

    channel->nmembers--;

    if (m < channel->nmembers) {
        member = &channel->members[m];
        *member = channel->members[channel->nmembers];
        member->session->subs[member->index].index = m;
    }

    s->nsubs--;

    if (i < s->nsubs) {
        *sub = s->subs[s->nsubs];
        sub->channel->members[sub->index].index = i;
    }

    if (channel->nmembers == 0) {

        /* nobody is left who could miss anything, but who comes back may */

        if (channel->broken) {
            ngx_http_delta_channel_forget(channel);
        }

        ngx_http_delta_window_free(channel);
        channel->idle = ngx_current_msec;
        ngx_queue_insert_tail(&channel->hub->lingering, &channel->linger);
    }
}


static void
ngx_http_delta_channel_forget(ngx_http_delta_channel_t *channel)
{
    ngx_http_delta_repair_forget(channel);
    ngx_http_delta_history_clear(channel);
    channel->known = 0;
}


ngx_int_t
ngx_http_delta_channel_find(ngx_http_delta_session_t *s, ngx_str_t *name)
{
    ngx_str_t   *have;
    ngx_uint_t   i;

    for (i = 0; i < s->nsubs; i++) {
        have = &s->subs[i].channel->name;

        if (have->len == name->len
            && ngx_memcmp(have->data, name->data, name->len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


ngx_uint_t
ngx_http_delta_channel_count(ngx_http_delta_hub_t *hub, ngx_str_t *name)
{
    u_char                     buf[NGX_HTTP_DELTA_KEY_MAX];
    ngx_str_t                  key;
    ngx_http_delta_channel_t  *channel;

    if (ngx_http_delta_channel_key(hub, name, buf, &key) != NGX_OK) {
        return 0;
    }

    channel = ngx_http_delta_channel_lookup(hub, &key);

    return channel ? channel->nmembers : 0;
}


void
ngx_http_delta_channel_ensure(ngx_http_delta_channel_t *channel)
{
    ngx_str_t  argv[2];

    if (channel->sent) {
        return;
    }

    ngx_str_set(&argv[0], "SUBSCRIBE");
    argv[1] = channel->sn.str;

    if (ngx_http_delta_redis_command(&channel->hub->pubsub, NULL, NULL, 2,
                                     argv)
        == NGX_OK)
    {
        channel->sent = 1;
    }
}


void
ngx_http_delta_channel_down(ngx_http_delta_hub_t *hub)
{
    ngx_rbtree_node_t         *node;
    ngx_http_delta_channel_t  *channel;

    if (hub->channels.root == &hub->sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(hub->channels.root, &hub->sentinel);
         node;
         node = ngx_rbtree_next(&hub->channels, node))
    {
        channel = (ngx_http_delta_channel_t *) node;

        ngx_http_delta_window_flush(channel);
        ngx_http_delta_history_down(channel);

        if (channel->state) {
            ngx_http_delta_state_down(channel);

        } else if (channel->nmembers == 0) {
            ngx_http_delta_channel_forget(channel);

        } else if (channel->active) {
            ngx_http_delta_repair_break(channel);
        }

        channel->sent = 0;
        channel->active = 0;
    }
}


ngx_uint_t
ngx_http_delta_channel_sweep(ngx_http_delta_hub_t *hub)
{
    ngx_str_t                  argv[2];
    ngx_queue_t               *q;
    ngx_http_delta_channel_t  *channel;

    while (!ngx_queue_empty(&hub->lingering)) {
        q = ngx_queue_head(&hub->lingering);
        channel = ngx_queue_data(q, ngx_http_delta_channel_t, linger);

        /* an ack still to come would be taken for a later SUBSCRIBE's */

        if ((channel->sent && !channel->active)
            || (ngx_msec_int_t) (ngx_current_msec - channel->idle)
               < NGX_HTTP_DELTA_LINGER)
        {
            return 1;
        }

        if (channel->active) {
            ngx_str_set(&argv[0], "UNSUBSCRIBE");
            argv[1] = channel->sn.str;

            if (ngx_http_delta_redis_command(&hub->pubsub, NULL, NULL, 2,
                                             argv)
                != NGX_OK)
            {
                return 1;
            }
        }

        ngx_queue_remove(q);
        ngx_http_delta_channel_free(channel);
    }

    return 0;
}


static void
ngx_http_delta_channel_subscribed(ngx_http_delta_hub_t *hub, ngx_str_t *key)
{
    ngx_uint_t                 i;
    ngx_http_delta_session_t  *s;
    ngx_http_delta_channel_t  *channel;

    channel = ngx_http_delta_channel_lookup(hub, key);

    if (channel == NULL || channel->active) {
        return;
    }

    channel->active = 1;
    channel->acked = ngx_http_delta_epoch_time(hub);

    if (channel->state) {
        ngx_http_delta_state_read(channel);
    }

    if (channel->broken) {
        ngx_http_delta_repair(channel);
    }

    for (i = 0; i < channel->nmembers; i++) {
        s = channel->members[i].session;

        s->unacked--;
        hub->acked(s, channel);
    }
}


static void
ngx_http_delta_channel_message(ngx_http_delta_hub_t *hub, ngx_str_t *key,
    ngx_str_t *payload)
{
    ngx_int_t                  rc;
    delta_str_t                json;
    delta_position_t           id, previous;
    ngx_http_delta_channel_t  *channel;

    if (key->len == hub->tick_name.len
        && ngx_memcmp(key->data, hub->tick_name.data, key->len) == 0)
    {
        ngx_http_delta_epoch_ticked(hub, payload);
        return;
    }

    channel = ngx_http_delta_channel_lookup(hub, key);

    if (channel == NULL) {
        return;
    }

    /* one that nobody listens to now keeps up for those who come back */

    if (channel->nmembers) {
        ngx_http_delta_metric(hub->worker, RECEIVED, 1);
    }

    if (channel->state
        && ngx_http_delta_state_message(channel, payload) == NGX_OK)
    {
        return;
    }

    rc = ngx_http_delta_channel_split(payload, &id, &previous, &json);

    if (rc == NGX_ERROR) {

        if (channel->nmembers) {
            ngx_http_delta_contract_reject(channel);
        }

    } else if (rc == NGX_DECLINED) {

        if (ngx_http_delta_repair_ephemeral(channel, payload) == NGX_OK) {
            ngx_http_delta_channel_deliver(channel, NULL, NULL, &json);
        }

    } else if (ngx_http_delta_repair_next(channel, id, previous, payload)
               == NGX_OK)
    {
        ngx_http_delta_channel_deliver(channel, &id, &previous, &json);
    }
}


void
ngx_http_delta_channel_deliver(ngx_http_delta_channel_t *channel,
    const delta_position_t *position, const delta_position_t *previous,
    const delta_str_t *json)
{
    ngx_int_t                 rc;
    delta_event_t             content;
    ngx_http_delta_hub_t     *hub;
    ngx_http_delta_event_t   *event;
    ngx_http_delta_worker_t  *worker;

    hub = channel->hub;
    worker = hub->worker;

    rc = ngx_http_delta_contract_parse(channel, json, &content,
                                       channel->nmembers == 0);

    if (channel->control) {

        if (rc == NGX_OK) {
            hub->control(channel, &content);
        }

        return;
    }

    /* without content its place in the log is known all the same */

    if (rc != NGX_OK && position == NULL) {
        return;
    }

    event = ngx_http_delta_event_create(worker->log, channel, &content,
                                        position, previous);
    if (event == NULL) {
        ngx_http_delta_metric(worker, DROPPED_MEMORY, 1);
        ngx_http_delta_history_clear(channel);
        hub->unproven(channel);
        return;
    }

    if (position) {
        ngx_http_delta_history_add(channel, event);
    }

    if (rc == NGX_OK && channel->nmembers) {
        ngx_http_delta_window_put(channel, event);
    }

    ngx_http_delta_event_release(event);
}


void
ngx_http_delta_channel_fan_out(ngx_http_delta_channel_t *channel,
    ngx_http_delta_event_t *event)
{
    ngx_uint_t                i;
    ngx_http_delta_hub_t     *hub;
    ngx_http_delta_member_t  *member;

    hub = channel->hub;

    for (i = 0; i < channel->nmembers; i++) {
        member = &channel->members[i];
        hub->deliver(member->session, member->index, event);
    }
}


/*
 * "<id> <previous id> <json>": NGX_OK; somebody's own PUBLISH of plain JSON:
 * NGX_DECLINED.
 */

static ngx_int_t
ngx_http_delta_channel_split(ngx_str_t *payload, delta_position_t *id,
    delta_position_t *previous, delta_str_t *json)
{
    u_char            *p, *last, *space;
    ngx_uint_t         i;
    delta_position_t  *positions[] = { id, previous };

    p = payload->data;
    last = p + payload->len;

    if (p == last || *p < '0' || *p > '9') {
        json->data = (char *) p;
        json->len = last - p;
        return NGX_DECLINED;
    }

    for (i = 0; i < 2; i++) {
        space = ngx_strlchr(p, last, ' ');

        if (space == NULL
            || delta_position_parse(positions[i], (char *) p, space - p) != 0)
        {
            return NGX_ERROR;
        }

        p = space + 1;
    }

    json->data = (char *) p;
    json->len = last - p;

    return NGX_OK;
}
