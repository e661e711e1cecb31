
/*
 * Copyright (C) Delta contributors
 */

#include <jansson.h>
#include <time.h>
#include "delta_contract.h"
#include "delta_json.h"
#include "tap.h"


#define BASE(d)  "{\"version\":1,\"privileged\":[\"ip\"],\"events\":{\"e\":"  \
                 "{\"scope\":[\"user\"],\"d\":" d "}}}"
#define DEFS(defs, d)  "{\"version\":1,\"$defs\":" defs ",\"events\":{\"e\":" \
                       "{\"scope\":[\"user\"],\"d\":" d "}}}"
#define OBJ(props)  "{\"type\":\"object\",\"additionalProperties\":false,"    \
                    "\"properties\":" props "}"


typedef struct {
    const char  *text;
    const char  *pointer;
} contract_hostile_t;

typedef struct {
    const char  *schema;            /* of the member x */
    const char  *value;
    const char  *what;              /* NULL: valid */
    const char  *pointer;
} contract_value_t;


static const contract_hostile_t  contract_hostile[] = {
    { "", "" },
    { "[]", "" },
    { "{\"version\":1", "" },
    { "{\"version\":1,\"version\":1}", "" },
    { "{\"version\":2,\"events\":{}}", "/version" },
    { "{\"version\":1}", "/events" },
    { "{\"version\":1,\"events\":{}}", "/events" },
    { "{\"version\":1,\"events\":[1]}", "/events" },
    { "{\"version\":1,\"evil\":1,\"events\":{}}", "/evil" },
    { "{\"version\":1,\"events\":{\"e\":1}}", "/events/e" },
    { "{\"version\":1,\"events\":{\"E\":{}}}", "/events/E" },
    { "{\"version\":1,\"events\":{\"e\":{}}}", "/events/e/scope" },
    { "{\"version\":1,\"events\":{\"e\":{\"scope\":[\"all\"]}}}",
      "/events/e/scope" },
    { "{\"version\":1,\"events\":{\"e\":{\"scope\":[\"user\"]}}}",
      "/events/e/d" },
    { "{\"version\":1,\"events\":{\"e\":{\"scope\":[\"user\"],"
      "\"channels\":[\"a:{b}\",\"a:{b}c\"]}}}", "/events/e/channels" },
    { "{\"version\":1,\"events\":{\"e\":{\"scope\":[\"user\"],"
      "\"merge\":\"x\"}}}", "/events/e/merge" },
    { "{\"version\":1,\"events\":{\"e\":{\"to/~\":1}}}",
      "/events/e/to~1~0" },
    { BASE("1"), "/events/e/d" },
    { BASE("{}"), "/events/e/d" },
    { BASE("{\"type\":\"string\"}"), "/events/e/d" },
    { BASE("{\"type\":\"thing\"}"), "/events/e/d/type" },
    { BASE("{\"type\":[\"object\",7]}"), "/events/e/d/type" },
    { BASE("{\"type\":\"object\",\"oneOf\":[]}"), "/events/e/d/oneOf" },
    { BASE("{\"type\":\"object\",\"properties\":[]}"),
      "/events/e/d/properties" },
    { BASE("{\"type\":\"object\",\"required\":[\"a\"]}"),
      "/events/e/d/required" },
    { BASE("{\"type\":\"object\",\"required\":1}"), "/events/e/d/required" },
    { BASE("{\"type\":\"object\",\"additionalProperties\":{}}"),
      "/events/e/d/additionalProperties" },
    { BASE("{\"type\":\"object\",\"maxLength\":1}"),
      "/events/e/d/maxLength" },
    { BASE(OBJ("{\"ip\":{\"type\":\"string\"}}")),
      "/events/e/d/properties/ip" },
    { BASE(OBJ("{\"a\":{\"type\":\"string\",\"pattern\":\"^(a+)+$\"}}")),
      "/events/e/d/properties/a/pattern" },
    { BASE(OBJ("{\"a\":{\"type\":\"string\",\"maxLength\":-1}}")),
      "/events/e/d/properties/a/maxLength" },
    { BASE(OBJ("{\"a\":{\"type\":\"string\",\"maxLength\":1e99}}")),
      "/events/e/d/properties/a/maxLength" },
    { BASE(OBJ("{\"a\":{\"type\":\"string\",\"enum\":[1]}}")),
      "/events/e/d/properties/a/enum" },
    { BASE(OBJ("{\"a\":{\"type\":\"string\",\"enum\":[]}}")),
      "/events/e/d/properties/a/enum" },
    { BASE(OBJ("{\"a\":{\"type\":[\"string\",\"null\"],\"enum\":[\"x\"]}}")),
      "/events/e/d/properties/a/enum" },
    { BASE(OBJ("{\"a\":{\"type\":\"number\",\"minimum\":1}}")),
      "/events/e/d/properties/a/minimum" },
    { BASE(OBJ("{\"a\":{\"type\":\"integer\",\"minimum\":1.5}}")),
      "/events/e/d/properties/a/minimum" },
    { BASE("{\"$ref\":\"#/$defs/none\"}"), "/events/e/d" },
    { BASE("{\"$ref\":\"http://example.com\"}"), "/events/e/d/$ref" },
    { BASE("{\"$ref\":\"#/$defs/a\",\"type\":\"object\"}"), "/events/e/d" },
    { DEFS("{\"a\":{\"$ref\":\"#/$defs/a\"}}", "{}"), "/$defs/a" },
    { DEFS("{\"a\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/b\"}},"
           "\"b\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/a\"}}}",
           "{}"), "/$defs/b/items" },
    { DEFS("7", "{}"), "/$defs" },
    { "{\"version\":1,\"events\":{\"e\":{\"scope\":[\"user\"],\"d\":"
      OBJ("{\"a\":{\"type\":\"null\"}}") ",\"example\":{\"a\":1}}}}",
      "/events/e/example" },
    { "{\"version\":1,\"events\":{\"e\":{\"scope\":[\"user\"],\"d\":"
      OBJ("{}") ",\"example\":[]}}}", "/events/e/example" },
};

