
/*
 * Copyright (C) Delta contributors
 */

#include "delta_space.h"
#include "tap.h"


static const struct {
    const char  *text;
    int          count;         /* -1: refused */
    int          complete;
    const char  *ids;
    const char  *written;
} space_cases[] = {
    { "{}", 0, 0, "",
      "{\"created\":[],\"updated\":[],\"deleted\":[]}" },
    { " {\"created\":[{\"id\":\"a\"},{\"n\":1,\"id\":2}],\"deleted\":[\"c\"],"
      "\"complete\":true,\"timestamp\":\"t\"} ", 3, 1, "\"a\" 2 ",
      "{\"created\":[{\"id\":\"a\"},{\"n\":1,\"id\":2}],\"updated\":[],"
      "\"deleted\":[\"c\"]}" },
    { "{\"updated\":[1,2,3],\"complete\":1}", 3, 0, "",
      "{\"created\":[],\"updated\":[1,2,3],\"deleted\":[]}" },
    { "", -1, 0, NULL, NULL },
    { "[]", -1, 0, NULL, NULL },
    { "{", -1, 0, NULL, NULL },
    { "{\"created\":{}}", -1, 0, NULL, NULL },
    { "{\"created\":[1]}", -1, 0, NULL, NULL },
    { "{\"created\":[{}]}", -1, 0, NULL, NULL },
    { "{\"created\":[{\"id\":null}]}", -1, 0, NULL, NULL },
    { "{\"created\":[],\"created\":[]}", -1, 0, NULL, NULL },
    { "{\"deleted\":null}", -1, 0, NULL, NULL },
};


static const struct {
    const char  *d;
    const char  *want;
    int          dropped;
} space_without[] = {
    { "{\"a\":1,\"created\":[{\"id\":\"x\"},{\"id\":7},{\"id\":\"y\"}],"
      "\"b\":2}",
      "{\"a\":1,\"created\":[{\"id\":\"y\"}],\"b\":2}", 2 },
    { "{\"created\":[{\"id\":\"x\"}],\"deleted\":[\"x\"]}",
      "{\"created\":[],\"deleted\":[\"x\"]}", 1 },
    { "{\"created\":[ {\"id\":\"z\"} , {\"id\":\"y\"} ]}",
      "{\"created\":[{\"id\":\"z\"},{\"id\":\"y\"}]}", 0 },
    { "{\"updated\":[{\"id\":\"x\"}]}", "{\"updated\":[{\"id\":\"x\"}]}", 0 },
    { "{\"created\":1}", "{\"created\":1}", 0 },
    { "{}", "{}", 0 },
};


static void
test_parse(void)
{
    char           out[256], ids[64];
    size_t         i, n, pos, len;
    delta_str_t    id;
    delta_space_t  space;

    for (i = 0; i < sizeof(space_cases) / sizeof(space_cases[0]); i++) {
        n = strlen(space_cases[i].text);

        if (delta_space_parse(&space, guard(space_cases[i].text, n), n) != 0) {
            is_int(-1, space_cases[i].count, "refused: %s",
                   space_cases[i].text);
            continue;
        }

        is_int(space.count, space_cases[i].count, "%s", space_cases[i].text);
        is_int(space.complete, space_cases[i].complete, "complete");

        pos = 0;
        len = 0;

        while (delta_space_next(&space, &pos, &id)) {
            memcpy(ids + len, id.data, id.len);
            len += id.len;
            ids[len++] = ' ';
        }

        is_mem(ids, len, space_cases[i].ids, strlen(space_cases[i].ids),
               "ids");

        n = delta_space_write(NULL, &space);
        is_int(n, strlen(space_cases[i].written), "its size");
        delta_space_write(out, &space);
        is_mem(out, n, space_cases[i].written, n, "written");
    }
}


static void
test_without(void)
{
    char         out[256];
    size_t       i, n, dropped;
    delta_str_t  d, ids[] = { delta_str("\"x\""), delta_str("7") };

    for (i = 0; i < sizeof(space_without) / sizeof(space_without[0]); i++) {
        d.len = strlen(space_without[i].d);
        d.data = guard(space_without[i].d, d.len);

        n = delta_space_without(NULL, d, ids, 2, &dropped);
        is_int(n, strlen(space_without[i].want), "size: %s",
               space_without[i].d);
        is_int(dropped, space_without[i].dropped, "dropped");

        delta_space_without(out, d, ids, 2, &dropped);
        is_mem(out, n, space_without[i].want, n, "written");
    }
}


int
main(void)
{
    plan(0);

    test_parse();
    test_without();

    return done_testing();
}
