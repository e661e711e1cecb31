
/*
 * Copyright (C) Delta contributors
 */

#include <stdio.h>
#include <stdlib.h>
#include "delta_name.h"
#include "delta_tracker_cast.h"


#define DELTA_TRACKER_BUCKETS  64


static delta_tracker_entity_t *delta_tracker_find(const delta_tracker_t *t,
    const char *id);
static delta_tracker_entity_t *delta_tracker_insert(delta_tracker_t *t,
    const char *id, const char *type);
static int delta_tracker_revive(delta_tracker_t *t,
    delta_tracker_entity_t *e, const char *type, delta_tracker_kind_t kind);
static void delta_tracker_touch(delta_tracker_t *t,
    delta_tracker_entity_t *e);
static void delta_tracker_unlink(delta_tracker_t *t,
    delta_tracker_entity_t *e);
static void delta_tracker_destroy(delta_tracker_entity_t *e);
static void delta_tracker_grow(delta_tracker_t *t);
static delta_tracker_field_t *delta_tracker_field(
    const delta_tracker_entity_t *e, const char *path);
static delta_tracker_field_t *delta_tracker_field_add(delta_tracker_t *t,
    delta_tracker_entity_t *e, const char *path);
static void delta_tracker_assign(delta_tracker_entity_t *e,
    delta_tracker_field_t *field, json_t *value);
static int delta_tracker_value(delta_tracker_t *t, const char *path,
    json_t **value);
static int delta_tracker_path(const char *path);
static void delta_tracker_settle(delta_tracker_t *t);
static void delta_tracker_settle_entity(delta_tracker_t *t,
    delta_tracker_entity_t *e);
static void delta_tracker_clear(delta_tracker_t *t);
static int delta_tracker_load_entity(delta_tracker_t *t, json_t *value);
static int delta_tracker_failed(delta_tracker_t *t, const char *error);
static uint32_t delta_tracker_hash(const char *text);


const char *const  delta_tracker_kinds[DELTA_TRACKER_KINDS] = {
    "entities", "npcs", "resources", "buildings"
};


delta_tracker_t *
delta_tracker_create(size_t max)
{
    delta_tracker_t  *t;

    t = max ? calloc(1, sizeof(delta_tracker_t)) : NULL;
    if (t == NULL) {
        return NULL;
    }

    t->nbuckets = DELTA_TRACKER_BUCKETS;
    t->max = max;
    t->error = "";
    TAILQ_INIT(&t->touched);

    t->buckets = calloc(t->nbuckets, sizeof(delta_tracker_entity_t *));
    if (t->buckets == NULL) {
        free(t);
        return NULL;
    }

    return t;
}


void
delta_tracker_free(delta_tracker_t *t)
{
    if (t == NULL) {
        return;
    }

    delta_tracker_clear(t);

    free(t->buckets);
    free(t->limited.data);
    free(t->full.data);
    free(t);
}


const char *
delta_tracker_error(const delta_tracker_t *t)
{
    return t->error;
}


size_t
delta_tracker_count(const delta_tracker_t *t)
{
    return t->count;
}


uint32_t
delta_tracker_checksum(const delta_tracker_t *t)
{
    return t->checksum;
}


int
delta_tracker_add(delta_tracker_t *t, const char *id, const char *type,
    delta_tracker_kind_t kind)
{
    delta_tracker_entity_t  *e;

    if (!delta_name_segment(id, strlen(id))
        || !delta_name_segment(type, strlen(type))
        || (unsigned) kind >= DELTA_TRACKER_KINDS)
    {
        return delta_tracker_failed(t, "the id or the type is not a channel "
                                    "segment, or there is no such kind");
    }

    e = delta_tracker_find(t, id);

    if (e && e->alive) {
        return delta_tracker_failed(t, "there is an entity with this id");
    }

    if (t->count == t->max) {
        return delta_tracker_failed(t, "there are too many entities");
    }

    if (e) {
        return delta_tracker_revive(t, e, type, kind);
    }

    e = delta_tracker_insert(t, id, type);
    if (e == NULL) {
        return delta_tracker_failed(t, "out of memory");
    }

    e->kind = kind;
    e->kind_before = kind;
    e->alive = 1;
    t->count++;

    delta_tracker_touch(t, e);

    return 0;
}


static delta_tracker_entity_t *
delta_tracker_find(const delta_tracker_t *t, const char *id)
{
    uint32_t                 hash;
    delta_tracker_entity_t  *e;

    hash = delta_tracker_hash(id);

    for (e = t->buckets[hash & (t->nbuckets - 1)]; e; e = e->next) {

        if (e->hash == hash && strcmp(e->id, id) == 0) {
            return e;
        }
    }

    return NULL;
}


