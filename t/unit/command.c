
/*
 * Copyright (C) Delta contributors
 */

#include "delta_command.h"
#include "tap.h"


#define S63  "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ."
#define S62  "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


typedef struct {
    const char  *text;
    const char  *want;
} command_case_t;


static const command_case_t  command_cases[] = {
    { "{\"t\":\"heartbeat\"}", "heartbeat" },
    { "{\"t\":\"heartbeat\",\"d\":{}}", "heartbeat" },
    { " {\n\"d\" : { } , \"t\" : \"logout\"\r\n} ", "logout" },
    { "{\"t\":\"logout\",\"d\":{},\"ref\":17}", "logout ref=17" },
    { "{\"ref\":\"a\\n\\u00e4\",\"t\":\"heartbeat\"}",
      "heartbeat ref=\"a\\n\\u00e4\"" },
    { "{\"t\":\"heartbeat\",\"ref\":-1.5e3}", "heartbeat ref=-1.5e3" },
    { "{\"t\":\"heartbeat\",\"ref\":\"" S62 "\"}",
      "heartbeat ref=\"" S62 "\"" },
    { "{\"t\":\"heartbeat\",\"x\":1,\"x\":2,\"d\":{\"y\":1,\"y\":2}}",
      "heartbeat" },
    { "{\"t\":\"heart\\u0062eat\"}", "heartbeat" },
    { "{\"\\u0074\":\"heartbeat\",\"re\\u0066\":1}", "heartbeat ref=1" },

    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"channel:7\"}}",
      "subscribe channel=channel:7" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a\",\"since\":\"17-3\"},"
      "\"ref\":1}", "subscribe ref=1 channel=a since=17-3" },
    { "{\"t\":\"subscribe\",\"ref\":1,\"d\":{\"since\":\"\\u0031-\\u0032\","
      "\"channel\":\"\\u0061:\\u0062\"}}",
      "subscribe ref=1 channel=a:b since=1-2" },
    { "{\"t\":\"unsubscribe\",\"d\":{\"channel\":\"a\",\"since\":0}}",
      "unsubscribe channel=a" },

    { "{\"t\":\"status\",\"d\":{\"status\":\"coding\"}}",
      "status status=coding" },
    { "{\"t\":\"status\",\"d\":{\"status\":\"\\\"\\u00e4\\ud83d\\ude00\","
      "\"project\":\"vs\\tcode\"}}",
      "status status=\"\xc3\xa4\xf0\x9f\x98\x80 project=vs\tcode" },
    { "{\"t\":\"status\",\"d\":{\"status\":\"" S63 "x\"}}",
      "status status=" S63 "x" },

    { "{\"t\":\"auth\",\"d\":{\"token\":\"a.b.c\"}}", "auth token=a.b.c" },

    { "", "bad_json" },
    { "hello", "bad_json" },
    { "{\"t\":\"heartbeat\"", "bad_json" },
    { "{\"t\":\"heartbeat\"}}", "bad_json" },
    { "{\"t\":\"heartbeat\",\"ref\":\"\xff\"}", "bad_json" },
    { "[]", "bad_command" },
    { "\"heartbeat\"", "bad_command" },
    { "null", "bad_command" },
    { "{}", "bad_command" },
    { "{\"ref\":1}", "bad_command ref=1" },
    { "{\"T\":\"heartbeat\",\"ref\":1}", "bad_command ref=1" },
    { "{\"t\":\"heartbeat\",\"d\":[],\"ref\":1}", "bad_command ref=1" },
    { "{\"t\":\"heartbeat\",\"d\":null}", "bad_command" },
    { "{\"t\":\"heartbeat\",\"t\":\"logout\",\"ref\":2}",
      "bad_command ref=2" },
    { "{\"t\":\"heartbeat\",\"\\u0074\":\"logout\"}", "bad_command" },
    { "{\"t\":\"heartbeat\",\"d\":{},\"d\":{}}", "bad_command" },
    { "{\"t\":\"heartbeat\",\"ref\":1,\"ref\":1}", "bad_command ref=1" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a\",\"channel\":\"b\"}}",
      "bad_command" },
    { "{\"t\":\"nothing\",\"ref\":\"x\"}", "unknown_command ref=\"x\"" },
    { "{\"t\":\"Heartbeat\"}", "unknown_command" },
    { "{\"t\":\"\"}", "unknown_command" },
    { "{\"t\":1}", "unknown_command" },
    { "{\"t\":null}", "unknown_command" },
    { "{\"t\":\"heartbeat\\u0000\"}", "unknown_command" },
    { "{\"t\":\"heartbeat\",\"ref\":null}", "bad_ref" },
    { "{\"t\":\"heartbeat\",\"ref\":{}}", "bad_ref" },
    { "{\"t\":\"heartbeat\",\"ref\":true}", "bad_ref" },
    { "{\"t\":\"heartbeat\",\"ref\":\"" S63 "\"}", "bad_ref" },

    { "{\"t\":\"subscribe\"}", "bad_channel" },
    { "{\"t\":\"subscribe\",\"d\":{},\"ref\":1}", "bad_channel ref=1" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":7}}", "bad_channel" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"\"}}", "bad_channel" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a b\"}}", "bad_channel" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a:*\"}}", "bad_channel" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a\\u0000\"}}",
      "bad_channel" },
    { "{\"t\":\"unsubscribe\",\"d\":{}}", "bad_channel" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a\",\"since\":17}}",
      "bad_since" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a\",\"since\":null}}",
      "bad_since" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a\",\"since\":\"17\"}}",
      "bad_since" },
    { "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a\",\"since\":\"1.2\"}}",
      "bad_since" },
    { "{\"t\":\"status\"}", "bad_status" },
    { "{\"t\":\"status\",\"d\":{\"project\":\"x\"}}", "bad_status" },
    { "{\"t\":\"status\",\"d\":{\"status\":1}}", "bad_status" },
    { "{\"t\":\"status\",\"d\":{\"status\":\"x\",\"project\":null}}",
      "bad_status" },
    { "{\"t\":\"status\",\"d\":{\"status\":\"" S63 "xy\"}}", "bad_status" },
    { "{\"t\":\"status\",\"d\":{\"status\":\"\",\"project\":\"" S63 "xy\"}}",
      "bad_status" },
    { "{\"t\":\"auth\"}", "bad_token" },
    { "{\"t\":\"auth\",\"d\":{\"token\":\"\"}}", "bad_token" },
    { "{\"t\":\"auth\",\"d\":{\"token\":[\"x\"]}}", "bad_token" },
};


