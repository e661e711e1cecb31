
/*
 * Copyright (C) Delta contributors
 *
 * What the application answers to a subrequest, kept in memory.  nginx's own
 * NGX_HTTP_SUBREQUEST_IN_MEMORY ends the client's request without a word, and
 * over HTTP/1.x the connection, when an answer is too large.
 */

#ifndef _NGX_HTTP_DELTA_ANSWER_H_INCLUDED_
#define _NGX_HTTP_DELTA_ANSWER_H_INCLUDED_


#include "ngx_http_delta.h"


/* In the request's pool. */
struct ngx_http_delta_answer_s {
    ngx_http_request_t  *request;   /* that asks */
    u_char              *data;
    size_t               len;
    size_t               size;
    size_t               max;

    unsigned             large:1;   /* over max; nothing is kept */
    unsigned             failed:1;  /* that, or there is no memory */
};


/* Once, while the configuration is read: the filter of answers. */
void ngx_http_delta_answer_init(void);

/*
 * Asks; the handler is called at the end with this data.  max: bytes, or 0
 * for the subrequest_output_buffer_size of where uri leads.  One at a time of
 * a request.  NULL: out of memory, or nginx refuses.
 */
ngx_http_delta_answer_t *ngx_http_delta_answer_ask(ngx_http_request_t *r,
    ngx_str_t *uri, ngx_str_t *args, size_t max,
    ngx_http_post_subrequest_pt handler, void *data);

/* Lets go of the bytes: a request may live for long. */
void ngx_http_delta_answer_free(ngx_http_delta_answer_t *answer);


#endif /* _NGX_HTTP_DELTA_ANSWER_H_INCLUDED_ */
