
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_say.h"
#include "ngx_http_delta_control.h"
#include "ngx_http_delta_lease.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_replay.h"
#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_stream.h"
#include "ngx_http_delta_window.h"
#include "core/delta_json.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_RESYNCS_AT_ONCE  20      /* a second and worker */


static const struct {
    ngx_uint_t   metric;
    const char  *text;
} ngx_http_delta_resyncs[] = {
#define X(name, counter, text)                                                \
    { NGX_HTTP_DELTA_METRIC_RESYNC_##counter, text },
    NGX_HTTP_DELTA_RESYNCS(X)
#undef X
};


static void ngx_http_delta_say_resumed(ngx_http_delta_session_t *s);


void
ngx_http_delta_say_first(ngx_http_delta_session_t *s, const char *t,
    ngx_str_t *d)
{
    uint32_t  n;

    n = s->out.count;

    ngx_http_delta_session_send(s, t, d);

    if (s->out.count > n) {
        ngx_http_delta_queue_to_front(s);
    }
}


void
ngx_http_delta_say_ready(ngx_http_delta_session_t *s)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   d, *name;
    ngx_uint_t  i, n;

    if (s->stream) {
        ngx_http_delta_stream_ready(s);
        return;
    }

    if (ngx_http_delta_lease_resumed(s)) {
        ngx_http_delta_say_resumed(s);
    }

    len = 128 + 6 * s->user.len + s->id.len + DELTA_CURSOR_LEN
          + NGX_HTTP_DELTA_LEASE_TEXT;

    for (i = 0; i < s->nsubs; i++) {
        len += s->subs[i].channel->name.len + 3;
    }

    d.data = ngx_alloc(len, s->hub->worker->log);
    if (d.data == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    p = ngx_cpymem(d.data, "{\"user_id\":", sizeof("{\"user_id\":") - 1);
    p += delta_json_quote((char *) p, (char *) s->user.data, s->user.len);
    p = ngx_sprintf(p, ",\"session_id\":\"%V\",\"heartbeat_ms\":%T",
                    &s->id, s->conf->heartbeat * 1000);
    p = ngx_http_delta_lease_member(s, p);
    p = ngx_http_delta_resume_member(s, p, s->cursor);
    p = ngx_sprintf(p, ",\"channels\":[");

    for (i = 0, n = 0; i < s->nsubs; i++) {

        if (!s->subs[i].channel->control) {
            name = &s->subs[i].channel->name;
            p = ngx_sprintf(p, "%s\"%V\"", n++ ? "," : "", name);
        }
    }

    *p++ = ']';
    *p++ = '}';

    d.len = p - d.data;

    ngx_http_delta_say_first(s, "ready", &d);

    ngx_free(d.data);
}


/* What is queued so far is what was missed, and the gateway's own words. */

static void
ngx_http_delta_say_resumed(ngx_http_delta_session_t *s)
{
    u_char                  buf[NGX_INT_T_LEN + 16];
    ngx_str_t               d;
    ngx_uint_t              i, n;
    ngx_http_delta_ring_t  *ring;

    ring = &s->out;

    for (i = 0, n = 0; i < ring->count; i++) {
        n += (ring->entries[(ring->head + i) & (ring->size - 1)].event->channel
              != NULL);
    }

    d.data = buf;
    d.len = ngx_sprintf(buf, "{\"replayed\":%ui}", n) - buf;

    ngx_http_delta_say_first(s, "resumed", &d);
}


void
ngx_http_delta_say_error(ngx_http_delta_session_t *s, const char *code,
    const char *message, ngx_str_t *ref)
{
    u_char     buf[512];
    ngx_str_t  d;

    d.data = buf;
    d.len = ngx_snprintf(buf, sizeof(buf),
                         "{\"code\":\"%s\",\"message\":\"%s\"%s%*s}", code,
                         message, ref && ref->len ? ",\"ref\":" : "",
                         ref ? ref->len : 0, ref ? ref->data : NULL)
            - buf;

    ngx_http_delta_metric(s->hub->worker, COMMAND_ERRORS, 1);
    ngx_http_delta_session_send(s, "error", &d);
}


void
ngx_http_delta_say_resync(ngx_http_delta_session_t *s, ngx_str_t *channel,
    ngx_http_delta_resync_e why)
{
    u_char                    buf[DELTA_NAME_MAX + DELTA_CURSOR_LEN + 128], *p;
    ngx_str_t                 d;
    ngx_http_delta_worker_t  *worker;

    worker = s->hub->worker;

    p = channel ? ngx_sprintf(buf, "{\"channel\":\"%V\"", channel)
                : ngx_sprintf(buf, "{\"channel\":null");
    p = ngx_sprintf(p, ",\"reason\":\"%s\"", ngx_http_delta_resyncs[why].text);

    /* who fetches anew asks the application: not all at the same moment */

    if (worker->resync_time != ngx_time()) {
        worker->resync_time = ngx_time();
        worker->resyncs = 0;
    }

    if (++worker->resyncs > NGX_HTTP_DELTA_RESYNCS_AT_ONCE
        && s->conf->resume_spread)
    {
        p = ngx_sprintf(p, ",\"after_ms\":%ui",
                        (ngx_uint_t) ngx_random() % s->conf->resume_spread);
    }

    p = s->stream
        ? ngx_http_delta_stream_member(p, ngx_http_delta_stream_place(s))
        : ngx_http_delta_resume_member(s, p, s->cursor);
    *p++ = '}';

    d.data = buf;
    d.len = p - buf;

    s->resynced = 1;

    ngx_http_delta_metric_at(worker, ngx_http_delta_resyncs[why].metric, 1);

    if (s->stream) {
        ngx_http_delta_stream_tell(s, "resync", &d,
                                   ngx_http_delta_stream_place(s));
        return;
    }

    ngx_http_delta_session_send(s, "resync", &d);
}


void
ngx_http_delta_say_unproven(ngx_http_delta_channel_t *channel)
{
    ngx_uint_t                 i;
    ngx_http_delta_session_t  *s;

    /* what is held is older than the state that is fetched */

    ngx_http_delta_window_flush(channel);

    for (i = 0; i < channel->nmembers; i++) {
        s = channel->members[i].session;

        if (channel->control) {
            ngx_http_delta_control_lost(s);

        } else if (s->welcomed || ngx_http_delta_replay_done(s, channel)) {
            ngx_http_delta_say_resync(s, &channel->name,
                                      NGX_HTTP_DELTA_RESYNC_GAP);
        }
    }
}
