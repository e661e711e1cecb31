
/*
 * Copyright (C) Delta contributors
 */

#include "delta_json_text.h"
#include "delta_utf8.h"


#define DELTA_JSON_ONES  0x0101010101010101u
#define DELTA_JSON_HIGH  0x8080808080808080u

/* A byte of w that is c has its high bit set; bytes above it may, too. */
#define delta_json_has(w, c)                                                  \
    (((w) ^ (DELTA_JSON_ONES * (c))) - DELTA_JSON_ONES)


static int delta_json_hex4(const char *p, const char *end);
static size_t delta_json_quote_one(char *out, const uint8_t *p, size_t n,
    size_t *used);


const char *
delta_json_plain(const char *p, const char *end)
{
    uint8_t   c;
    uint64_t  w, special;

    while (end - p >= 8) {
        memcpy(&w, p, 8);

        special = w | delta_json_has(w, '"') | delta_json_has(w, '\\')
                  | (w - DELTA_JSON_ONES * 0x20);

        if (special & DELTA_JSON_HIGH) {
            break;
        }

        p += 8;
    }

    for ( /* void */ ; p < end; p++) {
        c = *p;

        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') {
            break;
        }
    }

    return p;
}


const char *
delta_json_unescape(uint32_t *ch, const char *p, const char *end)
{
    int                low, unit;
    const char        *found;
    static const char  from[] = "\"\\/bfnrt";
    static const char  to[] = "\"\\/\b\f\n\r\t";

    if (p == end) {
        return NULL;
    }

    if (*p != 'u') {
        found = memchr(from, *p, sizeof(from) - 1);

        if (found == NULL) {
            return NULL;
        }

        *ch = to[found - from];

        return p + 1;
    }

    unit = delta_json_hex4(p + 1, end);

    if (unit < 0) {
        return NULL;
    }

    p += 5;
    *ch = unit;

    if ((unit & ~0x3ff) != 0xd800 || end - p < 6 || p[0] != '\\'
        || p[1] != 'u')
    {
        return p;
    }

    low = delta_json_hex4(p + 2, end);

    if ((low & ~0x3ff) != 0xdc00) {
        return p;
    }

    *ch = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);

    return p + 6;
}


static int
delta_json_hex4(const char *p, const char *end)
{
    int      i, value;
    uint8_t  c;

    if (end - p < 4) {
        return -1;
    }

    value = 0;

    for (i = 0; i < 4; i++) {
        c = p[i];

        if (delta_json_digit(c)) {
            c = c - '0';

        } else {
            c = (c | 0x20) - 'a';

            if (c > 5) {
                return -1;
            }

            c += 10;
        }

        value = value << 4 | c;
    }

    return value;
}


ssize_t
delta_json_string(char *out, size_t size, const delta_json_t *value)
{
    char         utf8[4];
    size_t       len, n;
    uint32_t     ch;
    const char  *p, *end, *next;

    if (value->type != DELTA_JSON_STRING || value->raw.len < 2) {
        return -1;
    }

    p = value->raw.data + 1;
    end = p + value->raw.len - 2;
    len = 0;

    while (p < end) {
        next = memchr(p, '\\', end - p);

        if (next == NULL) {
            next = end;
        }

        n = next - p;

        if (n > size - len) {
            return -1;
        }

        memmove(out + len, p, n);
        len += n;
        p = next;

        if (p == end) {
            break;
        }

        p = delta_json_unescape(&ch, p + 1, end);

        if (p == NULL || ch == 0 || (ch & ~0x7ffu) == 0xd800) {
            return -1;
        }

        n = delta_json_utf8(utf8, ch);

        if (n > size - len) {
            return -1;
        }

        memcpy(out + len, utf8, n);
        len += n;
    }

    return len;
}


size_t
delta_json_utf8(char *out, uint32_t ch)
{
    if (ch < 0x80) {
        out[0] = ch;
        return 1;
    }

    if (ch < 0x800) {
        out[0] = 0xc0 | ch >> 6;
        out[1] = 0x80 | (ch & 0x3f);
        return 2;
    }

    if (ch < 0x10000) {
        out[0] = 0xe0 | ch >> 12;
        out[1] = 0x80 | (ch >> 6 & 0x3f);
        out[2] = 0x80 | (ch & 0x3f);
        return 3;
    }

    out[0] = 0xf0 | ch >> 18;
    out[1] = 0x80 | (ch >> 12 & 0x3f);
    out[2] = 0x80 | (ch >> 6 & 0x3f);
    out[3] = 0x80 | (ch & 0x3f);

    return 4;
}


int64_t
delta_json_uint(const delta_json_t *value)
{
    int          digit;
    size_t       i;
    int64_t      number;
    const char  *p;

    if (value->type != DELTA_JSON_NUMBER || value->raw.len == 0) {
        return -1;
    }

    p = value->raw.data;
    number = 0;

    for (i = 0; i < value->raw.len; i++) {

        if (!delta_json_digit(p[i])) {
            return -1;
        }

        digit = p[i] - '0';

        if (number > (INT64_MAX - digit) / 10) {
            return -1;
        }

        number = number * 10 + digit;
    }

    return number;
}


size_t
delta_json_quote(char *out, const char *p, size_t n)
{
    char         one[6];
    size_t       len, used, plain;
    const char  *end, *next;

    len = 0;

    if (out) {
        out[0] = '"';
    }

    len++;

    for (end = n ? p + n : p; p < end; p += used) {
        next = delta_json_plain(p, end);
        plain = next - p;

        if (plain) {
            if (out) {
                memcpy(out + len, p, plain);
            }

            len += plain;
            used = plain;
            continue;
        }

        plain = delta_json_quote_one(one, (const uint8_t *) p, end - p, &used);

        if (out) {
            memcpy(out + len, one, plain);
        }

        len += plain;
    }

    if (out) {
        out[len] = '"';
    }

    return len + 1;
}


static size_t
delta_json_quote_one(char *out, const uint8_t *p, size_t n, size_t *used)
{
    size_t             i;
    uint32_t           state;
    const char        *found;
    static const char  hex[] = "0123456789abcdef";
    static const char  from[] = "\"\\\b\f\n\r\t";
    static const char  to[] = "\"\\bfnrt";

    *used = 1;

    if (*p < 0x80) {
        out[0] = '\\';
        found = memchr(from, *p, sizeof(from) - 1);

        if (found) {
            out[1] = to[found - from];
            return 2;
        }

        memcpy(out + 1, "u00", 3);
        out[4] = hex[*p >> 4];
        out[5] = hex[*p & 0xf];

        return 6;
    }

    state = 0;

    for (i = 0; i < n && delta_utf8_check(&state, p + i, 1) == 0; i++) {

        if (state == 0) {
            *used = i + 1;
            memcpy(out, p, *used);
            return *used;
        }
    }

    memcpy(out, "\xef\xbf\xbd", 3);

    return 3;
}
