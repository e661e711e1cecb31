
/*
 * Copyright (C) Delta contributors
 */

#include "delta_ws.h"


#define DELTA_WS_FIN      0x80
#define DELTA_WS_RSV      0x70
#define DELTA_WS_OPCODE   0x0f
#define DELTA_WS_MASKED   0x80
#define DELTA_WS_LENGTH   0x7f
#define DELTA_WS_LEN16    126
#define DELTA_WS_LEN64    127

#define delta_ws_control(opcode)  ((opcode) & 0x8)


static int delta_ws_read_header(delta_ws_reader_t *r, const uint8_t **p,
    const uint8_t *end);
static int delta_ws_check_start(const delta_ws_reader_t *r);
static int delta_ws_begin(delta_ws_reader_t *r);
static int delta_ws_read_payload(delta_ws_reader_t *r, const uint8_t **p,
    const uint8_t *end);
static int delta_ws_finish(delta_ws_reader_t *r, delta_ws_event_t *event);
static int delta_ws_finish_close(delta_ws_reader_t *r,
    delta_ws_event_t *event);
static size_t delta_ws_header_size(const delta_ws_reader_t *r);
static uint64_t delta_ws_length(const delta_ws_reader_t *r);
static void delta_ws_unmask(uint8_t *out, const uint8_t *p, size_t n,
    const uint8_t *mask, uint64_t offset);


static const struct {
    int          code;
    const char  *text;
} delta_ws_errors[] = {
#define X(name, code, text)  { code, text },
    DELTA_WS_ERRORS(X)
#undef X
};


int
delta_ws_read(delta_ws_reader_t *r, const uint8_t **p, const uint8_t *end,
    delta_ws_event_t *event)
{
    int  rc;

    for ( ;; ) {

        if (!r->payload) {
            rc = delta_ws_read_header(r, p, end);

            if (rc <= 0) {
                return rc;
            }
        }

        if (r->left) {
            rc = delta_ws_read_payload(r, p, end);

            if (rc <= 0) {
                return rc;
            }
        }

        r->payload = 0;
        r->head_len = 0;

        rc = delta_ws_finish(r, event);

        if (rc != 0) {
            return rc;
        }
    }
}


static int
delta_ws_read_header(delta_ws_reader_t *r, const uint8_t **p,
    const uint8_t *end)
{
    int     rc;
    size_t  n, want;

    for ( ;; ) {
        want = delta_ws_header_size(r);
        n = end - *p;

        if (n > want - r->head_len) {
            n = want - r->head_len;
        }

        if (n) {
            memcpy(r->head + r->head_len, *p, n);
            r->head_len += n;
            *p += n;
        }

        if (r->head_len < want) {
            return 0;
        }

        if (want > 2) {
            return delta_ws_begin(r);
        }

        rc = delta_ws_check_start(r);

        if (rc != 0) {
            return rc;
        }
    }
}


static int
delta_ws_check_start(const delta_ws_reader_t *r)
{
    uint8_t  opcode;

    opcode = r->head[0] & DELTA_WS_OPCODE;

    if (r->head[0] & DELTA_WS_RSV) {
        return DELTA_WS_ERSV;
    }

    if ((opcode > DELTA_WS_BINARY && opcode < DELTA_WS_CLOSE)
        || opcode > DELTA_WS_PONG)
    {
        return DELTA_WS_EOPCODE;
    }

    if (!(r->head[1] & DELTA_WS_MASKED)) {
        return DELTA_WS_EUNMASKED;
    }

    if (delta_ws_control(opcode)) {
        return (!(r->head[0] & DELTA_WS_FIN)
                || (r->head[1] & DELTA_WS_LENGTH) > DELTA_WS_MAX_CONTROL)
               ? DELTA_WS_ECONTROL : 0;
    }

    if ((opcode == DELTA_WS_CONTINUATION) != (r->message != 0)) {
        return DELTA_WS_ESEQUENCE;
    }

    return 0;
}


static int
delta_ws_begin(delta_ws_reader_t *r)
{
    uint64_t  length;

    length = delta_ws_length(r);

    if ((r->head_len == 2 + 2 + 4 && length < DELTA_WS_LEN16)
        || (r->head_len == 2 + 8 + 4
            && (length <= UINT16_MAX || length > INT64_MAX)))
    {
        return DELTA_WS_ELENGTH;
    }

    r->opcode = r->head[0] & DELTA_WS_OPCODE;
    r->fin = (r->head[0] & DELTA_WS_FIN) != 0;

    if (delta_ws_control(r->opcode)) {
        r->control_len = 0;

    } else {

        if (r->opcode != DELTA_WS_CONTINUATION) {
            r->message = r->opcode;
            r->len = 0;
            r->utf8 = 0;
        }

        if (r->len > r->size || length > r->size - r->len) {
            return DELTA_WS_ETOO_BIG;
        }
    }

    memcpy(r->mask, r->head + r->head_len - 4, 4);

    r->left = length;
    r->offset = 0;
    r->payload = 1;

    return 1;
}


