
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_log.h"
#include "ngx_http_delta_replay.h"
#include "ngx_http_delta_say.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_window.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_UNNAMED  8000        /* ms, see resume_start */


typedef struct {
    ngx_str_t                    name;
    delta_position_t             position;
} ngx_http_delta_at_t;

/* What the client said, in the request's pool. */
struct ngx_http_delta_resume_s {
    delta_cursor_t               since;
    delta_position_t             position;  /* since= as a time */
    unsigned                     cursor:1;
    unsigned                     time:1;
    unsigned                     waits:1;   /* for the hub's epoch */

    ngx_http_delta_at_t         *at;
    ngx_uint_t                   nat;
};


static ngx_int_t ngx_http_delta_resume_since(ngx_http_delta_resume_t *resume,
    ngx_str_t *value);
static ngx_int_t ngx_http_delta_resume_at(ngx_http_request_t *r,
    ngx_http_delta_resume_t *resume, ngx_str_t *value);
static ngx_int_t ngx_http_delta_resume_argument(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_http_delta_resume_channel(ngx_http_delta_session_t *s,
    ngx_uint_t sub);


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


/* "<epoch>.<ms>", with "-<seq>" an event's place, or a time of ISO 8601 */

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

    /* of several channels it is no more than a time */

    if (delta_place_parse(&resume->since.epoch, &resume->position, p,
                          value->len)
        == 0)
    {
        resume->cursor = 1;
        resume->since.ms = resume->position.ms;
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


ngx_uint_t
ngx_http_delta_resume_said(ngx_http_delta_resume_t *resume, uint64_t *epoch,
    delta_position_t *position)
{
    if (resume == NULL || (!resume->cursor && !resume->time)) {
        return 0;
    }

    *epoch = resume->since.epoch;
    *position = resume->position;

    return 1;
}


ngx_int_t
ngx_http_delta_resume_from(ngx_http_request_t *r,
    ngx_http_delta_resume_t **resume, const delta_position_t *position)
{
    *resume = ngx_pcalloc(r->pool, sizeof(ngx_http_delta_resume_t));

    if (*resume == NULL) {
        return NGX_ERROR;
    }

    (*resume)->time = 1;
    (*resume)->position = *position;

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

        if (s->state != NGX_HTTP_DELTA_REPLAYING || s->resume == NULL) {
            continue;
        }

        if (s->resume->waits) {
            ngx_http_delta_resume_start(s);

        } else if (s->resume->cursor
                   && s->resume->since.epoch != hub->epoch)
        {
            /* it was good when it was looked at */
            ngx_http_delta_replay_restart(s);
            ngx_http_delta_resume_start(s);
        }
    }
}


void
ngx_http_delta_resume_start(ngx_http_delta_session_t *s)
{
    ngx_uint_t                i;
    ngx_http_delta_resume_t  *resume;

    resume = s->resume;
    resume->waits = 0;

    /* right after a start: the cursor may well be this Redis's */

    if (resume->cursor && s->hub->epoch == 0
        && ngx_current_msec - s->hub->started < NGX_HTTP_DELTA_UNNAMED)
    {
        resume->waits = 1;
        return;
    }

    if (!s->welcomed && s->stream == NULL) {
        s->cursor = ngx_http_delta_resume_floor(s);
    }

    if (resume->cursor && resume->since.epoch != s->hub->epoch) {
        ngx_http_delta_say_resync(s, NULL, NGX_HTTP_DELTA_RESYNC_EPOCH);
        ngx_http_delta_replay_forget(s);
        ngx_http_delta_session_resumed(s);
        return;
    }

    for (i = 0; i < s->nsubs; i++) {

        if (!s->subs[i].channel->control
            && s->subs[i].channel->state == NULL
            && ngx_http_delta_resume_channel(s, i) != NGX_OK)
        {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
            return;
        }
    }

    ngx_http_delta_replay_start(s);
}


static ngx_int_t
ngx_http_delta_resume_channel(ngx_http_delta_session_t *s, ngx_uint_t sub)
{
    ngx_str_t                *name;
    ngx_uint_t                i;
    delta_position_t          after;
    ngx_http_delta_at_t      *at;
    ngx_http_delta_resume_t  *resume;

    resume = s->resume;
    name = &s->subs[sub].channel->name;

    for (i = 0; i < resume->nat; i++) {
        at = &resume->at[i];

        if (at->name.len == name->len
            && ngx_memcmp(at->name.data, name->data, name->len) == 0)
        {
            return ngx_http_delta_replay_add(s, sub, &at->position, 1,
                                             &at->position);
        }
    }

    if (!resume->cursor && !resume->time) {
        return NGX_OK;
    }

    after = resume->position;

    if (resume->cursor) {
        after.ms -= ngx_min(after.ms, s->conf->resume_overlap);
    }

    return ngx_http_delta_replay_add(s, sub, &after, 0, &resume->position);
}


uint64_t
ngx_http_delta_resume_floor(ngx_http_delta_session_t *s)
{
    if (s->resume == NULL || s->stream) {
        return ngx_http_delta_window_floor(s->hub, s->hub->safe);
    }

    return (s->resume->cursor && s->resume->since.epoch == s->hub->epoch)
           ? s->resume->since.ms : 0;
}


uint64_t
ngx_http_delta_resume_cursor(ngx_http_delta_session_t *s)
{
    if (s->state != NGX_HTTP_DELTA_LIVE) {
        return 0;
    }

    return ngx_http_delta_window_floor(s->hub, s->hub->safe);
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
