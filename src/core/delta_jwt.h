
/*
 * Copyright (C) Delta contributors
 *
 * JSON Web Tokens (RFC 7515, 7518, 7519, 8037) against a JWK Set (RFC 7517).
 * The key decides the algorithm, never the token: an oct key verifies only
 * HS*, an RSA key RS* and PS* (or just its "alg"), an EC key the ES* of its
 * curve, an OKP key EdDSA.
 */

#ifndef _DELTA_JWT_H_INCLUDED_
#define _DELTA_JWT_H_INCLUDED_


#include <jansson.h>
#include "delta.h"


#define DELTA_JWT_MAX_TOKEN  8192   /* bytes; a longer one is not looked at */
#define DELTA_JWT_MAX_KEYS   64


#define DELTA_JWT_ERRORS(X)                                                   \
    X(FORMAT,    "The token is malformed.")                                   \
    X(ALGORITHM, "The token's algorithm is not one its key allows.")          \
    X(CRITICAL,  "The token demands an extension that is not supported.")     \
    X(KEY,       "No key of the set fits the token.")                         \
    X(SIGNATURE, "The token's signature is wrong.")                           \
    X(CLAIMS,    "A claim of the token has the wrong type.")                  \
    X(EXPIRED,   "The token has expired.")                                    \
    X(EARLY,     "The token is not valid yet.")                               \
    X(AUDIENCE,  "The token is for another audience.")                        \
    X(ISSUER,    "The token is from another issuer.")                         \
    X(MEMORY,    "Out of memory.")

enum {
#define X(name, text)  DELTA_JWT_POS_##name,
    DELTA_JWT_ERRORS(X)
#undef X
};

enum {
#define X(name, text)  DELTA_JWT_E##name = -1 - DELTA_JWT_POS_##name,
    DELTA_JWT_ERRORS(X)
#undef X
};


typedef struct delta_jwt_keys_s  delta_jwt_keys_t;


/*
 * Parses a JWK Set, or a single JWK.  Keys with "use" other than "sig",
 * "key_ops" without "verify", or an unknown kty, crv or alg are skipped; a key
 * that is named but broken (short oct key, point off the curve, RSA below 2048
 * bits), no usable key, or private parts of an asymmetric key make the whole
 * set fail.
 * Returns NULL and a sentence in error (NUL-terminated, at most size bytes,
 * never key material) on failure.  The owner frees it.
 */
delta_jwt_keys_t *delta_jwt_keys_parse(const char *p, size_t n, char *error,
    size_t size);
void delta_jwt_keys_free(delta_jwt_keys_t *keys);


/* What is demanded of a token; empty strings demand nothing. */
typedef struct {
    delta_str_t  audience;      /* must be aud or one of aud */
    delta_str_t  issuer;        /* must be iss */
    int64_t      now;           /* seconds since 1970 */
    int64_t      leeway;        /* seconds, for exp and nbf */
} delta_jwt_policy_t;


typedef struct {
    json_t   *claims;           /* an object, owned */
    int64_t   exp;              /* seconds since 1970, 0: none */
    int64_t   iat;              /* 0: none; else at least 1 */
} delta_jwt_t;


/*
 * Verifies a compact token.  Base64url is strict: no padding, no junk, zero
 * trailing bits.  Returns 1, and the caller calls delta_jwt_free(); or
 * DELTA_JWT_E* with *jwt zeroed.  OpenSSL's error queue is left empty.
 */
int delta_jwt_verify(delta_jwt_t *jwt, const delta_jwt_keys_t *keys,
    const char *token, size_t n, const delta_jwt_policy_t *policy);
void delta_jwt_free(delta_jwt_t *jwt);

/*
 * A claim as text: strings as they are, whole numbers in decimal, booleans
 * as "true" and "false".  number_buf (32 bytes) holds the digits if needed.
 * Returns an empty string for other types and absent claims.
 */
delta_str_t delta_jwt_claim(const delta_jwt_t *jwt, const char *name, size_t n,
    char *number_buf);

const char *delta_jwt_strerror(int error);


#endif /* _DELTA_JWT_H_INCLUDED_ */
