
/*
 * Copyright (C) Delta contributors
 */

#include <time.h>
#include "delta_cursor.h"
#include "entity.h"
#include "outbox.h"
#include "space.h"


#define INTENTION_COLUMNS                                                     \
    "'i' || number AS id, location_id AS space_id, author_id, content, "      \
    "created_at, changed_at"


static json_t *space_read(upstream_request_t *r, const char *id, int *status);
static int space_member(upstream_request_t *r, const char *id, int *status);
static int64_t space_time(upstream_request_t *r, const char *id);
static void space_delta(upstream_request_t *r, const char *id,
    const char *kind, json_t *what, int64_t at);
static json_t *intention_read(upstream_request_t *r, int64_t number);
static json_t *intention_own(upstream_request_t *r, int64_t *number,
    int *status);
static int64_t intention_number(const char *id);
static json_t *intentions_newest(upstream_request_t *r, const char *space);
static json_t *intentions_since(upstream_request_t *r, const char *space,
    int64_t since);
static json_t *space_iso(int64_t ms);


/*
 * An intention that was deleted stays as its tombstone, without content:
 * who was away must hear of it.
 */

static const char  space_schema[] =
    "CREATE TABLE IF NOT EXISTS spaces ("
    "    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    "    name TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS space_members ("
    "    space_id TEXT NOT NULL REFERENCES spaces (id),"
    "    user_id TEXT NOT NULL REFERENCES users,"
    "    PRIMARY KEY (space_id, user_id)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS space_members_user"
    "    ON space_members (user_id);"
    "CREATE TABLE IF NOT EXISTS intentions ("
    "    number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    location_id TEXT NOT NULL REFERENCES spaces (id),"
    "    author_id TEXT NOT NULL REFERENCES users, content TEXT,"
    "    created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,"
    "    deleted INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX IF NOT EXISTS intentions_location_created"
    "    ON intentions (location_id, created_at);"
    "CREATE INDEX IF NOT EXISTS intentions_location_changed"
    "    ON intentions (location_id, changed_at);";


static const entity_field_t  space_fields[] = {
    { "name", 128, 1 },
    { NULL, 0, 0 }
};

static const entity_field_t  intention_fields[] = {
    { "content", 8192, 1 },
    { NULL, 0, 0 }
};

static const char *const  space_scopes[] = { "space", NULL };


int
space_prepare(upstream_store_t *store)
{
    if (sqlite3_exec(store->db, space_schema, NULL, NULL, NULL) != SQLITE_OK) {
        upstream_log("cannot make the tables of spaces: %s",
                     sqlite3_errmsg(store->db));
        return -1;
    }

    return 0;
}


int
upstream_space_create(upstream_request_t *r)
{
    int                status;
    char               id[32];
    json_t            *none, *space, *diff;
    int64_t            number;
    upstream_store_t  *store;

    store = r->upstream->store;

    none = json_object();
    status = entity_merge(r, space_fields, none, &space, &diff);
    json_decref(none);
    json_decref(diff);

    if (status) {
        return status;
    }

    if (entity_text(space, "name") == NULL) {
        json_decref(space);
        return upstream_error(r, 400, "bad_field", "name is missing");
    }

    number = store_number(store, 0, "SELECT max(number) FROM spaces", "") + 1;
    snprintf(id, sizeof(id), "s%lld", (long long) number);

    store_exec(store, "INSERT INTO spaces (number, id, name) "
               "VALUES (?, ?, ?)", "iss", number, id,
               entity_text(space, "name"));
    json_decref(space);

    store_exec(store, "INSERT INTO space_members VALUES (?, ?)", "ss", id,
               r->user);
    outbox_join(r, r->user, "spaces", id, space_scopes);

    snprintf(r->location, sizeof(r->location), "/api/spaces/%s", id);

    return upstream_answer(r, 201, space_read(r, id, &status));
}


int
upstream_space_get(upstream_request_t *r)
{
    int      status;
    json_t  *space;

    space = space_read(r, r->params[0], &status);

    return space ? upstream_answer(r, 200, space) : status;
}


int
upstream_space_join(upstream_request_t *r)
{
    int      status;
    json_t  *space;

    space = space_read(r, r->params[0], &status);
    if (space == NULL) {
        return status;
    }

    if (store_exec(r->upstream->store, "INSERT OR IGNORE INTO space_members "
                   "VALUES (?, ?)", "ss", r->params[0], r->user)
        == 1)
    {
        outbox_join(r, r->user, "spaces", r->params[0], space_scopes);
    }

    return upstream_answer(r, 200, space);
}


int
upstream_space_leave(upstream_request_t *r)
{
    if (store_exec(r->upstream->store, "DELETE FROM space_members "
                   "WHERE space_id = ? AND user_id = ?", "ss", r->params[0],
                   r->user)
        == 0)
    {
        return upstream_error(r, 404, "not_found", "%s is not in %s",
                              r->user, r->params[0]);
    }

    outbox_leave(r, r->user, "spaces", r->params[0], space_scopes);

    return 204;
}


int
upstream_intention_list(upstream_request_t *r)
{
    int          status;
    const char  *space;

    space = r->params[0];

    if (!space_member(r, space, &status)) {
        return status;
    }

    return upstream_answer_list(r, "intentions",
        store_array(r->upstream->store, "SELECT " INTENTION_COLUMNS
                    " FROM intentions WHERE location_id = ? "
                    "AND deleted = 0 ORDER BY created_at, number",
                    "s", space));
}


int
upstream_intention_create(upstream_request_t *r)
{
    int                status;
    json_t            *none, *intention, *diff;
    int64_t            at, number;
    const char        *space;
    upstream_store_t  *store;

    space = r->params[0];
    store = r->upstream->store;

    if (!space_member(r, space, &status)) {
        return status;
    }

    none = json_object();
    status = entity_merge(r, intention_fields, none, &intention, &diff);
    json_decref(none);
    json_decref(diff);

    if (status) {
        return status;
    }

    if (entity_text(intention, "content") == NULL) {
        json_decref(intention);
        return upstream_error(r, 400, "bad_field", "content is missing");
    }

    at = space_time(r, space);

    store_exec(store, "INSERT INTO intentions (location_id, author_id, "
               "content, created_at, changed_at) VALUES (?, ?, ?, ?, ?)",
               "sssii", space, r->user, entity_text(intention, "content"),
               at, at);
    json_decref(intention);

    number = sqlite3_last_insert_rowid(store->db);
    intention = intention_read(r, number);

    space_delta(r, space, "created", json_incref(intention), at);

    snprintf(r->location, sizeof(r->location), "/api/spaces/%.64s/intentions/"
             "i%lld", space, (long long) number);

    return upstream_answer(r, 201, intention);
}


int
upstream_intention_patch(upstream_request_t *r)
{
    int          status;
    json_t      *before, *after, *diff;
    int64_t      at, number;
    const char  *space;

    space = r->params[0];

    before = intention_own(r, &number, &status);
    if (before == NULL) {
        return status;
    }

    status = entity_merge(r, intention_fields, before, &after, &diff);
    json_decref(before);

    if (status) {
        return status;
    }

    if (diff) {
        at = space_time(r, space);

        store_exec(r->upstream->store, "UPDATE intentions SET content = ?, "
                   "changed_at = ? WHERE number = ?", "sii",
                   entity_text(after, "content"), at, number);

        json_decref(after);
        after = intention_read(r, number);

        space_delta(r, space, "updated", json_incref(after), at);
    }

    json_decref(diff);

    return upstream_answer(r, 200, after);
}


int
upstream_intention_delete(upstream_request_t *r)
{
    int          status;
    json_t      *before;
    int64_t      at, number;
    const char  *space;

    space = r->params[0];

    before = intention_own(r, &number, &status);
    if (before == NULL) {
        return status;
    }

    json_decref(before);

    at = space_time(r, space);

    store_exec(r->upstream->store, "UPDATE intentions SET content = NULL, "
               "changed_at = ?, deleted = 1 WHERE number = ?", "ii", at,
               number);

    space_delta(r, space, "deleted", json_string(r->params[1]), at);

    return 204;
}


int
upstream_intentions_since(upstream_request_t *r)
{
    int                status;
    json_t            *answer;
    const char        *space, *since;
    delta_position_t   position;

    space = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND,
                                        "spaceId");
    since = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND,
                                        "since");

    if (space == NULL || !delta_name_segment(space, strlen(space))) {
        return upstream_error(r, 400, "bad_request", "spaceId is no id");
    }

    if (!space_member(r, space, &status)) {
        return status;
    }

    if (since == NULL || *since == '\0') {
        return upstream_answer(r, 200, intentions_newest(r, space));
    }

    if (delta_position_parse_time(&position, since, strlen(since)) != 0) {
        return upstream_error(r, 400, "bad_request", "since is no time");
    }

    answer = intentions_since(r, space, position.ms);

    return upstream_answer(r, 200, answer);
}


