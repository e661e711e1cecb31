
/*
 * Copyright (C) Delta contributors
 */

#include <malloc.h>
#include "delta_tracker.h"
#include "tap.h"


#define TRACKER_TICKS   3000
#define TRACKER_LONG    10000
#define TRACKER_MAX     40
#define TRACKER_SLACK   65536       /* bytes: buffers that still find a size */


typedef struct {
    const char  *path;
    json_t      *value;
    int          good;
} tracker_value_t;


#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);
#endif


static json_t *
tracker_load(delta_str_t text)
{
    return json_loadb(text.data, text.len, 0, NULL);
}


/* Ends the tick and compares one of the casts. */

static void
tracker_cast(delta_tracker_t *t, int full, const char *want, const char *name)
{
    json_t                 *got, *expected;
    delta_tracker_casts_t   casts;

    if (delta_tracker_tick(t, &casts) != 0) {
        ok(0, "%s", name);
        return;
    }

    got = tracker_load(full ? casts.full : casts.limited);
    expected = json_loads(want, 0, NULL);

    if (!ok(got && expected && json_equal(got, expected), "%s", name)) {
        printf("#   got %.*s\n", (int) (full ? casts.full : casts.limited).len,
               (full ? casts.full : casts.limited).data);
    }

    json_decref(got);
    json_decref(expected);
}


#define TRACKER_QUIET  "{\"entityMoved\":[],\"entityCreated\":[],"            \
                       "\"entityRemoved\":[]}"
#define TRACKER_SAME   "{\"entities\":{\"created\":[],\"updated\":[],"        \
                       "\"deleted\":[]},\"npcs\":[],\"resources\":[],"        \
                       "\"buildings\":[]}"


static void
tracker_npc(delta_tracker_t *t, double x, double y)
{
    delta_tracker_add(t, "n1", "npc", DELTA_TRACKER_NPCS);
    delta_tracker_set(t, "n1", "position.x", json_real(x));
    delta_tracker_set(t, "n1", "position.y", json_real(y));
    delta_tracker_set(t, "n1", "needs.hunger", json_integer(7));
}


static void
tracker_casts(void)
{
    delta_tracker_t  *t;

    t = delta_tracker_create(10);

    tracker_npc(t, 1.5, -2);
    tracker_cast(t, 0, "{\"entityMoved\":[],\"entityCreated\":[{\"id\":\"n1\","
                 "\"type\":\"npc\",\"position\":{\"x\":1.5,\"y\":-2}}],"
                 "\"entityRemoved\":[]}", "limited: created, with its place");

    delta_tracker_set(t, "n1", "needs.hunger", json_integer(8));
    tracker_cast(t, 0, TRACKER_QUIET, "row 2.1: hunger is nobody's business");

    delta_tracker_set(t, "n1", "needs.hunger", json_integer(9));
    delta_tracker_set(t, "n1", "name", json_string("\"\xc3\xa4"));
    tracker_cast(t, 1, "{\"entities\":{\"created\":[],\"updated\":[],"
                 "\"deleted\":[]},\"npcs\":[{\"entityId\":\"n1\",\"field\":"
                 "\"needs.hunger\",\"oldValue\":8,\"newValue\":9},"
                 "{\"entityId\":\"n1\",\"field\":\"name\",\"oldValue\":null,"
                 "\"newValue\":\"\\\"\xc3\xa4\"}],\"resources\":[],"
                 "\"buildings\":[]}", "row 2.1: old and new value");

    delta_tracker_set(t, "n1", "position.x", json_real(2.3456));
    tracker_cast(t, 0, "{\"entityMoved\":[{\"id\":\"n1\",\"position\":"
                 "{\"x\":2.346,\"y\":-2}}],\"entityCreated\":[],"
                 "\"entityRemoved\":[]}", "limited: moved, in thousandths");

    delta_tracker_add(t, "r1", "tree", DELTA_TRACKER_RESOURCES);
    delta_tracker_set(t, "r1", "amount", json_integer(5));
    tracker_cast(t, 1, "{\"entities\":{\"created\":[{\"entityId\":\"r1\","
                 "\"type\":\"tree\",\"kind\":\"resources\",\"fields\":"
                 "{\"amount\":5}}],\"updated\":[],\"deleted\":[]},\"npcs\":[],"
                 "\"resources\":[],\"buildings\":[]}", "full: created");

    delta_tracker_set(t, "n1", "position.y", json_null());
    tracker_cast(t, 0, "{\"entityMoved\":[],\"entityCreated\":[],"
                 "\"entityRemoved\":[\"n1\"]}",
                 "limited: without a place it is gone");

    delta_tracker_remove(t, "n1");
    tracker_cast(t, 1, "{\"entities\":{\"created\":[],\"updated\":[],"
                 "\"deleted\":[\"n1\"]},\"npcs\":[],\"resources\":[],"
                 "\"buildings\":[]}", "full: deleted");

    is_int(delta_tracker_count(t), 1, "one is left");
    delta_tracker_free(t);
}


