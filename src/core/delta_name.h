
/*
 * Copyright (C) Delta contributors
 *
 * The grammar of channel names: segments of 1 to 128 bytes out of
 * [A-Za-z0-9._~@|+-], joined by ':', at most DELTA_NAME_MAX bytes together.
 */

#ifndef _DELTA_NAME_H_INCLUDED_
#define _DELTA_NAME_H_INCLUDED_


#include "delta.h"


#define DELTA_NAME_SEGMENT  128
#define DELTA_NAME_MAX      256


/* Each returns 1 or 0. */
int delta_name_segment(const char *p, size_t n);
int delta_name_valid(const char *p, size_t n);

/* A name in which any whole segment may be "*". */
int delta_name_pattern(const char *p, size_t n);

/*
 * Whether a valid name matches a valid pattern; "*" stands for exactly one
 * segment.  If star is given, it receives what the last "*" stood for.
 */
int delta_name_match(delta_str_t pattern, delta_str_t name,
    delta_str_t *star);

/* Bytes before the first "*": of two matching patterns, the longer wins. */
size_t delta_name_literal(delta_str_t pattern);


#endif /* _DELTA_NAME_H_INCLUDED_ */
