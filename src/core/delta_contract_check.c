
/*
 * Copyright (C) Delta contributors
 */

#include "delta_contract_node.h"
#include "delta_json_text.h"


#define DELTA_CONTRACT_TEXT_MAX   512       /* of what a pattern matches */
#define DELTA_CONTRACT_SAFE       9007199254740991


typedef struct {
    const delta_contract_t   *contract;
    const char               *what;
    char                     *pointer;      /* written from its end */
    char                     *at;
    unsigned                  cut;
    unsigned                  secret;       /* it is privileged */
} delta_contract_scan_t;


static int delta_contract_value(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value);
static int delta_contract_object(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value);
static int delta_contract_missing(delta_contract_scan_t *s,
    const delta_contract_node_t *node, uint64_t missing);
static int delta_contract_member(const delta_contract_node_t *node,
    unsigned expected, delta_str_t name);
static int delta_contract_array(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value);
static int delta_contract_open(delta_contract_scan_t *s,
    const delta_json_t *value);
static int delta_contract_number(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value);
static int delta_contract_string(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value);
static int delta_contract_length(delta_contract_scan_t *s,
    const delta_contract_node_t *node, delta_str_t text);
static int delta_contract_text(delta_str_t *text, char *buf, size_t size);
static int delta_contract_fail(delta_contract_scan_t *s, const char *what);
static void delta_contract_under(delta_contract_scan_t *s, delta_str_t name);
static void delta_contract_under_item(delta_contract_scan_t *s, size_t i);
static void delta_contract_put(delta_contract_scan_t *s, const char *p,
    size_t n);


int
delta_contract_check(const delta_contract_t *contract,
    const delta_event_t *event, delta_contract_fault_t *fault)
{
    const delta_contract_event_t  *found;

    found = delta_contract_find(contract, event->t);

    if (found == NULL) {
        return DELTA_CONTRACT_EUNKNOWN;
    }

    return delta_contract_validate(contract, found, event->d, fault);
}


int
delta_contract_validate(const delta_contract_t *contract,
    const delta_contract_event_t *event, delta_str_t d,
    delta_contract_fault_t *fault)
{
    delta_json_t           value;
    delta_contract_scan_t  s;

    s.contract = contract;
    s.pointer = fault->pointer;
    s.at = fault->pointer + DELTA_CONTRACT_POINTER;
    s.cut = 0;
    s.secret = 0;

    delta_contract_put(&s, "", 1);

    value.type = DELTA_JSON_OBJECT;
    value.raw = d;

    if ((event ? delta_contract_value(&s, event->d, &value)
               : delta_contract_open(&s, &value))
        == 0)
    {
        return 1;
    }

    if (s.cut) {
        s.at -= 3;
        memcpy(s.at, "...", 3);
    }

    memmove(s.pointer, s.at, s.pointer + DELTA_CONTRACT_POINTER - s.at);
    fault->what = s.what;

    return s.secret ? DELTA_CONTRACT_EPRIVILEGED : DELTA_CONTRACT_EINVALID;
}


static int
delta_contract_value(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value)
{
    if (!(node->types & delta_contract_bit(value->type))) {
        return delta_contract_fail(s, "has the wrong type");
    }

    switch (value->type) {

    case DELTA_JSON_OBJECT:
        return delta_contract_object(s, node, value);

    case DELTA_JSON_ARRAY:
        return delta_contract_array(s, node, value);

    case DELTA_JSON_STRING:
        return delta_contract_string(s, node, value);

    case DELTA_JSON_NUMBER:
        return delta_contract_number(s, node, value);

    default:
        return 0;
    }
}