#define ID  "{\"type\":\"string\",\"pattern\":"                               \
            "\"^[A-Za-z0-9._~@|+-]{1,128}$\"}"
#define TIME  "{\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]"   \
              "{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z$\"}"

static const contract_value_t  contract_values[] = {
    { ID, "\"a-b\"", NULL, "" },
    { ID, "\"\\u0061\"", NULL, "" },
    { ID, "\"\"", "does not match the pattern", "/x" },
    { ID, "\"a b\"", "does not match the pattern", "/x" },
    { ID, "\"a\\u0000\"", "does not match the pattern", "/x" },
    { ID, "null", "has the wrong type", "/x" },
    { TIME, "\"2025-07-28T10:30:16Z\"", NULL, "" },
    { TIME, "\"2025-07-28T10:30:16.123456789Z\"", NULL, "" },
    { TIME, "\"2025-07-28T10:30:16.Z\"", "does not match the pattern", "/x" },
    { TIME, "\"2025-07-28T10:30:16\"", "does not match the pattern", "/x" },
    { TIME, "\"2025-07-28T10:30:16.1234567890Z\"",
      "does not match the pattern", "/x" },
    { "{\"type\":\"string\",\"maxLength\":2}", "\"\xc3\xa4\\ud83d\\ude00\"",
      NULL, "" },
    { "{\"type\":\"string\",\"maxLength\":2}", "\"\xc3\xa4\\n!\"",
      "is too long", "/x" },
    { "{\"type\":\"string\",\"maxLength\":0}", "\"\"", NULL, "" },
    { "{\"type\":\"string\",\"minLength\":2}", "\"\xf0\x9f\x98\x80\"",
      "is too short", "/x" },
    { "{\"type\":\"integer\",\"minimum\":-1,\"maximum\":5}", "-1", NULL, "" },
    { "{\"type\":\"integer\",\"minimum\":-1,\"maximum\":5}", "-2",
      "is too small", "/x" },
    { "{\"type\":\"integer\",\"minimum\":-1,\"maximum\":5}", "6",
      "is too large", "/x" },
    { "{\"type\":\"integer\"}", "9007199254740991", NULL, "" },
    { "{\"type\":\"integer\"}", "9007199254740992", "is too large", "/x" },
    { "{\"type\":\"integer\"}", "-99999999999999999999999999",
      "is too small", "/x" },
    { "{\"type\":\"integer\"}", "1.0", "is not a whole number", "/x" },
    { "{\"type\":\"integer\"}", "1e3", "is not a whole number", "/x" },
    { "{\"type\":\"number\"}", "-1.5e3", NULL, "" },
    { "{\"type\":\"boolean\"}", "false", NULL, "" },
    { "{\"type\":\"boolean\"}", "0", "has the wrong type", "/x" },
    { "{\"type\":\"string\",\"enum\":[\"a\",\"bc\"]}", "\"b\\u0063\"", NULL,
      "" },
    { "{\"type\":\"string\",\"enum\":[\"a\",\"bc\"]}", "\"b\"",
      "is not one of the values", "/x" },
    { "{\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"null\"}}",
      "[null,null]", NULL, "" },
    { "{\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"null\"}}",
      "[null,null,null]", "has too many items", "/x" },
    { "{\"type\":\"array\",\"items\":{\"type\":\"null\"}}", "[null,1]",
      "has the wrong type", "/x/1" },
    { "{\"type\":\"object\",\"properties\":{\"a/~\":{\"type\":\"null\"}}}",
      "{\"a/~\":1}", "has the wrong type", "/x/a~1~0" },
    { "{\"type\":\"object\"}", "{\"a\":[{\"b\":{}}]}", NULL, "" },
    { "{\"type\":\"object\"}", "{\"a\":[1,{\"b\":{\"ip\":1}}]}",
      "is privileged", "/x/a/1/b/ip" },
    { "{\"type\":\"object\"}", "{\"\\u0069p\":1}", "is privileged",
      "/x/ip" },
    { "{}", "[{\"ip\":1}]", "is privileged", "/x/0/ip" },
    { "{}", "null,\"\\u0078\":1", "comes twice", "/x" },
    { "{}", "null,\"\xc3\xa4\":1", "is not in the contract", "/??" },
};


