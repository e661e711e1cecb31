
/*
 * Copyright (C) Delta contributors
 */

#include "delta_sse.h"


static size_t delta_sse_line(char *out, size_t len, const char *field,
    const char *p, size_t n);
static int delta_sse_plain(delta_str_t s);
static const char *delta_sse_eol(const char *p, const char *end);


size_t
delta_sse_block(char *out, delta_str_t id, delta_str_t event,
    delta_str_t data)
{
    size_t       len;
    const char  *p, *end, *eol;

    if (!delta_sse_plain(id) || !delta_sse_plain(event)) {
        return 0;
    }

    len = 0;

    if (id.len) {
        len = delta_sse_line(out, len, "id: ", id.data, id.len);
    }

    if (event.len) {
        len = delta_sse_line(out, len, "event: ", event.data, event.len);
    }

    if (data.data) {
        p = data.data;
        end = p + data.len;

        for ( ;; ) {
            eol = delta_sse_eol(p, end);
            len = delta_sse_line(out, len, "data: ", p, eol - p);

            if (eol == end) {
                break;
            }

            p = (end - eol > 1 && eol[0] == '\r' && eol[1] == '\n')
                ? eol + 2 : eol + 1;
        }
    }

    if (out) {
        out[len] = '\n';
    }

    return len + 1;
}


static size_t
delta_sse_line(char *out, size_t len, const char *field, const char *p,
    size_t n)
{
    size_t  name;

    name = strlen(field);

    if (out) {
        memcpy(out + len, field, name);

        if (n) {
            memcpy(out + len + name, p, n);
        }

        out[len + name + n] = '\n';
    }

    return len + name + n + 1;
}


static int
delta_sse_plain(delta_str_t s)
{
    return s.len == 0
           || (memchr(s.data, '\r', s.len) == NULL
               && memchr(s.data, '\n', s.len) == NULL
               && memchr(s.data, '\0', s.len) == NULL);
}


static const char *
delta_sse_eol(const char *p, const char *end)
{
    const char  *cr, *lf;

    if (p == end) {
        return end;
    }

    lf = memchr(p, '\n', end - p);

    if (lf) {
        end = lf;
    }

    cr = (p == end) ? NULL : memchr(p, '\r', end - p);

    return cr ? cr : end;
}
