
/*
 * Copyright (C) Delta contributors
 *
 * JSON text as MessagePack, and back.  What JSON cannot say (binary,
 * extensions, keys that are no strings, numbers that are not finite) is
 * refused.  Nothing is allocated.
 */

#ifndef _DELTA_MSGPACK_H_INCLUDED_
#define _DELTA_MSGPACK_H_INCLUDED_


#include "delta.h"
#include "delta_json.h"


#define DELTA_MSGPACK_DEPTH  DELTA_JSON_DEPTH
#define DELTA_MSGPACK_KEYS   256    /* of all maps that are open at a time */


#define DELTA_MSGPACK_ERRORS(X)                                               \
    X(JSON,      "This is not JSON, or nested too deeply.")                   \
    X(NUMBER,    "A number is too long, or not finite.")                      \
    X(SIZE,      "The result is too long.")                                   \
    X(TRUNCATED, "The MessagePack ends too soon.")                            \
    X(TRAILING,  "There is something behind the MessagePack.")                \
    X(TYPE,      "The MessagePack holds what JSON cannot say.")               \
    X(DEPTH,     "The MessagePack is nested too deeply.")                     \
    X(UTF8,      "A string is not valid UTF-8.")                              \
    X(KEY,       "A key is not a string.")                                    \
    X(TWICE,     "A key comes twice.")                                        \
    X(KEYS,      "There are too many keys.")

enum {
#define X(name, text)  DELTA_MSGPACK_POS_##name,
    DELTA_MSGPACK_ERRORS(X)
#undef X
};

enum {
#define X(name, text)                                                         \
    DELTA_MSGPACK_E##name = -1 - DELTA_MSGPACK_POS_##name,
    DELTA_MSGPACK_ERRORS(X)
#undef X
};


/* Bytes that always suffice for n bytes of the other format. */
#define delta_msgpack_bound(n)       (3 * (n) + 3)
#define delta_msgpack_json_bound(n)  (6 * (n))


/*
 * The JSON text p..p+n as MessagePack, each part in its shortest form.  A
 * number without fraction and exponent is an integer if 64 bits hold it, any
 * other a float64, as is -0.  Keys that come twice are written twice.  A lone
 * number may have 63 characters.
 * Returns the bytes written, or DELTA_MSGPACK_E*.
 */
ssize_t delta_msgpack_encode(uint8_t *out, size_t size, const char *p,
    size_t n);

/*
 * The whole of p..p+n is one value, which is written as JSON without
 * whitespace.  What encode() makes of that is the same again, if it was in its
 * shortest form and its floats had 64 bits.
 * Returns the bytes written, or DELTA_MSGPACK_E*.
 */
ssize_t delta_msgpack_decode(char *out, size_t size, const uint8_t *p,
    size_t n);

const char *delta_msgpack_strerror(int error);


#endif /* _DELTA_MSGPACK_H_INCLUDED_ */
