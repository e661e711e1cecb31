
/*
 * Copyright (C) Delta contributors
 *
 * JSON: what jansson takes is taken, and read as the same; the rest is not.
 * Known differences: depth is bounded here; jansson refuses numbers that no
 * double holds, and U+0000 in a name; to it a NUL byte behind a value is the
 * end of the text.
 */

#include <jansson.h>
#include "delta_json.h"
#include "fuzz.h"


#define JSON_FLAGS  (JSON_DECODE_ANY|JSON_ALLOW_NUL|JSON_DECODE_INT_AS_REAL)


static json_t *json_build(const delta_json_t *value);


/* NULL: it holds U+0000, which strings here do not. */

static json_t *
json_text(const delta_json_t *value)
{
    char     *out;
    json_t   *text;
    ssize_t   n;

    out = fuzz_alloc(value->raw.len);
    n = delta_json_string(out, value->raw.len, value);
    check(n < (ssize_t) value->raw.len);
    text = n < 0 ? NULL : json_stringn(out, n);
    check(n < 0 || text != NULL);
    fuzz_free(out, value->raw.len);

    return text;
}


static json_t *
json_number(const delta_json_t *value)
{
    char     text[512];
    int64_t  whole;
    json_t  *number;

    if (value->raw.len >= sizeof(text)) {
        return NULL;
    }

    memcpy(text, value->raw.data, value->raw.len);
    text[value->raw.len] = '\0';

    number = json_real(strtod(text, NULL));
    whole = delta_json_uint(value);

    if (whole >= 0) {
        check((double) whole == json_real_value(number));
    }

    return number;
}


static json_t *
json_members(const delta_json_t *value)
{
    char          *name;
    json_t        *all, *member, *key;
    size_t         pos, last;
    delta_str_t    written;
    delta_json_t   item, quoted;

    all = value->type == DELTA_JSON_OBJECT ? json_object() : json_array();
    pos = 0;
    last = 0;

    while (delta_json_next(value, &pos, &written, &item)) {
        check(pos > last && pos <= value->raw.len);
        check(item.raw.data >= value->raw.data
              && item.raw.data + item.raw.len
                 <= value->raw.data + value->raw.len);
        last = pos;
        member = json_build(&item);

        if (member && value->type == DELTA_JSON_OBJECT) {
            quoted.type = DELTA_JSON_STRING;
            quoted.raw.data = written.data - 1;
            quoted.raw.len = written.len + 2;
            key = json_text(&quoted);
            name = key ? (char *) json_string_value(key) : NULL;

            if (name == NULL || json_object_set(all, name, member) != 0) {
                json_decref(member);
                member = NULL;
            }

            json_decref(key);

        } else if (member) {
            json_array_append(all, member);
        }

        if (member == NULL) {
            json_decref(all);
            return NULL;
        }

        json_decref(member);
    }

    check(!delta_json_next(value, &pos, &written, &item));

    return all;
}


static json_t *
json_build(const delta_json_t *value)
{
    switch (value->type) {

    case DELTA_JSON_OBJECT:
    case DELTA_JSON_ARRAY:
        return json_members(value);

    case DELTA_JSON_STRING:
        return json_text(value);

    case DELTA_JSON_NUMBER:
        return json_number(value);

    case DELTA_JSON_TRUE:
        return json_true();

    case DELTA_JSON_FALSE:
        return json_false();

    case DELTA_JSON_NULL:
        return json_null();

    default:
        check(!"a type");
        return NULL;
    }
}


static void
json_as_text(const char *p, size_t n)
{
    char          *out;
    size_t         len;
    json_t        *same, *whole;
    delta_json_t   value;

    len = delta_json_quote(NULL, p, n);
    check(len <= 6 * n + 2);
    out = fuzz_alloc(len);
    check(delta_json_quote(out, p, n) == len);
    check(delta_json_parse(&value, out, len) == 1);
    check(value.type == DELTA_JSON_STRING && value.raw.len == len);

    same = json_stringn(p, n);              /* NULL: not UTF-8 */

    if (same) {
        whole = json_loadb(out, len, JSON_FLAGS, NULL);
        check(json_equal(whole, same));
        json_decref(whole);
        json_decref(same);
    }

    fuzz_free(out, len);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int            rc;
    json_t        *want, *got;
    const char    *p;
    json_error_t   error;
    delta_json_t   value;

    p = (const char *) data;
    json_as_text(p, n);

    rc = delta_json_parse(&value, p, n);
    want = json_loadb(p, n, JSON_FLAGS, &error);

    if (rc < 0) {
        check(rc == DELTA_JSON_EDEPTH || want == NULL
              || memchr(p, '\0', n) != NULL);

    } else if (want == NULL) {
        check(json_error_code(&error) == json_error_numeric_overflow
              || json_error_code(&error) == json_error_null_byte_in_key);

    } else {
        got = json_build(&value);
        check(got == NULL || json_equal(got, want));
        json_decref(got);
    }

    json_decref(want);

    return 0;
}
