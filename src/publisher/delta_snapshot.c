
/*
 * Copyright (C) Delta contributors
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>
#include "delta_snapshot.h"


#define DELTA_SNAPSHOT_BACKOFF      50      /* ms */
#define DELTA_SNAPSHOT_BACKOFF_MAX  1000
#define DELTA_SNAPSHOT_NAME         (DELTA_NAME_SEGMENT + 48)
#define DELTA_SNAPSHOT_CALLS        5


typedef struct delta_snapshot_entry_s  delta_snapshot_entry_t;


/* What goes to Redis at once; all texts end with a NUL. */

struct delta_snapshot_entry_s {
    TAILQ_ENTRY(delta_snapshot_entry_s)  link;

    uint64_t   from;            /* of the gap that it tells, or tick */
    uint64_t   tick;
    size_t     bytes;
    char      *snapshot;        /* or NULL: the state alone */
    char      *event;
    char      *state;           /* or NULL */
    char      *resync;          /* or NULL */
};


TAILQ_HEAD(delta_snapshot_pending_s, delta_snapshot_entry_s);


struct delta_snapshot_s {
    delta_snapshot_conf_t     conf;
    delta_publisher_t        *publisher;
    pthread_t                 thread;
    char                      channel[DELTA_SNAPSHOT_NAME];

    unsigned                  unarchived;   /* the ticking thread's own */
    unsigned                  told;         /* of an outage; the other's */

    /* under the lock */
    pthread_mutex_t           lock;
    pthread_cond_t            notified;

    struct delta_snapshot_pending_s
                              pending;
    size_t                    bytes;
    delta_snapshot_status_t   status;
    delta_snapshot_gap_t      gap;      /* to be told; from 0: none */
    unsigned                  whole:1;  /* the next tick brings the state */
    unsigned                  stop:1;
};


static void delta_snapshot_last(delta_snapshot_t *s, delta_tracker_t *tracker,
    uint64_t timestamp);
static int delta_snapshot_make(delta_snapshot_t *s,
    delta_snapshot_entry_t *entry, const delta_tracker_casts_t *casts,
    uint64_t timestamp);
static int delta_snapshot_state(delta_snapshot_t *s,
    delta_snapshot_entry_t *entry, delta_tracker_t *tracker,
    uint64_t timestamp);
static int delta_snapshot_queue(delta_snapshot_t *s,
    delta_snapshot_entry_t *entry);
static void delta_snapshot_lose(delta_snapshot_t *s, uint64_t from,
    uint64_t to);
static void delta_snapshot_drop(delta_snapshot_t *s);
static void delta_snapshot_free(delta_snapshot_entry_t *entry);
static char *delta_snapshot_text(size_t *bytes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void *delta_snapshot_thread(void *data);
static delta_snapshot_entry_t *delta_snapshot_take(delta_snapshot_t *s);
static int delta_snapshot_send(delta_snapshot_t *s,
    const delta_snapshot_entry_t *entry);
static void delta_snapshot_set(delta_publish_call_t *call, const char *key,
    const char *value, const char *ttl);
static int delta_snapshot_sent(delta_snapshot_t *s,
    const delta_snapshot_entry_t *entry, int rc);
static int delta_snapshot_wait(delta_snapshot_t *s, unsigned ms);
static void delta_snapshot_log(delta_snapshot_t *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));


void
delta_snapshot_defaults(delta_snapshot_conf_t *conf)
{
    memset(conf, 0, sizeof(delta_snapshot_conf_t));

    conf->world = "default";
    conf->source = "world";
    conf->ttl = 600;
    conf->archive = 100;
    conf->tick = 100;
    conf->backlog = 128;
    conf->event = 65536;
}


int
delta_snapshot_check(const delta_snapshot_conf_t *conf, char *error,
    size_t size)
{
    if (!delta_name_segment(conf->world, strlen(conf->world))
        || !delta_name_segment(conf->source, strlen(conf->source)))
    {
        snprintf(error, size, "the world's name is not a channel segment");
        return -1;
    }

    if (conf->ttl < 1 || conf->ttl > 31536000 || conf->archive < 1
        || conf->archive > 1000000 || conf->tick < 1 || conf->tick > 3600000
        || conf->backlog < 1 || conf->backlog > 100000 || conf->event < 1024)
    {
        snprintf(error, size, "a number is out of range: ttl 1-31536000 s, "
                 "archive 1-1000000 ticks, tick 1-3600000 ms, backlog "
                 "1-100000 ticks, event from 1024 bytes");
        return -1;
    }

    if ((uint64_t) conf->ttl * 1000 < (uint64_t) conf->archive * conf->tick) {
        snprintf(error, size, "snapshots that live for %u s are gone before "
                 "the next whole state, every %u ticks of %u ms: no client "
                 "could get from one to the other", conf->ttl, conf->archive,
                 conf->tick);
        return -1;
    }

    return 0;
}


