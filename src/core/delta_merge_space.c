
/*
 * Copyright (C) Delta contributors
 */

#include "delta_merge_tree.h"


enum {
    DELTA_MERGE_CREATED = 0,
    DELTA_MERGE_UPDATED,
    DELTA_MERGE_DELETED,
    DELTA_MERGE_TIMESTAMP
};

#define DELTA_MERGE_ARRAYS      DELTA_MERGE_TIMESTAMP
#define DELTA_MERGE_ARRAY_SIZE  (sizeof("\"created\":[],") - 1)
#define DELTA_MERGE_TIME_SIZE   (sizeof("\"timestamp\":,") - 1)


static int delta_merge_space_id(const delta_json_t *object, delta_json_t *id);
static int delta_merge_space_is_id(delta_str_t key);
static unsigned delta_merge_space_arrays(const delta_json_t *known);
static int delta_merge_space_fits(delta_merge_pool_t *pool,
    delta_merge_node_t *match, delta_merge_node_t *node);
static int delta_merge_space_members(delta_merge_pool_t *pool,
    delta_merge_node_t *node);
static void delta_merge_space_apply(delta_merge_node_t *tree,
    delta_merge_node_t *match, const delta_merge_node_t *node);
static char *delta_merge_space_write_array(char *p,
    const delta_merge_group_t *group, int op);


delta_merge_node_t *
delta_merge_space_read(delta_merge_pool_t *pool,
    const delta_merge_head_t *head)
{
    int                  op, found;
    size_t               pos;
    delta_str_t          key;
    delta_json_t         value, id;
    delta_merge_node_t  *tree, *node;

    tree = delta_merge_node(pool);

    if (tree == NULL) {
        return NULL;
    }

    for (op = 0; op < DELTA_MERGE_ARRAYS; op++) {

        if (head->known[op].type == DELTA_JSON_NONE) {
            continue;
        }

        if (head->known[op].type != DELTA_JSON_ARRAY) {
            return NULL;
        }

        pos = 0;

        while (delta_json_next(&head->known[op], &pos, &key, &value)) {
            id = value;

            if (op != DELTA_MERGE_DELETED
                && !delta_merge_space_id(&value, &id))
            {
                return NULL;
            }

            node = delta_merge_id(pool, tree, &id, &found);

            if (node == NULL || found) {
                return NULL;
            }

            node->op = op;
            node->id = id.type;
            node->raw = value.raw;
        }
    }

    return tree;
}


static int
delta_merge_space_id(const delta_json_t *object, delta_json_t *id)
{
    int           is;
    size_t        pos;
    delta_str_t   key;
    delta_json_t  value;

    if (object->type != DELTA_JSON_OBJECT) {
        return 0;
    }

    id->type = DELTA_JSON_NONE;
    pos = 0;

    while (delta_json_next(object, &pos, &key, &value)) {
        is = delta_merge_space_is_id(key);

        if (is == 0) {
            continue;
        }

        if (is < 0 || id->type != DELTA_JSON_NONE) {
            return 0;
        }

        *id = value;
    }

    return id->type != DELTA_JSON_NONE;
}


/* -1: in disguise. */

static int
delta_merge_space_is_id(delta_str_t key)
{
    char          buf[2];
    delta_json_t  value;

    if (delta_str_eq(key, "id")) {
        return 1;
    }

    if (memchr(key.data, '\\', key.len) == NULL) {
        return 0;
    }

    value.type = DELTA_JSON_STRING;
    value.raw.data = key.data - 1;
    value.raw.len = key.len + 2;

    return delta_json_string(buf, 2, &value) == 2
           && memcmp(buf, "id", 2) == 0 ? -1 : 0;
}


void
delta_merge_space_begin(delta_merge_group_t *group, delta_merge_node_t *tree)
{
    int                        op;
    size_t                     i, size;
    const delta_merge_node_t  *node;

    size = 2;

    for (node = tree->first; node; node = node->next) {
        size += node->raw.len + 1;
    }

    for (i = 0; i < group->others; i++) {
        size += group->other[i].key.len + group->other[i].value.raw.len + 4;
    }

    if (group->known[DELTA_MERGE_TIMESTAMP].type != DELTA_JSON_NONE) {
        size += group->known[DELTA_MERGE_TIMESTAMP].raw.len
                + DELTA_MERGE_TIME_SIZE;
    }

    group->tree = tree;
    group->arrays = delta_merge_space_arrays(group->known);

    for (op = 0; op < DELTA_MERGE_ARRAYS; op++) {

        if (group->arrays & 1u << op) {
            size += DELTA_MERGE_ARRAY_SIZE;
        }
    }

    group->size = size;
}


static unsigned
delta_merge_space_arrays(const delta_json_t *known)
{
    int       op;
    unsigned  arrays;

    arrays = 0;

    for (op = 0; op < DELTA_MERGE_ARRAYS; op++) {

        if (known[op].type != DELTA_JSON_NONE) {
            arrays |= 1u << op;
        }
    }

    return arrays;
}


