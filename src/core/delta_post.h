
/*
 * Copyright (C) Delta contributors
 *
 * What is posted to delta_publish: one event, or a list of them, each
 * {"channel":..,"t":..,"d":{..}} and, if it is to be safe to repeat,
 * "source":.. and "n":..; no other members.
 */

#ifndef _DELTA_POST_H_INCLUDED_
#define _DELTA_POST_H_INCLUDED_


#include "delta_contract.h"


#define DELTA_POST_MAX  256                     /* events of a list */
#define DELTA_POST_N    9007199254740991        /* 2^53 - 1 */

#define DELTA_POST_INVALID  -1
#define DELTA_POST_LARGE    -2                  /* more than DELTA_POST_MAX */


/* All of it points into the input. */
typedef struct {
    delta_str_t    channel;         /* a valid name */
    delta_event_t  event;
    delta_str_t    source;          /* a valid segment; empty: none */
    int64_t        n;
} delta_post_t;


/*
 * Fills posts, which has room for DELTA_POST_MAX.  Returns how many, at least
 * 1, or DELTA_POST_INVALID or DELTA_POST_LARGE with *fault set: a pointer into
 * the text, and what is wrong there.
 */
int delta_post_parse(delta_post_t *posts, const char *p, size_t n,
    delta_contract_fault_t *fault);

/*
 * The pointer of what stands at place i: of a list "/<i>", else nothing, then
 * where, then below, cut if it is too long.
 */
void delta_post_pointer(delta_contract_fault_t *fault, int list, size_t i,
    const char *where, const char *below);


#endif /* _DELTA_POST_H_INCLUDED_ */