int
delta_snapshot_latest(delta_publisher_t *publisher, const char *world,
    uint64_t *tick)
{
    int          rc;
    char         key[DELTA_SNAPSHOT_NAME];
    long long    number;
    const char  *words[2];

    snprintf(key, sizeof(key), "latest_tick:%s", world);
    words[0] = "GET";
    words[1] = key;

    rc = delta_publisher_command(publisher, 2, words, &number);
    *tick = rc == DELTA_PUBLISH_OK && number > 0 ? number : 0;

    return rc;
}


delta_snapshot_t *
delta_snapshot_start(const delta_snapshot_conf_t *conf,
    delta_publisher_t *publisher, char *error, size_t size)
{
    delta_snapshot_t    *s;
    pthread_condattr_t   attr;

    if (delta_snapshot_check(conf, error, size) != 0) {
        delta_publisher_free(publisher);
        return NULL;
    }

    s = calloc(1, sizeof(delta_snapshot_t));
    if (s == NULL) {
        delta_publisher_free(publisher);
        snprintf(error, size, "out of memory");
        return NULL;
    }

    s->conf = *conf;
    s->publisher = publisher;
    s->whole = 1;
    TAILQ_INIT(&s->pending);
    snprintf(s->channel, sizeof(s->channel), "world:%s", conf->world);

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->notified, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&s->lock, NULL);

    if (pthread_create(&s->thread, NULL, delta_snapshot_thread, s) != 0) {
        delta_publisher_free(publisher);
        free(s);
        snprintf(error, size, "cannot start a thread");
        return NULL;
    }

    return s;
}


void
delta_snapshot_stop(delta_snapshot_t *s, delta_tracker_t *tracker,
    uint64_t timestamp)
{
    delta_snapshot_last(s, tracker, timestamp);

    pthread_mutex_lock(&s->lock);
    s->stop = 1;
    pthread_cond_signal(&s->notified);
    pthread_mutex_unlock(&s->lock);

    pthread_join(s->thread, NULL);
    delta_snapshot_drop(s);

    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->notified);
    delta_publisher_free(s->publisher);
    free(s);
}


/* Nothing behind a gap: that is told by the next tick. */

static void
delta_snapshot_last(delta_snapshot_t *s, delta_tracker_t *tracker,
    uint64_t timestamp)
{
    delta_snapshot_entry_t  *entry;

    entry = calloc(1, sizeof(delta_snapshot_entry_t));
    if (entry == NULL) {
        return;
    }

    pthread_mutex_lock(&s->lock);

    if (s->status.tick && !s->whole) {
        entry->from = s->status.tick;
        entry->tick = s->status.tick;
        entry->state = delta_tracker_state(tracker, s->conf.world,
                                           entry->tick, timestamp,
                                           &entry->bytes);
    }

    if (entry->state) {
        TAILQ_INSERT_TAIL(&s->pending, entry, link);
        s->bytes += entry->bytes;
        s->status.pending++;
        entry = NULL;
    }

    pthread_mutex_unlock(&s->lock);
    delta_snapshot_free(entry);
}


int
delta_snapshot_tick(delta_snapshot_t *s, delta_tracker_t *tracker,
    uint64_t tick, uint64_t timestamp)
{
    delta_tracker_casts_t    casts;
    delta_snapshot_entry_t  *entry;

    entry = calloc(1, sizeof(delta_snapshot_entry_t));

    if (entry == NULL || delta_tracker_tick(tracker, &casts) != 0) {
        goto failed;
    }

    entry->from = tick;
    entry->tick = tick;

    if (delta_snapshot_make(s, entry, &casts, timestamp) != 0
        || delta_snapshot_state(s, entry, tracker, timestamp) != 0
        || delta_snapshot_queue(s, entry) != 0)
    {
        goto failed;
    }

    return 0;

failed:

    delta_snapshot_free(entry);
    delta_snapshot_gap(s, tick, tick);

    return -1;
}


