
/*
 * Copyright (C) Delta contributors
 */

#include "merge_batch.h"


typedef struct {
    const char         *name;
    const char         *in[5];       /* type, blank, d */
    const char         *out[5];      /* =i: item i, as it was */
} merge_case_t;


#define P(rest)  "patch {\"entity_type\":\"u\",\"entity_id\":\"1\"," rest "}"
#define Q(rest)  "patch {\"entity_type\":\"u\",\"entity_id\":\"2\"," rest "}"
#define S(rest)  "space_delta {" rest "}"
#define C(rest)  S("\"created\":[" rest "]")
#define U(rest)  S("\"updated\":[" rest "]")
#define D(rest)  S("\"deleted\":[" rest "]")


static const merge_case_t  merge_cases[] = {
    { "two patches",
      { P("\"diff\":{\"a\":1}"), P("\"diff\":{\"b\":2}") },
      { P("\"diff\":{\"a\":1,\"b\":2}") } },
    { "patch: the later value",
      { P("\"diff\":{\"a\":1,\"b\":1}"), P("\"diff\":{\"a\":[2]}") },
      { P("\"diff\":{\"a\":[2],\"b\":1}") } },
    { "patch: member by member",
      { P("\"diff\":{\"a\":{\"b\":1}}"), P("\"diff\":{\"a\":{\"c\":null}}") },
      { P("\"diff\":{\"a\":{\"b\":1,\"c\":null}}") } },
    { "patch: an object removed",
      { P("\"diff\":{\"a\":{\"b\":1}}"), P("\"diff\":{\"a\":null}") },
      { P("\"diff\":{\"a\":null}") } },
    { "patch: an object after null",
      { P("\"diff\":{\"a\":null}"), P("\"diff\":{\"a\":{\"b\":1}}"),
        P("\"diff\":{\"c\":1}") },
      { "=0", P("\"diff\":{\"a\":{\"b\":1},\"c\":1}") } },
    { "patch: an object after a number, deep",
      { P("\"diff\":{\"x\":{\"a\":7}}"), P("\"diff\":{\"x\":{\"a\":{}}}") },
      { "=0", "=1" } },
    { "patch: an object after an array",
      { P("\"diff\":{\"a\":[]}"), P("\"diff\":{\"a\":{}}") },
      { "=0", "=1" } },
    { "patch: null within null of an object that is new",
      { P("\"diff\":{}"), P("\"diff\":{\"a\":{\"b\":null}}") },
      { P("\"diff\":{\"a\":{\"b\":null}}") } },
    { "patch: names by what they mean",
      { P("\"diff\":{\"\\u0061\":1}"), P("\"diff\":{\"a\":2}") },
      { P("\"diff\":{\"\\u0061\":2}") } },
    { "patch: ids by what they mean",
      { P("\"diff\":{\"a\":1}"),
        "patch {\"entity_type\":\"\\u0075\",\"entity_id\":\"\\u0031\","
        "\"diff\":{\"a\":2}}" },
      { "patch {\"entity_type\":\"\\u0075\",\"entity_id\":\"\\u0031\","
        "\"diff\":{\"a\":2}}" } },
    { "patch: a number is not its text",
      { P("\"diff\":{\"a\":1}"),
        "patch {\"entity_type\":\"u\",\"entity_id\":1,\"diff\":{\"a\":2}}",
        P("\"diff\":{\"a\":3}") },
      { "=0", "=1", "=2" } },
    { "patch: two entities",
      { P("\"diff\":{\"a\":1}"), Q("\"diff\":{\"a\":1}"),
        P("\"diff\":{\"a\":2}") },
      { "=1", P("\"diff\":{\"a\":2}") } },
    { "patch: the newest's text around diff",
      { P("\"diff\":{ \"a\" : 1 }, \"g\" : 2 "),
        P("\"g\":2, \"diff\" : {\"b\": [ 1, 2 ] } ") },
      { P("\"g\":2, \"diff\" : {\"a\":1,\"b\":[ 1, 2 ]} ") } },
    { "patch: another member differs",
      { P("\"diff\":{\"a\":1},\"g\":1"), P("\"diff\":{\"b\":1},\"g\":2"),
        P("\"diff\":{\"c\":1},\"g\":2") },
      { "=0", P("\"diff\":{\"b\":1,\"c\":1},\"g\":2") } },
    { "patch: a name twice in diff is not merged, nor in the way",
      { Q("\"diff\":{\"a\":1}"), P("\"diff\":{\"a\":1,\"a\":2}"),
        P("\"diff\":{\"a\":3}"), Q("\"diff\":{\"a\":3}") },
      { "=1", "=2", Q("\"diff\":{\"a\":3}") } },
    { "patch: a name twice in diff, disguised and deep, later",
      { P("\"diff\":{\"a\":{}}"),
        P("\"diff\":{\"a\":{\"x\":3,\"\\u0078\":4}}"), P("\"diff\":{}") },
      { "=0", "=1", "=2" } },
    { "patch: a name twice in d",
      { P("\"diff\":{\"a\":1}"), P("\"diff\":{\"a\":1},\"diff\":{\"a\":2}"),
        P("\"diff\":{\"a\":3}") },
      { "=0", "=1", "=2" } },
    { "patch: another name twice in d",
      { P("\"diff\":{\"a\":1},\"g\":1,\"g\":1"),
        P("\"diff\":{\"a\":1},\"g\":1,\"g\":1") },
      { "=0", "=1" } },
    { "patch: a name in d that is disguised",
      { P("\"diff\":{\"a\":1}"), P("\"diff\":{\"a\":1},\"di\\u0066f\":{}"),
        P("\"diff\":{\"a\":3}") },
      { "=0", "=1", "=2" } },
    { "patch: no object, and nothing crosses it",
      { P("\"diff\":{\"a\":1}"), Q("\"diff\":[]"), P("\"diff\":{\"a\":3}") },
      { "=0", "=1", "=2" } },
    { "patch: U+0000 in a name",
      { P("\"diff\":{\"a\\u0000\":1}"), P("\"diff\":{\"a\\u0000\":1}") },
      { "=0", "=1" } },
    { "nothing crosses an event of another type",
      { P("\"diff\":{\"a\":1}"), "message {\"x\":1}", P("\"diff\":{\"a\":2}"),
        P("\"diff\":{\"a\":3}") },
      { "=0", "=1", P("\"diff\":{\"a\":3}") } },

    { "space: two created",
      { C("{\"id\":1}"), C("{\"id\":2}") },
      { C("{\"id\":1},{\"id\":2}") } },
    { "space: created and updated",
      { C("{\"id\":1,\"a\":1}"), U("{\"id\":1,\"a\":2}") },
      { S("\"created\":[{\"id\":1,\"a\":2}],\"updated\":[]") } },
    { "space: updated with less than created",
      { C("{\"id\":1,\"a\":1}"), U("{\"id\":1,\"b\":2}"),
        U("{\"id\":2,\"b\":2}") },
      { "=0", U("{\"id\":1,\"b\":2},{\"id\":2,\"b\":2}") } },
    { "space: updated with less, deep",
      { C("{\"id\":1,\"a\":{\"x\":1}}"), U("{\"id\":1,\"a\":{}}") },
      { "=0", "=1" } },
    { "space: created and deleted",
      { C("{\"id\":1},{\"id\":2}"), D("1") },
      { S("\"created\":[{\"id\":2}],\"deleted\":[1]") } },
    { "space: deleted and created",
      { D("1"), C("{\"id\":1}") },
      { S("\"created\":[{\"id\":1}],\"deleted\":[]") } },
    { "space: created, deleted, created comes last",
      { C("{\"id\":1},{\"id\":2}"), D("1"), C("{\"id\":1,\"a\":1}") },
      { S("\"created\":[{\"id\":2},{\"id\":1,\"a\":1}],\"deleted\":[]") } },
    { "space: updated and deleted",
      { U("{\"id\":1}"), D("1") },
      { S("\"updated\":[],\"deleted\":[1]") } },
    { "space: updated twice",
      { U("{\"id\":1,\"a\":1}"), U("{\"a\":2,\"b\":3,\"id\":1}") },
      { U("{\"a\":2,\"b\":3,\"id\":1}") } },
    { "space: updated to an object",
      { U("{\"id\":1,\"a\":1}"), U("{\"id\":1,\"a\":{\"b\":1}}") },
      { "=0", "=1" } },
    { "space: created twice",
      { C("{\"id\":1,\"a\":1}"), C("{\"id\":1,\"b\":1}") },
      { C("{\"id\":1,\"b\":1}") } },
    { "space: updated and created",
      { U("{\"id\":1,\"a\":1}"), C("{\"id\":1,\"b\":1}") },
      { S("\"created\":[{\"id\":1,\"b\":1}],\"updated\":[]") } },
    { "space: deleted and updated",
      { D("1"), U("{\"id\":1,\"a\":1}"), D("1") },
      { "=0", S("\"updated\":[],\"deleted\":[1]") } },
    { "space: the newest timestamp",
      { S("\"timestamp\":\"b\",\"deleted\":[1]"),
        S("\"deleted\":[\"x\"],\"timestamp\":\"a\"") },
      { S("\"deleted\":[1,\"x\"],\"timestamp\":\"a\"") } },
    { "space: a timestamp and none",
      { S("\"timestamp\":\"b\",\"deleted\":[1]"), D("2") },
      { "=0", "=1" } },
    { "space: other members",
      { S("\"s\":[4],\"deleted\":[1]"), S("\"deleted\":[2],\"s\":[4]"),
        S("\"deleted\":[2],\"s\":[ 4]"), },
      { S("\"deleted\":[1,2],\"s\":[4]"), "=2" } },
    { "space: 1 is not \"1\"",
      { C("{\"id\":1}"), D("\"1\"") },
      { "=0", "=1" } },
    { "space: ids by what they mean",
      { C("{\"id\":\"a\"}"), D("\"\\u0061\"") },
      { S("\"created\":[],\"deleted\":[\"\\u0061\"]") } },
    { "space: an id twice",
      { D("2"), S("\"created\":[{\"id\":1}],\"deleted\":[1]"), D("3") },
      { "=0", "=1", "=2" } },
    { "space: ids that could be one",
      { D("1"), D("1.0"), D("-0"), D("1234567890123456") },
      { "=0", "=1", "=2", "=3" } },
    { "space: the longest id",
      { D("-12345678901234"), D("123456789012345") },
      { D("-12345678901234,123456789012345") } },
    { "space: no id",
      { C("{\"id\":1}"), C("{\"a\":1}"), C("{\"id\":1}") },
      { "=0", "=1", "=2" } },
    { "space: two ids, one disguised",
      { C("{\"id\":1}"), C("{\"id\":1,\"\\u0069d\":2}"), C("{\"id\":1}") },
      { "=0", "=1", "=2" } },
    { "space: a name twice",
      { C("{\"id\":1,\"a\":1,\"a\":1}"), U("{\"id\":1,\"a\":2}"),
        U("{\"id\":1,\"a\":2,\"a\":1}"), U("{\"id\":1,\"a\":2}") },
      { "=0", "=1", "=2", "=3" } },
    { "space: no arrays, and nothing crosses it",
      { P("\"diff\":{}"), S("\"created\":{}"), P("\"diff\":{}") },
      { "=0", "=1", "=2" } },
    { "space: nothing and nothing", { S(""), S("") }, { S("") } },
    { "a space does not stand in a patch's way",
      { P("\"diff\":{\"a\":1}"), D("1"), P("\"diff\":{\"b\":1}"), D("2") },
      { P("\"diff\":{\"a\":1,\"b\":1}"), D("1,2") } },

    { "last: by id",
      { "presence_update {\"id\":\"a\",\"s\":1}",
        "presence_update {\"id\":\"b\",\"s\":1}",
        "presence_update {\"id\":\"\\u0061\",\"s\":2,\"g\":3}" },
      { "=1", "=2" } },
    { "last: a name twice, and nothing crosses it",
      { "presence_update {\"id\":1}", "presence_update {\"id\":1,\"id\":1}",
        "presence_update {\"id\":1}" },
      { "=0", "=1", "=2" } },
    { "last: 1 is not \"1\"",
      { "presence_update {\"id\":1}", "presence_update {\"id\":\"1\"}" },
      { "=0", "=1" } },
    { "last: none, and nothing crosses it",
      { "presence_update {\"id\":1}", "presence_update {\"i\":1}",
        "presence_update {\"id\":1}" },
      { "=0", "=1", "=2" } },
};


