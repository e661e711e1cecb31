
/*
 * Copyright (C) Delta contributors
 *
 * UTF-8, in whatever pieces it comes, as the table of RFC 3629 has it.
 */

#include "delta_utf8.h"
#include "fuzz.h"


/* Bytes of the character at p, 0: it is none, -1: it is cut. */

static int
utf8_naive(const uint8_t *p, size_t n)
{
    int       i, len;
    uint32_t  ch;

    if (p[0] < 0x80) {
        return 1;
    }

    len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }

    if (n > 1
        && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)
            || (p[0] == 0xf0 && p[1] < 0x90)
            || (p[0] == 0xf4 && p[1] > 0x8f)))
    {
        return 0;
    }

    ch = p[0];

    for (i = 1; i < len; i++) {

        if ((size_t) i == n) {
            return -1;
        }

        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        ch = ch << 6 | (p[i] & 0x3f);
    }

    (void) ch;

    return len;
}


/* 1: good, 0: good so far, -1: bad. */

static int
utf8_all(const uint8_t *p, size_t n)
{
    int  len;

    while (n) {
        len = utf8_naive(p, n);

        if (len <= 0) {
            return len == 0 ? -1 : 0;
        }

        p += len;
        n -= len;
    }

    return 1;
}


static int
utf8_pieces(const uint8_t *data, size_t n, size_t most)
{
    int        rc;
    size_t     at, piece;
    uint8_t   *copy;
    uint32_t   utf8;
    uint64_t   state;

    utf8 = 0;
    rc = 0;
    state = fuzz_seed(data, n) + most;

    for (at = 0; at < n && rc == 0; at += piece) {
        piece = most ? 1 + fuzz_random(&state, most) : n;
        piece = piece > n - at ? n - at : piece;

        copy = fuzz_copy(data + at, piece);
        rc = delta_utf8_check(&utf8, copy, piece);
        fuzz_free(copy, piece);
    }

    return rc < 0 ? -1 : utf8 == 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int  want;

    want = utf8_all(data, n);

    check(utf8_pieces(data, n, 0) == want);
    check(utf8_pieces(data, n, 1) == want);
    check(utf8_pieces(data, n, 20) == want);

    return 0;
}
