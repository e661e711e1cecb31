
/*
 * Copyright (C) Delta contributors
 */

#include "delta_utf8.h"
#include "handlers.h"
#include "membership.h"
#include "rights.h"
#include "router.h"
#include "space.h"


static int router_match(upstream_request_t *r, const char *pattern,
    const char *path);
static int router_param(char *out, const char *pattern, const char *p,
    size_t n);
static int router_emoji(const char *p, size_t n);
static int router_hex(char c);
static void router_allow(upstream_request_t *r, const char *method);


#define CHANNELS  "/api/guilds/{guild_id}/channels"
#define MESSAGES  CHANNELS "/{channel_id}/messages"


/*
 * A literal segment stands before a parameter in its place.  1 is
 * UPSTREAM_USER.
 */

static const upstream_route_t  router_routes[] = {

    { "GET",    "/healthz",                      upstream_health,        0 },

    { "GET",    "/internal/membership",          upstream_membership,    0 },

    { "POST",   "/api/login",                    upstream_login,         0 },

    { "GET",    "/api/users/me",                 upstream_user_me,       1 },
    { "PATCH",  "/api/users/me",                 upstream_user_patch,    1 },
    { "PUT",    "/api/users/me/follows/{id}",    upstream_follow,        1 },
    { "DELETE", "/api/users/me/follows/{id}",    upstream_unfollow,      1 },
    { "GET",    "/api/users/{id}",               upstream_user_get,      0 },
    { "GET",    "/api/users/{id}/last_seen",     upstream_last_seen,     1 },
    { "POST",   "/api/users/{id}/follow",        upstream_follow,        1 },
    { "DELETE", "/api/users/{id}/follow",        upstream_unfollow,      1 },

    { "GET",    "/api/users/me/guilds",          upstream_guild_list,    1 },
    { "PATCH",  "/api/users/me/profile",         upstream_profile_patch, 1 },
    { "POST",   "/api/users/me/profile/avatar",  upstream_profile_avatar,
      UPSTREAM_USER|UPSTREAM_UPLOAD },
    { "GET",    "/api/users/{user_id}/avatar",   upstream_avatar,        1 },

    { "GET",    "/api/friends",                  upstream_friend_list,   1 },
    { "GET",    "/api/friends/requests",         upstream_request_list,  1 },
    { "POST",   "/api/friends/requests",         upstream_request_create, 1 },
    { "DELETE", "/api/friends/requests/{request_id}",
      upstream_request_delete, 1 },
    { "POST",   "/api/friends/requests/{request_id}/accept",
      upstream_request_accept, 1 },
    { "DELETE", "/api/friends/{user_id}",        upstream_friend_remove, 1 },

    { "POST",   "/api/guilds",                   upstream_guild_create,  1 },
    { "GET",    "/api/guilds/{guild_id}",        upstream_guild_get,     1 },
    { "PATCH",  "/api/guilds/{guild_id}",        upstream_guild_patch,
      UPSTREAM_IN_GUILD(RIGHT_WORKSPACE) },
    { "PATCH",  "/api/guilds/{guild_id}/settings",
      upstream_guild_settings, UPSTREAM_IN_GUILD(RIGHT_WORKSPACE) },

    { "POST",   "/api/guilds/{guild_id}/join",   upstream_member_join,   1 },
    { "GET",    "/api/guilds/{guild_id}/members",
      upstream_member_list, UPSTREAM_IN_GUILD(0) },
    { "GET",    "/api/guilds/{guild_id}/members/me",
      upstream_member_me, UPSTREAM_IN_GUILD(0) },
    { "PATCH",  "/api/guilds/{guild_id}/members/me",
      upstream_member_nick, 1 },
    { "DELETE", "/api/guilds/{guild_id}/members/me",
      upstream_member_leave, 1 },
    { "POST",   "/api/guilds/{guild_id}/members/{user_id}",
      upstream_member_add, UPSTREAM_IN_GUILD(RIGHT_ADD) },
    { "PATCH",  "/api/guilds/{guild_id}/members/{user_id}",
      upstream_member_patch, UPSTREAM_IN_GUILD(RIGHT_ROLES) },
    { "POST",   "/api/guilds/{guild_id}/members/{user_id}/kick",
      upstream_member_kick, UPSTREAM_IN_GUILD(RIGHT_KICK) },
    { "POST",   "/api/guilds/{guild_id}/members/{user_id}/ban",
      upstream_member_ban, UPSTREAM_IN_GUILD(RIGHT_BAN) },

    { "GET",    "/api/guilds/{guild_id}/bans",
      upstream_ban_list, UPSTREAM_IN_GUILD(RIGHT_BAN) },
    { "DELETE", "/api/guilds/{guild_id}/bans/{user_id}",
      upstream_ban_lift, UPSTREAM_IN_GUILD(RIGHT_BAN) },
    { "GET",    "/api/guilds/{guild_id}/ip-bans",
      upstream_ip_ban_list, UPSTREAM_IN_GUILD(RIGHT_BAN) },
    { "POST",   "/api/guilds/{guild_id}/ip-bans",
      upstream_ip_ban_create, UPSTREAM_IN_GUILD(RIGHT_BAN) },
    { "DELETE", "/api/guilds/{guild_id}/ip-bans/{ban_id}",
      upstream_ip_ban_delete, UPSTREAM_IN_GUILD(RIGHT_BAN) },

    { "GET",    "/api/guilds/{guild_id}/roles",
      upstream_role_list, UPSTREAM_IN_GUILD(0) },
    { "POST",   "/api/guilds/{guild_id}/roles",
      upstream_role_create, UPSTREAM_IN_GUILD(RIGHT_ROLES) },
    { "POST",   "/api/guilds/{guild_id}/roles/reorder",
      upstream_role_reorder, UPSTREAM_IN_GUILD(RIGHT_ROLES) },
    { "PATCH",  "/api/guilds/{guild_id}/roles/{role_id}",
      upstream_role_patch, UPSTREAM_IN_GUILD(RIGHT_ROLES) },
    { "DELETE", "/api/guilds/{guild_id}/roles/{role_id}",
      upstream_role_delete, UPSTREAM_IN_GUILD(RIGHT_ROLES) },
    { "POST",   "/api/guilds/{guild_id}/roles/{role_id}/members/{user_id}",
      upstream_role_assign, UPSTREAM_IN_GUILD(RIGHT_ROLES) },
    { "DELETE", "/api/guilds/{guild_id}/roles/{role_id}/members/{user_id}",
      upstream_role_unassign, UPSTREAM_IN_GUILD(RIGHT_ROLES) },

    { "GET",    CHANNELS,
      upstream_channel_list, UPSTREAM_IN_GUILD(0) },
    { "POST",   CHANNELS,
      upstream_channel_create, UPSTREAM_IN_GUILD(RIGHT_CHANNELS) },
    { "POST",   CHANNELS "/reorder",
      upstream_channel_reorder, UPSTREAM_IN_GUILD(RIGHT_CHANNELS) },
    { "PATCH",  CHANNELS "/{channel_id}",
      upstream_channel_patch, UPSTREAM_IN_CHANNEL(RIGHT_CHANNELS) },
    { "DELETE", CHANNELS "/{channel_id}",
      upstream_channel_delete, UPSTREAM_IN_CHANNEL(RIGHT_CHANNELS) },
    { "GET",    CHANNELS "/{channel_id}/overrides",
      upstream_override_list, UPSTREAM_IN_CHANNEL(RIGHT_ROLES) },
    { "POST",   CHANNELS "/{channel_id}/overrides/{role_id}",
      upstream_override_set, UPSTREAM_IN_CHANNEL(RIGHT_ROLES) },

    { "GET",    MESSAGES,
      upstream_message_list, UPSTREAM_IN_CHANNEL(0) },
    { "POST",   MESSAGES,
      upstream_message_create, UPSTREAM_IN_CHANNEL(RIGHT_SEND) },
    { "PATCH",  MESSAGES "/{message_id}",
      upstream_message_patch, UPSTREAM_ON_MESSAGE(0) },
    { "DELETE", MESSAGES "/{message_id}",
      upstream_message_delete, UPSTREAM_ON_MESSAGE(0) },
    { "POST",   MESSAGES "/{message_id}/reactions/{emoji}",
      upstream_reaction_add, UPSTREAM_ON_MESSAGE(RIGHT_REACT) },
    { "DELETE", MESSAGES "/{message_id}/reactions/{emoji}",
      upstream_reaction_remove, UPSTREAM_ON_MESSAGE(0) },
    { "POST",   MESSAGES "/{message_id}/attachments",
      upstream_attachment_create,
      UPSTREAM_ON_MESSAGE(RIGHT_ATTACH)|UPSTREAM_UPLOAD },
    { "GET",    MESSAGES "/{message_id}/attachments/{attachment_id}",
      upstream_attachment_get, UPSTREAM_ON_MESSAGE(0) },
    { "DELETE", MESSAGES "/{message_id}/attachments/{attachment_id}",
      upstream_attachment_delete, UPSTREAM_ON_MESSAGE(0) },

    { "POST",   "/api/spaces",                   upstream_space_create,  1 },
    { "GET",    "/api/spaces/{id}",              upstream_space_get,     1 },
    { "PUT",    "/api/spaces/{id}/members/me",   upstream_space_join,    1 },
    { "DELETE", "/api/spaces/{id}/members/me",   upstream_space_leave,   1 },
    { "GET",    "/api/spaces/{id}/intentions",   upstream_intention_list, 1 },
    { "POST",   "/api/spaces/{id}/intentions",   upstream_intention_create,
                                                                         1 },
    { "PATCH",  "/api/spaces/{id}/intentions/{intention}",
                                                 upstream_intention_patch,
                                                                         1 },
    { "DELETE", "/api/spaces/{id}/intentions/{intention}",
                                                 upstream_intention_delete,
                                                                         1 },
    { "GET",    "/internal/intentions",          upstream_intentions_since,
                                                                         1 },
    { NULL, NULL, NULL, 0 }
};


