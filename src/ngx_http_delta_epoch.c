
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_epoch.h"
#include "ngx_http_delta_audit.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"
#include <openssl/rand.h>


#define NGX_HTTP_DELTA_TICK      1000       /* ms */
#define NGX_HTTP_DELTA_PATIENCE  5000       /* ms, see epoch_ask */


static void ngx_http_delta_epoch_ask(ngx_http_delta_hub_t *hub);
static void ngx_http_delta_epoch_asked(void *data, redisReply *reply);
static void ngx_http_delta_epoch_reply(void *data, redisReply *reply);
static void ngx_http_delta_epoch_info(void *data, redisReply *reply);
static ngx_str_t ngx_http_delta_epoch_field(redisReply *reply,
    const char *name);
static void ngx_http_delta_epoch_library(ngx_http_delta_hub_t *hub);
static void ngx_http_delta_epoch_retention(void *data, redisReply *reply);
static ngx_str_t ngx_http_delta_epoch_table(u_char *text, size_t len);
static void ngx_http_delta_epoch_tick_handler(ngx_event_t *ev);
static void ngx_http_delta_epoch_canary(ngx_http_delta_hub_t *hub);
static void ngx_http_delta_epoch_measure(ngx_http_delta_worker_t *worker);
static void ngx_http_delta_epoch_tick_reply(void *data, redisReply *reply);
static ngx_int_t ngx_http_delta_epoch_clock(ngx_http_delta_hub_t *hub,
    uint64_t ms);
static void ngx_http_delta_epoch_times(ngx_http_delta_hub_t *hub);
static void ngx_http_delta_epoch_watch(ngx_http_delta_hub_t *hub);
static uint64_t ngx_http_delta_epoch_now(void);


void
ngx_http_delta_epoch_init(ngx_http_delta_hub_t *hub)
{
    hub->ticked = ngx_http_delta_epoch_now();
    ngx_http_delta_epoch_measure(hub->worker);
}


void
ngx_http_delta_epoch_link_up(ngx_http_delta_hub_t *hub)
{
    u_char     id[8];
    ngx_str_t  argv[2];

    if (hub->started == 0) {
        hub->started = ngx_current_msec;
    }

    hub->asked = ngx_http_delta_epoch_now();

    ngx_str_set(&argv[0], "INFO");

    if (ngx_http_delta_redis_command(&hub->command, ngx_http_delta_epoch_info,
                                     hub, 1, argv)
        != NGX_OK)
    {
        hub->asked = 0;
    }

    ngx_http_delta_epoch_library(hub);

    if (hub->tick_name.len == 0) {
        if (RAND_bytes(id, sizeof(id)) != 1) {
            return;
        }

        hub->tick_name.data = hub->tick_buf;
        hub->tick_name.len = ngx_hex_dump(ngx_cpymem(hub->tick_buf,
                                                     "delta:tick:", 11),
                                          id, sizeof(id))
                             - hub->tick_buf;

        hub->tick.handler = ngx_http_delta_epoch_tick_handler;
        hub->tick.data = hub;
        hub->tick.log = hub->worker->log;
        hub->tick.cancelable = 1;
    }

    ngx_str_set(&argv[0], "SUBSCRIBE");
    argv[1] = hub->tick_name;
    ngx_http_delta_redis_command(&hub->pubsub, NULL, NULL, 2, argv);

    if (!hub->tick.timer_set) {
        ngx_add_timer(&hub->tick, 1);
    }
}


/* One worker asks, once: whoever loaded the library first decides keep=. */

static void
ngx_http_delta_epoch_library(ngx_http_delta_hub_t *hub)
{
    ngx_str_t  argv[5];

    if (ngx_worker != 0 || hub->compared) {
        return;
    }

    hub->compared = 1;

    ngx_str_set(&argv[0], "FUNCTION");
    ngx_str_set(&argv[1], "LIST");
    ngx_str_set(&argv[2], "LIBRARYNAME");
    ngx_str_set(&argv[3], "delta");
    ngx_str_set(&argv[4], "WITHCODE");

    ngx_http_delta_redis_command(&hub->command, ngx_http_delta_epoch_retention,
                                 hub, 5, argv);
}


