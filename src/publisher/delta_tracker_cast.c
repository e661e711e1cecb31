
/*
 * Copyright (C) Delta contributors
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "delta_tracker_cast.h"


#define DELTA_TRACKER_NUMBER  40        /* bytes, with the NUL */


typedef enum {
    DELTA_TRACKER_SAME = 0,
    DELTA_TRACKER_CREATED,
    DELTA_TRACKER_UPDATED,      /* or moved */
    DELTA_TRACKER_DELETED
} delta_tracker_change_t;


static delta_tracker_change_t delta_tracker_seen(
    const delta_tracker_entity_t *e, delta_tracker_place_t *place);
static delta_tracker_change_t delta_tracker_known(
    const delta_tracker_entity_t *e);
static size_t delta_tracker_write_ids(delta_tracker_t *t,
    delta_tracker_text_t *text, int limited);
static size_t delta_tracker_write_created(delta_tracker_t *t,
    delta_tracker_text_t *text);
static size_t delta_tracker_write_changed(delta_tracker_t *t,
    delta_tracker_text_t *text, delta_tracker_kind_t kind);
static int delta_tracker_write_field(delta_tracker_text_t *text,
    const delta_tracker_entity_t *e, const delta_tracker_field_t *field);
static void delta_tracker_write_visible(delta_tracker_text_t *text,
    const delta_tracker_entity_t *e, const delta_tracker_place_t *place,
    int type);
static void delta_tracker_write_fields(delta_tracker_text_t *text,
    const delta_tracker_entity_t *e);
static void delta_tracker_write_value(delta_tracker_text_t *text,
    const json_t *value);
static int delta_tracker_equal(const json_t *a, const json_t *b);
static delta_tracker_entity_t **delta_tracker_sorted(
    const delta_tracker_t *t);
static int delta_tracker_compare(const void *one, const void *two);
static void delta_tracker_begin(delta_tracker_text_t *text);
static void delta_tracker_add_text(delta_tracker_text_t *text,
    const char *data, size_t n);
static void delta_tracker_separate(delta_tracker_text_t *text);
static void delta_tracker_printf(delta_tracker_text_t *text,
    const char *format, ...) __attribute__((format(printf, 2, 3)));


void
delta_tracker_place(const delta_tracker_entity_t *e,
    delta_tracker_place_t *place)
{
    size_t         i, n;
    const char    *path;
    const json_t  *value;

    memset(place, 0, sizeof(delta_tracker_place_t));

    for (i = 0, n = 0; e->alive && i < e->nfields; i++) {
        path = e->fields[i].path;
        value = e->fields[i].value;

        if (value == NULL || strncmp(path, "position.", 9) != 0
            || (path[9] != 'x' && path[9] != 'y') || path[10])
        {
            continue;
        }

        *(path[9] == 'x' ? &place->x : &place->y)
            = delta_tracker_thousandths(json_number_value(value));
        n++;
    }

    place->visible = n == 2;
}


/*
 * A sum needs no order; the mixing at the end keeps two small differences
 * from balancing each other.
 */

uint32_t
delta_tracker_part(const char *id, const char *type,
    const delta_tracker_place_t *place)
{
    char         numbers[64];
    size_t       i, n;
    uint32_t     h;
    const char  *parts[4];

    if (!place->visible) {
        return 0;
    }

    snprintf(numbers, sizeof(numbers), ":%" PRId64 ":%" PRId64, place->x,
             place->y);

    parts[0] = id;
    parts[1] = ":";
    parts[2] = type;
    parts[3] = numbers;

    h = 2166136261u;

    for (i = 0; i < 4; i++) {

        for (n = 0; parts[i][n]; n++) {
            h = (h ^ (uint8_t) parts[i][n]) * 16777619u;
        }
    }

    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;

    return h ^ h >> 16;
}


/* What an onlooker sees of the tick. */

static delta_tracker_change_t
delta_tracker_seen(const delta_tracker_entity_t *e,
    delta_tracker_place_t *place)
{
    const delta_tracker_place_t  *before;

    before = &e->place_before;
    delta_tracker_place(e, place);

    if (!place->visible) {
        return before->visible ? DELTA_TRACKER_DELETED : DELTA_TRACKER_SAME;
    }

    if (!before->visible || e->type_before) {
        return DELTA_TRACKER_CREATED;
    }

    return place->x != before->x || place->y != before->y
           ? DELTA_TRACKER_UPDATED : DELTA_TRACKER_SAME;
}


static delta_tracker_change_t
delta_tracker_known(const delta_tracker_entity_t *e)
{
    if (!e->alive) {
        return DELTA_TRACKER_DELETED;
    }

    return !e->existed || e->type_before || e->kind != e->kind_before
           ? DELTA_TRACKER_CREATED : DELTA_TRACKER_UPDATED;
}


