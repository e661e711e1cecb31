
/*
 * Copyright (C) Delta contributors
 */

#include "delta_name.h"


static int delta_name_check(const char *p, size_t n, int pattern);
static int delta_name_char(char c);
static size_t delta_name_span(const char *p, size_t n);
static int delta_name_star(const char *p, size_t n);


int
delta_name_segment(const char *p, size_t n)
{
    size_t  i;

    if (n == 0 || n > DELTA_NAME_SEGMENT) {
        return 0;
    }

    for (i = 0; i < n; i++) {

        if (!delta_name_char(p[i])) {
            return 0;
        }
    }

    return 1;
}


int
delta_name_valid(const char *p, size_t n)
{
    return delta_name_check(p, n, 0);
}


int
delta_name_pattern(const char *p, size_t n)
{
    return delta_name_check(p, n, 1);
}


static int
delta_name_check(const char *p, size_t n, int pattern)
{
    size_t  span;

    if (n > DELTA_NAME_MAX) {
        return 0;
    }

    for ( ;; ) {
        span = delta_name_span(p, n);

        if (!delta_name_segment(p, span)
            && !(pattern && delta_name_star(p, span)))
        {
            return 0;
        }

        if (span == n) {
            return 1;
        }

        p += span + 1;
        n -= span + 1;
    }
}


static int
delta_name_char(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9'))
    {
        return 1;
    }

    switch (c) {

    case '.':
    case '_':
    case '~':
    case '@':
    case '|':
    case '+':
    case '-':
        return 1;

    default:
        return 0;
    }
}


static size_t
delta_name_span(const char *p, size_t n)
{
    const char  *colon;

    if (n == 0) {
        return 0;
    }

    colon = memchr(p, ':', n);

    return colon ? (size_t) (colon - p) : n;
}


static int
delta_name_star(const char *p, size_t n)
{
    return n == 1 && p[0] == '*';
}


int
delta_name_match(delta_str_t pattern, delta_str_t name, delta_str_t *star)
{
    size_t       a, b;
    delta_str_t  found;

    found.data = NULL;
    found.len = 0;

    for ( ;; ) {
        a = delta_name_span(pattern.data, pattern.len);
        b = delta_name_span(name.data, name.len);

        if (delta_name_star(pattern.data, a)) {
            found.data = name.data;
            found.len = b;

        } else if (a != b || memcmp(pattern.data, name.data, a) != 0) {
            return 0;
        }

        if (a == pattern.len || b == name.len) {
            break;
        }

        pattern.data += a + 1;
        pattern.len -= a + 1;
        name.data += b + 1;
        name.len -= b + 1;
    }

    if (a != pattern.len || b != name.len) {
        return 0;
    }

    if (star) {
        *star = found;
    }

    return 1;
}


size_t
delta_name_literal(delta_str_t pattern)
{
    const char  *star;

    star = pattern.len ? memchr(pattern.data, '*', pattern.len) : NULL;

    return star ? (size_t) (star - pattern.data) : pattern.len;
}
