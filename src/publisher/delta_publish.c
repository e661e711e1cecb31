
/*
 * Copyright (C) Delta contributors
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <hiredis/hiredis.h>
#include "delta_publish.h"
#include "delta_publish_url.h"


#define DELTA_PUBLISH_N_MAX  9007199254740991u  /* a double holds it */


struct delta_publisher_s {
    redisContext         *redis;
    delta_publish_url_t   url;
    char                  prefix[DELTA_NAME_MAX + 1];
    char                  channel[2 * DELTA_NAME_MAX];
    char                  error[512];
};


static int delta_publisher_prefix(delta_publisher_t *p, const char *prefix);
static int delta_publisher_channel(delta_publisher_t *p,
    const char *channel);
static int delta_publisher_connect(delta_publisher_t *p);
static int delta_publisher_greet(delta_publisher_t *p);
static int delta_publisher_call(delta_publisher_t *p, int n,
    const char **argv, const size_t *len, char *text, size_t size,
    long long *number);
static int delta_publisher_answer(delta_publisher_t *p,
    const redisReply *reply, char *text, size_t size, long long *number);
static void delta_publisher_first_error(char *error, size_t size,
    const redisReply *reply);
static int delta_publisher_lost(delta_publisher_t *p);
static int delta_publisher_refused(delta_publisher_t *p, const char *error,
    size_t len);


delta_publisher_t *
delta_publisher_create(const char *url, const char *prefix, char *error,
    size_t size)
{
    const char         *reason;
    delta_publisher_t  *p;

    p = calloc(1, sizeof(delta_publisher_t));
    if (p == NULL) {
        snprintf(error, size, "out of memory");
        return NULL;
    }

    reason = delta_publish_url_parse(&p->url, url);

    if (reason == NULL && prefix && delta_publisher_prefix(p, prefix) != 0) {
        reason = "a prefix is channel segments and ends with \":\"";
    }

    if (reason) {
        snprintf(error, size, "%s", reason);
        free(p);
        return NULL;
    }

    return p;
}


static int
delta_publisher_prefix(delta_publisher_t *p, const char *prefix)
{
    size_t  n;

    n = strlen(prefix);

    if (n == 0) {
        return 0;
    }

    if (prefix[n - 1] != ':' || !delta_name_valid(prefix, n - 1)) {
        return -1;
    }

    memcpy(p->prefix, prefix, n + 1);

    return 0;
}


void
delta_publisher_free(delta_publisher_t *p)
{
    if (p == NULL) {
        return;
    }

    if (p->redis) {
        redisFree(p->redis);
    }

    free(p);
}


const char *
delta_publisher_error(const delta_publisher_t *p)
{
    return p->error;
}


int
delta_publish(delta_publisher_t *p, const char *channel, const char *event,
    size_t len, const char *source, uint64_t n, char id[DELTA_PUBLISH_ID])
{
    int                   rc;
    delta_publish_call_t  call;

    rc = delta_publish_call(p, &call, channel, event, len, source, n);
    if (rc != DELTA_PUBLISH_OK) {
        return rc;
    }

    return delta_publisher_call(p, call.n, call.words, call.lens, id,
                                DELTA_PUBLISH_ID, NULL);
}


int
delta_publish_call(delta_publisher_t *p, delta_publish_call_t *call,
    const char *channel, const char *event, size_t len, const char *source,
    uint64_t n)
{
    int  i;

    if (delta_publisher_channel(p, channel) != 0) {
        return DELTA_PUBLISH_PERMANENT;
    }

    if (source && (!delta_name_segment(source, strlen(source))
                   || n > DELTA_PUBLISH_N_MAX))
    {
        snprintf(p->error, sizeof(p->error),
                 "the source is not a channel segment, or n is over 2^53 - 1");
        return DELTA_PUBLISH_PERMANENT;
    }

    memcpy(call->channel, p->channel, sizeof(call->channel));

    call->n = 0;
    call->words[call->n++] = "FCALL";
    call->words[call->n++] = "delta_publish";
    call->words[call->n++] = "1";
    call->words[call->n++] = call->channel;
    call->words[call->n++] = event;

    if (source) {
        snprintf(call->once, sizeof(call->once), "%s/%" PRIu64, source, n);
        call->words[call->n++] = call->once;
    }

    for (i = 0; i < call->n; i++) {
        call->lens[i] = i == 4 ? len : strlen(call->words[i]);
    }

    return DELTA_PUBLISH_OK;
}


