
/*
 * Copyright (C) Delta contributors
 */

#include "delta_utf8.h"
#include "tap.h"


#define b(bytes)  bytes, sizeof(bytes) - 1


typedef struct {
    const char  *name;
    const char  *bytes;
    size_t       len;
    const char  *want;      /* "ok", "more" or "bad" */
} utf8_case_t;

typedef struct {
    const char  *want;
    uint32_t     state;
    int          bad;
} utf8_run_t;


static const utf8_case_t  utf8_cases[] = {
    { "nothing", b(""), "ok" },
    { "ASCII", b("The quick brown fox jumps over the lazy dog."), "ok" },
    { "NUL", b("a\0b"), "ok" },
    { "two bytes", b("\xc2\x80\xdf\xbf"), "ok" },
    { "three bytes", b("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"),
      "ok" },
    { "four bytes", b("\xf0\x90\x80\x80\xf3\xa0\x80\x80\xf4\x8f\xbf\xbf"),
      "ok" },
    { "characters between long ASCII", b("0123456789abcdef\xc3\xa4"
      "0123456789abcdef0123456789abcdef\xe2\x82\xac" "0123456789abcdef"),
      "ok" },
    { "high byte at the end of a word", b("0123456\xc3\xa4" "0123456\xff"),
      "bad" },
    { "high byte in a second word", b("0123456789abcde\xff"), "bad" },
    { "lone continuation", b("\x80"), "bad" },
    { "overlong NUL", b("\xc0\x80"), "bad" },
    { "overlong slash", b("\xc1\xaf"), "bad" },
    { "overlong three bytes", b("\xe0\x9f\xbf"), "bad" },
    { "overlong four bytes", b("\xf0\x8f\xbf\xbf"), "bad" },
    { "first surrogate", b("\xed\xa0\x80"), "bad" },
    { "last surrogate", b("\xed\xbf\xbf"), "bad" },
    { "U+110000", b("\xf4\x90\x80\x80"), "bad" },
    { "lead F5", b("\xf5\x80\x80\x80"), "bad" },
    { "lead F8", b("\xf8\x88\x80\x80\x80"), "bad" },
    { "FE", b("\xfe"), "bad" },
    { "ASCII where a continuation is due", b("\xe2\x82" "a"), "bad" },
    { "lead where a continuation is due", b("\xe2\xe2"), "bad" },
    { "one of two", b("a\xc3"), "more" },
    { "one of three", b("\xe2"), "more" },
    { "two of three", b("\xe2\x82"), "more" },
    { "three of four", b("\xf0\x9f\x98"), "more" },
    { "bad at the second byte already", b("\xf4\x90"), "bad" },
};


static void
utf8_begin(void *ctx)
{
    utf8_run_t  *run = ctx;

    run->state = 0;
    run->bad = 0;
}


static int
utf8_feed(void *ctx, const uint8_t *p, size_t n)
{
    utf8_run_t  *run = ctx;

    run->bad = delta_utf8_check(&run->state, p, n) != 0;

    return !run->bad;
}


static int
utf8_end(void *ctx)
{
    utf8_run_t  *run = ctx;
    const char  *got;

    got = run->bad ? "bad" : run->state ? "more" : "ok";

    return strcmp(got, run->want) == 0;
}


static const tap_decoder_t  utf8_decoder = { utf8_begin, utf8_feed, utf8_end };


/* By the book: decode, then look at the number. */

static int
utf8_reference(const uint8_t *p, size_t n)
{
    size_t                 i, len;
    uint32_t               ch;
    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;

    if (len != n || p[0] >= 0xf8) {
        return 0;
    }

    ch = p[0] & (0x7f >> len);

    for (i = 1; i < len; i++) {

        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        ch = ch << 6 | (p[i] & 0x3f);
    }

    return ch >= least[len] && ch <= 0x10ffff
           && (ch < 0xd800 || ch > 0xdfff);
}


static void
test_all_sequences(void)
{
    int                   good;
    size_t                n;
    uint8_t               p[4];
    unsigned              i, j, k, l, wrong;
    uint32_t              state;
    static const uint8_t  tails[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff };

    wrong = 0;

    for (i = 0x80; i <= 0xff; i++) {
        for (j = 0; j <= 0xff; j++) {
            for (k = 0; k < 6; k++) {
                for (l = 0; l < 6; l++) {
                    p[0] = i;
                    p[1] = j;
                    p[2] = tails[k];
                    p[3] = tails[l];

                    for (n = 1; n <= 4; n++) {
                        state = 0;
                        good = delta_utf8_check(&state, p, n) == 0
                               && state == 0;

                        /* what is behind a whole character is another test */
                        if (n > 2 && p[n - 1] < 0x80) {
                            continue;
                        }

                        if (n == 4 && utf8_reference(p, 2)) {
                            continue;
                        }

                        wrong += good != utf8_reference(p, n);
                    }
                }
            }
        }
    }

    is_int(wrong, 0, "leads, second bytes and the borders of the others");
}


int
main(void)
{
    size_t              i;
    utf8_run_t          run;
    const utf8_case_t  *c;

    plan(sizeof(utf8_cases) / sizeof(*c) + 2);

    for (i = 0; i < sizeof(utf8_cases) / sizeof(*c); i++) {
        c = &utf8_cases[i];
        run.want = c->want;
        ok(each_split(c->bytes, c->len, &utf8_decoder, &run), "%s", c->name);
    }

    test_all_sequences();

    run.state = 0;
    is_int(delta_utf8_check(&run.state, NULL, 0), 0, "no bytes at all");

    return done_testing();
}