static int
delta_ws_read_payload(delta_ws_reader_t *r, const uint8_t **p,
    const uint8_t *end)
{
    size_t    n;
    uint8_t  *out;

    n = end - *p;

    if (n > r->left) {
        n = r->left;
    }

    if (n == 0) {
        return 0;
    }

    if (delta_ws_control(r->opcode)) {
        out = r->control + r->control_len;
        r->control_len += n;

    } else {
        out = r->buf + r->len;
        r->len += n;
    }

    delta_ws_unmask(out, *p, n, r->mask, r->offset);

    *p += n;
    r->left -= n;
    r->offset += n;

    if (r->message == DELTA_WS_TEXT && !delta_ws_control(r->opcode)
        && delta_utf8_check(&r->utf8, out, n) != 0)
    {
        return DELTA_WS_EUTF8;
    }

    return r->left == 0;
}


static int
delta_ws_finish(delta_ws_reader_t *r, delta_ws_event_t *event)
{
    if (r->opcode == DELTA_WS_CLOSE) {
        return delta_ws_finish_close(r, event);
    }

    event->code = 0;

    if (delta_ws_control(r->opcode)) {
        event->opcode = r->opcode;
        event->data = r->control;
        event->len = r->control_len;

        return 1;
    }

    if (!r->fin) {
        return 0;
    }

    if (r->message == DELTA_WS_TEXT && r->utf8 != 0) {
        return DELTA_WS_EUTF8;
    }

    event->opcode = r->message;
    event->data = r->buf;
    event->len = r->len;

    r->message = 0;

    return 1;
}


static int
delta_ws_finish_close(delta_ws_reader_t *r, delta_ws_event_t *event)
{
    uint32_t  state;

    event->opcode = DELTA_WS_CLOSE;
    event->data = r->control;
    event->len = 0;
    event->code = 1005;

    if (r->control_len == 0) {
        return 1;
    }

    if (r->control_len == 1) {
        return DELTA_WS_ECLOSE;
    }

    event->code = r->control[0] << 8 | r->control[1];
    event->data = r->control + 2;
    event->len = r->control_len - 2;

    if (!delta_ws_close_code_valid(event->code)) {
        return DELTA_WS_ECLOSE;
    }

    state = 0;

    if (delta_utf8_check(&state, event->data, event->len) != 0 || state != 0) {
        return DELTA_WS_EUTF8;
    }

    return 1;
}


/* The size of the header as far as it is known. */

static size_t
delta_ws_header_size(const delta_ws_reader_t *r)
{
    if (r->head_len < 2) {
        return 2;
    }

    switch (r->head[1] & DELTA_WS_LENGTH) {

    case DELTA_WS_LEN16:
        return 2 + 2 + 4;

    case DELTA_WS_LEN64:
        return 2 + 8 + 4;

    default:
        return 2 + 4;
    }
}


static uint64_t
delta_ws_length(const delta_ws_reader_t *r)
{
    size_t    i;
    uint64_t  length;

    if (r->head_len == 2 + 4) {
        return r->head[1] & DELTA_WS_LENGTH;
    }

    length = 0;

    for (i = 2; i < (size_t) r->head_len - 4; i++) {
        length = length << 8 | r->head[i];
    }

    return length;
}


static void
delta_ws_unmask(uint8_t *out, const uint8_t *p, size_t n, const uint8_t *mask,
    uint64_t offset)
{
    size_t    i;
    uint8_t   turned[8];
    uint64_t  key, word;

    for (i = 0; i < 8; i++) {
        turned[i] = mask[(offset + i) & 3];
    }

    memcpy(&key, turned, 8);

    for (i = 0; n - i >= 8; i += 8) {
        memcpy(&word, p + i, 8);
        word ^= key;
        memcpy(out + i, &word, 8);
    }

    for ( /* void */ ; i < n; i++) {
        out[i] = p[i] ^ turned[i & 7];
    }
}


int
delta_ws_idle(const delta_ws_reader_t *r)
{
    return r->head_len == 0 && !r->payload && r->message == 0;
}


int
delta_ws_error_code(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0 && i < sizeof(delta_ws_errors) / sizeof(delta_ws_errors[0])
           ? delta_ws_errors[i].code : 1002;
}


const char *
delta_ws_strerror(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0 && i < sizeof(delta_ws_errors) / sizeof(delta_ws_errors[0])
           ? delta_ws_errors[i].text : "Unknown error.";
}


size_t
delta_ws_header(uint8_t *out, uint8_t opcode, uint64_t len)
{
    size_t  i;

    out[0] = DELTA_WS_FIN | opcode;

    if (len < DELTA_WS_LEN16) {
        out[1] = len;
        return 2;
    }

    if (len <= UINT16_MAX) {
        out[1] = DELTA_WS_LEN16;
        out[2] = len >> 8;
        out[3] = len;
        return 4;
    }

    out[1] = DELTA_WS_LEN64;

    for (i = 0; i < 8; i++) {
        out[2 + i] = len >> (56 - 8 * i);
    }

    return 10;
}


size_t
delta_ws_close(uint8_t *out, uint16_t code, const char *reason, size_t len)
{
    if (!delta_ws_close_code_valid(code)) {
        return delta_ws_header(out, DELTA_WS_CLOSE, 0);
    }

    if (len > DELTA_WS_MAX_CONTROL - 2) {
        len = 0;
    }

    delta_ws_header(out, DELTA_WS_CLOSE, 2 + len);

    out[2] = code >> 8;
    out[3] = code;

    if (len) {
        memcpy(out + 4, reason, len);
    }

    return 4 + len;
}


int
delta_ws_close_code_valid(uint16_t code)
{
    if (code >= 3000) {
        return code <= 4999;
    }

    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}