int
delta_publish_plain(delta_publisher_t *p, const char *channel,
    const char *event, size_t len)
{
    size_t       lens[3];
    const char  *argv[3];

    if (delta_publisher_channel(p, channel) != 0) {
        return DELTA_PUBLISH_PERMANENT;
    }

    argv[0] = "PUBLISH";
    argv[1] = p->channel;
    argv[2] = event;

    lens[0] = strlen(argv[0]);
    lens[1] = strlen(argv[1]);
    lens[2] = len;

    return delta_publisher_call(p, 3, argv, lens, NULL, 0, NULL);
}


int
delta_publisher_command(delta_publisher_t *p, int n, const char **words,
    long long *number)
{
    int     i;
    size_t  lens[DELTA_PUBLISH_WORDS];

    if (n < 1 || n > DELTA_PUBLISH_WORDS) {
        snprintf(p->error, sizeof(p->error), "too many words in a command");
        return DELTA_PUBLISH_PERMANENT;
    }

    for (i = 0; i < n; i++) {
        lens[i] = strlen(words[i]);
    }

    return delta_publisher_call(p, n, words, lens, NULL, 0, number);
}


int
delta_publisher_words(delta_publisher_t *p, int n, const char **words,
    long long *number, delta_publisher_take_pt take, void *data)
{
    int          rc;
    size_t       i;
    redisReply  *reply, *text;

    if (p->redis == NULL) {
        rc = delta_publisher_connect(p);
        if (rc != DELTA_PUBLISH_OK) {
            return rc;
        }
    }

    reply = redisCommandArgv(p->redis, n, words, NULL);
    if (reply == NULL) {
        return delta_publisher_lost(p);
    }

    rc = delta_publisher_answer(p, reply, NULL, 0, number);

    if (rc == DELTA_PUBLISH_OK && take && reply->type == REDIS_REPLY_ARRAY) {

        for (i = 0; i < reply->elements; i++) {
            text = reply->element[i];

            if (text->type == REDIS_REPLY_STRING) {
                take(data, text->str, text->len);
            }
        }
    }

    freeReplyObject(reply);

    return rc;
}


int
delta_publisher_transaction(delta_publisher_t *p,
    const delta_publish_call_t *calls, int n)
{
    int          i, rc;
    char         error[sizeof(p->error)];
    redisReply  *reply;

    if (p->redis == NULL) {
        rc = delta_publisher_connect(p);
        if (rc != DELTA_PUBLISH_OK) {
            return rc;
        }
    }

    redisAppendCommand(p->redis, "MULTI");

    for (i = 0; i < n; i++) {
        redisAppendCommandArgv(p->redis, calls[i].n,
                               (const char **) calls[i].words, calls[i].lens);
    }

    redisAppendCommand(p->redis, "EXEC");

    error[0] = '\0';

    for (i = 0; i < n + 2; i++) {

        if (redisGetReply(p->redis, (void **) &reply) != REDIS_OK) {
            return delta_publisher_lost(p);
        }

        delta_publisher_first_error(error, sizeof(error), reply);

        if (i == n + 1 && error[0] == '\0'
            && (reply->type != REDIS_REPLY_ARRAY
                || reply->elements != (size_t) n))
        {
            snprintf(error, sizeof(error), "TRYAGAIN EXEC did not answer");
        }

        freeReplyObject(reply);
    }

    p->error[0] = '\0';

    return error[0] ? delta_publisher_refused(p, error, strlen(error))
                    : DELTA_PUBLISH_OK;
}


/* Of a reply, or of one within it; an earlier one stays. */

static void
delta_publisher_first_error(char *error, size_t size, const redisReply *reply)
{
    size_t  i;

    if (reply->type == REDIS_REPLY_ERROR && error[0] == '\0') {
        snprintf(error, size, "%.*s", (int) reply->len, reply->str);
    }

    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        delta_publisher_first_error(error, size, reply->element[i]);
    }
}


static int
delta_publisher_channel(delta_publisher_t *p, const char *channel)
{
    size_t  n;

    n = strlen(channel);

    if (n <= DELTA_NAME_MAX) {
        n = snprintf(p->channel, sizeof(p->channel), "%s%s", p->prefix,
                     channel);

        if (delta_name_valid(p->channel, n)) {
            return 0;
        }
    }

    snprintf(p->error, sizeof(p->error), "this is not a channel name");

    return -1;
}


