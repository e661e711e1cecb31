
/*
 * Copyright (C) Delta contributors
 *
 * The index of leases: who is to be looked at when, so that the users of a
 * gateway that crashed go offline by whoever looks first.
 */

#ifndef _NGX_HTTP_DELTA_SWEEP_H_INCLUDED_
#define _NGX_HTTP_DELTA_SWEEP_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_SWEEP_KEY    300
#define NGX_HTTP_DELTA_SWEEP_BATCH  100


/* Redis has been (re)connected: those who are online refresh first. */
void ngx_http_delta_sweep_start(ngx_http_delta_hub_t *hub);

/* Once a second: looks for leases that are due, if it is time. */
void ngx_http_delta_sweep(ngx_http_delta_hub_t *hub);

/* Leases of so many users are to be looked at in delay ms at the latest. */
ngx_int_t ngx_http_delta_sweep_add(ngx_http_delta_hub_t *hub,
    ngx_str_t *users, ngx_uint_t n, ngx_msec_t delay);

/* The key delta:<prefix><name>, written to buf. */
ngx_str_t ngx_http_delta_sweep_key(ngx_http_delta_hub_t *hub,
    const char *name, u_char *buf);


#endif /* _NGX_HTTP_DELTA_SWEEP_H_INCLUDED_ */
