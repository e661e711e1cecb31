
/*
 * Copyright (C) Delta contributors
 *
 * Addresses stay in here: an event says only that the list has changed.
 */

#include <arpa/inet.h>
#include "bans.h"
#include "body.h"
#include "entity.h"
#include "handlers.h"
#include "outbox.h"
#include "rights.h"


#define BANS_IP  1000           /* of one guild */


typedef struct {
    int       family;
    unsigned  bits;             /* that count */
    uint8_t   bytes[16];
} bans_net_t;


static int bans_parse(const char *text, bans_net_t *net);
static int bans_text(const bans_net_t *net, char *out, size_t size);
static int bans_match(const bans_net_t *net, const bans_net_t *address);
static void bans_sync(upstream_request_t *r, const char *action,
    const char *ban);


static const body_field_t  ip_ban_fields[] = {
    { "address", BODY_TEXT, BODY_REQUIRED, 64, NULL },
    { NULL, 0, 0, 0, NULL }
};


int
upstream_ban_list(upstream_request_t *r)
{
    return upstream_answer_list(r, "bans",
        store_array(r->upstream->store, "SELECT user_id, "
                    "reason, actor_id AS actor_user_id, "
                    "created_at FROM bans "
                    "WHERE guild_id = ? "
                    "ORDER BY created_at, user_id", "s",
                    r->params[0]));
}


int
upstream_ban_lift(upstream_request_t *r)
{
    if (store_exec(r->upstream->store, "DELETE FROM bans WHERE guild_id = ? "
                   "AND user_id = ?", "ss", r->params[0], r->params[1])
        == 0)
    {
        return upstream_error(r, 404, "not_found", "%s is not banned",
                              r->params[1]);
    }

    return 204;
}


int
upstream_ip_ban_list(upstream_request_t *r)
{
    return upstream_answer_list(r, "ip_bans",
        store_array(r->upstream->store, "SELECT "
                    "id AS ban_id, address, "
                    "actor_id AS actor_user_id, created_at "
                    "FROM ip_bans WHERE guild_id = ? "
                    "ORDER BY created_at, id", "s",
                    r->params[0]));
}


int
upstream_ip_ban_create(upstream_request_t *r)
{
    int                status, ok;
    char               id[32], address[64];
    json_t            *body;
    bans_net_t         net;
    upstream_store_t  *store;

    store = r->upstream->store;

    body = body_read(r, ip_ban_fields, &status);
    if (body == NULL) {
        return status;
    }

    ok = bans_parse(entity_text(body, "address"), &net) == 0
         && bans_text(&net, address, sizeof(address)) == 0;
    json_decref(body);

    if (!ok) {
        return upstream_error(r, 400, "bad_field", "address must be an IPv4 "
                              "or IPv6 address, or a network as 192.0.2.0/24");
    }

    if (store_number(store, 0, "SELECT count(*) FROM ip_bans "
                     "WHERE guild_id = ?", "s", r->params[0])
        >= BANS_IP)
    {
        return upstream_error(r, 409, "conflict", "there are %d bans already: "
                              "ban networks, or lift some", BANS_IP);
    }

    store_id(store, "b", id, sizeof(id));

    if (store_exec(store, "INSERT OR IGNORE INTO ip_bans (id, guild_id, "
                   "address, actor_id) VALUES (?, ?, ?, ?)", "ssss", id,
                   r->params[0], address, r->user)
        == 0)
    {
        return upstream_error(r, 409, "conflict", "it is banned already");
    }

    bans_sync(r, "add", id);

    return upstream_answer(r, 201, json_pack("{s:s, s:s}", "ban_id", id,
                                             "address", address));
}


int
upstream_ip_ban_delete(upstream_request_t *r)
{
    if (store_exec(r->upstream->store, "DELETE FROM ip_bans "
                   "WHERE guild_id = ? AND id = ?", "ss", r->params[0],
                   r->params[1])
        == 0)
    {
        return upstream_error(r, 404, "not_found", "there is no ban %s",
                              r->params[1]);
    }

    bans_sync(r, "remove", r->params[1]);

    return 204;
}


static void
bans_sync(upstream_request_t *r, const char *action, const char *ban)
{
    outbox_make(r, workspace_ip_ban_sync, .guild_id = r->params[0],
                .count = store_number(r->upstream->store, 0, "SELECT count(*) "
                                      "FROM ip_bans WHERE guild_id = ?", "s",
                                      r->params[0]),
                .action = action, .ban_id = ban, .actor_user_id = r->user);
    rights_tell_those(r, r->params[0], RIGHT_BAN);
}


int
bans_apply(upstream_request_t *r, const char *guild, const char *user)
{
    int          banned;
    size_t       i;
    json_t      *rows, *row;
    bans_net_t   net, address;
    const char  *text;

    if (store_number(r->upstream->store, 0, "SELECT 1 FROM bans "
                     "WHERE guild_id = ? AND user_id = ?", "ss", guild, user))
    {
        return 1;
    }

    text = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
                                       "X-Real-IP");

    if (text == NULL || bans_parse(text, &address) != 0) {
        return 0;
    }

    banned = 0;
    rows = store_array(r->upstream->store, "SELECT address FROM ip_bans "
                       "WHERE guild_id = ?", "s", guild);

    json_array_foreach(rows, i, row) {

        if (bans_parse(entity_text(row, "address"), &net) == 0) {
            banned |= bans_match(&net, &address);
        }
    }

    json_decref(rows);

    return banned;
}


/* Bits behind the prefix become 0. */

static int
bans_parse(const char *text, bans_net_t *net)
{
    char         host[64];
    size_t       i, n;
    unsigned     max, left;
    const char  *slash;

    memset(net, 0, sizeof(bans_net_t));

    slash = strchr(text, '/');
    n = slash ? (size_t) (slash - text) : strlen(text);

    if (n == 0 || n >= sizeof(host)) {
        return -1;
    }

    memcpy(host, text, n);
    host[n] = '\0';

    net->family = strchr(host, ':') ? AF_INET6 : AF_INET;
    max = net->family == AF_INET6 ? 128 : 32;
    net->bits = max;

    if (inet_pton(net->family, host, net->bytes) != 1) {
        return -1;
    }

    if (slash) {
        n = strspn(slash + 1, "0123456789");

        if (n == 0 || n > 3 || slash[1 + n]) {
            return -1;
        }

        net->bits = strtoul(slash + 1, NULL, 10);
    }

    if (net->bits > max || net->bits == 0) {
        return -1;
    }

    for (i = 0; i < max / 8; i++) {
        left = net->bits > i * 8 ? net->bits - i * 8 : 0;

        if (left < 8) {
            net->bytes[i] &= (uint8_t) (0xff00 >> left);
        }
    }

    return 0;
}


static int
bans_text(const bans_net_t *net, char *out, size_t size)
{
    size_t  n;

    if (inet_ntop(net->family, net->bytes, out, size) == NULL) {
        return -1;
    }

    if (net->bits < (net->family == AF_INET6 ? 128 : 32)) {
        n = strlen(out);
        snprintf(out + n, size - n, "/%u", net->bits);
    }

    return 0;
}


static int
bans_match(const bans_net_t *net, const bans_net_t *address)
{
    size_t    i;
    uint8_t   mask;
    unsigned  left;

    if (net->family != address->family) {
        return 0;
    }

    for (i = 0; i * 8 < net->bits; i++) {
        left = net->bits - i * 8;
        mask = left < 8 ? (uint8_t) (0xff00 >> left) : 0xff;

        if ((net->bytes[i] ^ address->bytes[i]) & mask) {
            return 0;
        }
    }

    return 1;
}
