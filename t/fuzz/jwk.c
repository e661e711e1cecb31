
/*
 * Copyright (C) Delta contributors
 *
 * Keys and sets of keys; a token against those that are taken.
 */

#include "fuzz.h"
#include "jwt_tokens.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t             i;
    char              *error;
    delta_jwt_t        jwt;
    delta_jwt_keys_t  *keys;

    static const char  *tokens[] = { A1_TOKEN, A2_TOKEN, A3_TOKEN, ED_TOKEN };

    error = fuzz_alloc(100);
    memset(error, 0x5a, 100);
    keys = delta_jwt_keys_parse((const char *) data, n, error, 100);

    check(keys || (memchr(error, '\0', 100) && error[0]));
    fuzz_free(error, 100);

    for (i = 0; keys && i < 4; i++) {
        delta_jwt_verify(&jwt, keys, tokens[i], strlen(tokens[i]),
                         &jwt_policy);
        delta_jwt_free(&jwt);
    }

    check(ERR_peek_error() == 0);
    delta_jwt_keys_free(keys);

    return 0;
}
