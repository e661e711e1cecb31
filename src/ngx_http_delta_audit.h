
/*
 * Copyright (C) Delta contributors
 *
 * A message that is lost shows when the next one names it.  On a channel that
 * has gone quiet there is no next one, so that logs are compared with what
 * was received: a few in each second, each about once a minute or more often.
 */

#ifndef _NGX_HTTP_DELTA_AUDIT_H_INCLUDED_
#define _NGX_HTTP_DELTA_AUDIT_H_INCLUDED_


#include "ngx_http_delta.h"


/* Once a second: asks for the last ids of the channels whose turn it is. */
void ngx_http_delta_audit(ngx_http_delta_hub_t *hub);


#endif /* _NGX_HTTP_DELTA_AUDIT_H_INCLUDED_ */