static delta_tracker_entity_t *
delta_tracker_insert(delta_tracker_t *t, const char *id, const char *type)
{
    delta_tracker_entity_t  *e, **bucket;

    e = calloc(1, sizeof(delta_tracker_entity_t));
    if (e == NULL) {
        return NULL;
    }

    e->id = strdup(id);
    e->type = strdup(type);

    if (e->id == NULL || e->type == NULL) {
        delta_tracker_destroy(e);
        return NULL;
    }

    if (t->count >= t->nbuckets) {
        delta_tracker_grow(t);
    }

    e->hash = delta_tracker_hash(id);
    bucket = &t->buckets[e->hash & (t->nbuckets - 1)];
    e->next = *bucket;
    *bucket = e;

    return e;
}


/* It was removed within this tick: what it was before is still known. */

static int
delta_tracker_revive(delta_tracker_t *t, delta_tracker_entity_t *e,
    const char *type, delta_tracker_kind_t kind)
{
    char  *copy;

    copy = strdup(type);
    if (copy == NULL) {
        return delta_tracker_failed(t, "out of memory");
    }

    if (e->type_before == NULL) {
        e->type_before = e->type;

    } else {
        free(e->type);
    }

    e->type = copy;

    if (strcmp(e->type, e->type_before) == 0) {
        free(e->type_before);
        e->type_before = NULL;
    }

    e->kind = kind;
    e->alive = 1;
    t->count++;

    return 0;
}


int
delta_tracker_remove(delta_tracker_t *t, const char *id)
{
    size_t                   i;
    delta_tracker_entity_t  *e;

    e = delta_tracker_find(t, id);

    if (e == NULL || !e->alive) {
        return delta_tracker_failed(t, "there is no such entity");
    }

    t->count--;

    if (!e->existed) {
        delta_tracker_unlink(t, e);
        delta_tracker_destroy(e);
        return 0;
    }

    delta_tracker_touch(t, e);
    e->alive = 0;

    for (i = e->nfields; i-- > 0; /* void */) {
        delta_tracker_assign(e, &e->fields[i], NULL);
    }

    return 0;
}


int
delta_tracker_set(delta_tracker_t *t, const char *id, const char *path,
    json_t *value)
{
    delta_tracker_field_t   *field;
    delta_tracker_entity_t  *e;

    e = delta_tracker_find(t, id);

    if (e == NULL || !e->alive) {
        json_decref(value);
        return delta_tracker_failed(t, "there is no such entity");
    }

    if (!delta_tracker_path(path)) {
        json_decref(value);
        return delta_tracker_failed(t, "this is not the path of a field");
    }

    if (delta_tracker_value(t, path, &value) != 0) {
        json_decref(value);
        return -1;
    }

    field = delta_tracker_field(e, path);

    if (value && (field == NULL || field->value == NULL)
        && e->values == DELTA_TRACKER_FIELDS)
    {
        json_decref(value);
        return delta_tracker_failed(t, "the entity has too many fields");
    }

    if (value == NULL && field == NULL) {
        return 0;
    }

    if (field == NULL) {
        field = delta_tracker_field_add(t, e, path);
        if (field == NULL) {
            json_decref(value);
            return -1;
        }
    }

    delta_tracker_touch(t, e);
    delta_tracker_assign(e, field, value);

    return 0;
}


const json_t *
delta_tracker_get(const delta_tracker_t *t, const char *id, const char *path)
{
    const delta_tracker_field_t   *field;
    const delta_tracker_entity_t  *e;

    e = delta_tracker_find(t, id);
    field = e ? delta_tracker_field(e, path) : NULL;

    return field ? field->value : NULL;
}


const char *
delta_tracker_type(const delta_tracker_t *t, const char *id)
{
    const delta_tracker_entity_t  *e;

    e = delta_tracker_find(t, id);

    return e && e->alive ? e->type : NULL;
}


static void
delta_tracker_touch(delta_tracker_t *t, delta_tracker_entity_t *e)
{
    if (!e->touched) {
        e->touched = 1;
        TAILQ_INSERT_TAIL(&t->touched, e, link);
    }
}


