
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_membership.h"
#include "ngx_http_delta_channel.h"
#include "ngx_http_delta_control.h"
#include "ngx_http_delta_keep.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_say.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_wheel.h"
#include "core/delta_name.h"


typedef struct {
    ngx_http_delta_check_pt      handler;   /* NULL: cancelled */
    void                        *data;
    ngx_log_t                   *log;
    ngx_uint_t                   pending;
    ngx_int_t                    rc;
} ngx_http_delta_check_t;


static void ngx_http_delta_membership_question(ngx_http_delta_load_t *load,
    ngx_uint_t rule, ngx_str_t *name);
static void ngx_http_delta_membership_reply(void *data, redisReply *reply);
static void ngx_http_delta_membership_answer(ngx_http_delta_question_t *q,
    redisReply *reply);
static void ngx_http_delta_membership_unknown(
    ngx_http_delta_question_t *question);
static void ngx_http_delta_membership_members(ngx_http_delta_session_t *s,
    ngx_uint_t rule, redisReply *reply);
static void ngx_http_delta_membership_admit(ngx_http_delta_session_t *s,
    ngx_str_t *name, ngx_uint_t rule);
static void ngx_http_delta_membership_done(ngx_http_delta_load_t *load);
static void ngx_http_delta_membership_done_one(ngx_http_delta_load_t *load);
static void ngx_http_delta_membership_checked(void *data, redisReply *reply);


static delta_str_t
ngx_http_delta_membership_str(ngx_str_t *s)
{
    delta_str_t  str;

    str.data = (char *) s->data;
    str.len = s->len;

    return str;
}


/* What stands for the grant's id: "*" of a pattern, else the last segment. */

static ngx_str_t
ngx_http_delta_membership_id(ngx_http_delta_grant_t *grant, ngx_str_t *name)
{
    u_char       *p;
    ngx_str_t     id;
    delta_str_t   star;

    if (grant->from.len
        && delta_name_match(ngx_http_delta_membership_str(&grant->channel),
                            ngx_http_delta_membership_str(name), &star))
    {
        id.data = (u_char *) star.data;
        id.len = star.len;
        return id;
    }

    for (p = name->data + name->len; p > name->data && p[-1] != ':'; p--) {
        /* void */
    }

    id.data = p;
    id.len = name->data + name->len - p;

    return id;
}


ngx_http_delta_load_t *
ngx_http_delta_membership_create(ngx_http_delta_session_t *s, ngx_uint_t n,
    size_t len)
{
    ngx_http_delta_load_t  *load;

    load = ngx_calloc(sizeof(ngx_http_delta_load_t)
                      + n * sizeof(ngx_http_delta_question_t) + len,
                      s->hub->worker->log);
    if (load == NULL) {
        return NULL;
    }

    load->session = s;
    load->questions = (ngx_http_delta_question_t *) (load + 1);
    ngx_queue_insert_tail(&s->loads, &load->queue);

    return load;
}


void
ngx_http_delta_membership_free(ngx_http_delta_load_t *load)
{
    if (load->session) {
        ngx_queue_remove(&load->queue);
        load->session = NULL;
    }

    /* the last reply frees what Redis still has to answer */

    if (load->pending == 0) {
        ngx_free(load);
    }
}


void
ngx_http_delta_membership_forget(ngx_http_delta_session_t *s)
{
    ngx_queue_t  *q;

    ngx_http_delta_keep_release(s);

    while (!ngx_queue_empty(&s->loads)) {
        q = ngx_queue_head(&s->loads);
        ngx_http_delta_membership_free(
            ngx_queue_data(q, ngx_http_delta_load_t, queue));
    }
}


