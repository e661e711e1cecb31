
/*
 * Copyright (C) Delta contributors
 *
 * What events may look like: conf/events.json compiled into a table that
 * never changes, and raw events held against it without building them.
 *
 * The schemas are JSON Schema (draft 2020-12) of these keywords, and no
 * others:
 *   $ref to "#/$defs/<name>" (alone), description,
 *   type (one, or a list): object array string number integer boolean null,
 *   properties, required, additionalProperties (true or false),
 *   items, maxItems, minLength, maxLength (characters), enum (of strings),
 *   minimum and maximum (of integers),
 *   pattern: one of those that delta_contract_pattern.c knows.
 * An integer is written without fraction and exponent and is at most 2^53 - 1
 * either way.
 *
 * No schema may have a property that is listed under "privileged".  Where a
 * schema leaves an object open, such a member is a fault at any depth.
 */

#ifndef _DELTA_CONTRACT_H_INCLUDED_
#define _DELTA_CONTRACT_H_INCLUDED_


#include "delta_merge.h"


#define DELTA_CONTRACT_TEXT     (4 << 20)   /* bytes of the contract */
#define DELTA_CONTRACT_EVENTS   1024
#define DELTA_CONTRACT_NODES    16384
#define DELTA_CONTRACT_MEMBERS  64          /* of one object */
#define DELTA_CONTRACT_ENUMS    64          /* of one string */
#define DELTA_CONTRACT_HEIGHT   32
#define DELTA_CONTRACT_CHANNELS 16          /* of one event */
#define DELTA_CONTRACT_NAME     128         /* bytes of a name or value */
#define DELTA_CONTRACT_POINTER  128         /* bytes of a fault's pointer */


#define DELTA_CONTRACT_ERRORS(X)                                              \
    X(UNKNOWN, "unknown", "The contract does not know the type.")             \
    X(INVALID, "invalid", "The event is not as the contract says.")           \
    X(PRIVILEGED, "privileged", "The event has a member nobody may see.")

enum {
#define X(name, label, text)  DELTA_CONTRACT_POS_##name,
    DELTA_CONTRACT_ERRORS(X)
#undef X
};

enum {
#define X(name, label, text)                                                  \
    DELTA_CONTRACT_E##name = -1 - DELTA_CONTRACT_POS_##name,
    DELTA_CONTRACT_ERRORS(X)
#undef X
};


/* Which sessions an event is for: bits. */
enum {
    DELTA_CONTRACT_CHANNEL = 1,
    DELTA_CONTRACT_GUILD = 2,
    DELTA_CONTRACT_USER = 4,
    DELTA_CONTRACT_SESSION = 8      /* alone: only the gateway says that */
};


typedef struct delta_contract_s       delta_contract_t;
typedef struct delta_contract_node_s  delta_contract_node_t;

typedef struct {
    delta_str_t                   type;
    size_t                        index;    /* 0 to the number of events - 1 */
    unsigned                      scope;
    delta_merge_rule_t            merge;
    const delta_str_t            *channels; /* as written; none: anywhere */
    size_t                        nchannels;
    const delta_contract_node_t  *d;
} delta_contract_event_t;

/* Why a contract was refused: a JSON pointer into it, and a sentence. */
typedef struct {
    char                          pointer[256];
    char                          text[192];
} delta_contract_error_t;

/*
 * Why an event was: a JSON pointer into d, and what is wrong there, as "is
 * missing".  The pointer is printable ASCII; one that is too long has lost
 * its beginning and begins with "...".
 */
typedef struct {
    char                          pointer[DELTA_CONTRACT_POINTER];
    const char                   *what;
} delta_contract_fault_t;


/*
 * Compiles the text of a contract; nothing of it is kept.  The owner frees
 * the result.  Returns NULL, with *error set, if there is anything that it
 * does not know, if an example is not as its own schema says, or without
 * memory.
 */
delta_contract_t *delta_contract_load(const char *text, size_t n,
    delta_contract_error_t *error);
void delta_contract_free(delta_contract_t *contract);

/* By number, in no particular order (NULL behind the last), and by type. */
const delta_contract_event_t *delta_contract_event(
    const delta_contract_t *contract, size_t index);
const delta_contract_event_t *delta_contract_find(
    const delta_contract_t *contract, delta_str_t type);

/*
 * Why an event that is valid, of that type, with that d, may not be published
 * there, as "is none that ...", or NULL: it may.  channel is a valid name.
 * What stands for a {name} of the contract is what d has under that name, if
 * it has it, else any segment.
 */
const char *delta_contract_astray(const delta_contract_event_t *event,
    delta_str_t channel, delta_str_t d);

/*
 * Holds an event that delta_event_parse() accepted against the contract, in
 * time proportional to its length and without memory.
 * Returns 1; DELTA_CONTRACT_EUNKNOWN; or, with *fault set, its first fault,
 * DELTA_CONTRACT_EINVALID or DELTA_CONTRACT_EPRIVILEGED.
 */
int delta_contract_check(const delta_contract_t *contract,
    const delta_event_t *event, delta_contract_fault_t *fault);

/*
 * The same, when the type has been found; NULL: it is not known, then only
 * what is privileged is a fault.
 */
int delta_contract_validate(const delta_contract_t *contract,
    const delta_contract_event_t *event, delta_str_t d,
    delta_contract_fault_t *fault);

const char *delta_contract_strerror(int error);
const char *delta_contract_label(int error);        /* for metrics */


#endif /* _DELTA_CONTRACT_H_INCLUDED_ */
