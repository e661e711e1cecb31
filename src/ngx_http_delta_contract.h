
/*
 * Copyright (C) Delta contributors
 *
 * delta_contracts: what may be forwarded.  Each event that comes from Redis,
 * live or out of a log, is parsed here, once per worker, and held against the
 * contract, if there is one.  Events on control channels go to no client and
 * need no contract.
 */

#ifndef _NGX_HTTP_DELTA_CONTRACT_H_INCLUDED_
#define _NGX_HTTP_DELTA_CONTRACT_H_INCLUDED_


#include "ngx_http_delta.h"
#include "core/delta_contract.h"


typedef struct ngx_http_delta_types_s  ngx_http_delta_types_t;

/* The delta_contracts of a configuration. */
struct ngx_http_delta_contract_s {
    ngx_str_t                    file;
    delta_contract_t            *compiled;
    ngx_uint_t                   n;         /* types */
    ngx_uint_t                   drop;      /* unknown=drop */
    ngx_http_delta_types_t      *types;     /* in shared memory */
    ngx_uint_t                  *rows;      /* there, by the event's index */
};


/* Why an event is refused: where fault.pointer begins, and the counter. */
typedef struct {
    const delta_contract_event_t  *event;   /* NULL: of an unknown type */
    const char                    *where;
    delta_contract_fault_t         fault;
    ngx_uint_t                     metric;
} ngx_http_delta_refusal_t;


/*
 * NGX_OK: content points into json and may be forwarded.  NGX_DECLINED: it
 * may not, content is empty; counted, and logged once a minute and type,
 * unless quiet.
 */
ngx_int_t ngx_http_delta_contract_parse(ngx_http_delta_channel_t *channel,
    const delta_str_t *json, delta_event_t *content, ngx_uint_t quiet);

/* Counts and logs what is not even a message with an event. */
void ngx_http_delta_contract_reject(ngx_http_delta_channel_t *channel);

/*
 * Whether clients may see it: NGX_OK, with refusal->event set, or
 * NGX_DECLINED, with all of it.
 */
ngx_int_t ngx_http_delta_contract_check(ngx_http_delta_main_conf_t *mcf,
    const delta_event_t *content, ngx_http_delta_refusal_t *refusal);

/* How several events of that type become fewer. */
delta_merge_rule_t ngx_http_delta_contract_rule(
    ngx_http_delta_main_conf_t *mcf, delta_str_t type);

/* The zone of the counters by type; NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_delta_contract_zone(ngx_conf_t *cf,
    ngx_http_delta_contract_t *contract);

/* When each type was last complained of, for a worker; NULL: no memory. */
ngx_msec_t *ngx_http_delta_contract_complaints(ngx_cycle_t *cycle,
    ngx_http_delta_main_conf_t *mcf);

/* For delta_metrics: at most that many bytes, and the text. */
size_t ngx_http_delta_contract_metrics_size(ngx_http_delta_main_conf_t *mcf);
u_char *ngx_http_delta_contract_metrics(u_char *p,
    ngx_http_delta_main_conf_t *mcf);


#endif /* _NGX_HTTP_DELTA_CONTRACT_H_INCLUDED_ */
