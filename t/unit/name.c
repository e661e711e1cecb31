
/*
 * Copyright (C) Delta contributors
 */

#include "delta_name.h"
#include "tap.h"


#define S32   "abcdefghijklmnopqrstuvwxyz012345"
#define S128  S32 S32 S32 S32

#define b(bytes)  bytes, sizeof(bytes) - 1


typedef struct {
    const char  *text;
    size_t       len;
    int          segment;
    int          name;
    int          pattern;
} name_case_t;

typedef struct {
    const char  *pattern;
    const char  *name;
    const char  *star;      /* NULL: no match */
} name_match_case_t;


static const name_case_t  name_cases[] = {
    { b("a"), 1, 1, 1 },
    { b("channel:7"), 0, 1, 1 },
    { b("AZaz09._~@|+-"), 1, 1, 1 },
    { b("a:b:c:d:e"), 0, 1, 1 },
    { b("user:auth0|5f7c:control"), 0, 1, 1 },
    { b("-"), 1, 1, 1 },
    { b(S128), 1, 1, 1 },
    { b(S128 "x"), 0, 0, 0 },
    { b("a:" S128 "x"), 0, 0, 0 },
    { b(S128 ":" S32 S32 S32 "abcdefghijklmnopqrstuvwxyz01234"), 0, 1, 1 },
    { b(S128 ":" S32 S32 S32 S32), 0, 0, 0 },
    { b(""), 0, 0, 0 },
    { b(":"), 0, 0, 0 },
    { b(":a"), 0, 0, 0 },
    { b("a:"), 0, 0, 0 },
    { b("a::b"), 0, 0, 0 },
    { b("a b"), 0, 0, 0 },
    { b("a\0b"), 0, 0, 0 },
    { b("a\n"), 0, 0, 0 },
    { b("a/b"), 0, 0, 0 },
    { b("{a}"), 0, 0, 0 },
    { b("a\""), 0, 0, 0 },
    { b("a,b"), 0, 0, 0 },
    { b("a=b"), 0, 0, 0 },
    { b("a%3Ab"), 0, 0, 0 },
    { b("\xc3\xa4"), 0, 0, 0 },
    { b("\xff"), 0, 0, 0 },
    { b("a?"), 0, 0, 0 },
    { b("[a]"), 0, 0, 0 },
    { b("*"), 0, 0, 1 },
    { b("channel:*"), 0, 0, 1 },
    { b("*:a:*"), 0, 0, 1 },
    { b("channel:a*"), 0, 0, 0 },
    { b("channel:**"), 0, 0, 0 },
    { b("channel:*:"), 0, 0, 0 },
};


static const name_match_case_t  name_match_cases[] = {
    { "a", "a", "" },
    { "a", "b", NULL },
    { "a", "aa", NULL },
    { "aa", "a", NULL },
    { "a", "a:b", NULL },
    { "a:b", "a", NULL },
    { "a:b", "a:b", "" },
    { "a:b", "a:c", NULL },
    { "*", "a", "a" },
    { "*", "a:b", NULL },
    { "a:*", "a:b", "b" },
    { "a:*", "a:bcd", "bcd" },
    { "a:*", "a", NULL },
    { "a:*", "a:b:c", NULL },
    { "a:*", "ab:c", NULL },
    { "*:b", "a:b", "a" },
    { "*:b", "a:c", NULL },
    { "a:*:c", "a:b:c", "b" },
    { "a:*:c", "a:b:d", NULL },
    { "*:*", "a:b", "b" },
    { "*:x:*", "a:x:b", "b" },
    { "user:*:control", "user:42:control", "42" },
};


static const struct {
    const char  *pattern;
    size_t       want;
} name_literal_cases[] = {
    { "*", 0 },
    { "a:*", 2 },
    { "a:*:b:*", 2 },
    { "a:b:*", 4 },
    { "a:b:c", 5 },
};


static delta_str_t
name_guard(const char *text)
{
    delta_str_t  s;

    s.len = strlen(text);
    s.data = guard(text, s.len);

    return s;
}


static void
test_grammar(void)
{
    size_t              i;
    const char         *p;
    const name_case_t  *c;

    for (i = 0; i < sizeof(name_cases) / sizeof(*c); i++) {
        c = &name_cases[i];
        p = guard(c->text, c->len);

        is_int(delta_name_segment(p, c->len), c->segment, "segment '%.40s'",
               c->text);
        is_int(delta_name_valid(p, c->len), c->name, "name '%.40s'",
               c->text);
        is_int(delta_name_pattern(p, c->len), c->pattern, "pattern '%.40s'",
               c->text);
    }
}


static void
test_bytes(void)
{
    int       c, wrong;
    char      text[1];

    wrong = 0;

    for (c = 0; c < 256; c++) {
        text[0] = c;
        wrong += delta_name_valid(text, 1)
                 != (c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "0123456789._~@|+-", c) != NULL);
    }

    is_int(wrong, 0, "every byte");
}


static void
test_match(void)
{
    int                       rc;
    size_t                    i;
    delta_str_t               star, pattern, name;
    const name_match_case_t  *c;

    for (i = 0; i < sizeof(name_match_cases) / sizeof(*c); i++) {
        c = &name_match_cases[i];
        pattern = name_guard(c->pattern);
        name = name_guard(c->name);

        star.data = "?";
        star.len = 1;

        rc = delta_name_match(pattern, name, &star);
        is_int(rc, c->star != NULL, "'%s' and '%s'", c->pattern, c->name);
        is_int(delta_name_match(pattern, name, NULL), rc,
               "without a place for the star");

        if (c->star) {
            is_mem(star.data, star.len, c->star, strlen(c->star),
                   "the star of '%s'", c->pattern);
        }
    }
}


static void
test_literal(void)
{
    size_t  i, n;

    n = sizeof(name_literal_cases) / sizeof(name_literal_cases[0]);

    for (i = 0; i < n; i++) {
        is_int(delta_name_literal(name_guard(name_literal_cases[i].pattern)),
               name_literal_cases[i].want, "bytes before the star of '%s'",
               name_literal_cases[i].pattern);
    }
}


int
main(void)
{
    plan(0);

    test_grammar();
    test_bytes();
    test_match();
    test_literal();

    return done_testing();
}
