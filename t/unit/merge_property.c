
/*
 * Copyright (C) Delta contributors
 *
 * SEED= repeats a run, ROUNDS= makes it longer.
 */

#include <jansson.h>
#include "delta_diff.h"
#include "merge_batch.h"


#define MERGE_ROUNDS  4000


/* How a client applies the events of a space. */

enum {
    MERGE_FIELDS = 1,      /* updated is merged, member by member */
    MERGE_DEEP   = 2,      /* and so are the members */
    MERGE_UPSERT = 4,      /* updated of what is not there makes it */
    MERGE_TYPED  = 8,      /* 1 and "1" are two ids */
    MERGE_BACK   = 16,     /* deleted first, created last */
    MERGE_MODES  = 32
};




static uint64_t  merge_state;


static uint32_t
merge_random(uint32_t n)
{
    merge_state ^= merge_state << 13;
    merge_state ^= merge_state >> 7;
    merge_state ^= merge_state << 17;

    return (merge_state >> 16) % n;
}


/* The client. */

static json_t *
merge_fresh(void)
{
    return json_pack("{s:{},s:{},s:{},s:[]}", "patch", "space", "last", "log");
}


static void
merge_key(char *key, const json_t *id, int mode)
{
    if (json_is_string(id)) {
        snprintf(key, 64, "%s%s", mode & MERGE_TYPED ? "s" : "",
                 json_string_value(id));

    } else {
        snprintf(key, 64, "%.17g", json_number_value(id));
    }
}


static void
merge_deep(json_t *to, json_t *from)
{
    json_t      *value, *old;
    const char  *key;

    json_object_foreach(from, key, value) {
        old = json_object_get(to, key);

        if (json_is_object(value) && json_is_object(old)) {
            merge_deep(old, value);

        } else {
            json_object_set_new(to, key, json_deep_copy(value));
        }
    }
}


static void
merge_apply_space(json_t *space, json_t *d, int mode, int op)
{
    char         key[64];
    size_t       i;
    json_t      *item, *old;
    const char  *names[] = { "created", "updated", "deleted" };

    json_array_foreach(json_object_get(d, names[op]), i, item) {
        merge_key(key, op == 2 ? item : json_object_get(item, "id"), mode);
        old = json_object_get(space, key);

        if (op == 2) {
            json_object_del(space, key);

        } else if (op == 1 && old == NULL && !(mode & MERGE_UPSERT)) {
            continue;

        } else if (op == 1 && old && mode & MERGE_DEEP) {
            merge_deep(old, item);

        } else if (op == 1 && old && mode & MERGE_FIELDS) {
            json_object_update(old, item);

        } else {
            json_object_set_new(space, key, json_deep_copy(item));
        }
    }
}


static int
merge_apply(json_t *state, const delta_event_t *event, int mode)
{
    int     op;
    char    key[160], id[64];
    json_t *d, *now;

    d = json_loadb(event->d.data, event->d.len, 0, NULL);

    if (d == NULL) {
        return 0;
    }

    if (delta_str_eq(event->t, "patch")) {
        merge_key(id, json_object_get(d, "entity_id"), mode);
        snprintf(key, sizeof(key), "%s/%s",
                 json_string_value(json_object_get(d, "entity_type")), id);

        now = json_object_get(state, "patch");
        json_object_set_new(now, key,
                            delta_diff_apply(json_object_get(now, key),
                                             json_object_get(d, "diff")));
        strcat(key, "/g");
        json_object_del(d, "diff");
        json_object_set(now, key, d);

    } else if (delta_str_eq(event->t, "space_delta")) {
        now = json_object_get(state, "space");

        for (op = 0; op < 3; op++) {
            merge_apply_space(now, d, mode, mode & MERGE_BACK ? 2 - op : op);
        }

        json_object_del(d, "created");
        json_object_del(d, "updated");
        json_object_del(d, "deleted");
        json_object_set(now, "newest", d);

    } else if (delta_str_eq(event->t, "presence_update")) {
        merge_key(key, json_object_get(d, "id"), mode);
        json_object_set(json_object_get(state, "last"), key, d);

    } else {

        /* it sees all that came before it, and nothing else */

        now = json_pack("[O,o,o,o]", d,
                        json_deep_copy(json_object_get(state, "patch")),
                        json_deep_copy(json_object_get(state, "space")),
                        json_deep_copy(json_object_get(state, "last")));
        json_array_append_new(json_object_get(state, "log"), now);
    }

    json_decref(d);

    return 1;
}


