
/*
 * Copyright (C) Delta contributors
 */

#include "delta_envelope.h"
#include "tap.h"


#define TYPE64  "a123456789b123456789c123456789d123456789"                    \
                "e123456789f123456789_.z4"


typedef struct {
    const char  *text;
    int          want;
    const char  *t;
    const char  *d;
} envelope_parse_case_t;

typedef struct {
    const char        *text;
    delta_envelope_t   envelope;
    const char        *channel;
    const char        *id;
    const char        *want;
} envelope_case_t;


static const envelope_parse_case_t  envelope_parse_cases[] = {
    { "{\"t\":\"patch\",\"d\":{}}", 1, "patch", "{}" },
    { " { \"d\" : { \"a\" : 1 } , \"t\" : \"a.b_2\" } ", 1, "a.b_2",
      "{ \"a\" : 1 }" },
    { "{\"v\":1,\"t\":\"x\",\"c\":\"y\",\"d\":{\"t\":1,\"d\":2},\"z\":[{}]}",
      1, "x", "{\"t\":1,\"d\":2}" },
    { "{\"t\":\"" TYPE64 "\",\"d\":{}}", 1, TYPE64, "{}" },
    { "{\"tt\":1,\"\":2,\"T\":3,\"t\":\"x\",\"d\":{}}", 1, "x", "{}" },
    { "{\"\\u0061\":1,\"t\":\"x\",\"d\":{}}", 1, "x", "{}" },

    { "", DELTA_EVENT_EJSON, "", "" },
    { "hello", DELTA_EVENT_EJSON, "", "" },
    { "{\"t\":\"x\",\"d\":{}", DELTA_EVENT_EJSON, "", "" },
    { "{\"t\":\"x\",\"d\":{}}{}", DELTA_EVENT_EJSON, "", "" },
    { "{\"t\":\"x\",\"d\":{\"a\":\"\xff\"}}", DELTA_EVENT_EJSON, "", "" },
    { "[]", DELTA_EVENT_EOBJECT, "", "" },
    { "\"t\"", DELTA_EVENT_EOBJECT, "", "" },
    { "null", DELTA_EVENT_EOBJECT, "", "" },
    { "{}", DELTA_EVENT_EOBJECT, "", "" },
    { "{\"t\":\"x\"}", DELTA_EVENT_EOBJECT, "", "" },
    { "{\"d\":{}}", DELTA_EVENT_EOBJECT, "", "" },
    { "{\"t\":\"x\",\"t\":\"x\",\"d\":{}}", DELTA_EVENT_EOBJECT, "", "" },
    { "{\"t\":\"x\",\"d\":{},\"d\":{}}", DELTA_EVENT_EOBJECT, "", "" },
    { "{\"\\u0074\":\"x\",\"d\":{}}", DELTA_EVENT_EOBJECT, "", "" },
    { "{\"t\":\"x\",\"d\":{},\"\\u0064\":{}}", DELTA_EVENT_EOBJECT, "", "" },
    { "{\"t\":1,\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":null,\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":\"\",\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":\"" TYPE64 "x\",\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":\"Patch\",\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":\"a-b\",\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":\"a b\",\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":\"\\u0061\",\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":\"\xc3\xa4\",\"d\":{}}", DELTA_EVENT_ETYPE, "", "" },
    { "{\"t\":\"x\",\"d\":[]}", DELTA_EVENT_EDATA, "", "" },
    { "{\"t\":\"x\",\"d\":\"{}\"}", DELTA_EVENT_EDATA, "", "" },
    { "{\"t\":\"x\",\"d\":null}", DELTA_EVENT_EDATA, "", "" },
};


#define CREATE    "{\"t\":\"message_create\",\"d\":{\"a\": 1}}"
#define SPACE     "{\"t\":\"space_delta\",\"d\":{ \"a\" : [1] , \"b\":{} }}"
#define PRESENCE  "{\"t\":\"presence_update\",\"d\":"                         \
                  "{\"id\":7,\"s\":\"idle\",\"p\":null}}"

