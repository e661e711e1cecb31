
/*
 * Copyright (C) Delta contributors
 */

#include <stdlib.h>
#include "delta_json_text.h"
#include "delta_merge_tree.h"


#define DELTA_MERGE_CHUNK   16384
#define DELTA_MERGE_FEW     8       /* children that need no table */
#define DELTA_MERGE_PROBES  64      /* nobody finds more by accident */
#define DELTA_MERGE_FACTOR  0x9fb21c651e98df25u
#define DELTA_MERGE_DIGITS  15      /* a double holds them */


struct delta_merge_chunk_s {
    delta_merge_chunk_t  *next;
};


static int delta_merge_name(delta_merge_pool_t *pool, delta_str_t *name,
    delta_str_t key);
static uint32_t delta_merge_hash(delta_str_t name);
static void delta_merge_insert(delta_merge_pool_t *pool,
    delta_merge_node_t *node);
static const char *delta_merge_read_object(delta_merge_pool_t *pool,
    delta_merge_node_t *node, const char *p, const char *end);
static const char *delta_merge_read_value(delta_merge_pool_t *pool,
    delta_merge_node_t *node, const char *p, const char *end);


static inline int
delta_merge_same(const delta_merge_node_t *node, uint32_t hash,
    delta_str_t name)
{
    return node->hash == hash && node->name.len == name.len
           && memcmp(node->name.data, name.data, name.len) == 0;
}


static inline size_t
delta_merge_slot(uint32_t parent, uint32_t hash)
{
    return hash + parent * 0x9e3779b1u;
}


static inline const char *
delta_merge_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }

    return p;
}


void
delta_merge_pool_free(delta_merge_pool_t *pool)
{
    delta_merge_chunk_t  *chunk, *next;

    for (chunk = pool->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }

    free(pool->table);
    memset(pool, 0, sizeof(*pool));
}


void *
delta_merge_alloc(delta_merge_pool_t *pool, size_t size)
{
    char                 *p;
    size_t                want;
    delta_merge_chunk_t  *chunk;

    if (size > pool->memory) {
        pool->failed = 1;
        return NULL;
    }

    size = (size + 15) & ~ (size_t) 15;

    if (size > pool->room) {
        want = size > DELTA_MERGE_CHUNK ? size : DELTA_MERGE_CHUNK;
        chunk = malloc(16 + want);

        if (chunk == NULL) {
            pool->failed = 1;
            return NULL;
        }

        chunk->next = pool->chunks;
        pool->chunks = chunk;
        pool->free = (char *) chunk + 16;
        pool->room = want;
    }

    p = pool->free;
    pool->free += size;
    pool->room -= size;
    pool->memory -= size < pool->memory ? size : pool->memory;

    return p;
}


delta_merge_node_t *
delta_merge_node(delta_merge_pool_t *pool)
{
    delta_merge_node_t  *node;

    node = pool->spare;

    if (node) {
        pool->spare = node->next;

    } else {
        node = delta_merge_alloc(pool, sizeof(*node));
    }

    if (node) {
        delta_merge_empty(pool, node);
    }

    return node;
}


void
delta_merge_spare(delta_merge_pool_t *pool, delta_merge_node_t *node)
{
    node->next = pool->spare;
    pool->spare = node;
}


void
delta_merge_empty(delta_merge_pool_t *pool, delta_merge_node_t *node)
{
    memset(node, 0, sizeof(*node));
    node->serial = ++pool->serial;
}


static int
delta_merge_name(delta_merge_pool_t *pool, delta_str_t *name, delta_str_t key)
{
    char          *p;
    ssize_t        len;
    delta_json_t   value;

    *name = key;

    if (memchr(key.data, '\\', key.len) == NULL) {
        return 1;
    }

    p = delta_merge_alloc(pool, key.len);

    if (p == NULL) {
        return 0;
    }

    value.type = DELTA_JSON_STRING;
    value.raw.data = key.data - 1;
    value.raw.len = key.len + 2;

    len = delta_json_string(p, key.len, &value);

    if (len < 0) {
        return 0;
    }

    name->data = p;
    name->len = len;

    return 1;
}


static uint32_t
delta_merge_hash(delta_str_t name)
{
    size_t    i, n;
    uint64_t  h, part;

    h = name.len;

    for (i = 0; i < name.len; i += n) {
        n = name.len - i < 8 ? name.len - i : 8;
        part = 0;
        memcpy(&part, name.data + i, n);

        h = (h ^ part) * DELTA_MERGE_FACTOR;
        h ^= h >> 32;
    }

    return h * DELTA_MERGE_FACTOR >> 32;
}