/*
 * limitedCast stands before fullCast, and limited entities before full ones:
 * the gateway cuts there what clients shall not see.
 */

static int
delta_snapshot_make(delta_snapshot_t *s, delta_snapshot_entry_t *entry,
    const delta_tracker_casts_t *casts, uint64_t timestamp)
{
    size_t  n;

    entry->snapshot = delta_snapshot_text(&entry->bytes, "{\"worldId\":\"%s\","
                          "\"tick\":%" PRIu64 ",\"timestamp\":%" PRIu64
                          ",\"checksum\":\"%08x\",\"limitedCast\":%s,"
                          "\"fullCast\":%s}", s->conf.world, entry->tick,
                          timestamp, (unsigned) casts->checksum,
                          casts->limited.data, casts->full.data);

    n = entry->bytes;
    entry->event = delta_snapshot_text(&entry->bytes, "{\"t\":\"snapshot\","
                       "\"d\":{\"tick\":%" PRIu64 ",\"changes\":%s,"
                       "\"checksum\":\"%08x\"}}", entry->tick,
                       casts->limited.data, (unsigned) casts->checksum);

    if (entry->bytes - n > s->conf.event) {
        free(entry->event);
        entry->event = delta_snapshot_text(&entry->bytes, "{\"t\":\"resync\","
                           "\"d\":{\"reason\":\"too_large\",\"tick\":%" PRIu64
                           "}}", entry->tick);
    }

    return entry->snapshot && entry->event ? 0 : -1;
}


static int
delta_snapshot_state(delta_snapshot_t *s, delta_snapshot_entry_t *entry,
    delta_tracker_t *tracker, uint64_t timestamp)
{
    int     whole, archive;
    size_t  len;

    pthread_mutex_lock(&s->lock);
    whole = s->whole;
    pthread_mutex_unlock(&s->lock);

    if (entry->tick % s->conf.archive == 0) {
        s->unarchived = 1;
        whole = 1;
    }

    archive = s->unarchived && s->conf.archived;

    if (!whole && !archive) {
        return 0;
    }

    entry->state = delta_tracker_state(tracker, s->conf.world, entry->tick,
                                       timestamp, &len);
    if (entry->state == NULL) {
        return -1;
    }

    entry->bytes += len;

    if (archive
        && s->conf.archived(s->conf.data, entry->tick, entry->state, len) == 0)
    {
        s->unarchived = 0;
    }

    return 0;
}


/* A gap that came up since the state was asked for is told by the next. */

static int
delta_snapshot_queue(delta_snapshot_t *s, delta_snapshot_entry_t *entry)
{
    int  rc;

    rc = 0;
    pthread_mutex_lock(&s->lock);

    if (s->status.pending >= s->conf.backlog
        || s->bytes + entry->bytes > DELTA_SNAPSHOT_BYTES)
    {
        delta_snapshot_drop(s);
    }

    if (entry->state && s->gap.from) {
        entry->resync = delta_snapshot_text(&entry->bytes, "{\"t\":\"resync\","
                            "\"d\":{\"reason\":\"gap\",\"from\":%" PRIu64
                            ",\"to\":%" PRIu64 "}}", s->gap.from, s->gap.to);
        entry->from = s->gap.from;
        rc = entry->resync ? 0 : -1;

    } else if (s->whole && entry->state == NULL) {
        rc = -1;
    }

    if (rc == 0) {

        if (entry->state) {
            s->whole = 0;
            memset(&s->gap, 0, sizeof(delta_snapshot_gap_t));
        }

        TAILQ_INSERT_TAIL(&s->pending, entry, link);
        s->bytes += entry->bytes;
        s->status.pending++;
        s->status.tick = entry->tick;
        pthread_cond_signal(&s->notified);
    }

    pthread_mutex_unlock(&s->lock);

    return rc;
}


void
delta_snapshot_gap(delta_snapshot_t *s, uint64_t from, uint64_t to)
{
    pthread_mutex_lock(&s->lock);
    delta_snapshot_lose(s, from, to);
    pthread_mutex_unlock(&s->lock);
}