static void
tracker_netting(void)
{
    delta_tracker_t        *t;
    delta_tracker_casts_t   casts;

    t = delta_tracker_create(10);

    tracker_npc(t, 1, 1);
    delta_tracker_remove(t, "n1");
    tracker_cast(t, 1, TRACKER_SAME, "created and removed: nothing");

    tracker_npc(t, 1, 1);
    delta_tracker_tick(t, &casts);
    is_int(casts.changes, 1, "one change is counted");

    delta_tracker_set(t, "n1", "position.x", json_integer(2));
    delta_tracker_set(t, "n1", "position.x", json_real(1.0));
    delta_tracker_set(t, "n1", "new", json_true());
    delta_tracker_set(t, "n1", "new", json_null());
    tracker_cast(t, 1, TRACKER_SAME, "there and back: nothing");

    delta_tracker_remove(t, "n1");
    tracker_npc(t, 1, 1);
    tracker_cast(t, 1, TRACKER_SAME, "removed and added as it was: nothing");

    delta_tracker_remove(t, "n1");
    delta_tracker_add(t, "n1", "wolf", DELTA_TRACKER_NPCS);
    delta_tracker_remove(t, "n1");
    tracker_npc(t, 1, 3);
    tracker_cast(t, 0, "{\"entityMoved\":[{\"id\":\"n1\",\"position\":"
                 "{\"x\":1,\"y\":3}}],\"entityCreated\":[],"
                 "\"entityRemoved\":[]}", "removed and added: moved");

    delta_tracker_remove(t, "n1");
    delta_tracker_add(t, "n1", "wolf", DELTA_TRACKER_NPCS);
    tracker_cast(t, 1, "{\"entities\":{\"created\":[{\"entityId\":\"n1\","
                 "\"type\":\"wolf\",\"kind\":\"npcs\",\"fields\":{}}],"
                 "\"updated\":[],\"deleted\":[]},\"npcs\":[],"
                 "\"resources\":[],\"buildings\":[]}",
                 "as something else: created only");

    tracker_cast(t, 1, TRACKER_SAME, "an empty tick");
    delta_tracker_free(t);
}


