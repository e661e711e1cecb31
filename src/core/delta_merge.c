
/*
 * Copyright (C) Delta contributors
 */

#include <stdlib.h>
#include "delta_merge_tree.h"


#define DELTA_MERGE_TYPE  0     /* known[] of a patch */
#define DELTA_MERGE_ID    1
#define DELTA_MERGE_DIFF  2


typedef struct {
    delta_merge_pool_t        pool;
    delta_merge_node_t        patches;
    delta_merge_node_t        lasts;
    delta_merge_group_t      *space;
    delta_merge_group_t     **groups;    /* NULL: not merged */
    const delta_merge_item_t *in;
    size_t                    max;
} delta_merge_state_t;


static size_t delta_merge_nothing(delta_merged_t *out,
    const delta_merge_item_t *in, size_t n);
static void delta_merge_forget(delta_merge_state_t *s);
static delta_merge_group_t *delta_merge_one(delta_merge_state_t *s, size_t i);
static int delta_merge_head(delta_merge_head_t *head, delta_str_t d,
    delta_merge_rule_t rule);
static int delta_merge_known(delta_str_t key, delta_merge_rule_t rule);
static delta_merge_group_t *delta_merge_patch(delta_merge_state_t *s,
    const delta_merge_head_t *head, size_t i);
static int delta_merge_patch_fold(delta_merge_state_t *s,
    delta_merge_group_t *group, const delta_merge_head_t *head,
    delta_merge_node_t *tree, delta_str_t d);
static delta_merge_node_t *delta_merge_patch_tree(delta_merge_pool_t *pool,
    const delta_json_t *diff);
static delta_merge_group_t *delta_merge_space_item(delta_merge_state_t *s,
    const delta_merge_head_t *head, size_t i);
static delta_merge_group_t *delta_merge_last(delta_merge_state_t *s,
    const delta_merge_head_t *head, size_t i);
static delta_merge_group_t *delta_merge_group(delta_merge_state_t *s,
    const delta_merge_head_t *head, size_t i);
static int delta_merge_alike(const delta_merge_group_t *group,
    const delta_merge_head_t *head, const delta_merge_item_t *item);
static void delta_merge_newest(delta_merge_state_t *s,
    delta_merge_group_t *group, const delta_merge_head_t *head, size_t i);
static size_t delta_merge_output(delta_merge_state_t *s, char *text,
    delta_merged_t *out, size_t n);
static size_t delta_merge_size(const delta_merge_group_t *group, size_t i);
static char *delta_merge_patch_write(char *p,
    const delta_merge_group_t *group);


static inline int
delta_merge_equal(delta_str_t a, delta_str_t b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}


delta_merge_rule_t
delta_merge_rule(delta_str_t type)
{
    if (delta_str_eq(type, "patch")) {
        return DELTA_MERGE_PATCH;
    }

    if (delta_str_eq(type, "space_delta")) {
        return DELTA_MERGE_SPACE;
    }

    if (delta_str_eq(type, "presence_update")) {
        return DELTA_MERGE_LAST;
    }

    return DELTA_MERGE_NONE;
}


size_t
delta_merge(delta_merge_t *merge, delta_merged_t *out,
    const delta_merge_item_t *in, size_t n)
{
    size_t               i, size;
    delta_merge_state_t  s;

    merge->text = NULL;

    if (n < 2) {
        return delta_merge_nothing(out, in, n);
    }

    memset(&s, 0, sizeof(s));

    s.in = in;
    s.max = merge->max;
    s.pool.memory = merge->memory;
    s.groups = delta_merge_alloc(&s.pool, n * sizeof(*s.groups));

    if (s.groups == NULL) {
        return delta_merge_nothing(out, in, n);
    }

    delta_merge_forget(&s);
    size = 0;

    for (i = 0; i < n; i++) {
        s.groups[i] = delta_merge_one(&s, i);

        if (s.groups[i] == NULL) {
            delta_merge_forget(&s);
        }
    }

    for (i = 0; i < n; i++) {
        size += delta_merge_size(s.groups[i], i);
    }

    if (size) {
        merge->text = malloc(size);
    }

    n = size && merge->text == NULL
        ? delta_merge_nothing(out, in, n)
        : delta_merge_output(&s, merge->text, out, n);

    delta_merge_pool_free(&s.pool);

    return n;
}


void
delta_merge_free(delta_merge_t *merge)
{
    free(merge->text);
    merge->text = NULL;
}


static size_t
delta_merge_nothing(delta_merged_t *out, const delta_merge_item_t *in,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        out[i].newest = i;
        out[i].parts = 1;
        out[i].event = in[i].event;
    }

    return n;
}


static void
delta_merge_forget(delta_merge_state_t *s)
{
    delta_merge_empty(&s->pool, &s->patches);
    delta_merge_empty(&s->pool, &s->lasts);

    s->space = NULL;
    s->pool.failed = 0;
}