static void
ngx_http_delta_epoch_retention(void *data, redisReply *reply)
{
    size_t                 i;
    ngx_str_t              ours, theirs, *library;
    redisReply            *entry, *code;
    ngx_http_delta_hub_t  *hub = data;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 1
        || reply->element[0]->type != REDIS_REPLY_ARRAY)
    {
        return;
    }

    entry = reply->element[0];
    library = &hub->worker->conf->library;

    for (i = 0; i + 1 < entry->elements; i += 2) {
        code = entry->element[i + 1];

        if (code->type != REDIS_REPLY_STRING
            || entry->element[i]->type != REDIS_REPLY_STRING
            || ngx_strcmp(entry->element[i]->str, "library_code") != 0)
        {
            continue;
        }

        ours = ngx_http_delta_epoch_table(library->data, library->len);
        theirs = ngx_http_delta_epoch_table((u_char *) code->str, code->len);

        if (theirs.data && ours.data
            && (ours.len != theirs.len
                || ngx_memcmp(ours.data, theirs.data, ours.len) != 0))
        {
            ngx_log_error(NGX_LOG_WARN, hub->worker->log, 0,
                          "delta: the functions in %V were loaded with "
                          "another delta_channel keep= than is configured "
                          "here, which has no effect: give all gateways the "
                          "same, run \"redis-cli FUNCTION DELETE delta\" and "
                          "reload nginx", &hub->conf->name);
        }
    }
}


/* The line of the library that says how long channels are kept. */

static ngx_str_t
ngx_http_delta_epoch_table(u_char *text, size_t len)
{
    u_char     *p, *last;
    ngx_str_t   table;

    ngx_str_null(&table);

    last = text + len;
    p = ngx_strnstr(text, "local RETENTION = ", len);

    if (p) {
        table.data = p + sizeof("local RETENTION = ") - 1;

        for (p = table.data; p < last && *p != '\n' && *p != ' '; p++) {
            /* void */
        }

        table.len = p - table.data;
    }

    return table;
}


void
ngx_http_delta_epoch_link_down(ngx_http_delta_hub_t *hub)
{
    /* by Redis's clock: a worker may have been stopped, or never have looked */

    if (hub->lost == 0 || hub->looked) {
        hub->lost = hub->heard_at;
        hub->looked = 0;
    }

    hub->canary = 0;

    if (hub->tick.timer_set) {
        ngx_del_timer(&hub->tick);
    }
}


/*
 * A Redis that is not the process of before, and kept nothing on disk, or
 * that may evict keys: there, an empty log proves nothing.
 */

