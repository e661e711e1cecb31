
/*
 * Copyright (C) Delta contributors
 */


#include "ngx_http_delta_conf.h"
#include "core/delta_name.h"


static void ngx_http_delta_conf_own(ngx_http_delta_rule_t *rule);
static char *ngx_http_delta_conf_name(ngx_conf_t *cf, ngx_str_t *text,
    ngx_uint_t pattern, ngx_http_delta_name_t *name);
static void ngx_http_delta_conf_warn(ngx_conf_t *cf,
    ngx_http_delta_rule_t *rule);
static ngx_uint_t ngx_http_delta_conf_client(ngx_conf_t *cf,
    ngx_str_t *text);
static ngx_uint_t ngx_http_delta_conf_group(ngx_conf_t *cf, ngx_str_t *text);
static ngx_uint_t ngx_http_delta_conf_capture(ngx_str_t *text);
static ngx_uint_t ngx_http_delta_conf_uses(ngx_str_t *text, const char *name,
    ngx_uint_t whole);


char *
ngx_http_delta_conf_subscribe(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                       *rv;
    ngx_str_t                  *value, text, from, in;
    ngx_uint_t                  i;
    ngx_http_delta_rule_t      *rule;
    ngx_http_delta_loc_conf_t  *dlcf = conf;

    if (dlcf->rules == NGX_CONF_UNSET_PTR) {
        dlcf->rules = ngx_array_create(cf->pool, 8,
                                       sizeof(ngx_http_delta_rule_t));
        if (dlcf->rules == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (dlcf->rules->nelts == NGX_HTTP_DELTA_MAX_RULES) {
        return "is given more than 32 times at one level";
    }

    if (ngx_http_delta_conf_once(cf, 2) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    rule = ngx_array_push(dlcf->rules);
    if (rule == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(rule, sizeof(ngx_http_delta_rule_t));
    ngx_str_null(&from);
    ngx_str_null(&in);

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "on_request") == 0) {
            rule->on_request = 1;

        } else if (ngx_http_delta_conf_param(&value[i], "from=", &text)) {
            from = text;

        } else if (ngx_http_delta_conf_param(&value[i], "in=", &text)) {
            in = text;

        } else {
            return ngx_http_delta_conf_invalid(cf, cmd, &value[i],
                       "it takes from=set, in=set and on_request");
        }
    }

    if (from.data && in.data) {
        return "cannot have both from= and in=";
    }

    rv = ngx_http_delta_conf_name(cf, &value[1], from.data != NULL,
                                  &rule->channel);

    if (rv == NGX_CONF_OK && from.data) {
        rv = ngx_http_delta_conf_name(cf, &from, 0, &rule->from);
    }

    if (rv == NGX_CONF_OK && in.data) {
        rv = ngx_http_delta_conf_name(cf, &in, 0, &rule->in);
    }

    if (rv == NGX_CONF_OK) {
        ngx_http_delta_conf_own(rule);
        ngx_http_delta_conf_warn(cf, rule);
    }

    return rv;
}


/* A set of the user that delta_membership can ask for, by its last word. */

static void
ngx_http_delta_conf_own(ngx_http_delta_rule_t *rule)
{
    u_char     *p;
    ngx_str_t  *text;

    text = rule->in.text.len ? &rule->in.text : &rule->from.text;

    if (!ngx_http_delta_conf_uses(text, "delta_user", 1)) {
        return;
    }

    for (p = text->data + text->len; p > text->data && p[-1] != ':'; p--) {
        /* void */
    }

    if (ngx_strlchr(p, text->data + text->len, '$') == NULL) {
        rule->member.data = p;
        rule->member.len = text->data + text->len - p;
    }
}


/* What in= checks is the channel's last segment, and nothing but that. */

static void
ngx_http_delta_conf_warn(ngx_conf_t *cf, ngx_http_delta_rule_t *rule)
{
    u_char                 *p;
    ngx_str_t               front;
    ngx_http_delta_name_t  *set;

    set = rule->in.text.len ? &rule->in : &rule->from;

    if (set->client) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the client chooses the set \"%V\" freely, name "
                           "it by what the client cannot choose, such as "
                           "$delta_user", &set->text);
    }

    if (!rule->channel.client) {
        return;
    }

    front = rule->channel.text;

    if (rule->in.text.len == 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the client chooses \"%V\" freely, add in=set to "
                           "check it", &front);
        return;
    }

    for (p = front.data + front.len; p > front.data && p[-1] != ':'; p--) {
        /* void */
    }

    front.len = p - front.data;

    if (ngx_http_delta_conf_client(cf, &front)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the client chooses \"%V\" freely, in= checks the "
                           "last segment of a channel only", &front);
    }
}


/* Splits the text at ":"; each segment becomes a complex value. */