static size_t
command_put(char *out, size_t size, size_t used, const char *name,
    delta_str_t s)
{
    if (s.len == 0) {
        return used;
    }

    return used + snprintf(out + used, size - used, " %s=%.*s", name,
                           (int) s.len, s.data);
}


static const char *
command_show(int rc, const delta_command_t *command)
{
    size_t       n;
    static char  out[512];

    static const char *const  types[] = {
        "subscribe", "unsubscribe", "status", "heartbeat", "auth", "logout"
    };

    n = snprintf(out, sizeof(out), "%s", rc == 1 ? types[command->type]
                                                 : delta_command_code(rc));

    n = command_put(out, sizeof(out), n, "ref", command->ref);

    if (rc == 1) {
        n = command_put(out, sizeof(out), n, "channel", command->channel);
        n = command_put(out, sizeof(out), n, "since", command->since);
        n = command_put(out, sizeof(out), n, "status", command->status);
        n = command_put(out, sizeof(out), n, "project", command->project);
        n = command_put(out, sizeof(out), n, "token", command->token);
    }

    return out;
}


static void
test_table(void)
{
    int                    rc;
    char                  *p;
    size_t                 i, n;
    delta_command_t        command;
    const command_case_t  *c;

    for (i = 0; i < sizeof(command_cases) / sizeof(*c); i++) {
        c = &command_cases[i];
        n = strlen(c->text);
        p = guard(c->text, n);
        memset(&command, 0xff, sizeof(command));

        rc = delta_command_parse(&command, p, n);
        is_str(command_show(rc, &command), c->want, "%s", c->text);
    }
}


static void
test_prefixes(void)
{
    int              wrong;
    char            *p;
    size_t           n;
    delta_command_t  command;

    static const char  text[] =
        "{\"t\":\"subscribe\",\"d\":{\"channel\":\"a\\u0062\"},\"ref\":\"x\"}";

    wrong = 0;

    for (n = 0; n < sizeof(text) - 1; n++) {
        p = guard(text, n);
        wrong += delta_command_parse(&command, p, n) != DELTA_COMMAND_EJSON;
        wrong += command.ref.len != 0;
    }

    is_int(wrong, 0, "no part of a command is one");
}


static void
test_random(void)
{
    int              rc;
    char             text[128], *p;
    size_t           i, n, round, accepted;
    delta_command_t  command;

    static const char  bits[] = "{}[]\",:\\ u0017adtef\xc3\xa4";

    accepted = 0;

    for (round = 0; round < 50000; round++) {
        n = snprintf(text, sizeof(text), "{\"t\":\"subscribe\",\"d\":{\"channel"
                     "\":\"a\\u0062:c\",\"since\":\"1-2\"},\"ref\":\"x\"}");

        for (i = tap_random() % 3 + 1; i; i--) {
            text[tap_random() % n] = bits[tap_random() % (sizeof(bits) - 1)];
        }

        p = guard(text, n);
        rc = delta_command_parse(&command, p, n);

        if (rc != 1 && (rc > 0 || rc < DELTA_COMMAND_ETOKEN)) {
            break;
        }

        accepted += rc == 1;
    }

    is_int(round, 50000, "changed commands get an answer");
    ok(accepted > 100, "%zu of them were good", accepted);
}


int
main(void)
{
    plan(0);

    test_table();
    test_prefixes();
    test_random();

    is_str(delta_command_strerror(DELTA_COMMAND_ETOKEN),
           "token is missing or not a string.", "last sentence");
    is_str(delta_command_strerror(0), "Unknown error.", "no sentence");
    is_str(delta_command_code(-99), "unknown", "no code");

    return done_testing();
}
