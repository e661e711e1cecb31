
/*
 * Copyright (C) Delta contributors
 */

#include <stdio.h>
#include <stdlib.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include "delta_jwk.h"


#define DELTA_JWK_MIN_RSA  2048     /* bits, RFC 7518 3.3 */
#define DELTA_JWK_MAX_E    8        /* bytes */

#define DELTA_JWK_SKIPPED  0
#define DELTA_JWK_USABLE   1
#define DELTA_JWK_BROKEN   -1


typedef struct {
    const char  *kty;
    const char  *crv;
    uint32_t     type;
    const char  *group;         /* OpenSSL's name */
    size_t       size;          /* of x, and of y for EC */
    size_t       signature;
} delta_jwk_curve_t;


static json_t *delta_jwk_load(const char *p, size_t n, char *error,
    size_t size);
static int delta_jwk_read(delta_jwk_t *key, json_t *jwk, const char **why);
static int delta_jwk_for_us(json_t *jwk, const char **why);
static int delta_jwk_type(delta_jwk_t *key, json_t *jwk,
    const delta_jwk_curve_t **curve, const char **why);
static int delta_jwk_algorithms(delta_jwk_t *key, json_t *jwk,
    const char **why);
static int delta_jwk_oct(delta_jwk_t *key, json_t *jwk, const char **why);
static int delta_jwk_rsa(delta_jwk_t *key, json_t *jwk, const char **why);
static int delta_jwk_ec(delta_jwk_t *key, json_t *jwk,
    const delta_jwk_curve_t *curve, const char **why);
static int delta_jwk_okp(delta_jwk_t *key, json_t *jwk,
    const delta_jwk_curve_t *curve, const char **why);
static EVP_PKEY *delta_jwk_import(const char *type, OSSL_PARAM_BLD *bld);
static int delta_jwk_bytes(json_t *jwk, const char *name, uint8_t *out,
    size_t size, size_t *len);
static void delta_jwk_clear(delta_jwk_t *key);


static const delta_jwk_curve_t  delta_jwk_curves[] = {
    { "EC", "P-256", DELTA_JWK_P256, "prime256v1", 32, 64 },
    { "EC", "P-384", DELTA_JWK_P384, "secp384r1", 48, 96 },
    { "EC", "P-521", DELTA_JWK_P521, "secp521r1", 66, 132 },
    { "OKP", "Ed25519", DELTA_JWK_ED25519, "ED25519", 32, 64 },
    { "OKP", "Ed448", DELTA_JWK_ED448, "ED448", 57, 114 },
};


delta_jwt_keys_t *
delta_jwt_keys_parse(const char *p, size_t n, char *error, size_t size)
{
    int                rc;
    size_t             i, all;
    json_t            *root, *set;
    const char        *why;
    delta_jwt_keys_t  *keys;

    root = delta_jwk_load(p, n, error, size);

    if (root == NULL) {
        return NULL;
    }

    set = json_object_get(root, "keys");
    all = set ? json_array_size(set) : 1;
    keys = calloc(1, sizeof(delta_jwt_keys_t));

    if (keys == NULL) {
        snprintf(error, size, "Out of memory.");
        json_decref(root);
        return NULL;
    }

    rc = DELTA_JWK_SKIPPED;

    for (i = 0; i < all && rc != DELTA_JWK_BROKEN; i++) {
        rc = delta_jwk_read(&keys->keys[keys->n],
                            set ? json_array_get(set, i) : root, &why);

        if (rc == DELTA_JWK_USABLE) {
            keys->n++;

        } else {
            delta_jwk_clear(&keys->keys[keys->n]);
        }
    }

    json_decref(root);
    ERR_clear_error();

    if (rc == DELTA_JWK_BROKEN) {
        snprintf(error, size, "Key %zu of the set %s.", i, why);

    } else if (keys->n == 0) {
        snprintf(error, size, "The key set has no usable key.");

    } else {
        return keys;
    }

    delta_jwt_keys_free(keys);

    return NULL;
}


