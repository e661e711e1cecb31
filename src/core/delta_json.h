
/*
 * Copyright (C) Delta contributors
 *
 * A strict JSON scanner (RFC 8259) that finds things without building them:
 * nothing is allocated, and the bytes of a value can be passed on as they
 * are.  Strings must be valid UTF-8 with paired surrogate escapes.
 */

#ifndef _DELTA_JSON_H_INCLUDED_
#define _DELTA_JSON_H_INCLUDED_


#include "delta.h"


#define DELTA_JSON_DEPTH  64       /* nesting beyond this is refused */


#define DELTA_JSON_ERRORS(X)                                                  \
    X(SYNTAX, "This is not JSON.")                                            \
    X(DEPTH,  "The JSON is nested too deeply.")                               \
    X(UTF8,   "A JSON string is not valid UTF-8.")

enum {
#define X(name, text)  DELTA_JSON_POS_##name,
    DELTA_JSON_ERRORS(X)
#undef X
};

enum {
#define X(name, text)  DELTA_JSON_E##name = -1 - DELTA_JSON_POS_##name,
    DELTA_JSON_ERRORS(X)
#undef X
};


typedef enum {
    DELTA_JSON_NONE = 0,
    DELTA_JSON_OBJECT,
    DELTA_JSON_ARRAY,
    DELTA_JSON_STRING,
    DELTA_JSON_NUMBER,
    DELTA_JSON_TRUE,
    DELTA_JSON_FALSE,
    DELTA_JSON_NULL
} delta_json_type_t;

/* A value: its type, and its text without the whitespace around it. */
typedef struct {
    delta_json_type_t  type;
    delta_str_t        raw;
} delta_json_t;


/*
 * The whole of p..p+n is one value with whitespace around it.
 * Returns 1, or DELTA_JSON_E*.
 */
int delta_json_parse(delta_json_t *value, const char *p, size_t n);

/*
 * Walks the members of an object or the elements of an array that
 * delta_json_parse() accepted.  *pos starts as 0.  key (unused for arrays)
 * is the member's name as written, between its quotes, escapes untouched.
 * Returns 1, or 0 behind the last one.
 */
int delta_json_next(const delta_json_t *container, size_t *pos,
    delta_str_t *key, delta_json_t *value);

/*
 * The string's text with escapes resolved, without a NUL, into size bytes
 * (raw.len always suffices; out may be raw.data itself).
 * Returns its length, or -1: not a string, too long, or it holds U+0000.
 */
ssize_t delta_json_string(char *out, size_t size, const delta_json_t *value);

/* As a whole number from 0 to INT64_MAX; -1 if it is anything else. */
int64_t delta_json_uint(const delta_json_t *value);

/*
 * Writes text as a JSON string with its quotes; control characters, quote
 * and backslash are escaped, bytes that are not UTF-8 become U+FFFD.
 * Returns the bytes written; with out == NULL, the bytes it would write
 * (at most 6 * n + 2).
 */
size_t delta_json_quote(char *out, const char *p, size_t n);

const char *delta_json_strerror(int error);


#endif /* _DELTA_JSON_H_INCLUDED_ */
