
/*
 * Copyright (C) Delta contributors
 */

#include <jansson.h>
#include "delta_contract.h"
#include "delta_events.h"
#include "publisher_events.h"
#include "tap.h"


#define is_text(out, n, text, name)                                           \
    is_mem(out, n, text, sizeof(text) - 1, name)


static json_t            *contract_root;
static delta_contract_t  *contract;


static void
events_read(void)
{
    long                     n;
    char                    *text;
    FILE                    *f;
    delta_contract_error_t   error;

    f = fopen("conf/events.json", "rb");
    text = malloc(1 << 20);

    if (f == NULL || text == NULL) {
        printf("Bail out! conf/events.json cannot be read\n");
        exit(1);
    }

    n = fread(text, 1, 1 << 20, f);
    contract_root = json_loadb(text, n, 0, NULL);
    contract = delta_contract_load(text, n, &error);

    if (contract == NULL) {
        printf("Bail out! %s %s\n", error.pointer, error.text);
        exit(1);
    }

    fclose(f);
    free(text);
}


/* What a constructor makes is valid, and is the example. */

static void
events_example(size_t i)
{
    int                      rc;
    char                    *out;
    size_t                   size;
    json_t                  *want, *got;
    ssize_t                  n;
    const char              *type;
    delta_event_t            event;
    delta_contract_fault_t   fault;

    type = examples[i].type;
    want = json_object_get(json_object_get(json_object_get(contract_root,
                           "events"), type), "example");

    n = examples[i].make(NULL, 0);

    if (!ok(n > 0, "%s: %zd bytes", type, n)) {
        return;
    }

    out = guard(NULL, n);
    is_int(examples[i].make(out, n), n, "%s: into as many bytes", type);

    rc = delta_event_parse(&event, out, n) == 1
         ? delta_contract_check(contract, &event, &fault) : 0;

    ok(rc == 1 && delta_str_eq(event.t, type), "%s: is valid", type);

    got = json_loadb(event.d.data, event.d.len, 0, NULL);
    ok(json_equal(got, want), "%s: is the example", type);
    json_decref(got);

    for (rc = 1, size = 0; size < (size_t) n; size++) {
        rc &= examples[i].make(guard(NULL, size), size) == n;
    }

    ok(rc, "%s: into too few bytes", type);
}


static void
events_refused(void)
{
    char                             out[512], big[64];
    ssize_t                          n;
    delta_events_patch_t             patch;
    delta_events_message_delete_t    gone;
    delta_events_channel_reorder_t   order;

    memset(&gone, 0, sizeof(gone));
    gone.guild_id = "42";
    gone.channel_id = "7";

    is_int(delta_events_message_delete(out, sizeof(out), &gone), -1,
           "a required member is NULL");

    snprintf(big, sizeof(big), "a\"\\\n\xff%c", 1);
    gone.message_id = big;
    n = delta_events_message_delete(out, sizeof(out), &gone);

    is_text(out, n, "{\"t\":\"message_delete\",\"d\":{\"guild_id\":\"42\","
            "\"channel_id\":\"7\",\"message_id\":\"a\\\"\\\\\\n"
            "\xef\xbf\xbd\\u0001\"}}",
            "what must be escaped is");

    memset(&patch, 0, sizeof(patch));
    patch.entity_type = "user";
    patch.entity_id = "ada";
    patch.diff = "{} }";
    is_int(delta_events_patch(out, sizeof(out), &patch), -1,
           "JSON with something behind it");
    patch.diff = "1";
    is_int(delta_events_patch(out, sizeof(out), &patch), -1,
           "JSON that is no object");
    patch.diff = " {\"bio\":null} ";
    n = delta_events_patch(out, sizeof(out), &patch);
    is_text(out, n, "{\"t\":\"patch\",\"d\":{\"entity_type\":\"user\","
            "\"entity_id\":\"ada\",\"diff\":{\"bio\":null}}}",
            "optional members are left out");

    memset(&order, 0, sizeof(order));
    order.guild_id = "42";
    order.actor_user_id = "ada";
    n = delta_events_channel_reorder(out, sizeof(out), &order);
    is_text(out, n, "{\"t\":\"channel_reorder\",\"d\":{\"guild_id\":\"42\","
            "\"channel_ids\":[],\"actor_user_id\":\"ada\"}}",
            "an empty list");

    order.channel_ids_n = 1;
    is_int(delta_events_channel_reorder(out, sizeof(out), &order), -1,
           "a list that is NULL");
    order.channel_ids = (const char *[]) { NULL };
    is_int(delta_events_channel_reorder(out, sizeof(out), &order), -1,
           "a list with NULL in it");
}


int
main(void)
{
    size_t  i, n;

    plan(0);
    events_read();

    n = sizeof(examples) / sizeof(examples[0]);

    for (i = 0; i < n; i++) {
        events_example(i);
    }

    events_refused();

    json_decref(contract_root);
    delta_contract_free(contract);

    return done_testing();
}
