
/*
 * Copyright (C) Delta contributors
 */

#ifndef _UPSTREAM_ROUTER_H_INCLUDED_
#define _UPSTREAM_ROUTER_H_INCLUDED_


#include "upstream.h"


/*
 * The first route whose method and pattern fit; HEAD is served as GET.  A
 * {parameter} takes one path segment that, percent-decoded, is a segment of a
 * channel name, since it becomes one; its text goes into r->params in order.
 * {emoji} takes any text without control characters.
 * Returns NULL and the status 404, or 405 with r->allow set.
 */
const upstream_route_t *upstream_route(upstream_request_t *r,
    const char *method, const char *path, int *status);

/* Percent-decodes into out, which ends with a NUL: its bytes, or -1. */
int upstream_unescape(char *out, size_t size, const char *p, size_t n);


#endif /* _UPSTREAM_ROUTER_H_INCLUDED_ */
