
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_conf.h"
#include "ngx_http_delta_window.h"
#include "core/delta_name.h"
#include "ngx_http_delta_lua.h"


#define NGX_HTTP_DELTA_PASSWORD  1024


static char *ngx_http_delta_conf_redis_url(ngx_conf_t *cf,
    ngx_http_delta_redis_conf_t *redis, ngx_str_t *value);
static char *ngx_http_delta_conf_redis_param(ngx_conf_t *cf,
    ngx_http_delta_redis_conf_t *redis, ngx_str_t *value);
static char *ngx_http_delta_conf_password(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *password);
static int ngx_libc_cdecl ngx_http_delta_conf_longer(const void *one,
    const void *two);


char *
ngx_http_delta_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          *rv;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_delta_loc_conf_t     *dlcf = conf;
    ngx_http_delta_main_conf_t    *mcf;
    ngx_http_delta_redis_conf_t   *redis, **slot;

    if (dlcf->redis != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (ngx_http_delta_conf_once(cf, 2) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_delta_module);

    redis = ngx_pcalloc(cf->pool, sizeof(ngx_http_delta_redis_conf_t));
    slot = ngx_array_push(&mcf->redis);

    if (redis == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = redis;
    redis->index = mcf->redis.nelts - 1;
    redis->core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    redis->connect_timeout = 1000;
    redis->read_timeout = 5000;

    value = cf->args->elts;

    rv = ngx_http_delta_conf_redis_url(cf, redis, &value[1]);

    for (i = 2; i < cf->args->nelts && rv == NGX_CONF_OK; i++) {
        rv = ngx_http_delta_conf_redis_param(cf, redis, &value[i]);
    }

    if (redis->user.len && redis->password.len == 0 && rv == NGX_CONF_OK) {
        return "has user= without password_file=";
    }

    if (redis->db.len && redis->prefix.len == 0 && rv == NGX_CONF_OK) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "pub/sub ignores the database %V, add prefix= if "
                           "another application uses this Redis", &redis->db);
    }

    dlcf->redis = redis;

    return rv;
}


/* redis://host[:port][/db], unix:/path */

