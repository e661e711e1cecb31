
/*
 * Copyright (C) Delta contributors
 *
 * Events in a row, each one reference of the list's; zeroed at first.
 */

#ifndef _NGX_HTTP_DELTA_LIST_H_INCLUDED_
#define _NGX_HTTP_DELTA_LIST_H_INCLUDED_


#include "ngx_http_delta.h"


/* events[head .. head + count - 1]; bytes are those of the events. */
typedef struct {
    ngx_http_delta_event_t     **events;
    ngx_uint_t                   head;
    ngx_uint_t                   count;
    ngx_uint_t                   size;
    size_t                       bytes;
} ngx_http_delta_list_t;


#define ngx_http_delta_list_at(list, i)  (list)->events[(list)->head + (i)]

#define ngx_http_delta_list_last(list)                                        \
    ngx_http_delta_list_at(list, (list)->count - 1)


/* Takes over the caller's reference, but not on NGX_ERROR: out of memory. */
ngx_int_t ngx_http_delta_list_push(ngx_http_delta_list_t *list,
    ngx_http_delta_event_t *event, ngx_log_t *log);

/* The same with a reference of its own. */
ngx_int_t ngx_http_delta_list_share(ngx_http_delta_list_t *list,
    ngx_http_delta_event_t *event, ngx_log_t *log);

/* Drops the first one. */
void ngx_http_delta_list_pop(ngx_http_delta_list_t *list);

void ngx_http_delta_list_free(ngx_http_delta_list_t *list);


#endif /* _NGX_HTTP_DELTA_LIST_H_INCLUDED_ */
