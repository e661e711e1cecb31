
/*
 * Copyright (C) Delta contributors
 *
 * A published event, {"t":"<type>","d":{...}}, and the shapes it can take on
 * its way to a client.  The text of d passes through untouched.
 */

#ifndef _DELTA_ENVELOPE_H_INCLUDED_
#define _DELTA_ENVELOPE_H_INCLUDED_


#include "delta.h"


#define DELTA_EVENT_TYPE_MAX  64


#define DELTA_EVENT_ERRORS(X)                                                 \
    X(JSON,   "json",   "The event is not JSON.")                             \
    X(OBJECT, "object", "The event is not an object with members t and d.")   \
    X(TYPE,   "type",   "t is not 1 to 64 characters of a-z 0-9 _ and dot.")  \
    X(DATA,   "data",   "d is not an object.")

enum {
#define X(name, label, text)  DELTA_EVENT_POS_##name,
    DELTA_EVENT_ERRORS(X)
#undef X
};

enum {
#define X(name, label, text)  DELTA_EVENT_E##name = -1 - DELTA_EVENT_POS_##name,
    DELTA_EVENT_ERRORS(X)
#undef X
};


/* t without quotes, d the raw JSON object; both point into the input. */
typedef struct {
    delta_str_t  t;
    delta_str_t  d;
} delta_event_t;


typedef enum {
    DELTA_ENVELOPE_VTD = 0,   /* {"v":1,"t":T,"c":C,"id":I,"d":D}            */
    DELTA_ENVELOPE_OP,        /* {"op":"MessageCreate","d":D}                */
    DELTA_ENVELOPE_TYPE,      /* {"type":"space-delta",...members of D}      */
    DELTA_ENVELOPE_COMPACT,   /* presence_update: {"t":"u",...members of D},
                                 everything else as VTD                      */
    DELTA_ENVELOPE_SPACE,     /* space_delta: {"type":"space-delta","created":
                                 [..],"updated":[..],"deleted":[..],...,
                                 "timestamp":I}, everything else as TYPE      */
    DELTA_ENVELOPES
} delta_envelope_t;


/*
 * Members other than t and d are ignored; t or d given twice, or written
 * with escapes in the name or in t, is refused.  Returns 1, or DELTA_EVENT_E*.
 */
int delta_event_parse(delta_event_t *event, const char *p, size_t n);

/*
 * Writes the event in that shape; empty channel or id leave "c" or "id" out.
 * OP: the type in CamelCase ('_' and '.' start a word).  TYPE: '_' becomes
 * '-'; members of d named "type" are left out (COMPACT: named "t").  SPACE:
 * arrays that d does not have are empty, and its timestamp is left out for
 * that of id, "<ms>-<seq>", as a time; an empty id has none.
 * Returns the bytes written; with out == NULL, the bytes it would write.
 */
size_t delta_envelope_encode(char *out, delta_envelope_t envelope,
    const delta_event_t *event, delta_str_t channel, delta_str_t id);

const char *delta_event_strerror(int error);
const char *delta_event_label(int error);       /* for metrics */


#endif /* _DELTA_ENVELOPE_H_INCLUDED_ */
