
/*
 * Copyright (C) Delta contributors
 */

#include "delta_diff.h"
#include "entity.h"


static int entity_check(upstream_request_t *r, const entity_field_t *fields,
    const char *name, const json_t *value);


json_t *
entity_body(upstream_request_t *r, int *status)
{
    json_t        *body;
    json_error_t   error;

    body = json_loadb(r->body ? r->body : "", r->len, JSON_REJECT_DUPLICATES,
                      &error);

    if (body == NULL) {
        *status = upstream_error(r, 400, "bad_json",
                                 "the body is not JSON: %s", error.text);
        return NULL;
    }

    if (!json_is_object(body)) {
        json_decref(body);
        *status = upstream_error(r, 400, "bad_json",
                                 "the body is not a JSON object");
        return NULL;
    }

    return body;
}


int
entity_merge(upstream_request_t *r, const entity_field_t *fields,
    const json_t *before, json_t **after, json_t **diff)
{
    int          status;
    json_t      *body, *value;
    const char  *name;

    *after = NULL;
    *diff = NULL;

    body = entity_body(r, &status);
    if (body == NULL) {
        return status;
    }

    json_object_foreach(body, name, value) {
        status = entity_check(r, fields, name, value);

        if (status) {
            json_decref(body);
            return status;
        }
    }

    *after = delta_diff_apply(before, body);
    json_decref(body);

    if (*after == NULL || delta_diff(diff, before, *after) < 0) {
        json_decref(*after);
        *after = NULL;
        return upstream_error(r, 500, "internal", "out of memory");
    }

    return 0;
}


static int
entity_check(upstream_request_t *r, const entity_field_t *fields,
    const char *name, const json_t *value)
{
    while (fields->name && strcmp(fields->name, name) != 0) {
        fields++;
    }

    if (fields->name == NULL) {
        return upstream_error(r, 400, "unknown_field",
                              "%.64s is not a field that can be set", name);
    }

    if (json_is_null(value) && !fields->required) {
        return 0;
    }

    if (!json_is_string(value)) {
        return upstream_error(r, 400, "bad_field", "%s must be a string%s",
                              name, fields->required ? "" : " or null");
    }

    if (fields->required && json_string_length(value) == 0) {
        return upstream_error(r, 400, "bad_field", "%s must not be empty",
                              name);
    }

    if (json_string_length(value) > fields->max) {
        return upstream_error(r, 400, "bad_field",
                              "%s must not be over %zu bytes", name,
                              fields->max);
    }

    return 0;
}


const char *
entity_text(const json_t *entity, const char *name)
{
    return json_string_value(json_object_get(entity, name));
}
