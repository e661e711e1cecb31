
/*
 * Copyright (C) Delta contributors
 *
 * Who is asking: a JSON Web Token, or whatever nginx variable delta_user
 * names.  Tokens are never written to a log.
 */

#ifndef _NGX_HTTP_DELTA_AUTH_H_INCLUDED_
#define _NGX_HTTP_DELTA_AUTH_H_INCLUDED_


#include "ngx_http_delta.h"


/*
 * The context of the main request, made if need be; NULL: out of memory.  It
 * forgets who is asking when the request has come to another location.
 */
ngx_http_delta_ctx_t *ngx_http_delta_auth_ctx(ngx_http_request_t *r);

/*
 * The user of the main request, or an empty string.  Verified when first
 * asked for, in whatever phase; once the access phase is over (settled) the
 * answer is final.
 */
ngx_int_t ngx_http_delta_auth_user(ngx_http_request_t *r, ngx_str_t *user);

/* A claim of the verified token as text, or an empty string. */
ngx_int_t ngx_http_delta_auth_claim(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);

/*
 * Verifies a token by the location's rules and the worker's keys, which are
 * read again when their file has changed.  As delta_jwt_verify().
 */
int ngx_http_delta_auth_verify(ngx_http_delta_worker_t *worker,
    ngx_http_delta_loc_conf_t *conf, ngx_str_t *token, delta_jwt_t *jwt);

/*
 * Whether another, verified token is that user's, too: it has the same sub,
 * and delta_user makes the same name of it.  r is the session's request.
 */
ngx_uint_t ngx_http_delta_auth_same(ngx_http_request_t *r, delta_jwt_t *jwt,
    ngx_str_t *user);

/* When a session by that token ends: its expiry plus grace, 0: never. */
time_t ngx_http_delta_auth_expires(ngx_http_delta_loc_conf_t *conf,
    delta_jwt_t *jwt);

/*
 * Reads a key file whole, at most 256 KB.  On failure keys is NULL and error
 * (256 bytes) holds the reason.
 */
delta_jwt_keys_t *ngx_http_delta_auth_read_keys(ngx_str_t *path,
    ngx_file_info_t *fi, u_char *error);

/* When a file or its rights last changed, in nanoseconds. */
#define ngx_http_delta_auth_changed(fi)                                       \
    ((int64_t) (fi)->st_ctim.tv_sec * 1000000000 + (fi)->st_ctim.tv_nsec)

/* The value of the first request header of that (lower case) name. */
ngx_str_t *ngx_http_delta_auth_header(ngx_http_request_t *r,
    const char *name, ngx_uint_t *count);

/* A walk over all lines of a header; zero-fill it to start. */
typedef struct {
    ngx_list_part_t             *part;
    ngx_uint_t                   i;
} ngx_http_delta_line_t;

/* The next line's value, NULL: none is left. */
ngx_str_t *ngx_http_delta_auth_next(ngx_http_request_t *r, const char *name,
    ngx_http_delta_line_t *line);


#endif /* _NGX_HTTP_DELTA_AUTH_H_INCLUDED_ */
