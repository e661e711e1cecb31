
/*
 * Copyright (C) Delta contributors
 *
 * Compiling a contract: delta_contract.c has its frame,
 * delta_contract_schema.c the schemas, delta_contract_channel.c where events
 * are published.
 */

#ifndef _DELTA_CONTRACT_LOAD_H_INCLUDED_
#define _DELTA_CONTRACT_LOAD_H_INCLUDED_


#include <jansson.h>
#include "delta_contract_node.h"


typedef struct {
    delta_contract_t             *contract;
    delta_contract_error_t       *error;
    size_t                        len;          /* of error->pointer */
    size_t                        nodes;
    unsigned                      depth;
    unsigned                      failed;
    const json_t                 *defs;
    size_t                        ndefs;
    const delta_contract_node_t **compiled;     /* by number in defs */
    uint8_t                      *busy;
} delta_contract_load_t;


/* NULL with the error set. */
const delta_contract_node_t *delta_contract_schema(delta_contract_load_t *l,
    const json_t *schema);
const delta_contract_node_t *delta_contract_def(delta_contract_load_t *l,
    const char *name);

/* 0, or -1 with the error set. */
int delta_contract_channels(delta_contract_load_t *l,
    delta_contract_event_t *event, const json_t *object);
int delta_contract_above(delta_contract_load_t *l,
    delta_contract_node_t *node, const delta_contract_node_t *used);
int delta_contract_name(delta_contract_load_t *l, delta_str_t *name,
    const char *text);

/* Zeroed memory of the contract's; NULL with the error set. */
void *delta_contract_alloc(delta_contract_load_t *l, size_t size);

/* Where in the contract: down returns what up takes back to. */
size_t delta_contract_down(delta_contract_load_t *l, const char *name);
void delta_contract_up(delta_contract_load_t *l, size_t len);

/* Keeps the first sentence, and the pointer of then; returns -1. */
int delta_contract_error(delta_contract_load_t *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));


#endif /* _DELTA_CONTRACT_LOAD_H_INCLUDED_ */
