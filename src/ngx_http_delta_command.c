
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_command.h"
#include "ngx_http_delta_auth.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_control.h"
#include "ngx_http_delta_membership.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_resume.h"
#include "ngx_http_delta_say.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_status.h"
#include "ngx_http_delta_wheel.h"
#include "core/delta_command.h"
#include "core/delta_msgpack.h"
#include "core/delta_name.h"


static ngx_int_t ngx_http_delta_command_admit(ngx_http_delta_session_t *s);
static ngx_int_t ngx_http_delta_command_rate(ngx_http_delta_session_t *s);
static void ngx_http_delta_command_run(ngx_http_delta_session_t *s,
    char *data, size_t len);
static void ngx_http_delta_command_subscribe(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref);
static void ngx_http_delta_command_unsubscribe(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref);
static void ngx_http_delta_command_status(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref);
static void ngx_http_delta_command_heartbeat(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref);
static void ngx_http_delta_command_auth(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref);
static void ngx_http_delta_command_logout(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref);


typedef void (*ngx_http_delta_command_pt)(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref);


static const ngx_http_delta_command_pt  ngx_http_delta_commands[] = {
    ngx_http_delta_command_subscribe,
    ngx_http_delta_command_unsubscribe,
    ngx_http_delta_command_status,
    ngx_http_delta_command_heartbeat,
    ngx_http_delta_command_auth,
    ngx_http_delta_command_logout
};


void
ngx_http_delta_command_text(ngx_http_delta_session_t *s, u_char *data,
    size_t len)
{
    if (ngx_http_delta_command_admit(s) == NGX_OK) {
        ngx_http_delta_command_run(s, (char *) data, len);
    }
}


void
ngx_http_delta_command_binary(ngx_http_delta_session_t *s,
    const u_char *data, size_t len)
{
    char     *json;
    ssize_t   n;

    if (ngx_http_delta_command_admit(s) != NGX_OK) {
        return;
    }

    json = ngx_alloc(delta_msgpack_json_bound(len) + 1, s->hub->worker->log);
    if (json == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    n = delta_msgpack_decode(json, delta_msgpack_json_bound(len), data, len);

    if (n < 0) {
        ngx_http_delta_say_error(s, "bad_msgpack", delta_msgpack_strerror(n),
                                 NULL);

    } else {
        ngx_http_delta_command_run(s, json, n);
    }

    ngx_free(json);
}


static ngx_int_t
ngx_http_delta_command_admit(ngx_http_delta_session_t *s)
{
    ngx_http_delta_metric(s->hub->worker, COMMANDS, 1);

    if (ngx_http_delta_command_rate(s) == NGX_OK) {
        return NGX_OK;
    }

    ngx_http_delta_say_error(s, "rate_limited", "Too many commands.", NULL);
    ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_RATE);

    return NGX_DECLINED;
}


static void
ngx_http_delta_command_run(ngx_http_delta_session_t *s, char *data,
    size_t len)
{
    int              rc;
    ngx_str_t        ref;
    delta_command_t  command;

    rc = delta_command_parse(&command, data, len);

    ref.data = (u_char *) command.ref.data;
    ref.len = command.ref.len;

    if (rc < 0) {
        ngx_http_delta_say_error(s, delta_command_code(rc),
                                     delta_command_strerror(rc), &ref);
        return;
    }

    ngx_http_delta_commands[command.type](s, &command, &ref);
}


void
ngx_http_delta_command_named(ngx_http_delta_session_t *s)
{
    u_char               buf[NGX_INT_T_LEN], *p, *end, *last, *src;
    ngx_str_t            names, name, ref;
    ngx_uint_t           i;
    ngx_http_request_t  *r;

    r = s->request;

    if (s->named || s->transport->transport == NGX_HTTP_DELTA_WS
        || s->state != NGX_HTTP_DELTA_LIVE)
    {
        return;
    }

    s->named = 1;

    if (ngx_http_arg(r, (u_char *) "subscribe", 9, &names) != NGX_OK) {
        return;
    }

    p = ngx_pnalloc(r->pool, names.len);
    if (p == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    last = p;
    src = names.data;
    ngx_unescape_uri(&last, &src, names.len, 0);

    for (i = 0; p < last && i < NGX_HTTP_DELTA_MAX_NAMED; p = end + 1, i++) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        name.data = p;
        name.len = end - p;
        ref.data = buf;
        ref.len = ngx_sprintf(buf, "%ui", i) - buf;

        if (delta_name_valid((char *) name.data, name.len)) {
            ngx_http_delta_membership_ask(s, &name, &ref);

        } else {
            ngx_http_delta_say_error(s, "bad_channel",
                                     "The channel is not a channel name.",
                                     &ref);
        }

        if (s->state != NGX_HTTP_DELTA_LIVE) {
            return;
        }
    }
}


