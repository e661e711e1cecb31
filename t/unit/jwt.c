
/*
 * Copyright (C) Delta contributors
 *
 * Signatures and headers: every algorithm, and every forgery we know of.
 */

#include "jwt_tokens.h"


/* SECRET SECRET */
#define K64  "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"                   \
             "wMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg"


static void jwt_test_rfc(void);
static void jwt_test_algorithms(void);
static void jwt_test_ed448(void);
static void jwt_test_forgeries(void);
static void jwt_test_headers(void);
static void jwt_test_sizes(void);
static void jwt_test_every_change(const char *name, const char *token,
    const char *jwk, size_t step);


int
main(void)
{
    plan(0);

    jwt_test_rfc();
    jwt_test_algorithms();
    jwt_test_ed448();
    jwt_test_forgeries();
    jwt_test_headers();
    jwt_test_sizes();

    jwt_test_every_change("HS256", A1_TOKEN, A1_JWK, 1);
    jwt_test_every_change("RS256", A2_TOKEN, A2_JWK, 3);
    jwt_test_every_change("ES256", A3_TOKEN, A3_JWK, 3);
    jwt_test_every_change("EdDSA", ED_TOKEN, ED_JWK, 3);

    return done_testing();
}


static void
jwt_test_rfc(void)
{
    int                  rc;
    char                 buf[32];
    delta_jwt_t          jwt;
    delta_jwt_keys_t    *keys;
    delta_jwt_policy_t   joe;

    is_int(jwt_try(A1_JWK, A1_TOKEN, &jwt_policy), 1, "RFC 7515 A.1, HS256");
    is_int(jwt_try(A2_JWK, A2_TOKEN, &jwt_policy), 1, "RFC 7515 A.2, RS256");
    is_int(jwt_try(A3_JWK, A3_TOKEN, &jwt_policy), 1, "RFC 7515 A.3, ES256");

    /* its payload is text: well signed, but no token */
    is_int(jwt_try(ED_JWK, ED_TOKEN, &jwt_policy), DELTA_JWT_EFORMAT,
           "RFC 8037 A.4, EdDSA, is signed but has no claims");

    keys = jwt_keys("{\"keys\":[" A3_JWK "," ED_JWK "," A1_JWK "," A2_JWK
                    "]}");

    is_int(jwt_try_keys(keys, A1_TOKEN, strlen(A1_TOKEN), &jwt_policy), 1,
           "A.1 with all keys in a set");
    is_int(jwt_try_keys(keys, A2_TOKEN, strlen(A2_TOKEN), &jwt_policy), 1,
           "A.2 with all keys in a set");
    is_int(jwt_try_keys(keys, A3_TOKEN, strlen(A3_TOKEN), &jwt_policy), 1,
           "A.3 with all keys in a set");

    joe = jwt_policy;
    joe.issuer.data = "joe";
    joe.issuer.len = 3;

    rc = delta_jwt_verify(&jwt, keys, A1_TOKEN, strlen(A1_TOKEN), &joe);

    is_int(rc, 1, "A.1 is from joe");
    is_int(jwt.exp, 1300819380, "exp of A.1");
    is_int(jwt.iat, 0, "A.1 has no iat");
    ok(delta_str_eq(delta_jwt_claim(&jwt, "issx", 3, buf), "joe"),
       "iss of A.1");
    ok(delta_str_eq(delta_jwt_claim(&jwt, "http://example.com/is_root", 26,
                                    buf), "true"),
       "a boolean claim of A.1");

    delta_jwt_free(&jwt);
    ok(jwt.claims == NULL, "nothing stays of a freed token");

    joe.now = 1300819380;
    is_int(jwt_try_keys(keys, A3_TOKEN, strlen(A3_TOKEN), &joe),
           DELTA_JWT_EEXPIRED, "A.3 expires with its second");

    delta_jwt_keys_free(keys);
    delta_jwt_keys_free(NULL);
}


/* A key that is long enough for all three, one for each alone, and misfits. */

