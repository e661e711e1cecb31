
/*
 * Copyright (C) Delta contributors
 */

#include "body.h"
#include "entity.h"
#include "handlers.h"
#include "outbox.h"
#include "rights.h"


#define ROLES_MAX  250          /* of one guild */

#define ROLE_COLUMNS  "id AS role_id, name, color, permissions, position"


static json_t *role_read(upstream_request_t *r, const char *id, int *status);
static json_t *role_below(upstream_request_t *r, int *status);
static int role_gives(upstream_request_t *r, const json_t *body);
static json_t *role_answer(json_t *role);
static json_t *role_order(upstream_request_t *r);
static int role_order_check(upstream_request_t *r, const json_t *ids,
    const json_t *before);
static int role_member(upstream_request_t *r);
static unsigned role_number(const json_t *role, const char *name);


static const body_field_t  role_create[] = {
    { "name", BODY_TEXT, BODY_REQUIRED, 128, NULL },
    { "color", BODY_COLOR, BODY_NULL, 0, NULL },
    { "permissions", BODY_RIGHTS, 0, 0, NULL },
    { NULL, 0, 0, 0, NULL }
};

static const body_field_t  role_settings[] = {
    { "name", BODY_TEXT, 0, 128, NULL },
    { "color", BODY_COLOR, BODY_NULL, 0, NULL },
    { "permissions", BODY_RIGHTS, 0, 0, NULL },
    { NULL, 0, 0, 0, NULL }
};

static const body_field_t  role_ids[] = {
    { "role_ids", BODY_IDS, BODY_REQUIRED, ROLES_MAX, NULL },
    { NULL, 0, 0, 0, NULL }
};


/* The highest first; the last one is everybody's. */

int
upstream_role_list(upstream_request_t *r)
{
    size_t   i;
    json_t  *roles, *role;

    roles = store_array(r->upstream->store, "SELECT " ROLE_COLUMNS
                        " FROM roles WHERE guild_id = ? "
                        "ORDER BY position DESC, id", "s", r->params[0]);

    json_array_foreach(roles, i, role) {
        role_answer(role);
    }

    return upstream_answer_list(r, "roles", roles);
}


/* A new role is among the lowest. */

int
upstream_role_create(upstream_request_t *r)
{
    int                status;
    char               id[32];
    size_t             n;
    json_t            *body, *value;
    int64_t            color;
    unsigned           permissions;
    const char        *words[RIGHTS_N];
    upstream_store_t  *store;

    store = r->upstream->store;

    body = body_read(r, role_create, &status);
    if (body == NULL) {
        return status;
    }

    status = role_gives(r, body);

    if (status == 0
        && store_number(store, 0, "SELECT count(*) FROM roles "
                        "WHERE guild_id = ?", "s", r->params[0])
           >= ROLES_MAX)
    {
        status = upstream_error(r, 409, "conflict", "there are %d roles: "
                                "delete one first", ROLES_MAX);
    }

    if (status) {
        json_decref(body);
        return status;
    }

    value = json_object_get(body, "permissions");
    permissions = value ? rights_parse(value) : 0;
    value = json_object_get(body, "color");
    color = json_integer_value(value);

    store_id(store, "r", id, sizeof(id));
    store_exec(store, "INSERT INTO roles (id, guild_id, name, position, "
               "permissions) VALUES (?, ?, ?, 1, ?)", "sssi", id,
               r->params[0], entity_text(body, "name"),
               (int64_t) permissions);

    if (json_is_integer(value)) {
        store_exec(store, "UPDATE roles SET color = ? WHERE id = ?", "is",
                   color, id);
    }

    n = rights_list(permissions, words);

    outbox_make(r, workspace_role_create, .guild_id = r->params[0],
                .role_id = id, .name = entity_text(body, "name"),
                .color = json_is_integer(value) ? &color : NULL,
                .permissions = words, .permissions_n = n, .position = 1);
    outbox_send(r, "guild:%s", r->params[0]);

    json_decref(body);

    snprintf(r->location, sizeof(r->location), "/api/guilds/%s/roles/%s",
             r->params[0], id);

    return upstream_answer(r, 201, role_answer(role_read(r, id, &status)));
}


