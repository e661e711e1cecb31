
/*
 * Copyright (C) Delta contributors
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "delta_contract_load.h"


#define DELTA_CONTRACT_CHUNK  16384


struct delta_contract_chunk_s {
    delta_contract_chunk_t  *next;
    size_t                   used;
    size_t                   size;
    _Alignas(16) char        data[];
};

typedef struct {
    const char              *name;
    unsigned                 value;
} delta_contract_word_t;


static int delta_contract_read(delta_contract_load_t *l, const json_t *root);
static int delta_contract_root(delta_contract_load_t *l, const json_t *root);
static int delta_contract_secrets(delta_contract_load_t *l,
    const json_t *names);
static int delta_contract_defs(delta_contract_load_t *l, const json_t *defs);
static int delta_contract_events(delta_contract_load_t *l,
    const json_t *events);
static int delta_contract_one(delta_contract_load_t *l,
    delta_contract_event_t *event, const char *type, const json_t *value);
static int delta_contract_keys(delta_contract_load_t *l, const json_t *object,
    const char *const *known);
static int delta_contract_scope(delta_contract_load_t *l,
    delta_contract_event_t *event, const json_t *value);
static int delta_contract_word(delta_contract_load_t *l, unsigned *found,
    const delta_contract_word_t *words, const json_t *value);
static int delta_contract_example(delta_contract_load_t *l,
    const delta_contract_event_t *event, const json_t *value);
static int delta_contract_index(delta_contract_load_t *l);
static int delta_contract_type_valid(const char *type);


static const char *const  delta_contract_root_keys[] = {
    "$schema", "$defs", "version", "description", "visibility", "actors",
    "privileged", "events", NULL
};

static const char *const  delta_contract_event_keys[] = {
    "description", "scope", "channels", "visibility", "actor", "endpoints",
    "merge", "raw", "d", "example", NULL
};

static const delta_contract_word_t  delta_contract_scopes[] = {
    { "channel", DELTA_CONTRACT_CHANNEL },
    { "guild", DELTA_CONTRACT_GUILD },
    { "user", DELTA_CONTRACT_USER },
    { "session", DELTA_CONTRACT_SESSION },
    { NULL, 0 }
};

static const delta_contract_word_t  delta_contract_merges[] = {
    { "none", DELTA_MERGE_NONE },
    { "patch", DELTA_MERGE_PATCH },
    { "space", DELTA_MERGE_SPACE },
    { "last", DELTA_MERGE_LAST },
    { NULL, 0 }
};

static const char *const  delta_contract_texts[] = {
#define X(name, label, text)  text,
    DELTA_CONTRACT_ERRORS(X)
#undef X
};

static const char *const  delta_contract_labels[] = {
#define X(name, label, text)  label,
    DELTA_CONTRACT_ERRORS(X)
#undef X
};


delta_contract_t *
delta_contract_load(const char *text, size_t n, delta_contract_error_t *error)
{
    int                    rc;
    json_t                *root;
    json_error_t           parse;
    delta_contract_load_t  l;

    memset(&l, 0, sizeof(delta_contract_load_t));
    memset(error, 0, sizeof(delta_contract_error_t));
    l.error = error;

    if (n > DELTA_CONTRACT_TEXT) {
        delta_contract_error(&l, "the contract is over %d bytes",
                             DELTA_CONTRACT_TEXT);
        return NULL;
    }

    root = json_loadb(n ? text : "", n, JSON_REJECT_DUPLICATES, &parse);

    if (root == NULL) {
        delta_contract_error(&l, "line %d: %.128s", parse.line, parse.text);
        return NULL;
    }

    l.contract = calloc(1, sizeof(delta_contract_t));

    rc = l.contract ? delta_contract_read(&l, root)
                    : delta_contract_error(&l, "out of memory");

    free(l.compiled);
    free(l.busy);
    json_decref(root);

    if (rc != 0) {
        delta_contract_free(l.contract);
        return NULL;
    }

    return l.contract;
}


void
delta_contract_free(delta_contract_t *contract)
{
    delta_contract_chunk_t  *chunk, *next;

    if (contract == NULL) {
        return;
    }

    for (chunk = contract->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }

    free(contract);
}


static int
delta_contract_read(delta_contract_load_t *l, const json_t *root)
{
    size_t  len;

    if (delta_contract_root(l, root) != 0) {
        return -1;
    }

    len = delta_contract_down(l, "privileged");

    if (delta_contract_secrets(l, json_object_get(root, "privileged")) != 0) {
        return -1;
    }

    delta_contract_up(l, len);

    if (delta_contract_defs(l, json_object_get(root, "$defs")) != 0) {
        return -1;
    }

    len = delta_contract_down(l, "events");

    if (delta_contract_events(l, json_object_get(root, "events")) != 0) {
        return -1;
    }

    delta_contract_up(l, len);

    return delta_contract_index(l);
}


static int
delta_contract_root(delta_contract_load_t *l, const json_t *root)
{
    const json_t  *version;

    if (!json_is_object(root)) {
        return delta_contract_error(l, "a contract is an object");
    }

    if (delta_contract_keys(l, root, delta_contract_root_keys) != 0) {
        return -1;
    }

    version = json_object_get(root, "version");

    if (!json_is_integer(version) || json_integer_value(version) != 1) {
        delta_contract_down(l, "version");
        return delta_contract_error(l, "the version is not 1");
    }

    return 0;
}


static int
delta_contract_keys(delta_contract_load_t *l, const json_t *object,
    const char *const *known)
{
    json_t             *value;
    const char         *name;
    const char *const  *key;

    json_object_foreach((json_t *) object, name, value) {

        for (key = known; *key && strcmp(*key, name) != 0; key++) {
            /* void */
        }

        if (*key == NULL) {
            delta_contract_down(l, name);
            return delta_contract_error(l, "the keyword is not known");
        }
    }

    return 0;
}


