
/*
 * Copyright (C) Delta contributors
 */

#include <jansson.h>
#include "delta_json.h"
#include "tap.h"


#define b(bytes)  bytes, sizeof(bytes) - 1


typedef struct {
    const char  *bytes;
    size_t       len;
    int          want;
} json_parse_case_t;

typedef struct {
    const char  *bytes;
    size_t       len;
    const char  *want;
    ssize_t      n;
} json_text_case_t;


static const json_parse_case_t  json_parse_cases[] = {
    { b("{}"), DELTA_JSON_OBJECT },
    { b(" [ ] "), DELTA_JSON_ARRAY },
    { b("\t\r\n\"x\" \n"), DELTA_JSON_STRING },
    { b("0"), DELTA_JSON_NUMBER },
    { b("-0"), DELTA_JSON_NUMBER },
    { b("-10.50e+07"), DELTA_JSON_NUMBER },
    { b("1E9"), DELTA_JSON_NUMBER },
    { b("true"), DELTA_JSON_TRUE },
    { b("false"), DELTA_JSON_FALSE },
    { b("null"), DELTA_JSON_NULL },
    { b("{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":\"\"}"),
      DELTA_JSON_OBJECT },
    { b("{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }"), DELTA_JSON_OBJECT },
    { b("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\""), DELTA_JSON_STRING },
    { b("\"\\ud83d\\uDE00\""), DELTA_JSON_STRING },
    { b("\"\\u0000\""), DELTA_JSON_STRING },
    { b("\"\xc3\xa4\xf0\x9f\x98\x80 long enough to cross words\x7f\""),
      DELTA_JSON_STRING },

    { b(""), DELTA_JSON_ESYNTAX },
    { b("  "), DELTA_JSON_ESYNTAX },
    { b("{"), DELTA_JSON_ESYNTAX },
    { b("{]"), DELTA_JSON_ESYNTAX },
    { b("[}"), DELTA_JSON_ESYNTAX },
    { b("[1,]"), DELTA_JSON_ESYNTAX },
    { b("[,1]"), DELTA_JSON_ESYNTAX },
    { b("[1 2]"), DELTA_JSON_ESYNTAX },
    { b("{\"a\":1,}"), DELTA_JSON_ESYNTAX },
    { b("{\"a\"}"), DELTA_JSON_ESYNTAX },
    { b("{\"a\":}"), DELTA_JSON_ESYNTAX },
    { b("{\"a\" 1}"), DELTA_JSON_ESYNTAX },
    { b("{a:1}"), DELTA_JSON_ESYNTAX },
    { b("{1:1}"), DELTA_JSON_ESYNTAX },
    { b("{'a':1}"), DELTA_JSON_ESYNTAX },
    { b("{} {}"), DELTA_JSON_ESYNTAX },
    { b("{}x"), DELTA_JSON_ESYNTAX },
    { b("{}\0"), DELTA_JSON_ESYNTAX },
    { b("\xef\xbb\xbf{}"), DELTA_JSON_ESYNTAX },
    { b("\f1"), DELTA_JSON_ESYNTAX },
    { b("// x\n1"), DELTA_JSON_ESYNTAX },
    { b("01"), DELTA_JSON_ESYNTAX },
    { b("-"), DELTA_JSON_ESYNTAX },
    { b("+1"), DELTA_JSON_ESYNTAX },
    { b(".5"), DELTA_JSON_ESYNTAX },
    { b("1."), DELTA_JSON_ESYNTAX },
    { b("1.e1"), DELTA_JSON_ESYNTAX },
    { b("1e"), DELTA_JSON_ESYNTAX },
    { b("1e+"), DELTA_JSON_ESYNTAX },
    { b("0x10"), DELTA_JSON_ESYNTAX },
    { b("NaN"), DELTA_JSON_ESYNTAX },
    { b("Infinity"), DELTA_JSON_ESYNTAX },
    { b("tru"), DELTA_JSON_ESYNTAX },
    { b("truE"), DELTA_JSON_ESYNTAX },
    { b("nulll"), DELTA_JSON_ESYNTAX },
    { b("\""), DELTA_JSON_ESYNTAX },
    { b("\"a"), DELTA_JSON_ESYNTAX },
    { b("\"a\nb\""), DELTA_JSON_ESYNTAX },
    { b("\"a\0b\""), DELTA_JSON_ESYNTAX },
    { b("\"1234567\x1f" "12345678\""), DELTA_JSON_ESYNTAX },
    { b("\"\\"), DELTA_JSON_ESYNTAX },
    { b("\"\\\""), DELTA_JSON_ESYNTAX },
    { b("\"\\x41\""), DELTA_JSON_ESYNTAX },
    { b("\"\\\0\""), DELTA_JSON_ESYNTAX },
    { b("\"\\u12\""), DELTA_JSON_ESYNTAX },
    { b("\"\\u123g\""), DELTA_JSON_ESYNTAX },
    { b("\"\\u 123\""), DELTA_JSON_ESYNTAX },

    { b("\"\\ud800\""), DELTA_JSON_EUTF8 },
    { b("\"\\udc00\""), DELTA_JSON_EUTF8 },
    { b("\"\\ud800\\u0041\""), DELTA_JSON_EUTF8 },
    { b("\"\\ud800\\ud800\""), DELTA_JSON_EUTF8 },
    { b("\"\\ud800x\\udc00\""), DELTA_JSON_EUTF8 },
    { b("\"\xff\""), DELTA_JSON_EUTF8 },
    { b("\"\xc3\""), DELTA_JSON_EUTF8 },
    { b("\"\xe2\x82\\n\""), DELTA_JSON_EUTF8 },
    { b("\"\xed\xa0\x80\""), DELTA_JSON_EUTF8 },
    { b("\"\xc0\xaf\""), DELTA_JSON_EUTF8 },
    { b("{\"\xff\":1}"), DELTA_JSON_EUTF8 },
};