static char *contract_text;
static size_t contract_len;


static void
contract_read(void)
{
    FILE  *f;

    f = fopen("conf/events.json", "rb");
    contract_text = malloc(1 << 20);

    if (f == NULL || contract_text == NULL) {
        printf("Bail out! conf/events.json cannot be read\n");
        exit(1);
    }

    contract_len = fread(contract_text, 1, 1 << 20, f);
    fclose(f);
}


static int
contract_event(const delta_contract_t *contract, const char *type,
    const char *d, size_t n, delta_contract_fault_t *fault)
{
    delta_str_t    raw;
    delta_json_t   value;
    delta_event_t  event;

    memset(fault, 0, sizeof(delta_contract_fault_t));
    fault->what = "";

    raw.data = guard(d, n);
    raw.len = n;

    if (delta_json_parse(&value, raw.data, raw.len) != 1
        || value.type != DELTA_JSON_OBJECT)
    {
        return 0;
    }

    event.t.data = type;
    event.t.len = strlen(type);
    event.d = value.raw;

    return delta_contract_check(contract, &event, fault);
}


static int
contract_json(const delta_contract_t *contract, const char *type, json_t *d,
    delta_contract_fault_t *fault)
{
    int    rc;
    char  *text;

    text = json_dumps(d, JSON_COMPACT);
    rc = contract_event(contract, type, text, strlen(text), fault);
    free(text);

    return rc;
}


static void
contract_hostile_test(void)
{
    size_t                   i;
    delta_contract_t        *contract;
    delta_contract_error_t   error;

    for (i = 0; i < sizeof(contract_hostile) / sizeof(contract_hostile[0]);
         i++)
    {
        contract = delta_contract_load(contract_hostile[i].text,
                                       strlen(contract_hostile[i].text),
                                       &error);

        ok(contract == NULL && error.text[0]
           && strcmp(error.pointer, contract_hostile[i].pointer) == 0,
           "refused: %s (%s %s)", contract_hostile[i].text, error.pointer,
           error.text);

        delta_contract_free(contract);
    }
}