static void
merge_case(const merge_case_t *test)
{
    size_t          i, n, wrong;
    delta_str_t     d, want;
    delta_merge_t   m;
    delta_merged_t  out[MERGE_EVENTS];
    merge_batch_t   b;

    b.n = 0;

    for (i = 0; i < 5 && test->in[i]; i++) {
        merge_add(&b, test->in[i]);
    }

    m.max = MERGE_PLENTY;
    m.memory = MERGE_PLENTY;
    n = delta_merge(&m, out, b.in, b.n);
    wrong = 0;

    for (i = 0; i < 5 && test->out[i]; i++) {

        if (i >= n) {
            wrong++;
            break;
        }

        d = out[i].event.d;

        if (test->out[i][0] == '=') {
            want = b.in[test->out[i][1] - '0'].event.d;
            wrong += d.data != want.data || d.len != want.len;

        } else {
            want.data = strchr(test->out[i], ' ') + 1;
            want.len = strlen(want.data);
            wrong += d.len != want.len || memcmp(d.data, want.data, d.len);
        }
    }

    if (!ok(wrong == 0 && i == n, "%s", test->name)) {

        for (i = 0; i < n; i++) {
            tap_diag_bytes("got", out[i].event.d.data, out[i].event.d.len);
        }
    }

    delta_merge_free(&m);
}


