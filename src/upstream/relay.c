
/*
 * Copyright (C) Delta contributors
 */

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include "membership.h"
#include "relay.h"
#include "store.h"


#define RELAY_BATCH        100
#define RELAY_RESULTS      1024     /* ids remembered for waiting requests */
#define RELAY_IDLE_MS      1000     /* between looks whether Redis knows us */
#define RELAY_BACKOFF_MS   50
#define RELAY_BACKOFF_MAX  500


typedef struct {
    int64_t              row;
    char                 id[DELTA_PUBLISH_ID];
} relay_result_t;

typedef struct {
    int64_t              id;
    const char          *channel;   /* NULL: a change of a set */
    const char          *event;
    const char          *user;
    const char          *command;
    const char          *name;
    const char          *member;
} relay_row_t;


#define relay_text(row, name)  json_string_value(json_object_get(row, name))


struct upstream_relay_s {
    pthread_t            thread;
    upstream_store_t    *store;
    delta_publisher_t   *publisher;
    int                  wake;
    char                 marker[64];

    /* the thread's own */
    int64_t              carried;   /* rows up to here are out */
    int64_t              set_row;   /* the last one that changed a set */
    uint64_t             looked;    /* ms, when Redis was known to know us */
    unsigned             told;      /* of the outage, in the log */
    unsigned             refused;   /* the sets were, and the log says so */

    /* under the lock */
    pthread_mutex_t      lock;
    pthread_cond_t       notified;
    int64_t              done;      /* rows up to here have their results */
    relay_result_t       results[RELAY_RESULTS];
    unsigned             pending:1;
    unsigned             stop:1;
    unsigned             down:1;
};


static void *relay_thread(void *data);
static int relay_step(upstream_relay_t *relay, int *more);
static void relay_row_read(relay_row_t *row, json_t *value);
static int relay_known(upstream_relay_t *relay);
static int relay_sync(upstream_relay_t *relay);
static int relay_sync_user(upstream_relay_t *relay, const char *user);
static int relay_sync_set(upstream_relay_t *relay, const char *user,
    const char *set, const char *sql);
static int relay_row(upstream_relay_t *relay, const relay_row_t *row);
static int relay_set(upstream_relay_t *relay, const relay_row_t *row);
static int relay_mark(upstream_relay_t *relay, int64_t row);
static int relay_dead_letter(upstream_relay_t *relay, const relay_row_t *row);
static int relay_forget(upstream_relay_t *relay);
static int relay_command(upstream_relay_t *relay, const char *command,
    const char *key, const char *value);
static void relay_done(upstream_relay_t *relay, int64_t row, const char *id);
static void relay_wait(upstream_relay_t *relay, unsigned ms, int rows);
static int relay_stopped(upstream_relay_t *relay);
static void relay_state(upstream_relay_t *relay, int rc);


upstream_relay_t *
relay_start(const char *file, delta_publisher_t *publisher, int wake)
{
    upstream_relay_t    *relay;
    pthread_condattr_t   attr;

    relay = calloc(1, sizeof(upstream_relay_t));
    if (relay == NULL) {
        return NULL;
    }

    relay->publisher = publisher;
    relay->wake = wake;
    relay->pending = 1;
    relay->down = 1;

    relay->store = store_open(file);
    if (relay->store == NULL) {
        free(relay);
        return NULL;
    }

    relay->set_row = store_number(relay->store, 0, "SELECT value FROM meta "
                                  "WHERE name = 'set_row'", "");
    snprintf(relay->marker, sizeof(relay->marker), "delta:upstream:%s",
             relay->store->id);

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&relay->notified, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&relay->lock, NULL);

    if (pthread_create(&relay->thread, NULL, relay_thread, relay) != 0) {
        upstream_log("cannot start the relay's thread");
        store_close(relay->store);
        free(relay);
        return NULL;
    }

    return relay;
}


void
relay_stop(upstream_relay_t *relay)
{
    pthread_mutex_lock(&relay->lock);
    relay->stop = 1;
    pthread_cond_signal(&relay->notified);
    pthread_mutex_unlock(&relay->lock);

    pthread_join(relay->thread, NULL);

    pthread_mutex_destroy(&relay->lock);
    pthread_cond_destroy(&relay->notified);
    store_close(relay->store);
    delta_publisher_free(relay->publisher);
    free(relay);
}


void
relay_notify(upstream_relay_t *relay)
{
    pthread_mutex_lock(&relay->lock);
    relay->pending = 1;
    pthread_cond_signal(&relay->notified);
    pthread_mutex_unlock(&relay->lock);
}


