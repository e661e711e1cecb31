
/*
 * Copyright (C) Delta contributors
 */

#include "delta_utf8.h"


#define DELTA_UTF8_ASCII  0x8080808080808080u

/* The state: bytes to come, and the range of the next one. */
#define delta_utf8_state(left, lo, hi)                                        \
    ((uint32_t) (left) | (uint32_t) (lo) << 8 | (uint32_t) (hi) << 16)


static uint32_t delta_utf8_lead(uint8_t c);
static const uint8_t *delta_utf8_ascii(const uint8_t *p, const uint8_t *end);


int
delta_utf8_check(uint32_t *state, const uint8_t *p, size_t n)
{
    uint8_t         c;
    uint32_t        s;
    const uint8_t  *end;

    if (n == 0) {
        return 0;
    }

    s = *state;
    end = p + n;

    for ( ;; ) {

        if (s == 0) {
            p = delta_utf8_ascii(p, end);

            if (p == end) {
                break;
            }

            s = delta_utf8_lead(*p++);

            if (s == 0) {
                return -1;
            }
        }

        if (p == end) {
            break;
        }

        c = *p++;

        if (c < (uint8_t) (s >> 8) || c > (uint8_t) (s >> 16)) {
            return -1;
        }

        s = (s & 3) - 1;

        if (s) {
            s = delta_utf8_state(s, 0x80, 0xbf);
        }
    }

    *state = s;

    return 0;
}


static uint32_t
delta_utf8_lead(uint8_t c)
{
    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }

    if (c < 0xe0) {
        return delta_utf8_state(1, 0x80, 0xbf);
    }

    switch (c) {

    case 0xe0:
        return delta_utf8_state(2, 0xa0, 0xbf);

    case 0xed:
        return delta_utf8_state(2, 0x80, 0x9f);

    case 0xf0:
        return delta_utf8_state(3, 0x90, 0xbf);

    case 0xf4:
        return delta_utf8_state(3, 0x80, 0x8f);

    default:
        return delta_utf8_state(c < 0xf0 ? 2 : 3, 0x80, 0xbf);
    }
}


static const uint8_t *
delta_utf8_ascii(const uint8_t *p, const uint8_t *end)
{
    uint64_t  a, b;

    while (end - p >= 16) {
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);

        if ((a | b) & DELTA_UTF8_ASCII) {
            break;
        }

        p += 16;
    }

    while (p < end && *p < 0x80) {
        p++;
    }

    return p;
}
