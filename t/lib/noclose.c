
/*
 * Copyright (C) Delta contributors
 *
 * Preloaded in sanitizer runs: a module that stays mapped until the process
 * has ended keeps its function names in a leak report.
 */

int
dlclose(void *handle)
{
    (void) handle;

    return 0;
}
