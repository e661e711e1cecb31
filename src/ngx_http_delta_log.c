
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_log.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"


static void ngx_http_delta_log_range(ngx_http_delta_reading_t *reading);
static void ngx_http_delta_log_page(void *data, redisReply *reply);
static ngx_int_t ngx_http_delta_log_entries(
    ngx_http_delta_reading_t *reading, redisReply *entries);
static ngx_int_t ngx_http_delta_log_prove(ngx_http_delta_reading_t *reading,
    redisReply *reply);


ngx_http_delta_reading_t *
ngx_http_delta_log_read(ngx_http_delta_channel_t *channel,
    const delta_position_t *after, ngx_uint_t exact, ngx_uint_t backwards,
    const ngx_http_delta_reader_t *reader, void *data)
{
    ngx_http_delta_reading_t  *reading;

    reading = ngx_calloc(sizeof(ngx_http_delta_reading_t)
                         + channel->sn.str.len, channel->hub->worker->log);
    if (reading == NULL) {
        return NULL;
    }

    reading->hub = channel->hub;
    reading->name.data = (u_char *) (reading + 1);
    reading->name.len = channel->sn.str.len;
    ngx_memcpy(reading->name.data, channel->sn.str.data, reading->name.len);
    reading->after = *after;
    reading->next = *after;
    reading->keep = channel->keep;
    reading->steps = channel->hub->steps;
    reading->epoch = channel->hub->epoch;
    reading->exact = exact;
    reading->backwards = backwards;
    reading->reader = reader;
    reading->data = data;

    ngx_http_delta_metric(channel->hub->worker, LOG_READS, 1);
    ngx_http_delta_log_range(reading);

    if (reading->failed) {
        ngx_free(reading);
        return NULL;
    }

    return reading;
}


/*
 * delta_log answers the epoch, the id that the channel had last, also if its
 * log is gone, and the entries.
 */

static void
ngx_http_delta_log_range(ngx_http_delta_reading_t *reading)
{
    u_char      key[600], once[600], count[NGX_INT_T_LEN];
    u_char      from[DELTA_POSITION_LEN + 1], to[DELTA_POSITION_LEN];
    ngx_str_t   argv[10];
    ngx_uint_t  inclusive;

    ngx_str_set(&argv[0], "FCALL_RO");
    ngx_str_set(&argv[1], "delta_log");
    ngx_str_set(&argv[2], "3");
    argv[3].data = key;
    argv[3].len = ngx_snprintf(key, sizeof(key), "delta:{%V}", &reading->name)
                  - key;
    argv[4].data = once;
    argv[4].len = ngx_snprintf(once, sizeof(once), "%V:once", &argv[3]) - once;
    ngx_str_set(&argv[5], "delta:epoch");

    /* an exact place's own entry must be there */

    inclusive = reading->exact && !reading->begun;

    from[0] = '(';
    argv[7].data = from + inclusive;
    argv[7].len = delta_position_format((char *) from + 1, reading->next)
                  + 1 - inclusive;

    if (reading->backwards) {
        ngx_str_set(&argv[6], "XREVRANGE");

        if (!reading->begun) {
            ngx_str_set(&argv[7], "+");
        }

        argv[8].data = to;
        argv[8].len = delta_position_format((char *) to, reading->after);

    } else {
        ngx_str_set(&argv[6], "XRANGE");
        ngx_str_set(&argv[8], "+");
    }

    argv[9].data = count;
    argv[9].len = ngx_sprintf(count, "%d", NGX_HTTP_DELTA_LOG_PAGE) - count;

    if (ngx_http_delta_redis_command(&reading->hub->command,
                                     ngx_http_delta_log_page, reading, 10,
                                     argv)
        != NGX_OK)
    {
        reading->failed = 1;
    }
}


static void
ngx_http_delta_log_page(void *data, redisReply *reply)
{
    ngx_int_t                  rc;
    ngx_uint_t                 first;
    ngx_http_delta_reading_t  *reading = data;

    if (reading->data == NULL) {
        ngx_free(reading);
        return;
    }

    rc = NGX_ERROR;

    if (reply == NULL) {
        goto done;
    }

    first = !reading->begun;
    reading->begun = 1;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING
        || reply->element[2]->type != REDIS_REPLY_ARRAY)
    {
        ngx_log_error(NGX_LOG_ERR, reading->hub->worker->log, 0,
                      "delta: the log of \"%V\" cannot be read: %*s",
                      &reading->name,
                      (size_t) (reply->str ? ngx_min(reply->len, 200) : 0),
                      reply->str);

        reading->reader->gap(reading->data);
        rc = NGX_OK;
        goto done;
    }

    if (!reading->backwards && first
        && ngx_http_delta_log_prove(reading, reply) != NGX_OK)
    {
        reading->reader->gap(reading->data);
    }

    rc = ngx_http_delta_log_entries(reading, reply->element[2]);

    if (rc == NGX_AGAIN) {
        ngx_http_delta_log_range(reading);

        if (!reading->failed) {
            return;
        }

        rc = NGX_ERROR;

    } else if (rc == NGX_OK && reading->backwards
               && ngx_http_delta_log_prove(reading, reply) != NGX_OK)
    {
        reading->reader->gap(reading->data);
    }

    rc = (rc == NGX_DONE) ? NGX_OK : rc;

