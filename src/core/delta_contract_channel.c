
/*
 * Copyright (C) Delta contributors
 */

#include "delta_contract_load.h"
#include "delta_name.h"


static int delta_contract_template(delta_contract_load_t *l,
    delta_str_t *pattern, const char *text);


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


/* "guild:{guild_id}" becomes "guild:*". */

static int
delta_contract_template(delta_contract_load_t *l, delta_str_t *pattern,
    const char *text)
{
    char    *p;
    size_t   n;

    if (text == NULL || strlen(text) > DELTA_NAME_MAX) {
        return delta_contract_error(l, "this is no text of at most %d bytes",
                                    DELTA_NAME_MAX);
    }

    p = delta_contract_alloc(l, strlen(text) + 1);
    if (p == NULL) {
        return -1;
    }

    pattern->data = p;

    while (*text) {
        n = *text == '{' ? 1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyz_")
                         : 0;

        if (n > 1 && text[n] == '}') {
            *p++ = '*';
            text += n + 1;

        } else {
            *p++ = *text++;
        }
    }

    pattern->len = p - pattern->data;

    if (!delta_name_pattern(pattern->data, pattern->len)) {
        return delta_contract_error(l, "this is no channel as "
                                    "guild:{guild_id}");
    }

    return 0;
}


int
delta_contract_allows(const delta_contract_event_t *event,
    delta_str_t channel)
{
    size_t  i;

    for (i = 0; i < event->nchannels; i++) {

        if (delta_name_match(event->channels[i], channel, NULL)) {
            return 1;
        }
    }

    return event->nchannels == 0;
}