delta_merge_node_t *
delta_merge_child(delta_merge_pool_t *pool, delta_merge_node_t *parent,
    delta_str_t key, int *found)
{
    delta_merge_node_t   like, *node;

    *found = 0;

    if (!delta_merge_name(pool, &like.name, key)) {
        return NULL;
    }

    like.hash = delta_merge_hash(like.name);
    node = delta_merge_find(pool, parent, &like);

    if (node) {
        *found = 1;
        return node;
    }

    if (pool->failed || !delta_merge_reserve(pool, DELTA_MERGE_FEW + 1)) {
        return NULL;
    }

    node = delta_merge_node(pool);

    if (node) {
        node->key = key;
        node->name = like.name;
        node->hash = like.hash;
        delta_merge_link(pool, parent, node);
    }

    return node;
}


delta_merge_node_t *
delta_merge_find(delta_merge_pool_t *pool, const delta_merge_node_t *parent,
    const delta_merge_node_t *like)
{
    size_t               i, slot;
    delta_merge_node_t  *node;

    if (parent->count <= DELTA_MERGE_FEW) {

        for (node = parent->first; node; node = node->next) {

            if (delta_merge_same(node, like->hash, like->name)) {
                return node;
            }
        }

        return NULL;
    }

    slot = delta_merge_slot(parent->serial, like->hash);

    for (i = 0; i < DELTA_MERGE_PROBES; i++) {
        node = pool->table[(slot + i) & (pool->size - 1)];

        if (node == NULL) {
            return NULL;
        }

        if (node->parent == parent->serial
            && delta_merge_same(node, like->hash, like->name))
        {
            return node;
        }
    }

    pool->failed = 1;

    return NULL;
}


delta_merge_node_t *
delta_merge_id(delta_merge_pool_t *pool, delta_merge_node_t *parent,
    const delta_json_t *id, int *found)
{
    size_t        n;
    const char   *p;
    delta_str_t   key;

    key = id->raw;

    if (id->type == DELTA_JSON_STRING) {
        key.data++;
        key.len -= 2;

        return delta_merge_child(pool, parent, key, found);
    }

    if (id->type != DELTA_JSON_NUMBER) {
        return NULL;
    }

    p = key.data;
    n = key.len;

    if (*p == '-') {
        p++;
        n--;

        if (*p == '0') {
            return NULL;
        }
    }

    if (n > DELTA_MERGE_DIGITS) {
        return NULL;
    }

    while (n) {

        if (!delta_json_digit(*p)) {
            return NULL;
        }

        p++;
        n--;
    }

    return delta_merge_child(pool, parent, key, found);
}


int
delta_merge_reserve(delta_merge_pool_t *pool, size_t n)
{
    size_t                i, size, old;
    delta_merge_node_t  **table, **before;

    if (pool->used + n <= pool->size / 2) {
        return 1;
    }

    size = pool->size ? pool->size : 64;

    while (pool->used + n > size / 2) {
        size *= 2;
    }

    if (size * sizeof(*table) > pool->memory
        || (table = calloc(size, sizeof(*table))) == NULL)
    {
        pool->failed = 1;
        return 0;
    }

    pool->memory -= size * sizeof(*table);

    before = pool->table;
    old = pool->size;

    pool->table = table;
    pool->size = size;
    pool->used = 0;

    for (i = 0; i < old; i++) {

        if (before[i]) {
            delta_merge_insert(pool, before[i]);
        }
    }

    free(before);

    return 1;
}


static void
delta_merge_insert(delta_merge_pool_t *pool, delta_merge_node_t *node)
{
    size_t  slot;

    slot = delta_merge_slot(node->parent, node->hash);

    /* a spare one that is used again may stand there already */

    while (pool->table[slot & (pool->size - 1)]) {

        if (pool->table[slot & (pool->size - 1)] == node) {
            return;
        }

        slot++;
    }

    pool->table[slot & (pool->size - 1)] = node;
    pool->used++;
}


void
delta_merge_link(delta_merge_pool_t *pool, delta_merge_node_t *parent,
    delta_merge_node_t *node)
{
    node->parent = parent->serial;
    node->prev = parent->last;
    node->next = NULL;

    if (parent->last) {
        parent->last->next = node;

    } else {
        parent->first = node;
    }

    parent->last = node;
    parent->count++;

    if (parent->count == DELTA_MERGE_FEW + 1) {

        for (node = parent->first; node; node = node->next) {
            delta_merge_insert(pool, node);
        }

    } else if (parent->count > DELTA_MERGE_FEW) {
        delta_merge_insert(pool, node);
    }
}


void
delta_merge_to_end(delta_merge_node_t *parent, delta_merge_node_t *node)
{
    if (node == parent->last) {
        return;
    }

    node->next->prev = node->prev;

    if (node->prev) {
        node->prev->next = node->next;

    } else {
        parent->first = node->next;
    }

    node->prev = parent->last;
    node->next = NULL;
    parent->last->next = node;
    parent->last = node;
}


int
delta_merge_read(delta_merge_pool_t *pool, delta_merge_node_t *node)
{
    return delta_merge_read_object(pool, node, node->raw.data,
                                   node->raw.data + node->raw.len) != NULL;
}


