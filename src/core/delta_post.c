
/*
 * Copyright (C) Delta contributors
 */

#include <stdio.h>
#include "delta_json.h"
#include "delta_name.h"
#include "delta_post.h"


enum {
    DELTA_POST_CHANNEL = 0,
    DELTA_POST_T,
    DELTA_POST_D,
    DELTA_POST_SOURCE,
    DELTA_POST_NUMBER,
    DELTA_POST_MEMBERS
};


static int delta_post_one(delta_post_t *post, const delta_json_t *value,
    delta_contract_fault_t *fault, const char **where);
static int delta_post_members(delta_json_t *members,
    const delta_json_t *object, delta_contract_fault_t *fault,
    const char **where);
static int delta_post_event(delta_post_t *post, const delta_json_t *value,
    delta_contract_fault_t *fault, const char **where);
static int delta_post_source(delta_post_t *post, const delta_json_t *members,
    delta_contract_fault_t *fault, const char **where);
static int delta_post_text(delta_str_t *text, const delta_json_t *value);


static const char *const  delta_post_names[] = {
    "/channel", "/t", "/d", "/source", "/n"
};


int
delta_post_parse(delta_post_t *posts, const char *p, size_t n,
    delta_contract_fault_t *fault)
{
    int            count, list;
    size_t         pos;
    const char    *where;
    delta_str_t    none;
    delta_json_t   root, value;

    fault->pointer[0] = '\0';
    where = "";

    if (delta_json_parse(&root, p, n) < 0) {
        fault->what = "is not JSON";
        return DELTA_POST_INVALID;
    }

    list = (root.type == DELTA_JSON_ARRAY);

    if (!list) {

        if (delta_post_one(posts, &root, fault, &where) != 0) {
            delta_post_pointer(fault, 0, 0, where, "");
            return DELTA_POST_INVALID;
        }

        return 1;
    }

    pos = 0;

    for (count = 0; delta_json_next(&root, &pos, &none, &value); count++) {

        if (count == DELTA_POST_MAX) {
            fault->what = "has too many events";
            return DELTA_POST_LARGE;
        }

        where = "";

        if (delta_post_one(&posts[count], &value, fault, &where) != 0) {
            delta_post_pointer(fault, 1, count, where, "");
            return DELTA_POST_INVALID;
        }
    }

    if (count == 0) {
        fault->what = "has no events";
        return DELTA_POST_INVALID;
    }

    return count;
}


static int
delta_post_one(delta_post_t *post, const delta_json_t *value,
    delta_contract_fault_t *fault, const char **where)
{
    delta_json_t  members[DELTA_POST_MEMBERS];

    if (value->type != DELTA_JSON_OBJECT) {
        fault->what = "is not an object";
        return -1;
    }

    if (delta_post_members(members, value, fault, where) != 0
        || delta_post_event(post, value, fault, where) != 0)
    {
        return -1;
    }

    *where = delta_post_names[DELTA_POST_CHANNEL];

    if (members[DELTA_POST_CHANNEL].type == DELTA_JSON_NONE) {
        fault->what = "is missing";
        return -1;
    }

    if (delta_post_text(&post->channel, &members[DELTA_POST_CHANNEL]) != 0
        || !delta_name_valid(post->channel.data, post->channel.len))
    {
        fault->what = "is not the name of a channel";
        return -1;
    }

    return delta_post_source(post, members, fault, where);
}


static int
delta_post_members(delta_json_t *members, const delta_json_t *object,
    delta_contract_fault_t *fault, const char **where)
{
    int           i;
    size_t        pos;
    delta_str_t   key;
    delta_json_t  value;

    memset(members, 0, DELTA_POST_MEMBERS * sizeof(delta_json_t));

    pos = 0;

    while (delta_json_next(object, &pos, &key, &value)) {

        for (i = 0; i < DELTA_POST_MEMBERS; i++) {

            if (delta_str_eq(key, delta_post_names[i] + 1)) {
                break;
            }
        }

        if (i == DELTA_POST_MEMBERS) {
            fault->what = "has a member other than channel, t, d, source and "
                          "n";
            return -1;
        }

        if (members[i].type != DELTA_JSON_NONE) {
            *where = delta_post_names[i];
            fault->what = "comes twice";
            return -1;
        }

        members[i] = value;
    }

    for (i = DELTA_POST_T; i <= DELTA_POST_D; i++) {

        if (members[i].type == DELTA_JSON_NONE) {
            *where = delta_post_names[i];
            fault->what = "is missing";
            return -1;
        }
    }

    return 0;
}


/* t and d are of the same grammar here as in Redis. */

static int
delta_post_event(delta_post_t *post, const delta_json_t *value,
    delta_contract_fault_t *fault, const char **where)
{
    int  rc;

    rc = delta_event_parse(&post->event, value->raw.data, value->raw.len);

    if (rc == 1) {
        return 0;
    }

    if (rc == DELTA_EVENT_EDATA) {
        *where = delta_post_names[DELTA_POST_D];
        fault->what = "is not an object";

    } else {
        *where = delta_post_names[DELTA_POST_T];
        fault->what = "is not 1 to 64 characters of a-z 0-9 _ and dot";
    }

    return -1;
}


static int
delta_post_source(delta_post_t *post, const delta_json_t *members,
    delta_contract_fault_t *fault, const char **where)
{
    const delta_json_t  *source, *n;

    source = &members[DELTA_POST_SOURCE];
    n = &members[DELTA_POST_NUMBER];

    post->source.data = NULL;
    post->source.len = 0;
    post->n = 0;

    if (source->type == DELTA_JSON_NONE && n->type == DELTA_JSON_NONE) {
        return 0;
    }

    *where = delta_post_names[source->type == DELTA_JSON_NONE
                              ? DELTA_POST_SOURCE : DELTA_POST_NUMBER];

    if (source->type == DELTA_JSON_NONE || n->type == DELTA_JSON_NONE) {
        fault->what = "is missing";
        return -1;
    }

    post->n = delta_json_uint(n);

    if (post->n < 0 || post->n > DELTA_POST_N) {
        fault->what = "is not a whole number up to 2^53 - 1";
        return -1;
    }

    *where = delta_post_names[DELTA_POST_SOURCE];

    if (delta_post_text(&post->source, source) != 0
        || !delta_name_segment(post->source.data, post->source.len))
    {
        fault->what = "is not a segment of a channel";
        return -1;
    }

    return 0;
}


/* As it is written: what may stand there needs no escapes. */

static int
delta_post_text(delta_str_t *text, const delta_json_t *value)
{
    if (value->type != DELTA_JSON_STRING) {
        return -1;
    }

    text->data = value->raw.data + 1;
    text->len = value->raw.len - 2;

    return 0;
}


void
delta_post_pointer(delta_contract_fault_t *fault, int list, size_t i,
    const char *where, const char *below)
{
    char  text[DELTA_CONTRACT_POINTER];
    char  place[24];

    place[0] = '\0';

    if (list) {
        snprintf(place, sizeof(place), "/%zu", i);
    }

    snprintf(text, sizeof(text), "%s%s%s", place, where, below);
    memcpy(fault->pointer, text, sizeof(text));
}
