
/*
 * Copyright (C) Delta contributors
 */

#include "delta_command.h"
#include "delta_cursor.h"
#include "delta_json.h"
#include "delta_name.h"


#define DELTA_COMMAND_TEXT  64      /* bytes of status and project */

enum {
    DELTA_COMMAND_T = 0,
    DELTA_COMMAND_D,
    DELTA_COMMAND_REFERENCE,
    DELTA_COMMAND_MEMBERS
};

enum {
    DELTA_COMMAND_D_CHANNEL = 0,
    DELTA_COMMAND_D_SINCE,
    DELTA_COMMAND_D_STATUS,
    DELTA_COMMAND_D_PROJECT,
    DELTA_COMMAND_D_TOKEN,
    DELTA_COMMAND_D_MEMBERS
};


static int delta_command_members(delta_json_t *members,
    const char *const *names, size_t n, const delta_json_t *object);
static int delta_command_member(const char *const *names, size_t n,
    delta_str_t key);
static int delta_command_ref(delta_command_t *command,
    const delta_json_t *value);
static int delta_command_type(delta_command_t *command,
    const delta_json_t *value);
static int delta_command_data(delta_command_t *command,
    const delta_json_t *members);
static int delta_command_channel(delta_command_t *command,
    const delta_json_t *members);
static int delta_command_status(delta_command_t *command,
    const delta_json_t *members);
static int delta_command_string(delta_str_t *out, const delta_json_t *value);


static const char *const delta_command_names[] = { "t", "d", "ref" };

static const char *const delta_command_d_names[] = {
    "channel", "since", "status", "project", "token"
};

static const char *const delta_command_types[DELTA_COMMANDS] = {
    "subscribe", "unsubscribe", "status", "heartbeat", "auth", "logout"
};

static const struct {
    const char  *code;
    const char  *text;
} delta_command_errors[] = {
#define X(name, code, text)  { code, text },
    DELTA_COMMAND_ERRORS(X)
#undef X
};


int
delta_command_parse(delta_command_t *command, char *p, size_t n)
{
    int           rc, bad_ref;
    delta_json_t  root, top[DELTA_COMMAND_MEMBERS];
    delta_json_t  d[DELTA_COMMAND_D_MEMBERS];

    memset(command, 0, sizeof(delta_command_t));
    memset(d, 0, sizeof(d));

    if (delta_json_parse(&root, p, n) < 0) {
        return DELTA_COMMAND_EJSON;
    }

    if (root.type != DELTA_JSON_OBJECT) {
        return DELTA_COMMAND_EOBJECT;
    }

    rc = delta_command_members(top, delta_command_names,
                               DELTA_COMMAND_MEMBERS, &root);

    bad_ref = delta_command_ref(command, &top[DELTA_COMMAND_REFERENCE]);

    if (rc != 0 || top[DELTA_COMMAND_T].type == DELTA_JSON_NONE) {
        return DELTA_COMMAND_EOBJECT;
    }

    if (top[DELTA_COMMAND_D].type != DELTA_JSON_NONE
        && (top[DELTA_COMMAND_D].type != DELTA_JSON_OBJECT
            || delta_command_members(d, delta_command_d_names,
                                     DELTA_COMMAND_D_MEMBERS,
                                     &top[DELTA_COMMAND_D])
               != 0))
    {
        return DELTA_COMMAND_EOBJECT;
    }

    if (delta_command_type(command, &top[DELTA_COMMAND_T]) != 0) {
        return DELTA_COMMAND_ETYPE;
    }

    if (bad_ref) {
        return DELTA_COMMAND_EREF;
    }

    return delta_command_data(command, d);
}


/* Collects the named members; -1 if one is there twice. */

static int
delta_command_members(delta_json_t *members, const char *const *names,
    size_t n, const delta_json_t *object)
{
    int           rc, which;
    size_t        pos;
    delta_str_t   key;
    delta_json_t  value;

    memset(members, 0, n * sizeof(delta_json_t));

    rc = 0;
    pos = 0;

    while (delta_json_next(object, &pos, &key, &value)) {
        which = delta_command_member(names, n, key);

        if (which < 0) {
            continue;
        }

        if (members[which].type != DELTA_JSON_NONE) {
            rc = -1;
            continue;
        }

        members[which] = value;
    }

    return rc;
}


