
/*
 * Copyright (C) Delta contributors
 */

#include "delta_msgpack.h"
#include "delta_json_text.h"
#include <stdlib.h>


#define DELTA_MSGPACK_NUMBER  64        /* a lone number and its NUL */


typedef struct {
    size_t   head;                      /* where its first byte stands */
    size_t   count;                     /* keys and values */
    uint8_t  map;
} delta_msgpack_level_t;

typedef struct {
    uint8_t                *out;
    size_t                  size;
    size_t                  len;
    int                     error;      /* the first one, or 0 */

    size_t                  depth;
    delta_msgpack_level_t   levels[DELTA_MSGPACK_DEPTH];
} delta_msgpack_writer_t;


static const char *delta_msgpack_token(delta_msgpack_writer_t *w,
    const char *p, const char *end);
static void delta_msgpack_open(delta_msgpack_writer_t *w, uint8_t map);
static void delta_msgpack_close(delta_msgpack_writer_t *w);
static const char *delta_msgpack_string(delta_msgpack_writer_t *w,
    const char *p, const char *end);
static size_t delta_msgpack_unescape(delta_msgpack_writer_t *w,
    const char *p, const char *end);
static const char *delta_msgpack_number(delta_msgpack_writer_t *w,
    const char *p, const char *end);
static int delta_msgpack_integer(delta_msgpack_writer_t *w, const char *p,
    const char *end);
static int delta_msgpack_float(delta_msgpack_writer_t *w, const char *p,
    size_t len, int lone);
static void delta_msgpack_uint(delta_msgpack_writer_t *w, uint64_t value);
static void delta_msgpack_negative(delta_msgpack_writer_t *w, int64_t value);
static void delta_msgpack_head(delta_msgpack_writer_t *w, uint8_t type,
    uint64_t value, int bytes);
static void delta_msgpack_put(delta_msgpack_writer_t *w, const void *data,
    size_t n);


static const char *delta_msgpack_errors[] = {
#define X(name, text)  text,
    DELTA_MSGPACK_ERRORS(X)
#undef X
};


ssize_t
delta_msgpack_encode(uint8_t *out, size_t size, const char *p, size_t n)
{
    const char              *end;
    delta_json_t             value;
    delta_msgpack_writer_t   w;

    if (delta_json_parse(&value, p, n) < 0) {
        return DELTA_MSGPACK_EJSON;
    }

    w.out = out;
    w.size = size;
    w.len = 0;
    w.error = 0;
    w.depth = 0;

    p = value.raw.data;
    end = p + value.raw.len;

    while (p < end && w.error == 0) {
        p = delta_msgpack_token(&w, p, end);
    }

    return w.error ? w.error : (ssize_t) w.len;
}


/* The text is valid: commas, colons and blanks stand where they should. */

static const char *
delta_msgpack_token(delta_msgpack_writer_t *w, const char *p,
    const char *end)
{
    uint8_t  byte;

    switch (*p) {

    case ' ':
    case '\t':
    case '\r':
    case '\n':
    case ',':
    case ':':
        return p + 1;

    case '}':
    case ']':
        delta_msgpack_close(w);
        return p + 1;
    }

    if (w->depth) {
        w->levels[w->depth - 1].count++;
    }

    switch (*p) {

    case '{':
    case '[':
        delta_msgpack_open(w, *p == '{');
        return p + 1;

    case '"':
        return delta_msgpack_string(w, p, end);

    case 'n':
        byte = 0xc0;
        delta_msgpack_put(w, &byte, 1);
        return p + 4;

    case 'f':
        byte = 0xc2;
        delta_msgpack_put(w, &byte, 1);
        return p + 5;

    case 't':
        byte = 0xc3;
        delta_msgpack_put(w, &byte, 1);
        return p + 4;

    default:
        return delta_msgpack_number(w, p, end);
    }
}


/* The head is one byte until it is known how much follows. */

static void
delta_msgpack_open(delta_msgpack_writer_t *w, uint8_t map)
{
    uint8_t                 byte;
    delta_msgpack_level_t  *level;

    if (w->depth == DELTA_MSGPACK_DEPTH) {
        w->error = DELTA_MSGPACK_EDEPTH;
        return;
    }

    level = &w->levels[w->depth++];

    level->head = w->len;
    level->count = 0;
    level->map = map;

    byte = map ? 0x80 : 0x90;
    delta_msgpack_put(w, &byte, 1);
}


static void
delta_msgpack_close(delta_msgpack_writer_t *w)
{
    int                     more;
    size_t                  count, end;
    uint8_t                *head;
    delta_msgpack_level_t  *level;

    level = &w->levels[--w->depth];

    count = level->map ? level->count / 2 : level->count;
    head = w->out + level->head;

    if (count < 16) {
        *head |= count;
        return;
    }

    more = (count <= UINT16_MAX) ? 2 : 4;
    end = w->len;

    if (count > UINT32_MAX || w->size - w->len < (size_t) more) {
        w->error = DELTA_MSGPACK_ESIZE;
        return;
    }

    memmove(head + 1 + more, head + 1, end - level->head - 1);

    w->len = level->head;
    delta_msgpack_head(w, (level->map ? 0xde : 0xdc) + (more == 4), count,
                       more);
    w->len = end + more;
}


