
/*
 * Copyright (C) Delta contributors
 */

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include "handlers.h"
#include "lastseen.h"
#include "store.h"


#define LASTSEEN_BATCH    400       /* users in a transaction */
#define LASTSEEN_TICK_MS  1000
#define LASTSEEN_MS_MAX   9007199254740991LL


typedef struct {
    char                 user[DELTA_NAME_SEGMENT + 1];
    char                 ms[24];
} lastseen_entry_t;

typedef struct {
    lastseen_entry_t     entries[LASTSEEN_BATCH];
    size_t               texts;     /* two for each of them */
} lastseen_batch_t;


struct upstream_lastseen_s {
    pthread_t            thread;
    upstream_store_t    *store;
    delta_publisher_t   *publisher;
    unsigned             seconds;
    char                 key[DELTA_NAME_MAX + 32];
    char                 ended[DELTA_NAME_MAX + 40];
    lastseen_batch_t     batch;
    unsigned             told:1;    /* of a failure, in the log */

    /* under the lock */
    pthread_mutex_t      lock;
    pthread_cond_t       stopped;
    unsigned             stop:1;
};


static void *lastseen_thread(void *data);
static int lastseen_wait(upstream_lastseen_t *seen);
static int lastseen_move(upstream_lastseen_t *seen, const char *key);
static int lastseen_read(upstream_lastseen_t *seen, const char *key);
static void lastseen_take(void *data, const char *text, size_t len);
static int64_t lastseen_ms(const lastseen_entry_t *entry);
static int lastseen_write(upstream_lastseen_t *seen);
static int lastseen_done(upstream_lastseen_t *seen, const char *key,
    long long *gone);
static void lastseen_state(upstream_lastseen_t *seen, int rc);


static const char  lastseen_schema[] =
    "CREATE TABLE IF NOT EXISTS last_seen ("
    "    user_id TEXT PRIMARY KEY REFERENCES users,"
    "    ms INTEGER NOT NULL) WITHOUT ROWID";


upstream_lastseen_t *
lastseen_start(const char *file, delta_publisher_t *publisher,
    const char *prefix, unsigned seconds)
{
    pthread_condattr_t    attr;
    upstream_lastseen_t  *seen;

    seen = calloc(1, sizeof(upstream_lastseen_t));
    if (seen == NULL) {
        delta_publisher_free(publisher);
        return NULL;
    }

    seen->publisher = publisher;
    seen->seconds = seconds ? seconds : 1;

    snprintf(seen->key, sizeof(seen->key), "delta:%slast_seen",
             prefix ? prefix : "");
    snprintf(seen->ended, sizeof(seen->ended), "%s:ended", seen->key);

    seen->store = store_open(file);

    if (seen->store == NULL
        || store_exec(seen->store, lastseen_schema, "") < 0)
    {
        goto failed;
    }

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&seen->stopped, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&seen->lock, NULL);

    if (pthread_create(&seen->thread, NULL, lastseen_thread, seen) == 0) {
        return seen;
    }

    upstream_log("cannot start the thread for the last seen");

failed:

    store_close(seen->store);
    delta_publisher_free(publisher);
    free(seen);

    return NULL;
}


void
lastseen_stop(upstream_lastseen_t *seen)
{
    if (seen == NULL) {
        return;
    }

    pthread_mutex_lock(&seen->lock);
    seen->stop = 1;
    pthread_cond_signal(&seen->stopped);
    pthread_mutex_unlock(&seen->lock);

    pthread_join(seen->thread, NULL);

    pthread_mutex_destroy(&seen->lock);
    pthread_cond_destroy(&seen->stopped);
    store_close(seen->store);
    delta_publisher_free(seen->publisher);
    free(seen);
}


static void *
lastseen_thread(void *data)
{
    int                   rc;
    uint64_t              last;
    upstream_lastseen_t  *seen = data;

    last = upstream_now();

    while (lastseen_wait(seen) == 0) {
        rc = lastseen_move(seen, seen->ended);

        if (rc == DELTA_PUBLISH_OK
            && upstream_now() - last >= (uint64_t) seen->seconds * 1000)
        {
            rc = lastseen_move(seen, seen->key);

            if (rc == DELTA_PUBLISH_OK) {
                last = upstream_now();
            }
        }

        lastseen_state(seen, rc);
    }

    if (lastseen_move(seen, seen->key) == DELTA_PUBLISH_OK) {
        lastseen_move(seen, seen->ended);
    }

    return NULL;
}


/* 1 when it is to stop. */

static int
lastseen_wait(upstream_lastseen_t *seen)
{
    int              stop;
    struct timespec  until;

    clock_gettime(CLOCK_MONOTONIC, &until);

    until.tv_sec += LASTSEEN_TICK_MS / 1000;

    pthread_mutex_lock(&seen->lock);

    while (!seen->stop
           && pthread_cond_timedwait(&seen->stopped, &seen->lock, &until)
              != ETIMEDOUT)
    {
        /* void */
    }

    stop = seen->stop;

    pthread_mutex_unlock(&seen->lock);

    return stop;
}


/* Those who are seen again meanwhile stay, and would be read for ever. */