static char *
ngx_http_delta_conf_redis_url(ngx_conf_t *cf,
    ngx_http_delta_redis_conf_t *redis, ngx_str_t *value)
{
    u_char     *p;
    ngx_url_t   u;
    ngx_str_t   rest;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.default_port = 6379;

    if (value->len > 5 && ngx_strncmp(value->data, "unix:", 5) == 0) {
        u.url = *value;

    } else if (value->len > 8
               && ngx_strncmp(value->data, "redis://", 8) == 0)
    {
        rest.data = value->data + 8;
        rest.len = value->len - 8;

        if (ngx_strlchr(rest.data, rest.data + rest.len, '@')) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"delta_redis\" takes no password in the URL, "
                               "use user= and password_file=");
            return NGX_CONF_ERROR;
        }

        u.url = rest;
        p = ngx_strlchr(rest.data, rest.data + rest.len, '/');

        if (p) {
            u.url.len = p - rest.data;
            redis->db.data = p + 1;
            redis->db.len = rest.data + rest.len - p - 1;

            if (redis->db.len && ngx_atoi(redis->db.data, redis->db.len)
                                 == NGX_ERROR)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid database \"%V\" in \"%V\", give "
                                   "a number", &redis->db, value);
                return NGX_CONF_ERROR;
            }
        }

        if (redis->db.len == 1 && redis->db.data[0] == '0') {
            redis->db.len = 0;
        }

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\" in \"delta_redis\", give "
                           "redis://host:port/db or unix:/path", value);
        return NGX_CONF_ERROR;
    }

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V\"",
                           u.err ? u.err : "invalid address", value);
        return NGX_CONF_ERROR;
    }

    redis->name = u.url;
    redis->addrs = u.addrs;
    redis->naddrs = u.naddrs;

    /* localhost is in no DNS */

    if (ngx_strncmp(u.url.data, "unix:", 5) != 0 && u.url.data[0] != '['
        && ngx_inet_addr(u.host.data, u.host.len) == INADDR_NONE
        && !(u.host.len == 9
             && ngx_strncasecmp(u.host.data, (u_char *) "localhost", 9) == 0))
    {
        ngx_strlow(u.host.data, u.host.data, u.host.len);
        redis->host = u.host;
        redis->port = u.port;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_delta_conf_redis_param(ngx_conf_t *cf,
    ngx_http_delta_redis_conf_t *redis, ngx_str_t *value)
{
    ngx_int_t  n;
    ngx_str_t  text;

    if (ngx_http_delta_conf_param(value, "prefix=", &text)) {
        redis->prefix = text;

        if (text.len < 2 || text.data[text.len - 1] != ':'
            || !delta_name_valid((char *) text.data, text.len - 1))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\", a prefix is channel segments "
                               "and ends with \":\", as in prefix=app1:",
                               value);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (ngx_http_delta_conf_param(value, "user=", &text) && text.len) {
        redis->user = text;
        return NGX_CONF_OK;
    }

    if (ngx_http_delta_conf_param(value, "password_file=", &text)
        && text.len)
    {
        return ngx_http_delta_conf_password(cf, &text, &redis->password);
    }

    if (ngx_http_delta_conf_param(value, "connect_timeout=", &text)) {
        n = ngx_parse_time(&text, 0);

        if (n != NGX_ERROR && n != 0) {
            redis->connect_timeout = n;
            return NGX_CONF_OK;
        }
    }

    if (ngx_http_delta_conf_param(value, "read_timeout=", &text)) {
        n = ngx_parse_time(&text, 0);

        if (n != NGX_ERROR && n != 0) {
            redis->read_timeout = n;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"delta_redis\", it takes "
                       "prefix=, user=, password_file=, connect_timeout= and "
                       "read_timeout=", value);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_delta_conf_password(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *password)
{
    u_char    *buf;
    ssize_t    n;
    ngx_fd_t   fd;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    buf = ngx_pcalloc(cf->pool, NGX_HTTP_DELTA_PASSWORD + 2);
    if (buf == NULL) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    n = (fd == NGX_INVALID_FILE)
        ? -1 : ngx_read_fd(fd, buf, NGX_HTTP_DELTA_PASSWORD + 1);

    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot read the password file \"%V\"", path);
    }

    if (fd != NGX_INVALID_FILE) {
        ngx_close_file(fd);
    }

    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r')) {
        n--;
    }

    if (n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the password file \"%V\" is empty", path);
    }

    if (n > NGX_HTTP_DELTA_PASSWORD) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the password file \"%V\" is longer than %d bytes",
                           path, NGX_HTTP_DELTA_PASSWORD);
        n = 0;
    }

    password->data = buf;
    password->len = n > 0 ? n : 0;

    return n > 0 ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_delta_conf_channel(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                        n;
    ngx_str_t                       *value, text;
    ngx_uint_t                       i;
    ngx_http_delta_main_conf_t      *mcf = conf;
    ngx_http_delta_channel_conf_t   *channel;

    if (ngx_http_delta_conf_once(cf, 2) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (!delta_name_pattern((char *) value[1].data, value[1].len)) {
        return ngx_http_delta_conf_invalid(cf, cmd, &value[1],
                   "give a channel name such as guild:* (segments of "
                   "[A-Za-z0-9._~@|+-] joined by \":\", \"*\" for one)");
    }

    channel = mcf->channels.elts;

    for (i = 0; i < mcf->channels.nelts; i++) {

        if (channel[i].pattern.len == value[1].len
            && ngx_strncmp(channel[i].pattern.data, value[1].data,
                           value[1].len)
               == 0)
        {
            return "is duplicate for this channel";
        }
    }

    channel = ngx_array_push(&mcf->channels);
    if (channel == NULL) {
        return NGX_CONF_ERROR;
    }

    channel->pattern = value[1];
    channel->keep = NGX_HTTP_DELTA_KEEP;
    channel->replay = NGX_HTTP_DELTA_REPLAY;
    channel->window = 0;
    channel->max = NGX_HTTP_DELTA_WINDOW_MAX;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_delta_conf_param(&value[i], "keep=", &text)) {
            n = ngx_parse_time(&text, 0);

            if (n != NGX_ERROR && n > 0) {
                channel->keep = n;
                continue;
            }
        }

        if (ngx_http_delta_conf_param(&value[i], "replay=", &text)) {

            if (ngx_http_delta_conf_number(cf, &value[i], 7,
                                           &channel->replay)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_http_delta_conf_param(&value[i], "window=", &text)) {
            n = ngx_parse_time(&text, 0);

            if (n != NGX_ERROR && n <= NGX_HTTP_DELTA_WINDOW_TIME) {
                channel->window = n;
                continue;
            }
        }

        if (ngx_http_delta_conf_param(&value[i], "max=", &text)) {
            n = ngx_atoi(text.data, text.len);

            if (n >= 2 && n <= NGX_HTTP_DELTA_WINDOW_MAX) {
                channel->max = n;
                continue;
            }
        }

        return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                                           "it takes keep=time, "
                                           "replay=number, window=time up to "
                                           "1m and max=number from 2 to 256");
    }

    return NGX_CONF_OK;
}


