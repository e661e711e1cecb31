
/*
 * Copyright (C) Delta contributors
 *
 * A contract as it is compiled: what delta_contract.c makes and
 * delta_contract_check.c reads.
 */

#ifndef _DELTA_CONTRACT_NODE_H_INCLUDED_
#define _DELTA_CONTRACT_NODE_H_INCLUDED_


#include "delta_contract.h"
#include "delta_json.h"


#define DELTA_CONTRACT_INTEGER  0x8000      /* beside delta_json_type_t */
#define DELTA_CONTRACT_ANY      0x7fff

#define delta_contract_bit(type)  (1u << (type))


typedef int (*delta_contract_pattern_t)(const char *p, const char *end);


typedef struct {
    delta_str_t                    name;
    const delta_contract_node_t   *value;
} delta_contract_member_t;


struct delta_contract_node_s {
    uint16_t                       types;
    uint8_t                        closed;      /* no other members */
    uint8_t                        height;
    uint8_t                        nmembers;
    uint8_t                        nenums;
    uint32_t                       min_length;
    uint32_t                       max_length;
    uint32_t                       max_items;
    int64_t                        minimum;
    int64_t                        maximum;
    uint64_t                       required;    /* bits of members */
    delta_contract_pattern_t       pattern;
    delta_contract_member_t       *members;
    delta_str_t                   *enums;
    const delta_contract_node_t   *items;       /* NULL: any */
};


typedef struct delta_contract_chunk_s  delta_contract_chunk_t;

struct delta_contract_s {
    delta_contract_chunk_t        *chunks;
    delta_contract_event_t        *events;
    size_t                         nevents;
    const delta_contract_event_t **hash;
    size_t                         mask;
    delta_str_t                   *privileged;
    size_t                         nprivileged;
    uint64_t                       lengths;     /* of their names */
};


/* NULL if the text is none of the known patterns. */
delta_contract_pattern_t delta_contract_pattern(const char *text);

/* Whether a name is listed as privileged. */
int delta_contract_privileged(const delta_contract_t *contract,
    delta_str_t name);

uint32_t delta_contract_hash(delta_str_t type);


#endif /* _DELTA_CONTRACT_NODE_H_INCLUDED_ */