static int
delta_contract_object(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value)
{
    int            i, rc, next;
    char           buf[DELTA_CONTRACT_NAME];
    size_t         pos;
    uint64_t       seen;
    delta_str_t    name;
    delta_json_t   member;

    pos = 0;
    seen = 0;
    next = 0;

    while (delta_json_next(value, &pos, &name, &member)) {
        i = delta_contract_text(&name, buf, sizeof(buf))
            ? delta_contract_member(node, next, name) : -1;

        if (i >= 0) {
            next = i + 1;

            rc = seen & (uint64_t) 1 << i
                 ? delta_contract_fail(s, "comes twice")
                 : delta_contract_value(s, node->members[i].value, &member);

            seen |= (uint64_t) 1 << i;

        } else if (node->closed) {
            s->secret = delta_contract_privileged(s->contract, name);
            rc = delta_contract_fail(s, "is not in the contract");

        } else if (delta_contract_privileged(s->contract, name)) {
            s->secret = 1;
            rc = delta_contract_fail(s, "is privileged");

        } else {
            rc = delta_contract_open(s, &member);
        }

        if (rc != 0) {
            delta_contract_under(s, name);
            return -1;
        }
    }

    if ((node->required & ~seen) == 0) {
        return 0;
    }

    return delta_contract_missing(s, node, node->required & ~seen);
}


static int
delta_contract_missing(delta_contract_scan_t *s,
    const delta_contract_node_t *node, uint64_t missing)
{
    unsigned  i;

    for (i = 0; !(missing & (uint64_t) 1 << i); i++) {
        /* void */
    }

    delta_contract_fail(s, "is missing");
    delta_contract_under(s, node->members[i].name);

    return -1;
}


/* Publishers write members in one order: the next one is tried first. */

static int
delta_contract_member(const delta_contract_node_t *node, unsigned expected,
    delta_str_t name)
{
    unsigned                        n, i;
    const delta_contract_member_t  *member;

    for (n = 0, i = expected; n < node->nmembers; n++, i++) {

        if (i >= node->nmembers) {
            i = 0;
        }

        member = &node->members[i];

        if (member->name.len == name.len
            && memcmp(member->name.data, name.data, name.len) == 0)
        {
            return i;
        }
    }

    return -1;
}


static int
delta_contract_array(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value)
{
    int            rc;
    size_t         i, pos;
    delta_str_t    none;
    delta_json_t   item;

    pos = 0;

    for (i = 0; delta_json_next(value, &pos, &none, &item); i++) {

        if (i == node->max_items) {
            return delta_contract_fail(s, "has too many items");
        }

        rc = node->items ? delta_contract_value(s, node->items, &item)
                         : delta_contract_open(s, &item);

        if (rc != 0) {
            delta_contract_under_item(s, i);
            return -1;
        }
    }

    return 0;
}


/* What no schema describes may be anything but privileged. */

static int
delta_contract_open(delta_contract_scan_t *s, const delta_json_t *value)
{
    char           buf[DELTA_CONTRACT_NAME];
    size_t         i, pos;
    delta_str_t    name;
    delta_json_t   member;

    pos = 0;

    for (i = 0; delta_json_next(value, &pos, &name, &member); i++) {

        if (value->type == DELTA_JSON_OBJECT
            && delta_contract_text(&name, buf, sizeof(buf))
            && delta_contract_privileged(s->contract, name))
        {
            s->secret = 1;
            delta_contract_fail(s, "is privileged");

        } else if (delta_contract_open(s, &member) == 0) {
            continue;
        }

        if (value->type == DELTA_JSON_OBJECT) {
            delta_contract_under(s, name);

        } else {
            delta_contract_under_item(s, i);
        }

        return -1;
    }

    return 0;
}


static int
delta_contract_number(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value)
{
    size_t       i, sign;
    int64_t      number;
    const char  *p;

    if (!(node->types & DELTA_CONTRACT_INTEGER)) {
        return 0;
    }

    p = value->raw.data;
    sign = p[0] == '-';
    number = 0;

    for (i = sign; i < value->raw.len; i++) {

        if (!delta_json_digit(p[i])) {
            return delta_contract_fail(s, "is not a whole number");
        }

        number = number * 10 + (p[i] - '0');

        if (number > DELTA_CONTRACT_SAFE) {
            return delta_contract_fail(s, sign ? "is too small"
                                               : "is too large");
        }
    }

    if (sign) {
        number = -number;
    }

    if (number < node->minimum) {
        return delta_contract_fail(s, "is too small");
    }

    if (number > node->maximum) {
        return delta_contract_fail(s, "is too large");
    }

    return 0;
}


