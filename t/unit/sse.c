
/*
 * Copyright (C) Delta contributors
 */

#include "delta_sse.h"
#include "tap.h"


typedef struct {
    const char   *name;
    delta_str_t   id;
    delta_str_t   event;
    delta_str_t   data;
    const char   *want;
} sse_case_t;


static const sse_case_t  sse_cases[] = {
    { "all three", delta_str("1-0"), delta_str("ready"), delta_str("{}"),
      "id: 1-0\nevent: ready\ndata: {}\n\n" },
    { "no event", delta_str("1-0"), delta_str(""), delta_str("{}"),
      "id: 1-0\ndata: {}\n\n" },
    { "no id", delta_str(""), delta_str("ready"), delta_str("{}"),
      "event: ready\ndata: {}\n\n" },
    { "only data", { NULL, 0 }, { NULL, 0 }, delta_str("{}"),
      "data: {}\n\n" },
    { "only an id", delta_str("7.9"), { NULL, 0 }, { NULL, 0 },
      "id: 7.9\n\n" },
    { "empty data", delta_str("1"), delta_str(""), delta_str(""),
      "id: 1\ndata: \n\n" },
    { "a leading space", delta_str(""), delta_str(""), delta_str(" x"),
      "data:  x\n\n" },
    { "LF", delta_str(""), delta_str(""), delta_str("a\nb"),
      "data: a\ndata: b\n\n" },
    { "CR", delta_str(""), delta_str(""), delta_str("a\rb"),
      "data: a\ndata: b\n\n" },
    { "CRLF", delta_str(""), delta_str(""), delta_str("a\r\nb"),
      "data: a\ndata: b\n\n" },
    { "LFCR is two", delta_str(""), delta_str(""), delta_str("a\n\rb"),
      "data: a\ndata: \ndata: b\n\n" },
    { "CRCRLF is two", delta_str(""), delta_str(""), delta_str("a\r\r\nb"),
      "data: a\ndata: \ndata: b\n\n" },
    { "only LF", delta_str(""), delta_str(""), delta_str("\n"),
      "data: \ndata: \n\n" },
    { "LF at the end", delta_str(""), delta_str(""), delta_str("a\n"),
      "data: a\ndata: \n\n" },
    { "CR at the end", delta_str(""), delta_str(""), delta_str("a\r"),
      "data: a\ndata: \n\n" },
    { "CRLF at the end", delta_str(""), delta_str(""), delta_str("a\r\n"),
      "data: a\ndata: \n\n" },
    { "forged field", delta_str(""), delta_str(""),
      delta_str("x\n\nevent: close\ndata: y\r\rid: 0"),
      "data: x\ndata: \ndata: event: close\ndata: data: y\ndata: \n"
      "data: id: 0\n\n" },

    { "LF in the id", delta_str("1\n2"), delta_str(""), delta_str("{}"), "" },
    { "CR in the id", delta_str("1\r"), delta_str(""), delta_str("{}"), "" },
    { "NUL in the id", delta_str("\0"), delta_str(""), delta_str("{}"), "" },
    { "LF in the event", delta_str("1"), delta_str("a\n"), delta_str("{}"),
      "" },
    { "CR in the event", delta_str("1"), delta_str("\ra"), delta_str("{}"),
      "" },
    { "NUL in the event", delta_str("1"), delta_str("a\0b"),
      delta_str("{}"), "" },
};


static delta_str_t
sse_guard(delta_str_t s)
{
    if (s.data) {
        s.data = guard(s.data, s.len);
    }

    return s;
}


static void
test_blocks(void)
{
    char              *out;
    size_t             i, n, want;
    delta_str_t        id, event, data;
    const sse_case_t  *c;

    for (i = 0; i < sizeof(sse_cases) / sizeof(*c); i++) {
        c = &sse_cases[i];
        want = strlen(c->want);

        id = sse_guard(c->id);
        event = sse_guard(c->event);
        data = sse_guard(c->data);

        is_int(delta_sse_block(NULL, id, event, data), want, "size: %s",
               c->name);

        out = guard(NULL, want);
        n = delta_sse_block(out, id, event, data);
        is_mem(out, n, c->want, want, "%s", c->name);
    }
}


/*
 * Reads one block as the standard says: data into out, -1 if anything else
 * than data lines or more than one block is there.
 */

static int
sse_read(char *out, const char *p, size_t n)
{
    int          len, lines;
    const char  *end, *eol;

    end = p + n;
    len = 0;
    lines = 0;

    while (p < end) {

        for (eol = p; eol < end && *eol != '\n' && *eol != '\r'; eol++) {
            /* void */
        }

        if (eol == end) {
            return -1;
        }

        if (eol == p) {
            return eol + 1 == end && lines ? len : -1;
        }

        if (eol - p < 6 || memcmp(p, "data: ", 6) != 0) {
            return -1;
        }

        if (lines++) {
            out[len++] = '\n';
        }

        memcpy(out + len, p + 6, eol - p - 6);
        len += eol - p - 6;
        p = eol + ((*eol == '\r' && eol + 1 < end && eol[1] == '\n') ? 2 : 1);
    }

    return -1;
}


static void
test_round_trip(void)
{
    int          got;
    char        *block, data[16], want[16], read[512];
    size_t       i, n, len, round;
    delta_str_t  none = { NULL, 0 }, s;

    for (round = 0; round < 20000; round++) {
        s.len = tap_random() % sizeof(data);

        for (i = 0; i < s.len; i++) {
            data[i] = "a\r\n: d\0"[tap_random() % 7];
        }

        for (i = 0, len = 0; i < s.len; i++) {

            if (data[i] == '\r') {
                want[len++] = '\n';
                i += i + 1 < s.len && data[i + 1] == '\n';

            } else {
                want[len++] = data[i];
            }
        }

        s.data = guard(data, s.len);
        n = delta_sse_block(NULL, none, none, s);
        block = guard(NULL, n);
        delta_sse_block(block, none, none, s);

        got = sse_read(read, block, n);

        if (got != (int) len || memcmp(read, want, len) != 0) {
            tap_diag_bytes("data", data, s.len);
            break;
        }
    }

    is_int(round, 20000, "a reader gets the data, and nothing else");
}


int
main(void)
{
    plan(2 * sizeof(sse_cases) / sizeof(sse_cases[0]) + 1);

    test_blocks();
    test_round_trip();

    return done_testing();
}
