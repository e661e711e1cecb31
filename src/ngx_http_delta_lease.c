
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_lease.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_session.h"
#include "ngx_http_delta_status.h"
#include "ngx_http_delta_sweep.h"
#include "core/delta_json.h"


#define NGX_HTTP_DELTA_LEASE_SILENT  86400000   /* ms that Redis takes */


static void ngx_http_delta_lease_queue(ngx_http_delta_lease_t *lease,
    ngx_queue_t *queue);
static ngx_int_t ngx_http_delta_lease_token(ngx_http_delta_session_t *s,
    ngx_str_t *sid, ngx_str_t *gen);
static ngx_int_t ngx_http_delta_lease_ask(ngx_http_delta_lease_t *lease);
static ngx_int_t ngx_http_delta_lease_begin(ngx_http_delta_lease_t *lease);
static void ngx_http_delta_lease_resume_reply(void *data, redisReply *reply);
static void ngx_http_delta_lease_open_reply(void *data, redisReply *reply);
static uint64_t ngx_http_delta_lease_answer(ngx_http_delta_lease_t *lease,
    redisReply *reply);
static void ngx_http_delta_lease_opened(ngx_http_delta_lease_t *lease);
static void ngx_http_delta_lease_continue(ngx_http_delta_lease_t *lease);
static void ngx_http_delta_lease_take(ngx_http_delta_lease_t *lease);
static void ngx_http_delta_lease_leave_reply(void *data, redisReply *reply);


ngx_int_t
ngx_http_delta_lease_open(ngx_http_delta_session_t *s)
{
    ngx_http_delta_lease_t  *lease;

    if (s->conf->presence_ttl == 0) {
        return NGX_OK;
    }

    lease = s->lease;

    if (lease == NULL) {
        lease = ngx_http_delta_lease_create(s);

        if (lease == NULL) {
            ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_INTERNAL);
            return NGX_AGAIN;
        }

        s->lease = lease;
    }

    if (lease->opened || lease->failed) {
        return NGX_OK;
    }

    if (!lease->asking) {
        /* an error is the link's: its return attaches anew */
        (void) ngx_http_delta_lease_ask(lease);
    }

    return NGX_AGAIN;
}


ngx_http_delta_lease_t *
ngx_http_delta_lease_create(ngx_http_delta_session_t *s)
{
    u_char                  *p;
    size_t                   len;
    ngx_str_t               *prefix;
    ngx_http_delta_lease_t  *lease;

    prefix = &s->hub->conf->prefix;
    len = sizeof("delta:{presence:}") - 1 + prefix->len + s->user.len;

    lease = ngx_calloc(sizeof(ngx_http_delta_lease_t) + len
                       + NGX_HTTP_DELTA_SID_MAX, s->hub->worker->log);
    if (lease == NULL) {
        return NULL;
    }

    lease->hub = s->hub;
    lease->conf = s->conf;
    lease->session = s;

    p = (u_char *) (lease + 1);
    lease->key.data = p;
    lease->key.len = len;
    lease->channel.data = p + sizeof("delta:{") - 1;
    lease->channel.len = len - (sizeof("delta:{}") - 1);
    lease->user.data = p + len - 1 - s->user.len;
    lease->user.len = s->user.len;

    ngx_sprintf(p, "delta:{%Vpresence:%V}", prefix, &s->user);

    p += len;
    lease->sid.data = p;
    lease->sid.len = s->id.len;
    ngx_memcpy(p, s->id.data, s->id.len);

    ngx_str_set(&lease->status, "online");
    ngx_str_set(&lease->project, "");

    return lease;
}


void
ngx_http_delta_lease_done(ngx_http_delta_lease_t *lease)
{
    if (lease->session || lease->calls || lease->queued) {
        return;
    }

    if (lease->texts) {
        ngx_free(lease->texts);
    }

    ngx_free(lease);
}