static int
delta_contract_string(delta_contract_scan_t *s,
    const delta_contract_node_t *node, const delta_json_t *value)
{
    char          buf[DELTA_CONTRACT_TEXT_MAX];
    unsigned      i;
    delta_str_t   text;

    text.data = value->raw.data + 1;
    text.len = value->raw.len - 2;

    if ((text.len > node->max_length || node->min_length)
        && delta_contract_length(s, node, text) != 0)
    {
        return -1;
    }

    if (node->pattern
        && (!delta_contract_text(&text, buf, sizeof(buf))
            || !node->pattern(text.data, text.data + text.len)))
    {
        return delta_contract_fail(s, "does not match the pattern");
    }

    if (node->nenums == 0) {
        return 0;
    }

    if (delta_contract_text(&text, buf, sizeof(buf))) {

        for (i = 0; i < node->nenums; i++) {

            if (node->enums[i].len == text.len
                && memcmp(node->enums[i].data, text.data, text.len) == 0)
            {
                return 0;
            }
        }
    }

    return delta_contract_fail(s, "is not one of the values");
}


/* In characters: an escape, or a pair of surrogates, is one. */

static int
delta_contract_length(delta_contract_scan_t *s,
    const delta_contract_node_t *node, delta_str_t text)
{
    size_t       n;
    uint32_t     ch;
    const char  *p, *end;

    p = text.data;
    end = p + text.len;

    for (n = 0; p && p < end && n <= node->max_length; n++) {

        if (*p == '\\') {
            p = delta_json_unescape(&ch, p + 1, end);
            continue;
        }

        do {
            p++;
        } while (p < end && ((uint8_t) *p & 0xc0) == 0x80);
    }

    if (n > node->max_length) {
        return delta_contract_fail(s, "is too long");
    }

    if (n < node->min_length) {
        return delta_contract_fail(s, "is too short");
    }

    return 0;
}


/* Resolves escapes, if there are any, into buf; 0 if they do not fit. */

static int
delta_contract_text(delta_str_t *text, char *buf, size_t size)
{
    ssize_t       n;
    delta_json_t  value;

    if (text->len == 0 || memchr(text->data, '\\', text->len) == NULL) {
        return 1;
    }

    value.type = DELTA_JSON_STRING;
    value.raw.data = text->data - 1;
    value.raw.len = text->len + 2;

    n = delta_json_string(buf, size, &value);

    if (n < 0) {
        return 0;
    }

    text->data = buf;
    text->len = n;

    return 1;
}


static int
delta_contract_fail(delta_contract_scan_t *s, const char *what)
{
    s->what = what;

    return -1;
}


/* The pointer of what is wrong goes on below this member. */

static void
delta_contract_under(delta_contract_scan_t *s, delta_str_t name)
{
    char     c, buf[2 * DELTA_CONTRACT_NAME];
    size_t   i, n;

    buf[0] = '/';

    for (i = 0, n = 1; i < name.len && n < sizeof(buf) - 2; i++) {
        c = name.data[i];

        if (c == '~' || c == '/') {
            buf[n++] = '~';
            c = (c == '~') ? '0' : '1';

        } else if (c < 0x20 || c > 0x7e) {
            c = '?';
        }

        buf[n++] = c;
    }

    delta_contract_put(s, buf, n);
}


static void
delta_contract_under_item(delta_contract_scan_t *s, size_t i)
{
    char   buf[24];
    char  *p;

    p = buf + sizeof(buf);

    do {
        *--p = '0' + i % 10;
        i /= 10;
    } while (i);

    *--p = '/';

    delta_contract_put(s, p, buf + sizeof(buf) - p);
}


static void
delta_contract_put(delta_contract_scan_t *s, const char *p, size_t n)
{
    size_t  room;

    room = s->at - s->pointer - 3;

    if (s->cut) {
        return;
    }

    if (n > room) {
        s->cut = 1;
        p += n - room;
        n = room;
    }

    s->at -= n;
    memcpy(s->at, p, n);
}
