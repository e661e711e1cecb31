
/*
 * Copyright (C) Delta contributors
 *
 * What changes in a world, tick by tick.  All mutations go through here; at
 * the end of a tick the tracker tells what is different from its start, field
 * by field, and for those who only see the world.  It knows entities, their
 * types and fields, and nothing of what these mean, but for two: an entity
 * with the numbers position.x and position.y is visible.
 *
 * An id, a type and a world's name are channel segments (delta_name.h).  A
 * field is a dotted path, such as needs.hunger, of segments of
 * [A-Za-z0-9_-], up to DELTA_TRACKER_PATH bytes.  The memory is bounded by
 * max (of entities) and the limits below.
 */

#ifndef _DELTA_TRACKER_H_INCLUDED_
#define _DELTA_TRACKER_H_INCLUDED_


#include <jansson.h>
#include "delta.h"


#define DELTA_TRACKER_FIELDS  64            /* of an entity */
#define DELTA_TRACKER_PATH    64
#define DELTA_TRACKER_TEXT    4096          /* bytes of a string */
#define DELTA_TRACKER_PLACE   1000000000    /* position.x and .y, +- */


typedef struct delta_tracker_s  delta_tracker_t;


/* Where the changes of an entity's fields go in the full cast. */
typedef enum {
    DELTA_TRACKER_ENTITIES = 0,
    DELTA_TRACKER_NPCS,
    DELTA_TRACKER_RESOURCES,
    DELTA_TRACKER_BUILDINGS,
    DELTA_TRACKER_KINDS
} delta_tracker_kind_t;


typedef struct {
    delta_str_t  limited;       /* JSON objects; the tracker's own, until */
    delta_str_t  full;          /* it is called again */
    uint32_t     checksum;      /* of what is visible, behind the tick */
    size_t       changes;       /* in the full cast */
} delta_tracker_casts_t;


/* Returns NULL without memory, or if max is 0.  The owner frees it. */
delta_tracker_t *delta_tracker_create(size_t max);
void delta_tracker_free(delta_tracker_t *t);

/*
 * Mutations.  They return 0, or -1 and change nothing, and
 * delta_tracker_error() says why.
 *
 * delta_tracker_set() takes the reference in any case.  A value is a string,
 * a number or a boolean; null removes the field.  position.x and position.y
 * are numbers and rounded to thousandths, so that every language computes the
 * same checksum.
 */
int delta_tracker_add(delta_tracker_t *t, const char *id, const char *type,
    delta_tracker_kind_t kind);
int delta_tracker_set(delta_tracker_t *t, const char *id, const char *path,
    json_t *value);
int delta_tracker_remove(delta_tracker_t *t, const char *id);

const char *delta_tracker_error(const delta_tracker_t *t);

/* Borrowed; NULL if there is no such entity or field. */
const json_t *delta_tracker_get(const delta_tracker_t *t, const char *id,
    const char *path);

/* NULL if there is no such entity. */
const char *delta_tracker_type(const delta_tracker_t *t, const char *id);

size_t delta_tracker_count(const delta_tracker_t *t);

/*
 * Ends the tick.  What was undone within it is not in the casts; an entity
 * that was removed and added again has been changed, or, with another type or
 * kind, is only in created.  Returns 0, or -1 without memory: the changes are
 * then part of the next tick.
 */
int delta_tracker_tick(delta_tracker_t *t, delta_tracker_casts_t *casts);

/*
 * The whole state as JSON text, terminated by a NUL, which the caller frees:
 * {"worldId","tick","timestamp","checksum","entities":[...],"full":[...]},
 * where entities has what is visible and full all fields.  NULL without
 * memory, or within a tick.
 */
char *delta_tracker_state(delta_tracker_t *t, const char *world,
    uint64_t tick, uint64_t timestamp, size_t *len);

/*
 * Replaces everything by such a state; nothing of this is a change.  Returns
 * 0, or -1 and then the tracker is empty.
 */
int delta_tracker_load(delta_tracker_t *t, const json_t *state);

uint32_t delta_tracker_checksum(const delta_tracker_t *t);


#endif /* _DELTA_TRACKER_H_INCLUDED_ */
