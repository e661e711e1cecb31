
/*
 * Copyright (C) Delta contributors
 *
 * A client that applies events one by one, and random events for it: what is
 * merged must lead it to the same.
 */

#ifndef _MERGE_MODEL_H_INCLUDED_
#define _MERGE_MODEL_H_INCLUDED_


#include <jansson.h>
#include "delta_diff.h"
#include "merge_batch.h"


/* How a client applies the events of a space. */

enum {
    MERGE_FIELDS = 1,      /* updated is merged, member by member */
    MERGE_DEEP   = 2,      /* and so are the members */
    MERGE_UPSERT = 4,      /* updated of what is not there makes it */
    MERGE_TYPED  = 8,      /* 1 and "1" are two ids */
    MERGE_BACK   = 16,     /* deleted first, created last */
    MERGE_MODES  = 32
};

#define MERGE_KEY  MERGE_TEXT


/* From 0 to n - 1; whoever includes this decides. */

static uint32_t merge_random(uint32_t n);


/* The client. */

tap_unused static json_t *
merge_fresh(void)
{
    return json_pack("{s:{},s:{},s:{},s:{},s:[]}", "patch", "around", "space",
                     "last", "log");
}


tap_unused static void
merge_key(char *key, const json_t *id, int mode)
{
    if (json_is_string(id)) {
        snprintf(key, MERGE_KEY, "%s%s", mode & MERGE_TYPED ? "s" : "",
                 json_string_value(id));

    } else {
        snprintf(key, MERGE_KEY, "%.17g", json_number_value(id));
    }
}


tap_unused static void
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


tap_unused static void
merge_apply_space(json_t *space, json_t *d, int mode, int op)
{
    char         key[MERGE_KEY];
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


tap_unused static int
merge_apply(json_t *state, const delta_event_t *event, int mode)
{
    int          op;
    char         key[2 * MERGE_KEY + 32], id[MERGE_KEY];
    json_t      *d, *now;
    const char  *type;

    d = json_loadb(event->d.data, event->d.len, 0, NULL);

    if (d == NULL) {
        return 0;
    }

    if (delta_str_eq(event->t, "patch")) {
        merge_key(id, json_object_get(d, "entity_id"), mode);
        type = json_string_value(json_object_get(d, "entity_type"));
        type = type ? type : "";
        snprintf(key, sizeof(key), "%zu/%.*s/%s", strlen(type), MERGE_KEY,
                 type, id);

        now = json_object_get(state, "patch");
        json_object_set_new(now, key,
                            delta_diff_apply(json_object_get(now, key),
                                             json_object_get(d, "diff")));
        json_object_del(d, "diff");
        json_object_set(json_object_get(state, "around"), key, d);

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

        now = json_pack("[O,o,o,o,o]", d,
                        json_deep_copy(json_object_get(state, "patch")),
                        json_deep_copy(json_object_get(state, "around")),
                        json_deep_copy(json_object_get(state, "space")),
                        json_deep_copy(json_object_get(state, "last")));
        json_array_append_new(json_object_get(state, "log"), now);
    }

    json_decref(d);

    return 1;
}


/* Random events: few names, so that they meet. */

tap_unused static char *
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


tap_unused static char *
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


tap_unused static char *
merge_diff(char *p)
{
    char  *start;

    start = p;

    do {
        p = merge_value(start, 4, 1);
    } while (*start != '{');

    return p;
}


tap_unused static void
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


tap_unused static char *
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


tap_unused static void
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


tap_unused static void
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

tap_unused static size_t
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


tap_unused static void
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

tap_unused static int
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


#endif /* _MERGE_MODEL_H_INCLUDED_ */