static void
ngx_http_delta_epoch_info(void *data, redisReply *reply)
{
    off_t                  usec, passed;
    ngx_int_t              seconds;
    ngx_str_t              id, aof, memory, policy, up, now;
    ngx_http_delta_hub_t  *hub = data;

    hub->forgetful = 1;

    if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
        hub->asked = 0;
        return;
    }

    now = ngx_http_delta_epoch_field(reply, "\nserver_time_usec:");
    usec = ngx_atoof(now.data, now.len);
    usec = usec > 0 ? usec : 0;

    (void) ngx_http_delta_epoch_clock(hub, usec / 1000);

    id = ngx_http_delta_epoch_field(reply, "\nrun_id:");
    aof = ngx_http_delta_epoch_field(reply, "\naof_enabled:");
    memory = ngx_http_delta_epoch_field(reply, "\nmaxmemory:");
    policy = ngx_http_delta_epoch_field(reply, "\nmaxmemory_policy:");

    if (id.len != sizeof(hub->run_id)) {
        return;
    }

    hub->forgetful = hub->known_run
                     && ngx_memcmp(hub->run_id, id.data, id.len) != 0
                     && !(aof.len == 1 && aof.data[0] == '1');

    if (!(memory.len == 1 && memory.data[0] == '0')
        && !(policy.len == 10
             && ngx_strncmp(policy.data, "noeviction", 10) == 0))
    {
        hub->forgetful = 1;

        if (!hub->known_run) {
            ngx_log_error(NGX_LOG_WARN, hub->worker->log, 0,
                          "delta: %V may evict logs: set maxmemory-policy "
                          "to noeviction", &hub->conf->name);
        }
    }

    ngx_memcpy(hub->run_id, id.data, id.len);
    hub->known_run = 1;

    if (hub->heard_at == 0) {

        /* the first tick is still to come; nothing was subscribed before */

        hub->heard_at = usec / 1000;
    }

    id = ngx_http_delta_epoch_field(reply, "\nmaster_replid:");
    up = ngx_http_delta_epoch_field(reply, "\nuptime_in_seconds:");

    if (id.len == sizeof(hub->repl_id)) {
        ngx_memcpy(hub->repl_id, id.data, id.len);
        hub->aof = (aof.len == 1 && aof.data[0] == '1');

        /* a promoted replica has been running while we lost the link */

        seconds = ngx_atoi(up.data, up.len);

        passed = usec / 1000 + 1000 - (off_t) hub->lost;

        hub->young = hub->lost && usec && seconds != NGX_ERROR
                     && passed >= 0 && seconds <= passed / 1000;

        ngx_http_delta_epoch_ask(hub);
    }

    ngx_http_delta_epoch_watch(hub);
}


static void
ngx_http_delta_epoch_ask(ngx_http_delta_hub_t *hub)
{
    u_char     known[NGX_INT64_LEN];
    ngx_str_t  argv[8];

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_epoch");
    ngx_str_set(&argv[2], "1");
    ngx_str_set(&argv[3], "delta:epoch");
    ngx_str_set(&argv[4], "primary");
    argv[5].data = hub->repl_id;
    argv[5].len = sizeof(hub->repl_id);

    /* a worker without history gives those who have one the first word */

    if (hub->aof && hub->young) {
        ngx_str_set(&argv[6], "keep");

    } else if (hub->lost == 0
               && ngx_current_msec - hub->started < NGX_HTTP_DELTA_PATIENCE)
    {
        ngx_str_set(&argv[6], "wait");

    } else {
        ngx_str_set(&argv[6], "new");
    }

    argv[7].data = known;
    argv[7].len = ngx_sprintf(known, "%uL", hub->epoch) - known;

    ngx_http_delta_redis_command(&hub->command, ngx_http_delta_epoch_asked,
                                 hub, 8, argv);
}


static void
ngx_http_delta_epoch_asked(void *data, redisReply *reply)
{
    ngx_http_delta_hub_t  *hub = data;

    if (reply) {
        hub->looked = 1;
    }

    /* none yet: the next tick asks again */

    if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 0) {
        return;
    }

    ngx_http_delta_epoch_reply(data, reply);
}


static void
ngx_http_delta_epoch_reply(void *data, redisReply *reply)
{
    ngx_queue_t               *q;
    ngx_http_delta_hub_t      *hub = data;
    ngx_http_delta_session_t  *s;

    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER
        || reply->integer < 0 || hub->epoch == (uint64_t) reply->integer)
    {
        return;
    }

    if (reply->integer == 0) {
        /* its key is gone, and with it what else? */
        ngx_http_delta_epoch_ask(hub);
        return;
    }

    if (hub->epoch) {
        ngx_log_error(NGX_LOG_NOTICE, hub->worker->log, 0,
                      "delta: %s of Redis %V: cursors of before are answered "
                      "by resync",
                      hub->stepped == hub->epoch ? "the clock was set back"
                                                 : "the epoch has changed",
                      &hub->conf->name);

        /* times of before belong to the other epoch */

        hub->safe = 0;
        ngx_http_delta_epoch_times(hub);

        for (q = ngx_queue_head(&hub->sessions);
             q != ngx_queue_sentinel(&hub->sessions);
             q = ngx_queue_next(q))
        {
            s = ngx_queue_data(q, ngx_http_delta_session_t, queue);
            s->cursor = 0;
            s->told = 0;
        }
    }

    hub->epoch = reply->integer;
    hub->named(hub);
}


