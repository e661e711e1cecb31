
/*
 * Copyright (C) Delta contributors
 */

#ifndef _UPSTREAM_BANS_H_INCLUDED_
#define _UPSTREAM_BANS_H_INCLUDED_


#include "upstream.h"


/* Whether the user, or the address that X-Real-IP names, is banned. */
int bans_apply(upstream_request_t *r, const char *guild, const char *user);


#endif /* _UPSTREAM_BANS_H_INCLUDED_ */
