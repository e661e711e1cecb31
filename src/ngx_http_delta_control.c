
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_control.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_lease.h"
#include "ngx_http_delta_membership.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_presence.h"
#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_replay.h"
#include "ngx_http_delta_say.h"
#include "ngx_http_delta_session.h"
#include "core/delta_json.h"
#include "core/delta_name.h"


static void ngx_http_delta_control_event(
    ngx_http_delta_channel_t *channel, delta_event_t *event);
static void ngx_http_delta_control_stale(ngx_http_delta_session_t *s);
static void ngx_http_delta_control_grant(ngx_http_delta_session_t *s,
    ngx_str_t *name);
static void ngx_http_delta_control_subscribed(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, ngx_str_t *ref);


void
ngx_http_delta_control_init(ngx_http_delta_hub_t *hub)
{
    hub->control = ngx_http_delta_control_event;
}


static void
ngx_http_delta_control_event(ngx_http_delta_channel_t *channel,
    delta_event_t *event)
{
    ngx_int_t                  i;
    ngx_str_t                  name;
    ngx_uint_t                 m;
    delta_str_t                key;
    delta_json_t               d, value;
    size_t                     pos;
    ngx_http_delta_session_t  *s;

    if (delta_str_eq(event->t, "replaced")) {
        ngx_http_delta_lease_fence(channel, event);
        return;
    }

    name.len = 0;
    name.data = NULL;
    pos = 0;

    delta_json_parse(&d, event->d.data, event->d.len);

    while (delta_json_next(&d, &pos, &key, &value)) {

        if (delta_str_eq(key, "channel")
            && value.type == DELTA_JSON_STRING
            && delta_name_valid(value.raw.data + 1, value.raw.len - 2))
        {
            name.data = (u_char *) value.raw.data + 1;
            name.len = value.raw.len - 2;
        }
    }

    for (m = 0; m < channel->nmembers; m++) {
        s = channel->members[m].session;

        ngx_http_delta_control_stale(s);

        if (s->state == NGX_HTTP_DELTA_CLOSING) {
            continue;
        }

        if (delta_str_eq(event->t, "disconnect")) {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_REVOKED);
            continue;
        }

        if (s->state < NGX_HTTP_DELTA_SUBSCRIBING) {
            continue;       /* the load to come, or come again, sees it */
        }

        if (delta_str_eq(event->t, "membership_changed")) {
            ngx_http_delta_membership_load(s);

        } else if (delta_str_eq(event->t, "grant") && name.len) {
            ngx_http_delta_control_grant(s, &name);

        } else if (delta_str_eq(event->t, "revoke") && name.len) {
            i = ngx_http_delta_channel_find(s, &name);

            if (i != NGX_ERROR && !s->subs[i].channel->control) {
                ngx_http_delta_metric(s->hub->worker, REVOKES, 1);
                ngx_http_delta_control_drop(s, i, "revoked", NULL);

                if (s->state == NGX_HTTP_DELTA_SUBSCRIBING) {
                    ngx_http_delta_session_loaded(s);
                }
            }
        }
    }
}


void
ngx_http_delta_control_lost(ngx_http_delta_session_t *s)
{
    ngx_http_delta_control_stale(s);

    if (s->state >= NGX_HTTP_DELTA_SUBSCRIBING
        && s->state != NGX_HTTP_DELTA_CLOSING)
    {
        ngx_http_delta_membership_load(s);
    }
}


/* What Redis was asked before a change may be answered as it was before. */

static void
ngx_http_delta_control_stale(ngx_http_delta_session_t *s)
{
    ngx_queue_t            *q;
    ngx_http_delta_load_t  *load;

    for (q = ngx_queue_head(&s->loads);
         q != ngx_queue_sentinel(&s->loads);
         q = ngx_queue_next(q))
    {
        load = ngx_queue_data(q, ngx_http_delta_load_t, queue);
        load->stale = 1;
    }
}


