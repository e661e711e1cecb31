
/*
 * Copyright (C) Delta contributors
 *
 * Events as backends publish them: held against conf/events.json, in all
 * shapes, as text and as MessagePack.
 */

#include "delta_contract.h"
#include "delta_cursor.h"
#include "delta_json.h"
#include "delta_msgpack.h"
#include "fuzz.h"


static delta_contract_t  *event_contract;


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char                    *text;
    FILE                    *f;
    size_t                   n;
    delta_contract_error_t   error;

    (void) argc;
    (void) argv;

    f = fopen("conf/events.json", "rb");
    check(f != NULL);
    text = malloc(DELTA_CONTRACT_TEXT);
    n = fread(text, 1, DELTA_CONTRACT_TEXT, f);
    event_contract = delta_contract_load(text, n, &error);
    check(event_contract != NULL);
    fclose(f);
    free(text);

    return 0;
}


static void
event_shape(const delta_event_t *event, delta_envelope_t shape,
    delta_str_t channel, delta_str_t id)
{
    char          *out;
    size_t         len;
    ssize_t        packed;
    uint8_t       *pack;
    delta_json_t   value;

    len = delta_envelope_encode(NULL, shape, event, channel, id);
    out = fuzz_alloc(len);
    check(delta_envelope_encode(out, shape, event, channel, id) == len);
    check(delta_json_parse(&value, out, len) == 1);
    check(value.type == DELTA_JSON_OBJECT && value.raw.len == len);

    pack = fuzz_alloc(delta_msgpack_bound(len));
    packed = delta_msgpack_encode(pack, delta_msgpack_bound(len), out, len);
    check(packed > 0 || packed == DELTA_MSGPACK_ENUMBER);

    fuzz_free(pack, delta_msgpack_bound(len));
    fuzz_free(out, len);
}


static void
event_check(const delta_event_t *event)
{
    int                            rc;
    const char                    *p;
    delta_contract_fault_t         fault;

    rc = delta_contract_check(event_contract, event, &fault);

    if (rc == DELTA_CONTRACT_EUNKNOWN) {
        check(delta_contract_find(event_contract, event->t) == NULL);
        rc = delta_contract_validate(event_contract, NULL, event->d, &fault);
    }

    if (rc == 1) {
        return;
    }

    check(rc == DELTA_CONTRACT_EINVALID || rc == DELTA_CONTRACT_EPRIVILEGED);
    check(memchr(fault.pointer, '\0', sizeof(fault.pointer)) != NULL);

    for (p = fault.pointer; *p; p++) {
        check(*p >= 0x20 && *p <= 0x7e);
    }

    check(fault.what[0]);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int            rc;
    const char    *p;
    delta_json_t   value;
    delta_event_t  event;
    unsigned       shape;

    static const delta_str_t  none = delta_str("");
    static const delta_str_t  channel = delta_str("guild:42:\\\"");
    static const delta_str_t  id = delta_str("1753698616123-17");

    p = (const char *) data;
    rc = delta_event_parse(&event, p, n);

    if (rc < 0) {
        check(strcmp(delta_event_strerror(rc), "Unknown error.") != 0);
        check((rc == DELTA_EVENT_EJSON)
              == (delta_json_parse(&value, p, n) < 0));
        return 0;
    }

    check(event.t.len > 0 && event.t.len <= DELTA_EVENT_TYPE_MAX);
    check(delta_json_parse(&value, event.d.data, event.d.len) == 1
          && value.type == DELTA_JSON_OBJECT);

    for (shape = 0; shape < DELTA_ENVELOPES; shape++) {
        event_shape(&event, shape, channel, id);
        event_shape(&event, shape, none, none);
    }

    event_check(&event);

    return 0;
}
