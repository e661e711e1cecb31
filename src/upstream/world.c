
/*
 * Copyright (C) Delta contributors
 */

#include <pthread.h>
#include <time.h>
#include "store.h"
#include "world.h"


#define WORLD_SIZE       1000       /* of each side */
#define WORLD_RESOURCES  20
#define WORLD_BUILDINGS  30
#define WORLD_SACKS      10
#define WORLD_OTHERS     (WORLD_RESOURCES + WORLD_BUILDINGS + WORLD_SACKS)
#define WORLD_LATE_MS    1000       /* then ticks are not made up for */


struct upstream_world_s {
    upstream_world_conf_t   conf;
    pthread_t               thread;
    upstream_store_t       *store;
    delta_tracker_t        *tracker;
    delta_snapshot_t       *snapshot;
    uint64_t                tick;
    uint64_t                random;

    /* under the lock */
    pthread_mutex_t         lock;
    pthread_cond_t          notified;
    uint64_t                archived;   /* the last tick that is */
    unsigned                stop;
};


static int world_restore(upstream_world_t *world,
    delta_snapshot_gap_t *gap, delta_publisher_t *publisher);
static uint64_t world_load(upstream_world_t *world, uint64_t *reserved);
static void world_populate(upstream_world_t *world);
static int world_run(upstream_world_t *world);
static void *world_thread(void *data);
static int world_wait(upstream_world_t *world, struct timespec *next);
static void world_tick(upstream_world_t *world);
static void world_npc(upstream_world_t *world, const char *id);
static void world_walk(upstream_world_t *world, const char *id,
    const char *place, const char *speed);
static void world_eat(upstream_world_t *world);
static void world_building(upstream_world_t *world, const char *id);
static void world_sack(upstream_world_t *world, const char *id);
static void world_put(upstream_world_t *world, const char *id,
    const char *type, delta_tracker_kind_t kind);
static double world_number(upstream_world_t *world, const char *id,
    const char *path);
static void world_set(upstream_world_t *world, const char *id,
    const char *path, double value);
static unsigned world_random(upstream_world_t *world, unsigned n);
static int world_archive(void *data, uint64_t tick, const char *state,
    size_t len);
static int world_write(upstream_world_t *world, uint64_t tick,
    uint64_t reserved, const char *state);
static void world_final(upstream_world_t *world);
static void world_log(const char *line);
static uint64_t world_now(void);


/* Below reserved lies every number that a tick had before the next row. */

static const char  world_schema[] =
    "CREATE TABLE IF NOT EXISTS world_archive ("
    "    world TEXT NOT NULL, tick INTEGER NOT NULL,"
    "    reserved INTEGER NOT NULL, state TEXT NOT NULL,"
    "    archived_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    "    PRIMARY KEY (world, tick)) WITHOUT ROWID";


upstream_world_t *
world_start(const char *file, delta_publisher_t *publisher,
    const upstream_world_conf_t *conf)
{
    char                   error[256];
    upstream_world_t      *world;
    delta_snapshot_gap_t   gap;

    world = calloc(1, sizeof(upstream_world_t));
    if (world == NULL) {
        delta_publisher_free(publisher);
        return NULL;
    }

    world->conf = *conf;
    world->store = store_open(file);
    world->tracker = delta_tracker_create(UPSTREAM_WORLD_NPCS + WORLD_OTHERS);

    if (world->store == NULL || world->tracker == NULL
        || world_restore(world, &gap, publisher) != 0)
    {
        delta_publisher_free(publisher);
        goto failed;
    }

    world->conf.snapshot.source = world->store->id;
    world->conf.snapshot.archived = world_archive;
    world->conf.snapshot.log = world_log;
    world->conf.snapshot.data = world;

    world->snapshot = delta_snapshot_start(&world->conf.snapshot, publisher,
                                           error, sizeof(error));
    if (world->snapshot == NULL) {
        upstream_log("the world: %s", error);
        goto failed;
    }

    delta_snapshot_gap(world->snapshot, gap.from, gap.to);

    if (world_run(world) == 0) {
        return world;
    }

    upstream_log("cannot start the world's thread");
    delta_snapshot_stop(world->snapshot, world->tracker, world_now());

failed:

    store_close(world->store);
    delta_tracker_free(world->tracker);
    free(world);

    return NULL;
}


