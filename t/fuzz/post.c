
/*
 * Copyright (C) Delta contributors
 *
 * What is posted to delta_publish.
 */

#include "delta_json.h"
#include "delta_name.h"
#include "delta_post.h"
#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int                      i, count;
    char                    *p;
    delta_json_t             d;
    delta_post_t            *posts, *post;
    delta_contract_fault_t   fault;

    posts = fuzz_alloc(DELTA_POST_MAX * sizeof(delta_post_t));
    memset(&fault, 0x5a, sizeof(fault));
    fault.what = NULL;
    count = delta_post_parse(posts, (const char *) data, n, &fault);

    check(count != 0 && count <= DELTA_POST_MAX);

    if (count < 0) {
        check(count == DELTA_POST_INVALID || count == DELTA_POST_LARGE);
        check(memchr(fault.pointer, '\0', sizeof(fault.pointer)) != NULL);
        check(fault.what && fault.what[0]);

        for (p = fault.pointer; *p; p++) {
            check(*p >= 0x20 && *p <= 0x7e);
        }
    }

    for (i = 0; i < count; i++) {
        post = &posts[i];
        check(delta_name_valid(post->channel.data, post->channel.len));
        check(post->event.t.len > 0
              && post->event.t.len <= DELTA_EVENT_TYPE_MAX);
        check(delta_json_parse(&d, post->event.d.data, post->event.d.len) == 1
              && d.type == DELTA_JSON_OBJECT);
        check(post->source.len == 0
              || delta_name_segment(post->source.data, post->source.len));
        check(post->source.len == 0 || post->n >= 0);
        check(post->source.len == 0 || post->n <= DELTA_POST_N);
    }

    fuzz_free(posts, DELTA_POST_MAX * sizeof(delta_post_t));

    return 0;
}