int
delta_merge_space_net(delta_merge_pool_t *pool, delta_merge_group_t *group,
    const delta_merge_head_t *head, delta_merge_node_t *tree, size_t max)
{
    int                  op;
    size_t               size;
    unsigned             arrays;
    const delta_json_t  *before, *now;
    delta_merge_node_t  *node, *next;

    before = &group->known[DELTA_MERGE_TIMESTAMP];
    now = &head->known[DELTA_MERGE_TIMESTAMP];

    if ((before->type == DELTA_JSON_NONE) != (now->type == DELTA_JSON_NONE)) {
        return 0;
    }

    size = group->size;

    if (now->type != DELTA_JSON_NONE) {
        size = size - before->raw.len + now->raw.len;
    }

    arrays = delta_merge_space_arrays(head->known);

    for (op = 0; op < DELTA_MERGE_ARRAYS; op++) {

        if (arrays & ~group->arrays & 1u << op) {
            size += DELTA_MERGE_ARRAY_SIZE;
        }
    }

    for (node = tree->first; node; node = node->next) {
        node->match = delta_merge_find(pool, group->tree, node);

        if (node->match == NULL) {
            size += node->raw.len + 1;

        } else if (delta_merge_space_fits(pool, node->match, node)) {
            size = size - node->match->raw.len + node->raw.len;

        } else {
            return 0;
        }
    }

    if (size > max || pool->failed
        || !delta_merge_reserve(pool, delta_merge_fold_nodes(tree)))
    {
        return 0;
    }

    for (node = tree->first; node; node = next) {
        next = node->next;

        if (node->match) {
            delta_merge_space_apply(group->tree, node->match, node);
            delta_merge_spare(pool, node);

        } else {
            delta_merge_link(pool, group->tree, node);
        }
    }

    delta_merge_spare(pool, tree);

    group->arrays |= arrays;
    group->size = size;

    return 1;
}


static int
delta_merge_space_fits(delta_merge_pool_t *pool, delta_merge_node_t *match,
    delta_merge_node_t *node)
{
    if (match->id != node->id) {
        return 0;
    }

    if (node->op != DELTA_MERGE_UPDATED) {
        return 1;
    }

    return match->op != DELTA_MERGE_DELETED
           && delta_merge_space_members(pool, match)
           && delta_merge_space_members(pool, node)
           && delta_merge_covers(pool, node, match);
}


static int
delta_merge_space_members(delta_merge_pool_t *pool, delta_merge_node_t *node)
{
    if (node->first || delta_merge_read(pool, node)) {
        return 1;
    }

    node->first = NULL;
    node->last = NULL;
    node->count = 0;
    node->serial = ++pool->serial;

    return 0;
}


static void
delta_merge_space_apply(delta_merge_node_t *tree, delta_merge_node_t *match,
    const delta_merge_node_t *node)
{
    if (node->op == DELTA_MERGE_CREATED && match->op != DELTA_MERGE_CREATED) {
        delta_merge_to_end(tree, match);
    }

    if (node->op != DELTA_MERGE_UPDATED) {
        match->op = node->op;
    }

    match->raw = node->raw;
    match->first = node->first;
    match->last = node->last;
    match->count = node->count;
    match->serial = node->serial;
}


char *
delta_merge_space_write(char *p, const delta_merge_group_t *group)
{
    int                          op;
    size_t                       i;
    const delta_json_t          *timestamp;
    const delta_merge_member_t  *other;

    *p++ = '{';

    for (op = 0; op < DELTA_MERGE_ARRAYS; op++) {

        if (group->arrays & 1u << op) {
            p = delta_merge_space_write_array(p, group, op);
        }
    }

    for (i = 0; i < group->others; i++) {
        other = &group->other[i];

        *p++ = '"';
        p = delta_merge_put(p, other->key.data, other->key.len);
        *p++ = '"';
        *p++ = ':';
        p = delta_merge_put(p, other->value.raw.data, other->value.raw.len);
        *p++ = ',';
    }

    timestamp = &group->known[DELTA_MERGE_TIMESTAMP];

    if (timestamp->type != DELTA_JSON_NONE) {
        p = delta_merge_put(p, "\"timestamp\":", DELTA_MERGE_TIME_SIZE - 1);
        p = delta_merge_put(p, timestamp->raw.data, timestamp->raw.len);
        *p++ = ',';
    }

    if (p[-1] == ',') {
        p--;
    }

    *p++ = '}';

    return p;
}


static char *
delta_merge_space_write_array(char *p, const delta_merge_group_t *group,
    int op)
{
    const delta_merge_node_t  *node;
    static const char * const  names[] = { "created", "updated", "deleted" };

    *p++ = '"';
    p = delta_merge_put(p, names[op], 7);
    p = delta_merge_put(p, "\":[", 3);

    for (node = group->tree->first; node; node = node->next) {

        if (node->op == op) {
            p = delta_merge_put(p, node->raw.data, node->raw.len);
            *p++ = ',';
        }
    }

    if (p[-1] == ',') {
        p--;
    }

    p = delta_merge_put(p, "],", 2);

    return p;
}
