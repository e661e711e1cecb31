
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_log.h"
#include "ngx_http_delta_metrics.h"
#include "ngx_http_delta_redis.h"


static void ngx_http_delta_log_range(ngx_http_delta_reading_t *reading);
static void ngx_http_delta_log_page(void *data, redisReply *reply);
static ngx_int_t ngx_http_delta_log_entries(
    ngx_http_delta_reading_t *reading, redisReply *reply);
static ngx_int_t ngx_http_delta_log_prove(ngx_http_delta_reading_t *reading,
    redisReply *reply);
static ngx_uint_t ngx_http_delta_log_absence(
    ngx_http_delta_reading_t *reading);
static ngx_int_t ngx_http_delta_log_entry(redisReply *entry,
    delta_position_t *id, delta_position_t *previous, delta_str_t *json);


ngx_http_delta_reading_t *
ngx_http_delta_log_read(ngx_http_delta_channel_t *channel,
    const delta_position_t *after, ngx_uint_t exact,
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
    reading->keep = channel->keep;
    reading->steps = channel->hub->steps;
    reading->exact = exact;
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


static void
ngx_http_delta_log_range(ngx_http_delta_reading_t *reading)
{
    u_char      key[600], from[DELTA_POSITION_LEN + 1];
    u_char      count[NGX_INT_T_LEN];
    ngx_str_t   argv[6];
    ngx_uint_t  inclusive;

    ngx_str_set(&argv[0], "XRANGE");
    argv[1].data = key;
    argv[1].len = ngx_snprintf(key, sizeof(key), "delta:{%V}", &reading->name)
                  - key;

    /* the first page begins with the known entry: it must still be there */

    inclusive = reading->exact && !reading->begun;
    from[0] = '(';
    argv[2].data = from + inclusive;
    argv[2].len = delta_position_format((char *) from + 1, reading->after)
                  + 1 - inclusive;

    ngx_str_set(&argv[3], "+");
    ngx_str_set(&argv[4], "COUNT");
    argv[5].data = count;
    argv[5].len = ngx_sprintf(count, "%d", NGX_HTTP_DELTA_LOG_PAGE) - count;

    if (ngx_http_delta_redis_command(&reading->hub->command,
                                     ngx_http_delta_log_page, reading, 6,
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
    ngx_http_delta_reading_t  *reading = data;

    if (reading->data == NULL) {
        ngx_free(reading);
        return;
    }

    rc = NGX_ERROR;

    if (reply == NULL) {
        goto done;
    }

    if (reply->type != REDIS_REPLY_ARRAY) {
        ngx_log_error(NGX_LOG_ERR, reading->hub->worker->log, 0,
                      "delta: the log of \"%V\" cannot be read: %*s",
                      &reading->name,
                      (size_t) (reply->str ? ngx_min(reply->len, 200) : 0),
                      reply->str);
    }

    if (!reading->begun) {
        reading->begun = 1;

        if (ngx_http_delta_log_prove(reading, reply) != NGX_OK) {
            reading->reader->gap(reading->data);
        }
    }

    rc = ngx_http_delta_log_entries(reading, reply);

    if (rc == NGX_AGAIN) {
        ngx_http_delta_log_range(reading);

        if (!reading->failed) {
            return;
        }

        rc = NGX_ERROR;
    }

done:

    reading->reader->done(reading->data, rc);

    ngx_free(reading);
}


/* NGX_AGAIN: there may be more. */

static ngx_int_t
ngx_http_delta_log_entries(ngx_http_delta_reading_t *reading,
    redisReply *reply)
{
    size_t            i;
    delta_str_t       json;
    delta_position_t  id, previous;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return NGX_OK;
    }

    for (i = 0; i < reply->elements; i++) {

        if (ngx_http_delta_log_entry(reply->element[i], &id, &previous,
                                     &json)
            != NGX_OK
            || delta_position_compare(id, reading->after) <= 0)
        {
            continue;
        }

        reading->after = id;

        if (reading->reader->entry(reading->data, &id, &json) != NGX_OK) {
            return NGX_OK;
        }
    }

    return reply->elements == NGX_HTTP_DELTA_LOG_PAGE ? NGX_AGAIN : NGX_OK;
}


/*
 * Nothing is missing between what is known and the page's first new entry: an
 * exact position is proven by its own entry; a time, by an entry behind it
 * that names one before it.
 */

static ngx_int_t
ngx_http_delta_log_prove(ngx_http_delta_reading_t *reading, redisReply *reply)
{
    delta_str_t       json;
    delta_position_t  id, previous;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    if (!reading->exact && reading->steps != reading->hub->steps) {
        /* the time is one of before the clock was set back */
        return NGX_ERROR;
    }

    if (reply->elements == 0) {
        return ngx_http_delta_log_absence(reading) ? NGX_OK : NGX_ERROR;
    }

    if (ngx_http_delta_log_entry(reply->element[0], &id, &previous, &json)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (reading->exact) {
        return delta_position_compare(id, reading->after) == 0 ? NGX_OK
                                                              : NGX_ERROR;
    }

    if (previous.ms == 0 && previous.seq == 0) {
        return ngx_http_delta_log_absence(reading) ? NGX_OK : NGX_ERROR;
    }

    return delta_position_compare(previous, reading->after) <= 0 ? NGX_OK
                                                                : NGX_ERROR;
}


/* Whether an empty log means that there was nothing. */

static ngx_uint_t
ngx_http_delta_log_absence(ngx_http_delta_reading_t *reading)
{
    ngx_http_delta_hub_t  *hub;

    hub = reading->hub;

    return !reading->exact && !hub->forgetful && hub->heard_at
           && reading->after.ms + reading->keep > hub->heard_at;
}


/* [id, ["p", previous, "e", event]] */

static ngx_int_t
ngx_http_delta_log_entry(redisReply *entry, delta_position_t *id,
    delta_position_t *previous, delta_str_t *json)
{
    size_t       i;
    redisReply  *fields, *name, *value;

    json->data = NULL;
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