static json_t *
intentions_newest(upstream_request_t *r, const char *space)
{
    size_t   i;
    json_t  *created, *newest, *row;

    newest = store_array(r->upstream->store, "SELECT " INTENTION_COLUMNS
                         " FROM intentions WHERE location_id = ? "
                         "AND deleted = 0 ORDER BY created_at DESC, "
                         "number DESC LIMIT ?", "si", space,
                         (int64_t) SPACE_MISSED);
    created = newest ? json_array() : NULL;

    json_array_foreach(newest, i, row) {
        json_array_insert(created, 0, row);
    }

    json_decref(newest);

    return json_pack("{s:o, s:[], s:[], s:o, s:b}", "created", created,
                     "updated", "deleted", "timestamp",
                     space_iso(space_time(r, space)), "complete",
                     created && json_array_size(created) < SPACE_MISSED);
}


/*
 * Both indexes are gone along from since on, and not further than that many
 * rows: what it costs is what is new, not what there is.
 */

static json_t *
intentions_since(upstream_request_t *r, const char *space, int64_t since)
{
    size_t             i, n;
    json_t            *created, *changed, *updated, *deleted, *row;
    upstream_store_t  *store;

    store = r->upstream->store;

    created = store_array(store, "SELECT " INTENTION_COLUMNS " FROM "
                          "intentions INDEXED BY intentions_location_created "
                          "WHERE location_id = ? AND created_at >= ? "
                          "AND deleted = 0 ORDER BY created_at, number "
                          "LIMIT ?", "sii", space, since,
                          (int64_t) SPACE_MISSED + 1);

    changed = store_array(store, "SELECT " INTENTION_COLUMNS ", deleted FROM "
                          "intentions INDEXED BY intentions_location_changed "
                          "WHERE location_id = ? AND changed_at >= ? "
                          "AND (deleted = 1 OR created_at < ?) "
                          "ORDER BY changed_at, number LIMIT ?", "siii",
                          space, since, since, (int64_t) SPACE_MISSED + 1);

    updated = json_array();
    deleted = json_array();

    json_array_foreach(changed, i, row) {

        if (json_integer_value(json_object_get(row, "deleted"))) {
            json_array_append(deleted, json_object_get(row, "id"));

        } else {
            json_object_del(row, "deleted");
            json_array_append(updated, row);
        }
    }

    n = json_array_size(created) + json_array_size(changed);
    json_decref(changed);

    return json_pack("{s:o, s:o, s:o, s:o, s:b}", "created", created,
                     "updated", updated, "deleted", deleted, "timestamp",
                     space_iso(space_time(r, space)), "complete",
                     n <= SPACE_MISSED);
}