int
relay_result(upstream_relay_t *relay, int64_t row, char id[DELTA_PUBLISH_ID])
{
    int              rc;
    relay_result_t  *result;

    pthread_mutex_lock(&relay->lock);

    result = &relay->results[row % RELAY_RESULTS];

    if (result->row == row && result->id[0]) {
        memcpy(id, result->id, DELTA_PUBLISH_ID);
        rc = 1;

    } else {
        rc = row <= relay->done || relay->down ? -1 : 0;
    }

    pthread_mutex_unlock(&relay->lock);

    return rc;
}


int
relay_connected(upstream_relay_t *relay)
{
    int  down;

    pthread_mutex_lock(&relay->lock);
    down = relay->down;
    pthread_mutex_unlock(&relay->lock);

    return !down;
}


static void *
relay_thread(void *data)
{
    int                rc, more;
    unsigned           backoff;
    upstream_relay_t  *relay = data;

    backoff = RELAY_BACKOFF_MS;

    while (!relay_stopped(relay)) {
        rc = relay_step(relay, &more);
        relay_state(relay, rc);

        if (rc != DELTA_PUBLISH_OK) {
            relay_wait(relay, backoff / 2 + random() % (backoff / 2), 0);
            backoff = backoff * 2 > RELAY_BACKOFF_MAX ? RELAY_BACKOFF_MAX
                                                      : backoff * 2;
            continue;
        }

        backoff = RELAY_BACKOFF_MS;

        if (!more) {
            relay_wait(relay, RELAY_IDLE_MS, 1);
        }
    }

    return NULL;
}


/*
 * A change of a set ends its batch: if it were carried out again after a
 * crash, a later one would be undone for a moment.
 */

static int
relay_step(upstream_relay_t *relay, int *more)
{
    int          rc, set;
    size_t       i;
    json_t      *rows, *value;
    relay_row_t  row;

    *more = 0;
    relay->store->failed = 0;

    rc = relay_known(relay);
    if (rc != DELTA_PUBLISH_OK) {
        return rc;
    }

    rows = store_array(relay->store, "SELECT id, channel, event, user_id, "
                       "command, name, member FROM outbox WHERE id > ? "
                       "ORDER BY id LIMIT ?", "ii", relay->carried,
                       (int64_t) RELAY_BATCH);
    if (rows == NULL) {
        return DELTA_PUBLISH_RETRY;
    }

    set = 0;

    json_array_foreach(rows, i, value) {

        if (set) {
            break;
        }

        relay_row_read(&row, value);

        rc = relay_row(relay, &row);
        if (rc != DELTA_PUBLISH_OK) {
            break;
        }

        relay->carried = row.id;
        *more = 1;

        if (row.channel == NULL) {
            relay->set_row = row.id;
            set = 1;
        }
    }

    json_decref(rows);

    if (*more && relay_forget(relay) != 0) {
        return DELTA_PUBLISH_RETRY;
    }

    return rc;
}


static void
relay_row_read(relay_row_t *row, json_t *value)
{
    row->id = json_integer_value(json_object_get(value, "id"));
    row->channel = relay_text(value, "channel");
    row->event = relay_text(value, "event");
    row->user = relay_text(value, "user_id");
    row->command = relay_text(value, "command");
    row->name = relay_text(value, "name");
    row->member = relay_text(value, "member");
}


/*
 * The marker in Redis is above the last row that changed a set.  If it is not,
 * Redis lost sets: it came back empty, or with what an older dump held.
 */

static int
relay_known(upstream_relay_t *relay)
{
    int          rc;
    long long    marker;
    const char  *words[2];

    if (relay->looked && upstream_now() - relay->looked < RELAY_IDLE_MS) {
        return DELTA_PUBLISH_OK;
    }

    words[0] = "GET";
    words[1] = relay->marker;

    rc = delta_publisher_command(relay->publisher, 2, words, &marker);

    if (rc == DELTA_PUBLISH_OK && marker <= relay->set_row) {
        rc = relay_sync(relay);
    }

    if (rc == DELTA_PUBLISH_RETRY) {
        return rc;
    }

    /* without the rights for the sets, the events shall still go out */

    if (rc == DELTA_PUBLISH_PERMANENT && !relay->refused) {
        upstream_log("Redis does not take the sets: %s",
                     delta_publisher_error(relay->publisher));
    }

    relay->refused = rc == DELTA_PUBLISH_PERMANENT;
    relay->looked = upstream_now();

    return DELTA_PUBLISH_OK;
}


