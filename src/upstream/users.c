
/*
 * Copyright (C) Delta contributors
 */

#include "entity.h"
#include "handlers.h"
#include "outbox.h"
#include "profile.h"


#define USER_COLUMNS  "id, display_name, avatar_url, bio, status_text"


static json_t *user_read(upstream_request_t *r, const char *id);
static int user_none(upstream_request_t *r, const char *id);


static const entity_field_t  user_fields[] = {
    { "display_name", 128, 1 },
    { "avatar_url", 2048, 0 },
    { "bio", 4096, 0 },
    { "status_text", 256, 0 },
    { NULL, 0, 0 }
};


int
upstream_user_me(upstream_request_t *r)
{
    return upstream_answer(r, 200, user_read(r, r->user));
}


int
upstream_user_get(upstream_request_t *r)
{
    json_t  *user;

    user = user_read(r, r->params[0]);
    if (user == NULL) {
        return user_none(r, r->params[0]);
    }

    return upstream_answer(r, 200, user);
}


int
upstream_user_patch(upstream_request_t *r)
{
    int      status;
    json_t  *before, *after, *diff;

    before = user_read(r, r->user);
    status = entity_merge(r, user_fields, before, &after, &diff);
    json_decref(before);

    if (status) {
        return status;
    }

    if (diff) {
        store_exec(r->upstream->store, "UPDATE users SET display_name = ?, "
                   "avatar_url = ?, bio = ?, status_text = ? WHERE id = ?",
                   "sssss", entity_text(after, "display_name"),
                   entity_text(after, "avatar_url"),
                   entity_text(after, "bio"),
                   entity_text(after, "status_text"), r->user);

        outbox_patch_make(r, "user", r->user, diff, NULL, NULL);
        profile_send(r);
    }

    json_decref(diff);

    return upstream_answer(r, 200, after);
}


int
upstream_follow(upstream_request_t *r)
{
    const char  *id;

    id = r->params[0];

    if (strcmp(id, r->user) == 0) {
        return upstream_error(r, 400, "bad_request",
                              "nobody can follow themselves");
    }

    if (store_number(r->upstream->store, 0, "SELECT 1 FROM users WHERE id = ?",
                     "s", id)
        == 0)
    {
        return user_none(r, id);
    }

    if (store_exec(r->upstream->store, "INSERT OR IGNORE INTO follows "
                   "VALUES (?, ?)", "ss", r->user, id)
        == 0)
    {
        return upstream_error(r, 409, "conflict", "%s follows %s already",
                              r->user, id);
    }

    outbox_join(r, r->user, "follows", id, outbox_follow_scopes);

    return upstream_answer(r, 200, json_pack("{s:s, s:s}", "user_id", r->user,
                                             "follows", id));
}


int
upstream_unfollow(upstream_request_t *r)
{
    const char  *id;

    id = r->params[0];

    if (store_exec(r->upstream->store, "DELETE FROM follows "
                   "WHERE user_id = ? AND followed_id = ?", "ss", r->user, id)
        == 0)
    {
        return upstream_error(r, 404, "not_found", "%s does not follow %s",
                              r->user, id);
    }

    outbox_leave(r, r->user, "follows", id, outbox_follow_scopes);

    return 204;
}


static json_t *
user_read(upstream_request_t *r, const char *id)
{
    return store_object(r->upstream->store, "SELECT " USER_COLUMNS
                        " FROM users WHERE id = ?", "s", id);
}


static int
user_none(upstream_request_t *r, const char *id)
{
    return upstream_error(r, 404, "not_found", "there is no user %s", id);
}