done:

    reading->reader->done(reading->data, rc);

    ngx_free(reading);
}


/* NGX_AGAIN: there may be more; NGX_DONE: the reader has enough. */

static ngx_int_t
ngx_http_delta_log_entries(ngx_http_delta_reading_t *reading,
    redisReply *entries)
{
    size_t            i;
    delta_str_t       json;
    delta_position_t  id, previous, begin;

    begin = reading->next;

    for (i = 0; i < entries->elements; i++) {

        if (ngx_http_delta_log_entry(entries->element[i], &id, &previous,
                                     &json)
            != NGX_OK)
        {
            /* not ours, but the next page is not this one again */

            if (id.ms || id.seq) {
                reading->next = id;
            }

            continue;
        }

        reading->next = id;

        if (reading->backwards) {
            reading->oldest = id;
            reading->before = previous;
        }

        if (delta_position_compare(id, reading->after) > 0
            && reading->reader->entry(reading->data, &id, &previous, &json)
               != NGX_OK)
        {
            return NGX_DONE;
        }
    }

    if (entries->elements != NGX_HTTP_DELTA_LOG_PAGE) {
        return NGX_OK;
    }

    /* a page of nothing that we know: the next one would be the same */

    if (delta_position_compare(begin, reading->next) == 0) {
        reading->reader->gap(reading->data);
        return NGX_DONE;
    }

    return NGX_AGAIN;
}


/*
 * Nothing is missing between what is known and the oldest new entry: an exact
 * position is proven by its own entry; a time, by an entry behind it that
 * names one before it.
 */

static ngx_int_t
ngx_http_delta_log_prove(ngx_http_delta_reading_t *reading, redisReply *reply)
{
    off_t                  epoch;
    delta_str_t            json;
    delta_position_t       id, previous, last;
    ngx_http_delta_hub_t  *hub;

    hub = reading->hub;

    id = reading->oldest;
    previous = reading->before;

    if (!reading->backwards && reply->element[2]->elements
        && ngx_http_delta_log_entry(reply->element[2]->element[0], &id,
                                    &previous, &json)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (delta_position_parse(&last, reply->element[1]->str,
                             reply->element[1]->len)
        != 0)
    {
        last.ms = 0;
        last.seq = 0;
    }

    if (reading->exact) {
        return (delta_position_compare(id, reading->after) == 0
                || delta_position_compare(last, reading->after) == 0)
               ? NGX_OK : NGX_ERROR;
    }

    epoch = ngx_atoof((u_char *) reply->element[0]->str,
                      reply->element[0]->len);

    if (reading->steps != hub->steps
        || (reading->epoch && (off_t) reading->epoch != epoch))
    {
        /* the clock was set back, or the logs are not those of before */
        return NGX_ERROR;
    }

    return ngx_http_delta_log_follows(hub, &reading->after, reading->keep,
                                      &id, &previous, &last);
}


ngx_int_t
ngx_http_delta_log_follows(ngx_http_delta_hub_t *hub,
    const delta_position_t *after, uint64_t keep, const delta_position_t *id,
    const delta_position_t *previous, const delta_position_t *last)
{
    /* an empty log, or one that begins anew */

    if (previous->ms == 0 && previous->seq == 0) {

        if (id->ms == 0 && id->seq == 0 && (last->ms || last->seq)) {
            return delta_position_compare(*last, *after) <= 0
                   ? NGX_OK : NGX_ERROR;
        }

        return (!hub->forgetful && hub->heard_at
                && after->ms + keep > hub->heard_at)
               ? NGX_OK : NGX_ERROR;
    }

    return delta_position_compare(*previous, *after) <= 0 ? NGX_OK
                                                          : NGX_ERROR;
}


/* [id, ["p", previous, "e", event]] */

ngx_int_t
ngx_http_delta_log_entry(redisReply *entry, delta_position_t *id,
    delta_position_t *previous, delta_str_t *json)
{
    size_t       i;
    redisReply  *fields, *name, *value;

    json->data = NULL;
    id->ms = 0;
    id->seq = 0;
    previous->ms = 0;
    previous->seq = 0;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
        || entry->element[0]->type != REDIS_REPLY_STRING
        || entry->element[1]->type != REDIS_REPLY_ARRAY
        || delta_position_parse(id, entry->element[0]->str,
                                entry->element[0]->len)
           != 0)
    {
        return NGX_ERROR;
    }

    fields = entry->element[1];

    for (i = 0; i + 1 < fields->elements; i += 2) {
        name = fields->element[i];
        value = fields->element[i + 1];

        if (name->type != REDIS_REPLY_STRING || name->len != 1
            || value->type != REDIS_REPLY_STRING)
        {
            continue;
        }

        if (name->str[0] == 'p'
            && delta_position_parse(previous, value->str, value->len) != 0)
        {
            return NGX_ERROR;
        }

        if (name->str[0] == 'e') {
            json->data = value->str;
            json->len = value->len;
        }
    }

    return json->data ? NGX_OK : NGX_ERROR;
}
