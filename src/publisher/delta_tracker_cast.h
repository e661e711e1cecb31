
/*
 * Copyright (C) Delta contributors
 *
 * The tracker's inside, and how it is written as JSON.
 */

#ifndef _DELTA_TRACKER_CAST_H_INCLUDED_
#define _DELTA_TRACKER_CAST_H_INCLUDED_


#include <sys/queue.h>
#include "delta_tracker.h"


typedef struct delta_tracker_entity_s  delta_tracker_entity_t;


/* Grows, and is used again; without memory it is failed from then on. */
typedef struct {
    char      *data;
    size_t     len;
    size_t     size;
    unsigned   failed;
} delta_tracker_text_t;


/* In thousandths. */
typedef struct {
    int64_t    x;
    int64_t    y;
    unsigned   visible;
} delta_tracker_place_t;


typedef struct {
    char      *path;
    json_t    *value;           /* NULL: there is none */
    json_t    *before;          /* the tick, if touched within it */
    unsigned   touched;
} delta_tracker_field_t;


struct delta_tracker_entity_s {
    delta_tracker_entity_t              *next;      /* in its bucket */
    TAILQ_ENTRY(delta_tracker_entity_s)  link;      /* of those touched */

    char                    *id;
    char                    *type;
    char                    *type_before;   /* NULL: the same */

    delta_tracker_kind_t     kind;
    delta_tracker_kind_t     kind_before;
    delta_tracker_place_t    place_before;

    delta_tracker_field_t   *fields;
    size_t                   nfields;
    size_t                   values;        /* fields that have one */

    uint32_t                 hash;          /* of the id */
    unsigned                 alive:1;
    unsigned                 existed:1;     /* when the tick began */
    unsigned                 touched:1;
};


TAILQ_HEAD(delta_tracker_touched_s, delta_tracker_entity_s);


struct delta_tracker_s {
    delta_tracker_entity_t         **buckets;
    size_t                           nbuckets;      /* a power of two */
    size_t                           count;         /* alive */
    size_t                           max;

    struct delta_tracker_touched_s   touched;

    uint32_t                         checksum;
    delta_tracker_text_t             limited;
    delta_tracker_text_t             full;
    const char                      *error;
};


extern const char *const  delta_tracker_kinds[DELTA_TRACKER_KINDS];


/* Without the rounding functions, which need a library of their own. */
static inline int64_t
delta_tracker_thousandths(double n)
{
    return (int64_t) (n < 0 ? n * 1000 - 0.5 : n * 1000 + 0.5);
}


/* The place by the fields as they are. */
void delta_tracker_place(const delta_tracker_entity_t *e,
    delta_tracker_place_t *place);

/* 0, or the entity's part of the checksum. */
uint32_t delta_tracker_part(const char *id, const char *type,
    const delta_tracker_place_t *place);

/* The difference of the touched ones; the number of changes written. */
void delta_tracker_write_limited(delta_tracker_t *t,
    delta_tracker_text_t *text);
size_t delta_tracker_write_full(delta_tracker_t *t,
    delta_tracker_text_t *text);


#endif /* _DELTA_TRACKER_CAST_H_INCLUDED_ */