static const char *
delta_msgpack_string(delta_msgpack_writer_t *w, const char *p,
    const char *end)
{
    size_t       len;
    const char  *next;

    next = delta_json_skip_string(p, end);

    p++;
    end = next - 1;

    len = memchr(p, '\\', end - p) ? delta_msgpack_unescape(NULL, p, end)
                                   : (size_t) (end - p);

    if (len < 32) {
        delta_msgpack_head(w, 0xa0 | len, 0, 0);

    } else if (len <= UINT8_MAX) {
        delta_msgpack_head(w, 0xd9, len, 1);

    } else if (len <= UINT16_MAX) {
        delta_msgpack_head(w, 0xda, len, 2);

    } else if (len <= UINT32_MAX) {
        delta_msgpack_head(w, 0xdb, len, 4);

    } else {
        w->error = DELTA_MSGPACK_ESIZE;
        return next;
    }

    delta_msgpack_unescape(w, p, end);

    return next;
}


/* Without a writer it only measures. */

static size_t
delta_msgpack_unescape(delta_msgpack_writer_t *w, const char *p,
    const char *end)
{
    char         utf8[4];
    size_t       len, n;
    uint32_t     ch;
    const char  *next;

    len = 0;

    while (p < end) {
        next = memchr(p, '\\', end - p);

        if (next == NULL) {
            next = end;
        }

        len += next - p;

        if (w) {
            delta_msgpack_put(w, p, next - p);
        }

        p = next;

        if (p < end) {
            p = delta_json_unescape(&ch, p + 1, end);
            n = delta_json_utf8(utf8, ch);
            len += n;

            if (w) {
                delta_msgpack_put(w, utf8, n);
            }
        }
    }

    return len;
}


static const char *
delta_msgpack_number(delta_msgpack_writer_t *w, const char *p,
    const char *end)
{
    const char  *last;

    for (last = p;
         last < end && (delta_json_digit(*last) || *last == '-'
                        || *last == '+' || *last == '.' || *last == 'e'
                        || *last == 'E');
         last++)
    {
        /* void */
    }

    if (!delta_msgpack_integer(w, p, last)
        && !delta_msgpack_float(w, p, last - p, last == end))
    {
        w->error = DELTA_MSGPACK_ENUMBER;
    }

    return last;
}


static int
delta_msgpack_integer(delta_msgpack_writer_t *w, const char *p,
    const char *end)
{
    int       minus, digit;
    uint64_t  value;

    minus = (*p == '-');
    value = 0;

    for (p += minus; p < end; p++) {

        if (!delta_json_digit(*p)) {
            return 0;
        }

        digit = *p - '0';

        if (value > (UINT64_MAX - digit) / 10) {
            return 0;
        }

        value = value * 10 + digit;
    }

    if (!minus) {
        delta_msgpack_uint(w, value);
        return 1;
    }

    /* an integer has no -0 */

    if (value == 0 || value > (uint64_t) INT64_MAX + 1) {
        return 0;
    }

    delta_msgpack_negative(w, -1 - (int64_t) (value - 1));

    return 1;
}


/* What follows a number ends it for strtod(); nothing follows a lone one. */

static int
delta_msgpack_float(delta_msgpack_writer_t *w, const char *p, size_t len,
    int lone)
{
    char      buf[DELTA_MSGPACK_NUMBER];
    double    value;
    uint64_t  bits;

    if (lone) {
        if (len >= sizeof(buf)) {
            return 0;
        }

        memcpy(buf, p, len);
        buf[len] = '\0';
        p = buf;
    }

    value = strtod(p, NULL);

    memcpy(&bits, &value, 8);
    delta_msgpack_head(w, 0xcb, bits, 8);

    return 1;
}


static void
delta_msgpack_uint(delta_msgpack_writer_t *w, uint64_t value)
{
    if (value < 0x80) {
        delta_msgpack_head(w, value, 0, 0);

    } else if (value <= UINT8_MAX) {
        delta_msgpack_head(w, 0xcc, value, 1);

    } else if (value <= UINT16_MAX) {
        delta_msgpack_head(w, 0xcd, value, 2);

    } else if (value <= UINT32_MAX) {
        delta_msgpack_head(w, 0xce, value, 4);

    } else {
        delta_msgpack_head(w, 0xcf, value, 8);
    }
}


static void
delta_msgpack_negative(delta_msgpack_writer_t *w, int64_t value)
{
    if (value >= -32) {
        delta_msgpack_head(w, value & 0xff, 0, 0);

    } else if (value >= INT8_MIN) {
        delta_msgpack_head(w, 0xd0, value, 1);

    } else if (value >= INT16_MIN) {
        delta_msgpack_head(w, 0xd1, value, 2);

    } else if (value >= INT32_MIN) {
        delta_msgpack_head(w, 0xd2, value, 4);

    } else {
        delta_msgpack_head(w, 0xd3, value, 8);
    }
}


/* A type byte and the low bytes of value, most significant first. */

static void
delta_msgpack_head(delta_msgpack_writer_t *w, uint8_t type, uint64_t value,
    int bytes)
{
    int      i;
    uint8_t  buf[9];

    buf[0] = type;

    for (i = bytes; i; i--) {
        buf[i] = value;
        value >>= 8;
    }

    delta_msgpack_put(w, buf, bytes + 1);
}


static void
delta_msgpack_put(delta_msgpack_writer_t *w, const void *data, size_t n)
{
    if (w->error || n == 0) {
        return;
    }

    if (n > w->size - w->len) {
        w->error = DELTA_MSGPACK_ESIZE;
        return;
    }

    memcpy(w->out + w->len, data, n);
    w->len += n;
}


const char *
delta_msgpack_strerror(int error)
{
    size_t  i;

    i = -1 - error;

    return i < sizeof(delta_msgpack_errors) / sizeof(char *)
           ? delta_msgpack_errors[i] : "Unknown error.";
}
