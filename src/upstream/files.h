
/*
 * Copyright (C) Delta contributors
 *
 * Uploads, each a file of --files whose name is an id of ours.  What a client
 * says about their type counts for nothing: images are known by their first
 * bytes, all else is served for downloading only.
 */

#ifndef _UPSTREAM_FILES_H_INCLUDED_
#define _UPSTREAM_FILES_H_INCLUDED_


#include "upstream.h"


/* "image/png" and the like, or NULL if it is no image that is shown. */
const char *files_image(const char *data, size_t len);

/* Writes the body as that file: 0 or the status of the answer. */
int files_write(upstream_request_t *r, const char *name);

/* The file is gone with the commit. */
void files_remove(upstream_request_t *r, const char *name);

/* The file as the answer; returns the status. */
int files_answer(upstream_request_t *r, const char *name);

/* After the transaction. */
void files_settle(upstream_request_t *r, int committed);


#endif /* _UPSTREAM_FILES_H_INCLUDED_ */
