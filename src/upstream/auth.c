
/*
 * Copyright (C) Delta contributors
 */

#include "entity.h"
#include "handlers.h"
#include "relay.h"
#include "store.h"
#include "token.h"
#include "world.h"


/* For demonstrations only: whoever names a user gets that user's token. */

int
upstream_login(upstream_request_t *r)
{
    int          status;
    char        *token;
    json_t      *body, *answer;
    const char  *user;

    if (r->upstream->token == NULL) {
        return upstream_error(r, 503, "unavailable",
                              "there is no login without --jwks");
    }

    body = entity_body(r, &status);
    if (body == NULL) {
        return status;
    }

    user = entity_text(body, "user");

    if (user == NULL) {
        json_decref(body);
        return upstream_error(r, 400, "bad_field", "user must be a string");
    }

    if (store_number(r->upstream->store, 0, "SELECT 1 FROM users WHERE id = ?",
                     "s", user)
        == 0)
    {
        status = upstream_error(r, 404, "not_found", "there is no such user");
        json_decref(body);
        return status;
    }

    token = token_make(r->upstream->token, user);
    answer = json_pack("{s:s, s:s, s:i}", "token", token, "user", user,
                       "expires_in", UPSTREAM_TOKEN_LIFE);

    free(token);
    json_decref(body);

    return upstream_answer(r, 200, answer);
}


int
upstream_health(upstream_request_t *r)
{
    json_t            *answer;
    int64_t            outbox, dead;
    upstream_store_t  *store;

    store = r->upstream->store;

    outbox = store_number(store, -1, "SELECT count(*) FROM outbox", "");
    dead = store_number(store, -1, "SELECT count(*) FROM dead_letter", "");

    answer = json_pack("{s:s, s:b, s:I, s:I}", "status", "ok", "redis",
                       relay_connected(r->upstream->relay),
                       "outbox", (json_int_t) outbox,
                       "dead_letters", (json_int_t) dead);

    if (r->upstream->world) {
        json_object_set_new(answer, "world", world_status(r->upstream->world));
    }

    return upstream_answer(r, 200, answer);
}
