
/*
 * Copyright (C) Delta contributors
 */

#include "delta_publish.h"
#include "delta_publish_url.h"
#include "tap.h"


#define P8    "abcdefgh"
#define P64   P8 P8 P8 P8 P8 P8 P8 P8
#define P256  P64 P64 P64 P64


typedef struct {
    const char  *url;
    const char  *host;      /* NULL: refused */
    int          port;
    const char  *path;
    const char  *user;
    const char  *password;
    const char  *db;
} publisher_url_case_t;

typedef struct {
    const char  *error;
    int          retryable;
} publisher_error_case_t;


static const publisher_url_case_t  publisher_url_cases[] = {
    { "redis://h", "h", 6379, "", "", "", "" },
    { "redis://h/", "h", 6379, "", "", "", "" },
    { "redis://127.0.0.1:6380", "127.0.0.1", 6380, "", "", "", "" },
    { "redis://h:1/15", "h", 1, "", "", "", "15" },
    { "redis://:p@h:65535/0", "h", 65535, "", "", "p", "0" },
    { "redis://u:p@h", "h", 6379, "", "u", "p", "" },
    { "redis://u:p%40%2f:@h", "h", 6379, "", "u", "p@/:", "" },
    { "redis://u:a@b@h", "h", 6379, "", "u", "a@b", "" },
    { "redis://[::1]:7", "::1", 7, "", "", "", "" },
    { "redis://[::1]", "::1", 6379, "", "", "", "" },
    { "unix:/run/redis.sock", "", 0, "/run/redis.sock", "", "", "" },
    { "unix:redis.sock", "", 0, "redis.sock", "", "", "" },
    { "", NULL, 0, NULL, NULL, NULL, NULL },
    { "h:1", NULL, 0, NULL, NULL, NULL, NULL },
    { "rediss://h", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis:///0", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://:1", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://u:p@", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://u@h", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://u:%@h", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://u:%4@h", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://u:%4g@h", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://u:%00@h", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h:", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h:0", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h:65536", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h:100000", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h:-1", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h:1x", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://[::1", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://[::1]7", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h/x", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h/1/2", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://h/1234567890123456", NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://" P256, NULL, 0, NULL, NULL, NULL, NULL },
    { "redis://u:" P256 "@h", NULL, 0, NULL, NULL, NULL, NULL },
    { "unix:", NULL, 0, NULL, NULL, NULL, NULL },
    { "unix:/" P256, NULL, 0, NULL, NULL, NULL, NULL },
};


static const publisher_error_case_t  publisher_error_cases[] = {
    { "LOADING Redis is loading the dataset in memory", 1 },
    { "READONLY You can't write against a read only replica.", 1 },
    { "OOM command not allowed when used memory > 'maxmemory'.", 1 },
    { "NOREPLICAS Not enough good replicas to write.", 1 },
    { "CLUSTERDOWN The cluster is down", 1 },
    { "BUSY Redis is busy running a script.", 1 },
    { "MISCONF Redis is configured to save RDB snapshots", 1 },
    { "ERR Function not found", 1 },
    { "ERR max number of clients reached", 1 },
    { "WRONGTYPE Operation against a key holding the wrong kind", 0 },
    { "NOPERM this user has no permissions", 0 },
    { "DELTA the channel is not segments", 0 },
    { "ERR Protocol error", 0 },
    { "ERR user_function:1: boom", 0 },
    { "", 0 },
};


static void
publisher_url_case(const publisher_url_case_t *test)
{
    size_t               n;
    const char          *error;
    delta_publish_url_t  url;

    n = strlen(test->url) + 1;
    error = delta_publish_url_parse(&url, guard(test->url, n));

    if (test->host == NULL) {
        ok(error != NULL, "%s is refused", test->url);
        return;
    }

    if (!ok(error == NULL, "%s is taken", test->url)) {
        return;
    }

    ok(strcmp(url.host, test->host) == 0 && url.port == test->port
       && strcmp(url.path, test->path) == 0, "place of %s", test->url);
    ok(strcmp(url.user, test->user) == 0
       && strcmp(url.password, test->password) == 0
       && strcmp(url.db, test->db) == 0, "login and db of %s", test->url);
}


static void
publisher_create(const char *url, const char *prefix, int good)
{
    char                error[128];
    delta_publisher_t  *p;

    error[0] = '\0';
    p = delta_publisher_create(url, prefix, error, sizeof(error));

    ok((p != NULL) == good && (error[0] == '\0') == good,
       "publisher %s prefix %s", url, prefix ? prefix : "none");

    delta_publisher_free(p);
}


static void
publisher_arguments(void)
{
    char                id[DELTA_PUBLISH_ID], error[128];
    delta_publisher_t  *p;

    p = delta_publisher_create("unix:/nonexistent/redis.sock", "app:", error,
                               sizeof(error));

    is_int(delta_publish(p, "a:{b}", "{}", 2, NULL, 0, id),
           DELTA_PUBLISH_PERMANENT, "a bad channel is never sent");
    is_int(delta_publish(p, P256, "{}", 2, NULL, 0, id),
           DELTA_PUBLISH_PERMANENT, "nor one that is too long");
    is_int(delta_publish(p, "a", "{}", 2, "s/", 1, id),
           DELTA_PUBLISH_PERMANENT, "nor a bad source");
    is_int(delta_publish(p, "a", "{}", 2, "s", 9007199254740992u, id),
           DELTA_PUBLISH_PERMANENT, "nor an n over 2^53 - 1");
    is_int(delta_publish(p, "a", "{}", 2, "s", 1, id),
           DELTA_PUBLISH_RETRY, "no Redis is a reason to retry");
    ok(strstr(delta_publisher_error(p), "/nonexistent/redis.sock") != NULL,
       "and the error names the place: %s", delta_publisher_error(p));

    delta_publisher_free(p);
    delta_publisher_free(NULL);
}


int
main(void)
{
    size_t                         i, n;
    const publisher_error_case_t  *test;

    plan(0);

    n = sizeof(publisher_url_cases) / sizeof(publisher_url_cases[0]);

    for (i = 0; i < n; i++) {
        publisher_url_case(&publisher_url_cases[i]);
    }

    n = sizeof(publisher_error_cases) / sizeof(publisher_error_cases[0]);

    for (i = 0; i < n; i++) {
        test = &publisher_error_cases[i];
        is_int(delta_publish_retryable(test->error), test->retryable, "%s",
               test->error);
    }

    publisher_create("redis://h", NULL, 1);
    publisher_create("redis://h", "", 1);
    publisher_create("redis://h", "app1:", 1);
    publisher_create("redis://h", "app1:x:", 1);
    publisher_create("redis://h", "app1", 0);
    publisher_create("redis://h", ":", 0);
    publisher_create("redis://h", "a b:", 0);
    publisher_create("http://h", NULL, 0);

    publisher_arguments();

    return done_testing();
}
