
/*
 * Copyright (C) Delta contributors
 */

#include <jansson.h>
#include "delta_msgpack.h"
#include "tap.h"


#define b(bytes)  bytes, sizeof(bytes) - 1

#define MSGPACK_ROUNDS  20000
#define MSGPACK_BIG     70000


typedef struct {
    const char  *json;
    size_t       json_len;
    const char  *bytes;
    size_t       len;
} msgpack_case_t;

typedef struct {
    const char  *bytes;
    size_t       len;
    int          want;
} msgpack_error_case_t;


/* Both ways: the vectors of the format's specification, at each border. */

static const msgpack_case_t  msgpack_both[] = {
    { b("null"), b("\xc0") },
    { b("false"), b("\xc2") },
    { b("true"), b("\xc3") },

    { b("0"), b("\x00") },
    { b("127"), b("\x7f") },
    { b("128"), b("\xcc\x80") },
    { b("255"), b("\xcc\xff") },
    { b("256"), b("\xcd\x01\x00") },
    { b("65535"), b("\xcd\xff\xff") },
    { b("65536"), b("\xce\x00\x01\x00\x00") },
    { b("4294967295"), b("\xce\xff\xff\xff\xff") },
    { b("4294967296"), b("\xcf\x00\x00\x00\x01\x00\x00\x00\x00") },
    { b("9007199254740993"), b("\xcf\x00\x20\x00\x00\x00\x00\x00\x01") },
    { b("18446744073709551615"), b("\xcf\xff\xff\xff\xff\xff\xff\xff\xff") },

    { b("-1"), b("\xff") },
    { b("-32"), b("\xe0") },
    { b("-33"), b("\xd0\xdf") },
    { b("-128"), b("\xd0\x80") },
    { b("-129"), b("\xd1\xff\x7f") },
    { b("-32768"), b("\xd1\x80\x00") },
    { b("-32769"), b("\xd2\xff\xff\x7f\xff") },
    { b("-2147483648"), b("\xd2\x80\x00\x00\x00") },
    { b("-2147483649"), b("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff") },
    { b("-9223372036854775808"), b("\xd3\x80\x00\x00\x00\x00\x00\x00\x00") },

    { b("0.5"), b("\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00") },
    { b("-1.5"), b("\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00") },
    { b("-0.0"), b("\xcb\x80\x00\x00\x00\x00\x00\x00\x00") },
    { b("3.1415926535897931"), b("\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18") },
    { b("1.7976931348623157e+308"), b("\xcb\x7f\xef\xff\xff\xff\xff\xff\xff") },
    { b("4.9406564584124654e-324"), b("\xcb\x00\x00\x00\x00\x00\x00\x00\x01") },

    { b("\"\""), b("\xa0") },
    { b("\"a\""), b("\xa1" "a") },
    { b("\"\xc3\xa4\xf0\x9f\x98\x80\""), b("\xa6\xc3\xa4\xf0\x9f\x98\x80") },
    { b("\"\\u0000\\u0001\\n\\\"\\\\\""), b("\xa5\x00\x01\n\"\\") },
    { b("\"1234567890123456789012345678901\""),
      b("\xbf" "1234567890123456789012345678901") },
    { b("\"12345678901234567890123456789012\""),
      b("\xd9\x20" "12345678901234567890123456789012") },

    { b("[]"), b("\x90") },
    { b("[1,\"a\",null]"), b("\x93\x01\xa1" "a\xc0") },
    { b("[[],[[]],{}]"), b("\x93\x90\x91\x90\x80") },
    { b("[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14]"),
      b("\x9f\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e") },
    { b("[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]"),
      b("\xdc\x00\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"
        "\x0e\x0f") },

    { b("{}"), b("\x80") },
    { b("{\"compact\":true,\"schema\":0}"),
      b("\x82\xa7" "compact\xc3\xa6schema\x00") },
    { b("{\"a\":{\"a\":[{\"a\":1}]},\"b\":-1}"),
      b("\x82\xa1" "a\x81\xa1" "a\x91\x81\xa1" "a\x01\xa1" "b\xff") },
    { b("{\"v\":1,\"t\":\"ready\",\"d\":{\"session_id\":\"s\"}}"),
      b("\x83\xa1v\x01\xa1t\xa5ready\xa1" "d\x81\xaasession_id\xa1s") },
};


/* JSON that has more than one text. */

