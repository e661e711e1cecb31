
/*
 * Copyright (C) Delta contributors
 */

#include "body.h"
#include "entity.h"
#include "handlers.h"
#include "outbox.h"


#define FRIENDS_REQUESTS  200       /* that wait, of one user */


static json_t *request_read(upstream_request_t *r, int *status);
static int request_possible(upstream_request_t *r, const char *user);


static const body_field_t  request_fields[] = {
    { "user_id", BODY_ID, BODY_REQUIRED, 0, NULL },
    { NULL, 0, 0, 0, NULL }
};


int
upstream_friend_list(upstream_request_t *r)
{
    return upstream_answer_list(r, "friends",
        store_array(r->upstream->store, "SELECT "
                    "friend_id AS user_id, display_name, "
                    "avatar_url FROM friends JOIN users "
                    "ON users.id = friend_id "
                    "WHERE user_id = ? ORDER BY friend_id",
                    "s", r->user));
}


int
upstream_request_list(upstream_request_t *r)
{
    return upstream_answer_list(r, "requests",
        store_array(r->upstream->store, "SELECT "
                    "id AS request_id, "
                    "CASE from_id WHEN ?1 THEN to_id "
                    "ELSE from_id END AS user_id, "
                    "CASE from_id WHEN ?1 THEN 'outgoing' "
                    "ELSE 'incoming' END AS direction, "
                    "created_at FROM friend_requests "
                    "WHERE from_id = ?1 OR to_id = ?1 "
                    "ORDER BY created_at, id", "s",
                    r->user));
}


int
upstream_request_create(upstream_request_t *r)
{
    int                status;
    char               id[32];
    json_t            *body, *now;
    const char        *user, *time;
    upstream_store_t  *store;

    store = r->upstream->store;

    body = body_read(r, request_fields, &status);
    if (body == NULL) {
        return status;
    }

    user = entity_text(body, "user_id");

    status = request_possible(r, user);
    if (status) {
        json_decref(body);
        return status;
    }

    now = store_now(store);
    time = entity_text(now, "now");

    store_id(store, "f", id, sizeof(id));
    store_exec(store, "INSERT INTO friend_requests (id, from_id, to_id, "
               "created_at) VALUES (?, ?, ?, ?)", "ssss", id, r->user, user,
               time);

    outbox_make(r, friend_request_create, .request_id = id,
                .user_id = r->user, .direction = "incoming",
                .created_at = time);
    outbox_send(r, "user:%s:inbox", user);

    outbox_make(r, friend_request_create, .request_id = id, .user_id = user,
                .direction = "outgoing", .created_at = time);
    outbox_send(r, "user:%s:inbox", r->user);

    status = upstream_answer(r, 201, json_pack("{s:s, s:s, s:s, s:s}",
                             "request_id", id, "user_id", user, "direction",
                             "outgoing", "created_at", time));
    json_decref(body);
    json_decref(now);

    return status;
}


static int
request_possible(upstream_request_t *r, const char *user)
{
    upstream_store_t  *store;

    store = r->upstream->store;

    if (strcmp(user, r->user) == 0) {
        return upstream_error(r, 400, "bad_request",
                              "nobody can befriend themselves");
    }

    if (store_number(store, 0, "SELECT 1 FROM users WHERE id = ?", "s", user)
        == 0)
    {
        return upstream_error(r, 404, "not_found", "there is no user %s",
                              user);
    }

    if (store_number(store, 0, "SELECT 1 FROM friends WHERE user_id = ? "
                     "AND friend_id = ?", "ss", r->user, user))
    {
        return upstream_error(r, 409, "conflict", "%s is a friend already",
                              user);
    }

    if (store_number(store, 0, "SELECT 1 FROM friend_requests "
                     "WHERE (from_id = ?1 AND to_id = ?2) "
                     "OR (from_id = ?2 AND to_id = ?1)", "ss", r->user, user))
    {
        return upstream_error(r, 409, "conflict", "there is a request of one "
                              "of you already: accept or delete that one");
    }

    if (store_number(store, 0, "SELECT count(*) FROM friend_requests "
                     "WHERE from_id = ?", "s", r->user)
        >= FRIENDS_REQUESTS)
    {
        return upstream_error(r, 409, "conflict", "%d requests of yours wait: "
                              "take one back first", FRIENDS_REQUESTS);
    }

    return 0;
}


