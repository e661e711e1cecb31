
/*
 * Copyright (C) Delta contributors
 */

#include "delta_json_text.h"
#include "delta_utf8.h"


typedef struct {
    const char  *end;
    int          error;
    int          depth;
} delta_json_scan_t;


static const char *delta_json_scan(delta_json_scan_t *s, const char *p);
static const char *delta_json_scan_object(delta_json_scan_t *s, const char *p);
static const char *delta_json_scan_array(delta_json_scan_t *s, const char *p);
static const char *delta_json_scan_string(delta_json_scan_t *s, const char *p);
static const char *delta_json_scan_escape(delta_json_scan_t *s, const char *p);
static const char *delta_json_scan_number(delta_json_scan_t *s, const char *p);
static const char *delta_json_scan_word(delta_json_scan_t *s, const char *p,
    const char *word, size_t n);
static const char *delta_json_fail(delta_json_scan_t *s, int error);
static delta_json_type_t delta_json_type(char c);


static const char *delta_json_errors[] = {
#define X(name, text)  text,
    DELTA_JSON_ERRORS(X)
#undef X
};


static inline const char *
delta_json_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }

    return p;
}


int
delta_json_parse(delta_json_t *value, const char *p, size_t n)
{
    const char         *start;
    delta_json_scan_t   s;

    if (n == 0) {
        return DELTA_JSON_ESYNTAX;
    }

    s.end = p + n;
    s.error = DELTA_JSON_ESYNTAX;
    s.depth = 0;

    start = delta_json_space(p, s.end);

    p = delta_json_scan(&s, start);

    if (p == NULL) {
        return s.error;
    }

    if (delta_json_space(p, s.end) != s.end) {
        return DELTA_JSON_ESYNTAX;
    }

    value->type = delta_json_type(*start);
    value->raw.data = start;
    value->raw.len = p - start;

    return 1;
}


static const char *
delta_json_scan(delta_json_scan_t *s, const char *p)
{
    if (p == s->end) {
        return NULL;
    }

    switch (*p) {

    case '"':
        return delta_json_scan_string(s, p);

    case '{':
    case '[':
        if (s->depth == DELTA_JSON_DEPTH) {
            return delta_json_fail(s, DELTA_JSON_EDEPTH);
        }

        s->depth++;

        p = (*p == '{') ? delta_json_scan_object(s, p)
                        : delta_json_scan_array(s, p);
        s->depth--;

        return p;

    case 't':
        return delta_json_scan_word(s, p, "true", 4);

    case 'f':
        return delta_json_scan_word(s, p, "false", 5);

    case 'n':
        return delta_json_scan_word(s, p, "null", 4);

    default:
        return delta_json_scan_number(s, p);
    }
}


static const char *
delta_json_scan_object(delta_json_scan_t *s, const char *p)
{
    p = delta_json_space(p + 1, s->end);

    if (p < s->end && *p == '}') {
        return p + 1;
    }

    for ( ;; ) {

        if (p == s->end || *p != '"') {
            return NULL;
        }

        p = delta_json_scan_string(s, p);

        if (p == NULL) {
            return NULL;
        }

        p = delta_json_space(p, s->end);

        if (p == s->end || *p != ':') {
            return NULL;
        }

        p = delta_json_scan(s, delta_json_space(p + 1, s->end));

        if (p == NULL) {
            return NULL;
        }

        p = delta_json_space(p, s->end);

        if (p == s->end) {
            return NULL;
        }

        if (*p == '}') {
            return p + 1;
        }

        if (*p != ',') {
            return NULL;
        }

        p = delta_json_space(p + 1, s->end);
    }
}


static const char *
delta_json_scan_array(delta_json_scan_t *s, const char *p)
{
    p = delta_json_space(p + 1, s->end);

    if (p < s->end && *p == ']') {
        return p + 1;
    }

    for ( ;; ) {
        p = delta_json_scan(s, p);

        if (p == NULL) {
            return NULL;
        }

        p = delta_json_space(p, s->end);

        if (p == s->end) {
            return NULL;
        }

        if (*p == ']') {
            return p + 1;
        }

        if (*p != ',') {
            return NULL;
        }

        p = delta_json_space(p + 1, s->end);
    }
}


static const char *
delta_json_scan_string(delta_json_scan_t *s, const char *p)
{
    uint8_t      c;
    uint32_t     state;
    const char  *start, *high;

    start = ++p;
    high = NULL;

    for ( ;; ) {
        p = delta_json_plain(p, s->end);

        if (p == s->end) {
            return NULL;
        }

        c = *p;

        if (c == '"') {
            break;
        }

        if (c >= 0x80) {
            high = p;

            do {
                p++;
            } while (p < s->end && (uint8_t) *p >= 0x80);

        } else if (c == '\\') {
            p = delta_json_scan_escape(s, p + 1);

            if (p == NULL) {
                return NULL;
            }

        } else {
            return NULL;
        }
    }

    if (high) {
        state = 0;

        if (delta_utf8_check(&state, (const uint8_t *) start, p - start) != 0
            || state != 0)
        {
            return delta_json_fail(s, DELTA_JSON_EUTF8);
        }
    }

    return p + 1;
}


