
/*
 * Copyright (C) Delta contributors
 */

#include "membership.h"
#include "store.h"


#define MEMBERSHIP_TTL  300     /* seconds, without a session */


static json_t *membership_ids(upstream_request_t *r, const char *sql,
    const char *user);


const membership_set_t  membership_sets[] = {
    { "follows", "SELECT followed_id AS id FROM follows WHERE user_id = ?" },
    { "guilds", "SELECT guild_id AS id FROM members WHERE user_id = ?" },
    { "spaces", "SELECT space_id AS id FROM space_members WHERE user_id = ?" },
    { "channels", "SELECT channel_id AS id FROM viewers WHERE user_id = ?" },
    { NULL, NULL }
};


/* Of a user that nobody knows all sets are empty: tokens may be older. */

int
upstream_membership(upstream_request_t *r)
{
    json_t                  *answer;
    const char              *user;
    const membership_set_t  *set;

    user = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                       "X-User");

    if (user == NULL || !delta_name_segment(user, strlen(user))) {
        return upstream_error(r, 400, "bad_request", "X-User is missing");
    }

    answer = json_pack("{s:i}", "ttl", MEMBERSHIP_TTL);

    for (set = membership_sets; answer && set->name; set++) {

        if (json_object_set_new(answer, set->name,
                                membership_ids(r, set->sql, user))
            != 0)
        {
            json_decref(answer);
            answer = NULL;
        }
    }

    return upstream_answer(r, 200, answer);
}


static json_t *
membership_ids(upstream_request_t *r, const char *sql, const char *user)
{
    size_t   i;
    json_t  *rows, *row, *ids;

    if (sql == NULL) {
        return json_array();
    }

    rows = store_array(r->upstream->store, sql, "s", user);
    ids = rows ? json_array() : NULL;

    json_array_foreach(rows, i, row) {

        if (ids
            && json_array_append(ids, json_object_get(row, "id")) != 0)
        {
            json_decref(ids);
            ids = NULL;
        }
    }

    json_decref(rows);

    return ids;
}
