
/*
 * Copyright (C) Delta contributors
 *
 * Inside of delta_merge: memory, JSON objects as trees, things by name.
 */

#ifndef _DELTA_MERGE_TREE_H_INCLUDED_
#define _DELTA_MERGE_TREE_H_INCLUDED_


#include "delta_json.h"
#include "delta_merge.h"


#define DELTA_MERGE_MEMBERS  32    /* of d */
#define DELTA_MERGE_KNOWN    4     /* of them, those that a rule knows */


typedef struct delta_merge_chunk_s  delta_merge_chunk_t;
typedef struct delta_merge_group_s  delta_merge_group_t;
typedef struct delta_merge_node_s   delta_merge_node_t;


struct delta_merge_node_s {
    delta_merge_node_t   *next;
    delta_merge_node_t   *prev;
    delta_merge_node_t   *first;     /* child */
    delta_merge_node_t   *last;
    delta_merge_node_t   *match;     /* in the tree that this one changes */
    delta_merge_group_t  *group;

    delta_str_t           key;       /* as written */
    delta_str_t           name;      /* escapes resolved */
    delta_str_t           raw;       /* the value */
    size_t                len;       /* of the value, at most, when written */

    delta_json_type_t     type;
    delta_json_type_t     id;        /* the type of a key that is an id */
    int                   op;        /* of a space */

    uint32_t              serial;
    uint32_t              parent;    /* its serial */
    uint32_t              hash;
    uint32_t              count;     /* of children */
};


typedef struct {
    delta_merge_chunk_t  *chunks;
    char                 *free;
    size_t                room;
    size_t                memory;    /* left */
    delta_merge_node_t   *spare;

    delta_merge_node_t  **table;     /* children of large parents */
    size_t                size;
    size_t                used;

    uint32_t              serial;
    unsigned              failed:1;  /* out of memory, or names that collide */
} delta_merge_pool_t;


typedef struct {
    delta_str_t           key;
    delta_json_t          value;
} delta_merge_member_t;


/* d, its members apart. */
typedef struct {
    delta_json_t          known[DELTA_MERGE_KNOWN];
    delta_merge_member_t  other[DELTA_MERGE_MEMBERS];
    size_t                others;
} delta_merge_head_t;


struct delta_merge_group_s {
    delta_merge_node_t   *tree;      /* NULL: not read yet */
    delta_merge_member_t *other;
    size_t                others;
    delta_json_t          known[DELTA_MERGE_KNOWN];    /* of the newest */
    delta_event_t         event;                       /* the newest */
    size_t                newest;
    size_t                parts;
    size_t                size;      /* of d, at most, when written */
    delta_merge_rule_t    rule;
    unsigned              arrays:3;
    unsigned              closed:1;
};


void delta_merge_pool_free(delta_merge_pool_t *pool);
void *delta_merge_alloc(delta_merge_pool_t *pool, size_t size);
delta_merge_node_t *delta_merge_node(delta_merge_pool_t *pool);
void delta_merge_spare(delta_merge_pool_t *pool, delta_merge_node_t *node);

/* A parent without children, for memory that held another one. */
void delta_merge_empty(delta_merge_pool_t *pool, delta_merge_node_t *node);

/*
 * The child with that key, a new one if there is none.  NULL: failed, or a
 * key with U+0000.
 */
delta_merge_node_t *delta_merge_child(delta_merge_pool_t *pool,
    delta_merge_node_t *parent, delta_str_t key, int *found);

/* As delta_merge_child(); NULL also if it cannot be an id. */
delta_merge_node_t *delta_merge_id(delta_merge_pool_t *pool,
    delta_merge_node_t *parent, const delta_json_t *id, int *found);

/* The same without making one; the name is that of another node. */
delta_merge_node_t *delta_merge_find(delta_merge_pool_t *pool,
    const delta_merge_node_t *parent, const delta_merge_node_t *like);

/* Room for n nodes more, so that delta_merge_link() cannot fail. */
int delta_merge_reserve(delta_merge_pool_t *pool, size_t n);
void delta_merge_link(delta_merge_pool_t *pool, delta_merge_node_t *parent,
    delta_merge_node_t *node);
void delta_merge_to_end(delta_merge_node_t *parent, delta_merge_node_t *node);

/* The object raw as children.  0: failed, or a name twice. */
int delta_merge_read(delta_merge_pool_t *pool, delta_merge_node_t *node);

/*
 * Whether patch, a merge patch, can be folded into the patch target: then 1,
 * and *grow is added what it would grow by.  Whether the object newer has all
 * that older has, so that replacing and merging do the same.
 */
int delta_merge_foldable(delta_merge_pool_t *pool,
    const delta_merge_node_t *target, delta_merge_node_t *patch,
    ssize_t *grow);
int delta_merge_covers(delta_merge_pool_t *pool,
    const delta_merge_node_t *newer, const delta_merge_node_t *older);

/* After delta_merge_foldable(); patch becomes part of target.  The first is
   what to reserve before. */
size_t delta_merge_fold_nodes(const delta_merge_node_t *patch);
void delta_merge_fold(delta_merge_pool_t *pool, delta_merge_node_t *target,
    delta_merge_node_t *patch);

char *delta_merge_put(char *p, const void *data, size_t n);
char *delta_merge_write(char *p, const delta_merge_node_t *node);

/* The event as a tree with a child per id.  NULL: it is not one. */
delta_merge_node_t *delta_merge_space_read(delta_merge_pool_t *pool,
    const delta_merge_head_t *head);

/* What the group of this one event needs to know. */
void delta_merge_space_begin(delta_merge_group_t *group,
    delta_merge_node_t *tree);

/* Nets the event into the group.  0: it cannot be, nothing has changed. */
int delta_merge_space_net(delta_merge_pool_t *pool,
    delta_merge_group_t *group, const delta_merge_head_t *head,
    delta_merge_node_t *tree, size_t max);

char *delta_merge_space_write(char *p, const delta_merge_group_t *group);


#endif /* _DELTA_MERGE_TREE_H_INCLUDED_ */
