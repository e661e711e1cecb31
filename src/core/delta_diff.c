
/*
 * Copyright (C) Delta contributors
 */

#include "delta_diff.h"


static int delta_diff_changed(json_t *patch, const char *key,
    const json_t *before, const json_t *after);
static int delta_diff_removed(json_t *patch, const json_t *before,
    const json_t *after);
static const json_t *delta_diff_member(const json_t *object, const char *key);
static json_t *delta_diff_copy(const json_t *value);


int
delta_diff(json_t **patch, const json_t *before, const json_t *after)
{
    int          rc;
    json_t      *value, *found;
    const char  *key;

    *patch = NULL;

    if (!json_is_object(before) || !json_is_object(after)) {
        return -1;
    }

    found = json_object();
    if (found == NULL) {
        return -1;
    }

    rc = delta_diff_removed(found, before, after);

    json_object_foreach((json_t *) after, key, value) {

        if (rc != 0) {
            break;
        }

        rc = delta_diff_changed(found, key, delta_diff_member(before, key),
                                value);
    }

    if (rc != 0 || json_object_size(found) == 0) {
        json_decref(found);
        return rc;
    }

    *patch = found;

    return 1;
}


static int
delta_diff_changed(json_t *patch, const char *key, const json_t *before,
    const json_t *after)
{
    int      rc;
    json_t  *inner;

    if (json_is_null(after)) {
        return 0;
    }

    if (json_is_object(before) && json_is_object(after)) {
        rc = delta_diff(&inner, before, after);
        if (rc <= 0) {
            return rc;
        }

        return json_object_set_new_nocheck(patch, key, inner);
    }

    if (before && json_equal(before, after)) {
        return 0;
    }

    return json_object_set_new_nocheck(patch, key, delta_diff_copy(after));
}


static int
delta_diff_removed(json_t *patch, const json_t *before, const json_t *after)
{
    json_t      *value;
    const char  *key;

    json_object_foreach((json_t *) before, key, value) {

        if (json_is_null(value) || delta_diff_member(after, key)) {
            continue;
        }

        if (json_object_set_new_nocheck(patch, key, json_null()) != 0) {
            return -1;
        }
    }

    return 0;
}


static const json_t *
delta_diff_member(const json_t *object, const char *key)
{
    const json_t  *value;

    value = json_object_get(object, key);

    return json_is_null(value) ? NULL : value;
}


static json_t *
delta_diff_copy(const json_t *value)
{
    return json_is_object(value) ? delta_diff_apply(NULL, value)
                                 : json_deep_copy((json_t *) value);
}


json_t *
delta_diff_apply(const json_t *target, const json_t *patch)
{
    int          rc;
    json_t      *result, *value;
    const char  *key;

    if (!json_is_object(patch)) {
        return json_deep_copy((json_t *) patch);
    }

    result = json_is_object(target) ? json_deep_copy((json_t *) target)
                                    : json_object();

    if (result == NULL) {
        return NULL;
    }

    json_object_foreach((json_t *) patch, key, value) {

        if (json_is_null(value)) {
            json_object_del(result, key);
            continue;
        }

        value = delta_diff_apply(json_object_get(result, key), value);
        rc = json_object_set_new_nocheck(result, key, value);

        if (rc != 0) {
            json_decref(result);
            return NULL;
        }
    }

    return result;
}