/* Taken back by who has sent it, or declined. */

int
upstream_request_delete(upstream_request_t *r)
{
    int          status;
    json_t      *request;
    const char  *id, *other;

    id = r->params[0];

    request = request_read(r, &status);
    if (request == NULL) {
        return status;
    }

    other = entity_text(request, "from_id");

    if (strcmp(other, r->user) == 0) {
        other = entity_text(request, "to_id");
    }

    store_exec(r->upstream->store, "DELETE FROM friend_requests WHERE id = ?",
               "s", id);

    outbox_make(r, friend_request_delete, .request_id = id,
                .user_id = r->user);
    outbox_send(r, "user:%s:inbox", other);

    outbox_make(r, friend_request_delete, .request_id = id, .user_id = other);
    outbox_send(r, "user:%s:inbox", r->user);

    json_decref(request);

    return 204;
}


int
upstream_request_accept(upstream_request_t *r)
{
    int                status;
    json_t            *request;
    const char        *id, *from, *to;
    upstream_store_t  *store;

    id = r->params[0];
    store = r->upstream->store;

    request = request_read(r, &status);
    if (request == NULL) {
        return status;
    }

    from = entity_text(request, "from_id");
    to = entity_text(request, "to_id");

    if (strcmp(to, r->user) != 0) {
        json_decref(request);
        return upstream_error(r, 403, "forbidden",
                              "who has sent a request cannot accept it");
    }

    store_exec(store, "DELETE FROM friend_requests WHERE id = ?", "s", id);
    store_exec(store, "INSERT INTO friends (user_id, friend_id) "
               "VALUES (?1, ?2), (?2, ?1)", "ss", from, to);

    outbox_make(r, friend_request_update, .request_id = id, .user_id = to,
                .state = "accepted");
    outbox_send(r, "user:%s:inbox", from);

    outbox_make(r, friend_request_update, .request_id = id, .user_id = from,
                .state = "accepted");
    outbox_send(r, "user:%s:inbox", to);

    status = upstream_answer(r, 200, json_pack("{s:s, s:s, s:s}",
                             "request_id", id, "user_id", from, "state",
                             "accepted"));
    json_decref(request);

    return status;
}


int
upstream_friend_remove(upstream_request_t *r)
{
    const char  *user;

    user = r->params[0];

    if (store_exec(r->upstream->store, "DELETE FROM friends "
                   "WHERE (user_id = ?1 AND friend_id = ?2) "
                   "OR (user_id = ?2 AND friend_id = ?1)", "ss", r->user,
                   user)
        == 0)
    {
        return upstream_error(r, 404, "not_found", "%s is not a friend", user);
    }

    outbox_make(r, friend_remove, .user_id = r->user);
    outbox_send(r, "user:%s:inbox", user);

    outbox_make(r, friend_remove, .user_id = user);
    outbox_send(r, "user:%s:inbox", r->user);

    return 204;
}


/* A request is nobody's business but of the two. */

static json_t *
request_read(upstream_request_t *r, int *status)
{
    json_t  *request;

    request = store_object(r->upstream->store, "SELECT from_id, to_id "
                           "FROM friend_requests WHERE id = ?1 "
                           "AND (from_id = ?2 OR to_id = ?2)", "ss",
                           r->params[0], r->user);

    if (request == NULL) {
        *status = upstream_error(r, 404, "not_found", "there is no request %s",
                                 r->params[0]);
    }

    return request;
}