/* Random events: few names, so that they meet. */

static char *
merge_text(char *p, const char *text)
{
    size_t  n;

    n = strlen(text);
    memcpy(p, text, n + 1);

    if (merge_random(40) == 0) {
        p[n++] = "\t \n\r"[merge_random(4)];
    }

    return p + n;
}


static char *
merge_value(char *p, int depth, int nulls)
{
    int          i, first;
    static const char *names[] = { "a", "b", "\\u0061", "c" };
    static const char *plain[] = { "0", "1", "\"x\"", "[1,{\"a\":null}]",
                                   "true", "-1.5e3", "\"\\\"}\"", "[]" };

    if (depth == 0 || merge_random(2)) {
        return merge_text(p, nulls && merge_random(4) == 0
                             ? "null" : plain[merge_random(8)]);
    }

    p = merge_text(p, "{");
    first = 1;

    for (i = 0; i < 4; i++) {

        if (i == 2 ? merge_random(12) : merge_random(2)) {
            continue;
        }

        p = merge_text(p, first ? "\"" : ",\"");
        p--;
        p += *p == '"';
        p = merge_text(p + sprintf(p, "%s\"", names[i]), ":");
        p = merge_value(p, depth - 1, nulls);
        first = 0;
    }

    return merge_text(p, "}");
}


static char *
merge_diff(char *p)
{
    char  *start;

    start = p;

    do {
        p = merge_value(start, 4, 1);
    } while (*start != '{');

    return p;
}


static void
merge_patch_event(char *p)
{
    int                 g;
    static const char  *ids[] = { "\"1\"", "\"2\"", "1", "\"\\u0031\"", "2" };

    p += sprintf(p, "patch {\"entity_type\":\"%s\",\"entity_id\":%s",
                 merge_random(4) ? "user" : "\\u0075ser",
                 ids[merge_random(merge_random(8) ? 2 : 5)]);

    g = merge_random(16);

    if (g == 0) {
        p += sprintf(p, ",\"g\":%d", merge_random(2));
    }

    p = merge_text(p, ",");
    p = merge_text(p, "\"diff\":");
    p = merge_diff(p);

    if (g == 1) {
        p += sprintf(p, ",\"diff\":{}");
    }

    strcpy(p, "}");
}


static char *
merge_space_items(char *p, const char *name, int op, int *used)
{
    int                 i, j, first;
    static const char  *ids[] = { "1", "\"x\"", "2", "3", "\"1\"",
                                  "\"\\u0078\"", "1.0" };

    p = merge_text(p, name);
    first = 1;

    for (i = merge_random(3); i > 0; i--) {
        j = merge_random(merge_random(16) ? 4 : 7);

        if (used[j]++ && merge_random(30)) {
            continue;
        }

        p = merge_text(p, first ? "" : ",");
        first = 0;

        if (op == 2) {
            p += sprintf(p, "%s", ids[j]);
            continue;
        }

        p += sprintf(p, "{\"id\":%s", ids[j]);

        if (op == 0 || merge_random(5)) {
            p += sprintf(p, ",\"a\":");
            p = merge_value(p, merge_random(4) ? 0 : 2, 0);
        }

        if (merge_random(4) == 0) {
            p += sprintf(p, ",\"b\":");
            p = merge_value(p, 0, 0);
        }

        p = merge_text(p, "}");
    }

    return merge_text(p, "]");
}


static void
merge_space_event(char *p)
{
    int                 op, used[7];
    char               *start;
    static const char  *names[] = { "\"created\":[", "\"updated\":[",
                                    "\"deleted\":[" };

    p += sprintf(p, "space_delta ");
    start = p;
    p = merge_text(p, "{");

    memset(used, 0, sizeof(used));

    for (op = 0; op < 3; op++) {

        if (merge_random(6)) {
            p = merge_space_items(p, names[op], op, used);
            *p++ = ',';
        }
    }

    if (merge_random(12) == 0) {
        p += sprintf(p, "\"s\":%d,", merge_random(2));
    }

    if (merge_random(20)) {
        p += sprintf(p, "\"timestamp\":\"%u\",", merge_random(1000000));
    }

    while (p > start && p[-1] != ',' && p[-1] != '{') {
        p--;
    }

    strcpy(p[-1] == ',' ? p - 1 : p, "}");
}


