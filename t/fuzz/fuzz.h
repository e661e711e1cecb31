
/*
 * Copyright (C) Delta contributors
 *
 * What each target shares.  libFuzzer calls LLVMFuzzerTestOneInput() with
 * bytes; what must hold of them is said by check().
 */

#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define fuzz_unused  __attribute__((unused))

#define check(good)                                                           \
    do {                                                                      \
        if (!(good)) {                                                        \
            fuzz_fail(#good, __FILE__, __LINE__);                             \
        }                                                                     \
    } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);


fuzz_unused static void
fuzz_fail(const char *what, const char *file, int line)
{
    fprintf(stderr, "\nDELTA: %s:%d: not so: %s\n", file, line, what);
    abort();
}


/* n bytes of its own, so that one byte too many is seen; never NULL. */

fuzz_unused static void *
fuzz_alloc(size_t n)
{
    void  *p;

    p = calloc(1, n ? n : 1);
    check(p != NULL);

    return n ? p : (char *) p + 1;
}


fuzz_unused static void
fuzz_free(void *p, size_t n)
{
    free(n ? p : (char *) p - 1);
}


fuzz_unused static void *
fuzz_copy(const void *data, size_t n)
{
    void  *p;

    p = fuzz_alloc(n);

    if (n) {
        memcpy(p, data, n);
    }

    return p;
}


/* Decisions that are the same each time for the same input. */

fuzz_unused static uint64_t
fuzz_seed(const uint8_t *p, size_t n)
{
    uint64_t  hash;

    hash = 0xcbf29ce484222325u;

    while (n--) {
        hash = (hash ^ *p++) * 0x100000001b3u;
    }

    return hash | 1;
}


fuzz_unused static uint32_t
fuzz_random(uint64_t *state, uint32_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;

    return (*state >> 16) % below;
}


#endif /* _FUZZ_H_INCLUDED_ */