static void
jwt_test_algorithms(void)
{
    size_t              i, j;
    char               *token, header[64], jwk[256];
    static const char  *names[] = { "HS256", "HS384", "HS512" };
    static const char  *digests[] = { "SHA256", "SHA384", "SHA512" };

    for (i = 0; i < 3; i++) {
        snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", names[i]);
        token = jwt_sign_with(digests[i], 64, header, "{}");

        is_int(jwt_try("{\"kty\":\"oct\",\"k\":\"" K64 "\"}", token,
                       &jwt_policy),
               1, "%s with a key without alg", names[i]);

        for (j = 0; j < 3; j++) {
            snprintf(jwk, sizeof(jwk),
                     "{\"kty\":\"oct\",\"k\":\"" K64 "\",\"alg\":\"%s\"}",
                     names[j]);

            is_int(jwt_try(jwk, token, &jwt_policy),
                   i == j ? 1 : DELTA_JWT_EALGORITHM,
                   "%s with a key for %s", names[i], names[j]);
        }

        is_int(jwt_try(OCT, token, &jwt_policy),
               i == 0 ? DELTA_JWT_ESIGNATURE : DELTA_JWT_EALGORITHM,
               "%s with a key of 32 bytes", names[i]);

        free(token);

        token = jwt_sign_with(digests[(i + 1) % 3], 64, header, "{}");

        is_int(jwt_try("{\"kty\":\"oct\",\"k\":\"" K64 "\"}", token,
                       &jwt_policy),
               DELTA_JWT_ESIGNATURE, "%s signed with another hash", names[i]);

        free(token);
    }
}


static void
jwt_test_ed448(void)
{
    char        *token, jwk[256], x[128], *input;
    size_t       n;
    uint8_t      raw[57], sig[114];
    EVP_PKEY    *pkey;
    EVP_MD_CTX  *ctx;

    pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    n = sizeof(raw);
    EVP_PKEY_get_raw_public_key(pkey, raw, &n);
    jwt_encode(x, raw, n);

    input = jwt_input("{\"alg\":\"EdDSA\"}", "{\"sub\":\"ada\"}");
    token = malloc(strlen(input) + 160);

    n = sizeof(sig);
    ctx = EVP_MD_CTX_new();
    EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, pkey, NULL);
    EVP_DigestSign(ctx, sig, &n, (uint8_t *) input, strlen(input));

    jwt_encode(token + sprintf(token, "%s.", input), sig, n);

    snprintf(jwk, sizeof(jwk),
             "{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"%s\"}", x);

    is_int(jwt_try(jwk, token, &jwt_policy), 1, "Ed448");

    is_int(jwt_try(ED_JWK, token, &jwt_policy), DELTA_JWT_ESIGNATURE,
           "Ed448 with a key of Ed25519");

    n = strlen(input) + 1;
    token[n] = token[n] == 'A' ? 'B' : 'A';
    is_int(jwt_try(jwk, token, &jwt_policy), DELTA_JWT_ESIGNATURE,
           "Ed448, tampered");

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    free(input);
    free(token);
}