static const char *
delta_json_scan_escape(delta_json_scan_t *s, const char *p)
{
    uint32_t  ch;

    p = delta_json_unescape(&ch, p, s->end);

    if (p && (ch & ~0x7ffu) == 0xd800) {
        return delta_json_fail(s, DELTA_JSON_EUTF8);
    }

    return p;
}


static const char *
delta_json_scan_number(delta_json_scan_t *s, const char *p)
{
    const char  *end;

    end = s->end;

    if (*p == '-') {
        p++;
    }

    if (p == end || !delta_json_digit(*p)) {
        return NULL;
    }

    if (*p++ != '0') {
        while (p < end && delta_json_digit(*p)) {
            p++;
        }
    }

    if (p < end && *p == '.') {
        p++;

        if (p == end || !delta_json_digit(*p)) {
            return NULL;
        }

        while (p < end && delta_json_digit(*p)) {
            p++;
        }
    }

    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }

        if (p == end || !delta_json_digit(*p)) {
            return NULL;
        }

        while (p < end && delta_json_digit(*p)) {
            p++;
        }
    }

    return p;
}


static const char *
delta_json_scan_word(delta_json_scan_t *s, const char *p, const char *word,
    size_t n)
{
    if ((size_t) (s->end - p) < n || memcmp(p, word, n) != 0) {
        return NULL;
    }

    return p + n;
}


static const char *
delta_json_fail(delta_json_scan_t *s, int error)
{
    s->error = error;

    return NULL;
}


static delta_json_type_t
delta_json_type(char c)
{
    switch (c) {

    case '{':
        return DELTA_JSON_OBJECT;

    case '[':
        return DELTA_JSON_ARRAY;

    case '"':
        return DELTA_JSON_STRING;

    case 't':
        return DELTA_JSON_TRUE;

    case 'f':
        return DELTA_JSON_FALSE;

    case 'n':
        return DELTA_JSON_NULL;

    default:
        return DELTA_JSON_NUMBER;
    }
}


int
delta_json_next(const delta_json_t *container, size_t *pos, delta_str_t *key,
    delta_json_t *value)
{
    const char  *p, *end, *start;

    if ((container->type != DELTA_JSON_OBJECT
         && container->type != DELTA_JSON_ARRAY)
        || *pos >= container->raw.len)
    {
        return 0;
    }

    start = container->raw.data;
    end = start + container->raw.len - 1;

    p = start + *pos;
    p = delta_json_space(*pos == 0 ? p + 1 : p, end);

    if (*pos != 0 && p < end && *p == ',') {
        p = delta_json_space(p + 1, end);
    }

    if (p >= end) {
        return 0;
    }

    if (container->type == DELTA_JSON_OBJECT) {
        key->data = p + 1;
        p = delta_json_skip_string(p, end);
        key->len = p - 1 - key->data;

        p = delta_json_space(p, end);
        p = delta_json_space(p < end ? p + 1 : p, end);

        if (p == end) {
            return 0;
        }
    }

    value->type = delta_json_type(*p);
    value->raw.data = p;

    p = delta_json_skip(p, end);

    value->raw.len = p - value->raw.data;
    *pos = p - start;

    return 1;
}


const char *
delta_json_skip(const char *p, const char *end)
{
    size_t  depth;

    depth = 0;

    while (p < end) {

        switch (*p) {

        case '"':
            p = delta_json_skip_string(p, end);
            break;

        case '{':
        case '[':
            depth++;
            p++;
            break;

        case '}':
        case ']':
            p++;

            if (--depth == 0) {
                return p;
            }

            continue;

        case ',':
        case ' ':
        case '\n':
        case '\r':
        case '\t':
            if (depth == 0) {
                return p;
            }

            p++;
            continue;

        default:
            p++;
            continue;
        }

        if (depth == 0) {
            return p;
        }
    }

    return p;
}


const char *
delta_json_skip_string(const char *p, const char *end)
{
    p++;

    for ( ;; ) {
        p = delta_json_plain(p, end);

        if (p == end) {
            break;
        }

        if (*p == '"') {
            return p + 1;
        }

        if (*p == '\\' && p + 1 < end) {
            p += 2;
            continue;
        }

        do {
            p++;
        } while (p < end && (uint8_t) *p >= 0x80);
    }

    return end;
}


const char *
delta_json_strerror(int error)
{
    size_t  i;

    i = -1 - error;

    if (error >= 0
        || i >= sizeof(delta_json_errors) / sizeof(delta_json_errors[0]))
    {
        return "Unknown error.";
    }

    return delta_json_errors[i];
}
