
/*
 * Copyright (C) Delta contributors
 *
 * Frames: the same events and the same error, in whatever pieces they come;
 * no message over the limit.
 */

#include "delta_ws.h"
#include "fuzz.h"


typedef struct {
    int        rc;
    int        idle;
    uint64_t   events;          /* a hash of all of them */
    size_t     count;
} ws_result_t;


static uint64_t
ws_hash(uint64_t hash, const void *data, size_t n)
{
    const uint8_t  *p;

    for (p = data; n--; p++) {
        hash = (hash ^ *p) * 0x100000001b3u;
    }

    return hash;
}


static void
ws_event(ws_result_t *result, const delta_ws_event_t *event, size_t limit)
{
    uint32_t  state;

    switch (event->opcode) {

    case DELTA_WS_TEXT:
        state = 0;
        check(delta_utf8_check(&state, event->data, event->len) == 0);
        check(state == 0);

        /* fall through */

    case DELTA_WS_BINARY:
        check(event->len <= limit);
        break;

    case DELTA_WS_CLOSE:
        check(event->code == 1005 || delta_ws_close_code_valid(event->code));

        /* fall through */

    case DELTA_WS_PING:
    case DELTA_WS_PONG:
        check(event->len <= DELTA_WS_MAX_CONTROL);
        break;

    default:
        check(!"an opcode");
    }

    result->count++;
    result->events = ws_hash(result->events, &event->opcode, 1);
    result->events = ws_hash(result->events, event->data, event->len);

    if (event->opcode == DELTA_WS_CLOSE) {
        result->events = ws_hash(result->events, &event->code, 2);
    }
}


/* most: bytes of a piece; the reader and its buffer move between them. */

static ws_result_t
ws_run(const uint8_t *data, size_t n, size_t most, size_t limit)
{
    size_t              at, piece;
    uint8_t            *copy, *buf;
    uint64_t            state;
    ws_result_t         result;
    const uint8_t      *p;
    delta_ws_event_t    event;
    delta_ws_reader_t  *r, next;

    memset(&result, 0, sizeof(result));
    state = fuzz_seed(data, n) + most;
    at = 0;

    memset(&next, 0, sizeof(next));
    next.buf = fuzz_alloc(limit);
    next.size = limit;

    do {
        piece = most ? 1 + fuzz_random(&state, most) : n;
        piece = piece > n - at ? n - at : piece;
        copy = fuzz_copy(data + at, piece);
        p = copy;

        do {
            r = fuzz_copy(&next, sizeof(next));
            buf = fuzz_copy(next.buf, limit);
            fuzz_free(next.buf, limit);
            r->buf = buf;

            result.rc = delta_ws_read(r, &p, copy + piece, &event);

            if (result.rc > 0) {
                ws_event(&result, &event, limit);
            }

            check(r->buf == buf && r->size == limit && r->len <= limit);
            check(p <= copy + piece);
            next = *r;
            fuzz_free(r, sizeof(next));

        } while (result.rc > 0);

        check(result.rc < 0 || p == copy + piece);
        fuzz_free(copy, piece);
        at += piece;

    } while (at < n && result.rc == 0);

    result.idle = result.rc == 0 && delta_ws_idle(&next);
    fuzz_free(next.buf, limit);

    return result;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int          error;
    size_t       i, j, limit;
    ws_result_t  whole, parts;

    static const size_t  limits[] = { 0, 32, 300 };
    static const size_t  most[] = { 1, 3, 40 };

    for (i = 0; i < 3; i++) {
        limit = limits[i];
        whole = ws_run(data, n, 0, limit);

        if (whole.rc < 0) {
            error = delta_ws_error_code(whole.rc);
            check(error == 1002 || error == 1007 || error == 1009);
            check(strcmp(delta_ws_strerror(whole.rc), "Unknown error.") != 0);
        }

        for (j = 0; j < 3; j++) {
            parts = ws_run(data, n, most[j], limit);
            check(parts.rc == whole.rc);
            check(parts.count == whole.count);
            check(parts.events == whole.events);
            check(parts.idle == whole.idle);
        }
    }

    return 0;
}