/*
 * Sessions may have read the sets while they were missing, so that each user
 * is told to read again, after all of them are there.
 */

static int
relay_sync(upstream_relay_t *relay)
{
    int          rc;
    char         id[DELTA_PUBLISH_ID], control[DELTA_NAME_SEGMENT + 32];
    size_t       i;
    json_t      *users, *user;

    static const char  event[] = "{\"t\":\"membership_changed\",\"d\":{}}";

    if (!relay->told) {
        upstream_log("Redis does not have the sets of this database: "
                     "writing them");
    }

    users = store_array(relay->store, "SELECT id FROM users", "");
    if (users == NULL) {
        return DELTA_PUBLISH_RETRY;
    }

    rc = DELTA_PUBLISH_OK;

    json_array_foreach(users, i, user) {

        if (rc == DELTA_PUBLISH_OK) {
            rc = relay_sync_user(relay, relay_text(user, "id"));
        }
    }

    json_array_foreach(users, i, user) {

        if (rc == DELTA_PUBLISH_OK) {
            snprintf(control, sizeof(control), "user:%s:control",
                     relay_text(user, "id"));

            rc = delta_publish(relay->publisher, control, event,
                               sizeof(event) - 1, NULL, 0, id);
        }
    }

    json_decref(users);

    if (rc != DELTA_PUBLISH_OK) {
        return rc;
    }

    return relay_mark(relay, relay->set_row);
}


static int
relay_sync_user(upstream_relay_t *relay, const char *user)
{
    int                      rc;
    const membership_set_t  *set;

    rc = DELTA_PUBLISH_OK;

    for (set = membership_sets; rc == DELTA_PUBLISH_OK && set->name; set++) {

        if (set->sql) {
            rc = relay_sync_set(relay, user, set->name, set->sql);
        }
    }

    return rc;
}


static int
relay_sync_set(upstream_relay_t *relay, const char *user, const char *set,
    const char *sql)
{
    int      rc;
    char     gen[DELTA_NAME_SEGMENT + 32], key[DELTA_NAME_SEGMENT + 32];
    size_t   i;
    json_t  *rows, *row;

    snprintf(gen, sizeof(gen), "delta:gen:%s", user);
    snprintf(key, sizeof(key), "user:%s:%s", user, set);

    rows = store_array(relay->store, sql, "s", user);
    if (rows == NULL) {
        return DELTA_PUBLISH_RETRY;
    }

    rc = relay_command(relay, "INCR", gen, NULL);

    if (rc == DELTA_PUBLISH_OK) {
        rc = relay_command(relay, "DEL", key, NULL);
    }

    json_array_foreach(rows, i, row) {

        if (rc == DELTA_PUBLISH_OK) {
            rc = relay_command(relay, "SADD", key, relay_text(row, "id"));
        }
    }

    json_decref(rows);

    /* behind all others: until then it is a part of a set */

    if (rc == DELTA_PUBLISH_OK) {
        rc = relay_command(relay, "SADD", key, MEMBERSHIP_WHOLE);
    }

    return rc;
}


static int
relay_row(upstream_relay_t *relay, const relay_row_t *row)
{
    int   rc;
    char  id[DELTA_PUBLISH_ID];

    id[0] = '\0';

    if (row->channel) {
        rc = delta_publish(relay->publisher, row->channel, row->event,
                           strlen(row->event), relay->store->id, row->id, id);

    } else {
        rc = relay_set(relay, row);
    }

    if (rc == DELTA_PUBLISH_PERMANENT) {
        rc = relay_dead_letter(relay, row);
    }

    if (rc == DELTA_PUBLISH_OK) {
        relay_done(relay, row->id, id);
    }

    return rc;
}


static int
relay_set(upstream_relay_t *relay, const relay_row_t *row)
{
    int   rc;
    char  gen[DELTA_NAME_SEGMENT + 32];

    /* the mark is about to rise, and would hide that sets were lost */

    relay->looked = 0;

    rc = relay_known(relay);
    if (rc != DELTA_PUBLISH_OK) {
        return rc;
    }

    snprintf(gen, sizeof(gen), "delta:gen:%s", row->user);

    rc = relay_command(relay, "INCR", gen, NULL);
    if (rc != DELTA_PUBLISH_OK) {
        return rc;
    }

    rc = relay_command(relay, row->command, row->name, row->member);
    if (rc != DELTA_PUBLISH_OK) {
        return rc;
    }

    return relay_mark(relay, row->id);
}


