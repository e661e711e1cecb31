
/*
 * Copyright (C) Delta contributors
 */

#include "delta_post.h"
#include "tap.h"


#define N63   "012345678901234567890123456789012345678901234567890123456789012"
#define N127  N63 N63 "6"


/* What is read, or why not. */

static const struct {
    const char  *text;
    const char  *want;
} post_cases[] = {
    { "{\"channel\":\"guild:42\",\"t\":\"patch\",\"d\":{}}",
      "guild:42 patch {}" },
    { " { \"d\" : { \"a\" : [ 1 ] } ,\n\"t\":\"x\", \"channel\":\"a\" } ",
      "a x { \"a\" : [ 1 ] }" },
    { "[{\"channel\":\"a\",\"t\":\"x\",\"d\":{}},"
      "{\"channel\":\"b\",\"t\":\"y\",\"d\":{\"\\u0041\":\"\\n\"}}]",
      "a x {}; b y {\"\\u0041\":\"\\n\"}" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"source\":\"s\",\"n\":0}",
      "a x {} s/0" },
    { "{\"n\":9007199254740991,\"source\":\"" N127 "x\",\"channel\":\"a\","
      "\"t\":\"x\",\"d\":{}}", "a x {} " N127 "x/9007199254740991" },

    { "", "-1  is not JSON" },
    { "{", "-1  is not JSON" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{}}x", "-1  is not JSON" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{\"a\":\"\xff\"}}",
      "-1  is not JSON" },
    { "\"a\"", "-1  is not an object" },
    { "[]", "-1  has no events" },
    { "[1]", "-1 /0 is not an object" },
    { "[[]]", "-1 /0 is not an object" },
    { "[{\"channel\":\"a\",\"t\":\"x\",\"d\":{}},1]",
      "-1 /1 is not an object" },
    { "{}", "-1 /t is missing" },
    { "{\"t\":\"x\"}", "-1 /d is missing" },
    { "{\"t\":\"x\",\"d\":{}}", "-1 /channel is missing" },
    { "[{\"channel\":\"a\",\"t\":\"x\",\"d\":{}},{\"t\":\"x\",\"d\":{}}]",
      "-1 /1/channel is missing" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"id\":1}",
      "-1  has a member other than channel, t, d, source and n" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"\\u0074\":\"y\"}",
      "-1  has a member other than channel, t, d, source and n" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"t\":\"y\"}",
      "-1 /t comes twice" },
    { "{\"channel\":\"a\",\"channel\":\"b\",\"t\":\"x\",\"d\":{}}",
      "-1 /channel comes twice" },
    { "{\"channel\":\"a\",\"t\":\"X\",\"d\":{}}",
      "-1 /t is not 1 to 64 characters of a-z 0-9 _ and dot" },
    { "{\"channel\":\"a\",\"t\":\"\\u0061\",\"d\":{}}",
      "-1 /t is not 1 to 64 characters of a-z 0-9 _ and dot" },
    { "{\"channel\":\"a\",\"t\":1,\"d\":{}}",
      "-1 /t is not 1 to 64 characters of a-z 0-9 _ and dot" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":[]}", "-1 /d is not an object" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":null}", "-1 /d is not an object" },
    { "{\"channel\":\"a:\",\"t\":\"x\",\"d\":{}}",
      "-1 /channel is not the name of a channel" },
    { "{\"channel\":\"a:*\",\"t\":\"x\",\"d\":{}}",
      "-1 /channel is not the name of a channel" },
    { "{\"channel\":\"\\u0061\",\"t\":\"x\",\"d\":{}}",
      "-1 /channel is not the name of a channel" },
    { "{\"channel\":\"" N127 "xy\",\"t\":\"x\",\"d\":{}}",
      "-1 /channel is not the name of a channel" },
    { "{\"channel\":7,\"t\":\"x\",\"d\":{}}",
      "-1 /channel is not the name of a channel" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"source\":\"s\"}",
      "-1 /n is missing" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"n\":1}",
      "-1 /source is missing" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"n\":-1,\"source\":\"s\"}",
      "-1 /n is not a whole number up to 2^53 - 1" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"n\":1.0,\"source\":\"s\"}",
      "-1 /n is not a whole number up to 2^53 - 1" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"n\":9007199254740992,"
      "\"source\":\"s\"}", "-1 /n is not a whole number up to 2^53 - 1" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"n\":\"1\",\"source\":\"s\"}",
      "-1 /n is not a whole number up to 2^53 - 1" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"n\":1,\"source\":\"a/b\"}",
      "-1 /source is not a segment of a channel" },
    { "{\"channel\":\"a\",\"t\":\"x\",\"d\":{},\"n\":1,\"source\":null}",
      "-1 /source is not a segment of a channel" },
};


#define STR(s)  (int) (s).len, (s).data


static const char *
post_read(const char *text, size_t n)
{
    int                     i, rc;
    size_t                  len;
    delta_post_t            posts[DELTA_POST_MAX];
    delta_contract_fault_t  fault;
    static char             out[4096];

    rc = delta_post_parse(posts, text, n, &fault);

    if (rc <= 0) {
        snprintf(out, sizeof(out), "%d %s %s", rc, fault.pointer, fault.what);
        return out;
    }

    for (i = 0, len = 0; i < rc && len < sizeof(out) - 1024; i++) {
        len += sprintf(out + len, "%s%.*s %.*s %.*s", i ? "; " : "",
                       STR(posts[i].channel), STR(posts[i].event.t),
                       STR(posts[i].event.d));

        if (posts[i].source.len) {
            len += sprintf(out + len, " %.*s/%lld", STR(posts[i].source),
                           (long long) posts[i].n);
        }
    }

    return out;
}


static void
post_many(void)
{
    char          *text, *p;
    size_t         i;
    const char    *said;

    text = malloc((DELTA_POST_MAX + 1) * 64);
    p = text;
    *p++ = '[';

    for (i = 0; i < DELTA_POST_MAX; i++) {
        p += sprintf(p, "%s{\"channel\":\"a\",\"t\":\"x\",\"d\":{}}",
                     i ? "," : "");
    }

    *p = ']';
    said = post_read(text, p + 1 - text);
    ok(strncmp(said, "a x {}; a x {}", 14) == 0, "as many as there may be");

    p += sprintf(p, ",1]");
    said = post_read(text, p - text);
    is_str(said, "-2  has too many events", "one more");

    free(text);
}


int
main(void)
{
    size_t                  i, n, cut;
    const char             *said;
    delta_contract_fault_t  fault;

    plan(0);

    for (i = 0; i < sizeof(post_cases) / sizeof(post_cases[0]); i++) {
        n = strlen(post_cases[i].text);
        said = post_read(guard(post_cases[i].text, n), n);

        is_str(said, post_cases[i].want, "%s", post_cases[i].text);

        for (cut = 0; cut < n; cut++) {
            post_read(guard(post_cases[i].text, cut), cut);
        }
    }

    post_many();

    delta_post_pointer(&fault, 1, 255, "/d", "/a/b");
    is_str(fault.pointer, "/255/d/a/b", "a pointer below an event of a list");
    delta_post_pointer(&fault, 0, 3, "/d", "");
    is_str(fault.pointer, "/d", "of one event");
    delta_post_pointer(&fault, 1, 255, "/d", "/" N127 N127);
    is_int(strlen(fault.pointer), DELTA_CONTRACT_POINTER - 1, "cut");

    return done_testing();
}