/*
 * If what was archived last is what was published last, all goes on.  Else
 * the state is not what clients made of the ticks they saw, which is a gap.
 */

static int
world_restore(upstream_world_t *world, delta_snapshot_gap_t *gap,
    delta_publisher_t *publisher)
{
    uint64_t     archived, latest, reserved;
    const char  *name;

    name = world->conf.snapshot.world;

    if (store_exec(world->store, world_schema, "") < 0) {
        return -1;
    }

    if (delta_snapshot_latest(publisher, name, &latest) != DELTA_PUBLISH_OK) {
        upstream_log("the latest tick of world %s is not known: %s", name,
                     delta_publisher_error(publisher));
    }

    archived = world_load(world, &reserved);

    world->archived = archived;
    world->tick = archived;
    gap->from = 1;
    gap->to = 0;

    if (latest != archived || reserved != archived) {
        world->tick = (latest > reserved ? latest : reserved) + 1;
        gap->from = (latest ? latest : archived) + 1;
        gap->to = world->tick;
    }

    upstream_log("world %s goes on behind tick %llu", name,
                 (unsigned long long) world->tick);

    return 0;
}


/* The tick of the archived state, or 0 and a new world. */

static uint64_t
world_load(upstream_world_t *world, uint64_t *reserved)
{
    json_t    *row, *state;
    uint64_t   tick;

    tick = 0;
    *reserved = 0;

    row = store_object(world->store, "SELECT tick, reserved, state "
                       "FROM world_archive WHERE world = ? "
                       "ORDER BY tick DESC LIMIT 1", "s",
                       world->conf.snapshot.world);

    if (row) {
        tick = json_integer_value(json_object_get(row, "tick"));
        *reserved = json_integer_value(json_object_get(row, "reserved"));

        state = json_loads(json_string_value(json_object_get(row, "state")),
                           0, NULL);

        if (delta_tracker_load(world->tracker, state) != 0) {
            upstream_log("the world's state at tick %llu is not usable: %s",
                         (unsigned long long) tick,
                         delta_tracker_error(world->tracker));
            *reserved += *reserved == tick;
        }

        json_decref(state);
        json_decref(row);
    }

    world->random = tick + 1;
    world_populate(world);

    return tick;
}


/* What is not there yet: the number of npcs can be another one than it was. */

static void
world_populate(upstream_world_t *world)
{
    char      id[32];
    unsigned  i;

    static const char  *resources[] = { "tree", "stone", "berries" };

    for (i = 1; i <= world->conf.npcs; i++) {
        snprintf(id, sizeof(id), "n%u", i);

        if (delta_tracker_type(world->tracker, id) == NULL) {
            world_put(world, id, "npc", DELTA_TRACKER_NPCS);
            world_set(world, id, "needs.hunger", world_random(world, 100));
        }
    }

    for (i = 1; i <= WORLD_RESOURCES; i++) {
        snprintf(id, sizeof(id), "r%u", i);

        if (delta_tracker_type(world->tracker, id) == NULL) {
            world_put(world, id, resources[i % 3], DELTA_TRACKER_RESOURCES);
            world_set(world, id, "amount", 10);
        }
    }
}


static int
world_run(upstream_world_t *world)
{
    pthread_condattr_t  attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&world->notified, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&world->lock, NULL);

    return pthread_create(&world->thread, NULL, world_thread, world) == 0
           ? 0 : -1;
}


void
world_stop(upstream_world_t *world)
{
    if (world == NULL) {
        return;
    }

    pthread_mutex_lock(&world->lock);
    world->stop = 1;
    pthread_cond_signal(&world->notified);
    pthread_mutex_unlock(&world->lock);

    pthread_join(world->thread, NULL);

    delta_snapshot_stop(world->snapshot, world->tracker, world_now());
    world_final(world);

    pthread_mutex_destroy(&world->lock);
    pthread_cond_destroy(&world->notified);
    store_close(world->store);
    delta_tracker_free(world->tracker);
    free(world);
}


