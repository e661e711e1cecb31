
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_sweep.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include "core/delta_name.h"


#define NGX_HTTP_DELTA_SWEEP_LIMIT  100         /* users */
#define NGX_HTTP_DELTA_SWEEP_MARK   32          /* bytes of a mark */
#define NGX_HTTP_DELTA_SWEEP_HOLD   "10000"     /* ms */


/* One user who is looked at. */
typedef struct {
    ngx_http_delta_hub_t        *hub;
    ngx_str_t                    mark;
    ngx_str_t                    user;
} ngx_http_delta_swept_t;


static void ngx_http_delta_sweep_claimed(void *data, redisReply *reply);
static void ngx_http_delta_sweep_user(ngx_http_delta_hub_t *hub,
    redisReply *mark, redisReply *user);
static void ngx_http_delta_sweep_expired(void *data, redisReply *reply);


void
ngx_http_delta_sweep_start(ngx_http_delta_hub_t *hub)
{
    hub->sweep = ngx_current_msec + hub->conf->presence;
    hub->sweeping = 0;
}


void
ngx_http_delta_sweep(ngx_http_delta_hub_t *hub)
{
    u_char     key[NGX_HTTP_DELTA_SWEEP_KEY], limit[NGX_INT_T_LEN];
    ngx_str_t  argv[6];

    if (hub->sweeping || (ngx_msec_int_t) (ngx_current_msec - hub->sweep) < 0)
    {
        return;
    }

    hub->sweep = ngx_current_msec + hub->conf->presence / 4;

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_leases_claim");
    ngx_str_set(&argv[2], "1");
    argv[3] = ngx_http_delta_sweep_key(hub, "leases", key);
    argv[4].data = limit;
    argv[4].len = ngx_sprintf(limit, "%d", NGX_HTTP_DELTA_SWEEP_LIMIT) - limit;
    ngx_str_set(&argv[5], NGX_HTTP_DELTA_SWEEP_HOLD);

    if (ngx_http_delta_redis_command(&hub->command,
                                     ngx_http_delta_sweep_claimed, hub, 6,
                                     argv)
        == NGX_OK)
    {
        hub->sweeping = 1;
    }
}


static void
ngx_http_delta_sweep_claimed(void *data, redisReply *reply)
{
    size_t                 i;
    redisReply            *users;
    ngx_http_delta_hub_t  *hub = data;

    hub->sweeping = 0;

    if (reply == NULL) {
        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[0]->len > NGX_HTTP_DELTA_SWEEP_MARK
        || reply->element[1]->type != REDIS_REPLY_ARRAY
        || reply->element[1]->elements > NGX_HTTP_DELTA_SWEEP_LIMIT)
    {
        ngx_log_error(NGX_LOG_ERR, hub->worker->log, 0,
                      "delta: leases cannot be swept: %*s",
                      reply->type == REDIS_REPLY_ERROR
                          ? ngx_min(reply->len, 200) : 0,
                      reply->str);
        hub->sweep = ngx_current_msec + 60000;
        return;
    }

    users = reply->element[1];

    for (i = 0; i < users->elements; i++) {

        if (users->element[i]->type == REDIS_REPLY_STRING
            && delta_name_segment(users->element[i]->str,
                                  users->element[i]->len))
        {
            ngx_http_delta_sweep_user(hub, reply->element[0],
                                      users->element[i]);
        }
    }

    if (users->elements == NGX_HTTP_DELTA_SWEEP_LIMIT) {
        /* there may be more of them: a host with many has died */
        hub->sweep = ngx_current_msec;

        if (!ngx_exiting) {
            ngx_http_delta_sweep(hub);
        }
    }
}