void
delta_tracker_write_limited(delta_tracker_t *t, delta_tracker_text_t *text)
{
    delta_tracker_place_t    place;
    delta_tracker_entity_t  *e;

    delta_tracker_begin(text);
    delta_tracker_printf(text, "{\"entityMoved\":[");

    TAILQ_FOREACH(e, &t->touched, link) {

        if (delta_tracker_seen(e, &place) == DELTA_TRACKER_UPDATED) {
            delta_tracker_write_visible(text, e, &place, 0);
        }
    }

    delta_tracker_printf(text, "],\"entityCreated\":[");

    TAILQ_FOREACH(e, &t->touched, link) {

        if (delta_tracker_seen(e, &place) == DELTA_TRACKER_CREATED) {
            delta_tracker_write_visible(text, e, &place, 1);
        }
    }

    delta_tracker_printf(text, "],\"entityRemoved\":[");
    delta_tracker_write_ids(t, text, 1);
    delta_tracker_printf(text, "]}");
}


size_t
delta_tracker_write_full(delta_tracker_t *t, delta_tracker_text_t *text)
{
    int     kind;
    size_t  n;

    delta_tracker_begin(text);

    delta_tracker_printf(text, "{\"entities\":{\"created\":[");
    n = delta_tracker_write_created(t, text);

    delta_tracker_printf(text, "],\"updated\":[");
    n += delta_tracker_write_changed(t, text, DELTA_TRACKER_ENTITIES);

    delta_tracker_printf(text, "],\"deleted\":[");
    n += delta_tracker_write_ids(t, text, 0);

    delta_tracker_printf(text, "]}");

    for (kind = DELTA_TRACKER_NPCS; kind < DELTA_TRACKER_KINDS; kind++) {
        delta_tracker_printf(text, ",\"%s\":[", delta_tracker_kinds[kind]);
        n += delta_tracker_write_changed(t, text, kind);
        delta_tracker_printf(text, "]");
    }

    delta_tracker_printf(text, "}");

    return n;
}


static size_t
delta_tracker_write_ids(delta_tracker_t *t, delta_tracker_text_t *text,
    int limited)
{
    size_t                   n;
    delta_tracker_place_t    place;
    delta_tracker_entity_t  *e;

    n = 0;

    TAILQ_FOREACH(e, &t->touched, link) {

        if ((limited ? delta_tracker_seen(e, &place) : delta_tracker_known(e))
            == DELTA_TRACKER_DELETED)
        {
            delta_tracker_separate(text);
            delta_tracker_printf(text, "\"%s\"", e->id);
            n++;
        }
    }

    return n;
}


static size_t
delta_tracker_write_created(delta_tracker_t *t, delta_tracker_text_t *text)
{
    size_t                   n;
    delta_tracker_entity_t  *e;

    n = 0;

    TAILQ_FOREACH(e, &t->touched, link) {

        if (delta_tracker_known(e) != DELTA_TRACKER_CREATED) {
            continue;
        }

        delta_tracker_separate(text);
        delta_tracker_printf(text, "{\"entityId\":\"%s\"", e->id);
        delta_tracker_write_fields(text, e);
        n++;
    }

    return n;
}


static size_t
delta_tracker_write_changed(delta_tracker_t *t, delta_tracker_text_t *text,
    delta_tracker_kind_t kind)
{
    size_t                   i, n;
    delta_tracker_entity_t  *e;

    n = 0;

    TAILQ_FOREACH(e, &t->touched, link) {

        if (e->kind != kind
            || delta_tracker_known(e) != DELTA_TRACKER_UPDATED)
        {
            continue;
        }

        for (i = 0; i < e->nfields; i++) {
            n += delta_tracker_write_field(text, e, &e->fields[i]);
        }
    }

    return n;
}


static int
delta_tracker_write_field(delta_tracker_text_t *text,
    const delta_tracker_entity_t *e, const delta_tracker_field_t *field)
{
    if (!field->touched
        || delta_tracker_equal(field->before, field->value))
    {
        return 0;
    }

    delta_tracker_separate(text);
    delta_tracker_printf(text, "{\"entityId\":\"%s\",\"field\":\"%s\","
                         "\"oldValue\":", e->id, field->path);
    delta_tracker_write_value(text, field->before);
    delta_tracker_printf(text, ",\"newValue\":");
    delta_tracker_write_value(text, field->value);
    delta_tracker_printf(text, "}");

    return 1;
}


/* 12.345 is written of 12345: no digits of a double's. */

static void
delta_tracker_write_visible(delta_tracker_text_t *text,
    const delta_tracker_entity_t *e, const delta_tracker_place_t *place,
    int type)
{
    delta_tracker_separate(text);
    delta_tracker_printf(text, "{\"id\":\"%s\"", e->id);

    if (type) {
        delta_tracker_printf(text, ",\"type\":\"%s\"", e->type);
    }

    delta_tracker_printf(text, ",\"position\":{\"x\":%.15g,\"y\":%.15g}}",
                         place->x / 1000.0, place->y / 1000.0);
}


