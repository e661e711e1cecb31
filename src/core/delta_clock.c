
/*
 * Copyright (C) Delta contributors
 */

#include "delta_clock.h"


#define DELTA_CLOCK_SLEW  1000      /* ms of ours for one of theirs */
#define DELTA_CLOCK_MAX   (INT64_MAX / 4)


uint64_t
delta_clock_measure(delta_clock_t *clock, uint64_t theirs, uint64_t asked,
    uint64_t now)
{
    int64_t  low, high, known;

    /* neither is a time: differences would not fit */

    if (theirs > DELTA_CLOCK_MAX || now > DELTA_CLOCK_MAX || asked > now) {
        return 0;
    }

    low = (int64_t) theirs - (int64_t) now;
    high = (int64_t) theirs - (int64_t) asked;

    if (clock->known) {
        known = clock->low;

        if (now > clock->at) {
            known -= (int64_t) ((now - clock->at) / DELTA_CLOCK_SLEW);
        }

        if (high < known - DELTA_CLOCK_STEP) {
            clock->low = low;
            clock->high = high;
            clock->at = now;
            return known - high;
        }

        if (low < known) {
            clock->high = high;
            return 0;
        }
    }

    clock->known = 1;
    clock->low = low;
    clock->high = high;
    clock->at = now;

    return 0;
}


int
delta_clock_plausible(const delta_clock_t *clock, uint64_t theirs,
    uint64_t now)
{
    if (!clock->known) {
        return 1;
    }

    if (theirs > DELTA_CLOCK_MAX || now > DELTA_CLOCK_MAX) {
        return 0;
    }

    return (int64_t) theirs - (int64_t) now
           <= clock->high + DELTA_CLOCK_STEP;
}