const upstream_route_t *
upstream_route(upstream_request_t *r, const char *method, const char *path,
    int *status)
{
    const upstream_route_t  *route;

    if (strcmp(method, "HEAD") == 0) {
        method = "GET";
    }

    for (route = router_routes; route->method; route++) {

        if (!router_match(r, route->pattern, path)) {
            continue;
        }

        if (strcmp(route->method, method) == 0) {
            return route;
        }

        router_allow(r, route->method);
    }

    *status = r->allow[0] ? 405 : 404;

    return NULL;
}


static int
router_match(upstream_request_t *r, const char *pattern, const char *path)
{
    int     param;
    size_t  n, len;

    param = 0;

    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;

        n = strcspn(pattern, "/");
        len = strcspn(path, "/");

        if (*pattern == '{') {
            if (router_param(r->params[param++], pattern, path, len) != 0) {
                return 0;
            }

        } else if (n != len || memcmp(pattern, path, n) != 0) {
            return 0;
        }

        pattern += n;
        path += len;
    }

    return *pattern == '\0' && *path == '\0';
}


static int
router_param(char *out, const char *pattern, const char *p, size_t n)
{
    int  len;

    len = upstream_unescape(out, DELTA_NAME_SEGMENT + 1, p, n);

    if (len > 0 && strncmp(pattern, "{emoji}", 7) == 0) {
        return router_emoji(out, len);
    }

    return len > 0 && delta_name_segment(out, len) ? 0 : -1;
}