static void
merge_event(merge_batch_t *b, int barriers)
{
    int   which;
    char  text[MERGE_TEXT];

    which = merge_random(barriers ? 12 : 10);

    if (which < 4) {
        merge_patch_event(text);

    } else if (which < 8) {
        merge_space_event(text);

    } else if (which < 10) {
        sprintf(text, "presence_update {\"id\":%s,\"s\":%u}",
                merge_random(3) ? "\"a\"" : merge_random(2) ? "7" : "\"7\"",
                merge_random(100));

    } else {
        sprintf(text, "message {\"n\":%u}", merge_random(1000));
    }

    merge_add(b, text);
}


/* What holds for all results. */

static size_t
merge_check(const merge_batch_t *b, size_t from, const delta_merged_t *out,
    size_t n, const delta_merge_t *m)
{
    size_t                     i, parts, bytes, total, wrong;
    const delta_merge_item_t  *newest;

    parts = 0;
    bytes = 0;
    total = 0;
    wrong = 0;

    for (i = from; i < b->n; i++) {
        total += b->in[i].event.d.len;
    }

    for (i = 0; i < n; i++) {
        newest = &b->in[from + out[i].newest];
        parts += out[i].parts;
        bytes += out[i].event.d.len;

        wrong += i && out[i].newest <= out[i - 1].newest;
        wrong += out[i].event.t.data != newest->event.t.data;

        if (out[i].event.d.data == newest->event.d.data) {
            wrong += out[i].event.d.len != newest->event.d.len;

        } else {
            wrong += out[i].parts < 2 || out[i].event.d.len > m->max;
        }
    }

    return wrong + (parts != b->n - from) + (bytes > total);
}


static void
merge_apply_all(json_t *state, const merge_batch_t *b, size_t from, size_t to,
    int mode)
{
    for ( /* void */ ; from < to; from++) {

        if (!merge_apply(state, &b->in[from].event, mode)) {
            printf("# not JSON: %s\n", b->in[from].event.d.data);
        }
    }
}


/* From state on, which is freed, and the end is compared. */

static int
merge_reduced(json_t *state, const json_t *want, const merge_batch_t *b,
    size_t from, int mode, const delta_merge_t *limits, size_t *count,
    int replay)
{
    int             good;
    size_t          i;
    delta_merge_t   m;
    delta_merged_t  out[MERGE_EVENTS];

    m = *limits;
    *count = delta_merge(&m, out, b->in + from, b->n - from);
    good = merge_check(b, from, out, *count, &m) == 0;

    for (i = 0; i < *count; i++) {
        good &= merge_apply(state, &out[i].event, mode);
    }

    if (replay) {
        json_object_set(state, "log", json_object_get(want, "log"));
    }

    good &= json_equal(state, want);

    delta_merge_free(&m);
    json_decref(state);

    return good;
}


static void
merge_diag(const merge_batch_t *b, size_t from, int mode)
{
    size_t  i;

    printf("#   mode %d, merged from %zu on:\n", mode, from);

    for (i = 0; i < b->n; i++) {
        tap_diag_bytes("event", b->buf[i], strlen(b->buf[i]));
    }
}


static void
merge_property(int barriers, long rounds)
{
    int             mode;
    long            round, wrong, ghosts;
    size_t          i, from, count, events, merged;
    json_t         *start, *end, *state;
    merge_batch_t   b, before;
    delta_merge_t   limits;

    wrong = 0;
    ghosts = 0;
    events = 0;
    merged = 0;

    for (round = 0; round < rounds; round++) {
        mode = merge_random(MERGE_MODES);
        limits.max = merge_random(6) ? MERGE_PLENTY : merge_random(300);
        limits.memory = merge_random(8) ? MERGE_PLENTY : merge_random(40000);

        b.n = 0;
        before.n = 0;
        start = merge_fresh();

        for (i = merge_random(6); i > 0; i--) {
            merge_event(&before, 0);
        }

        for (i = merge_random(MERGE_EVENTS) + 1; i > 0; i--) {
            merge_event(&b, barriers);
        }

        merge_apply_all(start, &before, 0, before.n, mode);
        end = json_deep_copy(start);
        merge_apply_all(end, &b, 0, b.n, mode);

        /* who joins late gets the rest, reduced */

        from = merge_random(2) ? merge_random(b.n + 1) : 0;
        state = json_deep_copy(start);
        merge_apply_all(state, &b, 0, from, mode);

        if (!merge_reduced(state, end, &b, from, mode, &limits, &count, 0)
            && wrong++ == 0)
        {
            merge_diag(&b, from, mode);
        }

        events += b.n - from;
        merged += b.n - from - count;

        /* who has some of them gets all, reduced */

        state = json_deep_copy(start);
        merge_apply_all(state, &b, 0, merge_random(b.n + 1), mode);

        if (!merge_reduced(state, end, &b, 0, mode, &limits, &count, 1)
            && ghosts++ == 0)
        {
            merge_diag(&b, 0, mode);
        }

        json_decref(start);
        json_decref(end);
    }

    is_int(wrong, 0, "%ld random batches with%s barriers, all or their rest: "
           "as one by one", rounds, barriers ? "" : "out");
    is_int(ghosts, 0, "the same, applied to a state that holds some of them");
    ok(merged > events / (barriers ? 9 : 5), "%zu of %zu events less", merged,
       events);
}