static void
delta_tracker_write_fields(delta_tracker_text_t *text,
    const delta_tracker_entity_t *e)
{
    size_t                        i;
    const delta_tracker_field_t  *field;

    delta_tracker_printf(text, ",\"type\":\"%s\",\"kind\":\"%s\","
                         "\"fields\":{", e->type,
                         delta_tracker_kinds[e->kind]);

    for (i = 0; i < e->nfields; i++) {
        field = &e->fields[i];

        if (field->value) {
            delta_tracker_separate(text);
            delta_tracker_printf(text, "\"%s\":", field->path);
            delta_tracker_write_value(text, field->value);
        }
    }

    delta_tracker_printf(text, "}}");
}


static void
delta_tracker_write_value(delta_tracker_text_t *text, const json_t *value)
{
    char    number[DELTA_TRACKER_NUMBER], *string;
    double  real;

    if (value == NULL) {
        delta_tracker_printf(text, "null");
        return;
    }

    if (json_is_real(value)) {
        real = json_real_value(value);
        snprintf(number, sizeof(number), "%.15g", real);

        if (strtod(number, NULL) != real) {
            snprintf(number, sizeof(number), "%.17g", real);
        }

        delta_tracker_printf(text, "%s", number);
        return;
    }

    string = json_dumps(value, JSON_ENCODE_ANY);

    if (string == NULL) {
        text->failed = 1;
        return;
    }

    delta_tracker_add_text(text, string, strlen(string));
    free(string);
}


static int
delta_tracker_equal(const json_t *a, const json_t *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }

    if (json_is_number(a) && json_is_number(b)
        && json_typeof(a) != json_typeof(b))
    {
        return json_number_value(a) == json_number_value(b);
    }

    return json_equal(a, b);
}


char *
delta_tracker_state(delta_tracker_t *t, const char *world, uint64_t tick,
    uint64_t timestamp, size_t *len)
{
    size_t                    i;
    delta_tracker_text_t      text;
    delta_tracker_entity_t  **sorted;

    if (!TAILQ_EMPTY(&t->touched)) {
        t->error = "the tick has not ended";
        return NULL;
    }

    sorted = delta_tracker_sorted(t);

    if (sorted == NULL) {
        t->error = "out of memory";
        return NULL;
    }

    memset(&text, 0, sizeof(delta_tracker_text_t));

    delta_tracker_printf(&text, "{\"worldId\":\"%s\",\"tick\":%" PRIu64
                         ",\"timestamp\":%" PRIu64 ",\"checksum\":\"%08x\","
                         "\"entities\":[", world, tick, timestamp,
                         (unsigned) t->checksum);

    for (i = 0; i < t->count; i++) {

        if (sorted[i]->place_before.visible) {
            delta_tracker_write_visible(&text, sorted[i],
                                        &sorted[i]->place_before, 1);
        }
    }

    delta_tracker_printf(&text, "],\"full\":[");

    for (i = 0; i < t->count; i++) {
        delta_tracker_separate(&text);
        delta_tracker_printf(&text, "{\"id\":\"%s\"", sorted[i]->id);
        delta_tracker_write_fields(&text, sorted[i]);
    }

    delta_tracker_printf(&text, "]}");
    free(sorted);

    if (text.failed) {
        t->error = "out of memory";
        free(text.data);
        return NULL;
    }

    *len = text.len;

    return text.data;
}


static delta_tracker_entity_t **
delta_tracker_sorted(const delta_tracker_t *t)
{
    size_t                    i, n;
    delta_tracker_entity_t   *e, **sorted;

    sorted = malloc((t->count + 1) * sizeof(delta_tracker_entity_t *));
    if (sorted == NULL) {
        return NULL;
    }

    for (i = 0, n = 0; i < t->nbuckets; i++) {

        for (e = t->buckets[i]; e; e = e->next) {
            sorted[n++] = e;
        }
    }

    qsort(sorted, n, sizeof(delta_tracker_entity_t *), delta_tracker_compare);

    return sorted;
}


static int
delta_tracker_compare(const void *one, const void *two)
{
    const delta_tracker_entity_t *const  *a = one, *const *b = two;

    return strcmp((*a)->id, (*b)->id);
}


static void
delta_tracker_begin(delta_tracker_text_t *text)
{
    text->len = 0;
    text->failed = 0;
}


static void
delta_tracker_add_text(delta_tracker_text_t *text, const char *data, size_t n)
{
    char    *p;
    size_t   size;

    if (text->failed) {
        return;
    }

    if (n >= text->size - text->len) {
        size = (text->len + n + 1) * 2;

        p = realloc(text->data, size);
        if (p == NULL) {
            text->failed = 1;
            return;
        }

        text->data = p;
        text->size = size;
    }

    memcpy(text->data + text->len, data, n);
    text->len += n;
    text->data[text->len] = '\0';
}


static void
delta_tracker_separate(delta_tracker_text_t *text)
{
    if (text->len && strchr("[{", text->data[text->len - 1]) == NULL) {
        delta_tracker_add_text(text, ",", 1);
    }
}


static void
delta_tracker_printf(delta_tracker_text_t *text, const char *format, ...)
{
    int      n;
    char     line[512];
    va_list  args;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);

    /* an id and a type of 128 bytes each leave room */

    if (n < 0 || (size_t) n >= sizeof(line)) {
        text->failed = 1;
        return;
    }

    delta_tracker_add_text(text, line, n);
}
