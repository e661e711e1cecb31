
/*
 * Copyright (C) Delta contributors
 *
 * Tokens for the demonstration's login: HS256, HS384 or HS512, as the alg of
 * the first oct key of a JWK Set says.
 */

#ifndef _UPSTREAM_TOKEN_H_INCLUDED_
#define _UPSTREAM_TOKEN_H_INCLUDED_


#include "upstream.h"


#define UPSTREAM_TOKEN_LIFE  3600       /* seconds */


/*
 * audience and issuer become claims unless they are NULL, and must live as
 * long as the result.  Returns NULL after a line in the log.
 */
upstream_token_t *token_open(const char *file, const char *audience,
    const char *issuer);
void token_close(upstream_token_t *token);

/* A token whose sub is the user, to be freed; or NULL. */
char *token_make(const upstream_token_t *token, const char *user);


#endif /* _UPSTREAM_TOKEN_H_INCLUDED_ */
