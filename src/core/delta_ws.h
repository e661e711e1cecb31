
/*
 * Copyright (C) Delta contributors
 *
 * WebSocket frames (RFC 6455), the server's side: client frames in, server
 * frames out.
 */

#ifndef _DELTA_WS_H_INCLUDED_
#define _DELTA_WS_H_INCLUDED_


#include "delta.h"
#include "delta_utf8.h"


#define DELTA_WS_MAX_HEADER   14     /* of a masked frame, section 5.2 */
#define DELTA_WS_MAX_CONTROL  125    /* payload of a control frame, 5.5 */

#define DELTA_WS_CONTINUATION  0x0
#define DELTA_WS_TEXT          0x1
#define DELTA_WS_BINARY        0x2
#define DELTA_WS_CLOSE         0x8
#define DELTA_WS_PING          0x9
#define DELTA_WS_PONG          0xa


/*
 * What can be wrong with a client's bytes: name, the close code that answers
 * it (section 7.4.1), the whole sentence that goes into the close frame.
 */
#define DELTA_WS_ERRORS(X)                                                    \
    X(RSV,      1002, "A reserved bit is set.")                               \
    X(OPCODE,   1002, "The opcode is reserved.")                              \
    X(UNMASKED, 1002, "A client's frame must be masked.")                     \
    X(CONTROL,  1002, "A control frame is fragmented or over 125 bytes.")     \
    X(LENGTH,   1002, "The length is not in its shortest form.")              \
    X(SEQUENCE, 1002, "A fragment is out of sequence.")                       \
    X(CLOSE,    1002, "The close frame is malformed.")                        \
    X(UTF8,     1007, "The text is not valid UTF-8.")                         \
    X(TOO_BIG,  1009, "The message is over the limit of this server.")

enum {
#define X(name, code, text)  DELTA_WS_POS_##name,
    DELTA_WS_ERRORS(X)
#undef X
};

enum {
#define X(name, code, text)  DELTA_WS_E##name = -1 - DELTA_WS_POS_##name,
    DELTA_WS_ERRORS(X)
#undef X
};


/*
 * Reassembles messages.  The owner provides buf and size (the message limit
 * in bytes) and may move the struct and buf between calls: nothing inside
 * points into either.  Zero-fill everything else to start.
 */
typedef struct {
    uint8_t    *buf;            /* payload of the current message */
    size_t      size;           /* limit of a whole message, bytes */
    size_t      len;            /* bytes of it that have arrived */

    uint64_t    left;           /* payload bytes of the current frame to come */
    uint64_t    offset;         /* payload bytes of it that have arrived */
    uint32_t    utf8;           /* delta_utf8_check()'s state */

    uint8_t     head_len;       /* bytes in head: a header split over reads */
    uint8_t     control_len;
    uint8_t     opcode;         /* of the current frame */
    uint8_t     message;        /* opcode of the message begun, or 0 */

    unsigned    fin:1;          /* the current frame ends its message */
    unsigned    payload:1;      /* the header is complete, payload is due */

    uint8_t     mask[4];
    uint8_t     head[DELTA_WS_MAX_HEADER];
    uint8_t     control[DELTA_WS_MAX_CONTROL];
} delta_ws_reader_t;


/*
 * A whole message or control frame; data points into the reader's buf or the
 * reader itself.  Of a CLOSE it is the reason, without the code.
 */
typedef struct {
    uint8_t         opcode;     /* TEXT, BINARY, PING, PONG or CLOSE */
    const uint8_t  *data;
    size_t          len;
    uint16_t        code;       /* CLOSE: the peer's code, 1005 if none */
} delta_ws_event_t;


/*
 * Reads on from *p towards end and moves *p.
 *   > 0  *event is complete and valid until the next call
 *     0  *p == end, nothing complete yet
 *   < 0  DELTA_WS_E*: answer with delta_ws_error_code() and read no more
 * Lengths are compared with size before a byte of payload is taken; UTF-8 is
 * checked as it arrives, so bad text fails before its message ends.
 */
int delta_ws_read(delta_ws_reader_t *r, const uint8_t **p, const uint8_t *end,
    delta_ws_event_t *event);

/* Whether the reader is at rest: no byte of a frame or message is pending. */
int delta_ws_idle(const delta_ws_reader_t *r);

int delta_ws_error_code(int error);
const char *delta_ws_strerror(int error);


/* Server frames are unmasked: at most 10 bytes of header; returns its size. */
size_t delta_ws_header(uint8_t *out, uint8_t opcode, uint64_t len);

/*
 * A whole close frame into out (>= 2 + DELTA_WS_MAX_CONTROL bytes); a reason
 * over 123 bytes is left out, never cut; a code that must not be on the wire
 * (1005 ...) makes the frame empty.  Returns the frame's size.
 */
size_t delta_ws_close(uint8_t *out, uint16_t code, const char *reason,
    size_t len);

/* Codes that may stand in a close frame on the wire, section 7.4. */
int delta_ws_close_code_valid(uint16_t code);


#endif /* _DELTA_WS_H_INCLUDED_ */
