
/*
 * Copyright (C) Delta contributors
 *
 * Reduces events of one channel, in their order, to fewer events with the
 * same effect.  Exact or not done: what cannot be merged passes through.
 *
 * NONE   is left alone, and nothing crosses it.
 * PATCH  by entity_type and entity_id; diff is folded as a merge patch (RFC
 *        7396).  What is not an object (null, too) followed by an object at
 *        one path stays two events: no single patch says that.
 * SPACE  {"created":[{"id":..},..],"updated":[..],"deleted":[id,..],
 *        "timestamp":..}, a missing array being empty, netted by id:
 *          created, created   the newest
 *          created, updated   created, as updated
 *          updated, updated   the newest
 *          any, deleted       deleted; also after created, for clients that
 *                             have seen that already
 *          any, created       created
 *          deleted, updated   stay two events
 *        timestamp is the newest.  created puts an object in the place of one
 *        with its id.  updated holds whole objects: a client may replace by
 *        them or merge their members, and both end the same, because an
 *        update that lacks a member of what it follows stays another event.
 * LAST   by id; the newest.
 *
 * Members of d not named here must be the same, text and order, or the events
 * stay apart (LAST: no matter).  So must t.  Ids are strings or whole numbers
 * of up to 15 digits; 1 and "1" are taken for one id, never merged.
 * Events with different keys commute, and so do the rules.
 *
 * A merged event stands where its newest part stood.  An event that is not as
 * described (no JSON, other types, a name twice, names with escapes in d
 * itself, more than 32 members in d) passes through, and nothing crosses it;
 * with a name twice within diff or an object of a space, it is not merged.
 */

#ifndef _DELTA_MERGE_H_INCLUDED_
#define _DELTA_MERGE_H_INCLUDED_


#include "delta_envelope.h"


typedef enum {
    DELTA_MERGE_NONE = 0,
    DELTA_MERGE_PATCH,
    DELTA_MERGE_SPACE,
    DELTA_MERGE_LAST
} delta_merge_rule_t;


typedef struct {
    delta_merge_rule_t   rule;
    delta_event_t        event;
} delta_merge_item_t;


/* t points into the input; so does d, unless the event was made anew. */
typedef struct {
    size_t               newest;    /* of the items it covers */
    size_t               parts;     /* how many */
    delta_event_t        event;
} delta_merged_t;


typedef struct {
    size_t               max;       /* bytes of d that is made anew */
    size_t               memory;    /* bytes to take while merging */
    void                *text;      /* of the new events; not in memory */
} delta_merge_t;


/* patch: PATCH; space_delta: SPACE; presence_update: LAST; else NONE. */
delta_merge_rule_t delta_merge_rule(delta_str_t type);

/*
 * Sets out[0] and on from in[0..n-1]; out has room for n.  Takes max and
 * memory, sets text, which is for delta_merge_free() once out is done with.
 * Where memory ends, less is merged, or nothing; usual events need not more
 * than twice their bytes.  All d together are never longer than those given.
 * Returns the number of events, 0 only for n == 0.
 */
size_t delta_merge(delta_merge_t *merge, delta_merged_t *out,
    const delta_merge_item_t *in, size_t n);

void delta_merge_free(delta_merge_t *merge);


#endif /* _DELTA_MERGE_H_INCLUDED_ */
