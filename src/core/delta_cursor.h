
/*
 * Copyright (C) Delta contributors
 *
 * Positions and cursors.  A position "<ms>-<seq>" is an event's place in the
 * log of its channel (a Redis stream id).  A cursor "<epoch>.<ms>" is a lower
 * bound over all channels of a session.
 */

#ifndef _DELTA_CURSOR_H_INCLUDED_
#define _DELTA_CURSOR_H_INCLUDED_


#include "delta.h"


#define DELTA_POSITION_LEN  41      /* 20 + '-' + 20 */
#define DELTA_CURSOR_LEN    41      /* 20 + '.' + 20 */
#define DELTA_PLACE_LEN     62      /* 20 + '.' + 20 + '-' + 20 */
#define DELTA_TIME_LEN      30      /* of a year up to 9999 */


typedef struct {
    uint64_t  ms;
    uint64_t  seq;
} delta_position_t;

typedef struct {
    uint64_t  epoch;
    uint64_t  ms;
} delta_cursor_t;


/*
 * The whole of p..p+n must be the text: decimal digits, no sign, no space, no
 * leading zero except "0" itself, each number within 64 bits.  Return 0, or
 * -1 and leave the result untouched.
 */
int delta_position_parse(delta_position_t *position, const char *p, size_t n);
int delta_cursor_parse(delta_cursor_t *cursor, const char *p, size_t n);

/* "<epoch>.<ms>-<seq>": an event's place, and in which Redis. */
int delta_place_parse(uint64_t *epoch, delta_position_t *position,
    const char *p, size_t n);

/*
 * An ISO 8601 time in UTC, "2025-07-28T10:30:16Z", with 0 to 9 digits of
 * fraction: the first three are milliseconds, digits four to nine a sequence
 * within that millisecond; digits that are left out are zeros.  Returns 0, or
 * -1 (also for years before 1970 and second 60).
 */
int delta_position_parse_time(delta_position_t *position, const char *p,
    size_t n);

/* Write without a NUL into DELTA_*_LEN bytes; return the length. */
size_t delta_position_format(char *out, delta_position_t position);
size_t delta_cursor_format(char *out, delta_cursor_t cursor);
size_t delta_place_format(char *out, uint64_t epoch,
    delta_position_t position);

/*
 * As delta_position_parse_time() reads it, all nine digits; a sequence above
 * 999999 becomes that, a year above 9999 its last millisecond.
 */
size_t delta_position_format_time(char *out, delta_position_t position);

/* <0, 0, >0 as a stands before, at, after b. */
int delta_position_compare(delta_position_t a, delta_position_t b);


#endif /* _DELTA_CURSOR_H_INCLUDED_ */
