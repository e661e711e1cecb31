
/*
 * Copyright (C) Delta contributors
 *
 * Where a publisher's Redis is, and what Redis answers it.
 */

#include "delta_publish_url.h"
#include "fuzz.h"


static void
publish_url_part(const char *part, size_t size)
{
    check(memchr(part, '\0', size) != NULL);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char                 *text;
    const char           *error;
    delta_publish_url_t  *url;

    text = malloc(n + 1);
    memcpy(text, data, n);
    text[n] = '\0';

    url = fuzz_alloc(sizeof(delta_publish_url_t));
    error = delta_publish_url_parse(url, text);

    if (error) {
        check(error[0] && (error[0] < 'A' || error[0] > 'Z'));

    } else {
        publish_url_part(url->host, sizeof(url->host));
        publish_url_part(url->path, sizeof(url->path));
        publish_url_part(url->user, sizeof(url->user));
        publish_url_part(url->password, sizeof(url->password));
        publish_url_part(url->db, sizeof(url->db));
        check(!url->host[0] != !url->path[0]);
        check(!url->host[0] || (url->port > 0 && url->port < 65536));
        check(strspn(url->db, "0123456789") == strlen(url->db));
    }

    delta_publish_retryable(text);

    fuzz_free(url, sizeof(delta_publish_url_t));
    free(text);

    return 0;
}
