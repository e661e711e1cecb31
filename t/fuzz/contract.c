
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


static void
contract_event(const delta_contract_t *contract, const char *p, size_t n)
{
    int                            rc;
    char                          *copy;
    size_t                         i;
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

        for (j = 0; j < event->nchannels; j++) {
            check(delta_name_pattern(event->channels[j].data,
                                     event->channels[j].len));
        }

        j = event->nchannels ? delta_name_literal(event->channels[0]) : 0;

        if (j && j == event->channels[0].len) {
            check(delta_contract_allows(event, event->channels[0]));
        }

        check(event->nchannels || delta_contract_allows(event, nowhere));
    }

    check(i > 0);

    if (nul) {
        contract_event(contract, (const char *) nul + 1, n - len - 1);
    }

    delta_contract_free(contract);

    return 0;
}
