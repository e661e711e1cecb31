
/*
 * Copyright (C) Delta contributors
 */

#include "delta_space.h"


static int delta_space_members(delta_space_t *space,
    const delta_json_t *object);
static int delta_space_id(const delta_json_t *object, delta_str_t *id);
static size_t delta_space_put(char *out, size_t len, const char *p, size_t n);
static size_t delta_space_kept(char *out, size_t len, delta_str_t created,
    const delta_str_t *ids, size_t n, size_t *dropped);


int
delta_space_parse(delta_space_t *space, const char *p, size_t n)
{
    delta_json_t  root;

    if (delta_json_parse(&root, p, n) < 0) {
        return -1;
    }

    return delta_space_members(space, &root);
}


static int
delta_space_members(delta_space_t *space, const delta_json_t *object)
{
    size_t        pos, at;
    delta_str_t   key, id, *array;
    delta_json_t  value, element;

    static const delta_str_t  empty = delta_str("[]");

    if (object->type != DELTA_JSON_OBJECT) {
        return -1;
    }

    space->created = empty;
    space->updated = empty;
    space->deleted = empty;
    space->count = 0;
    space->complete = 0;

    pos = 0;

    while (delta_json_next(object, &pos, &key, &value)) {

        if (delta_str_eq(key, "complete")) {
            space->complete = (value.type == DELTA_JSON_TRUE);
            continue;
        }

        array = delta_str_eq(key, "created") ? &space->created
                : delta_str_eq(key, "updated") ? &space->updated
                : delta_str_eq(key, "deleted") ? &space->deleted : NULL;

        if (array == NULL) {
            continue;
        }

        if (value.type != DELTA_JSON_ARRAY || array->data != empty.data) {
            return -1;
        }

        *array = value.raw;
        at = 0;

        while (delta_json_next(&value, &at, &key, &element)) {
            space->count++;

            if (array == &space->created
                && !delta_space_id(&element, &id))
            {
                return -1;
            }
        }
    }

    return 0;
}


static int
delta_space_id(const delta_json_t *object, delta_str_t *id)
{
    size_t        pos;
    delta_str_t   key;
    delta_json_t  value;

    if (object->type != DELTA_JSON_OBJECT) {
        return 0;
    }

    pos = 0;

    while (delta_json_next(object, &pos, &key, &value)) {

        if (delta_str_eq(key, "id")) {
            *id = value.raw;
            return value.type == DELTA_JSON_STRING
                   || value.type == DELTA_JSON_NUMBER;
        }
    }

    return 0;
}


int
delta_space_next(const delta_space_t *space, size_t *pos, delta_str_t *id)
{
    delta_str_t   key;
    delta_json_t  array, object;

    array.type = DELTA_JSON_ARRAY;
    array.raw = space->created;

    return delta_json_next(&array, pos, &key, &object)
           && delta_space_id(&object, id);
}


static size_t
delta_space_put(char *out, size_t len, const char *p, size_t n)
{
    if (out) {
        memcpy(out + len, p, n);
    }

    return len + n;
}

#define delta_space_text(text)                                                \
    len = delta_space_put(out, len, text, sizeof(text) - 1)

#define delta_space_str(s)  len = delta_space_put(out, len, (s).data, (s).len)


size_t
delta_space_write(char *out, const delta_space_t *space)
{
    size_t  len;

    len = 0;

    delta_space_text("{\"created\":");
    delta_space_str(space->created);
    delta_space_text(",\"updated\":");
    delta_space_str(space->updated);
    delta_space_text(",\"deleted\":");
    delta_space_str(space->deleted);
    delta_space_text("}");

    return len;
}


size_t
delta_space_without(char *out, delta_str_t d, const delta_str_t *ids,
    size_t n, size_t *dropped)
{
    size_t         len, rest;
    delta_json_t   root;
    delta_space_t  space;

    *dropped = 0;
    len = 0;

    root.type = DELTA_JSON_OBJECT;
    root.raw = d;

    if (delta_space_members(&space, &root) != 0
        || space.created.data < d.data
        || space.created.data >= d.data + d.len)
    {
        delta_space_str(d);
        return len;
    }

    len = delta_space_put(out, len, d.data, space.created.data - d.data);
    len = delta_space_kept(out, len, space.created, ids, n, dropped);

    rest = d.data + d.len - (space.created.data + space.created.len);

    return delta_space_put(out, len, space.created.data + space.created.len,
                           rest);
}


static size_t
delta_space_kept(char *out, size_t len, delta_str_t created,
    const delta_str_t *ids, size_t n, size_t *dropped)
{
    size_t        i, pos, kept;
    delta_str_t   key, id;
    delta_json_t  array, object;

    array.type = DELTA_JSON_ARRAY;
    array.raw = created;
    pos = 0;
    kept = 0;

    delta_space_text("[");

    while (delta_json_next(&array, &pos, &key, &object)) {

        if (!delta_space_id(&object, &id)) {
            break;
        }

        for (i = 0; i < n; i++) {

            if (ids[i].len == id.len
                && memcmp(ids[i].data, id.data, id.len) == 0)
            {
                break;
            }
        }

        if (i < n) {
            (*dropped)++;
            continue;
        }

        if (kept++) {
            delta_space_text(",");
        }

        delta_space_str(object.raw);
    }

    delta_space_text("]");

    return len;
}