static ngx_str_t
ngx_http_delta_epoch_field(redisReply *reply, const char *name)
{
    char       *p, *end;
    ngx_str_t   value;

    ngx_str_null(&value);

    p = strstr(reply->str, name);

    if (p) {
        p += ngx_strlen(name);
        end = p + strcspn(p, "\r\n");
        value.data = (u_char *) p;
        value.len = end - p;
    }

    return value;
}


static void
ngx_http_delta_epoch_tick_handler(ngx_event_t *ev)
{
    ngx_str_t                 argv[4];
    ngx_http_delta_hub_t     *hub;
    ngx_http_delta_reply_pt   handler;

    hub = ev->data;
    handler = NULL;

    if (hub->asked == 0) {
        hub->asked = ngx_http_delta_epoch_now();
        handler = ngx_http_delta_epoch_tick_reply;
    }

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_tick");
    ngx_str_set(&argv[2], "1");
    argv[3] = hub->tick_name;

    if (ngx_http_delta_redis_command(&hub->command, handler, hub, 4, argv)
        != NGX_OK
        && handler)
    {
        hub->asked = 0;
    }

    ngx_http_delta_epoch_canary(hub);

    if (hub->epoch == 0) {

        if (hub->repl_id[0]) {
            ngx_http_delta_epoch_ask(hub);
        }

        hub->named(hub);
    }

    ngx_http_delta_epoch_watch(hub);
    ngx_http_delta_audit(hub);

    ngx_add_timer(ev, NGX_HTTP_DELTA_TICK);
}


/* A message of its own, as the tick cannot say which one it is. */

static void
ngx_http_delta_epoch_canary(ngx_http_delta_hub_t *hub)
{
    u_char     text[1 + NGX_INT64_LEN];
    ngx_str_t  argv[3];

    ngx_str_set(&argv[0], "PUBLISH");
    argv[1] = hub->tick_name;
    argv[2].data = text;
    argv[2].len = ngx_sprintf(text, "c%uL", ngx_http_delta_epoch_now()) - text;

    ngx_http_delta_redis_command(&hub->command, NULL, NULL, 3, argv);
}


/* Of several Redises the worst. */

static void
ngx_http_delta_epoch_measure(ngx_http_delta_worker_t *worker)
{
    uint64_t                   lag, ticked;
    ngx_uint_t                 i;
    ngx_http_delta_metrics_t  *metrics;

    lag = worker->hubs[0].lag;
    ticked = worker->hubs[0].ticked;

    for (i = 1; i < worker->nhubs; i++) {
        lag = ngx_max(lag, worker->hubs[i].lag);
        ticked = ngx_min(ticked, worker->hubs[i].ticked);
    }

    metrics = worker->metrics;
    metrics->values[NGX_HTTP_DELTA_METRIC_REDIS_LAG] = lag;
    metrics->values[NGX_HTTP_DELTA_METRIC_REDIS_TICKED] = ticked;
}


static void
ngx_http_delta_epoch_tick_reply(void *data, redisReply *reply)
{
    off_t                  ms;
    ngx_http_delta_hub_t  *hub = data;

    ms = 0;

    if (reply && reply->type == REDIS_REPLY_STRING) {
        ms = ngx_atoof((u_char *) reply->str, reply->len);
    }

    if (ngx_http_delta_epoch_clock(hub, ms > 0 ? ms : 0) != NGX_OK) {
        ngx_http_delta_epoch_watch(hub);
    }
}