static const envelope_case_t  envelope_cases[] = {
    { CREATE, DELTA_ENVELOPE_VTD, "channel:7", "17-0",
      "{\"v\":1,\"t\":\"message_create\",\"c\":\"channel:7\",\"id\":\"17-0\","
      "\"d\":{\"a\": 1}}" },
    { CREATE, DELTA_ENVELOPE_VTD, "", "17-0",
      "{\"v\":1,\"t\":\"message_create\",\"id\":\"17-0\",\"d\":{\"a\": 1}}" },
    { CREATE, DELTA_ENVELOPE_VTD, "channel:7", "",
      "{\"v\":1,\"t\":\"message_create\",\"c\":\"channel:7\","
      "\"d\":{\"a\": 1}}" },
    { CREATE, DELTA_ENVELOPE_VTD, "", "",
      "{\"v\":1,\"t\":\"message_create\",\"d\":{\"a\": 1}}" },
    { CREATE, DELTA_ENVELOPE_VTD, "a\"b", "\n",
      "{\"v\":1,\"t\":\"message_create\",\"c\":\"a\\\"b\",\"id\":\"\\n\","
      "\"d\":{\"a\": 1}}" },

    { CREATE, DELTA_ENVELOPE_OP, "channel:7", "17-0",
      "{\"op\":\"MessageCreate\",\"d\":{\"a\": 1}}" },
    { "{\"t\":\"patch\",\"d\":{}}", DELTA_ENVELOPE_OP, "", "",
      "{\"op\":\"Patch\",\"d\":{}}" },
    { "{\"t\":\"_a.b__c2d.3x_\",\"d\":{}}", DELTA_ENVELOPE_OP, "", "",
      "{\"op\":\"ABC2d3x\",\"d\":{}}" },

    { SPACE, DELTA_ENVELOPE_TYPE, "space:1", "17-0",
      "{\"type\":\"space-delta\",\"a\" : [1],\"b\":{}}" },
    { "{\"t\":\"a.b_c\",\"d\":{}}", DELTA_ENVELOPE_TYPE, "", "",
      "{\"type\":\"a.b-c\"}" },
    { "{\"t\":\"x\",\"d\":{\"type\":\"y\",\"a\":1,\"type\":{}}}",
      DELTA_ENVELOPE_TYPE, "", "", "{\"type\":\"x\",\"a\":1}" },
    { "{\"t\":\"x\",\"d\":{\"\\u0074ype\":\"y\",\"\\u0074\":1,\"types\":2}}",
      DELTA_ENVELOPE_TYPE, "", "",
      "{\"type\":\"x\",\"\\u0074\":1,\"types\":2}" },
    { "{\"t\":\"x\",\"d\":{\"a\\\\\":{\"type\":1},\"\\\"type\":0}}",
      DELTA_ENVELOPE_TYPE, "", "",
      "{\"type\":\"x\",\"a\\\\\":{\"type\":1},\"\\\"type\":0}" },

    { PRESENCE, DELTA_ENVELOPE_COMPACT, "user:7", "17-0",
      "{\"t\":\"u\",\"id\":7,\"s\":\"idle\",\"p\":null}" },
    { "{\"t\":\"presence_update\",\"d\":{\"t\":1,\"a\":2,\"type\":3}}",
      DELTA_ENVELOPE_COMPACT, "", "", "{\"t\":\"u\",\"a\":2,\"type\":3}" },
    { CREATE, DELTA_ENVELOPE_COMPACT, "channel:7", "17-0",
      "{\"v\":1,\"t\":\"message_create\",\"c\":\"channel:7\",\"id\":\"17-0\","
      "\"d\":{\"a\": 1}}" },
};


static void
test_parse(void)
{
    int                           rc, prefixes;
    size_t                        i, n, cut;
    delta_event_t                 event;
    const envelope_parse_case_t  *c;

    for (i = 0; i < sizeof(envelope_parse_cases) / sizeof(*c); i++) {
        c = &envelope_parse_cases[i];
        n = strlen(c->text);
        memset(&event, 0, sizeof(event));

        rc = delta_event_parse(&event, guard(c->text, n), n);
        is_int(rc, c->want, "%s %s", c->want > 0 ? "event" : "refused",
               c->text);

        if (c->want < 0) {
            continue;
        }

        is_mem(event.t.data, event.t.len, c->t, strlen(c->t), "its t");
        is_mem(event.d.data, event.d.len, c->d, strlen(c->d), "its d");

        for (cut = 0, prefixes = 0; cut < n - 1; cut++) {
            rc = delta_event_parse(&event, guard(c->text, cut), cut);
            prefixes += rc > 0 && c->text[cut] != ' ';
        }

        is_int(prefixes, 0, "no part of it is one");
    }
}