static int
lastseen_move(upstream_lastseen_t *seen, const char *key)
{
    int        rc;
    long long  gone;

    do {
        rc = lastseen_read(seen, key);

        if (rc != DELTA_PUBLISH_OK || seen->batch.texts == 0) {
            return rc;
        }

        if (lastseen_write(seen) != 0) {
            return DELTA_PUBLISH_RETRY;
        }

        rc = lastseen_done(seen, key, &gone);

    } while (rc == DELTA_PUBLISH_OK && gone
             && seen->batch.texts == 2 * LASTSEEN_BATCH);

    return rc;
}


static int
lastseen_read(upstream_lastseen_t *seen, const char *key)
{
    char         last[16];
    const char  *words[5];

    snprintf(last, sizeof(last), "%d", LASTSEEN_BATCH - 1);

    words[0] = "ZRANGE";
    words[1] = key;
    words[2] = "0";
    words[3] = last;
    words[4] = "WITHSCORES";

    memset(&seen->batch, 0, sizeof(lastseen_batch_t));

    return delta_publisher_words(seen->publisher, 5, words, NULL,
                                 lastseen_take, &seen->batch);
}


static void
lastseen_take(void *data, const char *text, size_t len)
{
    char              *to;
    size_t             size;
    lastseen_batch_t  *batch = data;
    lastseen_entry_t  *entry;

    if (batch->texts == 2 * LASTSEEN_BATCH) {
        return;
    }

    entry = &batch->entries[batch->texts / 2];
    to = batch->texts % 2 ? entry->ms : entry->user;
    size = batch->texts % 2 ? sizeof(entry->ms) : sizeof(entry->user);

    batch->texts++;

    if (len < size) {
        memcpy(to, text, len);
    }
}


/* What the functions did not write is left where it is. */

static int64_t
lastseen_ms(const lastseen_entry_t *entry)
{
    size_t   n;
    int64_t  ms;

    n = strlen(entry->ms);
    ms = strtoll(entry->ms, NULL, 10);

    return delta_name_segment(entry->user, strlen(entry->user))
           && n && n <= 16 && strspn(entry->ms, "0123456789") == n
           && ms <= LASTSEEN_MS_MAX ? ms : 0;
}


/* Of users that are not in the database nothing is kept. */

static int
lastseen_write(upstream_lastseen_t *seen)
{
    size_t             i;
    int64_t            ms;
    lastseen_entry_t  *entry;

    if (store_begin(seen->store) != 0) {
        return -1;
    }

    for (i = 0; i < seen->batch.texts / 2; i++) {
        entry = &seen->batch.entries[i];
        ms = lastseen_ms(entry);

        if (ms) {
            store_exec(seen->store, "INSERT INTO last_seen (user_id, ms) "
                       "SELECT id, ? FROM users WHERE id = ? "
                       "ON CONFLICT (user_id) DO UPDATE "
                       "SET ms = max(ms, excluded.ms)", "is", ms,
                       entry->user);
        }
    }

    return store_end(seen->store, 1);
}


static int
lastseen_done(upstream_lastseen_t *seen, const char *key, long long *gone)
{
    int                n;
    size_t             i;
    lastseen_entry_t  *entry;
    const char        *words[4 + 2 * LASTSEEN_BATCH];

    n = 0;

    words[n++] = "FCALL";
    words[n++] = "delta_last_seen_done";
    words[n++] = "1";
    words[n++] = key;

    for (i = 0; i < seen->batch.texts / 2; i++) {
        entry = &seen->batch.entries[i];

        if (lastseen_ms(entry)) {
            words[n++] = entry->user;
            words[n++] = entry->ms;
        }
    }

    *gone = 0;

    if (n == 4) {
        return DELTA_PUBLISH_OK;
    }

    return delta_publisher_words(seen->publisher, n, words, gone, NULL, NULL);
}


static void
lastseen_state(upstream_lastseen_t *seen, int rc)
{
    const char  *error;

    if (rc != DELTA_PUBLISH_OK && !seen->told) {
        error = delta_publisher_error(seen->publisher);
        upstream_log("the last seen waits: %s", error[0] ? error : "database");
    }

    seen->told = rc != DELTA_PUBLISH_OK;
}


int
upstream_last_seen(upstream_request_t *r)
{
    int64_t            ms;
    const char        *id;
    upstream_store_t  *store;

    id = strcmp(r->params[0], "me") == 0 ? r->user : r->params[0];
    store = r->upstream->store;

    if (store_number(store, 0, "SELECT 1 FROM users WHERE id = ?", "s", id)
        == 0)
    {
        return upstream_error(r, 404, "not_found", "there is no user %s", id);
    }

    if (strcmp(id, r->user) != 0
        && store_number(store, 0, "SELECT 1 FROM follows WHERE user_id = ? "
                        "AND followed_id = ?", "ss", r->user, id)
           == 0)
    {
        return upstream_error(r, 403, "forbidden", "only followers may see "
                              "when %s was there", id);
    }

    ms = store_number(store, 0, "SELECT ms FROM last_seen WHERE user_id = ?",
                      "s", id);

    return upstream_answer(r, 200, json_pack("{s:s, s:o}", "user_id", id,
                           "last_seen",
                           ms ? json_integer(ms) : json_null()));
}
