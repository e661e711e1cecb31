
/*
 * Copyright (C) Delta contributors
 *
 * What the gateway itself has to say to a client.
 */

#ifndef _NGX_HTTP_DELTA_SAY_H_INCLUDED_
#define _NGX_HTTP_DELTA_SAY_H_INCLUDED_


#include "ngx_http_delta.h"


/* The first event of all: who it is, its channels, where its stream begins. */
void ngx_http_delta_say_ready(ngx_http_delta_session_t *s);

/*
 * Answers a command by an error; code and message need no JSON escapes, ref
 * is raw JSON, empty or NULL.
 */
void ngx_http_delta_say_error(ngx_http_delta_session_t *s,
    const char *code, const char *message, ngx_str_t *ref);

/* Something of the channel (NULL: of all) is missing: to be fetched anew. */
void ngx_http_delta_say_resync(ngx_http_delta_session_t *s, ngx_str_t *channel,
    const char *reason);


#endif /* _NGX_HTTP_DELTA_SAY_H_INCLUDED_ */
