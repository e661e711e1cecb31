
/*
 * Copyright (C) Delta contributors
 *
 * Inside of JSON strings: what delta_json.c and delta_json_text.c share.
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


#endif /* _DELTA_JSON_TEXT_H_INCLUDED_ */