static void
contract_value_test(void)
{
    int                      rc;
    char                     text[1024];
    size_t                   i;
    delta_contract_t        *contract;
    const contract_value_t  *v;
    delta_contract_error_t   error;
    delta_contract_fault_t   fault;

    for (i = 0; i < sizeof(contract_values) / sizeof(contract_values[0]);
         i++)
    {
        v = &contract_values[i];

        snprintf(text, sizeof(text), BASE(OBJ("{\"x\":%s}")), v->schema);
        contract = delta_contract_load(text, strlen(text), &error);

        if (contract == NULL) {
            ok(0, "%s: %s %s", v->schema, error.pointer, error.text);
            continue;
        }

        snprintf(text, sizeof(text), "{\"x\":%s}", v->value);
        rc = contract_event(contract, "e", text, strlen(text), &fault);

        ok(rc == (v->what == NULL ? 1
                  : strcmp(v->what, "is privileged") == 0
                    ? DELTA_CONTRACT_EPRIVILEGED : DELTA_CONTRACT_EINVALID)
           && strcmp(fault.what, v->what ? v->what : "") == 0
           && strcmp(fault.pointer, v->pointer) == 0,
           "%s as %s: %s %s", v->value, v->schema, fault.pointer, fault.what);

        delta_contract_free(contract);
    }
}


static void
contract_channel_test(void)
{
    size_t                   i;
    const char              *what;
    delta_contract_t        *contract;
    delta_contract_error_t   error;

    static const char  text[] = "{\"version\":1,\"events\":{\"e\":{\"scope\":"
        "[\"user\"],\"channels\":[\"user:{who}:inbox\",\"lobby\",\"a:{id}\"],"
        "\"d\":{\"type\":\"object\"}}}}";

    static const struct {
        const char  *name, *d, *what;
    } cases[] = {
        { "user:ben:inbox", "{\"id\":\"x\"}", NULL },
        { "lobby", "{}", NULL },
        { "user:ben", "{}", "none" },
        { "user:ben:inbox:x", "{}", "none" },
        { "user:inbox", "{}", "none" },
        { "lobby2", "{}", "none" },
        { "guild:ben:inbox", "{}", "none" },
        { "lobby:a", "{}", "none" },
        { "a", "{}", "none" },
        { "a:b", "{\"x\":{\"id\":\"c\"}}", NULL },
        { "a:b", "{\"id\":\"b\"}", NULL },
        { "a:b", "{\"id\":\"\\u0062\"}", NULL },
        { "a:b", "{\"id\":\"c\"}", "not" },
        { "a:b", "{\"i\\u0064\":\"c\"}", "not" },
        { "a:b", "{\"id\":\"bb\"}", "not" },
        { "a:b", "{\"id\":\"\"}", "not" },
        { "a:b", "{\"id\":7}", "not" },
        { "a:b", "{\"id\":null}", "not" },
        { "b:b", "{\"id\":\"c\"}", "none" },
    };

    contract = delta_contract_load(text, sizeof(text) - 1, &error);

    if (!ok(contract != NULL, "channels: %s %s", error.pointer, error.text)) {
        return;
    }

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        what = delta_contract_astray(delta_contract_event(contract, 0),
                                     (delta_str_t) { cases[i].name,
                                                     strlen(cases[i].name) },
                                     (delta_str_t) { cases[i].d,
                                                     strlen(cases[i].d) });

        ok(cases[i].what == NULL ? what == NULL
           : what && strncmp(what + 3, cases[i].what, strlen(cases[i].what))
                     == 0,
           "%s, %s: %s", cases[i].name, cases[i].d, what ? what : "fits");
    }

    delta_contract_free(contract);
}


/* Each member removed, of another type, far too large; one too many. */