void
ngx_http_delta_membership_load(ngx_http_delta_session_t *s)
{
    size_t                     len;
    u_char                    *p;
    ngx_str_t                  name;
    ngx_uint_t                 i;
    ngx_http_delta_sub_t      *sub;
    ngx_http_delta_load_t     *load;
    ngx_http_delta_grant_t    *grant;

    len = 0;

    ngx_http_delta_keep_hold(s);

    for (i = 0; i < s->nsubs; i++) {
        s->subs[i].listed = s->subs[i].channel->control;
        len += s->subs[i].channel->name.len;
    }

    load = ngx_http_delta_membership_create(s, s->ngrants + s->nsubs, len);
    if (load == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    p = (u_char *) &load->questions[s->ngrants + s->nsubs];

    /* held until all questions are asked */
    load->pending = 1;

    for (i = 0; i < s->nsubs; i++) {
        sub = &s->subs[i];

        if (!sub->requested || sub->channel->control) {
            continue;
        }

        name.data = p;
        name.len = sub->channel->name.len;
        p = ngx_cpymem(p, sub->channel->name.data, name.len);

        grant = &s->grants[sub->rule];

        if (grant->from.len || grant->in.len) {
            ngx_http_delta_membership_question(load, sub->rule, &name);

        } else {
            ngx_http_delta_membership_admit(s, &name, sub->rule);
        }
    }

    for (i = 0; i < s->ngrants; i++) {
        grant = &s->grants[i];

        if (grant->on_request) {
            continue;
        }

        if (grant->from.len) {
            ngx_str_null(&name);
            ngx_http_delta_membership_question(load, i, &name);

        } else if (grant->in.len) {
            ngx_http_delta_membership_question(load, i, &grant->channel);

        } else {
            ngx_http_delta_membership_admit(s, &grant->channel, i);
        }
    }

    if (--load->pending == 0) {
        ngx_http_delta_membership_done(load);
    }
}


static void
ngx_http_delta_membership_question(ngx_http_delta_load_t *load,
    ngx_uint_t rule, ngx_str_t *name)
{
    u_char                      limit[NGX_INT_T_LEN];
    ngx_str_t                   argv[4];
    ngx_uint_t                  argc;
    ngx_http_delta_grant_t     *grant;
    ngx_http_delta_session_t   *s;
    ngx_http_delta_question_t  *question;

    s = load->session;
    grant = &s->grants[rule];

    question = &load->questions[load->pending - (load->one ? 0 : 1)];
    question->load = load;
    question->rule = rule;
    question->name = *name;

    argv[1] = grant->from.len ? grant->from : grant->in;
    argc = 3;

    if (name->len == 0) {

        /* SMEMBERS with a bound: a positive count never repeats a member */

        ngx_str_set(&argv[0], "SRANDMEMBER");
        argv[2].data = limit;
        argv[2].len = ngx_sprintf(limit, "%ui",
                                  s->conf->limit_channels + 1 + grant->own)
                      - limit;

    } else if (grant->own) {
        ngx_str_set(&argv[0], "SMISMEMBER");
        argv[2] = ngx_http_delta_membership_id(grant, name);
        ngx_str_set(&argv[3], NGX_HTTP_DELTA_WHOLE);
        argc = 4;

    } else {
        ngx_str_set(&argv[0], "SISMEMBER");
        argv[2] = ngx_http_delta_membership_id(grant, name);
    }

    if (ngx_http_delta_redis_command(&s->hub->command,
                                     ngx_http_delta_membership_reply, question,
                                     argc, argv)
        != NGX_OK)
    {
        load->failed = 1;
        return;
    }

    load->pending++;
}


static void
ngx_http_delta_membership_reply(void *data, redisReply *reply)
{
    ngx_http_delta_load_t      *load;
    ngx_http_delta_question_t  *question = data;

    load = question->load;
    load->pending--;

    if (load->session == NULL) {
        if (load->pending == 0) {
            ngx_free(load);
        }

        return;
    }

    ngx_http_delta_membership_answer(question, reply);

    if (load->session && load->pending == 0) {
        ngx_http_delta_membership_done(load);
    }
}


static void
ngx_http_delta_membership_answer(ngx_http_delta_question_t *question,
    redisReply *reply)
{
    ngx_http_delta_load_t     *load;
    ngx_http_delta_session_t  *s;

    load = question->load;
    s = load->session;

    if (reply == NULL) {
        load->failed = 1;
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, s->hub->worker->log, 0,
                      "delta: the membership of user \"%V\" cannot be read "
                      "from \"%V\": %*s", &s->user,
                      s->grants[question->rule].from.len
                          ? &s->grants[question->rule].from
                          : &s->grants[question->rule].in,
                      ngx_min(reply->len, 200), reply->str);
        load->failed = 1;

        if (!load->one) {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        }

        return;
    }

    if (s->grants[question->rule].own
        && !ngx_http_delta_keep_whole(reply, question->name.len != 0,
                                      s->conf->limit_channels + 1))
    {
        ngx_http_delta_membership_unknown(question);
        return;
    }

    if (question->name.len == 0) {

        if (reply->type == REDIS_REPLY_ARRAY) {
            ngx_http_delta_membership_members(s, question->rule, reply);
        }

        return;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        reply = reply->element[0];
    }

    if (reply->type != REDIS_REPLY_INTEGER || reply->integer != 1) {
        return;
    }

    if (load->one) {
        load->granted = 1;

    } else {
        ngx_http_delta_membership_admit(s, &question->name, question->rule);
    }
}


