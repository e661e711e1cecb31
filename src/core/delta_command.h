
/*
 * Copyright (C) Delta contributors
 *
 * What a client may ask over WebSocket: {"t":"subscribe","d":{...},"ref":...}
 */

#ifndef _DELTA_COMMAND_H_INCLUDED_
#define _DELTA_COMMAND_H_INCLUDED_


#include "delta.h"


#define DELTA_COMMAND_REF  64       /* bytes of ref's JSON text */


/* name, code on the wire, message on the wire */
#define DELTA_COMMAND_ERRORS(X)                                               \
    X(JSON,    "bad_json",     "The command is not JSON.")                    \
    X(OBJECT,  "bad_command",  "The command is not an object with a member t, "\
                               "an object d if any, and nothing twice.")      \
    X(TYPE,    "unknown_command", "There is no such command.")               \
    X(REF,     "bad_ref",      "ref is a string or a number of at most "      \
                               "64 bytes.")                                   \
    X(CHANNEL, "bad_channel",  "channel is missing or not a channel name.")   \
    X(SINCE,   "bad_since",    "since is not a string of a position.")        \
    X(STATUS,  "bad_status",   "status and project are strings of at most "   \
                               "64 bytes.")                                   \
    X(TOKEN,   "bad_token",    "token is missing or not a string.")

enum {
#define X(name, code, text)  DELTA_COMMAND_POS_##name,
    DELTA_COMMAND_ERRORS(X)
#undef X
};

enum {
#define X(name, code, text)                                                   \
    DELTA_COMMAND_E##name = -1 - DELTA_COMMAND_POS_##name,
    DELTA_COMMAND_ERRORS(X)
#undef X
};


typedef enum {
    DELTA_COMMAND_SUBSCRIBE = 0,    /* channel, since? */
    DELTA_COMMAND_UNSUBSCRIBE,      /* channel */
    DELTA_COMMAND_STATUS,           /* status, project? */
    DELTA_COMMAND_HEARTBEAT,
    DELTA_COMMAND_AUTH,             /* token */
    DELTA_COMMAND_LOGOUT,
    DELTA_COMMANDS
} delta_command_type_t;


typedef struct {
    delta_command_type_t  type;
    delta_str_t           ref;      /* raw JSON text, or empty */
    delta_str_t           channel;  /* valid name */
    delta_str_t           since;
    delta_str_t           status;
    delta_str_t           project;
    delta_str_t           token;
} delta_command_t;


/*
 * p..p+n is the whole message; escapes in strings are resolved in place, so
 * it is changed and must outlive the command.  Unknown members are ignored.
 * Returns 1, or DELTA_COMMAND_E*; ref is set in both cases where it could be
 * read, so that the error can carry it.
 */
int delta_command_parse(delta_command_t *command, char *p, size_t n);

const char *delta_command_strerror(int error);
const char *delta_command_code(int error);


#endif /* _DELTA_COMMAND_H_INCLUDED_ */