/* The middle one of three, cut short, right before an unreadable page. */

static void
merge_truncated(const char *text)
{
    size_t          i, n, wrong;
    merge_batch_t   b;
    delta_merge_t   m;
    delta_merged_t  out[3];

    b.n = 0;
    merge_add(&b, text);
    merge_add(&b, text);
    merge_add(&b, text);

    n = b.in[0].event.d.len;
    wrong = 0;

    m.max = MERGE_PLENTY;
    m.memory = MERGE_PLENTY;

    for (i = 0; i <= n; i++) {
        b.in[1].event.d.data = guard(b.in[0].event.d.data, i);
        b.in[1].event.d.len = i;
        b.in[2].event.d.data = guard(b.in[0].event.d.data, n);

        wrong += delta_merge(&m, out, b.in, 3) != (i == n ? 1 : 3);
        wrong += i < n && out[1].event.d.data != b.in[1].event.d.data;

        delta_merge_free(&m);
    }

    is_int(wrong, 0, "%.12s cut short at each of %zu bytes", text, n);
}


/* n members; or n whose names hash alike, as long as the hash is this one. */

static size_t
merge_many(char *p, int n, int from, int alike)
{
    int       i, j, k;
    char      name[16], *start;
    uint64_t  half;

    start = p;
    p += sprintf(p, "{\"entity_type\":\"u\",\"entity_id\":1,\"diff\":{");

    for (i = 0, j = 0; i < n; j++) {

        if (!alike) {
            p += sprintf(p, "%s\"m%d\":%d", i ? "," : "", from + i, from);
            i++;
            continue;
        }

        snprintf(name, sizeof(name), "%08d", j);
        memcpy(&half, name, 8);

        half = (half ^ 16) * 0x9fb21c651e98df25u;
        half ^= half >> 32 ^ 0x5a5a5a5a5a5a5a5au;
        memcpy(name + 8, &half, 8);

        for (k = 8; k < 16 && name[k] > ' ' && name[k] != '"'
                    && name[k] != '\\'; k++)
        {
            /* void */
        }

        if (k == 16) {
            p += sprintf(p, "%s\"%.16s\":1", i ? "," : "", name);
            i++;
        }
    }

    return p + sprintf(p, "}}") - start;
}


