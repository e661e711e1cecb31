
/*
 * Copyright (C) Delta contributors
 */

#include <stdlib.h>
#include "delta_publish_url.h"


static const char *delta_publish_url_login(delta_publish_url_t *url,
    const char *p, size_t n);
static const char *delta_publish_url_host(delta_publish_url_t *url,
    const char *p, size_t n);
static const char *delta_publish_url_db(delta_publish_url_t *url,
    const char *p);
static int delta_publish_url_decode(char *out, const char *p, size_t n);
static int delta_publish_url_copy(char *out, size_t size, const char *p,
    size_t n);
static int delta_publish_url_hex(char c);


/* Whatever the event is, these may pass when Redis is in another state. */

static const char  *delta_publish_retries[] = {
    "LOADING", "READONLY", "OOM", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN",
    "TRYAGAIN", "BUSY", "MISCONF", "MOVED", "ASK", "NOAUTH", "WRONGPASS",
    "UNBLOCKED", "ERR Function not found", "ERR unknown command",
    "ERR max number of clients", "ERR invalid password", "ERR AUTH",
    "ERR DB index", "ERR SELECT"
};


const char *
delta_publish_url_parse(delta_publish_url_t *url, const char *text)
{
    size_t       n;
    const char  *p, *at, *error;

    memset(url, 0, sizeof(delta_publish_url_t));

    if (strncmp(text, "unix:", 5) == 0) {
        p = text + 5;

        if (p[0] == '\0'
            || delta_publish_url_copy(url->path, sizeof(url->path), p,
                                      strlen(p))
               != 0)
        {
            return "behind unix: a path is due, at most 255 bytes";
        }

        return NULL;
    }

    if (strncmp(text, "redis://", 8) != 0) {
        return "it begins neither with redis:// nor with unix:";
    }

    p = text + 8;
    n = strcspn(p, "/");
    at = p + n;

    while (at > p && at[-1] != '@') {
        at--;
    }

    if (at > p) {
        error = delta_publish_url_login(url, p, at - 1 - p);
        if (error) {
            return error;
        }
    }

    error = delta_publish_url_host(url, at, p + n - at);
    if (error) {
        return error;
    }

    return delta_publish_url_db(url, p + n);
}


static const char *
delta_publish_url_login(delta_publish_url_t *url, const char *p, size_t n)
{
    const char  *colon;

    colon = memchr(p, ':', n);

    if (colon == NULL) {
        return "before the @ user:password is due, or :password";
    }

    if (delta_publish_url_decode(url->user, p, colon - p) != 0
        || delta_publish_url_decode(url->password, colon + 1,
                                    p + n - colon - 1)
           != 0)
    {
        return "user or password is too long or badly percent-encoded";
    }

    return NULL;
}


static const char *
delta_publish_url_host(delta_publish_url_t *url, const char *p, size_t n)
{
    size_t       len;
    const char  *end, *port;

    end = p + n;

    if (n && p[0] == '[') {
        p++;
        len = strcspn(p, "]/");

        if (p[len] != ']') {
            return "the ] of the address is missing";
        }

        port = p + len + 1;

    } else {
        len = strcspn(p, ":/");
        port = p + len;
    }

    if (len == 0
        || delta_publish_url_copy(url->host, sizeof(url->host), p, len) != 0)
    {
        return "the host is empty or over 255 bytes";
    }

    url->port = 6379;

    if (port == end) {
        return NULL;
    }

    len = end - port - 1;

    if (port[0] != ':' || len == 0 || len > 5
        || strspn(port + 1, "0123456789") != len
        || atoi(port + 1) == 0 || atoi(port + 1) > 65535)
    {
        return "the port is not a number from 1 to 65535";
    }

    url->port = atoi(port + 1);

    return NULL;
}


static const char *
delta_publish_url_db(delta_publish_url_t *url, const char *p)
{
    size_t  len;

    if (p[0] == '\0' || p[1] == '\0') {
        return NULL;
    }

    p++;
    len = strlen(p);

    if (strspn(p, "0123456789") != len
        || delta_publish_url_copy(url->db, sizeof(url->db), p, len) != 0)
    {
        return "behind the / a database number is due";
    }

    return NULL;
}


static int
delta_publish_url_decode(char *out, const char *p, size_t n)
{
    int     high, low;
    size_t  i, len;

    for (i = 0, len = 0; i < n; len++) {

        if (len == DELTA_PUBLISH_URL_TEXT - 1) {
            return -1;
        }

        if (p[i] != '%') {
            out[len] = p[i++];
            continue;
        }

        if (n - i < 3) {
            return -1;
        }

        high = delta_publish_url_hex(p[i + 1]);
        low = delta_publish_url_hex(p[i + 2]);

        if (high < 0 || low < 0 || high + low == 0) {
            return -1;
        }

        out[len] = (char) (high * 16 + low);
        i += 3;
    }

    out[len] = '\0';

    return 0;
}


static int
delta_publish_url_copy(char *out, size_t size, const char *p, size_t n)
{
    if (n >= size) {
        return -1;
    }

    memcpy(out, p, n);
    out[n] = '\0';

    return 0;
}


static int
delta_publish_url_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


int
delta_publish_retryable(const char *error)
{
    size_t  i, n, len;

    n = sizeof(delta_publish_retries) / sizeof(delta_publish_retries[0]);

    for (i = 0; i < n; i++) {
        len = strlen(delta_publish_retries[i]);

        if (strncmp(error, delta_publish_retries[i], len) == 0) {
            return 1;
        }
    }

    return 0;
}