static delta_merge_group_t *
delta_merge_one(delta_merge_state_t *s, size_t i)
{
    delta_merge_head_t         head;
    delta_merge_group_t       *group;
    const delta_merge_item_t  *item;

    item = &s->in[i];

    if (item->rule < DELTA_MERGE_PATCH || item->rule > DELTA_MERGE_LAST
        || !delta_merge_head(&head, item->event.d, item->rule))
    {
        return NULL;
    }

    switch (item->rule) {

    case DELTA_MERGE_PATCH:
        group = delta_merge_patch(s, &head, i);
        break;

    case DELTA_MERGE_SPACE:
        group = delta_merge_space_item(s, &head, i);
        break;

    default:
        group = delta_merge_last(s, &head, i);
    }

    return s->pool.failed ? NULL : group;
}


static int
delta_merge_head(delta_merge_head_t *head, delta_str_t d,
    delta_merge_rule_t rule)
{
    int           known;
    size_t        i, pos;
    delta_str_t   key;
    delta_json_t  object, value;

    if (delta_json_parse(&object, d.data, d.len) < 0
        || object.type != DELTA_JSON_OBJECT)
    {
        return 0;
    }

    memset(head->known, 0, sizeof(head->known));
    head->others = 0;
    pos = 0;

    while (delta_json_next(&object, &pos, &key, &value)) {

        if (memchr(key.data, '\\', key.len)) {
            return 0;
        }

        known = delta_merge_known(key, rule);

        if (known >= 0) {

            if (head->known[known].type != DELTA_JSON_NONE) {
                return 0;
            }

            head->known[known] = value;
            continue;
        }

        for (i = 0; i < head->others; i++) {

            if (delta_merge_equal(head->other[i].key, key)) {
                return 0;
            }
        }

        if (head->others == DELTA_MERGE_MEMBERS - DELTA_MERGE_KNOWN) {
            return 0;
        }

        head->other[head->others].key = key;
        head->other[head->others++].value = value;
    }

    return 1;
}


static int
delta_merge_known(delta_str_t key, delta_merge_rule_t rule)
{
    int                        i;
    static const char * const  names[][DELTA_MERGE_KNOWN] = {
        { NULL },
        { "entity_type", "entity_id", "diff", NULL },
        { "created", "updated", "deleted", "timestamp" },
        { "id", NULL }
    };

    for (i = 0; i < DELTA_MERGE_KNOWN && names[rule][i]; i++) {

        if (delta_str_eq(key, names[rule][i])) {
            return i;
        }
    }

    return -1;
}


static delta_merge_group_t *
delta_merge_patch(delta_merge_state_t *s, const delta_merge_head_t *head,
    size_t i)
{
    int                   found;
    const delta_json_t   *id;
    delta_merge_node_t   *node, *tree;
    delta_merge_group_t  *group;

    id = &head->known[DELTA_MERGE_ID];

    if (head->known[DELTA_MERGE_TYPE].type != DELTA_JSON_STRING
        || head->known[DELTA_MERGE_DIFF].type != DELTA_JSON_OBJECT)
    {
        return NULL;
    }

    node = delta_merge_id(&s->pool, &s->patches,
                          &head->known[DELTA_MERGE_TYPE], &found);

    node = node ? delta_merge_id(&s->pool, node, id, &found) : NULL;

    if (node == NULL) {
        return NULL;
    }

    group = node->group;
    tree = NULL;

    if (group && node->id == id->type && !group->closed
        && delta_merge_alike(group, head, &s->in[i]))
    {
        tree = delta_merge_patch_tree(&s->pool, &head->known[DELTA_MERGE_DIFF]);

        if (tree && delta_merge_patch_fold(s, group, head, tree,
                                           s->in[i].event.d))
        {
            delta_merge_newest(s, group, head, i);
            return group;
        }

        if (s->pool.failed) {
            return NULL;
        }
    }

    group = delta_merge_group(s, head, i);

    if (group) {
        group->tree = tree;
        node->group = group;
        node->id = id->type;
    }

    return group;
}


static int
delta_merge_patch_fold(delta_merge_state_t *s, delta_merge_group_t *group,
    const delta_merge_head_t *head, delta_merge_node_t *tree, delta_str_t d)
{
    size_t               size;
    ssize_t              grow;
    delta_merge_pool_t  *pool;

    pool = &s->pool;

    if (group->tree == NULL) {
        group->tree = delta_merge_patch_tree(pool,
                                             &group->known[DELTA_MERGE_DIFF]);

        if (group->tree == NULL) {
            group->closed = 1;
            return 0;
        }
    }

    grow = 0;

    if (!delta_merge_foldable(pool, group->tree, tree, &grow)) {
        return 0;
    }

    size = d.len - head->known[DELTA_MERGE_DIFF].raw.len + group->tree->len
           + grow;

    if (size > s->max
        || !delta_merge_reserve(pool, delta_merge_fold_nodes(tree)))
    {
        return 0;
    }

    delta_merge_fold(pool, group->tree, tree);
    group->size = size;

    return 1;
}