static int
delta_publisher_connect(delta_publisher_t *p)
{
    struct timeval  timeout;

    timeout.tv_sec = DELTA_PUBLISH_SECONDS;
    timeout.tv_usec = 0;

    p->redis = p->url.path[0]
               ? redisConnectUnixWithTimeout(p->url.path, timeout)
               : redisConnectWithTimeout(p->url.host, p->url.port, timeout);

    if (p->redis == NULL || p->redis->err
        || redisSetTimeout(p->redis, timeout) != REDIS_OK)
    {
        return delta_publisher_lost(p);
    }

    return delta_publisher_greet(p);
}


static int
delta_publisher_greet(delta_publisher_t *p)
{
    int          n;
    const char  *words[3];

    n = 0;
    words[n++] = "AUTH";

    if (p->url.user[0]) {
        words[n++] = p->url.user;
    }

    words[n++] = p->url.password;

    if (p->url.password[0]
        && delta_publisher_command(p, n, words, NULL) != DELTA_PUBLISH_OK)
    {
        goto refused;
    }

    words[0] = "SELECT";
    words[1] = p->url.db;

    if (p->url.db[0]
        && delta_publisher_command(p, 2, words, NULL) != DELTA_PUBLISH_OK)
    {
        goto refused;
    }

    return DELTA_PUBLISH_OK;

refused:

    /* the event is not to blame for a wrong password */

    if (p->redis) {
        redisFree(p->redis);
        p->redis = NULL;
    }

    return DELTA_PUBLISH_RETRY;
}


static int
delta_publisher_call(delta_publisher_t *p, int n, const char **argv,
    const size_t *len, char *text, size_t size, long long *number)
{
    int          rc;
    redisReply  *reply;

    if (p->redis == NULL) {
        rc = delta_publisher_connect(p);
        if (rc != DELTA_PUBLISH_OK) {
            return rc;
        }
    }

    reply = redisCommandArgv(p->redis, n, argv, len);
    if (reply == NULL) {
        return delta_publisher_lost(p);
    }

    rc = delta_publisher_answer(p, reply, text, size, number);
    freeReplyObject(reply);

    return rc;
}


static int
delta_publisher_answer(delta_publisher_t *p, const redisReply *reply,
    char *text, size_t size, long long *number)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return delta_publisher_refused(p, reply->str, reply->len);
    }

    if (text && (reply->type != REDIS_REPLY_STRING
                 || (size_t) reply->len >= size))
    {
        snprintf(p->error, sizeof(p->error), "the answer is not an id");
        return DELTA_PUBLISH_PERMANENT;
    }

    if (text) {
        memcpy(text, reply->str, reply->len);
        text[reply->len] = '\0';
    }

    if (number) {
        *number = reply->type == REDIS_REPLY_INTEGER ? reply->integer
                  : reply->type == REDIS_REPLY_STRING ? atoll(reply->str) : 0;
    }

    p->error[0] = '\0';

    return DELTA_PUBLISH_OK;
}


static int
delta_publisher_lost(delta_publisher_t *p)
{
    const char  *reason;

    reason = p->redis ? p->redis->errstr : "out of memory";

    snprintf(p->error, sizeof(p->error), "Redis at %s: %s",
             p->url.path[0] ? p->url.path : p->url.host,
             reason[0] ? reason : "no connection");

    if (p->redis) {
        redisFree(p->redis);
        p->redis = NULL;
    }

    return DELTA_PUBLISH_RETRY;
}


static int
delta_publisher_refused(delta_publisher_t *p, const char *error, size_t len)
{
    if (strncmp(error, "ERR Function not found", 22) == 0) {
        snprintf(p->error, sizeof(p->error), "the function delta_publish is "
                 "not loaded in Redis: the gateway loads it when it connects "
                 "(FUNCTION LOAD of delta.lua)");
        return DELTA_PUBLISH_RETRY;
    }

    if (len >= sizeof(p->error)) {
        len = sizeof(p->error) - 1;
    }

    memcpy(p->error, error, len);
    p->error[len] = '\0';

    /* a demoted primary: the name may lead to the new one by now */

    if (strncmp(error, "READONLY", 8) == 0) {
        redisFree(p->redis);
        p->redis = NULL;
    }

    return delta_publish_retryable(p->error) ? DELTA_PUBLISH_RETRY
                                             : DELTA_PUBLISH_PERMANENT;
}
