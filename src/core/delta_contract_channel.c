
/*
 * Copyright (C) Delta contributors
 */

#include "delta_contract_load.h"
#include "delta_name.h"


static int delta_contract_template(delta_contract_load_t *l,
    delta_str_t *kept, const char *text);
static int delta_contract_fits(delta_str_t template, delta_str_t channel,
    const delta_json_t *d);
static delta_str_t delta_contract_cut(delta_str_t *rest);
static int delta_contract_named(const delta_json_t *d, delta_str_t name,
    delta_str_t segment);
static int delta_contract_says(const delta_json_t *value, delta_str_t text);


int
delta_contract_channels(delta_contract_load_t *l,
    delta_contract_event_t *event, const json_t *object)
{
    size_t         i, n, len;
    delta_str_t   *channels;
    const json_t  *value;

    value = json_object_get(object, "channels");

    if (value == NULL) {
        return 0;
    }

    len = delta_contract_down(l, "channels");
    n = json_array_size(value);

    if (n == 0 || n > DELTA_CONTRACT_CHANNELS) {
        return delta_contract_error(l, "this is no list of 1 to %d channels",
                                    DELTA_CONTRACT_CHANNELS);
    }

    channels = delta_contract_alloc(l, n * sizeof(delta_str_t));
    if (channels == NULL) {
        return -1;
    }

    for (i = 0; i < n; i++) {

        if (delta_contract_template(l, &channels[i],
                                    json_string_value(json_array_get(value,
                                                                     i)))
            != 0)
        {
            return -1;
        }
    }

    event->channels = channels;
    event->nchannels = n;

    delta_contract_up(l, len);

    return 0;
}


/* Kept as it is, once it is a name with something for each {name}. */

static int
delta_contract_template(delta_contract_load_t *l, delta_str_t *kept,
    const char *text)
{
    char        *p, name[DELTA_NAME_MAX];
    size_t       n;
    const char  *rest;

    if (text == NULL || strlen(text) > DELTA_NAME_MAX) {
        return delta_contract_error(l, "this is no text of at most %d bytes",
                                    DELTA_NAME_MAX);
    }

    p = name;
    rest = text;

    while (*rest) {
        n = *rest == '{' ? 1 + strspn(rest + 1, "abcdefghijklmnopqrstuvwxyz_")
                         : 0;

        if (n > 1 && rest[n] == '}'
            && (rest == text || rest[-1] == ':')
            && (rest[n + 1] == ':' || rest[n + 1] == '\0'))
        {
            *p++ = 'x';
            rest += n + 1;

        } else {
            *p++ = *rest++;
        }
    }

    if (!delta_name_valid(name, p - name)) {
        return delta_contract_error(l, "this is no channel as "
                                    "guild:{guild_id}");
    }

    p = delta_contract_alloc(l, rest - text + 1);
    if (p == NULL) {
        return -1;
    }

    memcpy(p, text, rest - text);

    kept->data = p;
    kept->len = rest - text;

    return 0;
}


const char *
delta_contract_astray(const delta_contract_event_t *event,
    delta_str_t channel, delta_str_t d)
{
    int           rc;
    size_t        i;
    const char   *what;
    delta_json_t  object;

    if (event->nchannels == 0) {
        return NULL;
    }

    if (delta_json_parse(&object, d.data, d.len) != 1) {
        return "cannot be read";
    }

    what = "is none that the contract has for this type";

    for (i = 0; i < event->nchannels; i++) {
        rc = delta_contract_fits(event->channels[i], channel, &object);

        if (rc == 1) {
            return NULL;
        }

        if (rc == -1) {
            what = "is not the one that d is about";
        }
    }

    return what;
}


/* 1, 0, or -1: but for what stands for a {name}. */

static int
delta_contract_fits(delta_str_t template, delta_str_t channel,
    const delta_json_t *d)
{
    int          rc;
    delta_str_t  a, b;

    rc = 1;

    do {
        a = delta_contract_cut(&template);
        b = delta_contract_cut(&channel);

        if (a.data[0] == '{') {
            a.data++;
            a.len -= 2;

            if (!delta_contract_named(d, a, b)) {
                rc = -1;
            }

        } else if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0) {
            return 0;
        }

    } while (template.data && channel.data);

    return template.data == channel.data ? rc : 0;
}


/* The first segment; behind the last one nothing is left. */

static delta_str_t
delta_contract_cut(delta_str_t *rest)
{
    const char   *colon;
    delta_str_t   first;

    first = *rest;
    colon = memchr(rest->data, ':', rest->len);

    if (colon) {
        first.len = colon - first.data;
        rest->len -= first.len + 1;
        rest->data = colon + 1;

    } else {
        rest->data = NULL;
        rest->len = 0;
    }

    return first;
}


/* Whether d has no member of that name, or one that says the same. */

static int
delta_contract_named(const delta_json_t *d, delta_str_t name,
    delta_str_t segment)
{
    size_t        pos;
    delta_str_t   key;
    delta_json_t  quoted, value;

    pos = 0;

    while (delta_json_next(d, &pos, &key, &value)) {
        quoted.type = DELTA_JSON_STRING;
        quoted.raw.data = key.data - 1;
        quoted.raw.len = key.len + 2;

        if (delta_contract_says(&quoted, name)) {
            return delta_contract_says(&value, segment);
        }
    }

    return 1;
}


static int
delta_contract_says(const delta_json_t *value, delta_str_t text)
{
    char     said[DELTA_NAME_SEGMENT];
    ssize_t  n;

    n = delta_json_string(said, sizeof(said), value);

    return n == (ssize_t) text.len && memcmp(said, text.data, n) == 0;
}