static void
jwt_test_forgeries(void)
{
    char               *token, *p;
    size_t              i;
    static const char   good[] = "eyJhbGciOiJFUzI1NiJ9." A1_PAYLOAD;
    static const char  *malformed[] = {
        "", ".", "..", "...", "a.b.c", "e30.e30", "e30.e30.", ".e30.AA",
        "e30..AA", "W10.e30.AA", A1_TOKEN "=", A1_TOKEN "==", A1_TOKEN ".",
        A1_TOKEN ".AAAA", A1_TOKEN " ", A1_TOKEN "\n", " " A1_TOKEN,
        A1_TOKEN "AA", A1_TOKEN ",", "." A1_TOKEN,
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9==." A1_PAYLOAD ".AAAA",
        "eyJhbGciOiJIUzI1NiJ9." A1_PAYLOAD "=.AAAA",
        "eyJhbGciOiJIUzI1NiJ9." A1_PAYLOAD ".",
        "eyJhbGciOiJIUzI1NiJ9." A1_PAYLOAD ".+/+/",
        "eyJhbGciOiJIUzI1NiJ9." A1_PAYLOAD ".AB",
        "eyJhbGciOiJIUzI1NiJ9." A1_PAYLOAD ".AAB",
    };

    for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        is_int(jwt_try(A1_JWK, malformed[i], &jwt_policy), DELTA_JWT_EFORMAT,
               "malformed %zu: %s", i, malformed[i]);
    }

    is_int(jwt_try(A1_JWK, A1_TOKEN "A", &jwt_policy), DELTA_JWT_ESIGNATURE,
           "a signature of 33 bytes");

    /* 43 characters have two bits to spare: k and l decode to the same */
    token = strdup(A1_TOKEN);
    p = token + strlen(token) - 1;
    ok(*p == 'k', "the last character of A.1");

    for (i = 1; i < 4; i++) {
        *p = 'k' + i;
        is_int(jwt_try(A1_JWK, token, &jwt_policy), DELTA_JWT_EFORMAT,
               "trailing bits %zu", i);
    }

    free(token);

    token = jwt_input("{\"alg\":\"none\"}", "{\"sub\":\"ada\"}");
    p = malloc(strlen(token) + 8);

    sprintf(p, "%s.", token);
    is_int(jwt_try(A1_JWK, p, &jwt_policy), DELTA_JWT_EALGORITHM,
           "alg none without a signature");
    sprintf(p, "%s.AAAA", token);
    is_int(jwt_try(A1_JWK, p, &jwt_policy), DELTA_JWT_EALGORITHM,
           "alg none with a signature");

    free(token);
    free(p);

    token = jwt_sign(HS256, "{}");
    is_int(jwt_try(A2_JWK, token, &jwt_policy), DELTA_JWT_EALGORITHM,
           "HS256 where the key is RSA");
    is_int(jwt_try(A3_JWK, token, &jwt_policy), DELTA_JWT_EALGORITHM,
           "HS256 where the key is EC");
    is_int(jwt_try(OTHER, token, &jwt_policy), DELTA_JWT_ESIGNATURE,
           "HS256 with another key");
    free(token);

    is_int(jwt_try(A3_JWK, A2_TOKEN, &jwt_policy), DELTA_JWT_EALGORITHM,
           "RS256 where the key is EC");
    is_int(jwt_try(ED_JWK, A3_TOKEN, &jwt_policy), DELTA_JWT_EALGORITHM,
           "ES256 where the key is Ed25519");

    /* r and s of zero, the signature that some verifiers took for any key */
    token = malloc(sizeof(good) + 100);
    sprintf(token, "%s.", good);
    memset(token + sizeof(good), 'A', 86);
    token[sizeof(good) + 86] = '\0';
    is_int(jwt_try(A3_JWK, token, &jwt_policy), DELTA_JWT_ESIGNATURE,
           "r = s = 0");
    memset(token + sizeof(good), '_', 85);
    token[sizeof(good) + 85] = 'w';
    is_int(jwt_try(A3_JWK, token, &jwt_policy), DELTA_JWT_ESIGNATURE,
           "r and s of all ones");
    free(token);
}


static void
jwt_test_headers(void)
{
    char                     *token;
    size_t                    i;
    static const jwt_case_t   cases[] = {
        { HS256, 1 },
        { "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"jwk\":" OTHER "}", 1 },
        { " {\"alg\":\"HS256\"}\n", 1 },
        { "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
          DELTA_JWT_ECRITICAL },
        { "{\"alg\":\"HS256\",\"crit\":[]}", DELTA_JWT_ECRITICAL },
        { "{\"alg\":\"HS256\",\"crit\":null}", DELTA_JWT_ECRITICAL },
        { "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
          DELTA_JWT_ECRITICAL },
        { "{\"alg\":\"hs256\"}", DELTA_JWT_EALGORITHM },
        { "{\"alg\":\"HS256 \"}", DELTA_JWT_EALGORITHM },
        { "{\"alg\":\"\"}", DELTA_JWT_EALGORITHM },
        { "{\"alg\":\"none\"}", DELTA_JWT_EALGORITHM },
        { "{\"alg\":\"NONE\"}", DELTA_JWT_EALGORITHM },
        { "{\"alg\":\"ES256K\"}", DELTA_JWT_EALGORITHM },
        { "{\"alg\":\"RS256\"}", DELTA_JWT_EALGORITHM },
        { "{\"alg\":\"HS256\\u0000\"}", DELTA_JWT_EFORMAT },
        { "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", DELTA_JWT_EFORMAT },
        { "{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}", DELTA_JWT_EFORMAT },
        { "{\"alg\":[\"HS256\"]}", DELTA_JWT_EFORMAT },
        { "{\"alg\":null}", DELTA_JWT_EFORMAT },
        { "{}", DELTA_JWT_EFORMAT },
        { "[\"HS256\"]", DELTA_JWT_EFORMAT },
        { "\"HS256\"", DELTA_JWT_EFORMAT },
        { "{\"alg\":\"HS256\"", DELTA_JWT_EFORMAT },
        { "{\"alg\":\"HS256\"}{}", DELTA_JWT_EFORMAT },
        { "{\"alg\":\"HS256\",\"x\":\"\xff\"}", DELTA_JWT_EFORMAT },
        { "{\"alg\":\"HS256\",\"kid\":7}", DELTA_JWT_EFORMAT },
        { "{\"alg\":\"HS256\",\"kid\":null}", DELTA_JWT_EFORMAT },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        token = jwt_sign(cases[i].text, "{}");
        is_int(jwt_try(OCT, token, &jwt_policy), cases[i].want, "header %s",
               cases[i].text);
        free(token);
    }
}


