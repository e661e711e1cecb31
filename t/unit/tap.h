
/*
 * Copyright (C) Delta contributors
 *
 * TAP for unit tests, and the two ways to feed a decoder that find most bugs:
 * right before an unreadable page, and split at every byte.
 */

#ifndef _TAP_H_INCLUDED_
#define _TAP_H_INCLUDED_


#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>


#define TAP_GUARDS      8           /* pieces that are valid at a time */
#define TAP_GUARD_SIZE  (1 << 20)
#define TAP_SPLIT_ALL   600         /* longer inputs skip their middle */

#define tap_unused  __attribute__((unused))
#define tap_printf  __attribute__((unused, format(printf, 2, 3)))


static int  tap_tests;
static int  tap_failed;
static int  tap_planned;


/* The number of tests, or 0: done_testing() prints it. */

tap_unused static void
plan(int tests)
{
    tap_planned = tests;
    setvbuf(stdout, NULL, _IOLBF, 0);

    if (tests) {
        printf("1..%d\n", tests);
    }
}


tap_unused static void
tap_diag_bytes(const char *what, const void *data, size_t n)
{
    size_t          i;
    const uint8_t  *p;

    p = data;
    printf("#   %s %zu \"", what, n);

    for (i = 0; i < n && i < 200; i++) {

        if (p[i] < 0x20 || p[i] > 0x7e) {
            printf("\\x%02x", p[i]);

        } else {
            putchar(p[i]);
        }
    }

    printf(i < n ? "\"...\n" : "\"\n");
}


tap_unused static int
tap_vok(int good, const char *format, va_list args)
{
    char  name[256], *p;

    tap_tests++;

    if (!good) {
        tap_failed++;
    }

    vsnprintf(name, sizeof(name), format, args);

    /* '#' begins a directive */

    for (p = name; *p; p++) {

        if (*p < 0x20 || *p > 0x7e || *p == '#') {
            *p = '?';
        }
    }

    printf("%s %d - %s\n", good ? "ok" : "not ok", tap_tests, name);

    return good;
}


tap_printf static int
ok(int good, const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    tap_vok(good, format, args);
    va_end(args);

    return good;
}


__attribute__((unused, format(printf, 3, 4))) static int
is_int(long long got, long long want, const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    tap_vok(got == want, format, args);
    va_end(args);

    if (got != want) {
        printf("#   got %lld, want %lld\n", got, want);
    }

    return got == want;
}


__attribute__((unused, format(printf, 5, 6))) static int
is_mem(const void *got, size_t n, const void *want, size_t m,
    const char *format, ...)
{
    int      good;
    va_list  args;

    good = n == m && (n == 0 || memcmp(got, want, n) == 0);

    va_start(args, format);
    tap_vok(good, format, args);
    va_end(args);

    if (!good) {
        tap_diag_bytes("got ", got, n);
        tap_diag_bytes("want", want, m);
    }

    return good;
}


__attribute__((unused, format(printf, 3, 4))) static int
is_str(const char *got, const char *want, const char *format, ...)
{
    int      good;
    va_list  args;

    good = strcmp(got, want) == 0;

    va_start(args, format);
    tap_vok(good, format, args);
    va_end(args);

    if (!good) {
        tap_diag_bytes("got ", got, strlen(got));
        tap_diag_bytes("want", want, strlen(want));
    }

    return good;
}


/* What main() returns. */

tap_unused static int
done_testing(void)
{
    if (tap_planned == 0) {
        printf("1..%d\n", tap_tests);

    } else if (tap_planned != tap_tests) {
        printf("# planned %d tests, ran %d\n", tap_planned, tap_tests);
        return 1;
    }

    return tap_failed != 0;
}


/*
 * A copy of n bytes whose end touches an unreadable page; without p, n bytes
 * to write to.  Valid until guard() has been called TAP_GUARDS more times.
 */

tap_unused static void *
guard(const void *p, size_t n)
{
    char           *end;
    size_t          page;
    static int      turn;
    static char    *areas[TAP_GUARDS];

    turn = (turn + 1) % TAP_GUARDS;

    if (areas[turn] == NULL) {
        page = sysconf(_SC_PAGESIZE);

        areas[turn] = mmap(NULL, TAP_GUARD_SIZE + page, PROT_READ|PROT_WRITE,
                           MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

        if (areas[turn] == MAP_FAILED
            || mprotect(areas[turn] + TAP_GUARD_SIZE, page, PROT_NONE) != 0)
        {
            printf("Bail out! no memory for a guard page\n");
            exit(1);
        }
    }

    if (n > TAP_GUARD_SIZE) {
        printf("Bail out! %zu bytes are too many for guard()\n", n);
        exit(1);
    }

    end = areas[turn] + TAP_GUARD_SIZE;

    if (p && n) {
        memcpy(end - n, p, n);
    }

    return end - n;
}


typedef struct {
    void   (*begin)(void *ctx);
    int    (*feed)(void *ctx, const uint8_t *p, size_t n);  /* 0: no more */
    int    (*end)(void *ctx);                               /* 1: as wanted */
} tap_decoder_t;


/*
 * Feeds p..p+n whole, in two parts split at every byte, and byte by byte,
 * each piece from a guard page.  Returns 1, or 0 behind the first way that
 * did not end as wanted.
 */

tap_unused static int
each_split(const void *data, size_t n, const tap_decoder_t *d, void *ctx)
{
    size_t          i;
    const uint8_t  *p;

    p = data;

    for (i = 0; i <= n; i++) {

        if (n > TAP_SPLIT_ALL && i == TAP_SPLIT_ALL / 2) {
            i = n - TAP_SPLIT_ALL / 2;
        }

        d->begin(ctx);

        if (d->feed(ctx, guard(p, i), i)) {
            d->feed(ctx, guard(p + i, n - i), n - i);
        }

        if (!d->end(ctx)) {
            printf("#   split at byte %zu of %zu\n", i, n);
            return 0;
        }
    }

    if (n > TAP_SPLIT_ALL) {
        return 1;
    }

    d->begin(ctx);

    for (i = 0; i < n; i++) {

        if (!d->feed(ctx, guard(p + i, 1), 1)) {
            break;
        }
    }

    if (!d->end(ctx)) {
        printf("#   byte by byte\n");
        return 0;
    }

    return 1;
}


/* The same numbers at each run. */

tap_unused static uint32_t
tap_random(void)
{
    static uint64_t  state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;

    return state >> 16;
}


#endif /* _TAP_H_INCLUDED_ */
