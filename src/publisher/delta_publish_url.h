
/*
 * Copyright (C) Delta contributors
 *
 * Where Redis is, and what its errors mean: the part of the publisher that
 * needs no network.
 */

#ifndef _DELTA_PUBLISH_URL_H_INCLUDED_
#define _DELTA_PUBLISH_URL_H_INCLUDED_


#include "delta.h"


#define DELTA_PUBLISH_URL_TEXT  256     /* bytes of each part, with the NUL */


/* Each part is terminated by a NUL, and empty if it was not given. */
typedef struct {
    char  host[DELTA_PUBLISH_URL_TEXT];
    char  path[DELTA_PUBLISH_URL_TEXT];     /* of a socket; host is empty */
    char  user[DELTA_PUBLISH_URL_TEXT];
    char  password[DELTA_PUBLISH_URL_TEXT];
    char  db[16];
    int   port;
} delta_publish_url_t;


/*
 * redis://[[user]:password@]host[:port][/db] with percent-encoding in user
 * and password and [brackets] around an IPv6 address, or unix:/path.
 * Returns NULL, or a sentence that says what is wrong with it.
 */
const char *delta_publish_url_parse(delta_publish_url_t *url,
    const char *text);

/*
 * What an error reply of Redis means for one and the same event: 1 that it
 * may pass later (Redis is loading, full, read-only, without the function),
 * 0 that it never will.
 */
int delta_publish_retryable(const char *error);


#endif /* _DELTA_PUBLISH_URL_H_INCLUDED_ */