static const msgpack_case_t  msgpack_encode_cases[] = {
    { b(" \t\r\n[ 1 , { \"a\" : 2 } ]\n"), b("\x92\x01\x81\xa1" "a\x02") },
    { b("\"\\u00e4\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\""),
      b("\xac\xc3\xa4\xf0\x9f\x98\x80/\b\f\n\r\t") },
    { b("1.0"), b("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00") },
    { b("[-0,0]"), b("\x92\xcb\x80\x00\x00\x00\x00\x00\x00\x00\x00") },
    { b("[1e2,1E+2]"), b("\x92\xcb\x40\x59\x00\x00\x00\x00\x00\x00"
                         "\xcb\x40\x59\x00\x00\x00\x00\x00\x00") },
    { b("18446744073709551616"), b("\xcb\x43\xf0\x00\x00\x00\x00\x00\x00") },
    { b("-9223372036854775809"), b("\xcb\xc3\xe0\x00\x00\x00\x00\x00\x00") },
    { b("[1e999]"), b("\x91\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00") },
    { b("[0.10000000000000000000000000000000000000000000000000000000000000000"
        "0000000000001]"), b("\x91\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a") },
    { b("{\"a\":1,\"a\":2}"), b("\x82\xa1" "a\x01\xa1" "a\x02") },
};


/* MessagePack that is not in its shortest form, or has other floats. */

static const msgpack_case_t  msgpack_decode_cases[] = {
    { b("[5,5,5,5]"), b("\x94\xcc\x05\xcd\x00\x05\xce\x00\x00\x00\x05"
                        "\xcf\x00\x00\x00\x00\x00\x00\x00\x05") },
    { b("[5,-5,-5,-5]"), b("\x94\xd0\x05\xd1\xff\xfb\xd2\xff\xff\xff\xfb"
                           "\xd3\xff\xff\xff\xff\xff\xff\xff\xfb") },
    { b("9223372036854775807"), b("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff") },
    { b("[\"a\",\"a\",\"a\"]"), b("\x93\xd9\x01" "a\xda\x00\x01" "a"
                                  "\xdb\x00\x00\x00\x01" "a") },
    { b("[[1],[1]]"), b("\x92\xdc\x00\x01\x01\xdd\x00\x00\x00\x01\x01") },
    { b("[{\"a\":1},{\"a\":1}]"), b("\x92\xde\x00\x01\xa1" "a\x01"
                                    "\xdf\x00\x00\x00\x01\xd9\x01" "a\x01") },
    { b("[0.5,1.0]"), b("\x92\xca\x3f\x00\x00\x00"
                      "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00") },
    { b("\"\x7f/\""), b("\xa2\x7f/") },
};