/* Neighbours become one. */

static void
delta_snapshot_lose(delta_snapshot_t *s, uint64_t from, uint64_t to)
{
    delta_snapshot_gap_t     *last;
    delta_snapshot_status_t  *status;

    if (to < from) {
        return;
    }

    status = &s->status;
    last = status->ngaps ? &status->gaps[status->ngaps - 1] : NULL;

    s->whole = 1;
    s->gap.from = s->gap.from && s->gap.from < from ? s->gap.from : from;
    s->gap.to = s->gap.to > to ? s->gap.to : to;

    if (last && from <= last->to + 1 && from >= last->from) {
        status->lost += to > last->to ? to - last->to : 0;
        last->to = to > last->to ? to : last->to;
        return;
    }

    if (status->ngaps == DELTA_SNAPSHOT_GAPS) {
        memmove(status->gaps, status->gaps + 1,
                sizeof(status->gaps) - sizeof(status->gaps[0]));
        status->ngaps--;
    }

    last = &status->gaps[status->ngaps++];
    last->from = from;
    last->to = to;
    status->lost += to - from + 1;
}


/* All that is pending: what is behind a gap is worth nothing without it. */

static void
delta_snapshot_drop(delta_snapshot_t *s)
{
    delta_snapshot_entry_t  *entry;

    while ((entry = TAILQ_FIRST(&s->pending)) != NULL) {
        TAILQ_REMOVE(&s->pending, entry, link);
        delta_snapshot_lose(s, entry->from, entry->tick);
        delta_snapshot_free(entry);
    }

    s->status.pending = 0;
    s->bytes = 0;
}


static void
delta_snapshot_free(delta_snapshot_entry_t *entry)
{
    if (entry == NULL) {
        return;
    }

    free(entry->snapshot);
    free(entry->event);
    free(entry->state);
    free(entry->resync);
    free(entry);
}


static char *
delta_snapshot_text(size_t *bytes, const char *format, ...)
{
    int      n;
    char    *text;
    va_list  args;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);

    text = n < 0 ? NULL : malloc(n + 1);
    if (text == NULL) {
        return NULL;
    }

    va_start(args, format);
    vsnprintf(text, n + 1, format, args);
    va_end(args);

    *bytes += n;

    return text;
}


static void *
delta_snapshot_thread(void *data)
{
    int                      rc;
    unsigned                 backoff;
    delta_snapshot_t        *s = data;
    delta_snapshot_entry_t  *entry;

    backoff = DELTA_SNAPSHOT_BACKOFF;

    while ((entry = delta_snapshot_take(s)) != NULL) {

        for ( ;; ) {
            rc = delta_snapshot_sent(s, entry, delta_snapshot_send(s, entry));

            if (rc != DELTA_PUBLISH_RETRY
                || delta_snapshot_wait(s, backoff) != 0)
            {
                break;
            }

            backoff = backoff * 2 > DELTA_SNAPSHOT_BACKOFF_MAX
                      ? DELTA_SNAPSHOT_BACKOFF_MAX : backoff * 2;
        }

        delta_snapshot_free(entry);

        if (rc == DELTA_PUBLISH_RETRY) {
            break;
        }

        backoff = DELTA_SNAPSHOT_BACKOFF;
    }

    return NULL;
}


/* NULL: it is time to end, and all is sent. */

static delta_snapshot_entry_t *
delta_snapshot_take(delta_snapshot_t *s)
{
    delta_snapshot_entry_t  *entry;

    pthread_mutex_lock(&s->lock);

    while (TAILQ_EMPTY(&s->pending) && !s->stop) {
        pthread_cond_wait(&s->notified, &s->lock);
    }

    entry = TAILQ_FIRST(&s->pending);

    if (entry) {
        TAILQ_REMOVE(&s->pending, entry, link);
        s->bytes -= entry->bytes;
        s->status.pending--;
    }

    pthread_mutex_unlock(&s->lock);

    return entry;
}


/*
 * The event comes last, so that nobody hears of a tick that is not there; n
 * is odd for a tick and even for the resync before it.
 */

