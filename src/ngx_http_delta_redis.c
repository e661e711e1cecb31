
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_redis.h"
#include "ngx_http_delta_metrics.h"


static void ngx_http_delta_redis_init(ngx_http_delta_hub_t *hub,
    ngx_http_delta_link_t *link, ngx_uint_t pubsub);
static void ngx_http_delta_redis_hello(ngx_http_delta_link_t *link);
static void ngx_http_delta_redis_greeted(void *data, redisReply *reply);
static void ngx_http_delta_redis_up(void *data, redisReply *reply);
static void ngx_http_delta_redis_version(void *data, redisReply *reply);
static void ngx_http_delta_redis_loaded(void *data, redisReply *reply);
static void ngx_http_delta_redis_ping(ngx_http_delta_link_t *link);
static ngx_int_t ngx_http_delta_redis_reply(ngx_http_delta_link_t *link,
    redisReply *reply);
static ngx_int_t ngx_http_delta_redis_push(ngx_http_delta_link_t *link,
    redisReply *reply);
static void ngx_http_delta_redis_down(ngx_http_delta_link_t *link,
    ngx_uint_t was_ready);
static void ngx_http_delta_redis_forget(ngx_http_delta_link_t *link);


void
ngx_http_delta_redis_open(ngx_http_delta_hub_t *hub)
{
    ngx_http_delta_redis_init(hub, &hub->pubsub, 1);
    ngx_http_delta_redis_init(hub, &hub->command, 0);

    ngx_http_delta_link_open(&hub->pubsub);
    ngx_http_delta_link_open(&hub->command);
}


static void
ngx_http_delta_redis_init(ngx_http_delta_hub_t *hub,
    ngx_http_delta_link_t *link, ngx_uint_t pubsub)
{
    link->hub = hub;
    link->pubsub = pubsub;
    ngx_queue_init(&link->calls);

    link->opened = ngx_http_delta_redis_hello;
    link->reply = ngx_http_delta_redis_reply;
    link->quiet = ngx_http_delta_redis_ping;
    link->lost = ngx_http_delta_redis_down;
}


void
ngx_http_delta_redis_close(ngx_http_delta_hub_t *hub)
{
    ngx_uint_t              i;
    ngx_http_delta_link_t  *links[] = { &hub->pubsub, &hub->command };

    for (i = 0; i < 2; i++) {
        ngx_http_delta_link_close(links[i]);
        ngx_http_delta_redis_forget(links[i]);
    }
}


/* The answer to the last of them says that the link can be used. */

static void
ngx_http_delta_redis_hello(ngx_http_delta_link_t *link)
{
    ngx_str_t                     argv[3];
    ngx_uint_t                    n;
    ngx_http_delta_redis_conf_t  *conf;

    conf = link->hub->conf;

    if (conf->password.len) {
        ngx_str_set(&argv[0], "AUTH");
        n = 1;

        if (conf->user.len) {
            argv[n++] = conf->user;
        }

        argv[n++] = conf->password;
        ngx_http_delta_redis_command(link, ngx_http_delta_redis_greeted, link,
                                     n, argv);
    }

    if (conf->db.len) {
        ngx_str_set(&argv[0], "SELECT");
        argv[1] = conf->db;
        ngx_http_delta_redis_command(link, ngx_http_delta_redis_greeted, link,
                                     2, argv);
    }

    if (!link->pubsub) {
        ngx_str_set(&argv[0], "FCALL_RO");
        ngx_str_set(&argv[1], "delta_version");
        ngx_str_set(&argv[2], "0");
        ngx_http_delta_redis_command(link, ngx_http_delta_redis_version, link,
                                     3, argv);
    }

    ngx_str_set(&argv[0], "CLIENT");
    ngx_str_set(&argv[1], "SETNAME");
    ngx_str_set(&argv[2], "delta");
    ngx_http_delta_redis_command(link, ngx_http_delta_redis_up, link, 3, argv);
}


