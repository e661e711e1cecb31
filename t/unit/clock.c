
/*
 * Copyright (C) Delta contributors
 */

#include "delta_clock.h"
#include "tap.h"


#define EPOCH  1753698616000    /* theirs when ours is 0 */


static uint64_t clock_ask(delta_clock_t *clock, int64_t offset,
    uint64_t asked, uint64_t answered, uint64_t now);
static void clock_steps(void);
static void clock_delays(void);
static void clock_slew(void);
static void clock_bounds(void);


int
main(void)
{
    clock_steps();
    clock_delays();
    clock_slew();
    clock_bounds();

    return done_testing();
}


/* offset is by how much their clock is wrong. */

static uint64_t
clock_ask(delta_clock_t *clock, int64_t offset, uint64_t asked,
    uint64_t answered, uint64_t now)
{
    return delta_clock_measure(clock, EPOCH + answered + offset, asked, now);
}


static void
clock_steps(void)
{
    uint64_t       t, back;
    delta_clock_t  clock = { 0, 0, 0, 0 };

    ok(delta_clock_plausible(&clock, 1, 2), "any time before the first");
    ok(clock_ask(&clock, 0, 10, 11, 12) == 0, "the first is no step");
    ok(clock_ask(&clock, 0, 1010, 1011, 1012) == 0, "nor is the same");
    ok(clock_ask(&clock, -990, 2010, 2011, 2012) == 0, "a little is forgiven");
    ok(clock_ask(&clock, 0, 3010, 3011, 3012) == 0, "and back again");
    ok(clock_ask(&clock, 7000, 4010, 4011, 4012) == 0, "forward is no step");

    back = clock_ask(&clock, 2000, 5010, 5011, 5012);
    ok(back >= 4990 && back <= 5000, "back is, with its size");
    ok(clock_ask(&clock, 2000, 6010, 6011, 6012) == 0, "once");
    ok(!delta_clock_plausible(&clock, EPOCH + 6012 + 7000, 6012),
       "what was said before is not plausible any more");
    ok(delta_clock_plausible(&clock, EPOCH + 6012 + 2000, 6012),
       "what is said since then is");

    ok(clock_ask(&clock, 1400, 7010, 7011, 7012) == 0, "a small one");
    back = clock_ask(&clock, 800, 8010, 8011, 8012);
    ok(back >= 1190 && back <= 1200, "and another are one");

    back = 0;

    for (t = 9000; t < 20000; t += 100) {
        back += clock_ask(&clock, 800, t, t, t);
    }

    ok(back == 0, "then there is peace");
}


static void
clock_delays(void)
{
    delta_clock_t  clock = { 0, 0, 0, 0 };

    clock_ask(&clock, 0, 0, 1, 2);

    ok(clock_ask(&clock, 0, 1000, 6000, 6001) == 0, "a slow Redis");
    ok(clock_ask(&clock, 0, 7000, 7001, 20000) == 0, "a slow reader");
    ok(clock_ask(&clock, 0, 21000, 31000, 45000) == 0, "both");
    ok(clock_ask(&clock, 0, 46000, 46001, 46002) == 0, "and good again");
    ok(clock_ask(&clock, -3000, 47000, 52000, 52001) == 0,
       "a step within a delay");
    ok(clock_ask(&clock, -3000, 53000, 53001, 53002) > 2900,
       "is noticed behind it");
}


static void
clock_slew(void)
{
    int64_t        t, back;
    delta_clock_t  clock = { 0, 0, 0, 0 };

    back = 0;

    for (t = 0; t < 4000000; t += 999) {
        back += clock_ask(&clock, -t * 9 / 10000, t, t + 1, t + 2);
    }

    ok(back == 0, "slewing an hour long is no step");
    ok(clock_ask(&clock, -t * 9 / 10000 - 1500, t, t + 1, t + 2) > 0,
       "a step at its end is");
}


static void
clock_bounds(void)
{
    delta_clock_t  clock = { 0, 0, 0, 0 };

    ok(delta_clock_measure(&clock, UINT64_MAX, 0, 1) == 0, "no time");
    ok(delta_clock_measure(&clock, 1, 2, 1) == 0, "heard before asked");
    ok(clock.known == 0, "both are not kept");

    ok(delta_clock_measure(&clock, INT64_MAX / 4, 0, 0) == 0, "the last");
    ok(delta_clock_measure(&clock, 0, INT64_MAX / 4, INT64_MAX / 4)
       == INT64_MAX / 4 * 2 - INT64_MAX / 4 / 1000, "then the first");
    ok(!delta_clock_plausible(&clock, UINT64_MAX, 0), "still no time");
    ok(delta_clock_plausible(&clock, 0, INT64_MAX / 4), "but that");
}
