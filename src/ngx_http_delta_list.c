
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_list.h"
#include "ngx_http_delta_event.h"


ngx_int_t
ngx_http_delta_list_push(ngx_http_delta_list_t *list,
    ngx_http_delta_event_t *event, ngx_log_t *log)
{
    ngx_uint_t                size;
    ngx_http_delta_event_t  **events;

    if (list->head + list->count == list->size) {

        if (list->head > list->size / 2) {
            ngx_memmove(list->events, &list->events[list->head],
                        list->count * sizeof(ngx_http_delta_event_t *));
            list->head = 0;

        } else {
            size = list->size ? 2 * list->size : 8;

            events = ngx_alloc(size * sizeof(ngx_http_delta_event_t *), log);
            if (events == NULL) {
                return NGX_ERROR;
            }

            if (list->count) {
                ngx_memcpy(events, &list->events[list->head],
                           list->count * sizeof(ngx_http_delta_event_t *));
            }

            if (list->events) {
                ngx_free(list->events);
            }

            list->events = events;
            list->size = size;
            list->head = 0;
        }
    }

    list->events[list->head + list->count] = event;
    list->count++;
    list->bytes += ngx_http_delta_event_size(event);

    return NGX_OK;
}


ngx_int_t
ngx_http_delta_list_share(ngx_http_delta_list_t *list,
    ngx_http_delta_event_t *event, ngx_log_t *log)
{
    if (ngx_http_delta_list_push(list, event, log) != NGX_OK) {
        return NGX_ERROR;
    }

    event->refs++;

    return NGX_OK;
}


void
ngx_http_delta_list_pop(ngx_http_delta_list_t *list)
{
    ngx_http_delta_event_t  *event;

    event = list->events[list->head];

    list->head++;
    list->count--;
    list->bytes -= ngx_http_delta_event_size(event);

    ngx_http_delta_event_release(event);
}


void
ngx_http_delta_list_free(ngx_http_delta_list_t *list)
{
    while (list->count) {
        ngx_http_delta_list_pop(list);
    }

    if (list->events) {
        ngx_free(list->events);
    }

    ngx_memzero(list, sizeof(ngx_http_delta_list_t));
}