/* Nothing is given, and what the session has it may keep for the moment. */

static void
ngx_http_delta_membership_unknown(ngx_http_delta_question_t *question)
{
    ngx_uint_t                 i;
    ngx_http_delta_sub_t      *sub;
    ngx_http_delta_load_t     *load;
    ngx_http_delta_session_t  *s;

    load = question->load;
    s = load->session;

    load->unknown = 1;

    if (load->one) {
        load->failed = 1;
        ngx_http_delta_wheel_reread(s);
        return;
    }

    for (i = 0; i < s->nsubs; i++) {
        sub = &s->subs[i];

        if (sub->rule == question->rule) {
            sub->listed = 1;
            ngx_http_delta_channel_ensure(sub->channel);
        }
    }
}


/* Joins the channel of each member of a from= set. */

static void
ngx_http_delta_membership_members(ngx_http_delta_session_t *s,
    ngx_uint_t rule, redisReply *reply)
{
    u_char      *p, buf[DELTA_NAME_MAX];
    size_t       i, star;
    ngx_str_t    name, *pattern;
    redisReply  *member;

    pattern = &s->grants[rule].channel;
    star = delta_name_literal(ngx_http_delta_membership_str(pattern));

    for (i = 0; i < reply->elements; i++) {
        member = reply->element[i];

        if (s->grants[rule].own && ngx_http_delta_keep_marker(member)) {
            continue;
        }

        if (member->type != REDIS_REPLY_STRING
            || !delta_name_segment(member->str, member->len)
            || pattern->len - 1 + member->len > DELTA_NAME_MAX)
        {
            ngx_http_delta_metric(s->hub->worker, BAD_MEMBERS, 1);
            continue;
        }

        p = ngx_cpymem(buf, pattern->data, star);
        p = ngx_cpymem(p, member->str, member->len);
        p = ngx_cpymem(p, pattern->data + star + 1, pattern->len - star - 1);

        name.data = buf;
        name.len = p - buf;

        ngx_http_delta_membership_admit(s, &name, rule);
    }
}


/* The load has found the session entitled to that channel. */

