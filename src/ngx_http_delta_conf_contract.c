
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_conf.h"
#include "ngx_http_delta_contract.h"


static char *ngx_http_delta_conf_contract_read(ngx_conf_t *cf,
    ngx_http_delta_contract_t *contract);
static char *ngx_http_delta_conf_contract_load(ngx_conf_t *cf,
    ngx_http_delta_contract_t *contract, u_char *text, size_t n);
static void ngx_http_delta_conf_contract_free(void *data);


char *
ngx_http_delta_conf_contracts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_delta_contract_t   *contract;
    ngx_http_delta_main_conf_t  *mcf = conf;

    if (mcf->contract) {
        return "is duplicate";
    }

    contract = ngx_pcalloc(cf->pool, sizeof(ngx_http_delta_contract_t));
    if (contract == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "unknown=drop") == 0) {
            contract->drop = 1;

        } else if (ngx_strcmp(value[2].data, "unknown=pass") != 0) {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[2],
                       "it takes unknown=pass or unknown=drop");
        }
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    contract->file = value[1];
    mcf->contract = contract;

    return ngx_http_delta_conf_contract_read(cf, contract);
}


static char *
ngx_http_delta_conf_contract_read(ngx_conf_t *cf,
    ngx_http_delta_contract_t *contract)
{
    char             *rv;
    u_char           *text;
    size_t            size;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_err_t         err;
    ngx_file_info_t   fi;

    err = 0;
    text = NULL;
    rv = NGX_CONF_ERROR;

    fd = ngx_open_file(contract->file.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        err = ngx_errno;
        goto failed;
    }

    size = ngx_file_size(&fi);

    if (!ngx_is_file(&fi) || size > DELTA_CONTRACT_TEXT) {
        goto failed;
    }

    text = ngx_alloc(size + 1, cf->log);
    n = text ? ngx_read_fd(fd, text, size) : -1;

    if (n < 0) {
        err = ngx_errno;
        goto failed;
    }

    rv = ngx_http_delta_conf_contract_load(cf, contract, text, n);
    goto done;

failed:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                       "cannot read the contract \"%V\"%s", &contract->file,
                       err ? "" : ", it is not a file of at most 4 MB");

done:

    if (text) {
        ngx_free(text);
    }

    if (fd != NGX_INVALID_FILE) {
        ngx_close_file(fd);
    }

    return rv;
}


static char *
ngx_http_delta_conf_contract_load(ngx_conf_t *cf,
    ngx_http_delta_contract_t *contract, u_char *text, size_t n)
{
    ngx_pool_cleanup_t      *cln;
    delta_contract_error_t   error;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    contract->compiled = delta_contract_load((char *) text, n, &error);

    if (contract->compiled == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "cannot use the contract \"%V\": %s%s%s",
                           &contract->file, error.pointer,
                           error.pointer[0] ? ": " : "", error.text);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_delta_conf_contract_free;
    cln->data = contract->compiled;

    while (delta_contract_event(contract->compiled, contract->n)) {
        contract->n++;
    }

    return ngx_http_delta_contract_zone(cf, contract) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static void
ngx_http_delta_conf_contract_free(void *data)
{
    delta_contract_free(data);
}
