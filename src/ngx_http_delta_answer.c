
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_answer.h"


#define NGX_HTTP_DELTA_ANSWER_FIRST  4096   /* pools give back only this size */


static ngx_int_t ngx_http_delta_answer_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static void ngx_http_delta_answer_keep(ngx_http_delta_answer_t *answer,
    ngx_buf_t *b);


static ngx_http_output_body_filter_pt  ngx_http_delta_answer_next_body_filter;


void
ngx_http_delta_answer_init(void)
{
    ngx_http_delta_answer_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_delta_answer_body_filter;
}


ngx_http_delta_answer_t *
ngx_http_delta_answer_ask(ngx_http_request_t *r, ngx_str_t *uri,
    ngx_str_t *args, size_t max, ngx_http_post_subrequest_pt handler,
    void *data)
{
    ngx_http_request_t          *sr;
    ngx_http_delta_ctx_t        *ctx;
    ngx_http_request_body_t     *body;
    ngx_http_delta_answer_t     *answer;
    ngx_http_post_subrequest_t  *ps;

    ctx = ngx_http_get_module_ctx(r, ngx_http_delta_module);
    answer = ngx_pcalloc(r->pool, sizeof(ngx_http_delta_answer_t));
    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    body = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));

    if (answer == NULL || ps == NULL || body == NULL) {
        return NULL;
    }

    ps->handler = handler;
    ps->data = data;

    if (ngx_http_subrequest(r, uri, args, &sr, ps, NGX_HTTP_SUBREQUEST_WAITED)
        != NGX_OK)
    {
        return NULL;
    }

    /* a body that the client has sent is none of the application's */

    sr->request_body = body;

    answer->request = sr;
    answer->max = max;
    ctx->answer = answer;

    return answer;
}


static ngx_int_t
ngx_http_delta_answer_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_delta_ctx_t      *ctx;
    ngx_http_delta_answer_t   *answer;
    ngx_http_core_loc_conf_t  *clcf;

    ctx = r == r->main ? NULL
                       : ngx_http_get_module_ctx(r->main,
                                                 ngx_http_delta_module);
    answer = ctx ? ctx->answer : NULL;

    if (answer == NULL || answer->request != r) {
        return ngx_http_delta_answer_next_body_filter(r, in);
    }

    if (answer->max == 0) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        answer->max = clcf->subrequest_output_buffer_size;
    }

    for (/* void */; in; in = in->next) {

        if (!ngx_buf_special(in->buf)) {
            ngx_http_delta_answer_keep(answer, in->buf);
        }

        in->buf->pos = in->buf->last;
        in->buf->file_pos = in->buf->file_last;
    }

    return NGX_OK;
}


static void
ngx_http_delta_answer_keep(ngx_http_delta_answer_t *answer, ngx_buf_t *b)
{
    off_t    n;
    size_t   size;
    u_char  *p;

    if (answer->failed) {
        return;
    }

    n = ngx_buf_size(b);

    if (n < 0 || n > (off_t) (answer->max - answer->len)) {
        ngx_http_delta_answer_free(answer);
        answer->large = 1;
        answer->failed = 1;
        return;
    }

    if (answer->len + n > answer->size) {
        size = ngx_max(2 * answer->size,
                       ngx_max(answer->len + (size_t) n,
                               NGX_HTTP_DELTA_ANSWER_FIRST));

        p = ngx_palloc(answer->request->pool, size);
        if (p == NULL) {
            answer->failed = 1;
            return;
        }

        if (answer->data) {
            ngx_memcpy(p, answer->data, answer->len);
            (void) ngx_pfree(answer->request->pool, answer->data);
        }

        answer->data = p;
        answer->size = size;
    }

    p = answer->data + answer->len;

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(p, b->pos, n);

    } else if (ngx_read_file(b->file, p, n, b->file_pos) != n) {
        answer->failed = 1;
        return;
    }

    answer->len += n;
}


void
ngx_http_delta_answer_free(ngx_http_delta_answer_t *answer)
{
    if (answer->data) {
        (void) ngx_pfree(answer->request->pool, answer->data);
    }

    answer->data = NULL;
    answer->len = 0;
    answer->size = 0;
}