static json_t *
delta_jwk_load(const char *p, size_t n, char *error, size_t size)
{
    json_t        *root, *set;
    json_error_t   where;

    if (n > DELTA_JWK_MAX_SET) {
        snprintf(error, size, "The key set is larger than %d bytes.",
                 DELTA_JWK_MAX_SET);
        return NULL;
    }

    root = json_loadb(p, n, JSON_REJECT_DUPLICATES, &where);

    if (root == NULL) {
        /* the parser's own text quotes the input */
        snprintf(error, size, "The key set is not JSON: line %d, column %d.",
                 where.line, where.column);
        return NULL;
    }

    set = json_object_get(root, "keys");

    if (!json_is_array(set)
        && (set != NULL || json_object_get(root, "kty") == NULL))
    {
        snprintf(error, size, "The key set is neither an object with an array"
                 " \"keys\" nor a key.");

    } else if (json_array_size(set) > DELTA_JWT_MAX_KEYS) {
        snprintf(error, size, "The key set has more than %d keys.",
                 DELTA_JWT_MAX_KEYS);

    } else {
        return root;
    }

    json_decref(root);

    return NULL;
}


static int
delta_jwk_read(delta_jwk_t *key, json_t *jwk, const char **why)
{
    int                       rc;
    json_t                   *kid;
    const delta_jwk_curve_t  *curve;

    if (!json_is_object(jwk)) {
        *why = "is not an object";
        return DELTA_JWK_BROKEN;
    }

    rc = delta_jwk_type(key, jwk, &curve, why);

    if (rc == DELTA_JWK_USABLE) {
        rc = delta_jwk_for_us(jwk, why);
    }

    if (rc == DELTA_JWK_USABLE) {
        rc = delta_jwk_algorithms(key, jwk, why);
    }

    if (rc != DELTA_JWK_USABLE) {
        return rc;
    }

    kid = json_object_get(jwk, "kid");

    if (kid && !json_is_string(kid)) {
        *why = "has a kid that is not a string";
        return DELTA_JWK_BROKEN;
    }

    key->kid = json_incref(kid);

    if (key->type == DELTA_JWK_OCT) {
        return delta_jwk_oct(key, jwk, why);
    }

    if (key->type == DELTA_JWK_RSA) {
        return delta_jwk_rsa(key, jwk, why);
    }

    if (key->type & DELTA_JWK_EC) {
        return delta_jwk_ec(key, jwk, curve, why);
    }

    return delta_jwk_okp(key, jwk, curve, why);
}


static int
delta_jwk_type(delta_jwk_t *key, json_t *jwk, const delta_jwk_curve_t **curve,
    const char **why)
{
    size_t              i;
    const char         *kty, *crv;
    static const char  *private[] = {
        "d", "p", "q", "dp", "dq", "qi", "oth"
    };

    kty = json_string_value(json_object_get(jwk, "kty"));

    if (kty == NULL) {
        *why = "has no kty";
        return DELTA_JWK_BROKEN;
    }

    *curve = NULL;

    if (strcmp(kty, "oct") == 0) {
        key->type = DELTA_JWK_OCT;
        return DELTA_JWK_USABLE;
    }

    if (strcmp(kty, "RSA") != 0 && strcmp(kty, "EC") != 0
        && strcmp(kty, "OKP") != 0)
    {
        return DELTA_JWK_SKIPPED;
    }

    for (i = 0; i < sizeof(private) / sizeof(private[0]); i++) {

        if (json_object_get(jwk, private[i])) {
            *why = "has private parts";
            return DELTA_JWK_BROKEN;
        }
    }

    if (strcmp(kty, "RSA") == 0) {
        key->type = DELTA_JWK_RSA;
        return DELTA_JWK_USABLE;
    }

    crv = json_string_value(json_object_get(jwk, "crv"));

    if (crv == NULL) {
        *why = "has no crv";
        return DELTA_JWK_BROKEN;
    }

    for (i = 0; i < sizeof(delta_jwk_curves) / sizeof(delta_jwk_curves[0]);
         i++)
    {
        if (strcmp(kty, delta_jwk_curves[i].kty) == 0
            && strcmp(crv, delta_jwk_curves[i].crv) == 0)
        {
            *curve = &delta_jwk_curves[i];
            key->type = delta_jwk_curves[i].type;
            return DELTA_JWK_USABLE;
        }
    }

    return DELTA_JWK_SKIPPED;
}


