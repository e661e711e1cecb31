
/*
 * Copyright (C) Delta contributors
 */

#include "delta_msgpack.h"
#include "delta_utf8.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>


typedef struct {
    uint64_t        left;               /* keys and values to come */
    size_t          keys;               /* of the maps around it */
    uint8_t         map;
    uint8_t         empty;              /* nothing has come yet */
} delta_msgpack_open_t;

typedef struct {
    const uint8_t  *p;
    const uint8_t  *end;
    char           *out;
    size_t          size;
    size_t          len;
    int             error;              /* the first one, or 0 */

    size_t                depth;
    delta_msgpack_open_t  open[DELTA_MSGPACK_DEPTH];

    size_t                nkeys;
    delta_str_t           keys[DELTA_MSGPACK_KEYS];
} delta_msgpack_reader_t;


static void delta_msgpack_next(delta_msgpack_reader_t *r);
static void delta_msgpack_value(delta_msgpack_reader_t *r);
static void delta_msgpack_begin(delta_msgpack_reader_t *r, uint64_t count,
    uint8_t map);
static void delta_msgpack_key(delta_msgpack_reader_t *r);
static void delta_msgpack_text(delta_msgpack_reader_t *r, uint64_t len);
static void delta_msgpack_signed(delta_msgpack_reader_t *r, int64_t value);
static void delta_msgpack_unsigned(delta_msgpack_reader_t *r,
    uint64_t value);
static void delta_msgpack_real(delta_msgpack_reader_t *r, double value);
static uint64_t delta_msgpack_read(delta_msgpack_reader_t *r, size_t bytes);
static void delta_msgpack_write(delta_msgpack_reader_t *r, const char *p,
    size_t n);


ssize_t
delta_msgpack_decode(char *out, size_t size, const uint8_t *p, size_t n)
{
    delta_msgpack_reader_t  r;

    if (n == 0) {
        return DELTA_MSGPACK_ETRUNCATED;
    }

    r.p = p;
    r.end = p + n;
    r.out = out;
    r.size = size;
    r.len = 0;
    r.error = 0;
    r.depth = 0;
    r.nkeys = 0;

    do {
        delta_msgpack_next(&r);
    } while (r.depth && r.error == 0);

    if (r.error == 0 && r.p != r.end) {
        return DELTA_MSGPACK_ETRAILING;
    }

    return r.error ? r.error : (ssize_t) r.len;
}


/* One key or value, or the end of what is open. */

static void
delta_msgpack_next(delta_msgpack_reader_t *r)
{
    int                    key;
    delta_msgpack_open_t  *open;

    if (r->depth == 0) {
        delta_msgpack_value(r);
        return;
    }

    open = &r->open[r->depth - 1];

    if (open->left == 0) {
        delta_msgpack_write(r, open->map ? "}" : "]", 1);
        r->nkeys = open->keys;
        r->depth--;
        return;
    }

    key = open->map && open->left % 2 == 0;

    if (!open->empty) {
        delta_msgpack_write(r, open->map && !key ? ":" : ",", 1);
    }

    open->empty = 0;
    open->left--;

    if (key) {
        delta_msgpack_key(r);

    } else {
        delta_msgpack_value(r);
    }
}


static void
delta_msgpack_value(delta_msgpack_reader_t *r)
{
    float     f;
    double    d;
    uint8_t   type;
    uint32_t  word;
    uint64_t  bits;

    type = delta_msgpack_read(r, 1);

    if (r->error) {
        return;
    }

    switch (type) {

    case 0xc0:
        delta_msgpack_write(r, "null", 4);
        return;

    case 0xc2:
        delta_msgpack_write(r, "false", 5);
        return;

    case 0xc3:
        delta_msgpack_write(r, "true", 4);
        return;

    case 0xca:
        word = delta_msgpack_read(r, 4);
        memcpy(&f, &word, 4);
        delta_msgpack_real(r, f);
        return;

    case 0xcb:
        bits = delta_msgpack_read(r, 8);
        memcpy(&d, &bits, 8);
        delta_msgpack_real(r, d);
        return;

    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        delta_msgpack_unsigned(r, delta_msgpack_read(r, 1 << (type - 0xcc)));
        return;

    case 0xd0:
        delta_msgpack_signed(r, (int8_t) delta_msgpack_read(r, 1));
        return;

    case 0xd1:
        delta_msgpack_signed(r, (int16_t) delta_msgpack_read(r, 2));
        return;

    case 0xd2:
        delta_msgpack_signed(r, (int32_t) delta_msgpack_read(r, 4));
        return;

    case 0xd3:
        delta_msgpack_signed(r, (int64_t) delta_msgpack_read(r, 8));
        return;

    case 0xd9:
    case 0xda:
    case 0xdb:
        delta_msgpack_text(r, delta_msgpack_read(r, 1 << (type - 0xd9)));
        return;

    case 0xdc:
    case 0xdd:
        delta_msgpack_begin(r, delta_msgpack_read(r, 2 << (type - 0xdc)), 0);
        return;

    case 0xde:
    case 0xdf:
        delta_msgpack_begin(r, delta_msgpack_read(r, 2 << (type - 0xde)), 1);
        return;
    }

    if (type < 0x80 || type >= 0xe0) {
        delta_msgpack_signed(r, (int8_t) type);

    } else if (type < 0x90) {
        delta_msgpack_begin(r, type & 0x0f, 1);

    } else if (type < 0xa0) {
        delta_msgpack_begin(r, type & 0x0f, 0);

    } else if (type < 0xc0) {
        delta_msgpack_text(r, type & 0x1f);

    } else {
        r->error = DELTA_MSGPACK_ETYPE;
    }
}