json_t *
world_status(upstream_world_t *world)
{
    size_t                   i;
    json_t                  *gaps;
    uint64_t                 archived;
    delta_snapshot_status_t  status;

    pthread_mutex_lock(&world->lock);
    archived = world->archived;
    pthread_mutex_unlock(&world->lock);

    delta_snapshot_status(world->snapshot, &status);
    gaps = json_array();

    for (i = 0; i < status.ngaps; i++) {
        json_array_append_new(gaps, json_pack("[I, I]",
                                        (json_int_t) status.gaps[i].from,
                                        (json_int_t) status.gaps[i].to));
    }

    return json_pack("{s:s, s:I, s:I, s:I, s:b, s:I, s:I, s:o}",
                     "id", world->conf.snapshot.world,
                     "tick", (json_int_t) status.tick,
                     "published", (json_int_t) status.published,
                     "archived", (json_int_t) archived,
                     "redis", (int) status.connected,
                     "pending", (json_int_t) status.pending,
                     "lost", (json_int_t) status.lost,
                     "gaps", gaps);
}


static void *
world_thread(void *data)
{
    upstream_world_t  *world = data;
    struct timespec    next;

    clock_gettime(CLOCK_MONOTONIC, &next);

    while (world_wait(world, &next) == 0) {
        world_tick(world);
    }

    return NULL;
}


/* -1: it is time to end. */

static int
world_wait(upstream_world_t *world, struct timespec *next)
{
    int              rc, stop;
    struct timespec  now;

    next->tv_nsec += world->conf.snapshot.tick % 1000 * 1000000;
    next->tv_sec += world->conf.snapshot.tick / 1000
                    + next->tv_nsec / 1000000000;
    next->tv_nsec %= 1000000000;

    clock_gettime(CLOCK_MONOTONIC, &now);

    if ((now.tv_sec - next->tv_sec) * 1000
        + (now.tv_nsec - next->tv_nsec) / 1000000 > WORLD_LATE_MS)
    {
        *next = now;
    }

    pthread_mutex_lock(&world->lock);

    for (rc = 0; rc == 0 && !world->stop; /* void */) {
        rc = pthread_cond_timedwait(&world->notified, &world->lock, next);
    }

    stop = world->stop;
    pthread_mutex_unlock(&world->lock);

    return stop ? -1 : 0;
}


static void
world_tick(upstream_world_t *world)
{
    char      id[32];
    unsigned  i;

    world->tick++;

    for (i = 1; i <= world->conf.npcs; i++) {
        snprintf(id, sizeof(id), "n%u", i);
        world_npc(world, id);
    }

    for (i = 1; i <= WORLD_BUILDINGS; i++) {
        snprintf(id, sizeof(id), "b%u", i);
        world_building(world, id);
    }

    for (i = 1; i <= WORLD_SACKS; i++) {
        snprintf(id, sizeof(id), "s%u", i);
        world_sack(world, id);
    }

    if (delta_snapshot_tick(world->snapshot, world->tracker, world->tick,
                            world_now())
        != 0)
    {
        upstream_log("tick %llu of the world is lost",
                     (unsigned long long) world->tick);
    }
}


static void
world_npc(upstream_world_t *world, const char *id)
{
    double  hunger;

    if (delta_tracker_get(world->tracker, id, "speed.x") == NULL
        || world_random(world, 50) == 0)
    {
        world_set(world, id, "speed.x", world_random(world, 41) / 10.0 - 2);
        world_set(world, id, "speed.y", world_random(world, 41) / 10.0 - 2);
    }

    world_walk(world, id, "position.x", "speed.x");
    world_walk(world, id, "position.y", "speed.y");

    if (world_random(world, 4)) {
        return;
    }

    hunger = world_number(world, id, "needs.hunger") + 0.5;

    if (hunger > 100) {
        hunger = 0;
        world_eat(world);
    }

    world_set(world, id, "needs.hunger", hunger);
}


/* To the edge, and back from there. */

static void
world_walk(upstream_world_t *world, const char *id, const char *place,
    const char *speed)
{
    double  n, v;

    v = world_number(world, id, speed);
    n = world_number(world, id, place) + v;

    if (n < 0 || n > WORLD_SIZE) {
        n = n < 0 ? 0 : WORLD_SIZE;
        world_set(world, id, speed, -v);
    }

    world_set(world, id, place, n);
}