static void
tracker_errors(void)
{
    int               i, n, rc;
    char              path[16], *text;
    size_t            k, len;
    delta_tracker_t  *t;

    t = delta_tracker_create(2);

    ok(delta_tracker_create(0) == NULL, "a tracker of nothing");

    is_int(delta_tracker_add(t, "a:b", "t", 0), -1, "an id with a colon");
    is_int(delta_tracker_add(t, "a", "t\"", 0), -1, "a type with a quote");
    is_int(delta_tracker_add(t, "a", "", 0), -1, "an empty type");
    is_int(delta_tracker_add(t, "a", "t", 4), -1, "an unknown kind");
    is_int(delta_tracker_add(t, "a", "t", 0), 0, "an entity");
    is_int(delta_tracker_add(t, "a", "t", 0), -1, "the same again");
    is_int(delta_tracker_add(t, "b", "t", 0), 0, "another");
    is_int(delta_tracker_add(t, "c", "t", 0), -1, "one too many");
    is_str(delta_tracker_error(t), "there are too many entities", "it says");
    is_int(delta_tracker_remove(t, "c"), -1, "an unknown one is not removed");
    is_int(delta_tracker_set(t, "c", "x", json_integer(1)), -1, "nor set");

    text = calloc(1, DELTA_TRACKER_TEXT + 2);
    memset(text, 'x', DELTA_TRACKER_TEXT + 1);

    tracker_value_t  values[] = {
        { "", json_true(), 0 },
        { ".", json_true(), 0 },
        { "a.", json_true(), 0 },
        { ".a", json_true(), 0 },
        { "a..b", json_true(), 0 },
        { "a\"b", json_true(), 0 },
        { "a.b-c_D.9", json_true(), 1 },
        { "object", json_object(), 0 },
        { "array", json_array(), 0 },
        { "nothing", NULL, 0 },
        { "text", json_string(text), 0 },
        { "text", json_string(text + 1), 1 },
        { "real", json_real(0.1), 1 },
        { "position.x", json_string("1"), 0 },
        { "position.x", json_true(), 0 },
        { "position.x", json_real(1e300), 0 },
        { "position.x", json_real(-1e9 - 1), 0 },
        { "position.x", json_integer(1000000000), 1 },
        { "position.x.y", json_string("1"), 1 },
        { "absent", json_null(), 1 },
    };

    for (k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
        rc = delta_tracker_set(t, "a", values[k].path, values[k].value);
        is_int(rc == 0, values[k].good, "value %d at %s", (int) k,
               values[k].path);
    }

    for (i = 0, n = 0; i < DELTA_TRACKER_FIELDS + 10; i++) {
        snprintf(path, sizeof(path), "f%d", i);
        n += delta_tracker_set(t, "b", path, json_integer(i)) == 0;
    }

    is_int(n, DELTA_TRACKER_FIELDS, "the fields are bounded");
    ok(delta_tracker_state(t, "w", 1, 1, &len) == NULL,
       "no state within a tick");

    free(text);
    delta_tracker_free(t);
}


/* As the documentation has it, of a client's visible state. */

static uint32_t
tracker_checksum(json_t *state)
{
    char         text[512];
    double       x, y;
    uint32_t     sum, h;
    json_t      *value, *place;
    const char  *id, *p;

    sum = 0;

    json_object_foreach(state, id, value) {
        place = json_object_get(value, "position");
        x = json_number_value(json_object_get(place, "x")) * 1000;
        y = json_number_value(json_object_get(place, "y")) * 1000;

        snprintf(text, sizeof(text), "%s:%s:%.0f:%.0f", id,
                 json_string_value(json_object_get(value, "type")), x, y);

        h = 0x811c9dc5;

        for (p = text; *p; p++) {
            h ^= (unsigned char) *p;
            h *= 0x01000193;
        }

        h ^= h >> 16;
        h *= 0x85ebca6b;
        h ^= h >> 13;
        h *= 0xc2b2ae35;
        h ^= h >> 16;
        sum += h;
    }

    return sum;
}


static void
tracker_apply_limited(json_t *state, json_t *cast)
{
    size_t       i;
    json_t      *value;
    const char  *id;

    json_array_foreach(json_object_get(cast, "entityRemoved"), i, value) {
        json_object_del(state, json_string_value(value));
    }

    json_array_foreach(json_object_get(cast, "entityCreated"), i, value) {
        id = json_string_value(json_object_get(value, "id"));
        json_object_set(state, id, value);
    }

    json_array_foreach(json_object_get(cast, "entityMoved"), i, value) {
        id = json_string_value(json_object_get(value, "id"));
        json_object_set(json_object_get(state, id), "position",
                        json_object_get(value, "position"));
    }
}


/* Returns how many old values were not what this client had. */

static int
tracker_apply_fields(json_t *state, json_t *changes)
{
    int          wrong;
    size_t       i;
    json_t      *change, *fields, *old, *value;
    const char  *field;

    wrong = 0;

    json_array_foreach(changes, i, change) {
        fields = json_object_get(json_object_get(state, json_string_value(
                                 json_object_get(change, "entityId"))),
                                 "fields");
        field = json_string_value(json_object_get(change, "field"));
        old = json_object_get(fields, field);
        value = json_object_get(change, "newValue");

        wrong += !json_equal(old ? old : json_null(),
                             json_object_get(change, "oldValue"));
        wrong += json_equal(json_object_get(change, "oldValue"), value);

        if (json_is_null(value)) {
            json_object_del(fields, field);

        } else {
            json_object_set(fields, field, value);
        }
    }

    return wrong;
}


