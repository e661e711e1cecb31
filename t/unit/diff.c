
/*
 * Copyright (C) Delta contributors
 */

#include "delta_diff.h"
#include "tap.h"


#define DIFF_ROUNDS  3000


typedef struct {
    const char  *before;
    const char  *after;
    const char  *patch;     /* NULL: no difference */
} diff_case_t;

typedef struct {
    const char  *target;
    const char  *patch;
    const char  *result;
} diff_apply_case_t;


static const diff_case_t  diff_cases[] = {
    { "{}", "{}", NULL },
    { "{\"a\":1}", "{\"a\":1}", NULL },
    { "{\"a\":1}", "{\"a\":2}", "{\"a\":2}" },
    { "{\"a\":1}", "{\"a\":1.5}", "{\"a\":1.5}" },
    { "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":3}", "{\"b\":3}" },
    { "{\"a\":1}", "{}", "{\"a\":null}" },
    { "{}", "{\"a\":\"\"}", "{\"a\":\"\"}" },
    { "{\"a\":1}", "{\"a\":null}", "{\"a\":null}" },
    { "{\"a\":null}", "{}", NULL },
    { "{}", "{\"a\":null}", NULL },
    { "{\"a\":false}", "{\"a\":0}", "{\"a\":0}" },
    { "{\"a\":[1,2]}", "{\"a\":[2,1]}", "{\"a\":[2,1]}" },
    { "{\"a\":[1,null]}", "{\"a\":[1,null]}", NULL },
    { "{\"a\":[null]}", "{\"a\":[]}", "{\"a\":[]}" },
    { "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":3}}",
      "{\"a\":{\"c\":3}}" },
    { "{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"b\":{}}}",
      "{\"a\":{\"b\":{\"c\":null}}}" },
    { "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}", NULL },
    { "{\"a\":{\"b\":1}}", "{\"a\":7}", "{\"a\":7}" },
    { "{\"a\":7}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}" },
    { "{\"a\":7}", "{\"a\":{\"b\":null}}", "{\"a\":{}}" },
    { "{\"a\":{\"b\":null}}", "{\"a\":{}}", NULL },
    { "{}", "{\"\\u00e4\":\"\\u00e4\"}", "{\"\\u00e4\":\"\\u00e4\"}" },
};


/* RFC 7396, appendix A */