static void
ngx_http_delta_sweep_user(ngx_http_delta_hub_t *hub, redisReply *mark,
    redisReply *user)
{
    u_char                   key[NGX_HTTP_DELTA_SWEEP_KEY + 200];
    u_char                   seen[NGX_HTTP_DELTA_SWEEP_KEY];
    ngx_str_t                argv[6];
    ngx_http_delta_swept_t  *swept;

    swept = ngx_alloc(sizeof(ngx_http_delta_swept_t) + mark->len + user->len,
                      hub->worker->log);
    if (swept == NULL) {
        return;
    }

    swept->hub = hub;
    swept->mark.data = (u_char *) (swept + 1);
    swept->mark.len = mark->len;
    swept->user.data = ngx_cpymem(swept->mark.data, mark->str, mark->len);
    swept->user.len = user->len;
    ngx_memcpy(swept->user.data, user->str, user->len);

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_presence_expire");
    ngx_str_set(&argv[2], "2");
    argv[3].data = key;
    argv[3].len = ngx_snprintf(key, sizeof(key), "delta:{%Vpresence:%V}",
                               &hub->conf->prefix, &swept->user)
                  - key;
    argv[4] = ngx_http_delta_sweep_key(hub, "last_seen", seen);
    argv[5].data = key + sizeof("delta:{") - 1;
    argv[5].len = argv[3].len - (sizeof("delta:{}") - 1);

    if (ngx_http_delta_redis_command(&hub->command,
                                     ngx_http_delta_sweep_expired, swept, 6,
                                     argv)
        != NGX_OK)
    {
        ngx_free(swept);
        return;
    }

    ngx_http_delta_metric(hub->worker, SWEPT, 1);
}


static void
ngx_http_delta_sweep_expired(void *data, redisReply *reply)
{
    u_char                   key[NGX_HTTP_DELTA_SWEEP_KEY];
    u_char                   next[NGX_INT64_LEN];
    ngx_str_t                argv[7];
    ngx_http_delta_hub_t    *hub;
    ngx_http_delta_swept_t  *swept = data;

    hub = swept->hub;

    /* what was not answered is claimed again when the hold has passed */

    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        ngx_str_set(&argv[0], "FCALL");
        ngx_str_set(&argv[1], "delta_leases_done");
        ngx_str_set(&argv[2], "1");
        argv[3] = ngx_http_delta_sweep_key(hub, "leases", key);
        argv[4] = swept->user;
        argv[5] = swept->mark;
        argv[6].data = next;
        argv[6].len = ngx_sprintf(next, "%uL", (uint64_t) reply->integer)
                      - next;

        ngx_http_delta_redis_command(&hub->command, NULL, NULL, 7, argv);

    } else if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, hub->worker->log, 0,
                      "delta: the leases of user \"%V\" cannot be swept: %*s",
                      &swept->user, ngx_min(reply->len, 200), reply->str);
    }

    ngx_free(swept);
}


ngx_int_t
ngx_http_delta_sweep_add(ngx_http_delta_hub_t *hub, ngx_str_t *users,
    ngx_uint_t n, ngx_msec_t delay)
{
    u_char      key[NGX_HTTP_DELTA_SWEEP_KEY], ms[NGX_INT64_LEN];
    ngx_str_t   argv[2 * NGX_HTTP_DELTA_SWEEP_BATCH + 4], *arg;
    ngx_uint_t  i;

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_leases_add");
    ngx_str_set(&argv[2], "1");
    argv[3] = ngx_http_delta_sweep_key(hub, "leases", key);
    arg = &argv[4];

    for (i = 0; i < n; i++) {
        *arg++ = users[i];
        arg->data = ms;
        arg->len = ngx_sprintf(ms, "%M", delay) - ms;
        arg++;
    }

    return ngx_http_delta_redis_command(&hub->command, NULL, NULL,
                                        arg - argv, argv);
}


ngx_str_t
ngx_http_delta_sweep_key(ngx_http_delta_hub_t *hub, const char *name,
    u_char *buf)
{
    ngx_str_t  key;

    key.data = buf;
    key.len = ngx_snprintf(buf, NGX_HTTP_DELTA_SWEEP_KEY, "delta:%V%s",
                           &hub->conf->prefix, name)
              - buf;

    return key;
}
