
/*
 * Copyright (C) Delta contributors
 *
 * Publishing from a C backend.  A publisher is one blocking connection to
 * Redis that is made when it is first needed, and made again after it broke;
 * it belongs to one thread.  The process must ignore SIGPIPE.  The function
 * library in Redis is the gateway's to load.
 */

#ifndef _DELTA_PUBLISH_H_INCLUDED_
#define _DELTA_PUBLISH_H_INCLUDED_


#include "delta_name.h"


#define DELTA_PUBLISH_ID      64    /* bytes for an id with its NUL */
#define DELTA_PUBLISH_WORDS   8     /* of a command */
#define DELTA_PUBLISH_SECONDS 2     /* to connect, and for one answer */

#define DELTA_PUBLISH_OK         0
#define DELTA_PUBLISH_RETRY     -1  /* the same call may succeed later */
#define DELTA_PUBLISH_PERMANENT -2  /* it never will */


typedef struct delta_publisher_s  delta_publisher_t;


/* A command of a transaction; the words are somebody else's. */
typedef struct {
    int          n;
    const char  *words[DELTA_PUBLISH_WORDS];
    size_t       lens[DELTA_PUBLISH_WORDS];

    char         channel[2 * DELTA_NAME_MAX];
    char         once[DELTA_NAME_SEGMENT + 32];
} delta_publish_call_t;


/*
 * url as in delta_publish_url.h.  prefix (NULL: none) is put before every
 * channel name.  Nothing is connected yet.
 * Returns NULL and a sentence in error (at most size bytes with its NUL) if
 * the url or the prefix is wrong.  The owner frees it.
 */
delta_publisher_t *delta_publisher_create(const char *url, const char *prefix,
    char *error, size_t size);
void delta_publisher_free(delta_publisher_t *p);

/*
 * Publishes an event, {"t":...,"d":{...}}, and writes its id.  With a source
 * (NULL: none) an event whose n is at or below the last one of that source on
 * that channel is not published again, and id is the one stored: after
 * DELTA_PUBLISH_RETRY the same call with the same n is safe, whether or not
 * the first one got through.  Events of one source must come in the order of
 * their n, which is at most 2^53 - 1.
 * Returns DELTA_PUBLISH_*; delta_publisher_error() says why.
 */
int delta_publish(delta_publisher_t *p, const char *channel,
    const char *event, size_t len, const char *source, uint64_t n,
    char id[DELTA_PUBLISH_ID]);

/* Without a log: whoever is not connected never sees it. */
int delta_publish_plain(delta_publisher_t *p, const char *channel,
    const char *event, size_t len);

/*
 * Any other command, of at most 8 words.  number (NULL: the answer is
 * dropped) receives an integer, also one that was stored as a string; 0 for
 * any other answer.
 */
int delta_publisher_command(delta_publisher_t *p, int n, const char **words,
    long long *number);

/*
 * The same with any number of words.  If the answer is an array, take (may be
 * NULL) gets its texts in their order, which live no longer than the call.
 */
typedef void (*delta_publisher_take_pt)(void *data, const char *text,
    size_t len);

int delta_publisher_words(delta_publisher_t *p, int n, const char **words,
    long long *number, delta_publisher_take_pt take, void *data);

/*
 * All of these or, as far as Redis knows beforehand that one of them would
 * fail, none: MULTI, the n commands, EXEC.  The first error decides.
 * delta_publish_call() makes the command of a delta_publish() with the same
 * arguments; call is not to be moved.
 */
int delta_publish_call(delta_publisher_t *p, delta_publish_call_t *call,
    const char *channel, const char *event, size_t len, const char *source,
    uint64_t n);
int delta_publisher_transaction(delta_publisher_t *p,
    const delta_publish_call_t *calls, int n);

/* Of the last call; lives until the next one. */
const char *delta_publisher_error(const delta_publisher_t *p);


#endif /* _DELTA_PUBLISH_H_INCLUDED_ */
