
/*
 * Copyright (C) Delta contributors
 *
 * Takes libFuzzer's place where there is none: a target on each of these
 * files.
 */

#include "fuzz.h"


#pragma weak LLVMFuzzerInitialize


int
main(int argc, char **argv)
{
    int       i;
    FILE     *f;
    size_t    n;
    uint8_t  *data, *copy;

    if (LLVMFuzzerInitialize) {
        LLVMFuzzerInitialize(&argc, &argv);
    }

    data = malloc(1 << 20);

    for (i = 1; i < argc; i++) {
        f = fopen(argv[i], "rb");
        check(f != NULL);
        n = fread(data, 1, 1 << 20, f);
        fclose(f);

        fprintf(stderr, "%s\n", argv[i]);
        copy = fuzz_copy(data, n);
        LLVMFuzzerTestOneInput(copy, n);
        fuzz_free(copy, n);
    }

    free(data);

    return 0;
}