static void
delta_tracker_unlink(delta_tracker_t *t, delta_tracker_entity_t *e)
{
    delta_tracker_entity_t  **p;

    p = &t->buckets[e->hash & (t->nbuckets - 1)];

    while (*p != e) {
        p = &(*p)->next;
    }

    *p = e->next;

    if (e->touched) {
        TAILQ_REMOVE(&t->touched, e, link);
    }
}


static void
delta_tracker_destroy(delta_tracker_entity_t *e)
{
    size_t  i;

    for (i = 0; i < e->nfields; i++) {
        json_decref(e->fields[i].value);
        json_decref(e->fields[i].before);
        free(e->fields[i].path);
    }

    free(e->fields);
    free(e->id);
    free(e->type);
    free(e->type_before);
    free(e);
}


/* Without memory the chains are longer, and all goes on. */

static void
delta_tracker_grow(delta_tracker_t *t)
{
    size_t                   i, n;
    delta_tracker_entity_t  *e, *next, **buckets, **bucket;

    n = t->nbuckets * 2;

    buckets = calloc(n, sizeof(delta_tracker_entity_t *));
    if (buckets == NULL) {
        return;
    }

    for (i = 0; i < t->nbuckets; i++) {

        for (e = t->buckets[i]; e; e = next) {
            next = e->next;
            bucket = &buckets[e->hash & (n - 1)];
            e->next = *bucket;
            *bucket = e;
        }
    }

    free(t->buckets);
    t->buckets = buckets;
    t->nbuckets = n;
}


static delta_tracker_field_t *
delta_tracker_field(const delta_tracker_entity_t *e, const char *path)
{
    size_t  i;

    for (i = 0; i < e->nfields; i++) {

        if (strcmp(e->fields[i].path, path) == 0) {
            return &e->fields[i];
        }
    }

    return NULL;
}


static delta_tracker_field_t *
delta_tracker_field_add(delta_tracker_t *t, delta_tracker_entity_t *e,
    const char *path)
{
    char                   *copy;
    delta_tracker_field_t  *fields;

    copy = strdup(path);
    fields = copy ? realloc(e->fields, (e->nfields + 1)
                                       * sizeof(delta_tracker_field_t))
                  : NULL;

    if (fields == NULL) {
        free(copy);
        delta_tracker_failed(t, "out of memory");
        return NULL;
    }

    e->fields = fields;
    fields += e->nfields++;

    memset(fields, 0, sizeof(delta_tracker_field_t));
    fields->path = copy;

    return fields;
}


/* A field that had no value before the tick and has none now is dropped. */

static void
delta_tracker_assign(delta_tracker_entity_t *e, delta_tracker_field_t *field,
    json_t *value)
{
    if (!field->touched) {
        field->touched = 1;
        field->before = json_incref(field->value);
    }

    e->values += (value != NULL) - (field->value != NULL);

    json_decref(field->value);
    field->value = value;

    if (field->value == NULL && field->before == NULL) {
        free(field->path);
        e->nfields--;
        *field = e->fields[e->nfields];
    }
}


/* Leaves NULL for null, and a position in thousandths. */

static int
delta_tracker_value(delta_tracker_t *t, const char *path, json_t **value)
{
    double   n;
    int64_t  place;

    if (json_is_null(*value)) {
        *value = NULL;
        return 0;
    }

    if (*value == NULL || json_is_object(*value) || json_is_array(*value)) {
        return delta_tracker_failed(t, "this is not a value of a field");
    }

    if (json_string_length(*value) > DELTA_TRACKER_TEXT) {
        return delta_tracker_failed(t, "the text is too long");
    }

    if (strcmp(path, "position.x") != 0 && strcmp(path, "position.y") != 0) {
        return 0;
    }

    n = json_number_value(*value);

    if (!json_is_number(*value)
        || !(n >= -DELTA_TRACKER_PLACE && n <= DELTA_TRACKER_PLACE))
    {
        return delta_tracker_failed(t, "this is not a position");
    }

    place = delta_tracker_thousandths(n);
    json_decref(*value);

    *value = place % 1000 ? json_real(place / 1000.0)
                          : json_integer(place / 1000);

    return *value ? 0 : delta_tracker_failed(t, "out of memory");
}


static int
delta_tracker_path(const char *path)
{
    size_t  n, len;

    len = strlen(path);

    if (len == 0 || len > DELTA_TRACKER_PATH) {
        return 0;
    }

    for ( ;; ) {
        n = strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                   "0123456789_-");

        if (n == 0) {
            return 0;
        }

        path += n;

        if (*path++ != '.') {
            return path[-1] == '\0';
        }
    }
}