int
upstream_role_patch(upstream_request_t *r)
{
    int          status;
    size_t       n;
    json_t      *body, *before, *color, *list;
    int64_t      number;
    unsigned     permissions;
    const char  *id, *words[RIGHTS_N];

    id = r->params[1];

    before = role_below(r, &status);
    if (before == NULL) {
        return status;
    }

    body = body_read(r, role_settings, &status);

    if (body && strcmp(id, r->params[0]) == 0
        && json_object_get(body, "name"))
    {
        status = upstream_error(r, 400, "bad_field",
                                "the role of all members keeps its name");
    }

    if (status == 0) {
        status = role_gives(r, body);
    }

    if (status) {
        json_decref(before);
        json_decref(body);
        return status;
    }

    n = 0;
    list = json_object_get(body, "permissions");

    if (list) {
        permissions = rights_parse(list);
        n = rights_list(permissions, words);
        json_object_set_new(body, "permissions", json_integer(permissions));
    }

    if (body_changes(body, before)) {
        body_store(r, "roles", id, body);

        list = json_object_get(body, "permissions");

        if (list) {
            rights_refresh(r, r->params[0], NULL, NULL);
        }

        color = json_object_get(body, "color");
        number = json_integer_value(color);

        outbox_make(r, workspace_role_update, .guild_id = r->params[0],
                    .role_id = id, .name = body_text(body, "name"),
                    .color = json_is_integer(color) ? &number
                             : color ? &delta_events_null_integer : NULL,
                    .permissions = list ? words : NULL,
                    .permissions_n = list ? n : 0);

        outbox_send(r, "guild:%s", r->params[0]);
    }

    json_decref(before);
    json_decref(body);

    return upstream_answer(r, 200, role_answer(role_read(r, id, &status)));
}


int
upstream_role_delete(upstream_request_t *r)
{
    int      status;
    json_t  *role;

    role = role_below(r, &status);
    if (role == NULL) {
        return status;
    }

    json_decref(role);

    if (strcmp(r->params[1], r->params[0]) == 0) {
        return upstream_error(r, 409, "conflict",
                              "the role of all members stays");
    }

    store_exec(r->upstream->store, "DELETE FROM roles WHERE id = ?", "s",
               r->params[1]);
    rights_refresh(r, r->params[0], NULL, NULL);

    outbox_make(r, workspace_role_delete, .guild_id = r->params[0],
                .role_id = r->params[1]);
    outbox_send(r, "guild:%s", r->params[0]);

    return 204;
}


int
upstream_role_reorder(upstream_request_t *r)
{
    int          status;
    size_t       i, n;
    json_t      *body, *ids, *before, *role;
    unsigned     changed;
    const char  *list[ROLES_MAX];

    body = body_read(r, role_ids, &status);
    if (body == NULL) {
        return status;
    }

    changed = 0;
    ids = json_object_get(body, "role_ids");
    n = json_array_size(ids);
    before = role_order(r);
    status = role_order_check(r, ids, before);

    for (i = 0; status == 0 && i < n; i++) {
        list[i] = json_string_value(json_array_get(ids, i));

        role = json_array_get(before, i);

        if (strcmp(list[i], entity_text(role, "role_id")) != 0
            || role_number(role, "position") != n - i)
        {
            changed = 1;
        }
    }

    if (changed) {

        for (i = 0; i < n; i++) {
            store_exec(r->upstream->store, "UPDATE roles SET position = ? "
                       "WHERE id = ?", "is", (int64_t) (n - i), list[i]);
        }

        outbox_make(r, workspace_role_reorder, .guild_id = r->params[0],
                    .role_ids = list, .role_ids_n = n);
        outbox_send(r, "guild:%s", r->params[0]);
    }

    json_decref(before);
    json_decref(body);

    return status ? status : upstream_role_list(r);
}


/* All roles, and those that are not below the caller where they were. */

static int
role_order_check(upstream_request_t *r, const json_t *ids,
    const json_t *before)
{
    size_t       i, k;
    json_t      *role;
    const char  *id;

    if (json_array_size(ids) != json_array_size(before)) {
        return upstream_error(r, 400, "bad_field", "role_ids must be all roles "
                              "but %s: fetch them anew", r->params[0]);
    }

    json_array_foreach(before, i, role) {
        id = entity_text(role, "role_id");

        for (k = 0; k < json_array_size(ids); k++) {

            if (strcmp(id, json_string_value(json_array_get(ids, k))) == 0) {
                break;
            }
        }

        if (k == json_array_size(ids)) {
            return upstream_error(r, 400, "bad_field", "role_ids must be all "
                                  "roles but %s: fetch them anew",
                                  r->params[0]);
        }

        if (role_number(role, "position") >= r->rank && k != i) {
            return upstream_error(r, 403, "forbidden", "the role %s is not "
                                  "below you", id);
        }
    }

    return 0;
}