static int
delta_jwk_for_us(json_t *jwk, const char **why)
{
    size_t   i;
    json_t  *use, *ops, *op;

    use = json_object_get(jwk, "use");

    if (use && !json_is_string(use)) {
        *why = "has a use that is not a string";
        return DELTA_JWK_BROKEN;
    }

    if (use && strcmp(json_string_value(use), "sig") != 0) {
        return DELTA_JWK_SKIPPED;
    }

    ops = json_object_get(jwk, "key_ops");

    if (ops == NULL) {
        return DELTA_JWK_USABLE;
    }

    json_array_foreach(ops, i, op) {

        if (json_is_string(op)
            && strcmp(json_string_value(op), "verify") == 0)
        {
            return DELTA_JWK_USABLE;
        }
    }

    return DELTA_JWK_SKIPPED;
}


static int
delta_jwk_algorithms(delta_jwk_t *key, json_t *jwk, const char **why)
{
    json_t                       *alg;
    const delta_jws_algorithm_t  *algorithm;

    alg = json_object_get(jwk, "alg");

    if (alg == NULL) {
        key->algorithms = delta_jws_algorithms(key->type);
        return DELTA_JWK_USABLE;
    }

    if (!json_is_string(alg)) {
        *why = "has an alg that is not a string";
        return DELTA_JWK_BROKEN;
    }

    algorithm = delta_jws_algorithm(json_string_value(alg));

    if (algorithm == NULL) {
        return DELTA_JWK_SKIPPED;
    }

    if (!(algorithm->types & key->type)) {
        *why = "has an alg that does not go with its kty or crv";
        return DELTA_JWK_BROKEN;
    }

    key->algorithms = algorithm->bit;

    return DELTA_JWK_USABLE;
}


static int
delta_jwk_oct(delta_jwk_t *key, json_t *jwk, const char **why)
{
    size_t                        i, len;
    uint8_t                       buf[DELTA_JWK_MAX_BYTES];
    const delta_jws_algorithm_t  *algorithm;
    static const char            *names[] = { "HS256", "HS384", "HS512" };

    if (delta_jwk_bytes(jwk, "k", buf, sizeof(buf), &len) != 0) {
        *why = "has no k in base64url of at most 2048 bytes";
        return DELTA_JWK_BROKEN;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        algorithm = delta_jws_algorithm(names[i]);

        if (len < algorithm->size) {
            key->algorithms &= ~algorithm->bit;
        }
    }

    if (key->algorithms == 0) {
        OPENSSL_cleanse(buf, sizeof(buf));
        *why = "has a k shorter than the hash of its algorithm";
        return DELTA_JWK_BROKEN;
    }

    key->secret = OPENSSL_memdup(buf, len);
    key->secret_len = len;

    OPENSSL_cleanse(buf, sizeof(buf));

    if (key->secret == NULL) {
        *why = "does not fit into memory";
        return DELTA_JWK_BROKEN;
    }

    return DELTA_JWK_USABLE;
}


static int
delta_jwk_rsa(delta_jwk_t *key, json_t *jwk, const char **why)
{
    size_t           n_len, e_len;
    BIGNUM          *n, *e;
    uint8_t          buf[DELTA_JWK_MAX_BYTES], exponent[DELTA_JWK_MAX_E];
    OSSL_PARAM_BLD  *bld;

    if (delta_jwk_bytes(jwk, "n", buf, sizeof(buf), &n_len) != 0
        || delta_jwk_bytes(jwk, "e", exponent, sizeof(exponent), &e_len) != 0)
    {
        *why = "has no n of at most 16384 bits and e of at most 64 bits"
               " in base64url";
        return DELTA_JWK_BROKEN;
    }

    n = BN_bin2bn(buf, n_len, NULL);
    e = BN_bin2bn(exponent, e_len, NULL);
    bld = OSSL_PARAM_BLD_new();

    if (n && BN_num_bits(n) < DELTA_JWK_MIN_RSA) {
        *why = "has less than 2048 bits";

    /* with 1 as exponent everything is a signature */

    } else if (n && e && (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e))) {
        *why = "has an n or e that is no RSA key's";

    } else {
        *why = "is not an RSA key";

        if (n && e && bld
            && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n)
            && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e))
        {
            key->pkey = delta_jwk_import("RSA", bld);
            key->signature = BN_num_bytes(n);
        }
    }

    OSSL_PARAM_BLD_free(bld);
    BN_free(e);
    BN_free(n);

    return key->pkey ? DELTA_JWK_USABLE : DELTA_JWK_BROKEN;
}


