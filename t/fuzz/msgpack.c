
/*
 * Copyright (C) Delta contributors
 *
 * MessagePack: whatever is decoded is JSON, and whatever JSON is encoded is
 * decoded to what is encoded the same.  What no double holds is infinity, as
 * in browsers, and that is not decoded.
 */

#include "delta_msgpack.h"
#include "fuzz.h"


/* Returns the bytes, or 0. */

static size_t
msgpack_encode(uint8_t **out, const char *p, size_t n)
{
    ssize_t       len, small;
    uint8_t      *tight;
    delta_json_t  value;

    *out = fuzz_alloc(delta_msgpack_bound(n));
    len = delta_msgpack_encode(*out, delta_msgpack_bound(n), p, n);
    check(len != 0 && len != DELTA_MSGPACK_ESIZE);

    if (len < 0) {
        check(len == DELTA_MSGPACK_EJSON || len == DELTA_MSGPACK_ENUMBER);
        check(len == DELTA_MSGPACK_ENUMBER
              || delta_json_parse(&value, p, n) < 0);
        fuzz_free(*out, delta_msgpack_bound(n));
        return 0;
    }

    check(delta_json_parse(&value, p, n) == 1);

    /* one byte less is too little */

    tight = fuzz_alloc(len - 1);
    small = delta_msgpack_encode(tight, len - 1, p, n);
    check(small == DELTA_MSGPACK_ESIZE);
    fuzz_free(tight, len - 1);

    return len;
}


static ssize_t
msgpack_decode(char **out, const uint8_t *p, size_t n)
{
    size_t        size;
    ssize_t       len;
    delta_json_t  value;

    size = delta_msgpack_json_bound(n);
    *out = fuzz_alloc(size);
    len = delta_msgpack_decode(*out, size, p, n);
    check(len != 0 && len != DELTA_MSGPACK_ESIZE);

    if (len < 0) {
        check(strcmp(delta_msgpack_strerror(len), "Unknown error.") != 0);
        fuzz_free(*out, size);

    } else {
        check(delta_json_parse(&value, *out, len) == 1);
        check(value.raw.len == (size_t) len);
    }

    return len;
}


static void
msgpack_from_json(const char *p, size_t n)
{
    char     *text;
    size_t    len, again;
    ssize_t   back;
    uint8_t  *out, *same;

    len = msgpack_encode(&out, p, n);

    if (len == 0) {
        return;
    }

    back = msgpack_decode(&text, out, len);

    if (back < 0) {
        check(back == DELTA_MSGPACK_ETWICE || back == DELTA_MSGPACK_EKEYS
              || back == DELTA_MSGPACK_ENUMBER);

    } else {
        again = msgpack_encode(&same, text, back);
        check(again == len && memcmp(out, same, len) == 0);
        fuzz_free(same, delta_msgpack_bound(back));
        fuzz_free(text, delta_msgpack_json_bound(len));
    }

    fuzz_free(out, delta_msgpack_bound(n));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char     *text, *same;
    size_t    again;
    ssize_t   len, back;
    uint8_t  *out;

    msgpack_from_json((const char *) data, n);

    len = msgpack_decode(&text, data, n);

    if (len < 0) {
        return 0;
    }

    again = msgpack_encode(&out, text, len);
    check(again > 0);
    back = msgpack_decode(&same, out, again);
    check(back == len && memcmp(same, text, len) == 0);

    fuzz_free(same, delta_msgpack_json_bound(again));
    fuzz_free(out, delta_msgpack_bound(len));
    fuzz_free(text, delta_msgpack_json_bound(n));

    return 0;
}