static void
ngx_http_delta_redis_greeted(void *data, redisReply *reply)
{
    size_t                  len;
    ngx_uint_t              login;
    ngx_http_delta_link_t  *link = data;

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR
        || link->peer.connection->error)
    {
        return;
    }

    link->peer.connection->error = 1;

    len = ngx_min(reply->len, 200);

    if (ngx_http_delta_link_trouble(link, NGX_HTTP_DELTA_REFUSED,
                                    ngx_crc32_short((u_char *) reply->str,
                                                    len)))
    {
        login = ngx_strncmp(reply->str, "NOAUTH", 6) == 0
                || ngx_strncmp(reply->str, "WRONGPASS", 9) == 0;

        ngx_log_error(NGX_LOG_ERR, link->hub->worker->log, 0,
                      "delta: Redis %V cannot be used: %*s%s", &link->whom,
                      len, reply->str,
                      login ? ", check user= and password_file= of "
                              "delta_redis" : "");
    }
}


static void
ngx_http_delta_redis_up(void *data, redisReply *reply)
{
    ngx_uint_t              troubled;
    ngx_http_delta_hub_t   *hub;
    ngx_http_delta_link_t  *other, *link = data;

    hub = link->hub;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && (ngx_strncmp(reply->str, "NOAUTH", 6) == 0
            || ngx_strncmp(reply->str, "LOADING", 7) == 0))
    {
        ngx_http_delta_redis_greeted(data, reply);
        return;
    }

    other = ngx_http_delta_link_other(link);

    if (other->ready && !ngx_http_delta_link_same(&link->addr, &other->addr)) {
        ngx_http_delta_link_renew(other, "the other link is elsewhere");
    }

    link->ready = 1;

    ngx_http_delta_metric(hub->worker, REDIS_CONNECTS, 1);

    if (!ngx_http_delta_redis_ready(hub)) {
        return;
    }

    troubled = hub->started || hub->troubles[NGX_HTTP_DELTA_UNREACHED].logged
               || hub->troubles[NGX_HTTP_DELTA_REFUSED].logged;

    ngx_memzero(hub->troubles, sizeof(hub->troubles));

    ngx_log_error(NGX_LOG_NOTICE, hub->worker->log, 0,
                  troubled ? "delta: Redis %V is back"
                           : "delta: connected to Redis %V", &link->whom);
    hub->link_up(hub);
}


static void
ngx_http_delta_redis_version(void *data, redisReply *reply)
{
    long long               have, want;
    ngx_str_t               argv[4], *library;
    const char             *mark;
    ngx_http_delta_link_t  *link = data;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && ngx_strncmp(reply->str, "ERR", 3) != 0)
    {
        /* while loading it takes CLIENT and SUBSCRIBE, but reads nothing */
        if (ngx_strncmp(reply->str, "LOADING", 7) == 0) {
            ngx_http_delta_redis_greeted(link, reply);
        }

        return;
    }

    library = &link->hub->worker->conf->library;

    have = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;

    mark = strstr((char *) library->data, "local VERSION = ");
    want = mark ? atoi(mark + sizeof("local VERSION = ") - 1) : 0;

    if (have >= want) {
        return;
    }

    ngx_str_set(&argv[0], "FUNCTION");
    ngx_str_set(&argv[1], "LOAD");
    ngx_str_set(&argv[2], "REPLACE");
    argv[3] = *library;

    ngx_http_delta_redis_command(link, ngx_http_delta_redis_loaded, link, 4,
                                 argv);
}


static void
ngx_http_delta_redis_loaded(void *data, redisReply *reply)
{
    ngx_http_delta_link_t  *link = data;

    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, link->hub->worker->log, 0,
                      "delta: %V does not take the function library, "
                      "FCALL delta_publish is not available there: %*s",
                      &link->hub->conf->name,
                      ngx_min(reply->len, 200), reply->str);
    }
}


static void
ngx_http_delta_redis_ping(ngx_http_delta_link_t *link)
{
    ngx_str_t  ping;

    ngx_str_set(&ping, "PING");
    ngx_http_delta_redis_command(link, NULL, NULL, 1, &ping);
}