int
upstream_role_assign(upstream_request_t *r)
{
    int  status;

    status = role_member(r);
    if (status) {
        return status;
    }

    if (store_exec(r->upstream->store, "INSERT OR IGNORE INTO member_roles "
                   "(guild_id, user_id, role_id) VALUES (?, ?, ?)", "sss",
                   r->params[0], r->params[2], r->params[1])
        == 0)
    {
        return upstream_error(r, 409, "conflict", "%s has the role %s already",
                              r->params[2], r->params[1]);
    }

    rights_refresh(r, r->params[0], r->params[2], NULL);

    outbox_make(r, workspace_role_assignment_add, .guild_id = r->params[0],
                .role_id = r->params[1], .user_id = r->params[2]);
    outbox_send(r, "guild:%s", r->params[0]);

    return 204;
}


int
upstream_role_unassign(upstream_request_t *r)
{
    int  status;

    status = role_member(r);
    if (status) {
        return status;
    }

    if (store_exec(r->upstream->store, "DELETE FROM member_roles WHERE "
                   "guild_id = ? AND user_id = ? AND role_id = ?", "sss",
                   r->params[0], r->params[2], r->params[1])
        == 0)
    {
        return upstream_error(r, 404, "not_found", "%s has no role %s",
                              r->params[2], r->params[1]);
    }

    rights_refresh(r, r->params[0], r->params[2], NULL);

    outbox_make(r, workspace_role_assignment_remove, .guild_id = r->params[0],
                .role_id = r->params[1], .user_id = r->params[2]);
    outbox_send(r, "guild:%s", r->params[0]);

    return 204;
}


/* 0 if the caller may give the role, and take it from the member. */

static int
role_member(upstream_request_t *r)
{
    int        status;
    json_t    *role;
    rights_t   rights;

    role = role_below(r, &status);
    if (role == NULL) {
        return status;
    }

    status = strcmp(r->params[1], r->params[0]) == 0
             ? upstream_error(r, 409, "conflict", "all members have the role "
                              "%s", r->params[1])
             : role_number(role, "permissions") & ~r->rights
             ? upstream_error(r, 403, "forbidden", "the role %s has rights "
                              "that you lack", r->params[1])
             : 0;
    json_decref(role);

    if (status) {
        return status;
    }

    if (rights_of(r, r->params[0], r->params[2], &rights) != 0) {
        return upstream_error(r, 404, "not_found", "%s is not a member of %s",
                              r->params[2], r->params[0]);
    }

    if (rights.rank >= r->rank && strcmp(r->params[2], r->user) != 0) {
        return upstream_error(r, 403, "forbidden", "%s is not below you in "
                              "%s", r->params[2], r->params[0]);
    }

    return 0;
}


static json_t *
role_read(upstream_request_t *r, const char *id, int *status)
{
    json_t  *role;

    role = store_object(r->upstream->store, "SELECT " ROLE_COLUMNS
                        " FROM roles WHERE guild_id = ? AND id = ?", "ss",
                        r->params[0], id);

    if (role == NULL) {
        *status = upstream_error(r, 404, "not_found", "there is no role %s in "
                                 "%s", id, r->params[0]);
    }

    return role;
}


/* The second parameter's, if it is below the caller. */

static json_t *
role_below(upstream_request_t *r, int *status)
{
    json_t  *role;

    role = role_read(r, r->params[1], status);

    if (role && role_number(role, "position") >= r->rank) {
        json_decref(role);
        *status = upstream_error(r, 403, "forbidden", "the role %s is not "
                                 "below you", r->params[1]);
        return NULL;
    }

    return role;
}


static int
role_gives(upstream_request_t *r, const json_t *body)
{
    json_t  *list;

    list = json_object_get(body, "permissions");

    if (list && rights_parse(list) & ~r->rights) {
        return upstream_error(r, 403, "forbidden",
                              "nobody gives rights that they lack");
    }

    return 0;
}


static json_t *
role_answer(json_t *role)
{
    json_object_set_new(role, "permissions",
                        rights_json(role_number(role, "permissions")));
    return role;
}


static json_t *
role_order(upstream_request_t *r)
{
    return store_array(r->upstream->store, "SELECT " ROLE_COLUMNS
                       " FROM roles WHERE guild_id = ?1 AND id <> ?1 "
                       "ORDER BY position DESC, id", "s", r->params[0]);
}


static unsigned
role_number(const json_t *role, const char *name)
{
    return json_integer_value(json_object_get(role, name));
}
