
/*
 * Copyright (C) Delta contributors
 *
 * UTF-8 (RFC 3629), in pieces.
 */

#ifndef _DELTA_UTF8_H_INCLUDED_
#define _DELTA_UTF8_H_INCLUDED_


#include "delta.h"


/*
 * Checks the next n bytes.  *state starts as 0 and is 0 again wherever a
 * character ends.  Returns 0, or -1 at the first byte that cannot go on
 * (overlong forms, surrogates and code points over U+10FFFF included).
 */
int delta_utf8_check(uint32_t *state, const uint8_t *p, size_t n);


#endif /* _DELTA_UTF8_H_INCLUDED_ */
