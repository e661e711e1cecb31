
/*
 * Copyright (C) Delta contributors
 *
 * What is new in a space: objects that were created and updated, ids of those
 * that were deleted.
 */

#ifndef _DELTA_SPACE_H_INCLUDED_
#define _DELTA_SPACE_H_INCLUDED_


#include "delta_json.h"


/* Arrays as written; one that is not there is empty. */
typedef struct {
    delta_str_t  created;
    delta_str_t  updated;
    delta_str_t  deleted;
    size_t       count;         /* elements of all three */
    int          complete;      /* the member of that name is true */
} delta_space_t;


/*
 * The whole of p..p+n is an object with these members, others are ignored.
 * Returns 0, or -1: it is not, or created holds what has no id.
 */
int delta_space_parse(delta_space_t *space, const char *p, size_t n);

/*
 * Walks the objects of created; id is its text as written.  *pos starts as
 * 0.  Returns 1, or 0 behind the last one.
 */
int delta_space_next(const delta_space_t *space, size_t *pos, delta_str_t *id);

/* {"created":..,"updated":..,"deleted":..}; out == NULL: its size. */
size_t delta_space_write(char *out, const delta_space_t *space);

/*
 * Writes the d of a delta without those objects of created that have one of
 * these ids, which it counts in *dropped; out == NULL: its size.  What is no
 * such d is written as it is.
 */
size_t delta_space_without(char *out, delta_str_t d, const delta_str_t *ids,
    size_t n, size_t *dropped);


#endif /* _DELTA_SPACE_H_INCLUDED_ */