static int
delta_command_member(const char *const *names, size_t n, delta_str_t key)
{
    char          buf[16];
    size_t        i;
    ssize_t       len;
    delta_str_t   name;
    delta_json_t  value;

    value.type = DELTA_JSON_STRING;
    value.raw.data = key.data - 1;
    value.raw.len = key.len + 2;

    len = delta_json_string(buf, sizeof(buf), &value);

    if (len < 0) {
        return -1;
    }

    name.data = buf;
    name.len = len;

    for (i = 0; i < n; i++) {

        if (delta_str_eq(name, names[i])) {
            return i;
        }
    }

    return -1;
}


static int
delta_command_ref(delta_command_t *command, const delta_json_t *value)
{
    if (value->type == DELTA_JSON_NONE) {
        return 0;
    }

    if ((value->type != DELTA_JSON_STRING && value->type != DELTA_JSON_NUMBER)
        || value->raw.len > DELTA_COMMAND_REF)
    {
        return -1;
    }

    command->ref = value->raw;

    return 0;
}


static int
delta_command_type(delta_command_t *command, const delta_json_t *value)
{
    int          i;
    delta_str_t  name;

    if (delta_command_string(&name, value) != 0) {
        return -1;
    }

    for (i = 0; i < DELTA_COMMANDS; i++) {

        if (delta_str_eq(name, delta_command_types[i])) {
            command->type = i;
            return 0;
        }
    }

    return -1;
}


static int
delta_command_data(delta_command_t *command, const delta_json_t *members)
{
    switch (command->type) {

    case DELTA_COMMAND_SUBSCRIBE:
    case DELTA_COMMAND_UNSUBSCRIBE:
        return delta_command_channel(command, members);

    case DELTA_COMMAND_STATUS:
        return delta_command_status(command, members);

    case DELTA_COMMAND_AUTH:

        if (delta_command_string(&command->token,
                                 &members[DELTA_COMMAND_D_TOKEN])
            != 0
            || command->token.len == 0)
        {
            return DELTA_COMMAND_ETOKEN;
        }

        return 1;

    default:
        return 1;
    }
}


static int
delta_command_channel(delta_command_t *command, const delta_json_t *members)
{
    delta_position_t  position;

    if (delta_command_string(&command->channel,
                             &members[DELTA_COMMAND_D_CHANNEL])
        != 0
        || !delta_name_valid(command->channel.data, command->channel.len))
    {
        return DELTA_COMMAND_ECHANNEL;
    }

    if (command->type != DELTA_COMMAND_SUBSCRIBE
        || members[DELTA_COMMAND_D_SINCE].type == DELTA_JSON_NONE)
    {
        return 1;
    }

    if (delta_command_string(&command->since,
                             &members[DELTA_COMMAND_D_SINCE])
        != 0
        || delta_position_parse(&position, command->since.data,
                                command->since.len)
           != 0)
    {
        return DELTA_COMMAND_ESINCE;
    }

    return 1;
}


static int
delta_command_status(delta_command_t *command, const delta_json_t *members)
{
    const delta_json_t  *project;

    project = &members[DELTA_COMMAND_D_PROJECT];

    if (delta_command_string(&command->status,
                             &members[DELTA_COMMAND_D_STATUS])
        != 0
        || command->status.len > DELTA_COMMAND_TEXT)
    {
        return DELTA_COMMAND_ESTATUS;
    }

    if (project->type != DELTA_JSON_NONE
        && (delta_command_string(&command->project, project) != 0
            || command->project.len > DELTA_COMMAND_TEXT))
    {
        return DELTA_COMMAND_ESTATUS;
    }

    return 1;
}


/* Resolves the escapes where the string stands: the message is writable. */

static int
delta_command_string(delta_str_t *out, const delta_json_t *value)
{
    char     *p;
    ssize_t   len;

    p = (char *) value->raw.data;
    len = delta_json_string(p, value->raw.len, value);

    if (len < 0) {
        return -1;
    }

    out->data = p;
    out->len = len;

    return 0;
}


const char *
delta_command_strerror(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0 && i < sizeof(delta_command_errors)
                            / sizeof(delta_command_errors[0])
           ? delta_command_errors[i].text : "Unknown error.";
}


const char *
delta_command_code(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0 && i < sizeof(delta_command_errors)
                            / sizeof(delta_command_errors[0])
           ? delta_command_errors[i].code : "unknown";
}