static const msgpack_error_case_t  msgpack_decode_errors[] = {
    { b(""), DELTA_MSGPACK_ETRUNCATED },
    { b("\xdb\xff\xff\xff\xff" "a"), DELTA_MSGPACK_ETRUNCATED },
    { b("\xdd\xff\xff\xff\xff\x00"), DELTA_MSGPACK_ETRUNCATED },
    { b("\xdf\xff\xff\xff\xff\xa1" "a"), DELTA_MSGPACK_ETRUNCATED },

    { b("\x00\x00"), DELTA_MSGPACK_ETRAILING },
    { b("\x80\xc0"), DELTA_MSGPACK_ETRAILING },
    { b("\x91\x00\x90"), DELTA_MSGPACK_ETRAILING },

    { b("\xc1"), DELTA_MSGPACK_ETYPE },
    { b("\xc4\x00"), DELTA_MSGPACK_ETYPE },
    { b("\xc5\x00\x00"), DELTA_MSGPACK_ETYPE },
    { b("\xc6\x00\x00\x00\x00"), DELTA_MSGPACK_ETYPE },
    { b("\xc7\x00\x01"), DELTA_MSGPACK_ETYPE },
    { b("\xc8\x00\x00\x01"), DELTA_MSGPACK_ETYPE },
    { b("\xc9\x00\x00\x00\x00\x01"), DELTA_MSGPACK_ETYPE },
    { b("\xd4\x01\x00"), DELTA_MSGPACK_ETYPE },
    { b("\xd5\x01\x00\x00"), DELTA_MSGPACK_ETYPE },
    { b("\xd6\xff\x00\x00\x00\x00"), DELTA_MSGPACK_ETYPE },
    { b("\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x00"), DELTA_MSGPACK_ETYPE },
    { b("\xd8\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00"), DELTA_MSGPACK_ETYPE },

    { b("\xa1\xff"), DELTA_MSGPACK_EUTF8 },
    { b("\xa1\xc3"), DELTA_MSGPACK_EUTF8 },
    { b("\xa2\xc0\x80"), DELTA_MSGPACK_EUTF8 },
    { b("\xa3\xed\xa0\x80"), DELTA_MSGPACK_EUTF8 },
    { b("\x81\xa1\xff\x00"), DELTA_MSGPACK_EUTF8 },

    { b("\x81\x01\x00"), DELTA_MSGPACK_EKEY },
    { b("\x81\xc0\x00"), DELTA_MSGPACK_EKEY },
    { b("\x81\x90\x00"), DELTA_MSGPACK_EKEY },
    { b("\x81\xc4\x01" "a\x00"), DELTA_MSGPACK_EKEY },

    { b("\x82\xa1" "a\x00\xa1" "a\x00"), DELTA_MSGPACK_ETWICE },
    { b("\x82\xa1" "a\x00\xd9\x01" "a\x00"), DELTA_MSGPACK_ETWICE },
    { b("\x83\xa1" "a\x81\xa1" "b\x00\xa1" "b\x00\xa1" "a\x00"),
      DELTA_MSGPACK_ETWICE },
    { b("\x82\xa0\x00\xa0\x00"), DELTA_MSGPACK_ETWICE },

    { b("\xca\x7f\x80\x00\x00"), DELTA_MSGPACK_ENUMBER },
    { b("\xca\x7f\xc0\x00\x00"), DELTA_MSGPACK_ENUMBER },
    { b("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"), DELTA_MSGPACK_ENUMBER },
    { b("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), DELTA_MSGPACK_ENUMBER },
};


static const msgpack_error_case_t  msgpack_encode_errors[] = {
    { b(""), DELTA_MSGPACK_EJSON },
    { b(" "), DELTA_MSGPACK_EJSON },
    { b("["), DELTA_MSGPACK_EJSON },
    { b("[1,]"), DELTA_MSGPACK_EJSON },
    { b("]"), DELTA_MSGPACK_EJSON },
    { b("1 1"), DELTA_MSGPACK_EJSON },
    { b("nul"), DELTA_MSGPACK_EJSON },
    { b("\"\xff\""), DELTA_MSGPACK_EJSON },
    { b("\"\\ud800\""), DELTA_MSGPACK_EJSON },
    { b("0x10"), DELTA_MSGPACK_EJSON },
    { b("0.12345678901234567890123456789012345678901234567890123456789012"),
      DELTA_MSGPACK_ENUMBER },
};


static ssize_t
encode(char *out, size_t size, const void *p, size_t n)
{
    return delta_msgpack_encode((uint8_t *) out, size, p, n);
}


static ssize_t
decode(char *out, size_t size, const void *p, size_t n)
{
    return delta_msgpack_decode(out, size, p, n);
}


typedef ssize_t (*msgpack_pt)(char *out, size_t size, const void *p, size_t n);


/* From a guard page into another, with just enough room, and one byte less. */

static void
converts(msgpack_pt convert, const char *from, size_t n, const char *to,
    size_t m, const char *name)
{
    char        *out;
    ssize_t      len;
    const void  *in;

    in = guard(from, n);
    out = guard(NULL, m);

    len = convert(out, m, in, n);
    is_mem(out, len < 0 ? 0 : len, to, m, "%s: %s",
           convert == encode ? "encode" : "decode", name);

    if (len < 0) {
        printf("#   error %zd\n", len);
    }

    out = guard(NULL, m - 1);
    is_int(convert(out, m - 1, in, n), DELTA_MSGPACK_ESIZE,
           "%s: no room", name);
}


static void
both(void)
{
    size_t                 i;
    const msgpack_case_t  *c;

    for (i = 0; i < sizeof(msgpack_both) / sizeof(msgpack_both[0]); i++) {
        c = &msgpack_both[i];
        converts(encode, c->json, c->json_len, c->bytes, c->len, c->json);
        converts(decode, c->bytes, c->len, c->json, c->json_len, c->json);
    }
}


static void
one_way(void)
{
    size_t                 i;
    const msgpack_case_t  *c;

    for (i = 0;
         i < sizeof(msgpack_encode_cases) / sizeof(msgpack_encode_cases[0]);
         i++)
    {
        c = &msgpack_encode_cases[i];
        converts(encode, c->json, c->json_len, c->bytes, c->len, c->json);
    }

    for (i = 0;
         i < sizeof(msgpack_decode_cases) / sizeof(msgpack_decode_cases[0]);
         i++)
    {
        c = &msgpack_decode_cases[i];
        converts(decode, c->bytes, c->len, c->json, c->json_len, c->json);
    }
}


static void
errors(void)
{
    char                         out[256];
    size_t                       i;
    const msgpack_error_case_t  *c;

    for (i = 0;
         i < sizeof(msgpack_decode_errors) / sizeof(msgpack_decode_errors[0]);
         i++)
    {
        c = &msgpack_decode_errors[i];
        is_int(decode(out, sizeof(out), guard(c->bytes, c->len), c->len),
               c->want, "decode %zu: %s", i, delta_msgpack_strerror(c->want));
    }

    for (i = 0;
         i < sizeof(msgpack_encode_errors) / sizeof(msgpack_encode_errors[0]);
         i++)
    {
        c = &msgpack_encode_errors[i];
        is_int(encode(out, sizeof(out), guard(c->bytes, c->len), c->len),
               c->want, "encode %zu: %s", i, delta_msgpack_strerror(c->want));
    }
}


/* A value that is cut anywhere has ended too soon, and nothing else. */

static void
cut(void)
{
    char                  *out;
    size_t                 i, n;
    const msgpack_case_t  *c;

    for (i = 0; i < sizeof(msgpack_both) / sizeof(msgpack_both[0]); i++) {
        c = &msgpack_both[i];
        out = guard(NULL, c->json_len);

        for (n = 0; n < c->len; n++) {

            if (decode(out, c->json_len, guard(c->bytes, n), n)
                != DELTA_MSGPACK_ETRUNCATED)
            {
                break;
            }
        }

        is_int(n, c->len, "%s cut at each byte", c->json);
    }
}


static void
depths(void)
{
    int    i;
    char   deep[DELTA_MSGPACK_DEPTH + 1], json[2 * sizeof(deep)], out[1024];

    memset(deep, 0x91, sizeof(deep));

    deep[DELTA_MSGPACK_DEPTH - 1] = 0x90;
    is_int(decode(out, sizeof(out), deep, DELTA_MSGPACK_DEPTH),
           2 * DELTA_MSGPACK_DEPTH, "the deepest array");
    is_int(encode(deep, sizeof(deep), out, 2 * DELTA_MSGPACK_DEPTH),
           DELTA_MSGPACK_DEPTH, "and back");

    deep[DELTA_MSGPACK_DEPTH - 1] = 0x91;
    deep[DELTA_MSGPACK_DEPTH] = 0x90;
    is_int(decode(out, sizeof(out), deep, sizeof(deep)), DELTA_MSGPACK_EDEPTH,
           "one deeper");

    for (i = 0; i <= DELTA_MSGPACK_DEPTH; i++) {
        json[i] = '[';
        json[2 * DELTA_MSGPACK_DEPTH + 1 - i] = ']';
    }

    is_int(encode(out, sizeof(out), json, sizeof(json)), DELTA_MSGPACK_EJSON,
           "one deeper as JSON");
}


/* A map of n keys, each three digits, behind a map16's head. */

static size_t
map_of(char *out, int n)
{
    int    i;
    char  *p;

    p = out;
    *p++ = 0xde;
    *p++ = n >> 8;
    *p++ = n;

    for (i = 0; i < n; i++) {
        p += sprintf(p, "\xa3%03d\xc0", i);
    }

    return p - out;
}


static void
keys(void)
{
    char         json[8192];
    size_t       n;
    static char  bytes[3 * 2048];

    n = map_of(bytes, DELTA_MSGPACK_KEYS);
    is_int(decode(json, sizeof(json), bytes, n),
           1 + DELTA_MSGPACK_KEYS * sizeof("\"000\":null"),
           "as many keys as may be");

    bytes[0] = 0x92;
    n = 1 + map_of(bytes + 1, DELTA_MSGPACK_KEYS);
    n += map_of(bytes + n, DELTA_MSGPACK_KEYS);
    ok(decode(json, sizeof(json), bytes, n) > 0, "and again behind them");

    n = map_of(bytes, DELTA_MSGPACK_KEYS + 1);
    is_int(decode(json, sizeof(json), bytes, n), DELTA_MSGPACK_EKEYS,
           "one more");

    memcpy(bytes, "\x81\xa1" "a", 3);
    n = 3 + map_of(bytes + 3, DELTA_MSGPACK_KEYS);
    is_int(decode(json, sizeof(json), bytes, n), DELTA_MSGPACK_EKEYS,
           "one more outside");

    n = map_of(bytes, 100);
    memcpy(bytes + n - 5, "\xa3" "000", 4);
    is_int(decode(json, sizeof(json), bytes, n), DELTA_MSGPACK_ETWICE,
           "the last of many is the first");
}


/* Heads of two and four bytes, whose size is known only at the end. */

static void
sizes(void)
{
    int                  i, n, k;
    char                *json, *bytes, *p, want[8];
    ssize_t              len;
    static const int     lengths[] = { 31, 32, 255, 256, 65535, 65536 };
    static const int     counts[] = { 15, 16, 65535, 65536 };
    static const char   *heads[] = { "\xbf", "\xd9\x20", "\xd9\xff",
                                     "\xda\x01\x00", "\xda\xff\xff",
                                     "\xdb\x00\x01\x00\x00" };
    static const size_t  head_len[] = { 1, 2, 2, 3, 3, 5 };

    json = malloc(16 * MSGPACK_BIG);
    bytes = malloc(16 * MSGPACK_BIG);

    for (i = 0; i < 6; i++) {
        n = lengths[i];
        memset(json, 'x', n + 2);
        json[0] = json[n + 1] = '"';
        len = encode(bytes, 16 * MSGPACK_BIG, json, n + 2);
        is_int(len, n + head_len[i], "a string of %d bytes", n);
        is_mem(bytes, head_len[i], heads[i], head_len[i], "its head");
        is_int(decode(json, 16 * MSGPACK_BIG, bytes, len), n + 2, "and back");
    }

    for (i = 0; i < 8; i++) {
        n = counts[i / 2];
        k = i % 2;
        p = json;

        for (len = 0; len < n; len++) {
            p += sprintf(p, k ? ",\"\":0" : ",0");
        }

        json[0] = k ? '{' : '[';
        *p++ = k ? '}' : ']';

        memset(want, 0, sizeof(want));
        want[0] = n < 16 ? (k ? 0x80 : 0x90) + n
                         : (k ? 0xde : 0xdc) + (n > 65535);
        want[1] = n > 65535 ? 0 : n >> 8;
        want[2] = n > 65535 ? n >> 16 : n;

        len = encode(bytes, 16 * MSGPACK_BIG, json, p - json);
        k = n < 16 ? 1 : n > 65535 ? 5 : 3;
        is_int(len, k + n * (1 + i % 2), "%d in it", n);
        is_mem(bytes, k, want, k, "its head");

        if (i % 2 == 0) {
            is_int(decode(json, 16 * MSGPACK_BIG, bytes, len), p - json,
                   "and back");
        }

        is_int(encode(bytes, len - 1, json, p - json), DELTA_MSGPACK_ESIZE,
               "no room for all");
    }

    free(json);
    free(bytes);
}


/* What grows most, into no more room than the bounds promise. */

static void
bounds(void)
{
    size_t              i, n;
    char                json[1024], bytes[1024], *p, *out;
    static const char  *grows[] = { "-0", ".5", "null", "\"\"", "{}", "[]" };

    for (i = 0; i < sizeof(grows) / sizeof(grows[0]); i++) {

        for (p = json, n = 0; n < 20; n++) {
            p += sprintf(p, ",%s%s", *grows[i] == '.' ? "0" : "", grows[i]);
        }

        *json = '[';
        *p++ = ']';
        n = delta_msgpack_bound(p - json);
        out = guard(NULL, n);
        ok(encode(out, n, json, p - json) > 0, "the bound holds: %s",
           grows[i]);
    }

    is_int(encode(bytes, delta_msgpack_bound(2), "-0", 2), 9, "a lone -0");

    for (i = 0; i < 256; i++) {
        memset(bytes, i, 200);
        bytes[0] = 0xdc;
        bytes[1] = 0;
        bytes[2] = 197;

        if (i >= 0xd9 && i <= 0xdb) {
            continue;
        }

        n = delta_msgpack_json_bound(200);
        out = guard(NULL, n);

        if (decode(out, n, bytes, 200) == DELTA_MSGPACK_ESIZE) {
            break;
        }
    }

    is_int(i, 256, "the bound of JSON holds for each byte");

    memset(bytes, 1, 200);
    bytes[0] = 0xd9;
    bytes[1] = 198;
    out = guard(NULL, delta_msgpack_json_bound(200));
    is_int(decode(out, delta_msgpack_json_bound(200), bytes, 200),
           6 * 198 + 2, "and for escapes");
}


/* Something of everything; leaves become likelier with depth. */

static json_t *
some(int depth)
{
    char              text[80];
    int               i, n, kind;
    double            real;
    json_t           *value;
    static const int  borders[] = { 0, 7, 8, 15, 16, 31, 32, 52, 53, 62 };

    kind = tap_random() % (depth < 5 ? 9 : 6);
    n = tap_random() % 20;

    switch (kind) {

    case 0:
        return json_null();

    case 1:
        return json_boolean(n & 1);

    case 2:
        return json_integer(((json_int_t) 1 << borders[n % 10])
                            - tap_random() % 3);

    case 3:
        return json_integer(-((json_int_t) 1 << borders[n % 10])
                            + tap_random() % 3);

    case 4:
        real = (double) tap_random() / (1 + tap_random() % 1000);
        return json_real(n & 1 ? real : -real * 1e-30);

    case 5:
        n = tap_random() % 40;

        for (i = 0; i < n; i++) {
            text[i] = tap_random() % 127 + 1;
        }

        return json_stringn(text, n);

    case 6:
    case 7:
        value = json_object();

        for (i = 0; i < n; i++) {
            sprintf(text, "k%d\n", i * (i % 7));
            json_object_set_new(value, text, some(depth + 1));
        }

        return value;

    default:
        value = json_array();

        for (i = 0; i < n; i++) {
            json_array_append_new(value, some(depth + 1));
        }

        return value;
    }
}


/* What comes back is equal, and its own way there and back changes nothing. */

static int
round_trip(const char *text, size_t n, json_t *value)
{
    int       same;
    char     *bytes, *json, *again;
    ssize_t   len, back;
    json_t   *found;

    bytes = malloc(delta_msgpack_bound(n));
    len = encode(bytes, delta_msgpack_bound(n), text, n);
    json = malloc(delta_msgpack_json_bound(len));
    back = decode(json, delta_msgpack_json_bound(len), bytes, len);

    if (back == DELTA_MSGPACK_EKEYS) {
        free(bytes);
        free(json);
        return 1;
    }

    found = json_loadb(json, back < 0 ? 0 : back, JSON_DECODE_ANY, NULL);
    same = found && json_equal(found, value);

    again = malloc(len);

    if (same) {
        same = encode(again, len, json, back) == len
               && memcmp(again, bytes, len) == 0;
    }

    json_decref(found);
    free(again);
    free(bytes);
    free(json);

    return same;
}


static void
property(void)
{
    int      i;
    char    *text;
    json_t  *value;

    for (i = 0; i < MSGPACK_ROUNDS / 20; i++) {
        value = some(0);
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)
                                 | (i % 2 ? JSON_ENSURE_ASCII : JSON_COMPACT));

        if (!round_trip(text, strlen(text), value)) {
            printf("#   %s\n", text);
            break;
        }

        free(text);
        json_decref(value);
    }

    is_int(i, MSGPACK_ROUNDS / 20, "there and back, equal");
}


