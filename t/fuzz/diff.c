
/*
 * Copyright (C) Delta contributors
 *
 * Two objects, apart at a NUL byte: the patch from one to the other leads
 * there.
 */

#include "delta_diff.h"
#include "fuzz.h"


/* A null member is taken as absent, at every depth of objects. */

static json_t *
diff_without_nulls(const json_t *value)
{
    json_t      *out, *member;
    const char  *key;

    if (!json_is_object(value)) {
        return json_deep_copy(value);
    }

    out = json_object();

    json_object_foreach((json_t *) value, key, member) {

        if (!json_is_null(member)) {
            json_object_set_new(out, key, diff_without_nulls(member));
        }
    }

    return out;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int           rc;
    size_t        len;
    json_t       *before, *after, *patch, *got, *want;
    const char   *p, *nul;

    p = (const char *) data;
    nul = n ? memchr(p, '\0', n) : NULL;
    len = nul ? (size_t) (nul - p) : n;

    before = json_loadb(p, len, JSON_ALLOW_NUL, NULL);
    after = nul ? json_loadb(nul + 1, n - len - 1, JSON_ALLOW_NUL, NULL)
                : json_object();

    if (before && after) {
        rc = delta_diff(&patch, before, after);
        check((rc == 1) == (patch != NULL));
        check((rc == -1) == (!json_is_object(before)
                             || !json_is_object(after)));

        if (rc >= 0) {
            want = diff_without_nulls(after);
            got = rc ? delta_diff_apply(before, patch) : json_incref(before);

            json_decref(patch);
            patch = diff_without_nulls(got);
            check(json_equal(patch, want));

            json_decref(got);
            json_decref(want);
            json_decref(patch);
        }
    }

    json_decref(before);
    json_decref(after);

    return 0;
}