static void
ngx_http_delta_lease_queue(ngx_http_delta_lease_t *lease, ngx_queue_t *queue)
{
    if (lease->queued) {
        ngx_queue_remove(&lease->queue);
        ngx_http_delta_metric(lease->hub->worker, LEASES, -1);
    }

    lease->queued = (queue != NULL);

    if (queue) {
        ngx_queue_insert_tail(queue, &lease->queue);
        ngx_http_delta_metric(lease->hub->worker, LEASES, 1);
    }
}


/* "<sid>.<gen>" of the request; NGX_DECLINED: none, or not one of ours. */

static ngx_int_t
ngx_http_delta_lease_token(ngx_http_delta_session_t *s, ngx_str_t *sid,
    ngx_str_t *gen)
{
    u_char     *p, *last;
    ngx_str_t   token;

    if (ngx_http_arg(s->request, (u_char *) "resume", 6, &token) != NGX_OK
        || token.len == 0)
    {
        return NGX_DECLINED;
    }

    last = token.data + token.len;

    for (p = token.data; p < last && *p != '.'; p++) {

        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z')
              || (*p >= 'A' && *p <= 'Z') || *p == '_' || *p == '-'))
        {
            return NGX_ABORT;
        }
    }

    sid->data = token.data;
    sid->len = p - token.data;
    gen->data = p + 1;
    gen->len = p < last ? last - p - 1 : 0;

    if (sid->len == 0 || sid->len > NGX_HTTP_DELTA_SID_MAX
        || gen->len > 15 || ngx_atoof(gen->data, gen->len) <= 0)
    {
        return NGX_ABORT;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_delta_lease_ask(ngx_http_delta_lease_t *lease)
{
    u_char      buf[2 * NGX_INT64_LEN];
    ngx_int_t   rc;
    ngx_str_t   args[4], sid, gen;

    if (lease->tried) {
        return ngx_http_delta_lease_begin(lease);
    }

    rc = ngx_http_delta_lease_token(lease->session, &sid, &gen);

    if (rc != NGX_OK) {
        lease->tried = 1;

        if (rc == NGX_ABORT) {
            ngx_http_delta_metric(lease->hub->worker, TOKENS_REFUSED, 1);
        }

        return ngx_http_delta_lease_begin(lease);
    }

    ngx_memcpy(lease->sid.data, sid.data, sid.len);
    lease->sid.len = sid.len;

    args[0] = sid;
    args[1] = gen;
    args[2].data = buf;
    args[2].len = ngx_sprintf(buf, "%M", lease->conf->presence_lease) - buf;
    args[3].data = buf + NGX_INT64_LEN;
    args[3].len = ngx_sprintf(args[3].data, "%M", lease->conf->resume_window)
                  - args[3].data;

    if (ngx_http_delta_lease_call(lease, "delta_session_resume",
                                  ngx_http_delta_lease_resume_reply, 4, args)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    lease->asking = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_delta_lease_call(ngx_http_delta_lease_t *lease,
    const char *function, ngx_http_delta_reply_pt handler, ngx_uint_t n,
    ngx_str_t *args)
{
    u_char      seen[NGX_HTTP_DELTA_SWEEP_KEY];
    ngx_str_t   argv[12];
    ngx_uint_t  i;

    ngx_str_set(&argv[0], "FCALL");
    argv[1].data = (u_char *) function;
    argv[1].len = ngx_strlen(function);
    ngx_str_set(&argv[2], "2");
    argv[3] = lease->key;
    argv[4] = ngx_http_delta_sweep_key(lease->hub, "last_seen", seen);
    argv[5] = lease->channel;

    for (i = 0; i < n; i++) {
        argv[6 + i] = args[i];
    }

    if (ngx_http_delta_redis_command(&lease->hub->command, handler, lease,
                                     6 + n, argv)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    lease->calls++;

    return NGX_OK;
}


/* The index first: whoever sweeps finds what is opened next. */

static ngx_int_t
ngx_http_delta_lease_begin(ngx_http_delta_lease_t *lease)
{
    u_char     buf[2 * NGX_INT64_LEN];
    ngx_str_t  args[5];

    if (ngx_http_delta_sweep_add(lease->hub, &lease->user, 1,
                                 ngx_http_delta_lease_window(lease))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    args[0] = lease->sid;
    args[1].data = buf;
    args[1].len = ngx_sprintf(buf, "%M", lease->conf->presence_lease) - buf;
    args[2].data = buf + NGX_INT64_LEN;
    args[2].len = ngx_sprintf(args[2].data, "%M", lease->conf->resume_window)
                  - args[2].data;
    args[3] = lease->status;
    args[4] = lease->project;

    if (ngx_http_delta_lease_call(lease, "delta_session_open",
                                  ngx_http_delta_lease_open_reply, 5, args)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    lease->asking = 1;
    lease->unsaid = 0;
    lease->added = ngx_current_msec;

    return NGX_OK;
}


static void
ngx_http_delta_lease_resume_reply(void *data, redisReply *reply)
{
    uint64_t                   gen;
    ngx_http_delta_lease_t    *lease = data;
    ngx_http_delta_session_t  *s;

    lease->calls--;
    lease->asking = 0;

    if (reply == NULL) {
        ngx_http_delta_lease_done(lease);
        return;
    }

    s = lease->session;
    lease->tried = 1;

    gen = ngx_http_delta_lease_answer(lease, reply);

    if (gen) {
        ngx_http_delta_metric(lease->hub->worker, TOKENS_RESUMED, 1);
        lease->resumed = 1;
        lease->gen = gen;
        ngx_http_delta_status_resumed(lease, reply);
        ngx_http_delta_lease_take(lease);
        ngx_http_delta_lease_opened(lease);
        return;
    }

    if (s == NULL) {
        ngx_http_delta_lease_done(lease);
        return;
    }

    ngx_memcpy(lease->sid.data, s->id.data, s->id.len);
    lease->sid.len = s->id.len;

    if (lease->failed) {
        ngx_http_delta_lease_continue(lease);
        return;
    }

    ngx_http_delta_metric(lease->hub->worker, TOKENS_REFUSED, 1);
    (void) ngx_http_delta_lease_begin(lease);
}


/* The session is the one of the token now: who else held it must go. */

static void
ngx_http_delta_lease_take(ngx_http_delta_lease_t *lease)
{
    u_char                     name[600], text[160], *p;
    ngx_str_t                  argv[3];
    ngx_http_delta_ctx_t      *ctx;
    ngx_http_delta_session_t  *s;

    s = lease->session;

    /* the access log names it after the session has ended */

    p = s ? ngx_pnalloc(s->request->pool, lease->sid.len) : NULL;

    if (p) {
        s->id.data = p;
        s->id.len = lease->sid.len;
        ngx_memcpy(p, lease->sid.data, s->id.len);

        ctx = ngx_http_get_module_ctx(s->request, ngx_http_delta_module);
        ctx->session_id = s->id;
    }

    ngx_str_set(&argv[0], "PUBLISH");
    argv[1].data = name;
    argv[1].len = ngx_snprintf(name, sizeof(name), "%Vuser:%V:control",
                               &lease->hub->conf->prefix, &lease->user)
                  - name;
    argv[2].data = text;
    argv[2].len = ngx_snprintf(text, sizeof(text),
                               "{\"t\":\"replaced\",\"d\":{\"session\":\"%V\","
                               "\"gen\":%uL}}", &lease->sid, lease->gen)
                  - text;

    ngx_http_delta_redis_command(&lease->hub->command, NULL, NULL, 3, argv);
}


static void
ngx_http_delta_lease_open_reply(void *data, redisReply *reply)
{
    uint64_t                 gen;
    ngx_http_delta_lease_t  *lease = data;

    lease->calls--;
    lease->asking = 0;

    gen = reply ? ngx_http_delta_lease_answer(lease, reply) : 0;

    if (gen) {
        lease->gen = gen;
        ngx_http_delta_lease_opened(lease);
        return;
    }

    if (reply && lease->session) {
        ngx_http_delta_lease_continue(lease);
        return;
    }

    ngx_http_delta_lease_done(lease);
}


/* The first number of an answer; 0 is none, or an error, which is logged. */

static uint64_t
ngx_http_delta_lease_answer(ngx_http_delta_lease_t *lease, redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements
        && reply->element[0]->type == REDIS_REPLY_INTEGER)
    {
        return reply->element[0]->integer;
    }

    lease->failed = 1;

    ngx_http_delta_metric(lease->hub->worker, LEASES_FAILED, 1);
    ngx_log_error(NGX_LOG_ERR, lease->hub->worker->log, 0,
                  "delta: the presence of user \"%V\" cannot be kept: %*s",
                  &lease->user,
                  reply->type == REDIS_REPLY_ERROR ? ngx_min(reply->len, 200)
                                                   : 0, reply->str);

    return 0;
}


static void
ngx_http_delta_lease_opened(ngx_http_delta_lease_t *lease)
{
    lease->opened = 1;
    lease->refreshed = ngx_current_msec;

    if (lease->session == NULL) {
        ngx_http_delta_lease_queue(lease, &lease->hub->leaving);
        ngx_http_delta_lease_part(lease);
        return;
    }

    ngx_http_delta_lease_queue(lease, &lease->hub->leases);

    if (lease->unsaid) {
        (void) ngx_http_delta_status_say(lease);
    }

    ngx_http_delta_lease_continue(lease);
}


static void
ngx_http_delta_lease_continue(ngx_http_delta_lease_t *lease)
{
    ngx_http_delta_session_t  *s;

    s = lease->session;

    if (s->state == NGX_HTTP_DELTA_SUBSCRIBING && s->unacked == 0) {
        ngx_http_delta_session_leased(s);
    }
}


ngx_uint_t
ngx_http_delta_lease_resumed(ngx_http_delta_session_t *s)
{
    return s->lease && s->lease->resumed;
}


u_char *
ngx_http_delta_lease_member(ngx_http_delta_session_t *s, u_char *p)
{
    ngx_http_delta_lease_t  *lease;

    lease = s->lease;

    if (lease == NULL || !lease->opened) {
        return p;
    }

    return ngx_sprintf(p, ",\"resume_token\":\"%V.%uL\""
                       ",\"resume_window_ms\":%M", &lease->sid, lease->gen,
                       lease->conf->resume_window);
}


void
ngx_http_delta_lease_lost(ngx_http_delta_lease_t *lease, const char *what)
{
    ngx_http_delta_session_t  *s;

    s = lease->session;

    if (s == NULL || !lease->opened || s->state == NGX_HTTP_DELTA_CLOSING) {
        return;
    }

    if (ngx_strcmp(what, "replaced") == 0) {
        lease->replaced = 1;
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_REPLACED);
        return;
    }

    ngx_http_delta_metric(lease->hub->worker, LEASES_GONE, 1);

    if (ngx_http_delta_lease_silent(s) >= ngx_http_delta_lease_window(lease)) {
        ngx_http_delta_session_close(s, NGX_HTTP_DELTA_CLOSE_HEARTBEAT);
        return;
    }

    lease->opened = 0;
    ngx_http_delta_lease_queue(lease, NULL);
    (void) ngx_http_delta_lease_begin(lease);
}


void
ngx_http_delta_lease_fence(ngx_http_delta_channel_t *channel,
    delta_event_t *event)
{
    size_t                     pos;
    uint64_t                   gen;
    ngx_uint_t                 i;
    delta_str_t                key, sid = { "", 0 };
    delta_json_t               d, value;
    ngx_http_delta_lease_t    *lease;
    ngx_http_delta_session_t  *s;

    gen = 0;
    pos = 0;

    delta_json_parse(&d, event->d.data, event->d.len);

    while (delta_json_next(&d, &pos, &key, &value)) {

        if (delta_str_eq(key, "session") && value.type == DELTA_JSON_STRING) {
            sid.data = value.raw.data + 1;
            sid.len = value.raw.len - 2;

        } else if (delta_str_eq(key, "gen")
                   && value.type == DELTA_JSON_NUMBER)
        {
            gen = ngx_max(ngx_atoof((u_char *) value.raw.data, value.raw.len),
                          0);
        }
    }

    for (i = 0; i < channel->nmembers; i++) {
        s = channel->members[i].session;
        lease = s->lease;

        if (lease && lease->opened && lease->gen < gen
            && lease->sid.len == sid.len
            && ngx_memcmp(lease->sid.data, sid.data, sid.len) == 0)
        {
            ngx_http_delta_lease_lost(lease, "replaced");
        }
    }
}


void
ngx_http_delta_lease_leave(ngx_http_delta_session_t *s)
{
    ngx_msec_t               window, silent, grace;
    ngx_http_delta_lease_t  *lease;

    lease = s->lease;

    if (lease == NULL) {
        return;
    }

    window = ngx_http_delta_lease_window(lease);
    silent = ngx_http_delta_lease_silent(s);
    grace = 0;

    if (!s->final && silent < window) {
        grace = ngx_min(lease->conf->resume_window, window - silent);
    }

    s->lease = NULL;
    lease->session = NULL;
    lease->until = ngx_current_msec + grace;

    ngx_http_delta_lease_queue(lease, NULL);

    if (lease->opened && !lease->replaced) {
        ngx_http_delta_lease_queue(lease, &lease->hub->leaving);
        ngx_http_delta_lease_part(lease);
        return;
    }

    ngx_http_delta_lease_done(lease);
}


void
ngx_http_delta_lease_part(ngx_http_delta_lease_t *lease)
{
    u_char      buf[2 * NGX_INT64_LEN];
    ngx_str_t   args[3];
    ngx_msec_t  grace;

    grace = lease->until - ngx_current_msec;

    if ((ngx_msec_int_t) grace < 0) {
        grace = 0;
    }

    lease->hub->lease_timer.cancelable = 0;

    if (grace && ngx_http_delta_sweep_add(lease->hub, &lease->user, 1,
                                          grace)
                 != NGX_OK)
    {
        return;
    }

    args[0] = lease->sid;
    args[1].data = buf;
    args[1].len = ngx_sprintf(buf, "%uL", lease->gen) - buf;
    args[2].data = buf + NGX_INT64_LEN;
    args[2].len = ngx_sprintf(args[2].data, "%M", grace) - args[2].data;

    (void) ngx_http_delta_lease_call(lease, "delta_session_leave",
                                     ngx_http_delta_lease_leave_reply, 3,
                                     args);
}


static void
ngx_http_delta_lease_leave_reply(void *data, redisReply *reply)
{
    ngx_http_delta_hub_t    *hub;
    ngx_http_delta_lease_t  *lease = data;

    hub = lease->hub;
    lease->calls--;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, hub->worker->log, 0,
                      "delta: user \"%V\" cannot leave: %*s", &lease->user,
                      ngx_min(reply->len, 200), reply->str);
    }

    ngx_http_delta_lease_queue(lease, NULL);
    ngx_http_delta_lease_done(lease);

    hub->lease_timer.cancelable = ngx_queue_empty(&hub->leaving);
}


/*
 * Since when nothing was heard, in ms.  Clients of event streams say nothing,
 * but their hosts acknowledge what is sent.
 */

ngx_msec_t
ngx_http_delta_lease_silent(ngx_http_delta_session_t *s)
{
    time_t           silent;
#if (NGX_HAVE_TCP_INFO)
    socklen_t        len;
    struct tcp_info  info;
#endif

    silent = ngx_time() - s->heard;

    if (s->transport->transport == NGX_HTTP_DELTA_SSE) {
        silent = s->blocked ? ngx_time() - s->blocked : 0;

#if (NGX_HAVE_TCP_INFO)
        len = sizeof(struct tcp_info);

        if (getsockopt(s->connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len)
            == 0)
        {
            silent = ngx_max(silent, info.tcpi_last_ack_recv / 1000);
        }
#endif
    }

    silent = ngx_max(silent, 0);

    return ngx_min((ngx_msec_t) silent * 1000, NGX_HTTP_DELTA_LEASE_SILENT);
}
