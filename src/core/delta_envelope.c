
/*
 * Copyright (C) Delta contributors
 */

#include "delta_envelope.h"
#include "delta_cursor.h"
#include "delta_json.h"


typedef struct {
    char    *out;
    size_t   len;
} delta_writer_t;


static int delta_event_member(delta_str_t key);
static int delta_event_type(delta_event_t *event, const delta_json_t *value);

static void delta_envelope_vtd(delta_writer_t *w, const delta_event_t *event,
    delta_str_t channel, delta_str_t id);
static void delta_envelope_op(delta_writer_t *w, const delta_event_t *event);
static void delta_envelope_type(delta_writer_t *w, const delta_event_t *event);
static void delta_envelope_space(delta_writer_t *w, const delta_event_t *event,
    delta_str_t id);
static void delta_envelope_members(delta_writer_t *w, delta_str_t d,
    const char *except);
static int delta_envelope_key(delta_str_t key, const char *name);
static void delta_envelope_quote(delta_writer_t *w, delta_str_t s);


static const struct {
    const char  *label;
    const char  *text;
} delta_event_errors[] = {
#define X(name, label, text)  { label, text },
    DELTA_EVENT_ERRORS(X)
#undef X
};


static inline void
delta_envelope_put(delta_writer_t *w, const char *p, size_t n)
{
    if (w->out && n) {
        memcpy(w->out + w->len, p, n);
    }

    w->len += n;
}

#define delta_envelope_text(w, text)                                          \
    delta_envelope_put(w, text, sizeof(text) - 1)


int
delta_event_parse(delta_event_t *event, const char *p, size_t n)
{
    int            which;
    size_t         pos;
    delta_str_t    key;
    delta_json_t   root, value, member[2];

    if (delta_json_parse(&root, p, n) < 0) {
        return DELTA_EVENT_EJSON;
    }

    if (root.type != DELTA_JSON_OBJECT) {
        return DELTA_EVENT_EOBJECT;
    }

    memset(member, 0, sizeof(member));
    pos = 0;

    while (delta_json_next(&root, &pos, &key, &value)) {
        which = delta_event_member(key);

        if (which < 0) {
            continue;
        }

        if (which > 1 || member[which].type != DELTA_JSON_NONE) {
            return DELTA_EVENT_EOBJECT;
        }

        member[which] = value;
    }

    if (member[0].type == DELTA_JSON_NONE
        || member[1].type == DELTA_JSON_NONE)
    {
        return DELTA_EVENT_EOBJECT;
    }

    if (!delta_event_type(event, &member[0])) {
        return DELTA_EVENT_ETYPE;
    }

    if (member[1].type != DELTA_JSON_OBJECT) {
        return DELTA_EVENT_EDATA;
    }

    event->d = member[1].raw;

    return 1;
}


/* 0: t, 1: d, 2: one of them in disguise, -1: another. */

static int
delta_event_member(delta_str_t key)
{
    if (key.len == 1) {
        return key.data[0] == 't' ? 0 : key.data[0] == 'd' ? 1 : -1;
    }

    return delta_envelope_key(key, "t") || delta_envelope_key(key, "d")
           ? 2 : -1;
}


static int
delta_event_type(delta_event_t *event, const delta_json_t *value)
{
    char         c;
    size_t       i, len;
    const char  *p;

    if (value->type != DELTA_JSON_STRING) {
        return 0;
    }

    p = value->raw.data + 1;
    len = value->raw.len - 2;

    if (len == 0 || len > DELTA_EVENT_TYPE_MAX) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        c = p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')
              || c == '_' || c == '.'))
        {
            return 0;
        }
    }

    event->t.data = p;
    event->t.len = len;

    return 1;
}


size_t
delta_envelope_encode(char *out, delta_envelope_t envelope,
    const delta_event_t *event, delta_str_t channel, delta_str_t id)
{
    delta_writer_t  w;

    w.out = out;
    w.len = 0;

    if (envelope == DELTA_ENVELOPE_OP) {
        delta_envelope_op(&w, event);

    } else if (envelope == DELTA_ENVELOPE_SPACE
               && delta_str_eq(event->t, "space_delta"))
    {
        delta_envelope_space(&w, event, id);

    } else if (envelope == DELTA_ENVELOPE_TYPE
               || envelope == DELTA_ENVELOPE_SPACE)
    {
        delta_envelope_type(&w, event);

    } else if (envelope == DELTA_ENVELOPE_COMPACT
               && delta_str_eq(event->t, "presence_update"))
    {
        delta_envelope_text(&w, "{\"t\":\"u\"");
        delta_envelope_members(&w, event->d, "t");
        delta_envelope_text(&w, "}");

    } else {
        delta_envelope_vtd(&w, event, channel, id);
    }

    return w.len;
}


static void
delta_envelope_vtd(delta_writer_t *w, const delta_event_t *event,
    delta_str_t channel, delta_str_t id)
{
    delta_envelope_text(w, "{\"v\":1,\"t\":\"");
    delta_envelope_put(w, event->t.data, event->t.len);
    delta_envelope_text(w, "\"");

    if (channel.len) {
        delta_envelope_text(w, ",\"c\":");
        delta_envelope_quote(w, channel);
    }

    if (id.len) {
        delta_envelope_text(w, ",\"id\":");
        delta_envelope_quote(w, id);
    }

    delta_envelope_text(w, ",\"d\":");
    delta_envelope_put(w, event->d.data, event->d.len);
    delta_envelope_text(w, "}");
}


