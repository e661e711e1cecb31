
/*
 * Copyright (C) Delta contributors
 *
 * Keys (delta_jwk.c) and signatures (delta_jws.c) under the tokens of
 * delta_jwt.c; for these three files only.
 */

#ifndef _DELTA_JWK_H_INCLUDED_
#define _DELTA_JWK_H_INCLUDED_


#include <openssl/evp.h>
#include "delta_jwt.h"


#define DELTA_JWK_MAX_SET    1048576  /* bytes of JSON */
#define DELTA_JWK_MAX_BYTES  2048     /* of a member: RSA of 16384 bits */


/* Bits: what a key is, and what an algorithm can work with. */
enum {
    DELTA_JWK_OCT = 1,
    DELTA_JWK_RSA = 2,
    DELTA_JWK_P256 = 4,
    DELTA_JWK_P384 = 8,
    DELTA_JWK_P521 = 16,
    DELTA_JWK_ED25519 = 32,
    DELTA_JWK_ED448 = 64
};

#define DELTA_JWK_EC  (DELTA_JWK_P256|DELTA_JWK_P384|DELTA_JWK_P521)


typedef struct {
    const char  *name;          /* as in "alg" */
    uint32_t     bit;
    uint32_t     types;         /* DELTA_JWK_* */
    const char  *digest;        /* OpenSSL's name, NULL: the algorithm's own */
    size_t       size;          /* of the digest */
    int          pss;
} delta_jws_algorithm_t;


typedef struct {
    uint32_t     type;          /* one of DELTA_JWK_* */
    uint32_t     algorithms;    /* bits of those it may verify */
    json_t      *kid;           /* a string, owned; NULL: none */
    uint8_t     *secret;        /* of an oct key, owned */
    size_t       secret_len;
    EVP_PKEY    *pkey;          /* of any other, owned */
    size_t       signature;     /* bytes that a signature must have */
} delta_jwk_t;


struct delta_jwt_keys_s {
    size_t       n;
    delta_jwk_t  keys[DELTA_JWT_MAX_KEYS];
};


/* NULL if the name is none of ours, as "none" is. */
const delta_jws_algorithm_t *delta_jws_algorithm(const char *name);

/* The bits of all algorithms that work with a type. */
uint32_t delta_jws_algorithms(uint32_t type);

/*
 * Verifies with a key that allows the algorithm.  Returns 1 or DELTA_JWT_E*,
 * and leaves OpenSSL's errors to the caller.
 */
int delta_jws_verify(const delta_jwk_t *key,
    const delta_jws_algorithm_t *algorithm, delta_str_t input,
    delta_str_t signature);

/*
 * Strict base64url: no padding, no junk, zero trailing bits.  Returns 0 and
 * the number of bytes, or -1; writes at most size bytes.
 */
int delta_jws_base64url(uint8_t *out, size_t size, size_t *len, const char *p,
    size_t n);


#endif /* _DELTA_JWK_H_INCLUDED_ */