static int
delta_jwk_ec(delta_jwk_t *key, json_t *jwk, const delta_jwk_curve_t *curve,
    const char **why)
{
    size_t           x, y;
    uint8_t          point[1 + 2 * 66];
    OSSL_PARAM_BLD  *bld;

    point[0] = POINT_CONVERSION_UNCOMPRESSED;

    if (delta_jwk_bytes(jwk, "x", point + 1, curve->size, &x) != 0
        || delta_jwk_bytes(jwk, "y", point + 1 + curve->size, curve->size, &y)
           != 0
        || x != curve->size || y != curve->size)
    {
        *why = "has no x and y in base64url of the length of its curve";
        return DELTA_JWK_BROKEN;
    }

    bld = OSSL_PARAM_BLD_new();

    if (bld
        && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
                                           curve->group, 0)
        && OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY,
                                            point, 1 + x + y))
    {
        key->pkey = delta_jwk_import("EC", bld);
        key->signature = curve->signature;
    }

    OSSL_PARAM_BLD_free(bld);

    *why = "is not a point on its curve";

    return key->pkey ? DELTA_JWK_USABLE : DELTA_JWK_BROKEN;
}


static int
delta_jwk_okp(delta_jwk_t *key, json_t *jwk, const delta_jwk_curve_t *curve,
    const char **why)
{
    size_t   len;
    uint8_t  x[57];

    if (delta_jwk_bytes(jwk, "x", x, curve->size, &len) != 0
        || len != curve->size)
    {
        *why = "has no x in base64url of the length of its curve";
        return DELTA_JWK_BROKEN;
    }

    key->pkey = EVP_PKEY_new_raw_public_key_ex(NULL, curve->group, NULL, x,
                                               len);
    key->signature = curve->signature;

    *why = "is not a key of its curve";

    return key->pkey ? DELTA_JWK_USABLE : DELTA_JWK_BROKEN;
}


static EVP_PKEY *
delta_jwk_import(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY      *pkey;
    OSSL_PARAM    *params;
    EVP_PKEY_CTX  *ctx, *check;

    pkey = NULL;
    check = NULL;
    params = OSSL_PARAM_BLD_to_param(bld);
    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1
        && EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1)
    {
        check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

        if (check == NULL || EVP_PKEY_public_check(check) != 1) {
            EVP_PKEY_free(pkey);
            pkey = NULL;
        }
    }

    EVP_PKEY_CTX_free(check);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);

    return pkey;
}


static int
delta_jwk_bytes(json_t *jwk, const char *name, uint8_t *out, size_t size,
    size_t *len)
{
    json_t  *value;

    value = json_object_get(jwk, name);

    if (!json_is_string(value)) {
        return -1;
    }

    return delta_jws_base64url(out, size, len, json_string_value(value),
                               json_string_length(value));
}


void
delta_jwt_keys_free(delta_jwt_keys_t *keys)
{
    size_t  i;

    if (keys == NULL) {
        return;
    }

    for (i = 0; i < keys->n; i++) {
        delta_jwk_clear(&keys->keys[i]);
    }

    free(keys);
}


static void
delta_jwk_clear(delta_jwk_t *key)
{
    json_decref(key->kid);
    OPENSSL_clear_free(key->secret, key->secret_len);
    EVP_PKEY_free(key->pkey);

    memset(key, 0, sizeof(delta_jwk_t));
}
