
/*
 * Copyright (C) Delta contributors
 *
 * Another machine's clock against a monotonic one of ours: whether it has been
 * set back.  What it said was true somewhere between our asking and hearing,
 * so that a slow answer or a slow reader is no step.
 */

#ifndef _DELTA_CLOCK_H_INCLUDED_
#define _DELTA_CLOCK_H_INCLUDED_


#include "delta.h"


#define DELTA_CLOCK_STEP  1000      /* ms: less is forgiven */


/* All zero at first. */
typedef struct {
    int       known;
    int64_t   low;                  /* theirs minus ours is at least that, */
    uint64_t  at;                   /* as of then (ours), */
    int64_t   high;                 /* and at most that */
} delta_clock_t;


/*
 * It was theirs (ms) at some time from asked to now (ms, ours).  Returns by how
 * many ms it has been set back at least, or 0 if that is not more than
 * DELTA_CLOCK_STEP.  Slewing, up to a ms per second, is no step.
 */
uint64_t delta_clock_measure(delta_clock_t *clock, uint64_t theirs,
    uint64_t asked, uint64_t now);

/*
 * Whether it can have been theirs by now, give or take DELTA_CLOCK_STEP: if
 * not, that was said before the clock was set back.
 */
int delta_clock_plausible(const delta_clock_t *clock, uint64_t theirs,
    uint64_t now);


#endif /* _DELTA_CLOCK_H_INCLUDED_ */
