
/*
 * Copyright (C) Delta contributors
 *
 * Positions, cursors, places and times: what is read is written the same.
 */

#include "delta_cursor.h"
#include "fuzz.h"


static void
cursor_same(const char *out, size_t len, size_t most, const char *p, size_t n)
{
    check(len <= most && len == n && memcmp(out, p, n) == 0);
}


/* A time may have been written with fewer digits. */

static void
cursor_time(const char *p, size_t n)
{
    char              out[DELTA_TIME_LEN];
    size_t            len, dot;
    delta_position_t  at, again;

    at.ms = 1;
    at.seq = 2;

    if (delta_position_parse_time(&at, p, n) != 0) {
        check(at.ms == 1 && at.seq == 2);
        return;
    }

    len = delta_position_format_time(out, at);
    check(len == DELTA_TIME_LEN);
    check(delta_position_parse_time(&again, out, len) == 0);
    check(delta_position_compare(at, again) == 0);

    dot = strlen("2025-07-28T10:30:16");
    check(n > dot && memcmp(out, p, dot) == 0 && p[n - 1] == 'Z');
    check(n == dot + 1 || memcmp(out + dot, p + dot, n - dot - 1) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char              out[DELTA_PLACE_LEN + DELTA_TIME_LEN];
    uint64_t          epoch;
    const char       *p;
    delta_cursor_t    cursor;
    delta_position_t  position;

    p = (const char *) data;

    if (delta_position_parse(&position, p, n) == 0) {
        cursor_same(out, delta_position_format(out, position),
                    DELTA_POSITION_LEN, p, n);
    }

    if (delta_cursor_parse(&cursor, p, n) == 0) {
        cursor_same(out, delta_cursor_format(out, cursor), DELTA_CURSOR_LEN,
                    p, n);
    }

    if (delta_place_parse(&epoch, &position, p, n) == 0) {
        cursor_same(out, delta_place_format(out, epoch, position),
                    DELTA_PLACE_LEN, p, n);
    }

    cursor_time(p, n);

    if (n >= sizeof(position)) {
        memcpy(&position, p, sizeof(position));
        check(delta_position_format(out, position) <= DELTA_POSITION_LEN);
        n = delta_position_format_time(out, position);
        check(n == DELTA_TIME_LEN);
        check(delta_position_parse_time(&position, out, n) == 0);
    }

    return 0;
}
