
/*
 * Copyright (C) Delta contributors
 *
 * SEED= repeats a run, ROUNDS= makes it longer.
 */

#include "merge_model.h"


#define MERGE_ROUNDS  4000


static uint64_t  merge_state;


static uint32_t
merge_random(uint32_t n)
{
    merge_state ^= merge_state << 13;
    merge_state ^= merge_state >> 7;
    merge_state ^= merge_state << 17;

    return (merge_state >> 16) % n;
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
