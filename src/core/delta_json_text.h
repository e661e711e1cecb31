
/*
 * Copyright (C) Delta contributors
 *
 * Inside of JSON: what delta_json.c, delta_json_text.c, delta_merge_tree.c and
 * delta_msgpack.c share.
 */

#ifndef _DELTA_JSON_TEXT_H_INCLUDED_
#define _DELTA_JSON_TEXT_H_INCLUDED_


#include "delta_json.h"


#define delta_json_digit(c)  ((uint8_t) ((c) - '0') < 10)


/* To the next quote, backslash, control or non-ASCII byte, or to end. */
const char *delta_json_plain(const char *p, const char *end);

/*
 * p stands behind a backslash.  Returns the end of the escape, or NULL; *ch
 * is a surrogate if it does not belong to a pair.
 */
const char *delta_json_unescape(uint32_t *ch, const char *p, const char *end);

/* A character as 1 to 4 bytes; returns how many. */
size_t delta_json_utf8(char *out, uint32_t ch);

/*
 * Behind the string, or the object or array, that begins at p, within text
 * that delta_json_parse() accepted.
 */
const char *delta_json_skip_string(const char *p, const char *end);
const char *delta_json_skip(const char *p, const char *end);


#endif /* _DELTA_JSON_TEXT_H_INCLUDED_ */
