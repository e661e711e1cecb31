
/*
 * Copyright (C) Delta contributors
 */

#include "delta_ws.h"
#include "tap.h"


#define WS_LIMIT   32       /* of the messages in the tables */
#define WS_FRAMES  6

#define FIN  0x80


/* Payload frames as a client sends them; b0 == 0 and no text ends a row. */
typedef struct {
    int          b0;
    const char  *payload;
    size_t       len;
} ws_frame_t;

#define f(b0, text)  { (b0), (text), sizeof(text) - 1 }

typedef struct {
    const char  *name;
    ws_frame_t   frames[WS_FRAMES];
    const char  *want;
} ws_frames_case_t;

typedef struct {
    const char  *name;
    const char  *bytes;
    size_t       len;
    const char  *want;
} ws_bytes_case_t;

#define b(bytes)  bytes, sizeof(bytes) - 1


typedef struct {
    size_t              limit;
    const char         *want;
    delta_ws_reader_t   reader;
    size_t              used;
    char                log[1024];
} ws_run_t;


/* "~" at the end: not idle; "!NAME": that error. */

static const ws_frames_case_t  ws_frames_cases[] = {
    { "text", { f(FIN|1, "hello") }, "text(hello)" },
    { "empty text", { f(FIN|1, "") }, "text()" },
    { "binary", { f(FIN|2, "\xff\x01") }, "binary(\xff\x01)" },
    { "ping", { f(FIN|9, "are you there") }, "ping(are you there)" },
    { "empty pong", { f(FIN|10, "") }, "pong()" },
    { "three messages", { f(FIN|1, "a"), f(FIN|2, "b"), f(FIN|1, "") },
      "text(a) binary(b) text()" },
    { "exactly the limit", { f(FIN|1, "12345678901234567890123456789012") },
      "text(12345678901234567890123456789012)" },
    { "over the limit", { f(FIN|1, "123456789012345678901234567890123") },
      "!TOO_BIG" },
    { "limit counts fragments", { f(1, "1234567890123456"),
      f(0, "1234567890123456"), f(FIN, "") },
      "text(12345678901234561234567890123456)" },
    { "over the limit in fragments", { f(1, "1234567890123456"),
      f(0, "1234567890123456"), f(FIN, "7") }, "!TOO_BIG" },
    { "limit starts anew", { f(FIN|1, "12345678901234567890123456789012"),
      f(FIN|2, "12345678901234567890123456789012") },
      "text(12345678901234567890123456789012)"
      " binary(12345678901234567890123456789012)" },

    { "fragments", { f(1, "he"), f(0, "ll"), f(FIN, "o") }, "text(hello)" },
    { "empty fragments", { f(1, ""), f(0, ""), f(FIN, "") }, "text()" },
    { "binary fragments", { f(2, "\x80"), f(FIN, "\x80") },
      "binary(\x80\x80)" },
    { "control between fragments", { f(1, "he"), f(FIN|9, "p"),
      f(0, "l"), f(FIN|10, ""), f(FIN, "lo") },
      "ping(p) pong() text(hello)" },
    { "unfinished message", { f(1, "he"), f(FIN|9, "p") }, "ping(p) ~" },
    { "close between fragments", { f(1, "he"), f(FIN|8, "\x03\xe8") },
      "close(1000,) ~" },
    { "new message too early", { f(1, "he"), f(FIN|1, "x") }, "!SEQUENCE" },
    { "new binary too early", { f(1, "he"), f(2, "x") }, "!SEQUENCE" },
    { "continuation of nothing", { f(FIN, "x") }, "!SEQUENCE" },
    { "continuation after the end", { f(1, "a"), f(FIN, "b"), f(FIN, "c") },
      "text(ab) !SEQUENCE" },

    { "fragmented ping", { f(9, "x") }, "!CONTROL" },
    { "fragmented close", { f(8, "") }, "!CONTROL" },
    { "reserved opcode 3", { f(FIN|3, "x") }, "!OPCODE" },
    { "reserved opcode 7", { f(FIN|7, "x") }, "!OPCODE" },
    { "reserved opcode 11", { f(FIN|11, "x") }, "!OPCODE" },
    { "reserved opcode 15", { f(FIN|15, "x") }, "!OPCODE" },
    { "RSV1", { f(FIN|0x40|1, "x") }, "!RSV" },
    { "RSV2", { f(FIN|0x20|1, "x") }, "!RSV" },
    { "RSV3 on control", { f(FIN|0x10|9, "x") }, "!RSV" },

    { "UTF-8", { f(FIN|1, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") },
      "text(\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80)" },
    { "UTF-8 over fragments", { f(1, "\xf0"), f(0, "\x9f"), f(FIN|9, "\xff"),
      f(0, "\x98"), f(FIN, "\x80") },
      "ping(\xff) text(\xf0\x9f\x98\x80)" },
    { "bad UTF-8", { f(FIN|1, "abc\xff") }, "!UTF8" },
    { "bad UTF-8 in the middle", { f(1, "\xed\xa0"), f(FIN, "x") }, "!UTF8" },
    { "character cut by a fragment's text", { f(1, "\xe2\x82"),
      f(FIN, "x") }, "!UTF8" },
    { "truncated at the end", { f(FIN|1, "a\xe2\x82") }, "!UTF8" },
    { "truncated at the end of fragments", { f(1, "a\xe2"), f(FIN, "\x82") },
      "!UTF8" },
    { "state does not leak", { f(FIN|2, "\xe2"), f(FIN|1, "x") },
      "binary(\xe2) text(x)" },

    { "close", { f(FIN|8, "") }, "close(1005,)" },
    { "close with a byte", { f(FIN|8, "\x03") }, "!CLOSE" },
    { "close with a byte behind a ping", { f(FIN|9, "\x03\xe8"),
      f(FIN|8, "\x03") }, "ping(\x03\xe8) !CLOSE" },
    { "close 1000", { f(FIN|8, "\x03\xe8") }, "close(1000,)" },
    { "close with a reason", { f(FIN|8, "\x03\xe9going \xc3\xa4") },
      "close(1001,going \xc3\xa4)" },
    { "close 999", { f(FIN|8, "\x03\xe7") }, "!CLOSE" },
    { "close 1004", { f(FIN|8, "\x03\xec") }, "!CLOSE" },
    { "close 1005", { f(FIN|8, "\x03\xed") }, "!CLOSE" },
    { "close 1006", { f(FIN|8, "\x03\xee") }, "!CLOSE" },
    { "close 1015", { f(FIN|8, "\x03\xf7") }, "!CLOSE" },
    { "close 2999", { f(FIN|8, "\x0b\xb7") }, "!CLOSE" },
    { "close 3000", { f(FIN|8, "\x0b\xb8") }, "close(3000,)" },
    { "close 4999", { f(FIN|8, "\x13\x87") }, "close(4999,)" },
    { "close 5000", { f(FIN|8, "\x13\x88") }, "!CLOSE" },
    { "reason not UTF-8", { f(FIN|8, "\x03\xe8\xff") }, "!UTF8" },
    { "reason truncated", { f(FIN|8, "\x03\xe8\xe2\x82") }, "!UTF8" },
    { "frames behind a close", { f(FIN|8, ""), f(FIN|9, "x") },
      "close(1005,) ping(x)" },
};


static const ws_bytes_case_t  ws_bytes_cases[] = {
    { "nothing", b(""), "" },
    { "one byte", b("\x81"), "~" },
    { "header without mask", b("\x81\x85\x01\x02"), "~" },
    { "header without payload", b("\x81\x85\x01\x02\x03\x04"), "~" },
    { "example of RFC 6455", b("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
      "text(Hello)" },
    { "half of it", b("\x81\x85\x37\xfa\x21\x3d\x7f\x9f"), "~" },
    { "unmasked", b("\x81\x05Hello"), "!UNMASKED" },
    { "unmasked ping", b("\x89\x00"), "!UNMASKED" },
    { "ping of 126 bytes", b("\x89\xfe\x00\x7e"), "!CONTROL" },
    { "ping of 64-bit length", b("\x89\xff"), "!CONTROL" },
    { "125 in 16 bits", b("\x82\xfe\x00\x7d\0\0\0\0"), "!LENGTH" },
    { "5 in 16 bits", b("\x82\xfe\x00\x05\0\0\0\0"), "!LENGTH" },
    { "65535 in 64 bits", b("\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0"),
      "!LENGTH" },
    { "0 in 64 bits", b("\x82\xff\0\0\0\0\0\0\0\0\0\0\0\0"), "!LENGTH" },
    { "top bit", b("\x82\xff\x80\0\0\0\0\0\0\x01\0\0\0\0"), "!LENGTH" },
    { "all bits", b("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
      "!LENGTH" },
    { "2^63 - 1", b("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
      "!TOO_BIG" },
    { "2^32 + 1", b("\x82\xff\0\0\0\x01\0\0\0\x01\0\0\0\0"), "!TOO_BIG" },
    { "126 bytes announced", b("\x82\xfe\x00\x7e\0\0\0\0"), "!TOO_BIG" },
    { "33 bytes announced", b("\x82\xa1\0\0\0\0"), "!TOO_BIG" },
    { "sum over 2^64", b("\x02\x81\0\0\0\0x"
      "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"), "!TOO_BIG" },
    { "bad UTF-8 long before the end", b("\x01\x8a\0\0\0\0ab\xff"), "!UTF8" },
};


static const struct {
    const char  *name;
    int          code;
} ws_errors[] = {
#define X(name, code, text)  { #name, code },
    DELTA_WS_ERRORS(X)
#undef X
};


__attribute__((format(printf, 2, 3))) static void
ws_log(ws_run_t *run, const char *format, ...)
{
    va_list  args;

    if (run->used && run->used < sizeof(run->log) - 1) {
        run->log[run->used++] = ' ';
    }

    va_start(args, format);
    run->used += vsnprintf(run->log + run->used, sizeof(run->log) - run->used,
                           format, args);
    va_end(args);
}


static void
ws_begin(void *ctx)
{
    ws_run_t  *run = ctx;

    memset(&run->reader, 0, sizeof(run->reader));
    run->reader.size = run->limit;
    run->used = 0;
    run->log[0] = '\0';
}


static void
ws_log_event(ws_run_t *run, const delta_ws_event_t *event)
{
    int          len;
    const char  *data;

    len = event->len;
    data = (const char *) event->data;

    switch (event->opcode) {

    case DELTA_WS_TEXT:
        ws_log(run, "text(%.*s)", len, data);
        break;

    case DELTA_WS_BINARY:
        ws_log(run, "binary(%.*s)", len, data);
        break;

    case DELTA_WS_PING:
        ws_log(run, "ping(%.*s)", len, data);
        break;

    case DELTA_WS_PONG:
        ws_log(run, "pong(%.*s)", len, data);
        break;

    default:
        ws_log(run, "close(%d,%.*s)", event->code, len, data);
    }
}


/* Everything moves before each call: the reader must not mind. */

static int
ws_feed(void *ctx, const uint8_t *p, size_t n)
{
    int                 rc;
    ws_run_t           *run = ctx;
    const uint8_t      *end;
    delta_ws_event_t    event;
    delta_ws_reader_t  *r;

    end = p + n;

    do {
        r = guard(&run->reader, sizeof(delta_ws_reader_t));
        r->buf = guard(NULL, r->size);

        if (r->len) {
            memcpy(r->buf, run->reader.buf, r->len);
        }

        memset(&event, 0xff, sizeof(event));
        rc = delta_ws_read(r, &p, end, &event);

        if (rc > 0) {
            ws_log_event(run, &event);

        } else if (rc < 0) {
            ws_log(run, "!%s", ws_errors[-1 - rc].name);

        } else if (p != end) {
            ws_log(run, "stopped early");
        }

        run->reader = *r;

    } while (rc > 0);

    return rc == 0;
}


static int
ws_end(void *ctx)
{
    ws_run_t  *run = ctx;

    if (strchr(run->log, '!') == NULL && !delta_ws_idle(&run->reader)) {
        ws_log(run, "~");
    }

    if (strcmp(run->log, run->want) == 0) {
        return 1;
    }

    tap_diag_bytes("got ", run->log, strlen(run->log));
    tap_diag_bytes("want", run->want, strlen(run->want));

    return 0;
}


static const tap_decoder_t  ws_decoder = { ws_begin, ws_feed, ws_end };


static size_t
ws_frame(uint8_t *out, int b0, const void *payload, size_t n)
{
    size_t                i, head;
    const uint8_t        *p;
    static const uint8_t  mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

    head = delta_ws_header(out, 0, n);
    out[0] = b0;
    out[1] |= 0x80;
    memcpy(out + head, mask, 4);
    head += 4;

    p = payload;

    for (i = 0; i < n; i++) {
        out[head + i] = p[i] ^ mask[i % 4];
    }

    return head + n;
}


static void
test_frames(void)
{
    size_t                   i, j, n;
    uint8_t                  bytes[1024];
    ws_run_t                 run;
    const ws_frame_t        *frame;
    const ws_frames_case_t  *c;

    run.limit = WS_LIMIT;

    for (i = 0; i < sizeof(ws_frames_cases) / sizeof(*c); i++) {
        c = &ws_frames_cases[i];
        n = 0;

        for (j = 0; j < WS_FRAMES && c->frames[j].payload; j++) {
            frame = &c->frames[j];
            n += ws_frame(bytes + n, frame->b0, frame->payload, frame->len);
        }

        run.want = c->want;
        ok(each_split(bytes, n, &ws_decoder, &run), "%s", c->name);
    }
}


static void
test_bytes(void)
{
    size_t                  i;
    ws_run_t                run;
    const ws_bytes_case_t  *c;

    run.limit = WS_LIMIT;

    for (i = 0; i < sizeof(ws_bytes_cases) / sizeof(*c); i++) {
        c = &ws_bytes_cases[i];

        run.want = c->want;
        ok(each_split(c->bytes, c->len, &ws_decoder, &run), "%s", c->name);
    }
}


static void
test_control_limit(void)
{
    char      payload[125], want[160];
    size_t    n;
    uint8_t   bytes[256];
    ws_run_t  run;

    memset(payload, 'p', sizeof(payload));
    snprintf(want, sizeof(want), "ping(%.125s)", payload);

    run.limit = 0;
    run.want = want;
    n = ws_frame(bytes, FIN|9, payload, 125);
    ok(each_split(bytes, n, &ws_decoder, &run),
       "ping of 125 bytes, whatever the limit of messages");

    memcpy(payload, "\x03\xe8", 2);
    snprintf(want, sizeof(want), "close(1000,%.123s)", payload + 2);
    n = ws_frame(bytes, FIN|8, payload, 125);
    ok(each_split(bytes, n, &ws_decoder, &run), "close of 125 bytes");

    run.want = "text()";
    n = ws_frame(bytes, FIN|1, "", 0);
    ok(each_split(bytes, n, &ws_decoder, &run), "empty text, limit 0");

    run.want = "!TOO_BIG";
    n = ws_frame(bytes, FIN|1, "x", 1);
    ok(each_split(bytes, n, &ws_decoder, &run), "a byte, limit 0");
}


/* Payloads at the borders of the length forms, read in pieces of all sizes. */

static void
test_lengths(void)
{
    int                 rc, good;
    size_t              i, j, n, piece, total, at;
    uint8_t            *payload, *bytes, *buf;
    const uint8_t      *p, *end;
    delta_ws_event_t    event;
    delta_ws_reader_t   r;
    static const size_t  lengths[] = { 1, 7, 8, 9, 125, 126, 127, 65535,
                                       65536, 70001 };

    payload = malloc(70001);
    bytes = malloc(70001 + 14);

    for (i = 0; i < 70001; i++) {
        payload[i] = i * 31 + (i >> 8);
    }

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        n = lengths[i];
        total = ws_frame(bytes, FIN|2, payload, n);
        good = 1;

        for (piece = 1; piece < 80000; piece = piece * 2 + 1) {
            memset(&r, 0, sizeof(r));
            buf = guard(NULL, n);
            r.buf = buf;
            r.size = n;
            rc = 0;

            for (at = 0; at < total && rc == 0; at += j) {
                j = total - at < piece ? total - at : piece;
                p = bytes + at;
                end = p + j;
                rc = delta_ws_read(&r, &p, end, &event);
            }

            good &= rc == 1 && at == total && event.len == n
                    && event.data == buf && event.opcode == DELTA_WS_BINARY
                    && memcmp(buf, payload, n) == 0 && delta_ws_idle(&r);
        }

        ok(good, "a message of %zu bytes", n);
    }

    free(payload);
    free(bytes);
}


static void
test_random(void)
{
    int                 rc;
    size_t              i, j, round;
    uint8_t             bytes[64];
    const uint8_t      *p, *end;
    delta_ws_event_t    event;
    delta_ws_reader_t   r;

    for (round = 0; round < 50000; round++) {
        memset(&r, 0, sizeof(r));
        r.size = 40;
        r.buf = guard(NULL, 40);

        for (i = 0; i < sizeof(bytes); i++) {
            bytes[i] = tap_random();
        }

        for (i = 0; i + 2 < sizeof(bytes); i += 8 + bytes[i] % 8) {
            bytes[i] &= 0x8f;
            bytes[i + 1] = 0x80 | (bytes[i + 1] & 0x7);
        }

        for (i = 0, rc = 0; i < sizeof(bytes) && rc >= 0; i += j) {
            j = 1 + tap_random() % (sizeof(bytes) - i);
            p = guard(bytes + i, j);
            end = p + j;

            do {
                rc = delta_ws_read(&r, &p, end, &event);
            } while (rc > 0 && event.len <= 125);
        }

        if (rc > 0 || r.len > r.size) {
            break;
        }
    }

    is_int(round, 50000, "random bytes stay within bounds");
}


static void
test_errors(void)
{
    int  i, n;

    n = sizeof(ws_errors) / sizeof(ws_errors[0]);

    for (i = 0; i < n; i++) {
        is_int(delta_ws_error_code(-1 - i), ws_errors[i].code,
               "code of %s", ws_errors[i].name);
        ok(strlen(delta_ws_strerror(-1 - i)) <= 123,
           "the sentence of %s fits a close frame", ws_errors[i].name);
    }

    is_int(delta_ws_error_code(DELTA_WS_EUTF8), 1007, "bad text is 1007");
    is_int(delta_ws_error_code(DELTA_WS_ETOO_BIG), 1009, "too big is 1009");
    is_int(delta_ws_error_code(-1 - n), 1002, "an unknown error");
    is_str(delta_ws_strerror(1), "Unknown error.", "not an error");
}


static void
test_header(void)
{
    size_t   i, n;
    uint8_t  out[10];

    static const struct {
        uint64_t     len;
        const char  *want;
        size_t       n;
    } cases[] = {
        { 0, b("\x81\x00") },
        { 125, b("\x81\x7d") },
        { 126, b("\x81\x7e\x00\x7e") },
        { 65535, b("\x81\x7e\xff\xff") },
        { 65536, b("\x81\x7f\0\0\0\0\0\x01\0\0") },
        { 0x0102030405060708, b("\x81\x7f\x01\x02\x03\x04\x05\x06\x07\x08") },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        n = delta_ws_header(out, DELTA_WS_TEXT, cases[i].len);
        is_mem(out, n, cases[i].want, cases[i].n, "header of %llu bytes",
               (unsigned long long) cases[i].len);
    }

    n = delta_ws_header(out, DELTA_WS_PONG, 3);
    is_mem(out, n, "\x8a\x03", 2, "header of a pong");
}


static void
test_close(void)
{
    char      reason[124];
    size_t    n;
    uint8_t  *out;

    out = guard(NULL, 2 + DELTA_WS_MAX_CONTROL);
    memset(reason, 'r', sizeof(reason));

    n = delta_ws_close(out, 1000, NULL, 0);
    is_mem(out, n, "\x88\x02\x03\xe8", 4, "close without a reason");

    n = delta_ws_close(out, 4001, "Bye.", 4);
    is_mem(out, n, "\x88\x06\x0f\xa1" "Bye.", 8, "close with a reason");

    n = delta_ws_close(out, 1011, reason, 123);
    is_int(n, 127, "a reason of 123 bytes fits");
    is_mem(out, 4, "\x88\x7d\x03\xf3", 4, "its header");
    is_mem(out + 4, 123, reason, 123, "its text");

    n = delta_ws_close(out, 1011, reason, 124);
    is_mem(out, n, "\x88\x02\x03\xf3", 4, "a longer one is left out");

    n = delta_ws_close(out, 1005, NULL, 0);
    is_mem(out, n, "\x88\x00", 2, "1005 never goes on the wire");
}


static void
test_close_codes(void)
{
    unsigned  code, valid, wrong;

    wrong = 0;

    for (code = 0; code <= 65535; code++) {
        valid = (code >= 3000 && code <= 4999)
                || (code >= 1000 && code <= 1014 && code != 1004
                    && code != 1005 && code != 1006);
        wrong += (unsigned) delta_ws_close_code_valid(code) != valid;
    }

    is_int(wrong, 0, "all close codes");
}


int
main(void)
{
    plan(0);

    test_frames();
    test_bytes();
    test_control_limit();
    test_lengths();
    test_random();
    test_errors();
    test_header();
    test_close();
    test_close_codes();

    return done_testing();
}