static void
delta_msgpack_begin(delta_msgpack_reader_t *r, uint64_t count, uint8_t map)
{
    delta_msgpack_open_t  *open;

    if (r->error) {
        return;
    }

    if (r->depth == DELTA_MSGPACK_DEPTH) {
        r->error = DELTA_MSGPACK_EDEPTH;
        return;
    }

    count <<= map;

    if (count > (uint64_t) (r->end - r->p)) {
        r->error = DELTA_MSGPACK_ETRUNCATED;
        return;
    }

    open = &r->open[r->depth++];

    open->left = count;
    open->keys = r->nkeys;
    open->map = map;
    open->empty = 1;

    delta_msgpack_write(r, map ? "{" : "[", 1);
}


/* Few enough keys are open to compare each with each. */

static void
delta_msgpack_key(delta_msgpack_reader_t *r)
{
    size_t       i;
    uint8_t      type;
    delta_str_t  key;

    if (r->p == r->end) {
        r->error = DELTA_MSGPACK_ETRUNCATED;
        return;
    }

    type = *r->p;

    if ((type & 0xe0) != 0xa0 && (type < 0xd9 || type > 0xdb)) {
        r->error = DELTA_MSGPACK_EKEY;
        return;
    }

    if (r->nkeys == DELTA_MSGPACK_KEYS) {
        r->error = DELTA_MSGPACK_EKEYS;
        return;
    }

    key.len = r->len;

    delta_msgpack_value(r);

    if (r->error) {
        return;
    }

    /* as they were written, for one text has but one JSON here */

    key.data = r->out + key.len;
    key.len = r->len - key.len;

    for (i = r->open[r->depth - 1].keys; i < r->nkeys; i++) {

        if (r->keys[i].len == key.len
            && memcmp(r->keys[i].data, key.data, key.len) == 0)
        {
            r->error = DELTA_MSGPACK_ETWICE;
            return;
        }
    }

    r->keys[r->nkeys++] = key;
}


static void
delta_msgpack_text(delta_msgpack_reader_t *r, uint64_t len)
{
    size_t       n;
    uint32_t     state;
    const char  *p;

    if (r->error) {
        return;
    }

    if (len > (uint64_t) (r->end - r->p)) {
        r->error = DELTA_MSGPACK_ETRUNCATED;
        return;
    }

    state = 0;

    if (delta_utf8_check(&state, r->p, len) != 0 || state != 0) {
        r->error = DELTA_MSGPACK_EUTF8;
        return;
    }

    p = (const char *) r->p;
    n = delta_json_quote(NULL, p, len);

    if (n > r->size - r->len) {
        r->error = DELTA_MSGPACK_ESIZE;
        return;
    }

    r->len += delta_json_quote(r->out + r->len, p, len);
    r->p += len;
}


static void
delta_msgpack_signed(delta_msgpack_reader_t *r, int64_t value)
{
    char  buf[24];

    delta_msgpack_write(r, buf,
                        snprintf(buf, sizeof(buf), "%" PRId64, value));
}


static void
delta_msgpack_unsigned(delta_msgpack_reader_t *r, uint64_t value)
{
    char  buf[24];

    delta_msgpack_write(r, buf,
                        snprintf(buf, sizeof(buf), "%" PRIu64, value));
}


/* 17 digits are enough to come back to the same value. */

static void
delta_msgpack_real(delta_msgpack_reader_t *r, double value)
{
    int   n;
    char  buf[32];

    if (r->error) {
        return;
    }

    if (!isfinite(value)) {
        r->error = DELTA_MSGPACK_ENUMBER;
        return;
    }

    n = snprintf(buf, sizeof(buf), "%.17g", value);

    /* a float remains one */

    if (strspn(buf, "-0123456789") == (size_t) n) {
        buf[n++] = '.';
        buf[n++] = '0';
    }

    delta_msgpack_write(r, buf, n);
}


/* Most significant first; 0 and an error behind the end. */

static uint64_t
delta_msgpack_read(delta_msgpack_reader_t *r, size_t bytes)
{
    uint64_t  value;

    if ((size_t) (r->end - r->p) < bytes) {
        r->error = DELTA_MSGPACK_ETRUNCATED;
        return 0;
    }

    for (value = 0; bytes; bytes--) {
        value = value << 8 | *r->p++;
    }

    return value;
}


static void
delta_msgpack_write(delta_msgpack_reader_t *r, const char *p, size_t n)
{
    if (r->error) {
        return;
    }

    if (n > r->size - r->len) {
        r->error = DELTA_MSGPACK_ESIZE;
        return;
    }

    memcpy(r->out + r->len, p, n);
    r->len += n;
}
