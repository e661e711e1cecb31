
/*
 * Copyright (C) Delta contributors
 */

#include <time.h>
#include "delta_cursor.h"
#include "tap.h"


typedef struct {
    const char  *text;
    int          good;
    uint64_t     a;
    uint64_t     b;
} cursor_case_t;


/* '-' stands for the separator of positions and of cursors. */

static const cursor_case_t  cursor_cases[] = {
    { "0-0", 1, 0, 0 },
    { "1753698616123-17", 1, 1753698616123, 17 },
    { "18446744073709551615-18446744073709551615", 1, UINT64_MAX,
      UINT64_MAX },
    { "9007199254740993-1", 1, 9007199254740993, 1 },
    { "", 0, 0, 0 },
    { "-", 0, 0, 0 },
    { "1", 0, 0, 0 },
    { "1-", 0, 0, 0 },
    { "-1", 0, 0, 0 },
    { "1-2-3", 0, 0, 0 },
    { "1--2", 0, 0, 0 },
    { "1_2", 0, 0, 0 },
    { "01-2", 0, 0, 0 },
    { "1-02", 0, 0, 0 },
    { "00-0", 0, 0, 0 },
    { "+1-2", 0, 0, 0 },
    { "1-+2", 0, 0, 0 },
    { " 1-2", 0, 0, 0 },
    { "1-2 ", 0, 0, 0 },
    { "1 -2", 0, 0, 0 },
    { "1-2\n", 0, 0, 0 },
    { "0x1-2", 0, 0, 0 },
    { "1-a", 0, 0, 0 },
    { "$", 0, 0, 0 },
    { "*-*", 0, 0, 0 },
    { "18446744073709551616-0", 0, 0, 0 },
    { "0-18446744073709551616", 0, 0, 0 },
    { "99999999999999999999-0", 0, 0, 0 },
    { "100000000000000000000-0", 0, 0, 0 },
    { "00000000000000000000000000000000000000000000-0", 0, 0, 0 },
};


static const cursor_case_t  cursor_times[] = {
    { "1970-01-01T00:00:00Z", 1, 0, 0 },
    { "2025-07-28T10:30:16Z", 1, 1753698616000, 0 },
    { "2025-07-28T10:30:16.1Z", 1, 1753698616100, 0 },
    { "2025-07-28T10:30:16.123Z", 1, 1753698616123, 0 },
    { "2025-07-28T10:30:16.1234Z", 1, 1753698616123, 400000 },
    { "2025-07-28T10:30:16.123000017Z", 1, 1753698616123, 17 },
    { "2025-07-28T10:30:16.999999999Z", 1, 1753698616999, 999999 },
    { "2024-02-29T23:59:59Z", 1, 1709251199000, 0 },
    { "2000-02-29T00:00:00Z", 1, 951782400000, 0 },
    { "9999-12-31T23:59:59.999Z", 1, 253402300799999, 0 },
    { "", 0, 0, 0 },
    { "Z", 0, 0, 0 },
    { "2025-07-28T10:30:16", 0, 0, 0 },
    { "2025-07-28T10:30Z", 0, 0, 0 },
    { "2025-07-28 10:30:16Z", 0, 0, 0 },
    { "2025-07-28t10:30:16z", 0, 0, 0 },
    { "2025-07-28T10:30:16+00:00", 0, 0, 0 },
    { "2025-07-28T10:30:16.Z", 0, 0, 0 },
    { "2025-07-28T10:30:16,5Z", 0, 0, 0 },
    { "2025-07-28T10:30:16.1234567890Z", 0, 0, 0 },
    { "2025-07-28T10:30:16.12a4Z", 0, 0, 0 },
    { "2025-07-28T10:30:16.12-Z", 0, 0, 0 },
    { "2025-07-28T10:30:16.123ZZ", 0, 0, 0 },
    { "2025-07-28T10:30:16Z ", 0, 0, 0 },
    { "-025-07-28T10:30:16Z", 0, 0, 0 },
    { "1969-12-31T23:59:59Z", 0, 0, 0 },
    { "2025-00-28T10:30:16Z", 0, 0, 0 },
    { "2025-13-28T10:30:16Z", 0, 0, 0 },
    { "2025-07-00T10:30:16Z", 0, 0, 0 },
    { "2025-07-32T10:30:16Z", 0, 0, 0 },
    { "2025-04-31T10:30:16Z", 0, 0, 0 },
    { "2025-02-29T10:30:16Z", 0, 0, 0 },
    { "2100-02-29T10:30:16Z", 0, 0, 0 },
    { "2025-07-28T24:00:00Z", 0, 0, 0 },
    { "2025-07-28T10:60:16Z", 0, 0, 0 },
    { "2025-07-28T10:30:60Z", 0, 0, 0 },
};


static int
is_position(int rc, delta_position_t got, const cursor_case_t *c,
    const char *what)
{
    if (!c->good) {
        return ok(rc == -1 && got.ms == 1 && got.seq == 2,
                  "no %s, result untouched: '%s'", what, c->text);
    }

    return ok(rc == 0 && got.ms == c->a && got.seq == c->b, "%s '%s'", what,
              c->text);
}


