
/*
 * Copyright (C) Delta contributors
 *
 * Names and patterns, apart at the first NUL byte.
 */

#include "delta_name.h"
#include "fuzz.h"


/* Segment by segment, the slow way. */

static int
name_naive(delta_str_t pattern, delta_str_t name, delta_str_t *star)
{
    const char   *p, *q;
    delta_str_t   a, b;

    for ( ;; ) {
        p = memchr(pattern.data, ':', pattern.len);
        q = memchr(name.data, ':', name.len);

        a.data = pattern.data;
        a.len = p ? (size_t) (p - a.data) : pattern.len;
        b.data = name.data;
        b.len = q ? (size_t) (q - b.data) : name.len;

        if (delta_str_eq(a, "*")) {
            *star = b;

        } else if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0) {
            return 0;
        }

        if (p == NULL || q == NULL) {
            return p == q;
        }

        pattern.len -= a.len + 1;
        pattern.data = p + 1;
        name.len -= b.len + 1;
        name.data = q + 1;
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int           want;
    const char   *nul;
    delta_str_t   pattern, name, star, naive;

    pattern.data = (const char *) data;
    nul = n ? memchr(data, '\0', n) : NULL;
    pattern.len = nul ? (size_t) (nul - pattern.data) : n;
    name.data = nul ? nul + 1 : pattern.data + n;
    name.len = nul ? n - pattern.len - 1 : 0;

    check(!delta_name_segment(name.data, name.len)
          || (delta_name_valid(name.data, name.len)
              && name.len <= DELTA_NAME_SEGMENT));

    if (delta_name_valid(pattern.data, pattern.len)) {
        check(pattern.len <= DELTA_NAME_MAX);
        check(delta_name_pattern(pattern.data, pattern.len));
        check(delta_name_match(pattern, pattern, NULL));
        check(delta_name_literal(pattern) == pattern.len);
    }

    if (!delta_name_pattern(pattern.data, pattern.len)) {
        return 0;
    }

    check(delta_name_literal(pattern) <= pattern.len);

    if (!delta_name_valid(name.data, name.len)) {
        return 0;
    }

    star.data = NULL;
    naive.data = NULL;
    star.len = 0;
    naive.len = 0;
    want = name_naive(pattern, name, &naive);

    check(delta_name_match(pattern, name, &star) == want);

    if (want) {
        check(naive.data == NULL
              || (star.data == naive.data && star.len == naive.len));
    }

    return 0;
}
