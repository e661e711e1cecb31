
/*
 * Copyright (C) Delta contributors
 *
 * contract-check CONTRACT < EVENTS: for each line what delta_contract_check()
 * says of it: "ok", "unknown", "no event", or a pointer and what is wrong.
 */

#include <stdio.h>
#include <stdlib.h>
#include "delta_contract.h"


static delta_contract_t *check_load(const char *name);
static void check_line(const delta_contract_t *contract, const char *line,
    size_t n);


int
main(int argc, char **argv)
{
    char              *line;
    size_t             size;
    ssize_t            n;
    delta_contract_t  *contract;

    contract = check_load(argc > 1 ? argv[1] : "");
    if (contract == NULL) {
        return 1;
    }

    line = NULL;
    size = 0;

    while ((n = getline(&line, &size, stdin)) > 0) {
        check_line(contract, line, line[n - 1] == '\n' ? n - 1 : n);
    }

    free(line);
    delta_contract_free(contract);

    return 0;
}


static delta_contract_t *
check_load(const char *name)
{
    char                    *text;
    FILE                    *f;
    size_t                   n;
    delta_contract_t        *contract;
    delta_contract_error_t   error;

    f = fopen(name, "rb");
    text = malloc(DELTA_CONTRACT_TEXT + 1);

    if (f == NULL || text == NULL) {
        fprintf(stderr, "%s cannot be read\n", name);
        return NULL;
    }

    n = fread(text, 1, DELTA_CONTRACT_TEXT + 1, f);
    contract = delta_contract_load(text, n, &error);

    if (contract == NULL) {
        fprintf(stderr, "%s: %s: %s\n", name, error.pointer, error.text);
    }

    fclose(f);
    free(text);

    return contract;
}


static void
check_line(const delta_contract_t *contract, const char *line, size_t n)
{
    delta_event_t           event;
    delta_contract_fault_t  fault;

    if (delta_event_parse(&event, line, n) != 1) {
        puts("no event");
        return;
    }

    switch (delta_contract_check(contract, &event, &fault)) {

    case 1:
        puts("ok");
        break;

    case DELTA_CONTRACT_EUNKNOWN:
        puts("unknown");
        break;

    default:
        printf("%s %s\n", fault.pointer, fault.what);
    }
}
