
/*
 * Copyright (C) Delta contributors
 *
 * The leases of a hub, refreshed many at a time: one timer for all of them,
 * each in its turn.
 */

#ifndef _NGX_HTTP_DELTA_REFRESH_H_INCLUDED_
#define _NGX_HTTP_DELTA_REFRESH_H_INCLUDED_


#include "ngx_http_delta.h"


void ngx_http_delta_refresh_init(ngx_http_delta_hub_t *hub);

/* Redis is back: all leases are refreshed before anybody's are swept. */
void ngx_http_delta_refresh_link_up(ngx_http_delta_hub_t *hub);
void ngx_http_delta_refresh_link_down(ngx_http_delta_hub_t *hub);


#endif /* _NGX_HTTP_DELTA_REFRESH_H_INCLUDED_ */
