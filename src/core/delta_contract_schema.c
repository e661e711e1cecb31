
/*
 * Copyright (C) Delta contributors
 */

#include "delta_contract_load.h"


typedef int (*delta_contract_set_t)(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);


typedef struct {
    const char            *name;
    const char            *type;    /* that it needs; NULL: none */
    unsigned               types;
    delta_contract_set_t   set;     /* NULL: nothing to do */
} delta_contract_keyword_t;

typedef struct {
    const char            *name;
    unsigned               types;
} delta_contract_type_t;


static int delta_contract_keywords(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *schema);
static const delta_contract_node_t *delta_contract_ref(
    delta_contract_load_t *l, const json_t *schema, const json_t *ref);
static int delta_contract_type(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_one_type(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_properties(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_additional(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_required(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_items(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_max_items(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_min_length(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_max_length(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_set_pattern(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_enum(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_minimum(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_maximum(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value);
static int delta_contract_size(delta_contract_load_t *l, uint32_t *size,
    const json_t *value);
static int delta_contract_bound(delta_contract_load_t *l, int64_t *bound,
    const json_t *value);


#define BIT(name)  delta_contract_bit(DELTA_JSON_##name)

static const delta_contract_type_t  delta_contract_types[] = {
    { "object", BIT(OBJECT) },
    { "array", BIT(ARRAY) },
    { "string", BIT(STRING) },
    { "number", BIT(NUMBER) },
    { "integer", BIT(NUMBER) | DELTA_CONTRACT_INTEGER },
    { "boolean", BIT(TRUE) | BIT(FALSE) },
    { "null", BIT(NULL) },
    { NULL, 0 }
};

/* In the order in which they build on each other. */

static const delta_contract_keyword_t  delta_contract_known[] = {
    { "description", NULL, 0, NULL },
    { "type", NULL, 0, delta_contract_type },
    { "properties", "object", BIT(OBJECT), delta_contract_properties },
    { "additionalProperties", "object", BIT(OBJECT),
      delta_contract_additional },
    { "required", "object", BIT(OBJECT), delta_contract_required },
    { "items", "array", BIT(ARRAY), delta_contract_items },
    { "maxItems", "array", BIT(ARRAY), delta_contract_max_items },
    { "minLength", "string", BIT(STRING), delta_contract_min_length },
    { "maxLength", "string", BIT(STRING), delta_contract_max_length },
    { "pattern", "string", BIT(STRING), delta_contract_set_pattern },
    { "enum", "string", BIT(STRING), delta_contract_enum },
    { "minimum", "integer", DELTA_CONTRACT_INTEGER, delta_contract_minimum },
    { "maximum", "integer", DELTA_CONTRACT_INTEGER, delta_contract_maximum },
    { NULL, NULL, 0, NULL }
};


const delta_contract_node_t *
delta_contract_schema(delta_contract_load_t *l, const json_t *schema)
{
    const json_t           *ref;
    delta_contract_node_t  *node;

    if (!json_is_object(schema)) {
        delta_contract_error(l, "a schema is an object");
        return NULL;
    }

    ref = json_object_get(schema, "$ref");

    if (ref) {
        return delta_contract_ref(l, schema, ref);
    }

    if (l->nodes == DELTA_CONTRACT_NODES
        || l->depth == DELTA_CONTRACT_HEIGHT)
    {
        delta_contract_error(l, "the schemas are %s",
                             l->nodes == DELTA_CONTRACT_NODES
                             ? "too many" : "nested too deeply");
        return NULL;
    }

    node = delta_contract_alloc(l, sizeof(delta_contract_node_t));
    if (node == NULL) {
        return NULL;
    }

    l->nodes++;

    node->types = DELTA_CONTRACT_ANY;
    node->height = 1;
    node->max_length = UINT32_MAX;
    node->max_items = UINT32_MAX;
    node->minimum = INT64_MIN;
    node->maximum = INT64_MAX;

    l->depth++;

    if (delta_contract_keywords(l, node, schema) != 0) {
        return NULL;
    }

    l->depth--;

    return node;
}


static int
delta_contract_keywords(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *schema)
{
    size_t                           len;
    json_t                          *value;
    const char                      *name;
    const delta_contract_keyword_t  *known;

    json_object_foreach((json_t *) schema, name, value) {

        for (known = delta_contract_known; known->name; known++) {

            if (strcmp(known->name, name) == 0) {
                break;
            }
        }

        if (known->name == NULL) {
            delta_contract_down(l, name);
            return delta_contract_error(l, "the keyword is not known");
        }
    }

    for (known = delta_contract_known; known->name; known++) {
        value = json_object_get(schema, known->name);

        if (value == NULL || known->set == NULL) {
            continue;
        }

        len = delta_contract_down(l, known->name);

        if (known->type && (!json_object_get(schema, "type")
                            || !(node->types & known->types)))
        {
            return delta_contract_error(l, "this needs \"type\": \"%s\"",
                                        known->type);
        }

        if (known->set(l, node, value) != 0) {
            return -1;
        }

        delta_contract_up(l, len);
    }

    return 0;
}


static const delta_contract_node_t *
delta_contract_ref(delta_contract_load_t *l, const json_t *schema,
    const json_t *ref)
{
    const char  *name;

    if (json_object_size(schema) != 1
        && !(json_object_size(schema) == 2
             && json_object_get(schema, "description")))
    {
        delta_contract_error(l, "beside $ref there may be a description only");
        return NULL;
    }

    name = json_string_value(ref);

    if (name == NULL || strncmp(name, "#/$defs/", 8) != 0) {
        delta_contract_down(l, "$ref");
        delta_contract_error(l, "this is not \"#/$defs/<name>\"");
        return NULL;
    }

    return delta_contract_def(l, name + 8);
}


static int
delta_contract_type(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *value)
{
    size_t  i;

    node->types = 0;

    if (!json_is_array(value)) {
        return delta_contract_one_type(l, node, value);
    }

    for (i = 0; i < json_array_size(value); i++) {

        if (delta_contract_one_type(l, node, json_array_get(value, i)) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
delta_contract_one_type(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *value)
{
    const delta_contract_type_t  *known;

    for (known = delta_contract_types; known->name && json_is_string(value);
         known++)
    {
        if (strcmp(known->name, json_string_value(value)) == 0) {
            node->types |= known->types;
            return 0;
        }
    }

    return delta_contract_error(l, "there is no such type");
}


static int
delta_contract_properties(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value)
{
    size_t                    len;
    json_t                   *schema;
    const char               *name;
    delta_contract_member_t  *member;

    if (!json_is_object(value)
        || json_object_size(value) > DELTA_CONTRACT_MEMBERS)
    {
        return delta_contract_error(l, "this is no object of at most %d "
                                    "members", DELTA_CONTRACT_MEMBERS);
    }

    node->members = delta_contract_alloc(l, json_object_size(value)
                                         * sizeof(delta_contract_member_t));
    if (node->members == NULL) {
        return -1;
    }

    json_object_foreach((json_t *) value, name, schema) {
        len = delta_contract_down(l, name);
        member = &node->members[node->nmembers++];

        if (delta_contract_name(l, &member->name, name) != 0) {
            return -1;
        }

        if (delta_contract_privileged(l->contract, member->name)) {
            return delta_contract_error(l, "the name is privileged");
        }

        member->value = delta_contract_schema(l, schema);

        if (delta_contract_above(l, node, member->value) != 0) {
            return -1;
        }

        delta_contract_up(l, len);
    }

    return 0;
}


/* A schema stands above one that it uses. */

int
delta_contract_above(delta_contract_load_t *l, delta_contract_node_t *node,
    const delta_contract_node_t *used)
{
    if (used == NULL) {
        return -1;
    }

    if (used->height == DELTA_CONTRACT_HEIGHT) {
        return delta_contract_error(l, "the schemas are nested too deeply");
    }

    if (node->height <= used->height) {
        node->height = used->height + 1;
    }

    return 0;
}


static int
delta_contract_additional(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value)
{
    if (!json_is_boolean(value)) {
        return delta_contract_error(l, "this is neither true nor false");
    }

    node->closed = json_is_false(value);

    return 0;
}


static int
delta_contract_required(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *value)
{
    size_t       i;
    unsigned     m;
    const char  *name;

    if (!json_is_array(value)) {
        return delta_contract_error(l, "this is not a list of names");
    }

    for (i = 0; i < json_array_size(value); i++) {
        name = json_string_value(json_array_get(value, i));

        for (m = 0; name && m < node->nmembers; m++) {

            if (delta_str_eq(node->members[m].name, name)) {
                break;
            }
        }

        if (name == NULL || m == node->nmembers) {
            return delta_contract_error(l, "%.64s is none of the properties",
                                        name ? name : "what is no string");
        }

        node->required |= (uint64_t) 1 << m;
    }

    return 0;
}


static int
delta_contract_items(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *value)
{
    node->items = delta_contract_schema(l, value);

    return delta_contract_above(l, node, node->items);
}


static int
delta_contract_max_items(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *value)
{
    return delta_contract_size(l, &node->max_items, value);
}


static int
delta_contract_min_length(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value)
{
    return delta_contract_size(l, &node->min_length, value);
}


static int
delta_contract_max_length(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value)
{
    return delta_contract_size(l, &node->max_length, value);
}


static int
delta_contract_set_pattern(delta_contract_load_t *l,
    delta_contract_node_t *node, const json_t *value)
{
    if (json_is_string(value)) {
        node->pattern = delta_contract_pattern(json_string_value(value));
    }

    return node->pattern ? 0
           : delta_contract_error(l, "the pattern is none of those known");
}


static int
delta_contract_enum(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *value)
{
    size_t       i, n;
    const char  *name;

    n = json_array_size(value);

    if (n == 0 || n > DELTA_CONTRACT_ENUMS) {
        return delta_contract_error(l, "this is no list of 1 to %d strings",
                                    DELTA_CONTRACT_ENUMS);
    }

    if (node->types != delta_contract_bit(DELTA_JSON_STRING)) {
        return delta_contract_error(l, "only strings can be listed");
    }

    node->enums = delta_contract_alloc(l, n * sizeof(delta_str_t));
    if (node->enums == NULL) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        name = json_string_value(json_array_get(value, i));

        if (name == NULL) {
            return delta_contract_error(l, "only strings can be listed");
        }

        if (delta_contract_name(l, &node->enums[node->nenums++], name) != 0) {
            return -1;
        }
    }

    return 0;
}


static int
delta_contract_minimum(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *value)
{
    return delta_contract_bound(l, &node->minimum, value);
}


static int
delta_contract_maximum(delta_contract_load_t *l, delta_contract_node_t *node,
    const json_t *value)
{
    return delta_contract_bound(l, &node->maximum, value);
}


static int
delta_contract_size(delta_contract_load_t *l, uint32_t *size,
    const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0
        || json_integer_value(value) > INT32_MAX)
    {
        return delta_contract_error(l, "this is not a number from 0 to %d",
                                    INT32_MAX);
    }

    *size = json_integer_value(value);

    return 0;
}


static int
delta_contract_bound(delta_contract_load_t *l, int64_t *bound,
    const json_t *value)
{
    if (!json_is_integer(value)) {
        return delta_contract_error(l, "this is not a whole number");
    }

    *bound = json_integer_value(value);

    return 0;
}
