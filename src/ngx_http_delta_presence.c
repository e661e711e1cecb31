
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_presence.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_say.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_state.h"
#include "ngx_http_delta_window.h"


static void ngx_http_delta_presence_stated(ngx_http_delta_channel_t *channel);
static void ngx_http_delta_presence_tell(ngx_http_delta_session_t *s,
    ngx_uint_t sub);


void
ngx_http_delta_presence_init(ngx_http_delta_hub_t *hub)
{
    hub->stated = ngx_http_delta_presence_stated;
}


/* Who is not in it is offline. */

void
ngx_http_delta_presence_sync(ngx_http_delta_session_t *s)
{
    u_char                    *p;
    size_t                     len;
    ngx_str_t                  d;
    ngx_uint_t                 i, n;
    ngx_http_delta_state_t    *state;
    ngx_http_delta_channel_t  *channel;

    len = sizeof("{\"presence\":[]}");
    n = (s->conf->presence_ttl != 0);

    for (i = 0; i < s->nsubs; i++) {
        channel = s->subs[i].channel;
        state = channel->state;

        if (state == NULL) {
            continue;
        }

        n = 1;

        if (!state->known) {
            s->unsynced = 1;
            continue;
        }

        /* what is held is no newer than what is said here */

        ngx_http_delta_window_flush(channel);

        s->subs[i].synced = 1;
        len += state->text.len + 1;
    }

    if (n == 0) {
        return;
    }

    d.data = ngx_alloc(len, s->hub->worker->log);
    if (d.data == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    p = ngx_cpymem(d.data, "{\"presence\":[", 13);

    for (i = 0, n = 0; i < s->nsubs; i++) {
        state = s->subs[i].channel->state;

        if (state && s->subs[i].synced && state->online) {
            p = ngx_sprintf(p, "%s%V", n++ ? "," : "", &state->text);
        }
    }

    *p++ = ']';
    *p++ = '}';

    d.len = p - d.data;

    ngx_http_delta_say_first(s, "presence_sync", &d);

    ngx_free(d.data);
}


void
ngx_http_delta_presence_joined(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    ngx_int_t  i;

    if (channel->state == NULL || !channel->state->known || !s->welcomed) {
        return;
    }

    i = ngx_http_delta_channel_find(s, &channel->name);

    if (i != NGX_ERROR && !s->subs[i].synced) {
        ngx_http_delta_presence_tell(s, i);
    }
}


static void
ngx_http_delta_presence_stated(ngx_http_delta_channel_t *channel)
{
    ngx_uint_t                 i;
    ngx_http_delta_member_t   *member;
    ngx_http_delta_session_t  *s;

    for (i = 0; i < channel->nmembers; i++) {
        member = &channel->members[i];
        s = member->session;

        if (s->welcomed && !s->subs[member->index].synced) {
            ngx_http_delta_presence_tell(s, member->index);
        }
    }
}


static void
ngx_http_delta_presence_tell(ngx_http_delta_session_t *s, ngx_uint_t sub)
{
    delta_event_t              content = { delta_str("presence_update"),
                                           { NULL, 0 } };
    ngx_http_delta_event_t    *event;
    ngx_http_delta_channel_t  *channel;

    if (s->state == NGX_HTTP_DELTA_BEHIND
        || s->state == NGX_HTTP_DELTA_REPLAYING)
    {
        s->unsynced = 1;
        return;
    }

    channel = s->subs[sub].channel;

    ngx_http_delta_window_flush(channel);

    content.d.data = (char *) channel->state->text.data;
    content.d.len = channel->state->text.len;

    event = ngx_http_delta_event_create(s->hub->worker->log, channel,
                                        &content, NULL, NULL);
    if (event == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    s->subs[sub].synced = 1;
    s->hub->deliver(s, sub, event);

    ngx_http_delta_event_release(event);
}


void
ngx_http_delta_presence_owe(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel)
{
    ngx_uint_t  i;

    for (i = 0; i < s->nsubs; i++) {

        if (s->subs[i].channel == channel) {
            s->subs[i].synced = 0;
            s->unsynced = 1;
            return;
        }
    }
}


void
ngx_http_delta_presence_live(ngx_http_delta_session_t *s)
{
    ngx_uint_t                 i;
    ngx_http_delta_channel_t  *channel;

    if (!s->unsynced) {
        return;
    }

    s->unsynced = 0;

    for (i = 0; i < s->nsubs && s->state == NGX_HTTP_DELTA_LIVE; i++) {
        channel = s->subs[i].channel;

        if (channel->state && channel->state->known && !s->subs[i].synced) {
            ngx_http_delta_presence_tell(s, i);
        }
    }
}
