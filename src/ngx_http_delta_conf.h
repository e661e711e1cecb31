
/*
 * Copyright (C) Delta contributors
 *
 * Reading the directives: every mistake is told with what to do instead.
 */

#ifndef _NGX_HTTP_DELTA_CONF_H_INCLUDED_
#define _NGX_HTTP_DELTA_CONF_H_INCLUDED_


#include "ngx_http_delta.h"


/* Setters of directives, as ngx_command_t wants them. */
char *ngx_http_delta_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_channel(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_contracts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_jwt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_delta_conf_key_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_user(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_gateway(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_publish(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_health(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_snapshot(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_subscribe(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_membership(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_envelope(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_backfill(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_heartbeat(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_drain(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_resume(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_presence(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_queue(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_delta_conf_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Fills text with what stands behind "key=" and returns it, or NULL. */
ngx_str_t *ngx_http_delta_conf_param(ngx_str_t *value, const char *key,
    ngx_str_t *text);

/* Reads a number above 0 behind the first skip bytes, or complains. */
char *ngx_http_delta_conf_number(ngx_conf_t *cf, ngx_str_t *value,
    size_t skip, ngx_uint_t *number);

/* Post handler of sizes that are allocated: bounds them. */
char *ngx_http_delta_conf_size(ngx_conf_t *cf, void *post, void *data);

/* Complains of a parameter; hint says what the directive takes. */
char *ngx_http_delta_conf_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value, const char *hint);

/*
 * Complains of a parameter that is given twice: "key=" with any value, or the
 * same word.  They begin at that argument.
 */
char *ngx_http_delta_conf_once(ngx_conf_t *cf, ngx_uint_t first);

/* Merges delta_presence and delta_resume. */
void ngx_http_delta_conf_presence_merge(ngx_http_delta_loc_conf_t *prev,
    ngx_http_delta_loc_conf_t *conf);

/* What presence needs of the other directives of its gateway. */
char *ngx_http_delta_conf_presence_check(ngx_conf_t *cf,
    ngx_http_delta_loc_conf_t *conf);

/* The file:line that is being read; NULL data: out of memory. */
ngx_str_t ngx_http_delta_conf_place(ngx_conf_t *cf);

/* An "if" without a handler of its own keeps that of the location. */
void ngx_http_delta_conf_if(ngx_conf_t *cf, ngx_http_delta_loc_conf_t *prev,
    ngx_http_delta_loc_conf_t *conf);

/* Inherits delta_membership; complains of one that has nothing to ask for. */
char *ngx_http_delta_conf_sets(ngx_conf_t *cf, ngx_http_delta_loc_conf_t *prev,
    ngx_http_delta_loc_conf_t *conf);

/* What a merged location lacks, or has too much. */
char *ngx_http_delta_conf_check(ngx_conf_t *cf,
    ngx_http_delta_loc_conf_t *conf);

/* Builds the function library's text with the retention of delta_channel. */
ngx_int_t ngx_http_delta_conf_library(ngx_conf_t *cf,
    ngx_http_delta_main_conf_t *mcf);

/*
 * Warns of a worker_shutdown_timeout that leaves no time for goodbye; not
 * earlier than init module, for it may stand behind "http".
 */
ngx_int_t ngx_http_delta_conf_shutdown(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_DELTA_CONF_H_INCLUDED_ */
