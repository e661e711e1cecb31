
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_status.h"
#include "ngx_http_delta_lease.h"
#include "ngx_http_delta_redis.h"
#include "core/delta_utf8.h"


static ngx_int_t ngx_http_delta_status_check(ngx_str_t *text, size_t max);
static ngx_int_t ngx_http_delta_status_set(ngx_http_delta_lease_t *lease,
    ngx_str_t *status, ngx_str_t *project);
static void ngx_http_delta_status_reply(void *data, redisReply *reply);


ngx_int_t
ngx_http_delta_status(ngx_http_delta_session_t *s, ngx_str_t *status,
    ngx_str_t *project)
{
    ngx_http_delta_lease_t  *lease;

    if (s->conf->presence_ttl == 0) {
        return NGX_DECLINED;
    }

    if (ngx_http_delta_status_check(status, NGX_HTTP_DELTA_STATUS_MAX)
        != NGX_OK
        || ngx_http_delta_status_check(project, NGX_HTTP_DELTA_PROJECT_MAX)
           != NGX_OK
        || status->len == 0
        || (status->len == 7 && ngx_memcmp(status->data, "offline", 7) == 0))
    {
        return NGX_ABORT;
    }

    /* before it has its channels: opened with this status */

    if (s->lease == NULL) {
        s->lease = ngx_http_delta_lease_create(s);

        if (s->lease == NULL) {
            return NGX_DECLINED;
        }
    }

    lease = s->lease;

    if (lease->failed) {
        return NGX_DECLINED;
    }

    if (ngx_http_delta_status_set(lease, status, project) != NGX_OK) {
        return NGX_DECLINED;
    }

    lease->unsaid = 1;

    return lease->opened ? ngx_http_delta_status_say(lease) : NGX_OK;
}


static ngx_int_t
ngx_http_delta_status_set(ngx_http_delta_lease_t *lease, ngx_str_t *status,
    ngx_str_t *project)
{
    if (lease->texts == NULL) {
        lease->texts = ngx_alloc(NGX_HTTP_DELTA_STATUS_MAX
                                 + NGX_HTTP_DELTA_PROJECT_MAX,
                                 lease->hub->worker->log);
        if (lease->texts == NULL) {
            return NGX_ERROR;
        }

        lease->status.data = lease->texts;
        lease->project.data = lease->texts + NGX_HTTP_DELTA_STATUS_MAX;
    }

    lease->status.len = status->len;
    lease->project.len = project->len;
    ngx_memcpy(lease->status.data, status->data, status->len);

    if (project->len) {
        ngx_memcpy(lease->project.data, project->data, project->len);
    }

    return NGX_OK;
}


void
ngx_http_delta_status_resumed(ngx_http_delta_lease_t *lease,
    redisReply *reply)
{
    ngx_str_t     status, project;
    redisReply  **element;

    element = reply->element;

    /* a function of another version may answer less */

    if (lease->unsaid || reply->elements < 4
        || element[2]->type != REDIS_REPLY_STRING
        || element[3]->type != REDIS_REPLY_STRING)
    {
        return;
    }

    status.data = (u_char *) element[2]->str;
    status.len = element[2]->len;
    project.data = (u_char *) element[3]->str;
    project.len = element[3]->len;

    if (status.len == 0 || status.len > NGX_HTTP_DELTA_STATUS_MAX
        || project.len > NGX_HTTP_DELTA_PROJECT_MAX
        || (project.len == 0 && status.len == lease->status.len
            && ngx_memcmp(status.data, lease->status.data, status.len) == 0))
    {
        return;
    }

    (void) ngx_http_delta_status_set(lease, &status, &project);
}


/* As the function checks it, but with an answer to the client. */

static ngx_int_t
ngx_http_delta_status_check(ngx_str_t *text, size_t max)
{
    size_t    i;
    uint32_t  state;

    state = 0;

    if (text->len > max
        || delta_utf8_check(&state, text->data, text->len) != 0 || state)
    {
        return NGX_ABORT;
    }

    for (i = 0; i < text->len; i++) {

        if (text->data[i] < 0x20 || text->data[i] == 0x7f) {
            return NGX_ABORT;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_delta_status_say(ngx_http_delta_lease_t *lease)
{
    u_char     buf[NGX_INT64_LEN];
    ngx_str_t  args[4];

    args[0] = lease->sid;
    args[1].data = buf;
    args[1].len = ngx_sprintf(buf, "%uL", lease->gen) - buf;
    args[2] = lease->status;
    args[3] = lease->project;

    /* what cannot be said now is said when Redis is back */

    if (ngx_http_delta_lease_call(lease, "delta_session_status",
                                  ngx_http_delta_status_reply, 4, args)
        == NGX_OK)
    {
        lease->unsaid = 0;
    }

    return NGX_OK;
}


static void
ngx_http_delta_status_reply(void *data, redisReply *reply)
{
    ngx_http_delta_lease_t  *lease = data;

    lease->calls--;

    if (lease->session == NULL) {
        ngx_http_delta_lease_done(lease);
        return;
    }

    if (reply == NULL) {
        lease->unsaid = 1;
        return;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
        && reply->element[1]->type == REDIS_REPLY_STRING)
    {
        ngx_http_delta_lease_lost(lease, reply->element[1]->str);
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, lease->hub->worker->log, 0,
                      "delta: the status of user \"%V\" cannot be set: %*s",
                      &lease->user, ngx_min(reply->len, 200), reply->str);
    }
}