static char *
ngx_http_delta_conf_name(ngx_conf_t *cf, ngx_str_t *text, ngx_uint_t pattern,
    ngx_http_delta_name_t *name)
{
    u_char                            *p, *last, *end;
    ngx_str_t                          segment;
    ngx_uint_t                         stars, literal;
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    name->text = *text;

    if (ngx_array_init(&name->segments, cf->pool, 4,
                       sizeof(ngx_http_complex_value_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_delta_conf_capture(text)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"delta_subscribe\" holds what the "
                           "last regular expression of all matched, give the "
                           "group a name, (?<name>...), and use $name", text);
        return NGX_CONF_ERROR;
    }

    stars = 0;
    last = text->data + text->len;

    for (p = text->data; p <= last; p = end + 1) {

        end = ngx_strlchr(p, last, ':');
        if (end == NULL) {
            end = last;
        }

        segment.data = p;
        segment.len = end - p;

        cv = ngx_array_push(&name->segments);
        if (cv == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));
        ccv.cf = cf;
        ccv.value = &segment;
        ccv.complex_value = cv;

        if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        literal = (cv->lengths == NULL);

        if (!literal) {
            name->variable = 1;
            name->client |= ngx_http_delta_conf_client(cf, &segment);
        }

        if (segment.len == 1 && *p == '*') {
            stars++;

        } else if (literal && !delta_name_segment((char *) p, end - p)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid name \"%V\" in \"delta_subscribe\", "
                               "give segments of [A-Za-z0-9._~@|+-] or "
                               "variables, joined by \":\"", text);
            return NGX_CONF_ERROR;
        }
    }

    if (!name->variable && text->len > DELTA_NAME_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "name \"%V\" in \"delta_subscribe\" is longer than "
                           "256 bytes", text);
        return NGX_CONF_ERROR;
    }

    if (stars != pattern) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, pattern
                           ? "\"%V\" in \"delta_subscribe\" needs exactly one "
                             "segment \"*\" for the ids of from="
                           : "\"%V\" in \"delta_subscribe\" has a \"*\" that "
                             "no from= fills", text);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Whether a variable in the text is the client's to choose. */

static ngx_uint_t
ngx_http_delta_conf_client(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_uint_t          i;
    static const char  *begins[] = { "arg_", "http_", "cookie_" };
    static const char  *names[] = {
        "args", "query_string", "uri", "request_uri", "document_uri",
        "request", "request_body", "request_filename", "content_type",
        "ssl_server_name"
    };

    for (i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {

        if (ngx_http_delta_conf_uses(text, begins[i], 0)) {
            return 1;
        }
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {

        if (ngx_http_delta_conf_uses(text, names[i], 1)) {
            return 1;
        }
    }

    return ngx_http_delta_conf_group(cf, text);
}


/* A named group of the location's regex is a part of the URI. */

static ngx_uint_t
ngx_http_delta_conf_group(ngx_conf_t *cf, ngx_str_t *text)
{
#if (NGX_PCRE)
    u_char                      name[128];
    ngx_str_t                  *group;
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_main_conf_t  *cmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    for (i = 0; clcf->regex && i < clcf->regex->nvariables; i++) {
        v = cmcf->variables.elts;
        group = &v[clcf->regex->variables[i].index].name;

        ngx_cpystrn(name, group->data, ngx_min(group->len + 1, sizeof(name)));

        if (ngx_http_delta_conf_uses(text, (char *) name, 1)) {
            return 1;
        }
    }
#endif

    return 0;
}


/* $1 to $9 are those of whichever regex ran last, also of a map. */

static ngx_uint_t
ngx_http_delta_conf_capture(ngx_str_t *text)
{
    u_char  digit[2];

    digit[1] = '\0';

    for (digit[0] = '1'; digit[0] <= '9'; digit[0]++) {

        if (ngx_http_delta_conf_uses(text, (char *) digit, 0)) {
            return 1;
        }
    }

    return 0;
}


/* Whether the text has that variable, or one whose name so begins. */

static ngx_uint_t
ngx_http_delta_conf_uses(ngx_str_t *text, const char *name, ngx_uint_t whole)
{
    u_char  *p, *last, c;
    size_t   len;

    len = ngx_strlen(name);
    last = text->data + text->len;

    for (p = ngx_strlchr(text->data, last, '$');
         p;
         p = ngx_strlchr(p, last, '$'))
    {
        p++;
        p += (p < last && *p == '{');

        if ((size_t) (last - p) < len
            || ngx_strncasecmp(p, (u_char *) name, len) != 0)
        {
            continue;
        }

        c = (p + len < last) ? p[len] : '\0';

        if (!whole || !(isalnum(c) || c == '_')) {
            return 1;
        }
    }

    return 0;
}


char *
ngx_http_delta_conf_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_http_delta_conf_uses(&value[1], "delta_user", 1)) {
        return "cannot be made of $delta_user, which it sets";
    }

    if (ngx_http_delta_conf_capture(&value[1])) {
        return "cannot be made of $1 to $9, which hold what the last regular "
               "expression of all matched: give the group a name, "
               "(?<name>...), and use $name";
    }

    if (ngx_http_delta_conf_uses(&value[1], "upstream_http_", 0)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"delta_user %V\" is the header of whichever "
                           "upstream answered last, take it over with "
                           "auth_request_set first", &value[1]);
    }

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}