/*
 * Publishers need not know how long a channel is kept: the table stands in
 * the library's text, at its mark.
 */

ngx_int_t
ngx_http_delta_conf_library(ngx_conf_t *cf, ngx_http_delta_main_conf_t *mcf)
{
    u_char                         *p, *mark, *end;
    size_t                          len;
    ngx_uint_t                      i, k;
    ngx_http_delta_redis_conf_t   **redis;
    ngx_http_delta_channel_conf_t  *channel;

    channel = mcf->channels.elts;

    ngx_qsort(channel, mcf->channels.nelts,
              sizeof(ngx_http_delta_channel_conf_t),
              ngx_http_delta_conf_longer);

    mark = (u_char *) ngx_strstr(ngx_http_delta_lua, "--@retention");
    if (mark == NULL) {
        return NGX_ERROR;
    }

    end = (u_char *) ngx_strchr(mark, '\n');

    while (mark[-1] != '\n') {
        mark--;
    }

    redis = mcf->redis.elts;
    len = ngx_strlen(ngx_http_delta_lua) + 64;

    for (k = 0; k < mcf->redis.nelts; k++) {
        for (i = 0; i < mcf->channels.nelts; i++) {
            len += redis[k]->prefix.len + channel[i].pattern.len
                   + NGX_INT64_LEN + 32;
        }
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    mcf->library.data = p;

    p = ngx_cpymem(p, ngx_http_delta_lua,
                   mark - (u_char *) ngx_http_delta_lua);
    p = ngx_sprintf(p, "local RETENTION = {");

    /* one text for all: names with another prefix match nothing */

    for (k = 0; k < mcf->redis.nelts; k++) {
        for (i = 0; i < mcf->channels.nelts; i++) {
            p = ngx_sprintf(p, "{'%V%V',%M},", &redis[k]->prefix,
                            &channel[i].pattern, channel[i].keep);
        }
    }

    p = ngx_sprintf(p, "}");
    p = ngx_cpymem(p, end, ngx_strlen(end));

    mcf->library.len = p - mcf->library.data;
    *p = '\0';

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_delta_conf_longer(const void *one, const void *two)
{
    delta_str_t                           a, b;
    const ngx_http_delta_channel_conf_t  *first = one, *second = two;

    a.data = (char *) first->pattern.data;
    a.len = first->pattern.len;
    b.data = (char *) second->pattern.data;
    b.len = second->pattern.len;

    return (int) delta_name_literal(b) - (int) delta_name_literal(a);
}
