
/*
 * Copyright (C) Delta contributors
 *
 * What is new in a space, as a backend says it, written again and spliced.
 */

#include "delta_space.h"
#include "fuzz.h"


#define SPACE_IDS  4


/* All of them are counted; every third is one that the client has. */

static size_t
space_ids(const delta_space_t *space, delta_str_t *ids, size_t *some)
{
    size_t       pos, n;
    delta_str_t  id;

    *some = 0;

    for (n = 0, pos = 0; delta_space_next(space, &pos, &id); n++) {
        check(id.len > 0);

        if (n % 3 == 1 && *some < SPACE_IDS) {
            ids[(*some)++] = id;
        }
    }

    return n;
}


static int
space_among(delta_str_t id, const delta_str_t *ids, size_t n)
{
    while (n--) {
        if (ids[n].len == id.len && memcmp(ids[n].data, id.data, id.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
space_without(delta_str_t d, const delta_space_t *space)
{
    char           *out;
    size_t          len, n, some, pos, left, dropped, again;
    delta_str_t     ids[SPACE_IDS], id;
    delta_space_t   rest;

    n = space_ids(space, ids, &some);
    left = 0;
    pos = 0;

    while (delta_space_next(space, &pos, &id)) {
        left += !space_among(id, ids, some);
    }

    len = delta_space_without(NULL, d, ids, some, &dropped);
    out = fuzz_alloc(len);
    check(delta_space_without(out, d, ids, some, &again) == len);
    check(again == dropped && dropped == n - left && len <= d.len);

    check(delta_space_parse(&rest, out, len) == 0);
    check(rest.count == space->count - dropped);
    check(rest.complete == space->complete);
    check(space_ids(&rest, ids, &some) == left);

    fuzz_free(out, len);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char           *out;
    size_t          len, dropped;
    const char     *p;
    delta_json_t    root;
    delta_space_t   space, same;

    p = (const char *) data;

    if (delta_json_parse(&root, p, n) < 0 || root.type != DELTA_JSON_OBJECT) {
        check(delta_space_parse(&space, p, n) == -1);
        return 0;
    }

    if (delta_space_parse(&space, p, n) != 0) {
        check(delta_space_without(NULL, root.raw, NULL, 0, &dropped)
              == root.raw.len);
        check(dropped == 0);
        return 0;
    }

    len = delta_space_write(NULL, &space);
    out = fuzz_alloc(len);
    check(delta_space_write(out, &space) == len);
    check(delta_space_parse(&same, out, len) == 0);
    check(same.count == space.count && same.complete == 0);
    check(same.created.len == space.created.len
          && same.updated.len == space.updated.len
          && same.deleted.len == space.deleted.len);
    fuzz_free(out, len);

    space_without(root.raw, &space);

    return 0;
}