static int
delta_contract_secrets(delta_contract_load_t *l, const json_t *names)
{
    size_t             i, n;
    const char        *text;
    delta_str_t       *name;
    delta_contract_t  *contract;

    n = json_array_size(names);
    contract = l->contract;

    if (names && (!json_is_array(names) || n > DELTA_CONTRACT_MEMBERS)) {
        return delta_contract_error(l, "this is no list of at most %d names",
                                    DELTA_CONTRACT_MEMBERS);
    }

    contract->privileged = delta_contract_alloc(l, n * sizeof(delta_str_t));
    if (contract->privileged == NULL) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        text = json_string_value(json_array_get(names, i));

        if (text == NULL) {
            return delta_contract_error(l, "only strings can be listed");
        }

        name = &contract->privileged[i];

        if (delta_contract_name(l, name, text) != 0) {
            return -1;
        }

        contract->nprivileged++;
        contract->lengths |= (uint64_t) 1 << name->len % 64;
    }

    return 0;
}


int
delta_contract_privileged(const delta_contract_t *contract, delta_str_t name)
{
    size_t              i;
    const delta_str_t  *one;

    if (!(contract->lengths & (uint64_t) 1 << name.len % 64)) {
        return 0;
    }

    for (i = 0; i < contract->nprivileged; i++) {
        one = &contract->privileged[i];

        if (one->len == name.len && memcmp(one->data, name.data, one->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
delta_contract_defs(delta_contract_load_t *l, const json_t *defs)
{
    size_t       len;
    json_t      *value;
    const char  *name;

    l->defs = defs;
    l->ndefs = json_object_size(defs);
    l->compiled = calloc(l->ndefs + 1, sizeof(delta_contract_node_t *));
    l->busy = calloc(l->ndefs + 1, 1);

    if (l->compiled == NULL || l->busy == NULL) {
        return delta_contract_error(l, "out of memory");
    }

    len = delta_contract_down(l, "$defs");

    if (defs && (!json_is_object(defs) || l->ndefs > DELTA_CONTRACT_EVENTS)) {
        return delta_contract_error(l, "this is no object of at most %d",
                                    DELTA_CONTRACT_EVENTS);
    }

    delta_contract_up(l, len);

    json_object_foreach((json_t *) defs, name, value) {

        if (delta_contract_def(l, name) == NULL) {
            return -1;
        }
    }

    return 0;
}


/* Each is compiled once, however often it is used. */

const delta_contract_node_t *
delta_contract_def(delta_contract_load_t *l, const char *name)
{
    char         outer[sizeof(l->error->pointer)];
    size_t       i, len;
    json_t      *value;
    const char  *key;

    i = 0;
    value = NULL;

    json_object_foreach((json_t *) l->defs, key, value) {

        if (strcmp(key, name) == 0) {
            break;
        }

        i++;
    }

    if (i == l->ndefs || l->busy[i]) {
        delta_contract_error(l, i == l->ndefs ? "there is no such definition"
                                              : "a definition uses itself");
        return NULL;
    }

    if (l->compiled[i]) {
        return l->compiled[i];
    }

    len = l->len;
    memcpy(outer, l->error->pointer, sizeof(outer));

    delta_contract_up(l, 0);
    delta_contract_down(l, "$defs");
    delta_contract_down(l, name);

    l->busy[i] = 1;
    l->compiled[i] = delta_contract_schema(l, value);
    l->busy[i] = 0;

    if (l->compiled[i]) {
        memcpy(l->error->pointer, outer, sizeof(outer));
        l->len = len;
    }

    return l->compiled[i];
}


static int
delta_contract_events(delta_contract_load_t *l, const json_t *events)
{
    size_t                   n, len;
    json_t                  *value;
    const char              *type;
    delta_contract_event_t  *event;

    n = json_object_size(events);

    if (n == 0 || n > DELTA_CONTRACT_EVENTS) {
        return delta_contract_error(l, "this is no object of 1 to %d events",
                                    DELTA_CONTRACT_EVENTS);
    }

    l->contract->events = delta_contract_alloc(l, n
                                             * sizeof(delta_contract_event_t));
    if (l->contract->events == NULL) {
        return -1;
    }

    json_object_foreach((json_t *) events, type, value) {
        len = delta_contract_down(l, type);
        event = &l->contract->events[l->contract->nevents];
        event->index = l->contract->nevents++;

        if (delta_contract_one(l, event, type, value) != 0) {
            return -1;
        }

        delta_contract_up(l, len);
    }

    return 0;
}


static int
delta_contract_one(delta_contract_load_t *l, delta_contract_event_t *event,
    const char *type, const json_t *value)
{
    size_t    len;
    unsigned  merge;

    if (!json_is_object(value)) {
        return delta_contract_error(l, "an event is an object");
    }

    if (!delta_contract_type_valid(type)) {
        return delta_contract_error(l, "a type is 1 to 64 of a-z 0-9 _ .");
    }

    if (delta_contract_name(l, &event->type, type) != 0
        || delta_contract_keys(l, value, delta_contract_event_keys) != 0
        || delta_contract_scope(l, event, json_object_get(value, "scope"))
           != 0
        || delta_contract_channels(l, event, value) != 0)
    {
        return -1;
    }

    len = delta_contract_down(l, "merge");
    merge = DELTA_MERGE_NONE;

    if (json_object_get(value, "merge")
        && delta_contract_word(l, &merge, delta_contract_merges,
                               json_object_get(value, "merge"))
           != 0)
    {
        return -1;
    }

    event->merge = merge;
    delta_contract_up(l, len);
    len = delta_contract_down(l, "d");

    event->d = delta_contract_schema(l, json_object_get(value, "d"));

    if (event->d == NULL) {
        return -1;
    }

    if (event->d->types != delta_contract_bit(DELTA_JSON_OBJECT)) {
        return delta_contract_error(l, "d is an object, and says so");
    }

    delta_contract_up(l, len);

    return delta_contract_example(l, event, json_object_get(value, "example"));
}


static int
delta_contract_scope(delta_contract_load_t *l, delta_contract_event_t *event,
    const json_t *value)
{
    size_t    i, len;
    unsigned  scope;

    len = delta_contract_down(l, "scope");

    if (json_array_size(value) == 0) {
        return delta_contract_error(l, "this is not a list of scopes");
    }

    for (i = 0; i < json_array_size(value); i++) {

        if (delta_contract_word(l, &scope, delta_contract_scopes,
                                json_array_get(value, i))
            != 0)
        {
            return -1;
        }

        event->scope |= scope;
    }

    delta_contract_up(l, len);

    return 0;
}


static int
delta_contract_word(delta_contract_load_t *l, unsigned *found,
    const delta_contract_word_t *words, const json_t *value)
{
    const delta_contract_word_t  *word;

    for (word = words; word->name && json_is_string(value); word++) {

        if (strcmp(word->name, json_string_value(value)) == 0) {
            *found = word->value;
            return 0;
        }
    }

    return delta_contract_error(l, "the word is not known");
}


static int
delta_contract_example(delta_contract_load_t *l,
    const delta_contract_event_t *event, const json_t *value)
{
    int                     rc;
    char                   *text;
    size_t                  len;
    delta_str_t             d;
    delta_json_t            parsed;
    delta_contract_fault_t  fault;

    if (value == NULL) {
        return 0;
    }

    len = delta_contract_down(l, "example");

    text = json_dumps(value, JSON_COMPACT);

    if (text == NULL
        || delta_json_parse(&parsed, text, strlen(text)) != 1
        || parsed.type != DELTA_JSON_OBJECT)
    {
        free(text);
        return delta_contract_error(l, "the example is not an object");
    }

    d.data = text;
    d.len = strlen(text);

    rc = delta_contract_validate(l->contract, event, d, &fault);
    free(text);

    if (rc != 1) {
        return delta_contract_error(l, "%s %s", fault.pointer, fault.what);
    }

    delta_contract_up(l, len);

    return 0;
}


static int
delta_contract_index(delta_contract_load_t *l)
{
    size_t             i, n, slot;
    delta_contract_t  *contract;

    contract = l->contract;

    for (n = 4; n < 2 * contract->nevents; n *= 2) {
        /* void */
    }

    contract->mask = n - 1;
    contract->hash = delta_contract_alloc(l,
                                          n * sizeof(delta_contract_event_t *));
    if (contract->hash == NULL) {
        return -1;
    }

    for (i = 0; i < contract->nevents; i++) {
        slot = delta_contract_hash(contract->events[i].type) & contract->mask;

        while (contract->hash[slot]) {
            slot = (slot + 1) & contract->mask;
        }

        contract->hash[slot] = &contract->events[i];
    }

    return 0;
}


uint32_t
delta_contract_hash(delta_str_t type)
{
    size_t    i;
    uint32_t  hash;

    hash = 2166136261u;

    for (i = 0; i < type.len; i++) {
        hash = (hash ^ (uint8_t) type.data[i]) * 16777619u;
    }

    return hash ^ hash >> 15;
}


const delta_contract_event_t *
delta_contract_find(const delta_contract_t *contract, delta_str_t type)
{
    size_t                         slot;
    const delta_contract_event_t  *event;

    slot = delta_contract_hash(type) & contract->mask;

    for ( ;; ) {
        event = contract->hash[slot];

        if (event == NULL
            || (event->type.len == type.len
                && memcmp(event->type.data, type.data, type.len) == 0))
        {
            return event;
        }

        slot = (slot + 1) & contract->mask;
    }
}


const delta_contract_event_t *
delta_contract_event(const delta_contract_t *contract, size_t index)
{
    return index < contract->nevents ? &contract->events[index] : NULL;
}


static int
delta_contract_type_valid(const char *type)
{
    size_t  n;

    n = strlen(type);

    return n > 0 && n <= DELTA_EVENT_TYPE_MAX
           && strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789_.") == n;
}


int
delta_contract_name(delta_contract_load_t *l, delta_str_t *name,
    const char *text)
{
    char    *p;
    size_t   n;

    n = strlen(text);

    if (n > DELTA_CONTRACT_NAME) {
        return delta_contract_error(l, "the name is over %d bytes",
                                    DELTA_CONTRACT_NAME);
    }

    p = delta_contract_alloc(l, n + 1);
    if (p == NULL) {
        return -1;
    }

    memcpy(p, text, n);

    name->data = p;
    name->len = n;

    return 0;
}


void *
delta_contract_alloc(delta_contract_load_t *l, size_t size)
{
    void                    *p;
    size_t                   n;
    delta_contract_chunk_t  *chunk;

    size = (size + 15) & ~(size_t) 15;
    chunk = l->contract->chunks;

    if (chunk == NULL || chunk->size - chunk->used < size) {
        n = size > DELTA_CONTRACT_CHUNK ? size : DELTA_CONTRACT_CHUNK;
        chunk = calloc(1, sizeof(delta_contract_chunk_t) + n);

        if (chunk == NULL) {
            delta_contract_error(l, "out of memory");
            return NULL;
        }

        chunk->size = n;
        chunk->next = l->contract->chunks;
        l->contract->chunks = chunk;
    }

    p = chunk->data + chunk->used;
    chunk->used += size;

    return p;
}


size_t
delta_contract_down(delta_contract_load_t *l, const char *name)
{
    char    *p;
    size_t   len, room;

    len = l->len;
    p = l->error->pointer;
    room = sizeof(l->error->pointer) - 3;

    if (l->failed || len >= room) {
        return len;
    }

    p[l->len++] = '/';

    for ( /* void */ ; *name && l->len < room; name++) {

        if (*name == '~' || *name == '/') {
            p[l->len++] = '~';
            p[l->len++] = (*name == '~') ? '0' : '1';

        } else {
            p[l->len++] = (*name < 0x20 || *name > 0x7e) ? '?' : *name;
        }
    }

    p[l->len] = '\0';

    return len;
}


void
delta_contract_up(delta_contract_load_t *l, size_t len)
{
    l->len = len;
    l->error->pointer[len] = '\0';
}


int
delta_contract_error(delta_contract_load_t *l, const char *format, ...)
{
    va_list  args;

    if (l->failed) {
        return -1;
    }

    va_start(args, format);
    vsnprintf(l->error->text, sizeof(l->error->text), format, args);
    va_end(args);

    l->failed = 1;

    return -1;
}


const char *
delta_contract_strerror(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0
           && i < sizeof(delta_contract_texts) / sizeof(delta_contract_texts[0])
           ? delta_contract_texts[i] : "Unknown error.";
}


const char *
delta_contract_label(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0 && i < sizeof(delta_contract_labels)
                            / sizeof(delta_contract_labels[0])
           ? delta_contract_labels[i] : "unknown";
}