static int
router_emoji(const char *p, size_t n)
{
    size_t    i;
    uint32_t  state;

    for (i = 0; i < n; i++) {

        if ((uint8_t) p[i] < ' ' || p[i] == 0x7f) {
            return -1;
        }
    }

    state = 0;

    return n <= 64 && delta_utf8_check(&state, (const uint8_t *) p, n) == 0
           && state == 0 ? 0 : -1;
}


int
upstream_unescape(char *out, size_t size, const char *p, size_t n)
{
    int     high, low;
    size_t  i, len;

    for (i = 0, len = 0; i < n; len++) {

        if (len == size - 1) {
            return -1;
        }

        if (p[i] != '%') {
            out[len] = p[i++];
            continue;
        }

        if (n - i < 3) {
            return -1;
        }

        high = router_hex(p[i + 1]);
        low = router_hex(p[i + 2]);

        if (high < 0 || low < 0 || high + low == 0) {
            return -1;
        }

        out[len] = (char) (high * 16 + low);
        i += 3;
    }

    out[len] = '\0';

    return len;
}


static int
router_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static void
router_allow(upstream_request_t *r, const char *method)
{
    size_t  n;

    if (strstr(r->allow, method)) {
        return;
    }

    n = strlen(r->allow);

    snprintf(r->allow + n, sizeof(r->allow) - n, "%s%s%s", n ? ", " : "",
             method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}