static void
test_encode(void)
{
    char                   *out;
    size_t                  i, n, want;
    delta_str_t             channel, id;
    delta_event_t           event;
    const envelope_case_t  *c;

    for (i = 0; i < sizeof(envelope_cases) / sizeof(*c); i++) {
        c = &envelope_cases[i];
        want = strlen(c->want);
        n = strlen(c->text);

        is_int(delta_event_parse(&event, guard(c->text, n), n), 1,
               "event %s", c->text);

        channel.data = c->channel;
        channel.len = strlen(c->channel);
        id.data = c->id;
        id.len = strlen(c->id);

        n = delta_envelope_encode(NULL, c->envelope, &event, channel, id);
        is_int(n, want, "size of shape %d", c->envelope);

        out = guard(NULL, want);
        n = delta_envelope_encode(out, c->envelope, &event, channel, id);
        is_mem(out, n, c->want, want, "shape %d", c->envelope);
    }
}


static void
test_space(void)
{
    char           out[512];
    size_t         i, n;
    delta_str_t    channel = delta_str("space:7"), id;
    delta_event_t  event;

    static const struct {
        const char  *text, *id, *want;
    } cases[] = {
        { "{\"t\":\"space_delta\",\"d\":{\"deleted\":[1],\"timestamp\":\"x\","
          "\"n\":{\"created\":2}}}", "1753698616123-17",
          "{\"type\":\"space-delta\",\"created\":[],\"updated\":[],"
          "\"deleted\":[1],\"n\":{\"created\":2},"
          "\"timestamp\":\"2025-07-28T10:30:16.123000017Z\"}" },
        { "{\"t\":\"space_delta\",\"d\":{\"created\":[{\"id\":1}, 2],"
          "\"updated\":3,\"type\":4,\"\\u0074ype\":5}}", "",
          "{\"type\":\"space-delta\",\"created\":[{\"id\":1}, 2],"
          "\"updated\":[],\"deleted\":[]}" },
        { "{\"t\":\"space_delta\",\"d\":{}}", "0-18446744073709551615",
          "{\"type\":\"space-delta\",\"created\":[],\"updated\":[],"
          "\"deleted\":[],"
          "\"timestamp\":\"1970-01-01T00:00:00.000999999Z\"}" },
        { "{\"t\":\"resync\",\"d\":{\"timestamp\":1}}", "5-6",
          "{\"type\":\"resync\",\"timestamp\":1}" },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        n = strlen(cases[i].text);

        is_int(delta_event_parse(&event, guard(cases[i].text, n), n), 1,
               "event %s", cases[i].text);

        id.data = cases[i].id;
        id.len = strlen(id.data);

        n = delta_envelope_encode(NULL, DELTA_ENVELOPE_SPACE, &event, channel,
                                  id);
        is_int(n, strlen(cases[i].want), "its size as a space");

        n = delta_envelope_encode(out, DELTA_ENVELOPE_SPACE, &event, channel,
                                  id);
        is_mem(out, n, cases[i].want, strlen(cases[i].want), "as a space");
    }
}


static void
test_errors(void)
{
    is_str(delta_event_label(DELTA_EVENT_EJSON), "json", "first label");
    is_str(delta_event_label(DELTA_EVENT_EDATA), "data", "last label");
    is_str(delta_event_label(1), "unknown", "no label");
    is_str(delta_event_strerror(DELTA_EVENT_EDATA), "d is not an object.",
           "last sentence");
    is_str(delta_event_strerror(DELTA_EVENT_EDATA - 1), "Unknown error.",
           "no sentence");
}


int
main(void)
{
    plan(0);

    test_parse();
    test_encode();
    test_space();
    test_errors();

    return done_testing();
}
