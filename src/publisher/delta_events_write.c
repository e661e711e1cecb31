
/*
 * Copyright (C) Delta contributors
 */

#include <inttypes.h>
#include <stdio.h>
#include "delta_events_write.h"
#include "delta_json.h"


typedef struct {
    char    *out;
    size_t   size;
    size_t   len;
} delta_events_sink_t;


static int delta_events_object(delta_events_sink_t *s,
    const delta_events_shape_t *shape, const char *d);
static int delta_events_value(delta_events_sink_t *s,
    const delta_events_field_t *field, const char *d);
static int delta_events_list(delta_events_sink_t *s,
    const delta_events_field_t *field, const char *d);
static int delta_events_string(delta_events_sink_t *s, const char *text);
static int delta_events_json(delta_events_sink_t *s, const char *text);
static int delta_events_integer(delta_events_sink_t *s, int64_t value);
static void delta_events_put(delta_events_sink_t *s, const char *p, size_t n);


const char     delta_events_null[] = "null";
const int64_t  delta_events_null_integer = 0;


ssize_t
delta_events_write(char *out, size_t size, const char *type,
    const delta_events_shape_t *shape, const void *d)
{
    delta_events_sink_t  s;

    s.out = out;
    s.size = out ? size : 0;
    s.len = 0;

    delta_events_put(&s, "{\"t\":", 5);
    delta_events_string(&s, type);
    delta_events_put(&s, ",\"d\":", 5);

    if (delta_events_object(&s, shape, d) != 0) {
        return -1;
    }

    delta_events_put(&s, "}", 1);

    return s.len;
}


static int
delta_events_object(delta_events_sink_t *s, const delta_events_shape_t *shape,
    const char *d)
{
    size_t                       i;
    unsigned                     more;
    const void                  *pointer;
    const delta_events_field_t  *field;

    more = 0;
    delta_events_put(s, "{", 1);

    for (i = 0; i < shape->n; i++) {
        field = &shape->fields[i];

        if (field->kind != DELTA_EVENTS_INTEGER) {
            memcpy(&pointer, d + field->offset, sizeof(void *));

            if (pointer == NULL && !field->required) {
                continue;
            }
        }

        if (more) {
            delta_events_put(s, ",", 1);
        }

        more = 1;
        delta_events_string(s, field->name);
        delta_events_put(s, ":", 1);

        if (delta_events_value(s, field, d) != 0) {
            return -1;
        }
    }

    delta_events_put(s, "}", 1);

    return 0;
}


static int
delta_events_value(delta_events_sink_t *s, const delta_events_field_t *field,
    const char *d)
{
    const char     *text;
    const int64_t  *number;

    switch (field->kind) {

    case DELTA_EVENTS_STRING:
        memcpy(&text, d + field->offset, sizeof(char *));
        return delta_events_string(s, text);

    case DELTA_EVENTS_JSON:
        memcpy(&text, d + field->offset, sizeof(char *));
        return delta_events_json(s, text);

    case DELTA_EVENTS_INTEGER:
        return delta_events_integer(s, *(const int64_t *) (d + field->offset));

    case DELTA_EVENTS_INTEGER_AT:
        memcpy(&number, d + field->offset, sizeof(int64_t *));

        if (number == NULL) {
            return -1;
        }

        if (number == &delta_events_null_integer) {
            delta_events_put(s, "null", 4);
            return 0;
        }

        return delta_events_integer(s, *number);

    default:
        return delta_events_list(s, field, d);
    }
}


static int
delta_events_list(delta_events_sink_t *s, const delta_events_field_t *field,
    const char *d)
{
    int          rc;
    size_t       i, n;
    const char  *items, *text;

    memcpy(&items, d + field->offset, sizeof(char *));
    memcpy(&n, d + field->count, sizeof(size_t));

    if (items == NULL && n) {
        return -1;
    }

    delta_events_put(s, "[", 1);

    for (i = 0; i < n; i++) {

        if (i) {
            delta_events_put(s, ",", 1);
        }

        if (field->kind == DELTA_EVENTS_OBJECTS) {
            rc = delta_events_object(s, field->shape,
                                     items + i * field->shape->size);

        } else {
            memcpy(&text, items + i * sizeof(char *), sizeof(char *));
            rc = delta_events_string(s, text);
        }

        if (rc != 0) {
            return -1;
        }
    }

    delta_events_put(s, "]", 1);

    return 0;
}


static int
delta_events_string(delta_events_sink_t *s, const char *text)
{
    size_t  n, len;

    if (text == NULL) {
        return -1;
    }

    if (text == delta_events_null) {
        delta_events_put(s, "null", 4);
        return 0;
    }

    len = strlen(text);
    n = delta_json_quote(NULL, text, len);

    if (s->len <= s->size && n <= s->size - s->len) {
        delta_json_quote(s->out + s->len, text, len);
    }

    s->len += n;

    return 0;
}


static int
delta_events_json(delta_events_sink_t *s, const char *text)
{
    delta_json_t  value;

    if (text == NULL || delta_json_parse(&value, text, strlen(text)) != 1
        || (value.type != DELTA_JSON_OBJECT && value.type != DELTA_JSON_ARRAY))
    {
        return -1;
    }

    delta_events_put(s, value.raw.data, value.raw.len);

    return 0;
}


static int
delta_events_integer(delta_events_sink_t *s, int64_t value)
{
    int   n;
    char  buf[24];

    n = snprintf(buf, sizeof(buf), "%" PRId64, value);
    delta_events_put(s, buf, n);

    return 0;
}


static void
delta_events_put(delta_events_sink_t *s, const char *p, size_t n)
{
    if (s->len <= s->size && n <= s->size - s->len) {
        memcpy(s->out + s->len, p, n);
    }

    s->len += n;
}