static int
tracker_apply_full(json_t *state, json_t *cast)
{
    size_t   i;
    json_t  *entities, *value, *entity;

    entities = json_object_get(cast, "entities");

    json_array_foreach(json_object_get(entities, "deleted"), i, value) {
        json_object_del(state, json_string_value(value));
    }

    json_array_foreach(json_object_get(entities, "created"), i, value) {
        entity = json_deep_copy(value);
        json_object_set(entity, "id", json_object_get(value, "entityId"));
        json_object_del(entity, "entityId");
        json_object_set_new(state, json_string_value(
                            json_object_get(value, "entityId")), entity);
    }

    return tracker_apply_fields(state, json_object_get(entities, "updated"))
           + tracker_apply_fields(state, json_object_get(cast, "npcs"))
           + tracker_apply_fields(state, json_object_get(cast, "resources"))
           + tracker_apply_fields(state, json_object_get(cast, "buildings"));
}


/* The state's entities (or full) by their ids. */

static json_t *
tracker_init(delta_tracker_t *t, const char *name)
{
    char    *text;
    size_t   i, len;
    json_t  *state, *value, *entities;

    text = delta_tracker_state(t, "w", 1, 1, &len);
    state = text ? json_loadb(text, len, 0, NULL) : NULL;
    entities = json_object();

    json_array_foreach(json_object_get(state, name), i, value) {
        json_object_set(entities,
                        json_string_value(json_object_get(value, "id")),
                        value);
    }

    json_decref(state);
    free(text);

    return entities;
}


static void
tracker_mutate(delta_tracker_t *t)
{
    int   n, kind;
    char  id[16];

    static const char  *types[] = { "npc", "tree", "house" };
    static const char  *paths[] = { "position.x", "position.y", "needs.hunger",
                                    "a", "a.b" };

    for (n = tap_random() % 20; n; n--) {
        snprintf(id, sizeof(id), "e%u", tap_random() % (TRACKER_MAX + 5));
        kind = tap_random() % DELTA_TRACKER_KINDS;

        switch (tap_random() % 10) {

        case 0:
            delta_tracker_remove(t, id);
            break;

        case 1:
        case 2:
            delta_tracker_add(t, id, types[tap_random() % 3], kind);
            delta_tracker_set(t, id, "position.x",
                              json_real(tap_random() % 100 / 7.0));
            delta_tracker_set(t, id, "position.y", json_integer(kind));
            break;

        case 3:
            delta_tracker_set(t, id, paths[tap_random() % 5], json_null());
            break;

        case 4:
            delta_tracker_set(t, id, paths[3 + tap_random() % 2],
                              tap_random() % 2 ? json_string("x")
                                               : json_boolean(kind));
            break;

        default:
            delta_tracker_set(t, id, paths[tap_random() % 4],
                              json_real((int) (tap_random() % 9) / 3.0 - 1));
        }
    }
}


/* Clients that come in at any tick, and only apply. */

static void
tracker_property(void)
{
    int                     i, wrong, old, sums;
    json_t                 *limited, *full, *cast, *now;
    delta_tracker_t        *t;
    delta_tracker_casts_t   casts;

    t = delta_tracker_create(TRACKER_MAX);
    limited = NULL;
    full = NULL;
    wrong = 0;
    old = 0;
    sums = 0;

    for (i = 0; i < TRACKER_TICKS; i++) {

        if (i % 50 == 0) {
            json_decref(limited);
            json_decref(full);
            limited = tracker_init(t, "entities");
            full = tracker_init(t, "full");
        }

        tracker_mutate(t);
        delta_tracker_tick(t, &casts);

        cast = tracker_load(casts.limited);
        tracker_apply_limited(limited, cast);
        json_decref(cast);

        cast = tracker_load(casts.full);
        old += tracker_apply_full(full, cast);
        json_decref(cast);

        now = tracker_init(t, "entities");
        wrong += !json_equal(now, limited);
        json_decref(now);

        now = tracker_init(t, "full");
        wrong += !json_equal(now, full);
        json_decref(now);

        sums += tracker_checksum(limited) != casts.checksum;
    }

    is_int(wrong, 0, "%d ticks: who only applies has the state",
           TRACKER_TICKS);
    is_int(old, 0, "every old value is the one before, and differs");
    is_int(sums, 0, "the checksum is that of the visible state");
    ok(json_object_size(limited) > 5, "there is something to see");

    json_decref(limited);
    json_decref(full);
    delta_tracker_free(t);
}


