
/*
 * Copyright (C) Delta contributors
 *
 * jwt-verify jwks-file token [audience [issuer]]
 *
 * Prints "OK" and the claims, or why the keys or the token are refused.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <openssl/err.h>
#include "delta_jwt.h"


static delta_jwt_keys_t *
jwt_verify_read(const char *path)
{
    FILE              *f;
    char              *text, error[256];
    size_t             n;
    delta_jwt_keys_t  *keys;

    f = fopen(path, "rb");
    text = malloc(1 << 20);

    if (f == NULL || text == NULL) {
        perror(path);
        exit(2);
    }

    n = fread(text, 1, 1 << 20, f);
    fclose(f);

    keys = delta_jwt_keys_parse(text, n, error, sizeof(error));
    free(text);

    if (keys == NULL) {
        printf("%s\n", error);
    }

    return keys;
}


static void
jwt_verify_print(int rc, const delta_jwt_t *jwt)
{
    char  *claims;

    if (rc != 1) {
        printf("%s\n", delta_jwt_strerror(rc));
        return;
    }

    claims = json_dumps(jwt->claims, JSON_COMPACT|JSON_SORT_KEYS);
    printf("OK %s\n", claims);
    free(claims);
}


int
main(int argc, char **argv)
{
    int                  rc;
    delta_jwt_t          jwt;
    delta_jwt_keys_t    *keys;
    delta_jwt_policy_t   policy;

    if (argc < 3) {
        fprintf(stderr, "usage: jwt-verify jwks-file token [aud [iss]]\n");
        return 2;
    }

    keys = jwt_verify_read(argv[1]);

    if (keys == NULL) {
        return 1;
    }

    policy.audience.data = argc > 3 ? argv[3] : "";
    policy.audience.len = strlen(policy.audience.data);
    policy.issuer.data = argc > 4 ? argv[4] : "";
    policy.issuer.len = strlen(policy.issuer.data);
    policy.now = time(NULL);
    policy.leeway = 0;

    rc = delta_jwt_verify(&jwt, keys, argv[2], strlen(argv[2]), &policy);

    jwt_verify_print(rc, &jwt);

    if (ERR_peek_error()) {
        printf("OpenSSL has errors queued.\n");
    }

    delta_jwt_free(&jwt);
    delta_jwt_keys_free(keys);

    return rc == 1 ? 0 : 1;
}
