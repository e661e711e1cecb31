
/*
 * Copyright (C) Delta contributors
 *
 * Blocks of an event stream: id, event and data, apart at the first two NUL
 * bytes, come out of a browser's parser as they were.
 */

#include "delta_sse.h"
#include "fuzz.h"


typedef struct {
    delta_str_t   id;
    delta_str_t   event;
    char         *data;
    size_t        len;
    size_t        lines;
    size_t        blocks;
} sse_read_t;


static void
sse_field(sse_read_t *read, const char *p, size_t n)
{
    delta_str_t  value;
    const char  *colon;

    if (n == 0) {
        read->blocks++;
        return;
    }

    check(read->blocks == 0);
    colon = memchr(p, ':', n);
    check(colon != NULL && colon + 1 < p + n && colon[1] == ' ');

    value.data = colon + 2;
    value.len = p + n - value.data;

    switch (colon - p) {

    case 2:
        check(memcmp(p, "id", 2) == 0 && read->id.data == NULL);
        read->id = value;
        break;

    case 5:
        check(memcmp(p, "event", 5) == 0 && read->event.data == NULL);
        read->event = value;
        break;

    case 4:
        check(memcmp(p, "data", 4) == 0);

        if (read->lines++) {
            read->data[read->len++] = '\n';
        }

        memcpy(read->data + read->len, value.data, value.len);
        read->len += value.len;
        break;

    default:
        check(!"a field");
    }
}


static void
sse_read(sse_read_t *read, const char *p, size_t n)
{
    size_t  i, start;

    for (i = 0, start = 0; i < n; i++) {

        if (p[i] != '\n' && p[i] != '\r') {
            continue;
        }

        sse_field(read, p + start, i - start);
        i += p[i] == '\r' && i + 1 < n && p[i + 1] == '\n';
        start = i + 1;
    }

    check(start == n && read->blocks == 1);
}


/* CR, LF and CRLF are one to it. */

static size_t
sse_lines(char *out, delta_str_t s)
{
    size_t  i, len;

    for (i = 0, len = 0; i < s.len; i++) {
        out[len++] = s.data[i] == '\r' ? '\n' : s.data[i];
        i += s.data[i] == '\r' && i + 1 < s.len && s.data[i + 1] == '\n';
    }

    return len;
}


static void
sse_same(delta_str_t got, delta_str_t want)
{
    check(got.len == want.len
          && (want.len == 0 || memcmp(got.data, want.data, want.len) == 0));
}


static int
sse_bad(delta_str_t s)
{
    return s.len && (memchr(s.data, '\n', s.len) || memchr(s.data, '\r', s.len)
                     || memchr(s.data, '\0', s.len));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char         *out, *want;
    size_t        i, len;
    sse_read_t    read;
    const char   *nul;
    delta_str_t   part[3], text;

    memset(part, 0, sizeof(part));
    text.data = (const char *) data;
    text.len = n;

    for (i = 0; i < 2; i++) {
        nul = text.len ? memchr(text.data, '\0', text.len) : NULL;

        if (nul) {
            part[i].data = text.data;
            part[i].len = nul - text.data;
            text.len -= part[i].len + 1;
            text.data = nul + 1;
        }
    }

    part[2] = text;

    len = delta_sse_block(NULL, part[0], part[1], part[2]);
    out = fuzz_alloc(len);
    check(delta_sse_block(out, part[0], part[1], part[2]) == len);

    if (sse_bad(part[0]) || sse_bad(part[1])) {
        check(len == 0);
        fuzz_free(out, len);
        return 0;
    }

    memset(&read, 0, sizeof(read));
    read.data = fuzz_alloc(len);
    sse_read(&read, out, len);

    want = fuzz_alloc(n);
    sse_same(read.id, part[0]);
    sse_same(read.event, part[1]);
    check(read.len == sse_lines(want, part[2]));
    check(read.len == 0 || memcmp(read.data, want, read.len) == 0);

    fuzz_free(want, n);
    fuzz_free(read.data, len);
    fuzz_free(out, len);

    return 0;
}
