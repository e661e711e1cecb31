
/*
 * Copyright (C) Delta contributors
 *
 * The examples of RFC 7515 and RFC 8037, and tokens made to measure.
 */

#ifndef _JWT_TOKENS_H_INCLUDED_
#define _JWT_TOKENS_H_INCLUDED_


#include <openssl/err.h>
#include <openssl/evp.h>
#include "delta_jwt.h"
#include "tap.h"


#define NOW  1300819000       /* A.1 expires 380 seconds later */

#define A1_K  "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Y" \
              "j0iPS4hcgUuTwjAzZr1Z9CAow"
#define A1_PAYLOAD  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6" \
                    "Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define A1_TOKEN    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." A1_PAYLOAD    \
                    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

#define A2_N  "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmf" \
              "HQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_Yp" \
              "RPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5r" \
              "exMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxv" \
              "b3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q" \
              "2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define A2_TOKEN  "eyJhbGciOiJSUzI1NiJ9." A1_PAYLOAD                          \
              ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5R" \
              "Zmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQj" \
              "bKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMH" \
              "lb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZE" \
              "Sc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5A" \
              "XLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"

#define A3_X  "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define A3_Y  "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define A3_TOKEN  "eyJhbGciOiJFUzI1NiJ9." A1_PAYLOAD                          \
              ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8I" \
              "SlSApmWQxfKTUJqPP3-Kg6NU1Q"

#define ED_X  "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ED_TOKEN  "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc." \
              "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGj" \
              "g5BhVsPt9g7sVvpAr_MuM0KAg"

#define A1_JWK  "{\"kty\":\"oct\",\"k\":\"" A1_K "\"}"
#define A2_JWK  "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"}"
#define A3_JWK  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\","       \
                "\"y\":\"" A3_Y "\"}"
#define ED_JWK  "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"}"

/* 32 bytes; the tokens that are made here are signed with it */
#define SECRET  "0123456789abcdef0123456789abcdef"
#define OCT_K   "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
#define OCT     "{\"kty\":\"oct\",\"k\":\"" OCT_K "\"}"
#define OTHER_K "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ0"
#define OTHER   "{\"kty\":\"oct\",\"k\":\"" OTHER_K "\"}"

#define HS256   "{\"alg\":\"HS256\"}"


typedef struct {
    const char  *text;          /* JSON */
    int          want;
} jwt_case_t;


static delta_jwt_policy_t  jwt_policy = { delta_str(""), delta_str(""), NOW,
                                          0 };


tap_unused static delta_jwt_keys_t *
jwt_keys(const char *jwks)
{
    char               error[256];
    delta_jwt_keys_t  *keys;

    keys = delta_jwt_keys_parse(jwks, strlen(jwks), error, sizeof(error));

    if (keys == NULL) {
        printf("Bail out! %s\n", error);
        exit(1);
    }

    return keys;
}


tap_unused static int
jwt_try_keys(const delta_jwt_keys_t *keys, const char *token, size_t n,
    const delta_jwt_policy_t *policy)
{
    int          rc;
    delta_jwt_t  jwt;

    memset(&jwt, 0x5a, sizeof(jwt));

    if (n <= TAP_GUARD_SIZE) {
        token = guard(token, n);
    }

    rc = delta_jwt_verify(&jwt, keys, token, n, policy);

    if (ERR_peek_error()) {
        ok(0, "nothing is left of OpenSSL's errors");
    }

    if ((rc == 1) != (jwt.claims != NULL)
        || (rc != 1 && (jwt.exp || jwt.iat)))
    {
        ok(0, "a refused token is zeroed");
    }

    delta_jwt_free(&jwt);

    return rc;
}


tap_unused static int
jwt_try(const char *jwks, const char *token, const delta_jwt_policy_t *policy)
{
    int                rc;
    delta_jwt_keys_t  *keys;

    keys = jwt_keys(jwks);
    rc = jwt_try_keys(keys, token, strlen(token), policy);
    delta_jwt_keys_free(keys);

    return rc;
}


tap_unused static size_t
jwt_encode(char *out, const void *data, size_t n)
{
    char           *start;
    size_t          i, bits;
    uint32_t        value;
    const uint8_t  *p;

    static const char  alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz0123456789-_";

    p = data;
    start = out;
    value = 0;
    bits = 0;

    for (i = 0; i < n; i++) {
        value = value << 8 | p[i];
        bits += 8;

        while (bits >= 6) {
            bits -= 6;
            *out++ = alphabet[value >> bits & 63];
        }
    }

    if (bits) {
        *out++ = alphabet[value << (6 - bits) & 63];
    }

    *out = '\0';

    return out - start;
}


tap_unused static char *
jwt_input(const char *header, const char *payload)
{
    char    *input;
    size_t   n;

    input = malloc((strlen(header) + strlen(payload)) * 4 / 3 + 16);
    n = jwt_encode(input, header, strlen(header));
    input[n++] = '.';
    jwt_encode(input + n, payload, strlen(payload));

    return input;
}


/* Keyed with so many bytes of SECRET SECRET. */

tap_unused static char *
jwt_sign_with(const char *digest, size_t secret, const char *header,
    const char *payload)
{
    char     *input, *token;
    size_t    n;
    uint8_t   mac[EVP_MAX_MD_SIZE];

    input = jwt_input(header, payload);
    token = malloc(strlen(input) + 128);

    EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, SECRET SECRET, secret,
              (uint8_t *) input, strlen(input), mac, sizeof(mac), &n);

    jwt_encode(token + sprintf(token, "%s.", input), mac, n);
    free(input);

    return token;
}


tap_unused static char *
jwt_sign(const char *header, const char *payload)
{
    return jwt_sign_with("SHA256", 32, header, payload);
}


#endif /* _JWT_TOKENS_H_INCLUDED_ */