static ngx_int_t
ngx_http_delta_redis_reply(ngx_http_delta_link_t *link, redisReply *reply)
{
    ngx_queue_t            *q;
    ngx_http_delta_call_t  *call;

    if (link->pubsub && reply->type == REDIS_REPLY_ARRAY) {
        return ngx_http_delta_redis_push(link, reply);
    }

    if (ngx_queue_empty(&link->calls)) {

        if (link->pubsub && reply->type == REDIS_REPLY_ERROR) {
            ngx_log_error(NGX_LOG_ERR, link->hub->worker->log, 0,
                          "delta: %V refused a subscription: %*s",
                          &link->hub->conf->name,
                          ngx_min(reply->len, 200), reply->str);
            return NGX_OK;
        }

        /* PONG while nothing is subscribed */
        return (link->pubsub && reply->type == REDIS_REPLY_STATUS)
               ? NGX_OK : NGX_ERROR;
    }

    q = ngx_queue_head(&link->calls);
    ngx_queue_remove(q);

    call = ngx_queue_data(q, ngx_http_delta_call_t, queue);

    if (call->handler) {
        call->handler(call->data, reply);
    }

    ngx_free(call);

    return link->peer.connection->error ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_delta_redis_push(ngx_http_delta_link_t *link, redisReply *reply)
{
    size_t                 i;
    ngx_str_t              part[3];
    ngx_http_delta_hub_t  *hub;

    hub = link->hub;

    ngx_memzero(part, sizeof(part));

    for (i = 0; i < reply->elements && i < 3; i++) {
        if (reply->element[i]->type == REDIS_REPLY_STRING) {
            part[i].data = (u_char *) reply->element[i]->str;
            part[i].len = reply->element[i]->len;
        }
    }

#define kind(text)                                                            \
    (part[0].len == sizeof(text) - 1                                          \
     && ngx_strncmp(part[0].data, text, sizeof(text) - 1) == 0)

    if (reply->elements == 3 && kind("message")) {

        if (part[1].data && part[2].data) {
            hub->message(hub, &part[1], &part[2]);
        }

        return NGX_OK;
    }

    if (reply->elements == 3 && kind("subscribe")) {

        if (part[1].data) {
            hub->subscribed(hub, &part[1]);
        }

        return NGX_OK;
    }

    if (kind("unsubscribe") || kind("pong")) {
        return NGX_OK;
    }

#undef kind

    return NGX_ERROR;
}


ngx_int_t
ngx_http_delta_redis_command(ngx_http_delta_link_t *link,
    ngx_http_delta_reply_pt handler, void *data, ngx_uint_t argc,
    ngx_str_t *argv)
{
    u_char                 *p;
    size_t                  size;
    ngx_uint_t              i;
    ngx_http_delta_call_t  *call;

    if (link->peer.connection == NULL || link->peer.connection->error) {
        return NGX_ERROR;
    }

    size = 1 + NGX_SIZE_T_LEN + 2;
    for (i = 0; i < argc; i++) {
        size += 1 + NGX_SIZE_T_LEN + 2 + argv[i].len + 2;
    }

    p = ngx_http_delta_link_reserve(link, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (!link->pubsub || !link->ready) {
        call = ngx_alloc(sizeof(ngx_http_delta_call_t),
                         link->hub->worker->log);
        if (call == NULL) {
            return NGX_ERROR;
        }

        call->handler = handler;
        call->data = data;
        ngx_queue_insert_tail(&link->calls, &call->queue);
    }

    p = ngx_sprintf(p, "*%ui" CRLF, argc);

    for (i = 0; i < argc; i++) {
        p = ngx_sprintf(p, "$%uz" CRLF, argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
        *p++ = CR;
        *p++ = LF;
    }

    ngx_http_delta_link_send(link, p);

    return NGX_OK;
}


static void
ngx_http_delta_redis_down(ngx_http_delta_link_t *link, ngx_uint_t was_ready)
{
    ngx_http_delta_link_t  *other;

    ngx_http_delta_redis_forget(link);

    other = ngx_http_delta_link_other(link);

    if (was_ready && other->ready) {

        /* what was asked there was asked while events could be heard */

        ngx_http_delta_link_renew(other, "the other link is down");

        link->hub->link_down(link->hub);
    }
}


/* Those who wait for replies hear NULL. */

static void
ngx_http_delta_redis_forget(ngx_http_delta_link_t *link)
{
    ngx_queue_t            *q, calls;
    ngx_http_delta_call_t  *call;

    if (ngx_queue_empty(&link->calls)) {
        return;
    }

    /* handlers may queue nothing here, but they may look */
    ngx_queue_init(&calls);
    ngx_queue_add(&calls, &link->calls);
    ngx_queue_init(&link->calls);

    while (!ngx_queue_empty(&calls)) {
        q = ngx_queue_head(&calls);
        ngx_queue_remove(q);
        call = ngx_queue_data(q, ngx_http_delta_call_t, queue);

        if (call->handler) {
            call->handler(call->data, NULL);
        }

        ngx_free(call);
    }
}