static int
delta_snapshot_send(delta_snapshot_t *s, const delta_snapshot_entry_t *entry)
{
    int                   n, rc;
    char                  tick[32], ttl[16];
    char                  snapshot[DELTA_SNAPSHOT_NAME];
    char                  latest[DELTA_SNAPSHOT_NAME];
    char                  state[DELTA_SNAPSHOT_NAME];
    delta_publish_call_t  calls[DELTA_SNAPSHOT_CALLS];

    snprintf(tick, sizeof(tick), "%" PRIu64, entry->tick);
    snprintf(ttl, sizeof(ttl), "%u", s->conf.ttl);
    snprintf(snapshot, sizeof(snapshot), "snapshot:%s:%s", s->conf.world,
             tick);
    snprintf(latest, sizeof(latest), "latest_tick:%s", s->conf.world);
    snprintf(state, sizeof(state), "full_state:%s", s->conf.world);

    n = 0;
    rc = DELTA_PUBLISH_OK;

    if (entry->snapshot) {
        delta_snapshot_set(&calls[n++], snapshot, entry->snapshot, ttl);
        delta_snapshot_set(&calls[n++], latest, tick, NULL);
    }

    if (entry->state) {
        delta_snapshot_set(&calls[n++], state, entry->state, NULL);
    }

    if (entry->resync) {
        rc = delta_publish_call(s->publisher, &calls[n++], s->channel,
                                entry->resync, strlen(entry->resync),
                                s->conf.source, entry->tick * 2);
    }

    if (rc == DELTA_PUBLISH_OK && entry->event) {
        rc = delta_publish_call(s->publisher, &calls[n++], s->channel,
                                entry->event, strlen(entry->event),
                                s->conf.source, entry->tick * 2 + 1);
    }

    if (rc != DELTA_PUBLISH_OK) {
        return rc;
    }

    return delta_publisher_transaction(s->publisher, calls, n);
}


static void
delta_snapshot_set(delta_publish_call_t *call, const char *key,
    const char *value, const char *ttl)
{
    int  i;

    call->words[0] = "SET";
    call->words[1] = key;
    call->words[2] = value;
    call->words[3] = "EX";
    call->words[4] = ttl;
    call->n = ttl ? 5 : 3;

    for (i = 0; i < call->n; i++) {
        call->lens[i] = strlen(call->words[i]);
    }
}


/* The log hears of a change once. */

static int
delta_snapshot_sent(delta_snapshot_t *s, const delta_snapshot_entry_t *entry,
    int rc)
{
    unsigned  was;

    pthread_mutex_lock(&s->lock);

    was = s->status.connected;
    s->status.connected = rc == DELTA_PUBLISH_OK;

    if (rc == DELTA_PUBLISH_OK) {
        s->status.published = entry->tick;

    } else if (rc == DELTA_PUBLISH_PERMANENT) {
        delta_snapshot_lose(s, entry->from, entry->tick);
        delta_snapshot_drop(s);
    }

    pthread_mutex_unlock(&s->lock);

    if (rc == DELTA_PUBLISH_OK && !was) {
        delta_snapshot_log(s, "world %s is published from tick %" PRIu64,
                           s->conf.world, entry->tick);

        s->told = 0;

    } else if (rc != DELTA_PUBLISH_OK && !s->told) {
        s->told = 1;
        delta_snapshot_log(s, "world %s is not published from tick %" PRIu64
                           ": %s", s->conf.world, entry->tick,
                           delta_publisher_error(s->publisher));
    }

    return rc;
}


/* -1: it is time to end. */

static int
delta_snapshot_wait(delta_snapshot_t *s, unsigned ms)
{
    int              stop, rc;
    struct timespec  end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += ms % 1000 * 1000000;
    end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;

    pthread_mutex_lock(&s->lock);

    for (rc = 0; rc == 0 && !s->stop; /* void */) {
        rc = pthread_cond_timedwait(&s->notified, &s->lock, &end);
    }

    stop = s->stop;
    pthread_mutex_unlock(&s->lock);

    return stop ? -1 : 0;
}


void
delta_snapshot_status(delta_snapshot_t *s, delta_snapshot_status_t *status)
{
    pthread_mutex_lock(&s->lock);
    *status = s->status;
    pthread_mutex_unlock(&s->lock);
}


static void
delta_snapshot_log(delta_snapshot_t *s, const char *format, ...)
{
    char     line[768];
    va_list  args;

    if (s->conf.log == NULL) {
        return;
    }

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);

    s->conf.log(line);
}