static void
jwt_test_sizes(void)
{
    char    *payload, *token;
    size_t   n, depth;

    payload = malloc(DELTA_JWT_MAX_TOKEN * 2);

    /* the largest payload that fits, and one byte more */

    n = DELTA_JWT_MAX_TOKEN - 20 - 1 - 1 - 43;
    n = n / 4 * 3 + n % 4 * 3 / 4;

    memset(payload, ' ', n + 2);
    payload[0] = '{';
    payload[n - 1] = '}';
    payload[n] = '\0';

    token = jwt_sign(HS256, payload);
    is_int(strlen(token), DELTA_JWT_MAX_TOKEN, "a token of the largest size");
    is_int(jwt_try(OCT, token, &jwt_policy), 1, "the largest size");
    free(token);

    payload[n] = ' ';
    payload[n + 1] = '\0';

    token = jwt_sign(HS256, payload);
    is_int(jwt_try(OCT, token, &jwt_policy), DELTA_JWT_EFORMAT, "oversized");
    free(token);

    for (depth = 1000; depth <= 2900; depth += 1900) {
        n = sprintf(payload, "{\"a\":");
        memset(payload + n, '[', depth);
        memset(payload + n + depth, ']', depth);
        strcpy(payload + n + 2 * depth, "}");

        token = jwt_sign(HS256, payload);
        is_int(jwt_try(OCT, token, &jwt_policy),
               depth == 1000 ? 1 : DELTA_JWT_EFORMAT, "%zu levels", depth);
        free(token);

        memset(payload + n, '[', 2 * depth);
        token = jwt_sign(payload, "{}");
        is_int(jwt_try(OCT, token, &jwt_policy), DELTA_JWT_EFORMAT,
               "a header of %zu levels", 2 * depth);
        free(token);
    }

    free(payload);

    n = 10000000;
    token = malloc(n + 1);
    memset(token, 'A', n);
    token[n] = '\0';
    is_int(jwt_try(OCT, token, &jwt_policy), DELTA_JWT_EFORMAT, "ten million");
    memset(token, '.', n);
    is_int(jwt_try(OCT, token, &jwt_policy), DELTA_JWT_EFORMAT, "as dots");
    free(token);
}


/* No beginning of a token verifies, nor one with a byte changed. */

static void
jwt_test_every_change(const char *name, const char *token, const char *jwk,
    size_t step)
{
    int                rc, cut, wrong, junk;
    char              *copy;
    size_t             i, n, pos, whole, payload, signature;
    delta_jwt_keys_t  *keys;
    static const char  bytes[] = "AZaz09-_.=+/ \"\n\t\x7f\x80\xff";

    keys = jwt_keys(jwk);
    copy = strdup(token);
    whole = strlen(token);
    payload = strchr(token, '.') + 1 - token;
    signature = strrchr(token, '.') + 1 - token;
    cut = 0;

    for (n = 0; n < whole; n++) {
        rc = jwt_try_keys(keys, token, n, &jwt_policy);
        cut += rc >= 0 || (n <= signature && rc != DELTA_JWT_EFORMAT);
    }

    is_int(cut, 0, "%s cut at every byte", name);

    wrong = 0;
    junk = 0;

    for (pos = 0; pos < whole; pos += step) {

        /* NUL is one of the bytes */

        for (i = 0; i < sizeof(bytes); i++) {

            if (bytes[i] == token[pos]) {
                continue;
            }

            copy[pos] = bytes[i];
            rc = jwt_try_keys(keys, copy, whole, &jwt_policy);
            copy[pos] = token[pos];

            if (i > 7 || token[pos] == '.') {
                junk += rc != DELTA_JWT_EFORMAT;

            } else if (pos < payload) {
                wrong += rc >= 0;

            /* the last character of a part may have bits to spare */

            } else if (pos == signature - 2 || pos == whole - 1) {
                wrong += rc != DELTA_JWT_ESIGNATURE && rc != DELTA_JWT_EFORMAT;

            } else {
                wrong += rc != DELTA_JWT_ESIGNATURE;
            }
        }
    }

    is_int(junk, 0, "%s with junk at every byte", name);
    is_int(wrong, 0, "%s changed at every byte", name);

    free(copy);
    delta_jwt_keys_free(keys);
}
