
/*
 * Copyright (C) Delta contributors
 */

#include "handlers.h"
#include "router.h"


static int router_match(upstream_request_t *r, const char *pattern,
    const char *path);
static int router_param(char *out, const char *p, size_t n);
static int router_hex(char c);
static void router_allow(upstream_request_t *r, const char *method);


/* A literal segment stands before a parameter in its place. */

static const upstream_route_t  router_routes[] = {

    { "GET",    "/healthz",                      upstream_health,        0 },

    { "POST",   "/api/login",                    upstream_login,         0 },

    { "GET",    "/api/users/me",                 upstream_user_me,       1 },
    { "PATCH",  "/api/users/me",                 upstream_user_patch,    1 },
    { "PUT",    "/api/users/me/follows/{id}",    upstream_follow,        1 },
    { "DELETE", "/api/users/me/follows/{id}",    upstream_unfollow,      1 },
    { "GET",    "/api/users/{id}",               upstream_user_get,      0 },
    { "POST",   "/api/users/{id}/follow",        upstream_follow,        1 },
    { "DELETE", "/api/users/{id}/follow",        upstream_unfollow,      1 },

    { "POST",   "/api/guilds",                   upstream_guild_create,  1 },
    { "GET",    "/api/guilds/{id}",              upstream_guild_get,     1 },
    { "PATCH",  "/api/guilds/{id}",              upstream_guild_patch,   1 },

    { "POST",   "/api/guilds/{id}/join",         upstream_member_join,   1 },
    { "GET",    "/api/guilds/{id}/members",      upstream_member_list,   1 },
    { "DELETE", "/api/guilds/{id}/members/me",   upstream_member_leave,  1 },
    { "PATCH",  "/api/guilds/{id}/members/{user}",
                                                 upstream_member_patch,  1 },
    { "POST",   "/api/guilds/{id}/members/{user}/kick",
                                                 upstream_member_kick,   1 },
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
            if (router_param(r->params[param++], path, len) != 0) {
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
router_param(char *out, const char *p, size_t n)
{
    int     high, low;
    size_t  i, len;

    for (i = 0, len = 0; i < n; len++) {

        if (len == DELTA_NAME_SEGMENT) {
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

        if (high < 0 || low < 0) {
            return -1;
        }

        out[len] = (char) (high * 16 + low);
        i += 3;
    }

    out[len] = '\0';

    return delta_name_segment(out, len) ? 0 : -1;
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