/* A bucket of one minute's commands; a command costs 60 of its 1/60ths. */

static ngx_int_t
ngx_http_delta_command_rate(ngx_http_delta_session_t *s)
{
    time_t      now;
    ngx_uint_t  rate, full;

    now = ngx_time();
    rate = s->conf->limit_rate;
    full = rate * 60;

    s->tokens += (now - s->refilled) > 60 ? full : (now - s->refilled) * rate;
    s->tokens = ngx_min(s->tokens, full);
    s->refilled = now;

    if (s->tokens < 60) {
        return NGX_DECLINED;
    }

    s->tokens -= 60;

    return NGX_OK;
}


static void
ngx_http_delta_command_subscribe(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref)
{
    ngx_str_t  name;

    if (s->state != NGX_HTTP_DELTA_LIVE) {
        ngx_http_delta_say_error(s, "unavailable",
                                     "The session is not attached, "
                                     "try again.", ref);
        return;
    }

    name.data = (u_char *) command->channel.data;
    name.len = command->channel.len;

    ngx_http_delta_membership_ask(s, &name, ref);
}


static void
ngx_http_delta_command_unsubscribe(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref)
{
    ngx_int_t  i;
    ngx_str_t  name;

    name.data = (u_char *) command->channel.data;
    name.len = command->channel.len;

    i = ngx_http_delta_channel_find(s, &name);

    if (i == NGX_ERROR || s->subs[i].channel->control) {
        ngx_http_delta_say_error(s, "not_subscribed",
                                     "The session is not subscribed to this "
                                     "channel.", ref);
        return;
    }

    ngx_http_delta_control_drop(s, i, "requested", ref);
}


static void
ngx_http_delta_command_status(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref)
{
    ngx_int_t  rc;
    ngx_str_t  status, project;

    status.data = (u_char *) command->status.data;
    status.len = command->status.len;
    project.data = (u_char *) command->project.data;
    project.len = command->project.len;

    rc = ngx_http_delta_status(s, &status, &project);

    if (rc == NGX_DECLINED) {
        ngx_http_delta_say_error(s, "no_presence",
                                     "This gateway keeps no presence.", ref);

    } else if (rc == NGX_ABORT) {
        ngx_http_delta_say_error(s, "bad_status",
                                     "A status is 1 to 64 bytes of text, "
                                     "other than offline.", ref);
    }
}


static void
ngx_http_delta_command_heartbeat(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref)
{
    u_char     buf[DELTA_COMMAND_REF + DELTA_CURSOR_LEN + 32], *p;
    ngx_str_t  d;

    p = buf;

    /* everything up to there was queued before this answer */

    p = ngx_http_delta_resume_member(s, p, ngx_http_delta_resume_cursor(s));

    if (ref->len) {
        p = ngx_sprintf(p, ",\"ref\":%V", ref);
    }

    *p++ = '}';
    buf[0] = '{';

    d.data = buf;
    d.len = p - buf;

    if (d.len == 1) {
        ngx_str_set(&d, "{}");
    }

    ngx_http_delta_session_send(s, "heartbeat_ack", &d);
}


static void
ngx_http_delta_command_auth(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref)
{
    int          rc;
    u_char       buf[DELTA_COMMAND_REF + 64];
    ngx_str_t    token, d;
    delta_jwt_t  jwt;

    if (s->conf->jwt == NGX_HTTP_DELTA_JWT_OFF) {
        ngx_http_delta_say_error(s, "no_token",
                                     "This gateway does not take tokens.",
                                     ref);
        return;
    }

    token.data = (u_char *) command->token.data;
    token.len = command->token.len;

    rc = ngx_http_delta_auth_verify(s->hub->worker, s->conf, &token, &jwt);

    if (rc < 0) {
        ngx_http_delta_say_error(s, "bad_token", delta_jwt_strerror(rc),
                                     ref);
        return;
    }

    if (!ngx_http_delta_auth_same(s->request, &jwt, &s->user)) {
        delta_jwt_free(&jwt);
        ngx_http_delta_say_error(s, "bad_token",
                                     "The token is another user's.", ref);
        return;
    }

    s->expires = ngx_http_delta_auth_expires(s->conf, &jwt);

    if (s->expires && s->expires < s->deadline) {
        ngx_http_delta_wheel_schedule(s, s->expires);
    }

    d.data = buf;
    d.len = ngx_snprintf(buf, sizeof(buf), "{\"expires\":%L%s%V}", jwt.exp,
                         ref->len ? ",\"ref\":" : "", ref)
            - buf;

    delta_jwt_free(&jwt);

    ngx_http_delta_session_send(s, "authenticated", &d);
}


static void
ngx_http_delta_command_logout(ngx_http_delta_session_t *s,
    delta_command_t *command, ngx_str_t *ref)
{
    ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_LOGOUT);
}