static void
ngx_http_delta_membership_admit(ngx_http_delta_session_t *s, ngx_str_t *name,
    ngx_uint_t rule)
{
    ngx_int_t              i;
    ngx_http_delta_sub_t  *sub;

    if (s->state == NGX_HTTP_DELTA_CLOSING) {
        return;
    }

    if (ngx_http_delta_channel_control(name)) {
        ngx_http_delta_metric(s->hub->worker, BAD_MEMBERS, 1);
        return;
    }

    i = ngx_http_delta_channel_find(s, name);

    if (i != NGX_ERROR) {
        s->subs[i].listed = 1;
        ngx_http_delta_channel_ensure(s->subs[i].channel);
        return;
    }

    if (s->nsubs > s->conf->limit_channels) {
        ngx_log_error(NGX_LOG_ERR, s->hub->worker->log, 0,
                      "delta: user \"%V\" has more than %ui channels, see "
                      "delta_limit", &s->user, s->conf->limit_channels);
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    sub = ngx_http_delta_channel_join(s, name, rule);

    if (sub == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    if (s->welcomed) {
        ngx_http_delta_control_announce(s, sub->channel, NULL);
    }
}


static void
ngx_http_delta_membership_done(ngx_http_delta_load_t *load)
{
    ngx_uint_t                 i, again, unknown;
    ngx_http_delta_session_t  *s;

    if (load->one) {
        ngx_http_delta_membership_done_one(load);
        return;
    }

    s = load->session;
    again = load->stale;
    unknown = load->unknown;

    if (load->failed) {
        /* the link is gone: its return starts the attach anew */
        ngx_http_delta_membership_free(load);
        return;
    }

    ngx_http_delta_membership_free(load);

    if (s->state == NGX_HTTP_DELTA_CLOSING
        || s->state == NGX_HTTP_DELTA_DETACHED)
    {
        return;
    }

    if (again) {
        ngx_http_delta_membership_load(s);
        return;
    }

    if (unknown && !s->welcomed) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_REREAD);
        return;
    }

    if (unknown) {
        ngx_http_delta_wheel_reread(s);

    } else {
        s->rereads = 0;
    }

    for (i = s->nsubs; i-- > 0; /* void */) {

        if (!s->subs[i].listed) {
            ngx_http_delta_metric(s->hub->worker, REVOKES, 1);
            ngx_http_delta_control_drop(s, i, "membership", NULL);
        }
    }

    if (s->state == NGX_HTTP_DELTA_LOADING) {
        ngx_http_delta_session_loaded(s);
    }
}


void
ngx_http_delta_membership_ask(ngx_http_delta_session_t *s, ngx_str_t *name,
    ngx_str_t *ref)
{
    u_char                  *p;
    ngx_int_t                rule, i;
    ngx_http_delta_load_t   *load;

    rule = ngx_http_delta_membership_rule(s, name);

    if (rule == NGX_ERROR) {
        ngx_http_delta_say_error(s, "forbidden",
                                        "This channel is not open to you "
                                        "here.", ref);
        return;
    }

    i = ngx_http_delta_channel_find(s, name);

    if (i != NGX_ERROR) {
        ngx_http_delta_control_announce(s, s->subs[i].channel, ref);
        return;
    }

    if (s->nsubs > s->conf->limit_channels) {
        ngx_http_delta_say_error(s, "too_many_channels",
                                        "The session has as many channels as "
                                        "this gateway allows.", ref);
        return;
    }

    load = ngx_http_delta_membership_create(s, 1, name->len + ref->len);
    if (load == NULL) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
        return;
    }

    p = (u_char *) &load->questions[1];

    load->one = 1;
    load->name.data = p;
    load->name.len = name->len;
    load->ref.data = ngx_cpymem(p, name->data, name->len);
    load->ref.len = ref->len;

    if (ref->len) {
        ngx_memcpy(load->ref.data, ref->data, ref->len);
    }

    if (s->grants[rule].from.len || s->grants[rule].in.len) {
        ngx_http_delta_membership_question(load, rule, &load->name);

    } else {
        load->questions[0].rule = rule;
        load->granted = 1;
    }

    if (load->pending == 0) {
        ngx_http_delta_membership_done_one(load);
    }
}


