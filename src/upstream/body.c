
/*
 * Copyright (C) Delta contributors
 */

#include "body.h"
#include "delta_events.h"
#include "entity.h"
#include "rights.h"
#include "router.h"
#include "store.h"


static int body_check(upstream_request_t *r, const body_field_t *field,
    const json_t *value);
static int body_check_text(upstream_request_t *r, const body_field_t *field,
    const json_t *value);
static int body_check_ids(upstream_request_t *r, const body_field_t *field,
    const json_t *value);
static int body_is_id(const json_t *value);
static int body_is_word(const char *words, const json_t *value);


json_t *
body_read(upstream_request_t *r, const body_field_t *fields, int *status)
{
    json_t              *body, *value;
    const char          *name;
    const body_field_t  *field;

    body = r->len ? entity_body(r, status) : json_object();

    if (body == NULL) {
        return NULL;
    }

    *status = 0;

    json_object_foreach(body, name, value) {

        for (field = fields; field->name && strcmp(field->name, name) != 0;
             field++)
        {
            /* void */
        }

        *status = field->name ? body_check(r, field, value)
                  : upstream_error(r, 400, "unknown_field", "%.64s is not a "
                                   "field that can be set", name);
        if (*status) {
            break;
        }
    }

    for (field = fields; *status == 0 && field->name; field++) {

        if (field->flags & BODY_REQUIRED
            && json_object_get(body, field->name) == NULL)
        {
            *status = upstream_error(r, 400, "bad_field", "%s is missing",
                                     field->name);
        }
    }

    if (*status) {
        json_decref(body);
        return NULL;
    }

    return body;
}


static int
body_check(upstream_request_t *r, const body_field_t *field,
    const json_t *value)
{
    json_int_t  n;

    if (json_is_null(value) && field->flags & BODY_NULL) {
        return 0;
    }

    switch (field->kind) {

    case BODY_TEXT:
        return body_check_text(r, field, value);

    case BODY_WORD:
        return body_is_word(field->words, value) ? 0
               : upstream_error(r, 400, "bad_field", "%s must be one of: %s",
                                field->name, field->words);

    case BODY_ID:
        return body_is_id(value) ? 0
               : upstream_error(r, 400, "bad_field", "%s must be an id",
                                field->name);

    case BODY_IDS:
        return body_check_ids(r, field, value);

    case BODY_FLAG:
        return json_is_boolean(value) ? 0
               : upstream_error(r, 400, "bad_field",
                                "%s must be true or false", field->name);

    case BODY_COLOR:
        n = json_is_integer(value) ? json_integer_value(value) : -1;
        return n >= 0 && n <= 0xffffff ? 0
               : upstream_error(r, 400, "bad_field", "%s must be a number up "
                                "to 16777215, or null", field->name);

    default:
        return rights_parse(value) >= 0 ? 0
               : upstream_error(r, 400, "bad_field", "%s must be a list out "
                                "of: %s", field->name, rights_words);
    }
}


static int
body_check_text(upstream_request_t *r, const body_field_t *field,
    const json_t *value)
{
    if (!json_is_string(value)) {
        return upstream_error(r, 400, "bad_field", "%s must be a string%s",
                              field->name,
                              field->flags & BODY_NULL ? " or null" : "");
    }

    if (json_string_length(value) == 0 && !(field->flags & BODY_EMPTY)) {
        return upstream_error(r, 400, "bad_field", "%s must not be empty",
                              field->name);
    }

    if (json_string_length(value) > field->max) {
        return upstream_error(r, 400, "bad_field",
                              "%s must not be over %zu bytes", field->name,
                              field->max);
    }

    return 0;
}


static int
body_check_ids(upstream_request_t *r, const body_field_t *field,
    const json_t *value)
{
    size_t   i;
    json_t  *id, *seen;

    seen = json_object();

    json_array_foreach(value, i, id) {

        if (!body_is_id(id) || i == field->max
            || json_object_get(seen, json_string_value(id)))
        {
            break;
        }

        json_object_set_new(seen, json_string_value(id), json_true());
    }

    json_decref(seen);

    if (!json_is_array(value) || i < json_array_size(value)) {
        return upstream_error(r, 400, "bad_field", "%s must be a list of at "
                              "most %zu ids, none of them twice",
                              field->name, field->max);
    }

    return 0;
}


static int
body_is_id(const json_t *value)
{
    return json_is_string(value)
           && delta_name_segment(json_string_value(value),
                                 json_string_length(value));
}


static int
body_is_word(const char *words, const json_t *value)
{
    size_t       n, len;
    const char  *word;

    word = json_string_value(value);
    n = word ? strlen(word) : 0;

    for (/* void */; *words; words += len + (words[len] == ' ')) {
        len = strcspn(words, " ");

        if (n == len && memcmp(word, words, n) == 0) {
            return 1;
        }
    }

    return 0;
}


size_t
body_changes(json_t *body, const json_t *row)
{
    void        *next;
    json_t      *value, *has;
    const char  *name;

    json_object_foreach_safe(body, next, name, value) {
        has = json_object_get(row, name);

        if (has ? json_equal(has, value) : json_is_null(value)) {
            json_object_del(body, name);
        }
    }

    return json_object_size(body);
}


void
body_store(upstream_request_t *r, const char *table, const char *id,
    json_t *body)
{
    char         sql[128];
    json_t      *value;
    const char  *name;

    json_object_foreach(body, name, value) {
        snprintf(sql, sizeof(sql), "UPDATE %s SET %s = ? WHERE id = ?", table,
                 name);

        if (json_is_integer(value)) {
            store_exec(r->upstream->store, sql, "is",
                       (int64_t) json_integer_value(value), id);

        } else {
            store_exec(r->upstream->store, sql, "ss",
                       json_string_value(value), id);
        }
    }
}


const char *
body_text(const json_t *body, const char *name)
{
    const json_t  *value;

    value = json_object_get(body, name);

    return json_is_null(value) ? delta_events_null : json_string_value(value);
}


int
body_query(upstream_request_t *r, const char *name, char *out, size_t size)
{
    int          n;
    const char  *value;

    value = MHD_lookup_connection_value(r->connection,
                                        MHD_GET_ARGUMENT_KIND, name);
    if (value == NULL) {
        return -1;
    }

    n = upstream_unescape(out, size, value, strlen(value));

    if (n < 0) {
        out[0] = '\0';
        n = 0;
    }

    return n;
}
