
/*
 * Copyright (C) Delta contributors
 *
 * Contracts, and behind a NUL byte an event that is held against one.
 */

#include "delta_contract.h"
#include "delta_name.h"
#include "fuzz.h"


static void
contract_fault(const delta_contract_fault_t *fault)
{
    const char  *p;

    check(memchr(fault->pointer, '\0', sizeof(fault->pointer)) != NULL);
    check(fault->what != NULL && fault->what[0]);

    for (p = fault->pointer; *p; p++) {
        check(*p >= 0x20 && *p <= 0x7e);
    }
}


/* Where an event may go by its own contract: with "x" for what is not there. */

static const char *
contract_channel(const delta_contract_event_t *event, delta_str_t channel,
    delta_str_t d)
{
    char         name[DELTA_NAME_MAX + 1], *p;
    size_t       i;
    delta_str_t  made;

    check(channel.len > 0);

    p = name;

    for (i = 0; i < channel.len; i++) {

        if (channel.data[i] == '{') {
            i = (const char *) memchr(channel.data + i, '}', channel.len - i)
                - channel.data;
            check(i < channel.len);
            *p++ = 'x';

        } else {
            *p++ = channel.data[i];
        }

        check(p < name + sizeof(name));
    }

    made.data = name;
    made.len = p - name;

    check(delta_name_valid(made.data, made.len));

    return delta_contract_astray(event, made, d);
}


static void
contract_event(const delta_contract_t *contract, const char *p, size_t n)
{
    int                            rc;
    char                          *copy;
    size_t                         i, j;
    delta_event_t                  event;
    delta_contract_fault_t         fault;
    const delta_contract_event_t  *known;

    copy = fuzz_copy(p, n);

    if (delta_event_parse(&event, copy, n) == 1) {
        rc = delta_contract_check(contract, &event, &fault);
        known = delta_contract_find(contract, event.t);

        check(rc == 1 || rc == DELTA_CONTRACT_EUNKNOWN
              || rc == DELTA_CONTRACT_EINVALID
              || rc == DELTA_CONTRACT_EPRIVILEGED);
        check((rc == DELTA_CONTRACT_EUNKNOWN) == (known == NULL));

        if (rc != 1 && known) {
            contract_fault(&fault);
        }

        if (delta_contract_validate(contract, NULL, event.d, &fault) != 1) {
            contract_fault(&fault);
        }

        for (i = 0; (known = delta_contract_event(contract, i)); i++) {

            if (delta_contract_validate(contract, known, event.d, &fault)
                != 1)
            {
                contract_fault(&fault);
                continue;
            }

            for (j = 0; j < known->nchannels; j++) {
                (void) contract_channel(known, known->channels[j], event.d);
            }
        }
    }

    fuzz_free(copy, n);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t                          i, j, len;
    const uint8_t                  *nul;
    delta_contract_t               *contract;
    delta_contract_error_t          error;
    const delta_contract_event_t   *event;

    static const delta_str_t  nowhere = delta_str("a:b:c:d:e:f:g:h:i:~:~:~");
    static const delta_str_t  empty = delta_str("{}");

    nul = n ? memchr(data, '\0', n) : NULL;
    len = nul ? (size_t) (nul - data) : n;

    memset(&error, 0x5a, sizeof(error));
    contract = delta_contract_load((const char *) data, len, &error);

    if (contract == NULL) {
        check(memchr(error.pointer, '\0', sizeof(error.pointer)) != NULL);
        check(memchr(error.text, '\0', sizeof(error.text)) != NULL);
        check(error.text[0]);
        return 0;
    }

    for (i = 0; (event = delta_contract_event(contract, i)); i++) {
        check(event->index == i && event->d);
        check(delta_contract_find(contract, event->type) == event);

        if (event->nchannels == 0) {
            check(delta_contract_astray(event, nowhere, empty) == NULL);
        }

        for (j = 0; j < event->nchannels; j++) {
            check(contract_channel(event, event->channels[j], empty) == NULL);
        }
    }

    check(i > 0);

    if (nul) {
        contract_event(contract, (const char *) nul + 1, n - len - 1);
    }

    delta_contract_free(contract);

    return 0;
}
