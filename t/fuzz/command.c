
/*
 * Copyright (C) Delta contributors
 *
 * What a client asks.
 */

#include "delta_command.h"
#include "delta_cursor.h"
#include "delta_json.h"
#include "delta_msgpack.h"
#include "delta_name.h"
#include "fuzz.h"


static void
command_within(delta_str_t s, const char *p, size_t n)
{
    check(s.len == 0 || (s.data >= p && s.data + s.len <= p + n));
    check(s.len == 0 || memchr(s.data, '\0', s.len) == NULL);
}


static void
command_text(const char *text, size_t n)
{
    int               rc;
    char             *p;
    delta_json_t      ref;
    delta_command_t   command;
    delta_position_t  position;

    p = fuzz_copy(text, n);
    memset(&command, 0x5a, sizeof(command));
    rc = delta_command_parse(&command, p, n);

    if (rc < 0) {
        check(strcmp(delta_command_strerror(rc), "Unknown error.") != 0);
        check(delta_command_code(rc) != NULL);

    } else {
        check(rc == 1 && command.type < DELTA_COMMANDS);
        command_within(command.channel, p, n);
        command_within(command.since, p, n);
        command_within(command.status, p, n);
        command_within(command.project, p, n);
        command_within(command.token, p, n);
        check(command.status.len <= 64 && command.project.len <= 64);

        check(command.type > DELTA_COMMAND_UNSUBSCRIBE
              || delta_name_valid(command.channel.data, command.channel.len));
        check(command.type != DELTA_COMMAND_SUBSCRIBE
              || command.since.len == 0
              || delta_position_parse(&position, command.since.data,
                                      command.since.len) == 0);
        check(command.type != DELTA_COMMAND_AUTH || command.token.len > 0);
    }

    check(command.ref.len <= DELTA_COMMAND_REF);
    command_within(command.ref, p, n);

    if (command.ref.len) {
        check(delta_json_parse(&ref, command.ref.data, command.ref.len) == 1);
        check(ref.type == DELTA_JSON_STRING || ref.type == DELTA_JSON_NUMBER);
        check(ref.raw.len == command.ref.len);
    }

    fuzz_free(p, n);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char     *out;
    size_t    size;
    ssize_t   len;

    command_text((const char *) data, n);

    /* and as it comes in a binary frame */

    size = delta_msgpack_json_bound(n);
    out = fuzz_alloc(size);
    len = delta_msgpack_decode(out, size, data, n);

    if (len > 0) {
        command_text(out, len);
    }

    fuzz_free(out, size);

    return 0;
}