/* Without memory at any point; as much memory as that takes. */

static void
merge_memory(void)
{
    int             good;
    char            text[256];
    size_t          i, count, fewest, most;
    json_t         *start, *end;
    merge_batch_t   b;
    delta_merge_t   limits;

    static const char  *texts[] = {
        "patch {\"entity_type\":\"u\",\"entity_id\":7,\"diff\":"
        "{\"\\u0061%d\":%d,\"b\":{\"c\":2},\"d\":3}}",
        "space_delta {\"created\":[{\"id\":%d,\"a\":%d},{\"id\":\"\\u0061\"}]}",
        "space_delta {\"updated\":[{\"id\":\"a\",\"\\u0062\":[%d,%d]}]}",
        "presence_update {\"id\":\"\\u0061\",\"a%d\":%d}"
    };

    b.n = 0;

    for (i = 0; i < MERGE_EVENTS; i++) {
        sprintf(text, texts[i % 4], (int) i, (int) i);
        merge_add(&b, text);
    }

    start = merge_fresh();
    end = merge_fresh();
    merge_apply_all(end, &b, 0, b.n, 0);

    limits.max = MERGE_PLENTY;
    good = 1;
    fewest = MERGE_EVENTS;
    most = 0;

    for (i = 0; i < 60000; i += 16) {
        limits.memory = i;
        good &= merge_reduced(json_deep_copy(start), end, &b, 0, 0, &limits,
                              &count, 0);
        fewest = count < fewest ? count : fewest;
        most = count > most ? count : most;
    }

    ok(good, "the same result with any amount of memory");
    ok(most == MERGE_EVENTS && fewest == 3,
       "%zu events without memory, %zu with enough", most, fewest);

    json_decref(start);
    json_decref(end);
}


static void
merge_hostile(long rounds)
{
    long            round, wrong;
    char           *p;
    size_t          i, j, n, len;
    merge_batch_t   b;
    delta_merge_t   m;
    delta_merged_t  out[MERGE_EVENTS];
    static char     bytes[] = "{}[]\",:\\u0 1nte-.\xc3\x80";

    wrong = 0;
    m.max = MERGE_PLENTY;
    m.memory = MERGE_PLENTY;

    for (round = 0; round < rounds; round++) {
        b.n = 0;

        for (i = 0; i < 6; i++) {
            merge_event(&b, 0);
            len = b.in[i].event.d.len;
            p = guard(b.in[i].event.d.data, len);

            for (j = merge_random(2) ? 0 : merge_random(4); j > 0; j--) {
                p[merge_random(len)] = bytes[merge_random(sizeof(bytes))];
            }

            b.in[i].event.d.data = p;
            b.in[i].rule = merge_random(9) ? b.in[i].rule : merge_random(5);
        }

        n = delta_merge(&m, out, b.in, b.n);
        wrong += merge_check(&b, 0, out, n, &m) != 0;
        delta_merge_free(&m);
    }

    is_int(wrong, 0, "%ld batches with bytes changed", rounds);
}


int
main(void)
{
    long         rounds;
    const char  *env;

    plan(0);

    env = getenv("SEED");
    merge_state = env ? strtoull(env, NULL, 10) : 20250728;
    env = getenv("ROUNDS");
    rounds = env ? atol(env) : MERGE_ROUNDS;

    printf("# seed %llu\n", (unsigned long long) merge_state);
    merge_state = (merge_state + 1) * 0x9e3779b97f4a7c15u;

    merge_property(0, rounds);
    merge_property(1, rounds);
    merge_memory();
    merge_hostile(rounds);

    return done_testing();
}
