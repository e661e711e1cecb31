
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_keep.h"


#define NGX_HTTP_DELTA_KEEP_BATCH  100      /* keys of a question, or so */
#define NGX_HTTP_DELTA_KEEP_TOLD   60       /* seconds between errors */

#define NGX_HTTP_DELTA_KEEP_KEYS                                              \
    (NGX_HTTP_DELTA_KEEP_BATCH + NGX_HTTP_DELTA_MAX_RULES)


static void ngx_http_delta_keep_batch(ngx_http_delta_hub_t *hub,
    ngx_str_t *keys, ngx_uint_t n, time_t ttl);
static void ngx_http_delta_keep_done(void *data, redisReply *reply);


ngx_uint_t
ngx_http_delta_keep_whole(redisReply *reply, ngx_uint_t one, ngx_uint_t most)
{
    size_t  i;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return 0;
    }

    if (one) {
        return reply->elements == 2
               && reply->element[1]->type == REDIS_REPLY_INTEGER
               && reply->element[1]->integer == 1;
    }

    if (reply->elements > most) {
        return 1;
    }

    for (i = 0; i < reply->elements; i++) {

        if (ngx_http_delta_keep_marker(reply->element[i])) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_delta_keep_marker(redisReply *member)
{
    return member->type == REDIS_REPLY_STRING
           && member->len == sizeof(NGX_HTTP_DELTA_WHOLE) - 1
           && ngx_strncmp(member->str, NGX_HTTP_DELTA_WHOLE, member->len) == 0;
}


void
ngx_http_delta_keep_init(ngx_http_delta_hub_t *hub)
{
    ngx_queue_init(&hub->keeping);
}


void
ngx_http_delta_keep_hold(ngx_http_delta_session_t *s)
{
    ngx_uint_t  i;

    if (s->kept) {
        return;
    }

    s->kept = ngx_time();
    ngx_queue_init(&s->keeping);

    for (i = 0; i < s->ngrants; i++) {

        if (s->grants[i].own) {
            ngx_queue_insert_tail(&s->hub->keeping, &s->keeping);
            break;
        }
    }
}


void
ngx_http_delta_keep_release(ngx_http_delta_session_t *s)
{
    if (s->kept) {
        ngx_queue_remove(&s->keeping);
        s->kept = 0;
    }
}


/*
 * Those kept longest ago stand first.  As many a second as let all of them
 * have their turn in time, and somewhat more.
 */

void
ngx_http_delta_keep_tick(ngx_http_delta_hub_t *hub)
{
    time_t                     now, every, ttl;
    ngx_str_t                  argv[NGX_HTTP_DELTA_KEEP_KEYS];
    ngx_uint_t                 i, n, left;
    ngx_queue_t               *q;
    ngx_http_delta_grant_t    *grant;
    ngx_http_delta_session_t  *s;

    if (ngx_queue_empty(&hub->keeping) || !ngx_http_delta_redis_ready(hub)) {
        return;
    }

    now = ngx_time();
    every = hub->worker->conf->sets_every;
    left = 100 + 2 * hub->worker->nsessions / every;
    n = 0;
    ttl = 0;

    while (left-- && !ngx_queue_empty(&hub->keeping)) {
        q = ngx_queue_head(&hub->keeping);
        s = ngx_queue_data(q, ngx_http_delta_session_t, keeping);

        if (s->kept <= now && now - s->kept < every) {
            break;
        }

        s->kept = now;
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&hub->keeping, q);

        if (n && (n >= NGX_HTTP_DELTA_KEEP_BATCH || s->conf->sets->ttl != ttl))
        {
            ngx_http_delta_keep_batch(hub, argv, n, ttl);
            n = 0;
        }

        ttl = s->conf->sets->ttl;

        for (i = 0; i < s->ngrants; i++) {
            grant = &s->grants[i];

            if (grant->own) {
                argv[n++] = grant->from.len ? grant->from : grant->in;
            }
        }
    }

    if (n) {
        ngx_http_delta_keep_batch(hub, argv, n, ttl);
    }
}


static void
ngx_http_delta_keep_batch(ngx_http_delta_hub_t *hub, ngx_str_t *keys,
    ngx_uint_t n, time_t ttl)
{
    u_char     number[NGX_INT_T_LEN], seconds[NGX_TIME_T_LEN];
    ngx_str_t  argv[NGX_HTTP_DELTA_KEEP_KEYS + 4];

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_sets_keep");
    argv[2].data = number;
    argv[2].len = ngx_sprintf(number, "%ui", n) - number;

    ngx_memcpy(&argv[3], keys, n * sizeof(ngx_str_t));

    argv[3 + n].data = seconds;
    argv[3 + n].len = ngx_sprintf(seconds, "%T", ttl) - seconds;

    ngx_http_delta_redis_command(&hub->command, ngx_http_delta_keep_done, hub,
                                 4 + n, argv);
}


static void
ngx_http_delta_keep_done(void *data, redisReply *reply)
{
    ngx_http_delta_hub_t     *hub = data;
    ngx_http_delta_worker_t  *worker;

    worker = hub->worker;

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR
        || (worker->keep_told
            && ngx_time() - worker->keep_told < NGX_HTTP_DELTA_KEEP_TOLD))
    {
        return;
    }

    worker->keep_told = ngx_time();

    ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                  "delta: %V does not let the sets of memberships live "
                  "longer: %*s", &hub->conf->name, ngx_min(reply->len, 200),
                  reply->str);
}