static void
world_eat(upstream_world_t *world)
{
    char    id[32];
    double  amount;

    snprintf(id, sizeof(id), "r%u", 1 + world_random(world, WORLD_RESOURCES));
    amount = world_number(world, id, "amount");

    world_set(world, id, "amount", amount > 0 ? amount - 1 : 10);
}


static void
world_building(upstream_world_t *world, const char *id)
{
    double  progress;

    if (delta_tracker_type(world->tracker, id) == NULL) {

        if (world_random(world, 300) == 0) {
            world_put(world, id, world_random(world, 2) ? "house" : "mill",
                      DELTA_TRACKER_BUILDINGS);
            world_set(world, id, "progress", 0);
        }

        return;
    }

    progress = world_number(world, id, "progress");

    if (progress < 100) {
        world_set(world, id, "progress", progress + 5);

    } else if (world_random(world, 300) == 0) {
        delta_tracker_remove(world->tracker, id);
    }
}


static void
world_sack(upstream_world_t *world, const char *id)
{
    if (world_random(world, 50)) {
        return;
    }

    if (delta_tracker_type(world->tracker, id)) {
        delta_tracker_remove(world->tracker, id);
        return;
    }

    world_put(world, id, "sack", DELTA_TRACKER_ENTITIES);
    delta_tracker_set(world->tracker, id, "content",
                      json_string(world_random(world, 2) ? "grain" : "gold"));
}


static void
world_put(upstream_world_t *world, const char *id, const char *type,
    delta_tracker_kind_t kind)
{
    delta_tracker_add(world->tracker, id, type, kind);
    world_set(world, id, "position.x", world_random(world, WORLD_SIZE));
    world_set(world, id, "position.y", world_random(world, WORLD_SIZE));
}


static double
world_number(upstream_world_t *world, const char *id, const char *path)
{
    return json_number_value(delta_tracker_get(world->tracker, id, path));
}


static void
world_set(upstream_world_t *world, const char *id, const char *path,
    double value)
{
    delta_tracker_set(world->tracker, id, path, json_real(value));
}


static unsigned
world_random(upstream_world_t *world, unsigned n)
{
    uint64_t  x;

    world->random += 0x9e3779b97f4a7c15u;

    x = world->random;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;

    return (x ^ x >> 31) % n;
}


static int
world_archive(void *data, uint64_t tick, const char *state, size_t len)
{
    upstream_world_t  *world = data;

    (void) len;

    return world_write(world, tick, tick + world->conf.snapshot.archive,
                       state);
}


static int
world_write(upstream_world_t *world, uint64_t tick, uint64_t reserved,
    const char *state)
{
    if (store_begin(world->store) != 0) {
        return -1;
    }

    store_exec(world->store, "INSERT OR REPLACE INTO world_archive (world, "
               "tick, reserved, state) VALUES (?, ?, ?, ?)", "siis",
               world->conf.snapshot.world, (int64_t) tick, (int64_t) reserved,
               state);

    if (world->conf.keep) {
        store_exec(world->store, "DELETE FROM world_archive WHERE world = ? "
                   "AND tick <= (SELECT tick FROM world_archive "
                   "WHERE world = ? ORDER BY tick DESC LIMIT 1 OFFSET ?)",
                   "ssi", world->conf.snapshot.world,
                   world->conf.snapshot.world, (int64_t) world->conf.keep);
    }

    if (store_end(world->store, 1) != 0) {
        return -1;
    }

    pthread_mutex_lock(&world->lock);
    world->archived = tick;
    pthread_mutex_unlock(&world->lock);

    return 0;
}


/* A row of which nothing is reserved: no tick came behind it. */

static void
world_final(upstream_world_t *world)
{
    char    *state;
    size_t   len;

    state = delta_tracker_state(world->tracker, world->conf.snapshot.world,
                                world->tick, world_now(), &len);

    if (state == NULL
        || world_write(world, world->tick, world->tick, state) != 0)
    {
        upstream_log("the world's last state is not archived");
    }

    free(state);
}


static void
world_log(const char *line)
{
    upstream_log("%s", line);
}


static uint64_t
world_now(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_REALTIME, &now);

    return (uint64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
