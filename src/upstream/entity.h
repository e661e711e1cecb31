
/*
 * Copyright (C) Delta contributors
 *
 * Bodies of requests, and JSON merge patches (RFC 7396) on entities.
 */

#ifndef _UPSTREAM_ENTITY_H_INCLUDED_
#define _UPSTREAM_ENTITY_H_INCLUDED_


#include "upstream.h"


/* What a client may set; all of them are strings. */
typedef struct {
    const char  *name;
    size_t       max;           /* bytes */
    unsigned     required;      /* neither empty nor null */
} entity_field_t;               /* a list ends with a NULL name */


/*
 * The body as an object, the caller's; NULL with the answer's status in
 * *status.
 */
json_t *entity_body(upstream_request_t *r, int *status);

/*
 * Applies the body to an entity.  Returns 0 with the new entity in *after and
 * the difference in *diff, NULL if there is none (both the caller's), or the
 * status of the answer.
 */
int entity_merge(upstream_request_t *r, const entity_field_t *fields,
    const json_t *before, json_t **after, json_t **diff);

/* A member's text, or NULL. */
const char *entity_text(const json_t *entity, const char *name);


#endif /* _UPSTREAM_ENTITY_H_INCLUDED_ */
