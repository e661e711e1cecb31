
/*
 * Copyright (C) Delta contributors
 *
 * Reading the logs of channels, and what Redis can prove about them: its time
 * as it comes back through pub/sub, whether it has been set back, and whether
 * it may forget.
 */

#ifndef _NGX_HTTP_DELTA_LOG_H_INCLUDED_
#define _NGX_HTTP_DELTA_LOG_H_INCLUDED_


#include "ngx_http_delta.h"


#define NGX_HTTP_DELTA_LOG_PAGE  256        /* entries per XRANGE */


/* Who wants to know; data is the reader's own. */
typedef struct {
    /*
     * It cannot be proven that none is missing: said before any entry when
     * reading forwards, after the last one when reading backwards.
     */
    void                       (*gap)(void *data);

    /* an event, valid during the call; other than NGX_OK ends the reading */
    ngx_int_t                  (*entry)(void *data,
                                     const delta_position_t *id,
                                     const delta_position_t *previous,
                                     const delta_str_t *json);

    /* the end: NGX_OK, or NGX_ERROR when the link was lost */
    void                       (*done)(void *data, ngx_int_t rc);
} ngx_http_delta_reader_t;

struct ngx_http_delta_reading_s {
    ngx_http_delta_hub_t          *hub;
    ngx_str_t                      name;    /* of the channel, with prefix */
    delta_position_t               after;
    delta_position_t               next;    /* the page goes on behind it */
    delta_position_t               oldest;  /* backwards: what was read, */
    delta_position_t               before;  /* and what it names before it */
    uint64_t                       keep;    /* ms that the log goes back */
    uint64_t                       epoch;   /* of the hub, at the start */
    ngx_uint_t                     steps;   /* the same */
    const ngx_http_delta_reader_t *reader;
    void                          *data;    /* NULL: nobody cares any more */

    unsigned                       exact:1; /* after is an entry of the log */
    unsigned                       backwards:1;
    unsigned                       begun:1;
    unsigned                       failed:1;
};


/*
 * Reads the channel's log behind a position, page by page, backwards from its
 * newest entry if so asked.  exact: the position is an event's, which must
 * still be there; else it is a time.
 * The reading is valid until done() is called, never from inside this call;
 * setting its data to NULL cancels it.  NULL: the link is down.
 */
ngx_http_delta_reading_t *ngx_http_delta_log_read(
    ngx_http_delta_channel_t *channel, const delta_position_t *after,
    ngx_uint_t exact, ngx_uint_t backwards,
    const ngx_http_delta_reader_t *reader, void *data);

/*
 * NGX_OK: nothing is missing behind a time.  id is the first entry behind it,
 * 0-0 if there is none, previous what that names before it, last the id that
 * the channel had last.
 */
ngx_int_t ngx_http_delta_log_follows(ngx_http_delta_hub_t *hub,
    const delta_position_t *after, uint64_t keep, const delta_position_t *id,
    const delta_position_t *previous, const delta_position_t *last);

/* An entry of a log, as delta_log answers it; NGX_ERROR: it is not ours. */
ngx_int_t ngx_http_delta_log_entry(struct redisReply *entry,
    delta_position_t *id, delta_position_t *previous, delta_str_t *json);


#endif /* _NGX_HTTP_DELTA_LOG_H_INCLUDED_ */