/* The vector of the documentation. */

static void
tracker_vector(void)
{
    delta_tracker_t        *t;
    delta_tracker_casts_t   casts;

    t = delta_tracker_create(10);
    tracker_npc(t, 12.345, -7);
    delta_tracker_add(t, "b1", "house", DELTA_TRACKER_BUILDINGS);
    delta_tracker_set(t, "b1", "position.x", json_integer(0));
    delta_tracker_set(t, "b1", "position.y", json_real(0.5));
    delta_tracker_add(t, "hidden", "thought", DELTA_TRACKER_ENTITIES);
    delta_tracker_tick(t, &casts);

    is_int(casts.checksum, 0xec3720f0, "the documented checksum");
    delta_tracker_free(t);
}


static void
tracker_state(void)
{
    char                   *text, *again;
    size_t                  len, size;
    json_t                 *state;
    delta_tracker_t        *t, *other;
    delta_tracker_casts_t   casts;

    t = delta_tracker_create(TRACKER_MAX);
    other = delta_tracker_create(TRACKER_MAX);

    tracker_mutate(t);
    tracker_mutate(t);
    tracker_npc(t, 0.001, -0.001);
    delta_tracker_tick(t, &casts);

    text = delta_tracker_state(t, "w", 1795245822, 17, &len);
    state = json_loadb(text, len, 0, NULL);

    is_int(json_integer_value(json_object_get(state, "tick")), 1795245822,
           "a state has its tick");

    tracker_npc(other, 5, 5);
    is_int(delta_tracker_load(other, state), 0, "it is loaded");
    delta_tracker_tick(other, &casts);
    is_int(casts.changes, 0, "which is no change");

    again = delta_tracker_state(other, "w", 1795245822, 17, &size);
    is_str(again, text, "and written as it was");
    free(again);

    json_object_set_new(state, "checksum", json_string("00000000"));
    is_int(delta_tracker_load(other, state), -1, "a wrong checksum");
    is_int(delta_tracker_count(other), 0, "leaves nothing");
    is_int(delta_tracker_load(other, NULL), -1, "no state");

    json_array_append_new(json_object_get(state, "full"), json_integer(1));
    is_int(delta_tracker_load(other, state), -1, "a broken one");

    json_decref(state);
    free(text);
    delta_tracker_free(t);
    delta_tracker_free(other);
}


static size_t
tracker_allocated(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks;
#endif
}


static void
tracker_growth(void)
{
    int                     i;
    char                    id[32];
    size_t                  before, after;
    delta_tracker_t        *t;
    delta_tracker_casts_t   casts;

    t = delta_tracker_create(TRACKER_MAX);
    before = 0;

    for (i = 0; i < TRACKER_LONG; i++) {

        if (i == TRACKER_LONG / 10) {
            before = tracker_allocated();
        }

        tracker_mutate(t);

        /* ids that never come again, in one tick and across two */

        snprintf(id, sizeof(id), "once%d", i);
        delta_tracker_add(t, id, "spark", DELTA_TRACKER_ENTITIES);
        delta_tracker_remove(t, id);

        snprintf(id, sizeof(id), "twice%d", i - 1);
        delta_tracker_remove(t, id);
        snprintf(id, sizeof(id), "twice%d", i);
        delta_tracker_add(t, id, "spark", DELTA_TRACKER_ENTITIES);

        delta_tracker_tick(t, &casts);
    }

    after = tracker_allocated();

    ok(after < before + TRACKER_SLACK, "%d ticks: %zu bytes, then %zu",
       TRACKER_LONG, before, after);

    delta_tracker_free(t);
}


int
main(void)
{
    plan(0);

    tracker_casts();
    tracker_netting();
    tracker_errors();
    tracker_property();
    tracker_vector();
    tracker_state();
    tracker_growth();

    return done_testing();
}