int
delta_tracker_tick(delta_tracker_t *t, delta_tracker_casts_t *casts)
{
    delta_tracker_write_limited(t, &t->limited);
    casts->changes = delta_tracker_write_full(t, &t->full);

    if (t->limited.failed || t->full.failed) {
        return delta_tracker_failed(t, "out of memory");
    }

    delta_tracker_settle(t);

    casts->limited.data = t->limited.data;
    casts->limited.len = t->limited.len;
    casts->full.data = t->full.data;
    casts->full.len = t->full.len;
    casts->checksum = t->checksum;

    return 0;
}


/* What is now is what was before the next tick. */

static void
delta_tracker_settle(delta_tracker_t *t)
{
    delta_tracker_entity_t  *e;

    while ((e = TAILQ_FIRST(&t->touched)) != NULL) {
        t->checksum -= delta_tracker_part(e->id, e->type_before
                                                 ? e->type_before : e->type,
                                          &e->place_before);

        if (!e->alive) {
            delta_tracker_unlink(t, e);
            delta_tracker_destroy(e);
            continue;
        }

        TAILQ_REMOVE(&t->touched, e, link);
        delta_tracker_settle_entity(t, e);
    }
}


static void
delta_tracker_settle_entity(delta_tracker_t *t, delta_tracker_entity_t *e)
{
    size_t                  i;
    delta_tracker_field_t  *field;

    for (i = e->nfields; i-- > 0; /* void */) {
        field = &e->fields[i];

        json_decref(field->before);
        field->before = NULL;
        field->touched = 0;

        if (field->value == NULL) {
            free(field->path);
            e->nfields--;
            *field = e->fields[e->nfields];
        }
    }

    free(e->type_before);
    e->type_before = NULL;
    e->kind_before = e->kind;
    e->existed = 1;
    e->touched = 0;

    delta_tracker_place(e, &e->place_before);
    t->checksum += delta_tracker_part(e->id, e->type, &e->place_before);
}


static void
delta_tracker_clear(delta_tracker_t *t)
{
    size_t                   i;
    delta_tracker_entity_t  *e;

    for (i = 0; i < t->nbuckets; i++) {

        while ((e = t->buckets[i]) != NULL) {
            t->buckets[i] = e->next;
            delta_tracker_destroy(e);
        }
    }

    TAILQ_INIT(&t->touched);
    t->count = 0;
    t->checksum = 0;
}


int
delta_tracker_load(delta_tracker_t *t, const json_t *state)
{
    char           checksum[16];
    size_t         i;
    json_t        *full, *value;
    const char    *text;

    delta_tracker_clear(t);

    full = json_object_get(state, "full");
    text = json_string_value(json_object_get(state, "checksum"));

    if (!json_is_array(full) || text == NULL) {
        return delta_tracker_failed(t, "this is not a state");
    }

    json_array_foreach(full, i, value) {

        if (delta_tracker_load_entity(t, value) != 0) {
            delta_tracker_clear(t);
            return -1;
        }
    }

    delta_tracker_settle(t);
    snprintf(checksum, sizeof(checksum), "%08x", (unsigned) t->checksum);

    if (strcmp(checksum, text) != 0) {
        delta_tracker_clear(t);
        return delta_tracker_failed(t, "the state's checksum is wrong");
    }

    return 0;
}


static int
delta_tracker_load_entity(delta_tracker_t *t, json_t *value)
{
    int          i;
    json_t      *fields, *field;
    const char  *id, *type, *kind, *path;

    id = json_string_value(json_object_get(value, "id"));
    type = json_string_value(json_object_get(value, "type"));
    kind = json_string_value(json_object_get(value, "kind"));
    fields = json_object_get(value, "fields");

    if (id == NULL || type == NULL || kind == NULL || !json_is_object(fields))
    {
        return delta_tracker_failed(t, "this is not a state");
    }

    for (i = 0; i < DELTA_TRACKER_KINDS; i++) {

        if (strcmp(delta_tracker_kinds[i], kind) == 0) {
            break;
        }
    }

    if (delta_tracker_add(t, id, type, i) != 0) {
        return -1;
    }

    json_object_foreach(fields, path, field) {

        if (delta_tracker_set(t, id, path, json_incref(field)) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
delta_tracker_failed(delta_tracker_t *t, const char *error)
{
    t->error = error;

    return -1;
}


static uint32_t
delta_tracker_hash(const char *text)
{
    uint32_t  hash;

    for (hash = 2166136261u; *text; text++) {
        hash = (hash ^ (uint8_t) *text) * 16777619u;
    }

    return hash;
}
