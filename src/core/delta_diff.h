
/*
 * Copyright (C) Delta contributors
 *
 * Merge patches (RFC 7396).  They have no word for a null member, since null
 * says "removed": here a member that is null is taken as absent, at every
 * depth of objects (not within arrays).
 */

#ifndef _DELTA_DIFF_H_INCLUDED_
#define _DELTA_DIFF_H_INCLUDED_


#include <jansson.h>
#include "delta.h"


/*
 * What leads from the object before to the object after: changed and new
 * members with their values, removed ones as null, objects member by member,
 * all else whole.  The patch shares nothing with its sources and is the
 * caller's.
 * Returns 1; 0 with *patch NULL if there is no difference; -1 with *patch
 * NULL without memory, or if one of the two is not an object.
 */
int delta_diff(json_t **patch, const json_t *before, const json_t *after);

/*
 * A new value, the target with the patch applied; NULL without memory.
 * target may be NULL, absent.
 */
json_t *delta_diff_apply(const json_t *target, const json_t *patch);


#endif /* _DELTA_DIFF_H_INCLUDED_ */