static void
ngx_http_delta_control_grant(ngx_http_delta_session_t *s, ngx_str_t *name)
{
    ngx_int_t              rule;
    ngx_http_delta_sub_t  *sub;

    rule = ngx_http_delta_membership_rule(s, name);

    if (rule == NGX_ERROR
        || s->grants[rule].on_request
        || ngx_http_delta_channel_find(s, name) != NGX_ERROR)
    {
        return;
    }

    if (s->nsubs > s->conf->limit_channels) {
        ngx_http_delta_say_error(s, "too_many_channels",
                                        "A granted channel is over the "
                                        "limit of this gateway.", NULL);
        return;
    }

    sub = ngx_http_delta_channel_join(s, name, rule);

    if (sub == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    ngx_http_delta_metric(s->hub->worker, GRANTS, 1);
    ngx_http_delta_control_announce(s, sub->channel, NULL);
}


/* Says "subscribed" now or when Redis has acknowledged it. */

void
ngx_http_delta_control_announce(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, ngx_str_t *ref)
{
    ngx_http_delta_load_t  *load;

    if (channel->active) {
        ngx_http_delta_control_subscribed(s, channel, ref);
        return;
    }

    load = ngx_http_delta_membership_create(s, 0, ref ? ref->len : 0);
    if (load == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    load->one = 1;
    load->channel = channel;

    if (ref && ref->len) {
        load->ref.data = (u_char *) (load + 1);
        load->ref.len = ref->len;
        ngx_memcpy(load->ref.data, ref->data, ref->len);
    }
}


void
ngx_http_delta_control_acked(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    ngx_queue_t            *q, *next;
    ngx_http_delta_load_t  *load;

    for (q = ngx_queue_head(&s->loads);
         q != ngx_queue_sentinel(&s->loads);
         q = next)
    {
        next = ngx_queue_next(q);
        load = ngx_queue_data(q, ngx_http_delta_load_t, queue);

        if (load->channel == channel) {
            ngx_http_delta_control_subscribed(s, channel, &load->ref);
            ngx_http_delta_membership_free(load);
        }
    }
}


static void
ngx_http_delta_control_subscribed(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, ngx_str_t *ref)
{
    u_char     buf[DELTA_NAME_MAX + 128];
    ngx_str_t  d;

    d.data = buf;
    d.len = ngx_snprintf(buf, sizeof(buf), "{\"channel\":\"%V\"%s%V}",
                         &channel->name,
                         ref && ref->len ? ",\"ref\":" : "",
                         ref ? ref : &(ngx_str_t) ngx_null_string)
            - buf;

    ngx_http_delta_session_send(s, "subscribed", &d);
    ngx_http_delta_presence_joined(s, channel);
}


void
ngx_http_delta_control_drop(ngx_http_delta_session_t *s, ngx_uint_t i,
    const char *reason, ngx_str_t *ref)
{
    u_char                     buf[DELTA_NAME_MAX + 192];
    ngx_str_t                  d;
    ngx_queue_t               *q, *next;
    ngx_http_delta_load_t     *load;
    ngx_http_delta_channel_t  *channel;

    channel = s->subs[i].channel;

    for (q = ngx_queue_head(&s->loads);
         q != ngx_queue_sentinel(&s->loads);
         q = next)
    {
        next = ngx_queue_next(q);
        load = ngx_queue_data(q, ngx_http_delta_load_t, queue);

        if (load->channel == channel) {
            ngx_http_delta_membership_free(load);
        }
    }

    ngx_http_delta_queue_purge(s, channel);
    ngx_http_delta_replay_leave(s, channel);

    d.data = buf;
    d.len = ngx_snprintf(buf, sizeof(buf),
                         "{\"channel\":\"%V\",\"reason\":\"%s\"%s%V}",
                         &channel->name, reason,
                         ref && ref->len ? ",\"ref\":" : "",
                         ref ? ref : &(ngx_str_t) ngx_null_string)
            - buf;

    ngx_http_delta_channel_leave(s, i);

    if (s->welcomed) {
        ngx_http_delta_session_send(s, "unsubscribed", &d);
    }
}
