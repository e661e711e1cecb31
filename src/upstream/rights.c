
/*
 * Copyright (C) Delta contributors
 */

#include "entity.h"
#include "outbox.h"
#include "rights.h"


#define RIGHTS_HELD                                                           \
    "(SELECT role_id FROM member_roles WHERE guild_id = ?1 AND user_id = ?2)"


static int rights_guild(upstream_request_t *r, rights_t *rights);
static int64_t rights_number(const json_t *row, const char *name);


#define X(bit, name, word)  word,
static const char *const  rights_names[RIGHTS_N] = { RIGHTS(X) };
#undef X

#define X(bit, name, word)  " " word
const char  rights_words[] = RIGHTS(X);
#undef X


int
rights_check(upstream_request_t *r, unsigned access)
{
    int          status;
    unsigned     lacks;
    rights_t     rights;
    const char  *words[RIGHTS_N];

    if (!(access & UPSTREAM_GUILD)) {
        return 0;
    }

    status = rights_guild(r, &rights);
    if (status) {
        return status;
    }

    if (access & UPSTREAM_CHANNEL) {
        rights.rights = rights_in(r, r->params[0], r->params[1], r->user,
                                  &rights);

        if (!(rights.rights & RIGHT_VIEW)) {
            return upstream_error(r, 404, "not_found", "there is no channel "
                                  "%s in %s", r->params[1], r->params[0]);
        }
    }

    if (access & UPSTREAM_MESSAGE
        && store_number(r->upstream->store, 0, "SELECT 1 FROM messages "
                        "WHERE id = ? AND channel_id = ?", "ss", r->params[2],
                        r->params[1])
           == 0)
    {
        return upstream_error(r, 404, "not_found", "there is no message %s "
                              "in %s", r->params[2], r->params[1]);
    }

    r->rights = rights.rights;
    r->rank = rights.rank;

    lacks = (access >> UPSTREAM_RIGHTS) & ~rights.rights;

    if (lacks) {
        rights_list(lacks, words);
        return upstream_error(r, 403, "forbidden", "this needs the right %s: "
                              "ask who manages the roles", words[0]);
    }

    return 0;
}


/* Whoever is not in a private guild does not learn that there is one. */

static int
rights_guild(upstream_request_t *r, rights_t *rights)
{
    int      secret;
    json_t  *guild;

    if (rights_of(r, r->params[0], r->user, rights) == 0) {
        return 0;
    }

    guild = store_object(r->upstream->store, "SELECT visibility FROM guilds "
                         "WHERE id = ?", "s", r->params[0]);

    secret = guild == NULL
             || strcmp(entity_text(guild, "visibility"), "public") != 0;
    json_decref(guild);

    return secret ? upstream_error(r, 404, "not_found", "there is no guild "
                                   "%s", r->params[0])
                  : upstream_error(r, 403, "forbidden", "this is for members "
                                   "of %s: join it first", r->params[0]);
}


int
rights_of(upstream_request_t *r, const char *guild, const char *user,
    rights_t *rights)
{
    size_t             i;
    int64_t            position;
    json_t            *member, *roles, *role;
    upstream_store_t  *store;

    store = r->upstream->store;

    member = store_object(store, "SELECT m.user_id = g.owner_id AS owner, "
                          "m.role = 'moderator' AS moderator FROM members m "
                          "JOIN guilds g ON g.id = m.guild_id "
                          "WHERE m.guild_id = ? AND m.user_id = ?", "ss",
                          guild, user);
    if (member == NULL) {
        return -1;
    }

    rights->rights = 0;
    rights->rank = 0;

    if (rights_number(member, "moderator")) {
        rights->rights = RIGHT_MODERATOR;
        rights->rank = 1;
    }

    roles = store_array(store, "SELECT permissions, position FROM roles "
                        "WHERE guild_id = ?1 AND (id = ?1 OR id IN "
                        RIGHTS_HELD ")", "ss", guild, user);

    json_array_foreach(roles, i, role) {
        rights->rights |= rights_number(role, "permissions");
        position = rights_number(role, "position");

        if (position > rights->rank) {
            rights->rank = position;
        }
    }

    if (rights_number(member, "owner")) {
        rights->rights = RIGHTS_ALL;
        rights->rank = RIGHTS_OWNER;
    }

    json_decref(roles);
    json_decref(member);

    return 0;
}


unsigned
rights_in(upstream_request_t *r, const char *guild, const char *channel,
    const char *user, const rights_t *rights)
{
    size_t             i;
    json_t            *rows, *row;
    unsigned           may, allow, deny;
    upstream_store_t  *store;

    store = r->upstream->store;

    if (store_number(store, 0, "SELECT 1 FROM channels WHERE id = ? "
                     "AND guild_id = ?", "ss", channel, guild)
        == 0)
    {
        return 0;
    }

    if (rights->rank == RIGHTS_OWNER) {
        return RIGHTS_ALL;
    }

    rows = store_array(store, "SELECT role_id = ?1 AS everyone, allow, deny "
                       "FROM overrides WHERE channel_id = ?3 AND "
                       "(role_id = ?1 OR role_id IN " RIGHTS_HELD ")", "sss",
                       guild, user, channel);

    may = rights->rights;
    allow = 0;
    deny = 0;

    json_array_foreach(rows, i, row) {

        if (rights_number(row, "everyone")) {
            may = (may & ~rights_number(row, "deny"))
                  | rights_number(row, "allow");

        } else {
            allow |= rights_number(row, "allow");
            deny |= rights_number(row, "deny");
        }
    }

    json_decref(rows);

    may = (may & ~deny) | allow;

    return may & RIGHT_VIEW ? may : 0;
}


