
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_event.h"
#include "ngx_http_delta_log.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_queue.h"
#include "ngx_http_delta_session.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_UNNAMED  8000        /* ms, see resume_start */


typedef struct {
    ngx_str_t                    name;
    delta_position_t             position;
} ngx_http_delta_at_t;

/* One channel's replay. */
typedef struct {
    ngx_http_delta_session_t    *session;
    ngx_http_delta_channel_t    *channel;   /* compared only, if it is gone */
    ngx_http_delta_reading_t    *reading;   /* NULL: done */
    ngx_str_t                    name;
    delta_position_t             cursor;    /* what counts comes behind it */
    delta_position_t             last;      /* replayed */
    ngx_uint_t                   count;
    ngx_uint_t                   max;
} ngx_http_delta_replay_t;

/* What the client said, in the request's pool; replays on the heap. */
struct ngx_http_delta_resume_s {
    delta_cursor_t               since;
    delta_position_t             position;  /* since= as a time */
    unsigned                     cursor:1;
    unsigned                     time:1;
    unsigned                     waits:1;   /* for the hub's epoch */

    ngx_http_delta_at_t         *at;
    ngx_uint_t                   nat;

    ngx_http_delta_replay_t     *replays;
    ngx_uint_t                   nreplays;
    ngx_uint_t                   pending;
};


static ngx_int_t ngx_http_delta_resume_since(ngx_http_delta_resume_t *resume,
    ngx_str_t *value);
static ngx_int_t ngx_http_delta_resume_at(ngx_http_request_t *r,
    ngx_http_delta_resume_t *resume, ngx_str_t *value);
