
/*
 * Copyright (C) Delta contributors
 *
 * Writes a struct as JSON by a table of its members: what delta_events.c is
 * made on.
 */

#ifndef _DELTA_EVENTS_WRITE_H_INCLUDED_
#define _DELTA_EVENTS_WRITE_H_INCLUDED_


#include "delta.h"


typedef enum {
    DELTA_EVENTS_STRING,        /* const char *                             */
    DELTA_EVENTS_INTEGER,       /* int64_t                                  */
    DELTA_EVENTS_INTEGER_AT,    /* const int64_t *                          */
    DELTA_EVENTS_JSON,          /* const char *, an object or array         */
    DELTA_EVENTS_STRINGS,       /* const char *const *, and a count         */
    DELTA_EVENTS_OBJECTS        /* an array of the shape, and a count       */
} delta_events_kind_t;


typedef struct delta_events_shape_s  delta_events_shape_t;

typedef struct {
    const char                   *name;
    delta_events_kind_t           kind;
    unsigned                      required;
    size_t                        offset;
    size_t                        count;        /* its offset */
    const delta_events_shape_t   *shape;
} delta_events_field_t;

struct delta_events_shape_s {
    const delta_events_field_t   *fields;
    size_t                        n;
    size_t                        size;
};


/* Their addresses mean null. */
extern const char     delta_events_null[];
extern const int64_t  delta_events_null_integer;


/* As delta_events.h says of each of its functions. */
ssize_t delta_events_write(char *out, size_t size, const char *type,
    const delta_events_shape_t *shape, const void *d);


#endif /* _DELTA_EVENTS_WRITE_H_INCLUDED_ */
