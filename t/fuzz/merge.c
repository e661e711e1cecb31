
/*
 * Copyright (C) Delta contributors
 *
 * Merged events lead a client to where all of them one by one lead it.  Bytes
 * are decisions of the random events of t/unit, or, from a letter on, events
 * themselves, one a line: "<type> <d>".
 */

#include "fuzz.h"

#define MERGE_TEXT  32768

#include "delta_json.h"
#include "merge_model.h"


static uint64_t        merge_rest;
static const uint8_t  *merge_bytes;
static const uint8_t  *merge_end;


static uint32_t
merge_random(uint32_t n)
{
    if (merge_bytes < merge_end) {
        return *merge_bytes++ % n;
    }

    return fuzz_random(&merge_rest, n);
}


/* 0: a line is no event, or none that the client can read. */

static int
merge_lines(merge_batch_t *b, const uint8_t *data, size_t n)
{
    char           text[MERGE_TEXT];
    size_t         len;
    const char    *p, *end;
    delta_json_t   d;

    p = (const char *) data;
    end = p + n;

    for (b->n = 0; p < end && b->n < MERGE_EVENTS; p += len + 1) {
        len = strcspn(p, "\n");

        if (len >= MERGE_TEXT || memchr(p, ' ', len) == NULL) {
            return 0;
        }

        memcpy(text, p, len);
        text[len] = '\0';
        merge_add(b, text);

        /* as delta_event_parse() lets pass */

        if (delta_json_parse(&d, b->in[b->n - 1].event.d.data,
                             b->in[b->n - 1].event.d.len) != 1
            || d.type != DELTA_JSON_OBJECT)
        {
            return 0;
        }

        b->in[b->n - 1].event.d = d.raw;
    }

    return b->n > 0;
}


static int
merge_all(json_t *state, const merge_batch_t *b, size_t from, size_t to,
    int mode)
{
    for ( /* void */ ; from < to; from++) {

        if (!merge_apply(state, &b->in[from].event, mode)) {
            return 0;
        }
    }

    return 1;
}


/* has: the first of them that the client has seen already. */

static void
merge_compare(const merge_batch_t *b, size_t from, size_t has, int mode,
    const delta_merge_t *limits)
{
    json_t  *state, *want;
    size_t   count;

    want = merge_fresh();
    state = merge_fresh();

    if (merge_all(want, b, 0, b->n, mode)
        && merge_all(state, b, 0, has, mode))
    {
        check(merge_reduced(state, want, b, from, mode, limits, &count,
                            has != from));
        state = NULL;
    }

    json_decref(state);
    json_decref(want);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int            mode;
    size_t         from;
    uint8_t       *copy;
    delta_merge_t  limits;

    static merge_batch_t  b;

    merge_rest = fuzz_seed(data, n);
    limits.max = MERGE_PLENTY;
    limits.memory = MERGE_PLENTY;
    b.n = 0;

    if (n && data[0] >= 'a' && data[0] <= 'z') {
        merge_end = merge_bytes = NULL;
        copy = malloc(n + 1);
        memcpy(copy, data, n);
        copy[n] = '\0';
        mode = merge_lines(&b, copy, strlen((char *) copy)) ? 0 : -1;
        free(copy);

        if (mode < 0) {
            return 0;
        }

        mode = merge_random(MERGE_MODES);

    } else {
        merge_bytes = data;
        merge_end = data + n;
        mode = merge_random(MERGE_MODES);
        limits.memory = merge_random(8) ? MERGE_PLENTY
                                        : 256 * merge_random(256);
        limits.max = merge_random(6) ? MERGE_PLENTY : merge_random(256);

        do {
            merge_event(&b, 1);
        } while (merge_bytes < merge_end && b.n < MERGE_EVENTS);
    }

    from = merge_random(b.n + 1);

    merge_compare(&b, 0, 0, mode, &limits);
    merge_compare(&b, from, from, mode, &limits);
    merge_compare(&b, 0, from, mode, &limits);

    return 0;
}