static const char *
delta_merge_read_object(delta_merge_pool_t *pool, delta_merge_node_t *node,
    const char *p, const char *end)
{
    int                  found;
    delta_str_t          key;
    delta_merge_node_t  *child;

    node->type = DELTA_JSON_OBJECT;
    node->len = 2;

    p = delta_merge_space(p + 1, end);

    while (p < end && *p == '"') {
        key.data = p + 1;
        p = delta_json_skip_string(p, end);
        key.len = p - 1 - key.data;

        child = delta_merge_child(pool, node, key, &found);

        if (child == NULL || found) {
            return NULL;
        }

        p = delta_merge_space(p, end);
        p = delta_merge_space(p < end ? p + 1 : p, end);
        p = delta_merge_read_value(pool, child, p, end);

        if (p == NULL) {
            return NULL;
        }

        node->len += key.len + 4 + child->len;
        p = delta_merge_space(p, end);

        if (p < end && *p == ',') {
            p = delta_merge_space(p + 1, end);
        }
    }

    return p < end ? p + 1 : NULL;
}


static const char *
delta_merge_read_value(delta_merge_pool_t *pool, delta_merge_node_t *node,
    const char *p, const char *end)
{
    node->raw.data = p;

    if (p == end) {
        return NULL;
    }

    switch (*p) {

    case '{':
        p = delta_merge_read_object(pool, node, p, end);

        if (p == NULL) {
            return NULL;
        }

        node->raw.len = p - node->raw.data;

        return p;

    case '[':
        p = delta_json_skip(p, end);
        break;

    case '"':
        p = delta_json_skip_string(p, end);
        break;

    default:
        while (p < end && *p != ',' && *p != '}' && (uint8_t) *p > ' ') {
            p++;
        }
    }

    node->raw.len = p - node->raw.data;
    node->len = node->raw.len;

    return p;
}


int
delta_merge_foldable(delta_merge_pool_t *pool,
    const delta_merge_node_t *target, delta_merge_node_t *patch, ssize_t *grow)
{
    delta_merge_node_t  *child, *match;

    for (child = patch->first; child; child = child->next) {
        match = delta_merge_find(pool, target, child);
        child->match = match;

        if (match == NULL) {
            *grow += child->key.len + 4 + child->len;
            continue;
        }

        if (child->type != DELTA_JSON_OBJECT) {
            *grow += (ssize_t) child->len - (ssize_t) match->len;
            continue;
        }

        if (match->type != DELTA_JSON_OBJECT
            || !delta_merge_foldable(pool, match, child, grow))
        {
            return 0;
        }
    }

    return !pool->failed;
}


int
delta_merge_covers(delta_merge_pool_t *pool, const delta_merge_node_t *newer,
    const delta_merge_node_t *older)
{
    const delta_merge_node_t  *child, *match;

    for (child = older->first; child; child = child->next) {
        match = delta_merge_find(pool, newer, child);

        if (match == NULL) {
            return 0;
        }

        if (match->type != DELTA_JSON_OBJECT) {
            continue;
        }

        if (child->type != DELTA_JSON_OBJECT
            || !delta_merge_covers(pool, match, child))
        {
            return 0;
        }
    }

    return 1;
}


size_t
delta_merge_fold_nodes(const delta_merge_node_t *patch)
{
    size_t                     n;
    const delta_merge_node_t  *child;

    n = patch->count + DELTA_MERGE_FEW;

    for (child = patch->first; child; child = child->next) {

        if (child->match && child->type == DELTA_JSON_OBJECT) {
            n += delta_merge_fold_nodes(child);
        }
    }

    return n;
}


void
delta_merge_fold(delta_merge_pool_t *pool, delta_merge_node_t *target,
    delta_merge_node_t *patch)
{
    size_t               len;
    delta_merge_node_t  *child, *match, *next;

    for (child = patch->first; child; child = next) {
        next = child->next;
        match = child->match;

        if (match == NULL) {
            target->len += child->key.len + 4 + child->len;
            delta_merge_link(pool, target, child);
            continue;
        }

        len = match->len;

        if (child->type == DELTA_JSON_OBJECT) {
            delta_merge_fold(pool, match, child);

        } else {
            match->type = child->type;
            match->raw = child->raw;
            match->len = child->len;
            match->first = NULL;
            match->last = NULL;
            match->count = 0;

            delta_merge_spare(pool, child);
        }

        target->len = target->len - len + match->len;
    }

    delta_merge_spare(pool, patch);
}


char *
delta_merge_put(char *p, const void *data, size_t n)
{
    memcpy(p, data, n);

    return p + n;
}


char *
delta_merge_write(char *p, const delta_merge_node_t *node)
{
    const delta_merge_node_t  *child;

    if (node->type != DELTA_JSON_OBJECT) {
        return delta_merge_put(p, node->raw.data, node->raw.len);
    }

    *p++ = '{';

    for (child = node->first; child; child = child->next) {
        *p++ = '"';
        p = delta_merge_put(p, child->key.data, child->key.len);
        *p++ = '"';
        *p++ = ':';
        p = delta_merge_write(p, child);

        if (child->next) {
            *p++ = ',';
        }
    }

    *p++ = '}';

    return p;
}
