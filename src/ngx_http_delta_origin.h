
/*
 * Copyright (C) Delta contributors
 *
 * Whose pages may connect, and what their scripts may read of an answer.
 */

#ifndef _NGX_HTTP_DELTA_ORIGIN_H_INCLUDED_
#define _NGX_HTTP_DELTA_ORIGIN_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * Postconfiguration: every answer of a gateway, nginx's own refusals among
 * them, says what an allowed origin may read; and preflights, which carry no
 * credentials, are answered before anybody asks for some.
 */
ngx_int_t ngx_http_delta_origin_init(ngx_conf_t *cf);

/* NGX_OK: no browser, or an allowed origin; cross: it is another site. */
ngx_int_t ngx_http_delta_origin_check(ngx_http_request_t *r,
    ngx_http_delta_loc_conf_t *dlcf, ngx_uint_t *cross);

/* Adds the headers that let an allowed origin read the answer, once. */
ngx_int_t ngx_http_delta_origin_cors(ngx_http_request_t *r,
    ngx_http_delta_loc_conf_t *dlcf);

/* Adds what is special to the answer of a preflight. */
ngx_int_t ngx_http_delta_origin_preflight(ngx_http_request_t *r);


#endif /* _NGX_HTTP_DELTA_ORIGIN_H_INCLUDED_ */