static const json_text_case_t  json_text_cases[] = {
    { b("\"\""), b("") },
    { b("\"plain\""), b("plain") },
    { b("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), b("\"\\/\b\f\n\r\t") },
    { b("\"a\\u00e4b\\u20AcC\\ud83D\\ude00!\""),
      b("a\xc3\xa4" "b\xe2\x82\xac" "C\xf0\x9f\x98\x80!") },
    { b("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
      b("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf") },
    { b("\"\\udbff\\udfff\""), b("\xf4\x8f\xbf\xbf") },
    { b("\"a\\u0000\""), "", -1 },
    { b("1"), "", -1 },
    { b("null"), "", -1 },
    { b("{}"), "", -1 },
};


static const json_text_case_t  json_quote_cases[] = {
    { b(""), b("\"\"") },
    { b("plain text that is longer than a word"),
      b("\"plain text that is longer than a word\"") },
    { b("\"\\/"), b("\"\\\"\\\\/\"") },
    { b("\b\f\n\r\t"), b("\"\\b\\f\\n\\r\\t\"") },
    { b("\0\x01\x1f\x7f"), b("\"\\u0000\\u0001\\u001f\x7f\"") },
    { b("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
      b("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"") },
    { b("a\xff" "b"), b("\"a\xef\xbf\xbd" "b\"") },
    { b("\xe2\x82"), b("\"\xef\xbf\xbd\xef\xbf\xbd\"") },
    { b("\xc3\""), b("\"\xef\xbf\xbd\\\"\"") },
    { b("\xed\xa0\x80"), b("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"") },
};


static const struct {
    const char  *bytes;
    int64_t      want;
} json_uint_cases[] = {
    { "0", 0 },
    { "7", 7 },
    { "9223372036854775807", INT64_MAX },
    { "9223372036854775808", -1 },
    { "18446744073709551616", -1 },
    { "99999999999999999999999999999999", -1 },
    { "-1", -1 },
    { "-0", -1 },
    { "1.0", -1 },
    { "1e3", -1 },
    { "\"1\"", -1 },
    { "true", -1 },
};


static void
test_parse(void)
{
    int                       rc, good;
    size_t                    i, cut;
    const char               *p;
    delta_json_t              value;
    const json_parse_case_t  *c;

    for (i = 0; i < sizeof(json_parse_cases) / sizeof(*c); i++) {
        c = &json_parse_cases[i];

        p = guard(c->bytes, c->len);
        rc = delta_json_parse(&value, p, c->len);

        if (c->want < 0) {
            is_int(rc, c->want, "refused: %s", c->bytes);
            continue;
        }

        good = rc == 1 && (int) value.type == c->want
               && value.raw.data >= p
               && value.raw.data + value.raw.len <= p + c->len
               && strchr(" \t\r\n", value.raw.data[0]) == NULL
               && strchr(" \t\r\n", value.raw.data[value.raw.len - 1]) == NULL;

        for (cut = 0; cut < c->len; cut++) {
            rc = delta_json_parse(&value, guard(c->bytes, cut), cut);
            good &= rc < 0 || c->want == DELTA_JSON_NUMBER
                    || strspn(c->bytes + cut, " \t\r\n") == c->len - cut;
        }

        ok(good, "accepted, but not cut short: %s", c->bytes);
    }
}


static void
test_depth(void)
{
    int           rc;
    char          text[2 * DELTA_JSON_DEPTH + 2];
    char          wide[3 * DELTA_JSON_DEPTH + 6];
    size_t        i;
    delta_json_t  value;

    for (i = 0; i <= DELTA_JSON_DEPTH; i++) {
        text[i] = '[';
        text[sizeof(text) - 1 - i] = ']';
    }

    rc = delta_json_parse(&value, text + 1, sizeof(text) - 2);
    is_int(rc, 1, "%d levels", DELTA_JSON_DEPTH);

    rc = delta_json_parse(&value, text, sizeof(text));
    is_int(rc, DELTA_JSON_EDEPTH, "one more");

    memset(text, '[', sizeof(text));
    rc = delta_json_parse(&value, text, sizeof(text));
    is_int(rc, DELTA_JSON_EDEPTH, "refused before its end");

    for (i = 0; i < sizeof(wide); i++) {
        wide[i] = ",[]"[i % 3];
    }

    wide[0] = '[';
    wide[sizeof(wide) - 3] = ',';
    wide[sizeof(wide) - 2] = '1';
    wide[sizeof(wide) - 1] = ']';
    rc = delta_json_parse(&value, wide, sizeof(wide));
    is_int(rc, 1, "siblings are not depth");
}


/* "key=raw key=raw" */

static const char *
json_walk(const char *text, size_t n)
{
    size_t        pos, used;
    delta_str_t   key;
    delta_json_t  container, value;
    static char   out[512];

    used = 0;
    out[0] = '\0';

    if (delta_json_parse(&container, guard(text, n), n) != 1) {
        return "not parsed";
    }

    pos = 0;
    key.data = "";
    key.len = 0;

    while (delta_json_next(&container, &pos, &key, &value)) {
        used += snprintf(out + used, sizeof(out) - used, "%s%.*s=%d:%.*s",
                         used ? " " : "", (int) key.len, key.data, value.type,
                         (int) value.raw.len, value.raw.data);
    }

    if (delta_json_next(&container, &pos, &key, &value)) {
        return "went on behind the last one";
    }

    return out;
}


static void
test_next(void)
{
    size_t  i;

    static const struct {
        const char  *text;
        const char  *want;
    } cases[] = {
        { "{}", "" },
        { " { } ", "" },
        { "[]", "" },
        { "[ \n ]", "" },
        { "1", "" },
        { "\"[1]\"", "" },
        { "{\"a\":1}", "a=4:1" },
        { "{\"a\":1,\"b\":\"x\",\"a\":null}", "a=4:1 b=3:\"x\" a=7:null" },
        { " { \"a\" : 1 , \"b\" : true\n} ", "a=4:1 b=5:true" },
        { "[1,-2.5e1,false]", "=4:1 =4:-2.5e1 =6:false" },
        { "[[],{},[[1],{\"x\":[2]}],3]",
          "=2:[] =1:{} =2:[[1],{\"x\":[2]}] =4:3" },
        { "{\"a\":{\"b\":{\"c\":\"}\"}},\"d\":[\"]\",\"\\\"]\"]}",
          "a=1:{\"b\":{\"c\":\"}\"}} d=2:[\"]\",\"\\\"]\"]" },
        { "{\"k\\\"\\\\\":\"v\\\\\",\"\":\"\"}",
          "k\\\"\\\\=3:\"v\\\\\" =3:\"\"" },
        { "[ { \"a\" : [ 1 , 2 ] } , \"x\" ]",
          "=1:{ \"a\" : [ 1 , 2 ] } =3:\"x\"" },
        { "{\"a,:\":\"b,:}\"}", "a,:=3:\"b,:}\"" },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(json_walk(cases[i].text, strlen(cases[i].text)),
               cases[i].want, "members of %s", cases[i].text);
    }
}


static void
test_string(void)
{
    char                    *p, *out;
    size_t                   i;
    ssize_t                  n;
    delta_json_t             value;
    const json_text_case_t  *c;

    for (i = 0; i < sizeof(json_text_cases) / sizeof(*c); i++) {
        c = &json_text_cases[i];
        p = guard(c->bytes, c->len);
        delta_json_parse(&value, p, c->len);

        if (c->n < 0) {
            out = guard(NULL, c->len);
            is_int(delta_json_string(out, c->len, &value), -1,
                   "no text: %s", c->bytes);
            continue;
        }

        out = guard(NULL, c->n);
        n = delta_json_string(out, c->n, &value);
        is_mem(out, n, c->want, c->n, "text of %s", c->bytes);

        if (c->n) {
            out = guard(NULL, c->n - 1);
            is_int(delta_json_string(out, c->n - 1, &value), -1,
                   "a byte too little for it");
        }

        n = delta_json_string(p, c->len, &value);
        is_mem(p, n, c->want, c->n, "the same in place");
    }
}


static void
test_quote(void)
{
    char                    *out;
    size_t                   i, n;
    const char              *p;
    const json_text_case_t  *c;

    for (i = 0; i < sizeof(json_quote_cases) / sizeof(*c); i++) {
        c = &json_quote_cases[i];
        p = guard(c->bytes, c->len);

        is_int(delta_json_quote(NULL, p, c->len), c->n, "size of the next");
        out = guard(NULL, c->n);
        n = delta_json_quote(out, p, c->len);
        is_mem(out, n, c->want, c->n, "quoted %s", c->bytes);
    }

    is_int(delta_json_quote(NULL, NULL, 0), 2, "nothing at NULL");
}


static void
test_quote_random(void)
{
    char          bytes[24], *out;
    size_t        i, n, len, round;
    delta_json_t  value;

    for (round = 0; round < 20000; round++) {
        len = tap_random() % sizeof(bytes);

        for (i = 0; i < len; i++) {
            bytes[i] = tap_random();
        }

        n = delta_json_quote(NULL, guard(bytes, len), len);
        out = guard(NULL, n);

        if (delta_json_quote(out, bytes, len) != n || n > 6 * len + 2
            || delta_json_parse(&value, out, n) != 1
            || value.type != DELTA_JSON_STRING || value.raw.len != n)
        {
            break;
        }
    }

    is_int(round, 20000, "whatever is quoted is a JSON string");
}


static void
test_uint(void)
{
    size_t        i;
    delta_json_t  value;

    for (i = 0; i < sizeof(json_uint_cases) / sizeof(json_uint_cases[0]); i++)
    {
        delta_json_parse(&value, json_uint_cases[i].bytes,
                         strlen(json_uint_cases[i].bytes));
        is_int(delta_json_uint(&value), json_uint_cases[i].want,
               "whole number: %s", json_uint_cases[i].bytes);
    }
}


/* Whether both see the same value. */

static int
json_same(const delta_json_t *value, json_t *other)
{
    char          text[256];
    size_t        n, pos;
    ssize_t       len;
    json_t       *member;
    delta_str_t   key;
    delta_json_t  child, name;

    n = 0;
    pos = 0;

    switch (value->type) {

    case DELTA_JSON_ARRAY:

        while (delta_json_next(value, &pos, &key, &child)) {

            if (!json_same(&child, json_array_get(other, n++))) {
                return 0;
            }
        }

        return json_is_array(other) && n == json_array_size(other);

    case DELTA_JSON_OBJECT:

        while (delta_json_next(value, &pos, &key, &child)) {
            name.type = DELTA_JSON_STRING;
            name.raw.data = key.data - 1;
            name.raw.len = key.len + 2;
            len = delta_json_string(text, sizeof(text) - 1, &name);

            if (len < 0) {
                return 0;
            }

            text[len] = '\0';
            member = json_object_get(other, text);

            if (member == NULL || !json_same(&child, member)) {
                return 0;
            }

            n++;
        }

        return json_is_object(other) && n == json_object_size(other);

    case DELTA_JSON_STRING:
        len = delta_json_string(text, sizeof(text), value);

        if (len < 0) {
            return json_is_string(other)
                   && memchr(json_string_value(other), '\0',
                             json_string_length(other));
        }

        return json_is_string(other)
               && (size_t) len == json_string_length(other)
               && memcmp(text, json_string_value(other), len) == 0;

    case DELTA_JSON_NUMBER:

        if (delta_json_uint(value) < 0) {
            return json_is_number(other);
        }

        return delta_json_uint(value) == json_integer_value(other);

    case DELTA_JSON_TRUE:
        return json_is_true(other);

    case DELTA_JSON_FALSE:
        return json_is_false(other);

    case DELTA_JSON_NULL:
        return json_is_null(other);

    default:
        return 0;
    }
}


/* Changed copies of these, before another parser's eyes. */

static void
test_against_jansson(void)
{
    int           rc;
    char          text[160];
    size_t        n, i, round, accepted, differ;
    json_t       *other;
    const char   *p;
    json_error_t  error;
    delta_json_t  value;

    static const char         bits[] =
        "{}[]\",:\\/ \n01e-.+untrd8c\xc3\xa4\xff";
    static const char *const  seeds[] = {
        "{\"t\":\"message_create\",\"d\":{\"id\":17,\"text\":\"h\\u00e4\\n\"}}",
        "[1,-2.5e+3,[],{},[true,false,null],\"\\ud83d\\ude00\",0]",
        "{\"a\":{\"b\":[{\"c\":\"\xc3\xa4\"},\"\\\\\"]},\"e\" : 0.5 }",
    };

    accepted = 0;
    differ = 0;

    for (round = 0; round < 60000; round++) {
        n = strlen(seeds[round % 3]);
        memcpy(text, seeds[round % 3], n);

        for (i = tap_random() % 3; i != (size_t) -1; i--) {
            text[tap_random() % n] = bits[tap_random() % (sizeof(bits) - 1)];
        }

        if (round % 5 == 0) {
            n = tap_random() % n;
        }

        p = guard(text, n);
        rc = delta_json_parse(&value, p, n);
        other = json_loadb(p, n, JSON_DECODE_ANY|JSON_ALLOW_NUL
                                 |JSON_REJECT_DUPLICATES, &error);

        if (other == NULL) {
            differ += rc == 1
                      && json_error_code(&error) != json_error_numeric_overflow
                      && json_error_code(&error) != json_error_duplicate_key
                      && json_error_code(&error)
                         != json_error_null_byte_in_key;

        } else if (rc != 1 || !json_same(&value, other)) {
            differ++;

        } else {
            accepted++;
        }

        json_decref(other);

        if (differ) {
            tap_diag_bytes("text", text, n);
            break;
        }
    }

    is_int(differ, 0, "another parser agrees");
    ok(accepted > 1000, "it agreed on %zu texts that are JSON", accepted);
}


static void
test_errors(void)
{
    is_str(delta_json_strerror(DELTA_JSON_ESYNTAX), "This is not JSON.",
           "first sentence");
    is_str(delta_json_strerror(DELTA_JSON_EUTF8),
           "A JSON string is not valid UTF-8.", "last sentence");
    is_str(delta_json_strerror(0), "Unknown error.", "not an error");
    is_str(delta_json_strerror(-99), "Unknown error.", "an unknown one");
}


int
main(void)
{
    plan(0);

    test_parse();
    test_depth();
    test_next();
    test_string();
    test_quote();
    test_quote_random();
    test_uint();
    test_against_jansson();
    test_errors();

    return done_testing();
}