/*
 * The answer to what was asked at hub->asked; 0: there is none.  NGX_DECLINED:
 * the clock was set back, times of before cannot be compared with those now.
 */

static ngx_int_t
ngx_http_delta_epoch_clock(ngx_http_delta_hub_t *hub, uint64_t ms)
{
    uint64_t  asked, back;

    asked = hub->asked;
    hub->asked = 0;

    if (ms == 0 || asked == 0) {
        return NGX_OK;
    }

    back = delta_clock_measure(&hub->clock, ms, asked,
                               ngx_http_delta_epoch_now());
    if (back == 0) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_WARN, hub->worker->log, 0,
                  "delta: the clock of Redis %V went back by %uL ms",
                  &hub->conf->name, back);

    hub->steps++;
    hub->stepped = hub->epoch;
    hub->heard_at = ms;
    hub->safe = 0;

    ngx_http_delta_epoch_times(hub);

    return NGX_DECLINED;
}


/* No channel can be read from a time of before. */

static void
ngx_http_delta_epoch_times(ngx_http_delta_hub_t *hub)
{
    ngx_rbtree_node_t         *node;
    ngx_http_delta_channel_t  *channel;

    if (hub->channels.root == hub->channels.sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(hub->channels.root, hub->channels.sentinel);
         node;
         node = ngx_rbtree_next(&hub->channels, node))
    {
        channel = (ngx_http_delta_channel_t *) node;
        channel->since = 0;
    }
}


/* Whether the epoch is still the same; raises it, unless another has. */

static void
ngx_http_delta_epoch_watch(ngx_http_delta_hub_t *hub)
{
    u_char     known[NGX_INT64_LEN];
    ngx_str_t  argv[7];

    if (hub->epoch == 0) {
        return;
    }

    ngx_str_set(&argv[0], "FCALL");
    ngx_str_set(&argv[1], "delta_epoch");
    ngx_str_set(&argv[2], "1");
    ngx_str_set(&argv[3], "delta:epoch");
    ngx_str_set(&argv[4], "primary");
    argv[5].data = known;
    argv[5].len = ngx_sprintf(known, "%uL", hub->epoch) - known;

    if (hub->stepped == hub->epoch) {
        ngx_str_set(&argv[6], "raise");

    } else {
        ngx_str_set(&argv[6], "read");
    }

    ngx_http_delta_redis_command(&hub->command, ngx_http_delta_epoch_reply,
                                 hub, 7, argv);
}


uint64_t
ngx_http_delta_epoch_time(ngx_http_delta_hub_t *hub)
{
    if (!hub->clock.known) {
        return 0;
    }

    return ngx_http_delta_epoch_now() + hub->clock.high;
}


/* nginx's own is of the turn's beginning. */

static uint64_t
ngx_http_delta_epoch_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + 1;
}


void
ngx_http_delta_epoch_ticked(ngx_http_delta_hub_t *hub, ngx_str_t *payload)
{
    off_t     ms;
    uint64_t  now;

    now = ngx_http_delta_epoch_now();

    if (payload->len && payload->data[0] == 'c') {
        ms = ngx_atoof(payload->data + 1, payload->len - 1);

        if (ms > 0 && (uint64_t) ms <= now) {
            hub->lag = now - ms;
            hub->canary = 1;
            ngx_http_delta_epoch_measure(hub->worker);
        }

        return;
    }

    ms = ngx_atoof(payload->data, payload->len);

    if (ms > 0) {
        hub->ticked = now;
    }

    if (ms <= 0
        || !delta_clock_plausible(&hub->clock, ms, now))
    {
        return;
    }

    hub->heard_at = ms;

    if (hub->nbroken == 0) {
        hub->safe = ms - 1;
    }
}


uint64_t
ngx_http_delta_epoch_age(ngx_http_delta_hub_t *hub)
{
    return ngx_http_delta_epoch_now() - hub->ticked;
}