static int
contract_break(const delta_contract_t *contract, const char *type,
    const json_t *schema, const json_t *example)
{
    int                      good;
    char                     want[160], *huge;
    size_t                   i;
    json_t                  *d, *value, *required;
    const char              *name;
    delta_contract_fault_t   fault;

    good = 1;
    required = json_object_get(schema, "required");

    for (i = 0; i < json_array_size(required); i++) {
        name = json_string_value(json_array_get(required, i));
        snprintf(want, sizeof(want), "/%s", name);

        d = json_deep_copy(example);
        json_object_del(d, name);

        good &= contract_json(contract, type, d, &fault)
                == DELTA_CONTRACT_EINVALID
                && strcmp(fault.pointer, want) == 0
                && strcmp(fault.what, "is missing") == 0;
        json_decref(d);
    }

    huge = malloc(65537);
    memset(huge, 'a', 65536);
    huge[65536] = '\0';

    json_object_foreach(json_object_get(schema, "properties"), name, value) {
        snprintf(want, sizeof(want), "/%s", name);

        d = json_deep_copy(example);
        json_object_set_new(d, name, json_true());

        good &= contract_json(contract, type, d, &fault)
                == DELTA_CONTRACT_EINVALID
                && strcmp(fault.pointer, want) == 0;

        json_object_set_new(d, name, json_string(huge));

        good &= (contract_json(contract, type, d, &fault)
                 == DELTA_CONTRACT_EINVALID
                 && strcmp(fault.pointer, want) == 0)
                || strcmp(name, "ref") == 0;
        json_decref(d);
    }

    d = json_deep_copy(example);
    json_object_set_new(d, huge, json_true());
    good &= contract_json(contract, type, d, &fault)
            == DELTA_CONTRACT_EINVALID
            && fault.pointer[0] == '.';
    json_object_clear(d);
    json_object_set_new(d, "ip", json_string("192.0.2.1"));
    good &= contract_json(contract, type, d, &fault)
            == DELTA_CONTRACT_EPRIVILEGED
            && strcmp(fault.pointer, "/ip") == 0;
    json_decref(d);
    free(huge);

    return good;
}


static int
contract_truncate(const delta_contract_t *contract, const char *type,
    const json_t *example)
{
    int                      good;
    char                    *text;
    size_t                   i, n;
    delta_contract_fault_t   fault;

    text = json_dumps(example, JSON_COMPACT);
    n = strlen(text);
    good = contract_event(contract, type, text, n, &fault) == 1;

    for (i = 0; i < n; i++) {
        good &= contract_event(contract, type, text, i, &fault) == 0;
    }

    free(text);

    return good;
}


static int
contract_fuzz(const delta_contract_t *contract, const char *type,
    const json_t *example, unsigned *seed)
{
    int                      i, j, parsed;
    char                    *text, *copy;
    size_t                   n;
    delta_contract_fault_t   fault;

    text = json_dumps(example, JSON_COMPACT);
    n = strlen(text);
    copy = malloc(n);
    parsed = 0;

    for (i = 0; i < 300; i++) {
        memcpy(copy, text, n);

        for (j = rand_r(seed) % 3; j >= 0; j--) {
            copy[rand_r(seed) % n] = "{}[]\",:\\u0a-. \x01"[rand_r(seed) % 15];
        }

        if (contract_event(contract, type, copy, n, &fault)
            <= DELTA_CONTRACT_EINVALID)
        {
            parsed++;

            if (fault.what[0] == '\0'
                || memchr(fault.pointer, 0, sizeof(fault.pointer)) == NULL)
            {
                parsed = -1000;
            }
        }
    }

    free(copy);
    free(text);

    return parsed;
}


static void
contract_bench(const delta_contract_t *contract, const char *type,
    const char *text)
{
    int                      i, rounds;
    double                   parse, check;
    struct timespec          a, b, c;
    delta_event_t            event;
    delta_contract_fault_t   fault;

    rounds = 20000;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);

    for (i = 0; i < rounds; i++) {
        delta_event_parse(&event, text, strlen(text));
    }

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);

    for (i = 0; i < rounds; i++) {
        delta_contract_check(contract, &event, &fault);
    }

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &c);

    parse = (b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec;
    check = (c.tv_sec - b.tv_sec) * 1e9 + c.tv_nsec - b.tv_nsec;

    printf("# %s of %zu bytes: parse %.0f ns, contract %.0f ns\n", type,
           strlen(text), parse / rounds, check / rounds);
}