static void
test_position(const cursor_case_t *c)
{
    int                rc;
    char              *out;
    size_t             n;
    delta_position_t   position = { 1, 2 };

    n = strlen(c->text);
    rc = delta_position_parse(&position, guard(c->text, n), n);
    is_position(rc, position, c, "position");

    if (c->good) {
        out = guard(NULL, DELTA_POSITION_LEN);
        is_mem(out, delta_position_format(out, position), c->text, n,
               "written again");
    }
}


static void
test_cursor(const cursor_case_t *c)
{
    int                rc;
    char               text[64], *out, *p;
    size_t             n;
    delta_cursor_t     cursor = { 1, 2 };
    delta_position_t   got;

    n = strlen(c->text);
    memcpy(text, c->text, n + 1);

    for (p = text; *p; p++) {

        if (*p == '-') {
            *p = '.';
        }
    }

    rc = delta_cursor_parse(&cursor, guard(text, n), n);
    got.ms = cursor.epoch;
    got.seq = cursor.ms;
    is_position(rc, got, c, "cursor like");

    if (c->good) {
        out = guard(NULL, DELTA_CURSOR_LEN);
        is_mem(out, delta_cursor_format(out, cursor), text, n,
               "written again");
    }
}


static void
test_time(const cursor_case_t *c)
{
    int               rc;
    size_t            n;
    delta_position_t  position = { 1, 2 };

    n = strlen(c->text);
    rc = delta_position_parse_time(&position, guard(c->text, n), n);
    is_position(rc, position, c, "time");
}


static void
test_all_times(void)
{
    char              text[32];
    time_t            sec;
    uint64_t          i, ms;
    struct tm         tm;
    delta_position_t  position;

    for (i = 0; i < 100000; i++) {

        /* each day up to the year 2106, then far ones */

        ms = i < 50000 ? i * 86400000 + tap_random() % 86400000
                       : ((uint64_t) tap_random() << 16) % 253402300800000;
        sec = ms / 1000;
        gmtime_r(&sec, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(text + 19, sizeof(text) - 19, ".%03dZ", (int) (ms % 1000));

        if (delta_position_parse_time(&position, text, 24) != 0
            || position.ms != ms || position.seq != 0)
        {
            printf("#   %s\n", text);
            break;
        }
    }

    is_int(i, 100000, "times as the C library writes them");
}


/* Written and read again, and read as the time's own first 24 characters. */

static void
test_places(void)
{
    int               i;
    char              text[DELTA_PLACE_LEN], other[32];
    size_t            n;
    uint64_t          epoch, state = 1;
    delta_position_t  position, read;

    for (i = 0; i < 100000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        position.ms = (state >> 16) % 253402300800000u;
        position.seq = (state >> 20) % 1000000;

        n = delta_position_format_time(text, position);

        if (n != DELTA_TIME_LEN
            || delta_position_parse_time(&read, text, n) != 0
            || delta_position_compare(read, position) != 0)
        {
            printf("#   %.*s\n", (int) n, text);
            break;
        }

        memcpy(other, text, 23);
        other[23] = 'Z';

        if (delta_position_parse_time(&read, other, 24) != 0
            || read.ms != position.ms)
        {
            break;
        }
    }

    is_int(i, 100000, "positions as times, and back");

    position.ms = UINT64_MAX;
    position.seq = UINT64_MAX;
    n = delta_position_format_time(text, position);
    is_mem(text, n, "9999-12-31T23:59:59.999999999Z", 30, "the last time");

    n = delta_place_format(text, UINT64_MAX, position);
    is_int(n, DELTA_PLACE_LEN, "the longest place");
    is_int(delta_place_parse(&epoch, &read, guard(text, n), n), 0, "is read");
    ok(epoch == UINT64_MAX && read.ms == UINT64_MAX && read.seq == UINT64_MAX,
       "as it was");

    for (i = 0; i < (int) n - 1; i++) {
        if (delta_place_parse(&epoch, &read, guard(text, i), i) == 0
            && memchr(text, '-', i) == NULL)
        {
            break;
        }
    }

    is_int(i, n - 1, "not without its end");
    is_int(delta_place_parse(&epoch, &read, "1.2", 3), -1, "nor a cursor");
    is_int(delta_place_parse(&epoch, &read, "1-2", 3), -1, "nor a position");
}


static void
test_compare(void)
{
    size_t                         i, j, n;
    static const delta_position_t  order[] = {
        { 0, 0 }, { 0, 1 }, { 0, UINT64_MAX }, { 1, 0 }, { 1, 1 },
        { 1753698616123, 0 }, { UINT64_MAX, 0 }, { UINT64_MAX, UINT64_MAX },
    };

    n = sizeof(order) / sizeof(order[0]);

    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) {
            int  rc = delta_position_compare(order[i], order[j]);

            ok((rc < 0) == (i < j) && (rc == 0) == (i == j),
               "compare %zu with %zu", i, j);
        }
    }
}


int
main(void)
{
    size_t  i;

    plan(0);

    for (i = 0; i < sizeof(cursor_cases) / sizeof(cursor_cases[0]); i++) {
        test_position(&cursor_cases[i]);
        test_cursor(&cursor_cases[i]);
    }

    for (i = 0; i < sizeof(cursor_times) / sizeof(cursor_times[0]); i++) {
        test_time(&cursor_times[i]);
    }

    test_all_times();
    test_places();
    test_compare();

    return done_testing();
}