static void
delta_envelope_op(delta_writer_t *w, const delta_event_t *event)
{
    int     upper;
    char    c;
    size_t  i;

    delta_envelope_text(w, "{\"op\":\"");

    upper = 1;

    for (i = 0; i < event->t.len; i++) {
        c = event->t.data[i];

        if (c == '_' || c == '.') {
            upper = 1;
            continue;
        }

        if (upper && c >= 'a' && c <= 'z') {
            c -= 'a' - 'A';
        }

        upper = 0;
        delta_envelope_put(w, &c, 1);
    }

    delta_envelope_text(w, "\",\"d\":");
    delta_envelope_put(w, event->d.data, event->d.len);
    delta_envelope_text(w, "}");
}


static void
delta_envelope_type(delta_writer_t *w, const delta_event_t *event)
{
    char    c;
    size_t  i;

    delta_envelope_text(w, "{\"type\":\"");

    for (i = 0; i < event->t.len; i++) {
        c = event->t.data[i] == '_' ? '-' : event->t.data[i];
        delta_envelope_put(w, &c, 1);
    }

    delta_envelope_text(w, "\"");
    delta_envelope_members(w, event->d, "type");
    delta_envelope_text(w, "}");
}


/* All arrays first, as clients go through them without looking. */

static void
delta_envelope_space(delta_writer_t *w, const delta_event_t *event,
    delta_str_t id)
{
    int               i;
    char              time[DELTA_TIME_LEN];
    size_t            pos;
    delta_str_t       key;
    delta_json_t      object, value, array;
    delta_position_t  position;

    static const delta_str_t   none = delta_str("[]");
    static const char * const  names[] = { "created", "updated", "deleted" };

    delta_envelope_text(w, "{\"type\":\"space-delta\"");

    object.type = DELTA_JSON_OBJECT;
    object.raw = event->d;

    for (i = 0; i < 3; i++) {
        array.raw = none;
        pos = 0;

        while (delta_json_next(&object, &pos, &key, &value)) {

            if (delta_str_eq(key, names[i])
                && value.type == DELTA_JSON_ARRAY)
            {
                array = value;
            }
        }

        delta_envelope_text(w, ",\"");
        delta_envelope_put(w, names[i], 7);
        delta_envelope_text(w, "\":");
        delta_envelope_put(w, array.raw.data, array.raw.len);
    }

    pos = 0;

    while (delta_json_next(&object, &pos, &key, &value)) {

        if (delta_envelope_key(key, "type")
            || delta_envelope_key(key, "created")
            || delta_envelope_key(key, "updated")
            || delta_envelope_key(key, "deleted")
            || delta_envelope_key(key, "timestamp"))
        {
            continue;
        }

        delta_envelope_text(w, ",");
        delta_envelope_put(w, key.data - 1,
                           value.raw.data + value.raw.len - (key.data - 1));
    }

    if (delta_position_parse(&position, id.data, id.len) == 0) {
        delta_envelope_text(w, ",\"timestamp\":\"");
        delta_envelope_put(w, time, delta_position_format_time(time,
                                                             position));
        delta_envelope_text(w, "\"");
    }

    delta_envelope_text(w, "}");
}


static void
delta_envelope_members(delta_writer_t *w, delta_str_t d, const char *except)
{
    size_t        pos;
    const char   *start;
    delta_str_t   key;
    delta_json_t  object, value;

    object.type = DELTA_JSON_OBJECT;
    object.raw = d;
    pos = 0;

    while (delta_json_next(&object, &pos, &key, &value)) {

        if (delta_envelope_key(key, except)) {
            continue;
        }

        start = key.data - 1;

        delta_envelope_text(w, ",");
        delta_envelope_put(w, start,
                           value.raw.data + value.raw.len - start);
    }
}


static int
delta_envelope_key(delta_str_t key, const char *name)
{
    char          buf[16];
    ssize_t       len;
    delta_json_t  value;

    if (delta_str_eq(key, name)) {
        return 1;
    }

    if (memchr(key.data, '\\', key.len) == NULL) {
        return 0;
    }

    value.type = DELTA_JSON_STRING;
    value.raw.data = key.data - 1;
    value.raw.len = key.len + 2;

    len = delta_json_string(buf, sizeof(buf), &value);

    return len == (ssize_t) strlen(name) && memcmp(buf, name, len) == 0;
}


static void
delta_envelope_quote(delta_writer_t *w, delta_str_t s)
{
    w->len += delta_json_quote(w->out ? w->out + w->len : NULL, s.data, s.len);
}


const char *
delta_event_strerror(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0 && i < sizeof(delta_event_errors)
                            / sizeof(delta_event_errors[0])
           ? delta_event_errors[i].text : "Unknown error.";
}


const char *
delta_event_label(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0 && i < sizeof(delta_event_errors)
                            / sizeof(delta_event_errors[0])
           ? delta_event_errors[i].label : "unknown";
}