int
rights_parse(const json_t *list)
{
    int          rights;
    size_t       i, k;
    json_t      *value;
    const char  *word;

    if (!json_is_array(list) || json_array_size(list) > 64) {
        return -1;
    }

    rights = 0;

    json_array_foreach(list, i, value) {
        word = json_string_value(value);

        for (k = 0; k < RIGHTS_N; k++) {

            if (word && strcmp(rights_names[k], word) == 0) {
                break;
            }
        }

        if (k == RIGHTS_N) {
            return -1;
        }

        rights |= 1 << k;
    }

    return rights;
}


size_t
rights_list(unsigned rights, const char *words[RIGHTS_N])
{
    size_t  i, n;

    for (i = 0, n = 0; i < RIGHTS_N; i++) {

        if (rights & 1u << i) {
            words[n++] = rights_names[i];
        }
    }

    return n;
}


json_t *
rights_json(unsigned rights)
{
    size_t       i, n;
    json_t      *list;
    const char  *words[RIGHTS_N];

    list = json_array();
    n = rights_list(rights, words);

    for (i = 0; i < n; i++) {
        json_array_append_new(list, json_string(words[i]));
    }

    return list;
}


void
rights_refresh(upstream_request_t *r, const char *guild, const char *user,
    const char *channel)
{
    size_t             i;
    json_t            *rows, *row;
    const char        *who, *what;
    upstream_store_t  *store;

    store = r->upstream->store;

    rows = store_array(store, "SELECT user_id, channel_id FROM viewers v "
                       "WHERE guild_id = ?1 "
                       "AND (?2 IS NULL OR user_id = ?2) "
                       "AND (?3 IS NULL OR channel_id = ?3) "
                       "AND NOT EXISTS (SELECT 1 FROM access a "
                       "WHERE a.channel_id = v.channel_id "
                       "AND a.user_id = v.user_id)", "sss", guild, user,
                       channel);

    json_array_foreach(rows, i, row) {
        who = entity_text(row, "user_id");
        what = entity_text(row, "channel_id");

        store_exec(store, "DELETE FROM viewers WHERE user_id = ? "
                   "AND channel_id = ?", "ss", who, what);
        outbox_leave(r, who, "channels", what, outbox_channel_scopes);
    }

    json_decref(rows);

    rows = store_array(store, "SELECT user_id, channel_id FROM access a "
                       "WHERE guild_id = ?1 "
                       "AND (?2 IS NULL OR user_id = ?2) "
                       "AND (?3 IS NULL OR channel_id = ?3) "
                       "AND NOT EXISTS (SELECT 1 FROM viewers v "
                       "WHERE v.channel_id = a.channel_id "
                       "AND v.user_id = a.user_id)", "sss", guild, user,
                       channel);

    json_array_foreach(rows, i, row) {
        who = entity_text(row, "user_id");
        what = entity_text(row, "channel_id");

        store_exec(store, "INSERT INTO viewers (user_id, channel_id, "
                   "guild_id) VALUES (?, ?, ?)", "sss", who, what, guild);
        outbox_join(r, who, "channels", what, outbox_channel_scopes);
    }

    json_decref(rows);
}


void
rights_viewers(upstream_request_t *r, const char *channel, json_t *set)
{
    size_t   i;
    json_t  *rows, *row;

    rows = store_array(r->upstream->store, "SELECT user_id FROM viewers "
                       "WHERE channel_id = ?", "s", channel);

    json_array_foreach(rows, i, row) {
        json_object_set_new(set, entity_text(row, "user_id"), json_true());
    }

    json_decref(rows);
}


void
rights_tell(upstream_request_t *r, const char *guild, json_t *set)
{
    json_t      *value;
    int64_t      members;
    unsigned     self;
    const char  *user;

    members = store_number(r->upstream->store, -1, "SELECT count(*) "
                           "FROM members WHERE guild_id = ?", "s", guild);

    if (members == (int64_t) json_object_size(set)) {
        outbox_send(r, "guild:%s", guild);

    } else {
        self = json_object_del(set, r->user) == 0;

        json_object_foreach(set, user, value) {
            outbox_send(r, "user:%s:inbox", user);
        }

        if (self) {
            outbox_send(r, "user:%s:inbox", r->user);
        }
    }

    json_decref(set);
}


void
rights_tell_those(upstream_request_t *r, const char *guild, unsigned right)
{
    json_t  *users;

    users = store_array(r->upstream->store, "SELECT m.user_id FROM members m "
                        "JOIN guilds g ON g.id = m.guild_id "
                        "WHERE m.guild_id = ?1 AND (m.user_id = g.owner_id "
                        "OR (m.role = 'moderator' AND ?2 & ?3) "
                        "OR EXISTS (SELECT 1 FROM roles s "
                        "WHERE s.guild_id = ?1 AND s.permissions & ?2 "
                        "AND (s.id = ?1 OR s.id IN (SELECT role_id "
                        "FROM member_roles h WHERE h.guild_id = ?1 "
                        "AND h.user_id = m.user_id))))", "sii", guild,
                        (int64_t) right, (int64_t) RIGHT_MODERATOR);

    outbox_send_inboxes(r, users);
    json_decref(users);
}


static int64_t
rights_number(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}