static int
relay_mark(upstream_relay_t *relay, int64_t row)
{
    char  value[32];

    snprintf(value, sizeof(value), "%lld", (long long) row + 1);

    return relay_command(relay, "SET", relay->marker, value);
}


/* If even the log does not take it, those who are connected shall know. */

static int
relay_dead_letter(upstream_relay_t *relay, const relay_row_t *row)
{
    int   rc;
    char  id[DELTA_PUBLISH_ID], error[512];

    static const char  event[] = "{\"t\":\"resync\","
                                 "\"d\":{\"reason\":\"dead_letter\"}}";

    snprintf(error, sizeof(error), "%s",
             delta_publisher_error(relay->publisher));

    upstream_log("row %lld of the outbox for %s is dead: %s",
                 (long long) row->id, row->channel ? row->channel : row->name,
                 error);

    if (row->channel == NULL) {
        rc = relay_mark(relay, row->id);

    } else {
        rc = delta_publish(relay->publisher, row->channel, event,
                           sizeof(event) - 1, relay->store->id, row->id, id);

        if (rc == DELTA_PUBLISH_PERMANENT) {
            rc = delta_publish_plain(relay->publisher, row->channel, event,
                                     sizeof(event) - 1);
        }
    }

    if (rc == DELTA_PUBLISH_RETRY) {
        return rc;
    }

    return store_exec(relay->store, "INSERT OR IGNORE INTO dead_letter (id, "
                      "channel, event, user_id, command, name, member, error) "
                      "VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "isssssss", row->id,
                      row->channel, row->event, row->user, row->command,
                      row->name, row->member, error)
           < 0 ? DELTA_PUBLISH_RETRY : DELTA_PUBLISH_OK;
}


static int
relay_forget(upstream_relay_t *relay)
{
    if (store_begin(relay->store) != 0) {
        return -1;
    }

    store_exec(relay->store, "DELETE FROM outbox WHERE id <= ?", "i",
               relay->carried);
    store_exec(relay->store, "INSERT OR REPLACE INTO meta "
               "VALUES ('set_row', ?)", "i", relay->set_row);

    return store_end(relay->store, 1);
}


static int
relay_command(upstream_relay_t *relay, const char *command, const char *key,
    const char *value)
{
    const char  *words[3];

    words[0] = command;
    words[1] = key;
    words[2] = value;

    return delta_publisher_command(relay->publisher, value ? 3 : 2, words,
                                   NULL);
}


static void
relay_done(upstream_relay_t *relay, int64_t row, const char *id)
{
    uint64_t         one;
    relay_result_t  *result;

    pthread_mutex_lock(&relay->lock);

    result = &relay->results[row % RELAY_RESULTS];
    result->row = row;
    memcpy(result->id, id, strlen(id) + 1);

    relay->done = row;

    pthread_mutex_unlock(&relay->lock);

    one = 1;

    if (write(relay->wake, &one, sizeof(one)) < 0 && errno != EAGAIN) {
        upstream_log("cannot wake the server");
    }
}


/* Until there are rows, if they matter, or the time is over. */

static void
relay_wait(upstream_relay_t *relay, unsigned ms, int rows)
{
    struct timespec  until;

    clock_gettime(CLOCK_MONOTONIC, &until);

    until.tv_nsec += (long) (ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;

    pthread_mutex_lock(&relay->lock);

    while (!relay->stop && !(rows && relay->pending)
           && pthread_cond_timedwait(&relay->notified, &relay->lock, &until)
              == 0)
    {
        /* void */
    }

    relay->pending = 0;

    pthread_mutex_unlock(&relay->lock);
}


static int
relay_stopped(upstream_relay_t *relay)
{
    int  stop;

    pthread_mutex_lock(&relay->lock);
    stop = relay->stop;
    pthread_mutex_unlock(&relay->lock);

    return stop;
}


static void
relay_state(upstream_relay_t *relay, int rc)
{
    int          was;
    const char  *error;

    pthread_mutex_lock(&relay->lock);
    was = relay->down;
    relay->down = rc != DELTA_PUBLISH_OK;
    pthread_mutex_unlock(&relay->lock);

    if (rc == DELTA_PUBLISH_OK) {

        if (was) {
            upstream_log("the outbox is carried to Redis");
        }

        relay->told = 0;
        return;
    }

    relay->looked = 0;

    if (!relay->told) {
        error = delta_publisher_error(relay->publisher);
        upstream_log("the outbox waits: %s", error[0] ? error : "database");
        relay->told = 1;
    }
}