static json_t *
space_read(upstream_request_t *r, const char *id, int *status)
{
    json_t  *space;

    space = store_object(r->upstream->store, "SELECT id, name FROM spaces "
                         "WHERE id = ?", "s", id);

    if (space == NULL) {
        *status = upstream_error(r, 404, "not_found", "there is no space %s",
                                 id);
    }

    return space;
}


static int
space_member(upstream_request_t *r, const char *id, int *status)
{
    json_t  *space;

    space = space_read(r, id, status);
    if (space == NULL) {
        return 0;
    }

    json_decref(space);

    if (store_number(r->upstream->store, 0, "SELECT 1 FROM space_members "
                     "WHERE space_id = ? AND user_id = ?", "ss", id, r->user)
        == 0)
    {
        *status = upstream_error(r, 403, "forbidden", "%s is not in %s",
                                 r->user, id);
        return 0;
    }

    return 1;
}


/* Never before what was written: the clock of the machine may go back. */

static int64_t
space_time(upstream_request_t *r, const char *id)
{
    int64_t          now, last;
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    now = (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;

    last = store_number(r->upstream->store, 0, "SELECT max(changed_at) FROM "
                        "intentions WHERE location_id = ?", "s", id);

    return now > last ? now : last;
}


/* Takes the reference to an intention, or the id of one. */

static void
space_delta(upstream_request_t *r, const char *id, const char *kind,
    json_t *what, int64_t at)
{
    char     channel[DELTA_NAME_SEGMENT + 32];
    json_t  *delta;

    delta = json_pack("{s:[], s:[], s:[], s:o}", "created", "updated",
                      "deleted", "timestamp", space_iso(at));

    if (json_array_append_new(json_object_get(delta, kind), what) != 0) {
        r->upstream->store->failed = 1;
    }

    snprintf(channel, sizeof(channel), "space:%s", id);
    outbox_event(r, channel, "space_delta", delta);
}


static json_t *
intention_read(upstream_request_t *r, int64_t number)
{
    return store_object(r->upstream->store, "SELECT " INTENTION_COLUMNS
                        " FROM intentions WHERE number = ?", "i", number);
}


static json_t *
intention_own(upstream_request_t *r, int64_t *number, int *status)
{
    json_t  *intention;

    if (!space_member(r, r->params[0], status)) {
        return NULL;
    }

    *number = intention_number(r->params[1]);

    intention = store_object(r->upstream->store, "SELECT " INTENTION_COLUMNS
                             " FROM intentions WHERE number = ? "
                             "AND location_id = ? AND deleted = 0", "is",
                             *number, r->params[0]);

    if (intention == NULL) {
        *status = upstream_error(r, 404, "not_found",
                                 "there is no intention %s", r->params[1]);
        return NULL;
    }

    if (strcmp(entity_text(intention, "author_id"), r->user) != 0) {
        json_decref(intention);
        *status = upstream_error(r, 403, "forbidden", "only its author may "
                                 "change it");
        return NULL;
    }

    return intention;
}


/* "i17", or 0, which is none. */

static int64_t
intention_number(const char *id)
{
    char       *end;
    long long   number;

    if (id[0] != 'i' || id[1] < '1' || id[1] > '9' || strlen(id) > 18) {
        return 0;
    }

    number = strtoll(id + 1, &end, 10);

    return *end == '\0' ? number : 0;
}


static json_t *
space_iso(int64_t ms)
{
    char              text[DELTA_TIME_LEN];
    delta_position_t  position;

    position.ms = ms;
    position.seq = 0;

    return json_stringn(text, delta_position_format_time(text, position));
}
