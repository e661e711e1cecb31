
/*
 * Copyright (C) Delta contributors
 *
 * The ground floor: C without nginx, without I/O, without globals.  Every
 * function takes a pointer and a length and keeps neither.
 *
 * Results, unless a prototype says otherwise:
 *   > 0  bytes consumed or written
 *     0  the input is a correct beginning, more is needed
 *   < 0  one of the negative codes of that header; its *_strerror() has the
 *        sentence for logs, close reasons and docs
 */

#ifndef _DELTA_H_INCLUDED_
#define _DELTA_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>


/* Bytes that somebody else owns; not terminated by a NUL. */
typedef struct {
    const char  *data;
    size_t       len;
} delta_str_t;


#define delta_str(text)  { (text), sizeof(text) - 1 }


static inline int
delta_str_eq(delta_str_t s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}


#endif /* _DELTA_H_INCLUDED_ */