static delta_merge_node_t *
delta_merge_patch_tree(delta_merge_pool_t *pool, const delta_json_t *diff)
{
    delta_merge_node_t  *tree;

    tree = delta_merge_node(pool);

    if (tree == NULL) {
        return NULL;
    }

    tree->raw = diff->raw;

    return delta_merge_read(pool, tree) ? tree : NULL;
}


static delta_merge_group_t *
delta_merge_space_item(delta_merge_state_t *s, const delta_merge_head_t *head,
    size_t i)
{
    delta_merge_node_t   *tree;
    delta_merge_group_t  *group;

    tree = delta_merge_space_read(&s->pool, head);

    if (tree == NULL) {
        return NULL;
    }

    group = s->space;

    if (group && delta_merge_alike(group, head, &s->in[i])
        && delta_merge_space_net(&s->pool, group, head, tree, s->max))
    {
        delta_merge_newest(s, group, head, i);
        return group;
    }

    if (s->pool.failed) {
        return NULL;
    }

    group = delta_merge_group(s, head, i);

    if (group) {
        delta_merge_space_begin(group, tree);
        s->space = group;
    }

    return group;
}


static delta_merge_group_t *
delta_merge_last(delta_merge_state_t *s, const delta_merge_head_t *head,
    size_t i)
{
    int                   found;
    delta_merge_node_t   *node;
    delta_merge_group_t  *group;

    node = delta_merge_id(&s->pool, &s->lasts, &head->known[0], &found);

    if (node == NULL) {
        return NULL;
    }

    group = node->group;

    if (group && node->id == head->known[0].type
        && delta_merge_equal(group->event.t, s->in[i].event.t))
    {
        delta_merge_newest(s, group, head, i);
        return group;
    }

    group = delta_merge_group(s, head, i);

    if (group) {
        node->group = group;
        node->id = head->known[0].type;
    }

    return group;
}


static delta_merge_group_t *
delta_merge_group(delta_merge_state_t *s, const delta_merge_head_t *head,
    size_t i)
{
    size_t                size;
    delta_merge_group_t  *group;

    size = head->others * sizeof(group->other[0]);
    group = delta_merge_alloc(&s->pool, sizeof(*group) + size);

    if (group == NULL) {
        return NULL;
    }

    memset(group, 0, sizeof(*group));

    group->rule = s->in[i].rule;
    group->other = (delta_merge_member_t *) (group + 1);
    group->others = head->others;
    memcpy(group->other, head->other, size);

    delta_merge_newest(s, group, head, i);

    return group;
}


static int
delta_merge_alike(const delta_merge_group_t *group,
    const delta_merge_head_t *head, const delta_merge_item_t *item)
{
    size_t                       i;
    const delta_merge_member_t  *a, *b;

    if (group->others != head->others
        || !delta_merge_equal(group->event.t, item->event.t))
    {
        return 0;
    }

    for (i = 0; i < head->others; i++) {
        a = &group->other[i];
        b = &head->other[i];

        if (!delta_merge_equal(a->key, b->key)
            || !delta_merge_equal(a->value.raw, b->value.raw))
        {
            return 0;
        }
    }

    return 1;
}


static void
delta_merge_newest(delta_merge_state_t *s, delta_merge_group_t *group,
    const delta_merge_head_t *head, size_t i)
{
    memcpy(group->known, head->known, sizeof(group->known));
    group->event = s->in[i].event;
    group->newest = i;
    group->parts++;
}


static size_t
delta_merge_output(delta_merge_state_t *s, char *text, delta_merged_t *out,
    size_t n)
{
    size_t                      i, count;
    const delta_merge_group_t  *group;

    count = 0;

    for (i = 0; i < n; i++) {
        group = s->groups[i];

        if (group && group->newest != i) {
            continue;
        }

        out[count].newest = i;
        out[count].parts = group ? group->parts : 1;
        out[count].event = s->in[i].event;

        if (delta_merge_size(group, i)) {
            out[count].event.d.data = text;

            text = group->rule == DELTA_MERGE_PATCH
                   ? delta_merge_patch_write(text, group)
                   : delta_merge_space_write(text, group);

            out[count].event.d.len = text - out[count].event.d.data;
        }

        count++;
    }

    return count;
}


/* Of the text that is made for item i. */

static size_t
delta_merge_size(const delta_merge_group_t *group, size_t i)
{
    if (group == NULL || group->newest != i || group->parts == 1
        || group->rule == DELTA_MERGE_LAST)
    {
        return 0;
    }

    return group->size;
}


static char *
delta_merge_patch_write(char *p, const delta_merge_group_t *group)
{
    size_t              n;
    delta_str_t         d;
    const delta_json_t  *diff;

    d = group->event.d;
    diff = &group->known[DELTA_MERGE_DIFF];
    n = diff->raw.data - d.data;

    p = delta_merge_put(p, d.data, n);
    p = delta_merge_write(p, group->tree);

    return delta_merge_put(p, diff->raw.data + diff->raw.len,
                           d.len - n - diff->raw.len);
}
