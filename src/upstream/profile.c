
/*
 * Copyright (C) Delta contributors
 */

#include "body.h"
#include "entity.h"
#include "files.h"
#include "handlers.h"
#include "outbox.h"
#include "profile.h"


#define PROFILE_AVATAR_MAX  262144

#define PROFILE_COLUMNS                                                       \
    "id, display_name, avatar_url, avatar_version, bio, status_text"


static json_t *profile_read(upstream_request_t *r);
static void profile_file(char *name, size_t size, const char *user,
    int64_t version);


static const body_field_t  profile_fields[] = {
    { "display_name", BODY_TEXT, 0, 128, NULL },
    { "bio", BODY_TEXT, BODY_NULL|BODY_EMPTY, 4096, NULL },
    { "status_text", BODY_TEXT, BODY_NULL|BODY_EMPTY, 256, NULL },
    { NULL, 0, 0, 0, NULL }
};


int
upstream_profile_patch(upstream_request_t *r)
{
    int      status;
    json_t  *body, *before;

    body = body_read(r, profile_fields, &status);
    if (body == NULL) {
        return status;
    }

    before = profile_read(r);

    if (body_changes(body, before)) {
        body_store(r, "users", r->user, body);

        outbox_make(r, profile_update, .user_id = r->user,
                    .display_name = body_text(body, "display_name"),
                    .bio = body_text(body, "bio"),
                    .status_text = body_text(body, "status_text"));
        profile_send(r);
    }

    json_decref(before);
    json_decref(body);

    return upstream_answer(r, 200, profile_read(r));
}


/* The body is the image; what it is, its first bytes say. */

int
upstream_profile_avatar(upstream_request_t *r)
{
    int                status;
    char               name[64 + DELTA_NAME_SEGMENT];
    char               url[DELTA_NAME_SEGMENT + 64];
    int64_t            version;
    upstream_store_t  *store;

    store = r->upstream->store;

    if (r->len > PROFILE_AVATAR_MAX) {
        return upstream_error(r, 413, "too_large", "an avatar is at most %d "
                              "bytes: send a smaller one",
                              PROFILE_AVATAR_MAX);
    }

    if (files_image(r->body, r->len) == NULL) {
        return upstream_error(r, 415, "unsupported_media_type", "an avatar is "
                              "png, jpeg, gif or webp: send one of these");
    }

    version = store_number(store, 0, "SELECT avatar_version FROM users "
                           "WHERE id = ?", "s", r->user);

    if (version) {
        profile_file(name, sizeof(name), r->user, version);
        files_remove(r, name);
    }

    version++;
    profile_file(name, sizeof(name), r->user, version);

    status = files_write(r, name);
    if (status) {
        return status;
    }

    snprintf(url, sizeof(url), "/api/users/%s/avatar?v=%lld", r->user,
             (long long) version);

    store_exec(store, "UPDATE users SET avatar_url = ?, avatar_version = ? "
               "WHERE id = ?", "sis", url, version, r->user);

    outbox_make(r, profile_avatar_update, .user_id = r->user,
                .avatar_url = url, .avatar_version = version);
    profile_send(r);

    return upstream_answer(r, 200, profile_read(r));
}


int
upstream_avatar(upstream_request_t *r)
{
    char     name[64 + DELTA_NAME_SEGMENT];
    int64_t  version;

    version = store_number(r->upstream->store, 0, "SELECT avatar_version "
                           "FROM users WHERE id = ?", "s", r->params[0]);

    if (version == 0) {
        return upstream_error(r, 404, "not_found", "%s has no avatar here",
                              r->params[0]);
    }

    profile_file(name, sizeof(name), r->params[0], version);

    return files_answer(r, name);
}


void
profile_send(upstream_request_t *r)
{
    json_t  *users;

    users = store_array(r->upstream->store, "SELECT friend_id AS user_id "
                        "FROM friends WHERE user_id = ?1 "
                        "UNION SELECT them.user_id FROM members me "
                        "JOIN members them ON them.guild_id = me.guild_id "
                        "WHERE me.user_id = ?1 AND them.user_id <> ?1 "
                        "EXCEPT SELECT user_id FROM follows "
                        "WHERE followed_id = ?1", "s", r->user);

    outbox_send_inboxes(r, users);
    outbox_send(r, "user:%s", r->user);

    json_decref(users);
}


static json_t *
profile_read(upstream_request_t *r)
{
    return store_object(r->upstream->store, "SELECT " PROFILE_COLUMNS
                        " FROM users WHERE id = ?", "s", r->user);
}


static void
profile_file(char *name, size_t size, const char *user, int64_t version)
{
    snprintf(name, size, "avatar-%s-%lld", user, (long long) version);
}
