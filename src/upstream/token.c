
/*
 * Copyright (C) Delta contributors
 */

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>
#include "token.h"


#define TOKEN_SECRET  512       /* bytes of a key, at most */


struct upstream_token_s {
    json_t         *header;
    const EVP_MD   *digest;
    const char     *audience;
    const char     *issuer;
    size_t          len;
    unsigned char   secret[TOKEN_SECRET];
};


static json_t *token_key(json_t *set);
static const char *token_use(upstream_token_t *token, json_t *key);
static int token_decode(upstream_token_t *token, const char *text);
static char *token_json(json_t *value);
static char *token_encode(const unsigned char *p, size_t n);
static char *token_join(const char *a, const char *b);


upstream_token_t *
token_open(const char *file, const char *audience, const char *issuer)
{
    json_t            *set, *key;
    const char        *reason;
    json_error_t       error;
    upstream_token_t  *token;

    token = calloc(1, sizeof(upstream_token_t));
    if (token == NULL) {
        return NULL;
    }

    token->audience = audience;
    token->issuer = issuer;

    set = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    key = token_key(set);

    if (set == NULL) {
        reason = error.text;

    } else if (key == NULL) {
        reason = "it holds no oct key";

    } else {
        reason = token_use(token, key);
    }

    if (reason) {
        upstream_log("cannot use the keys of %s: %s", file, reason);
        token_close(token);
        token = NULL;
    }

    json_decref(set);

    return token;
}


void
token_close(upstream_token_t *token)
{
    if (token == NULL) {
        return;
    }

    json_decref(token->header);
    OPENSSL_cleanse(token->secret, sizeof(token->secret));
    free(token);
}


static json_t *
token_key(json_t *set)
{
    size_t       i;
    json_t      *keys, *key;
    const char  *type;

    keys = json_object_get(set, "keys");

    json_array_foreach(keys, i, key) {
        type = json_string_value(json_object_get(key, "kty"));

        if (type && strcmp(type, "oct") == 0) {
            return key;
        }
    }

    type = json_string_value(json_object_get(set, "kty"));

    return type && strcmp(type, "oct") == 0 ? set : NULL;
}


static const char *
token_use(upstream_token_t *token, json_t *key)
{
    const char  *name, *kid, *secret;

    name = json_string_value(json_object_get(key, "alg"));
    kid = json_string_value(json_object_get(key, "kid"));
    secret = json_string_value(json_object_get(key, "k"));

    if (name == NULL || strcmp(name, "HS256") == 0) {
        name = "HS256";
        token->digest = EVP_sha256();

    } else if (strcmp(name, "HS384") == 0) {
        token->digest = EVP_sha384();

    } else if (strcmp(name, "HS512") == 0) {
        token->digest = EVP_sha512();

    } else {
        return "its alg is none of HS256, HS384, HS512";
    }

    if (secret == NULL || token_decode(token, secret) != 0) {
        return "its k is not base64url of up to 512 bytes";
    }

    token->header = json_pack("{s:s, s:s, s:s*}", "alg", name, "typ", "JWT",
                              "kid", kid);

    return token->header ? NULL : "out of memory";
}


static int
token_decode(upstream_token_t *token, const char *text)
{
    int            n;
    char           block[TOKEN_SECRET / 3 * 4 + 8];
    size_t         i, len;
    unsigned char  out[TOKEN_SECRET + 8];

    len = strlen(text);

    if (len == 0 || len > TOKEN_SECRET / 3 * 4 || len % 4 == 1) {
        return -1;
    }

    for (i = 0; i < len; i++) {
        block[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    }

    while (i % 4) {
        block[i++] = '=';
    }

    n = EVP_DecodeBlock(out, (unsigned char *) block, i);

    if (n < 0) {
        return -1;
    }

    token->len = n - (i - len);
    memcpy(token->secret, out, token->len);
    OPENSSL_cleanse(out, sizeof(out));
    OPENSSL_cleanse(block, sizeof(block));

    return 0;
}


char *
token_make(const upstream_token_t *token, const char *user)
{
    char           *head, *claims, *input, *signature, *result;
    time_t          now;
    unsigned        n;
    unsigned char   mac[EVP_MAX_MD_SIZE];

    now = time(NULL);

    head = token_json(json_incref(token->header));
    claims = token_json(json_pack("{s:s, s:I, s:I, s:s*, s:s*}", "sub", user,
                                  "iat", (json_int_t) now, "exp",
                                  (json_int_t) now + UPSTREAM_TOKEN_LIFE,
                                  "aud", token->audience, "iss",
                                  token->issuer));
    input = token_join(head, claims);
    signature = NULL;

    if (input && HMAC(token->digest, token->secret, token->len,
                      (unsigned char *) input, strlen(input), mac, &n))
    {
        signature = token_encode(mac, n);
    }

    result = token_join(input, signature);

    free(head);
    free(claims);
    free(input);
    free(signature);

    return result;
}


/* Takes the reference. */

static char *
token_json(json_t *value)
{
    char  *text, *result;

    text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    result = text ? token_encode((unsigned char *) text, strlen(text)) : NULL;

    free(text);
    json_decref(value);

    return result;
}


static char *
token_encode(const unsigned char *p, size_t n)
{
    char  *text, *c;

    text = malloc(n / 3 * 4 + 5);
    if (text == NULL) {
        return NULL;
    }

    EVP_EncodeBlock((unsigned char *) text, p, n);

    for (c = text; *c && *c != '='; c++) {

        if (*c == '+') {
            *c = '-';

        } else if (*c == '/') {
            *c = '_';
        }
    }

    *c = '\0';

    return text;
}


static char *
token_join(const char *a, const char *b)
{
    char    *text;
    size_t   n;

    if (a == NULL || b == NULL) {
        return NULL;
    }

    n = strlen(a) + strlen(b) + 2;
    text = malloc(n);

    if (text) {
        snprintf(text, n, "%s.%s", a, b);
    }

    return text;
}
