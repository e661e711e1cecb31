
/*
 * Copyright (C) Delta contributors
 *
 * contract FILE: what holding an event against the contract costs beyond
 * parsing it, for the example of each event.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "delta_contract.h"


#define BENCH_ROUNDS  20000


static double
bench_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * 1e9 + ts.tv_nsec;
}


/* Nanoseconds of one: the best of five runs, as others share the machine. */

static double
bench_event(const delta_contract_t *contract, const char *text, size_t n)
{
    int                     i, run, bad;
    double                  ns, best;
    delta_event_t           event;
    delta_contract_fault_t  fault;

    bad = 0;
    best = 1e12;

    for (run = 0; run < 5; run++) {
        ns = bench_now();

        for (i = 0; i < BENCH_ROUNDS; i++) {
            bad |= delta_event_parse(&event, text, n) != 1;

            if (contract) {
                bad |= delta_contract_check(contract, &event, &fault) != 1;
            }
        }

        ns = (bench_now() - ns) / BENCH_ROUNDS;
        best = ns < best ? ns : best;
    }

    if (bad) {
        fprintf(stderr, "the contract refuses %s\n", text);
        exit(1);
    }

    return best;
}


int
main(int argc, char **argv)
{
    char                    *text, *d;
    double                   parse, check, parses, checks, most;
    json_t                  *root, *events, *value;
    size_t                   n, count;
    const char              *type, *worst;
    delta_contract_t        *contract;
    delta_contract_error_t   error;

    root = argc == 2 ? json_load_file(argv[1], 0, NULL) : NULL;
    text = json_dumps(root, JSON_COMPACT);
    contract = text ? delta_contract_load(text, strlen(text), &error) : NULL;

    if (contract == NULL) {
        fprintf(stderr, "usage: contract events.json\n");
        return 1;
    }

    events = json_object_get(root, "events");
    parses = checks = most = 0;
    worst = "";
    count = 0;

    json_object_foreach(events, type, value) {
        d = json_dumps(json_object_get(value, "example"), JSON_COMPACT);
        n = strlen(type) + strlen(d) + sizeof("{\"t\":\"\",\"d\":}");
        text = malloc(n);
        n = snprintf(text, n, "{\"t\":\"%s\",\"d\":%s}", type, d);

        parse = bench_event(NULL, text, n);
        check = bench_event(contract, text, n) - parse;

        parses += parse;
        checks += check;
        count++;

        if (check > most) {
            most = check;
            worst = type;
        }
    }

    printf("contract: %zu events: parsing %.2f us, contract %.2f us, at most "
           "%.2f us (%s)\n", count, parses / count / 1e3, checks / count / 1e3,
           most / 1e3, worst);

    return 0;
}