static const diff_apply_case_t  diff_apply_cases[] = {
    { "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
    { "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
    { "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
    { "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
    { "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
    { "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
    { "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
      "{\"a\":{\"b\":\"d\"}}" },
    { "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
    { "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
    { "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
    { "{\"a\":\"foo\"}", "null", "null" },
    { "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
    { "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
    { "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
    { "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
};


static long  diff_allocations;


static json_t *
diff_load(const char *text)
{
    return json_loads(text, JSON_DECODE_ANY|JSON_ALLOW_NUL, NULL);
}


static void
diff_case(const diff_case_t *test)
{
    int      rc;
    char    *text;
    json_t  *before, *after, *patch, *result;

    before = diff_load(test->before);
    after = diff_load(test->after);

    rc = delta_diff(&patch, before, after);
    text = patch ? json_dumps(patch, JSON_COMPACT|JSON_ENSURE_ASCII) : NULL;

    if (test->patch == NULL) {
        ok(rc == 0 && patch == NULL, "%s to %s: no difference", test->before,
           test->after);

    } else if (ok(rc == 1 && text != NULL, "%s to %s", test->before,
                  test->after))
    {
        result = diff_load(test->patch);
        ok(json_equal(patch, result), "is %s", test->patch);
        json_decref(result);
    }

    free(text);
    json_decref(patch);
    json_decref(before);
    json_decref(after);
}


static void
diff_apply_case(const diff_apply_case_t *test)
{
    json_t  *target, *patch, *want, *got;

    target = diff_load(test->target);
    patch = diff_load(test->patch);
    want = diff_load(test->result);

    got = delta_diff_apply(target, patch);
    ok(got && json_equal(got, want), "%s with %s", test->target, test->patch);

    json_decref(target);
    json_decref(patch);
    json_decref(want);
    json_decref(got);
}


/* A random value without null members; few keys, so that many are shared. */

static json_t *
diff_random(int depth)
{
    int      i, n;
    char     key[2];
    json_t  *value;

    switch (depth < 4 ? tap_random() % 8 : tap_random() % 4) {

    case 0:
        return json_integer(tap_random() % 3);

    case 1:
        return json_boolean(tap_random() % 2);

    case 2:
        return json_string(tap_random() % 2 ? "x" : "");

    case 3:
        return json_real(0.5);

    case 4:
        value = json_array();

        for (n = tap_random() % 3; n; n--) {
            json_array_append_new(value, tap_random() % 4
                                         ? diff_random(depth + 1)
                                         : json_null());
        }

        return value;

    default:
        value = json_object();

        for (i = 0, n = tap_random() % 4; i < n; i++) {
            key[0] = 'a' + tap_random() % 4;
            key[1] = '\0';
            json_object_set_new(value, key, diff_random(depth + 1));
        }

        return value;
    }
}


static json_t *
diff_random_object(void)
{
    json_t  *value;

    do {
        value = diff_random(0);

        if (json_is_object(value)) {
            return value;
        }

        json_decref(value);

    } while (1);
}


static void
diff_property(void)
{
    int      i, rc, wrong, equal;
    json_t  *before, *after, *patch, *result;

    wrong = 0;
    equal = 0;

    for (i = 0; i < DIFF_ROUNDS; i++) {
        before = diff_random_object();
        after = diff_random_object();

        rc = delta_diff(&patch, before, after);

        if (rc == 0) {
            equal++;
            wrong += !json_equal(before, after);

        } else {
            result = delta_diff_apply(before, patch);
            wrong += rc != 1 || result == NULL || !json_equal(result, after);
            json_decref(result);
        }

        json_decref(patch);
        json_decref(before);
        json_decref(after);
    }

    is_int(wrong, 0, "%d random pairs: apply(before, diff) is after",
           DIFF_ROUNDS);
    ok(equal > 0 && equal < DIFF_ROUNDS / 2, "some of them are equal");
}


static void *
diff_malloc(size_t size)
{
    return diff_allocations-- > 0 ? malloc(size) : NULL;
}


static void
diff_memory(void)
{
    int      rc, wrong;
    long     n;
    json_t  *before, *after, *patch;

    before = diff_load("{\"a\":{\"b\":[1,{\"c\":\"d\"}],\"e\":1},\"f\":1}");
    after = diff_load("{\"a\":{\"b\":[2,{\"c\":\"g\"}]},\"h\":{\"i\":\"j\"}}");

    json_set_alloc_funcs(diff_malloc, free);

    wrong = 0;

    for (n = 0; n < 1000; n++) {
        diff_allocations = n;
        rc = delta_diff(&patch, before, after);

        if (rc == 1) {
            break;
        }

        wrong += rc != -1 || patch != NULL;
    }

    json_set_alloc_funcs(malloc, free);

    ok(n > 10 && n < 1000, "succeeds with %ld allocations", n);
    is_int(wrong, 0, "and says so without any of them");

    json_decref(patch);
    json_decref(before);
    json_decref(after);
}


int
main(void)
{
    size_t   i;
    json_t  *array, *object, *patch;

    plan(0);

    for (i = 0; i < sizeof(diff_cases) / sizeof(diff_cases[0]); i++) {
        diff_case(&diff_cases[i]);
    }

    for (i = 0; i < sizeof(diff_apply_cases) / sizeof(diff_apply_cases[0]);
         i++)
    {
        diff_apply_case(&diff_apply_cases[i]);
    }

    array = json_array();
    object = json_object();

    is_int(delta_diff(&patch, array, object), -1, "an array is not compared");
    is_int(delta_diff(&patch, object, NULL), -1, "nor is nothing");
    ok(patch == NULL, "and there is no patch then");

    json_decref(array);
    json_decref(object);

    diff_property();
    diff_memory();

    return done_testing();
}
