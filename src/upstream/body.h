
/*
 * Copyright (C) Delta contributors
 *
 * Bodies of requests that are checked member by member, and what of them
 * changes a row.
 */

#ifndef _UPSTREAM_BODY_H_INCLUDED_
#define _UPSTREAM_BODY_H_INCLUDED_


#include "upstream.h"


#define BODY_REQUIRED  0x01
#define BODY_NULL      0x02         /* null is a value */
#define BODY_EMPTY     0x04         /* so is "" */

typedef enum {
    BODY_TEXT,                      /* at most so many bytes */
    BODY_WORD,                      /* one of the words */
    BODY_ID,
    BODY_IDS,                       /* at most so many, none twice */
    BODY_FLAG,
    BODY_COLOR,
    BODY_RIGHTS                     /* a list of names of rights */
} body_kind_t;

typedef struct {
    const char   *name;
    body_kind_t   kind;
    unsigned      flags;
    size_t        max;
    const char   *words;            /* "text voice" */
} body_field_t;                     /* a list ends with a NULL name */


/*
 * The body as an object with no other members than these, the caller's; an
 * empty body is {}.  NULL with the answer's status in *status.
 */
json_t *body_read(upstream_request_t *r, const body_field_t *fields,
    int *status);

/* Drops from body what the row has already; returns how much is left. */
size_t body_changes(json_t *body, const json_t *row);

/* Sets the columns of the row with that id to the texts and numbers. */
void body_store(upstream_request_t *r, const char *table, const char *id,
    json_t *body);

/* A member's text for an event: NULL without it, delta_events_null if null. */
const char *body_text(const json_t *body, const char *name);

/*
 * A parameter of the query, decoded, in out, which is empty if it cannot be:
 * its bytes, or -1 if there is none.
 */
int body_query(upstream_request_t *r, const char *name, char *out,
    size_t size);


#endif /* _UPSTREAM_BODY_H_INCLUDED_ */