static ngx_int_t ngx_http_delta_resume_argument(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static void ngx_http_delta_resume_channel(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, ngx_http_delta_replay_t *replay);
static void ngx_http_delta_resume_gap(void *data);
static ngx_int_t ngx_http_delta_resume_entry(void *data,
    const delta_position_t *id, const delta_str_t *json);
static ngx_int_t ngx_http_delta_resume_replay(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, const delta_position_t *position,
    const delta_str_t *json);
static void ngx_http_delta_resume_done(void *data, ngx_int_t rc);
static void ngx_http_delta_resume_resync(ngx_http_delta_session_t *s,
    ngx_str_t *channel, const char *reason);


static const ngx_http_delta_reader_t  ngx_http_delta_resume_reader = {
    ngx_http_delta_resume_gap,
    ngx_http_delta_resume_entry,
    ngx_http_delta_resume_done
};


ngx_int_t
ngx_http_delta_resume_parse(ngx_http_request_t *r,
    ngx_http_delta_resume_t **resume)
{
    ngx_int_t   rc;
    ngx_str_t  *last, since, at;

    *resume = NULL;
    ngx_str_null(&at);

    /* EventSource repeats its first URL: what it has seen since is newer */

    last = ngx_http_delta_auth_header(r, "last-event-id", NULL);

    if (last && last->len) {
        since = *last;

    } else if (ngx_http_delta_resume_argument(r, "since", &since) != NGX_OK
               || ngx_http_delta_resume_argument(r, "at", &at) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (since.len == 0 && at.len == 0) {
        return NGX_OK;
    }

    *resume = ngx_pcalloc(r->pool, sizeof(ngx_http_delta_resume_t));
    if (*resume == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = since.len ? ngx_http_delta_resume_since(*resume, &since) : NGX_OK;

    if (rc == NGX_OK && at.len) {
        rc = ngx_http_delta_resume_at(r, *resume, &at);
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "delta: since= or at= is malformed");
        return NGX_HTTP_BAD_REQUEST;
    }

    return rc;
}


/* "<epoch>.<ms>" or a time of ISO 8601 */

static ngx_int_t
ngx_http_delta_resume_since(ngx_http_delta_resume_t *resume, ngx_str_t *value)
{
    const char  *p;

    p = (char *) value->data;

    if (delta_cursor_parse(&resume->since, p, value->len) == 0) {
        resume->cursor = 1;
        resume->position.ms = resume->since.ms;
        return NGX_OK;
    }

    if (delta_position_parse_time(&resume->position, p, value->len) == 0) {
        resume->time = 1;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* "<channel>=<ms>-<seq>,..." */

static ngx_int_t
ngx_http_delta_resume_at(ngx_http_request_t *r,
    ngx_http_delta_resume_t *resume, ngx_str_t *value)
{
    u_char               *p, *last, *end, *eq;
    ngx_http_delta_at_t  *at;

    if (value->len > NGX_HTTP_DELTA_MAX_AT_LEN) {
        return NGX_DECLINED;
    }

    resume->at = ngx_palloc(r->pool, NGX_HTTP_DELTA_MAX_AT
                                     * sizeof(ngx_http_delta_at_t));
    if (resume->at == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = value->data + value->len;

    for (p = value->data; p <= last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        eq = ngx_strlchr(p, end, '=');

        if (eq == NULL || resume->nat == NGX_HTTP_DELTA_MAX_AT
            || !delta_name_valid((char *) p, eq - p))
        {
            return NGX_DECLINED;
        }

        at = &resume->at[resume->nat++];
        at->name.data = p;
        at->name.len = eq - p;

        if (delta_position_parse(&at->position, (char *) eq + 1,
                                 end - eq - 1)
            != 0)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* A percent-decoded argument, or an empty string. */

static ngx_int_t
ngx_http_delta_resume_argument(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    u_char     *src, *dst;
    ngx_str_t   raw;

    ngx_str_null(value);

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &raw) != NGX_OK
        || raw.len == 0)
    {
        return NGX_OK;
    }

    dst = ngx_pnalloc(r->pool, raw.len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    value->data = dst;
    src = raw.data;

    ngx_unescape_uri(&dst, &src, raw.len, 0);

    value->len = dst - value->data;

    return NGX_OK;
}


void
ngx_http_delta_resume_named(ngx_http_delta_hub_t *hub)
{
    ngx_queue_t               *q;
    ngx_http_delta_session_t  *s;

    for (q = ngx_queue_head(&hub->sessions);
         q != ngx_queue_sentinel(&hub->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_delta_session_t, queue);

        if (s->state == NGX_HTTP_DELTA_REPLAYING && s->resume
            && s->resume->waits)
        {
            ngx_http_delta_resume_start(s);
        }
    }
}


void
ngx_http_delta_resume_start(ngx_http_delta_session_t *s)
{
    ngx_uint_t                 i, n;
    ngx_http_delta_resume_t   *resume;
    ngx_http_delta_replay_t   *replay;
    ngx_http_delta_channel_t  *channel;

    resume = s->resume;
    resume->waits = 0;

    /* right after a start: the cursor may well be this Redis's */

    if (resume->cursor && s->hub->epoch == 0
        && ngx_current_msec - s->hub->started < NGX_HTTP_DELTA_UNNAMED)
    {
        resume->waits = 1;
        return;
    }

    if (!s->welcomed) {
        s->cursor = ngx_http_delta_resume_floor(s);
    }

    if (resume->cursor && resume->since.epoch != s->hub->epoch) {
        ngx_http_delta_resume_resync(s, NULL, "epoch_changed");
        ngx_http_delta_session_resumed(s);
        return;
    }

    resume->replays = ngx_calloc((s->nsubs + 1)
                                 * sizeof(ngx_http_delta_replay_t),
                                 s->hub->worker->log);
    if (resume->replays == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    n = 0;

    for (i = 0; i < s->nsubs; i++) {
        channel = s->subs[i].channel;

        if (!channel->control) {
            replay = &resume->replays[n++];
            ngx_http_delta_resume_channel(s, channel, replay);
        }
    }

    resume->nreplays = n;

    if (resume->pending == 0) {
        ngx_http_delta_session_resumed(s);
    }
}


static void
ngx_http_delta_resume_channel(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, ngx_http_delta_replay_t *replay)
{
    ngx_uint_t                i, exact;
    delta_position_t          after;
    ngx_http_delta_at_t      *at;
    ngx_http_delta_resume_t  *resume;

    resume = s->resume;
    exact = 0;
    after = resume->position;

    for (i = 0; i < resume->nat; i++) {
        at = &resume->at[i];

        if (at->name.len == channel->name.len
            && ngx_memcmp(at->name.data, channel->name.data, at->name.len)
               == 0)
        {
            exact = 1;
            after = at->position;
            break;
        }
    }

    if (!exact && !resume->cursor && !resume->time) {
        return;
    }

    replay->session = s;
    replay->channel = channel;
    replay->name = channel->name;
    replay->cursor = after;
    replay->max = channel->replay;

    if (!exact && resume->cursor) {
        after.ms -= ngx_min(after.ms, NGX_HTTP_DELTA_OVERLAP);
    }

    replay->reading = ngx_http_delta_log_read(channel, &after, exact,
                                              &ngx_http_delta_resume_reader,
                                              replay);
    if (replay->reading) {
        resume->pending++;

    } else {
        ngx_http_delta_resume_resync(s, &channel->name, "history_gap");
    }
}


static void
ngx_http_delta_resume_gap(void *data)
{
    ngx_http_delta_replay_t  *replay = data;

    ngx_http_delta_resume_resync(replay->session, &replay->name,
                                 "history_gap");
    replay->max = 0;
}


static ngx_int_t
ngx_http_delta_resume_entry(void *data, const delta_position_t *id,
    const delta_str_t *json)
{
    ngx_http_delta_replay_t   *replay = data;
    ngx_http_delta_session_t  *s;

    s = replay->session;

    if (replay->max == 0
        || ngx_http_delta_channel_find(s, &replay->name) == NGX_ERROR)
    {
        return NGX_DONE;
    }

    if ((delta_position_compare(*id, replay->cursor) > 0
         && ++replay->count > replay->max)
        || ngx_http_delta_resume_replay(s, replay->channel, id, json)
           != NGX_OK)
    {
        ngx_http_delta_queue_purge(s, replay->channel);
        ngx_http_delta_resume_resync(s, &replay->name, "too_many");
        replay->max = 0;
        return NGX_DONE;
    }

    replay->last = *id;

    return s->state == NGX_HTTP_DELTA_CLOSING ? NGX_DONE : NGX_OK;
}


/* NGX_DECLINED: over delta_queue. */

static ngx_int_t
ngx_http_delta_resume_replay(ngx_http_delta_session_t *s,
    ngx_http_delta_channel_t *channel, const delta_position_t *position,
    const delta_str_t *json)
{
    char                      buf[DELTA_POSITION_LEN];
    ngx_int_t                 rc;
    delta_str_t               id;
    delta_event_t             content;
    ngx_http_delta_event_t   *event;
    ngx_http_delta_worker_t  *worker;

    worker = s->hub->worker;

    /* what would not have been forwarded live is not replayed either */

    if (json->len > worker->conf->max_event
        || delta_event_parse(&content, json->data, json->len) < 0)
    {
        return NGX_OK;
    }

    id.data = buf;
    id.len = delta_position_format(buf, *position);

    event = ngx_http_delta_event_create(worker->log, channel, &content, id);
    if (event == NULL) {
        return NGX_ERROR;
    }

    event->position = *position;

    if (ngx_http_delta_event_frame(event, s->format, worker->log) == NULL) {
        ngx_http_delta_event_release(event);
        return NGX_ERROR;
    }

    rc = ngx_http_delta_queue_push(s, event);

    if (rc == NGX_OK) {
        s->events_sent++;
        ngx_http_delta_metric(worker, REPLAYED, 1);
    }

    return rc;
}


static void
ngx_http_delta_resume_done(void *data, ngx_int_t rc)
{
    ngx_http_delta_replay_t   *replay = data;
    ngx_http_delta_session_t  *s;

    s = replay->session;
    replay->reading = NULL;
    s->resume->pending--;

    if (rc != NGX_OK && s->state != NGX_HTTP_DELTA_CLOSING) {
        /* what came before the link was lost may not have been all */
        ngx_http_delta_resume_resync(s, &replay->name, "history_gap");
    }

    if (s->resume->pending == 0
        && s->state == NGX_HTTP_DELTA_REPLAYING)
    {
        ngx_http_delta_session_resumed(s);
    }
}


static void
ngx_http_delta_resume_resync(ngx_http_delta_session_t *s, ngx_str_t *channel,
    const char *reason)
{
    u_char     buf[DELTA_NAME_MAX + DELTA_CURSOR_LEN + 80], *p;
    ngx_str_t  d;

    p = channel ? ngx_sprintf(buf, "{\"channel\":\"%V\"", channel)
                : ngx_sprintf(buf, "{\"channel\":null");
    p = ngx_sprintf(p, ",\"reason\":\"%s\"", reason);
    p = ngx_http_delta_resume_member(s, p, s->cursor);
    *p++ = '}';

    d.data = buf;
    d.len = p - buf;

    ngx_http_delta_metric(s->hub->worker, RESYNCS, 1);
    ngx_http_delta_session_send(s, "resync", &d);
}


ngx_uint_t
ngx_http_delta_resume_seen(ngx_http_delta_session_t *s,
    ngx_http_delta_event_t *event)
{
    ngx_uint_t                i;
    ngx_http_delta_replay_t  *replay;

    if (s->resume == NULL || event->position.ms == 0) {
        return 0;
    }

    for (i = 0; i < s->resume->nreplays; i++) {
        replay = &s->resume->replays[i];

        if (replay->channel == event->channel) {
            return delta_position_compare(event->position, replay->last) <= 0;
        }
    }

    return 0;
}


void
ngx_http_delta_resume_forget(ngx_http_delta_session_t *s)
{
    ngx_uint_t  i;

    if (s->resume == NULL) {
        return;
    }

    for (i = 0; i < s->resume->nreplays; i++) {

        if (s->resume->replays[i].reading) {
            s->resume->replays[i].reading->data = NULL;
        }
    }

    if (s->resume->replays) {
        ngx_free(s->resume->replays);
    }

    s->resume = NULL;
}


uint64_t
ngx_http_delta_resume_floor(ngx_http_delta_session_t *s)
{
    if (s->resume == NULL) {
        return s->hub->safe;
    }

    return (s->resume->cursor && s->resume->since.epoch == s->hub->epoch)
           ? s->resume->since.ms : 0;
}


u_char *
ngx_http_delta_resume_member(ngx_http_delta_session_t *s, u_char *p,
    uint64_t ms)
{
    delta_cursor_t  cursor;

    cursor.epoch = s->hub->epoch;
    cursor.ms = ms;

    if (cursor.epoch && cursor.ms) {
        p = ngx_cpymem(p, ",\"cursor\":\"", 11);
        p += delta_cursor_format((char *) p, cursor);
        *p++ = '"';
    }

    return p;
}