static void
ngx_http_delta_membership_done_one(ngx_http_delta_load_t *load)
{
    ngx_int_t                  i;
    ngx_uint_t                 rule;
    ngx_http_delta_sub_t      *sub;
    ngx_http_delta_session_t  *s;

    s = load->session;
    rule = load->questions[0].rule;

    if (load->failed) {
        ngx_http_delta_say_error(s, "unavailable",
                                        "The membership cannot be read now, "
                                        "try again.", &load->ref);

    } else if (load->stale) {
        ngx_http_delta_membership_ask(s, &load->name, &load->ref);

    } else if (!load->granted) {
        ngx_http_delta_say_error(s, "forbidden",
                                        "This channel is not open to you "
                                        "here.", &load->ref);

    } else {
        i = ngx_http_delta_channel_find(s, &load->name);

        /* others may have been answered since this one was asked */

        if (i == NGX_ERROR && s->nsubs > s->conf->limit_channels) {
            ngx_http_delta_membership_ask(s, &load->name, &load->ref);
            ngx_http_delta_membership_free(load);
            return;
        }

        if (i == NGX_ERROR) {
            sub = ngx_http_delta_channel_join(s, &load->name, rule);

        } else {
            sub = &s->subs[i];
        }

        if (sub == NULL) {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);

        } else {
            sub->requested = 1;
            ngx_http_delta_control_announce(s, sub->channel, &load->ref);
        }
    }

    ngx_http_delta_membership_free(load);
}


/* The first rule whose channel or pattern that name is. */

ngx_int_t
ngx_http_delta_membership_rule(ngx_http_delta_session_t *s, ngx_str_t *name)
{
    ngx_uint_t               i;
    ngx_http_delta_grant_t  *grant;

    if (ngx_http_delta_channel_control(name)) {
        return NGX_ERROR;
    }

    for (i = 0; i < s->ngrants; i++) {
        grant = &s->grants[i];

        if (delta_name_match(ngx_http_delta_membership_str(&grant->channel),
                             ngx_http_delta_membership_str(name), NULL))
        {
            return i;
        }
    }

    return NGX_ERROR;
}


void *
ngx_http_delta_membership_check(ngx_http_delta_hub_t *hub,
    ngx_http_delta_grant_t *grants, ngx_uint_t n,
    ngx_http_delta_check_pt handler, void *data)
{
    ngx_str_t                argv[3];
    ngx_uint_t               i;
    ngx_http_delta_check_t  *check;

    check = ngx_calloc(sizeof(ngx_http_delta_check_t), hub->worker->log);
    if (check == NULL) {
        return NULL;
    }

    check->handler = handler;
    check->data = data;
    check->log = hub->worker->log;
    check->rc = NGX_OK;

    for (i = 0; i < n; i++) {

        if (grants[i].in.len == 0 || grants[i].on_request) {
            continue;
        }

        ngx_str_set(&argv[0], "SISMEMBER");
        argv[1] = grants[i].in;
        argv[2] = ngx_http_delta_membership_id(&grants[i],
                                               &grants[i].channel);

        if (ngx_http_delta_redis_command(&hub->command,
                                         ngx_http_delta_membership_checked,
                                         check, 3, argv)
            == NGX_OK)
        {
            check->pending++;

        } else {
            check->rc = NGX_ERROR;
        }
    }

    if (check->pending == 0) {
        ngx_free(check);
        return NULL;
    }

    return check;
}


static void
ngx_http_delta_membership_checked(void *data, redisReply *reply)
{
    ngx_http_delta_check_t  *check = data;

    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        check->rc = NGX_ERROR;

        if (reply && reply->type == REDIS_REPLY_ERROR) {
            ngx_log_error(NGX_LOG_ERR, check->log, 0,
                          "delta: a set of in= cannot be read: %*s",
                          ngx_min(reply->len, 200), reply->str);
        }

    } else if (reply->integer != 1 && check->rc == NGX_OK) {
        check->rc = NGX_DECLINED;
    }

    if (--check->pending) {
        return;
    }

    if (check->handler) {
        check->handler(check->data, check->rc);
    }

    ngx_free(check);
}


void
ngx_http_delta_membership_cancel(void *data)
{
    ngx_http_delta_check_t  *check = data;

    check->handler = NULL;
}
