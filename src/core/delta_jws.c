
/*
 * Copyright (C) Delta contributors
 */

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include "delta_jwk.h"


#define DELTA_JWS_MAX_DER  160      /* two integers of 66 bytes, and tags */


static int delta_jws_hmac(const delta_jwk_t *key,
    const delta_jws_algorithm_t *algorithm, delta_str_t input,
    delta_str_t signature);
static int delta_jws_public(EVP_PKEY *pkey,
    const delta_jws_algorithm_t *algorithm, delta_str_t input,
    const uint8_t *signature, size_t n);
static int delta_jws_der(uint8_t *der, const uint8_t *p, size_t n);


static const delta_jws_algorithm_t  delta_jws_table[] = {
    { "HS256", 1 << 0, DELTA_JWK_OCT, "SHA256", 32, 0 },
    { "HS384", 1 << 1, DELTA_JWK_OCT, "SHA384", 48, 0 },
    { "HS512", 1 << 2, DELTA_JWK_OCT, "SHA512", 64, 0 },
    { "RS256", 1 << 3, DELTA_JWK_RSA, "SHA256", 32, 0 },
    { "RS384", 1 << 4, DELTA_JWK_RSA, "SHA384", 48, 0 },
    { "RS512", 1 << 5, DELTA_JWK_RSA, "SHA512", 64, 0 },
    { "PS256", 1 << 6, DELTA_JWK_RSA, "SHA256", 32, 1 },
    { "PS384", 1 << 7, DELTA_JWK_RSA, "SHA384", 48, 1 },
    { "PS512", 1 << 8, DELTA_JWK_RSA, "SHA512", 64, 1 },
    { "ES256", 1 << 9, DELTA_JWK_P256, "SHA256", 32, 0 },
    { "ES384", 1 << 10, DELTA_JWK_P384, "SHA384", 48, 0 },
    { "ES512", 1 << 11, DELTA_JWK_P521, "SHA512", 64, 0 },
    { "EdDSA", 1 << 12, DELTA_JWK_ED25519|DELTA_JWK_ED448, NULL, 0, 0 },
};


const delta_jws_algorithm_t *
delta_jws_algorithm(const char *name)
{
    size_t  i;

    for (i = 0; i < sizeof(delta_jws_table) / sizeof(delta_jws_table[0]); i++) {

        if (strcmp(name, delta_jws_table[i].name) == 0) {
            return &delta_jws_table[i];
        }
    }

    return NULL;
}


uint32_t
delta_jws_algorithms(uint32_t type)
{
    size_t    i;
    uint32_t  bits;

    bits = 0;

    for (i = 0; i < sizeof(delta_jws_table) / sizeof(delta_jws_table[0]); i++) {

        if (delta_jws_table[i].types & type) {
            bits |= delta_jws_table[i].bit;
        }
    }

    return bits;
}


int
delta_jws_verify(const delta_jwk_t *key,
    const delta_jws_algorithm_t *algorithm, delta_str_t input,
    delta_str_t signature)
{
    int             len;
    uint8_t         der[DELTA_JWS_MAX_DER];
    const uint8_t  *p;

    p = (const uint8_t *) signature.data;

    if (key->type == DELTA_JWK_OCT) {
        return delta_jws_hmac(key, algorithm, input, signature);
    }

    if (signature.len != key->signature) {
        return DELTA_JWT_ESIGNATURE;
    }

    if (!(key->type & DELTA_JWK_EC)) {
        return delta_jws_public(key->pkey, algorithm, input, p,
                                signature.len);
    }

    len = delta_jws_der(der, p, signature.len);

    return len > 0 ? delta_jws_public(key->pkey, algorithm, input, der, len)
                   : DELTA_JWT_EMEMORY;
}


static int
delta_jws_hmac(const delta_jwk_t *key, const delta_jws_algorithm_t *algorithm,
    delta_str_t input, delta_str_t signature)
{
    size_t   len;
    uint8_t  mac[EVP_MAX_MD_SIZE];

    if (signature.len != algorithm->size) {
        return DELTA_JWT_ESIGNATURE;
    }

    if (EVP_Q_mac(NULL, "HMAC", NULL, algorithm->digest, NULL, key->secret,
                  key->secret_len, (const uint8_t *) input.data, input.len,
                  mac, sizeof(mac), &len)
        == NULL
        || len != algorithm->size)
    {
        return DELTA_JWT_EMEMORY;
    }

    return CRYPTO_memcmp(mac, signature.data, len) == 0
           ? 1 : DELTA_JWT_ESIGNATURE;
}


static int
delta_jws_public(EVP_PKEY *pkey, const delta_jws_algorithm_t *algorithm,
    delta_str_t input, const uint8_t *signature, size_t n)
{
    int            rc;
    EVP_MD_CTX    *ctx;
    EVP_PKEY_CTX  *pctx;

    ctx = EVP_MD_CTX_new();

    if (ctx == NULL) {
        return DELTA_JWT_EMEMORY;
    }

    rc = EVP_DigestVerifyInit_ex(ctx, &pctx, algorithm->digest, NULL, NULL,
                                 pkey, NULL);

    if (rc == 1 && algorithm->pss) {
        rc = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0
             && EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST)
                > 0;
    }

    if (rc == 1) {
        rc = EVP_DigestVerify(ctx, signature, n,
                              (const uint8_t *) input.data, input.len);
    }

    EVP_MD_CTX_free(ctx);

    return rc == 1 ? 1 : DELTA_JWT_ESIGNATURE;
}


/* JOSE has two integers of fixed width where OpenSSL wants DER. */

static int
delta_jws_der(uint8_t *der, const uint8_t *p, size_t n)
{
    int         len;
    BIGNUM     *r, *s;
    ECDSA_SIG  *sig;

    r = BN_bin2bn(p, n / 2, NULL);
    s = BN_bin2bn(p + n / 2, n / 2, NULL);
    sig = ECDSA_SIG_new();

    if (r == NULL || s == NULL || sig == NULL || !ECDSA_SIG_set0(sig, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(sig);
        return -1;
    }

    len = i2d_ECDSA_SIG(sig, NULL);

    if (len > 0 && len <= DELTA_JWS_MAX_DER) {
        len = i2d_ECDSA_SIG(sig, &der);

    } else {
        len = -1;
    }

    ECDSA_SIG_free(sig);

    return len;
}


int
delta_jws_base64url(uint8_t *out, size_t size, size_t *len, const char *p,
    size_t n)
{
    size_t       i;
    uint8_t      c, value;
    uint32_t     bits;
    const char  *end;

    if (n % 4 == 1 || n / 4 * 3 + n % 4 * 3 / 4 > size) {
        return -1;
    }

    bits = 0;
    *len = 0;
    end = p + n;

    for (i = 1; p < end; i++) {
        c = *p++;

        if (c >= 'A' && c <= 'Z') {
            value = c - 'A';

        } else if (c >= 'a' && c <= 'z') {
            value = c - 'a' + 26;

        } else if (c >= '0' && c <= '9') {
            value = c - '0' + 52;

        } else if (c == '-') {
            value = 62;

        } else if (c == '_') {
            value = 63;

        } else {
            return -1;
        }

        bits = (bits << 6 | value) & 0xffffff;

        if (i % 4 != 1) {
            out[(*len)++] = bits >> (2 * (3 - (i - 1) % 4));
        }
    }

    if ((n % 4 == 2 && bits & 15) || (n % 4 == 3 && bits & 3)) {
        return -1;
    }

    return 0;
}