/* Broken bytes: an error, or JSON that a stranger reads. */

static void
noise(void)
{
    int      i, good;
    char     json[delta_msgpack_json_bound(64)], bytes[64];
    size_t   n, at;
    ssize_t  len;
    json_t  *value;

    good = 0;

    for (i = 0; i < MSGPACK_ROUNDS; i++) {
        n = 1 + tap_random() % sizeof(bytes);

        for (at = 0; at < n; at++) {
            bytes[at] = tap_random() % 4 ? (tap_random() % 6 << 4)
                                           | tap_random() % 4
                                         : tap_random();
        }

        len = decode(json, sizeof(json), guard(bytes, n), n);

        if (len < 0) {

            if (len == DELTA_MSGPACK_ESIZE || len == DELTA_MSGPACK_EJSON) {
                break;
            }

            continue;
        }

        value = json_loadb(json, len, JSON_DECODE_ANY | JSON_ALLOW_NUL
                                      | JSON_REJECT_DUPLICATES, NULL);
        if (value == NULL) {
            tap_diag_bytes("JSON", json, len);
            break;
        }

        json_decref(value);
        good++;
    }

    is_int(i, MSGPACK_ROUNDS, "noise is refused, or is JSON");
    ok(good > 100, "%d were JSON", good);
}


int
main(void)
{
    plan(0);

    both();
    one_way();
    errors();
    cut();
    depths();
    keys();
    sizes();
    bounds();
    property();
    noise();

    return done_testing();
}
