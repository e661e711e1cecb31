
/*
 * Copyright (C) Delta contributors
 *
 * SQLite, and rows as JSON objects.  Each thread has a store of its own on
 * the same file.
 */

#ifndef _UPSTREAM_STORE_H_INCLUDED_
#define _UPSTREAM_STORE_H_INCLUDED_


#include <sqlite3.h>
#include "upstream.h"


struct upstream_store_s {
    sqlite3     *db;
    char         id[33];        /* of the database, made with it */
    unsigned     failed:1;      /* since store_begin() */
};


/*
 * Opens the file, or makes it with its tables and the seeds.  Returns NULL
 * after a line in the log.
 */
upstream_store_t *store_open(const char *file);
void store_close(upstream_store_t *store);

/*
 * A transaction that may write.  Whatever fails within it sets store->failed,
 * so that handlers check once: store_end() commits only if commit is set and
 * nothing failed, and returns 0 only if it did.
 */
int store_begin(upstream_store_t *store);
int store_end(upstream_store_t *store, int commit);

/*
 * types has a letter for each value that follows: s a string (NULL is SQL's
 * NULL), i an int64_t.  store_exec() returns the rows changed, or -1.
 */
int store_exec(upstream_store_t *store, const char *sql, const char *types,
    ...);

/*
 * The first row as an object, NULL columns left out; NULL without a row or
 * after a failure.  store_array() has an object for each row.
 */
json_t *store_object(upstream_store_t *store, const char *sql,
    const char *types, ...);
json_t *store_array(upstream_store_t *store, const char *sql,
    const char *types, ...);

/* The first column of the first row, or otherwise. */
int64_t store_number(upstream_store_t *store, int64_t otherwise,
    const char *sql, const char *types, ...);

/* A new id, as "m17"; a letter for each kind of things.  0 or -1. */
int store_id(upstream_store_t *store, const char *kind, char *id,
    size_t size);

/* {"now": ...}, as events write times. */
json_t *store_now(upstream_store_t *store);


#endif /* _UPSTREAM_STORE_H_INCLUDED_ */