static void
merge_large(int members, int alike, size_t want)
{
    size_t               i, n;
    delta_merge_t        m;
    delta_merged_t       out[2];
    delta_merge_item_t   in[2];
    static char          text[2][1 << 19];

    for (i = 0; i < 2; i++) {
        in[i].rule = DELTA_MERGE_PATCH;
        in[i].event.t.data = "patch";
        in[i].event.t.len = 5;
        in[i].event.d.data = text[i];
        in[i].event.d.len = merge_many(text[i], members, i * members / 2,
                                       alike);
    }

    m.max = MERGE_PLENTY;
    m.memory = MERGE_PLENTY;
    n = delta_merge(&m, out, in, 2);

    is_int(n, want, "%d members%s", members,
           alike ? " whose names hash alike" : "");

    if (n == 1 && !alike) {
        i = merge_many(text[0], members * 3 / 2, 0, 0);
        i += members * 4;
        is_int(out[0].event.d.len, i, "all that are one or the other's");
    }

    delta_merge_free(&m);
}


static void
merge_bounds(void)
{
    size_t          max, n, wrong, merged;
    delta_merge_t   m;
    delta_merged_t  out[3];
    merge_batch_t   b;

    is_int(delta_merge(&m, out, NULL, 0), 0, "nothing");
    ok(m.text == NULL, "has no text");

    b.n = 0;
    merge_add(&b, P("\"diff\":{\"a\":1}"));
    merge_add(&b, P("\"diff\":{\"b\":{\"c\":2}}"));
    merge_add(&b, P("\"diff\":{\"b\":{\"d\":3}}"));

    m.memory = MERGE_PLENTY;
    wrong = 0;
    merged = 0;

    for (max = 0; max < 100; max++) {
        m.max = max;
        n = delta_merge(&m, out, b.in, 3);
        wrong += n < 3 && out[n - 1].parts > 1
                 && out[n - 1].event.d.len > max;
        wrong += n > 3 || n == 0;
        merged += n < 3;
        delta_merge_free(&m);
    }

    is_int(wrong, 0, "never longer than max");
    ok(merged > 20 && merged < 50, "and nearly as long");
}


int
main(void)
{
    size_t  i;

    plan(0);

    for (i = 0; i < sizeof(merge_cases) / sizeof(merge_cases[0]); i++) {
        merge_case(&merge_cases[i]);
    }

    merge_bounds();

    merge_truncated(P("\"diff\":{\"a\\u0061\":[1,{}],\"b\":{\"c\":null}}"));
    merge_truncated(S("\"created\":[{\"id\":\"a\\u0062\",\"b\":{}}],"
                      "\"updated\":[{\"id\":-7}],\"deleted\":[\"x\",8],"
                      "\"timestamp\":\"t\""));
    merge_truncated("presence_update {\"id\":\"\\u0061\",\"s\":\"x\"}");

    merge_large(20000, 0, 1);
    merge_large(50, 1, 1);
    merge_large(300, 1, 2);

    return done_testing();
}