static void
contract_events_test(void)
{
    unsigned                       seed;
    json_t                        *root, *one, *schema, *name;
    const char                    *type;
    delta_contract_t              *contract;
    delta_contract_error_t         error;
    delta_contract_fault_t         fault;
    const delta_contract_event_t  *event;

    seed = 1;
    contract = delta_contract_load(contract_text, contract_len, &error);

    if (!ok(contract != NULL, "conf/events.json loads: %s %s", error.pointer,
            error.text))
    {
        return;
    }

    root = json_loadb(contract_text, contract_len, 0, NULL);

    json_object_foreach(json_object_get(root, "events"), type, one) {
        event = delta_contract_find(contract,
                                    (delta_str_t) { type, strlen(type) });
        schema = json_object_get(one, "d");
        name = json_object_get(schema, "$ref");

        if (name) {
            schema = json_object_get(json_object_get(root, "$defs"),
                                     json_string_value(name) + 8);
        }

        ok(event && delta_str_eq(event->type, type)
           && delta_contract_event(contract, event->index) == event
           && event->scope, "%s is found", type);

        is_int(contract_json(contract, type, json_object_get(one, "example"),
                             &fault), 1, "%s: its example", type);
        ok(contract_break(contract, type, schema,
                          json_object_get(one, "example")),
           "%s: broken in each member", type);
        ok(contract_truncate(contract, type, json_object_get(one, "example")),
           "%s: cut at every byte", type);
        ok(contract_fuzz(contract, type, json_object_get(one, "example"),
                         &seed) > 0, "%s: random damage", type);
    }

    is_int(contract_event(contract, "no_such", "{}", 2, &fault),
           DELTA_CONTRACT_EUNKNOWN, "an unknown type");
    is_str(delta_contract_label(DELTA_CONTRACT_EUNKNOWN), "unknown", "label");
    ok(delta_contract_event(contract, json_object_size(
                            json_object_get(root, "events"))) == NULL,
       "behind the last event");

    event = delta_contract_find(contract, (delta_str_t) delta_str("patch"));
    ok(event->merge == DELTA_MERGE_PATCH
       && event->scope == (DELTA_CONTRACT_USER|DELTA_CONTRACT_GUILD),
       "merge rule and scope of patch");

    event = delta_contract_find(contract,
                                (delta_str_t) delta_str("space_delta"));
    is_int(event->merge, DELTA_MERGE_SPACE, "merge rule of space_delta");

    event = delta_contract_find(contract,
                                (delta_str_t) delta_str("presence_update"));
    is_int(event->merge, DELTA_MERGE_LAST, "merge rule of presence_update");

    event = delta_contract_find(contract, (delta_str_t) delta_str("ready"));
    is_int(event->scope, DELTA_CONTRACT_SESSION, "ready is the gateway's");

    contract_bench(contract, "message_create",
        "{\"t\":\"message_create\",\"d\":{\"guild_id\":\"42\",\"channel_id\":"
        "\"7\",\"message_id\":\"m1001\",\"author_id\":\"ada\",\"content\":"
        "\"Hello, all of you who have been waiting for the news of the day: "
        "it has come, and it is as good as we had hoped it would be.\","
        "\"created_at\":\"2025-07-28T10:30:16.123Z\",\"nonce\":\"7f3a9c\"}}");

    json_decref(root);
    delta_contract_free(contract);
}


/* A contract is broken at every byte: refused or not, never out of bounds. */

static void
contract_damage_test(void)
{
    size_t                   i, n, loaded;
    unsigned                 seed;
    char                    *text;
    delta_contract_t        *contract;
    delta_contract_error_t   error;

    seed = 7;
    loaded = 0;
    n = contract_len;

    for (i = 0; i < 300; i++) {
        text = guard(contract_text, n);
        text[rand_r(&seed) % n] = "{}[]\",:x0"[rand_r(&seed) % 9];
        contract = delta_contract_load(text, n - rand_r(&seed) % 2 * 3,
                                       &error);
        loaded += contract != NULL;
        delta_contract_free(contract);
    }

    ok(loaded < 300, "damaged contracts: %zu of 300 load", loaded);
}


int
main(void)
{
    plan(0);
    contract_read();
    contract_hostile_test();
    contract_value_test();
    contract_channel_test();
    contract_events_test();
    contract_damage_test();
    free(contract_text);

    return done_testing();
}
