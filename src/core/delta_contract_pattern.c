
/*
 * Copyright (C) Delta contributors
 */

#include "delta_contract_node.h"


#define ID  "[A-Za-z0-9._~@|+-]{1,128}"


typedef int (*delta_contract_class_t)(char c);


typedef struct {
    const char                *text;
    delta_contract_pattern_t   match;
} delta_contract_known_t;


static int delta_contract_id(const char *p, const char *end);
static int delta_contract_entity(const char *p, const char *end);
static int delta_contract_channel(const char *p, const char *end);
static int delta_contract_time(const char *p, const char *end);
static int delta_contract_cursor(const char *p, const char *end);
static int delta_contract_word(const char *p, const char *end);
static int delta_contract_media(const char *p, const char *end);
static const char *delta_contract_run(delta_contract_class_t class,
    const char *p, const char *end, ptrdiff_t max);
static int delta_contract_is_digit(char c);
static int delta_contract_is_id(char c);
static int delta_contract_is_word(char c);
static int delta_contract_is_media(char c);


static const delta_contract_known_t  delta_contract_patterns[] = {
    { "^" ID "$", delta_contract_id },
    { "^" ID "(/" ID ")?$", delta_contract_entity },
    { "^" ID "(:" ID ")*$", delta_contract_channel },
    { "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
      "([.][0-9]{1,9})?Z$", delta_contract_time },
    { "^[0-9]{1,20}[.][0-9]{1,20}$", delta_contract_cursor },
    { "^[a-z0-9_.]{1,64}$", delta_contract_word },
    { "^[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}$", delta_contract_media },
    { NULL, NULL }
};


delta_contract_pattern_t
delta_contract_pattern(const char *text)
{
    const delta_contract_known_t  *known;

    for (known = delta_contract_patterns; known->text; known++) {

        if (strcmp(known->text, text) == 0) {
            break;
        }
    }

    return known->match;
}


static int
delta_contract_id(const char *p, const char *end)
{
    return delta_contract_run(delta_contract_is_id, p, end, 128) == end;
}


static int
delta_contract_entity(const char *p, const char *end)
{
    p = delta_contract_run(delta_contract_is_id, p, end, 128);

    if (p && p < end && *p == '/') {
        p = delta_contract_run(delta_contract_is_id, p + 1, end, 128);
    }

    return p == end;
}


static int
delta_contract_channel(const char *p, const char *end)
{
    for ( ;; ) {
        p = delta_contract_run(delta_contract_is_id, p, end, 128);

        if (p == NULL || p == end || *p != ':') {
            return p == end;
        }

        p++;
    }
}


static int
delta_contract_time(const char *p, const char *end)
{
    size_t             i;
    static const char  form[] = "0000-00-00T00:00:00";

    if (end - p < (ptrdiff_t) sizeof(form)) {
        return 0;
    }

    for (i = 0; i < sizeof(form) - 1; i++, p++) {

        if (form[i] == '0' ? !delta_contract_is_digit(*p) : *p != form[i]) {
            return 0;
        }
    }

    if (*p == '.') {
        p = delta_contract_run(delta_contract_is_digit, p + 1, end, 9);
    }

    return p && end - p == 1 && *p == 'Z';
}


static int
delta_contract_cursor(const char *p, const char *end)
{
    p = delta_contract_run(delta_contract_is_digit, p, end, 20);

    return p && p < end && *p == '.'
           && delta_contract_run(delta_contract_is_digit, p + 1, end, 20)
              == end;
}


static int
delta_contract_word(const char *p, const char *end)
{
    return delta_contract_run(delta_contract_is_word, p, end, 64) == end;
}


static int
delta_contract_media(const char *p, const char *end)
{
    p = delta_contract_run(delta_contract_is_media, p, end, 64);

    return p && p < end && *p == '/'
           && delta_contract_run(delta_contract_is_media, p + 1, end, 64)
              == end;
}


/* Behind 1 to max characters of the class, or NULL. */

static const char *
delta_contract_run(delta_contract_class_t class, const char *p,
    const char *end, ptrdiff_t max)
{
    const char  *start;

    for (start = p; p < end && p - start < max && class(*p); p++) {
        /* void */
    }

    return p > start ? p : NULL;
}


static int
delta_contract_is_digit(char c)
{
    return c >= '0' && c <= '9';
}


static int
delta_contract_is_id(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || delta_contract_is_digit(c)
           || (c && strchr("._~@|+-", c) != NULL);
}


static int
delta_contract_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || delta_contract_is_digit(c) || c == '_'
           || c == '.';
}


static int
delta_contract_is_media(char c)
{
    return (c >= 'a' && c <= 'z') || delta_contract_is_digit(c) || c == '.'
           || c == '+' || c == '-';
}
