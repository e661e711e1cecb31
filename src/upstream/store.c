
/*
 * Copyright (C) Delta contributors
 */

#include "schema.h"
#include "store.h"


#define STORE_BUSY_MS  5000


static int store_prepare(upstream_store_t *store);
static int store_seed(upstream_store_t *store);
static sqlite3_stmt *store_bind(upstream_store_t *store, const char *sql,
    const char *types, va_list args);
static int store_step(upstream_store_t *store, sqlite3_stmt *query);
static json_t *store_row(upstream_store_t *store, sqlite3_stmt *query);
static void store_failed(upstream_store_t *store);


/*
 * synchronous=FULL: a row id that was published must not come back after a
 * power failure, or its next event would count as published.
 */

static const char  store_settings[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA foreign_keys = ON;";


upstream_store_t *
store_open(const char *file)
{
    upstream_store_t  *store;

    store = calloc(1, sizeof(upstream_store_t));
    if (store == NULL) {
        return NULL;
    }

    if (sqlite3_open(file, &store->db) != SQLITE_OK
        || sqlite3_busy_timeout(store->db, STORE_BUSY_MS) != SQLITE_OK
        || sqlite3_exec(store->db, store_settings, NULL, NULL, NULL)
           != SQLITE_OK
        || store_prepare(store) != 0)
    {
        upstream_log("cannot use the database %s: %s", file,
                     store->db ? sqlite3_errmsg(store->db) : "no memory");
        store_close(store);
        return NULL;
    }

    return store;
}


static int
store_prepare(upstream_store_t *store)
{
    json_t  *row;

    if (store_begin(store) != 0) {
        return -1;
    }

    if (store_number(store, 0, "SELECT count(*) FROM sqlite_master "
                     "WHERE name = 'meta'", "")
        == 0
        && store_seed(store) != 0)
    {
        store_failed(store);
    }

    row = store_object(store, "SELECT value FROM meta WHERE name = ?", "s",
                       "database");

    if (store_number(store, 0, "SELECT value FROM meta WHERE name = 'schema'",
                     "")
        != SCHEMA_VERSION)
    {
        upstream_log("the database is another version's: take a new one");
        store->failed = 1;
    }

    if (row) {
        snprintf(store->id, sizeof(store->id), "%s",
                 json_string_value(json_object_get(row, "value")));
        json_decref(row);

    } else {
        store_failed(store);
    }

    return store_end(store, 1);
}


static int
store_seed(upstream_store_t *store)
{
    if (sqlite3_exec(store->db, schema_tables, NULL, NULL, NULL) != SQLITE_OK) {
        return -1;
    }

    return sqlite3_exec(store->db, schema_seeds, NULL, NULL, NULL) == SQLITE_OK
           ? 0 : -1;
}


void
store_close(upstream_store_t *store)
{
    if (store == NULL) {
        return;
    }

    sqlite3_close(store->db);
    free(store);
}


int
store_begin(upstream_store_t *store)
{
    store->failed = 0;

    return store_exec(store, "BEGIN IMMEDIATE", "") < 0 ? -1 : 0;
}


int
store_end(upstream_store_t *store, int commit)
{
    if (commit && !store->failed && store_exec(store, "COMMIT", "") >= 0) {
        return 0;
    }

    if (!sqlite3_get_autocommit(store->db)) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }

    return -1;
}


int
store_exec(upstream_store_t *store, const char *sql, const char *types, ...)
{
    int            rc;
    va_list        args;
    sqlite3_stmt  *query;

    va_start(args, types);
    query = store_bind(store, sql, types, args);
    va_end(args);

    if (query == NULL) {
        return -1;
    }

    do {
        rc = store_step(store, query);
    } while (rc == SQLITE_ROW);

    sqlite3_finalize(query);

    return rc == SQLITE_DONE ? sqlite3_changes(store->db) : -1;
}


json_t *
store_object(upstream_store_t *store, const char *sql, const char *types, ...)
{
    json_t        *row;
    va_list        args;
    sqlite3_stmt  *query;

    va_start(args, types);
    query = store_bind(store, sql, types, args);
    va_end(args);

    if (query == NULL) {
        return NULL;
    }

    row = NULL;

    if (store_step(store, query) == SQLITE_ROW) {
        row = store_row(store, query);
    }

    sqlite3_finalize(query);

    return row;
}


json_t *
store_array(upstream_store_t *store, const char *sql, const char *types, ...)
{
    json_t        *rows;
    va_list        args;
    sqlite3_stmt  *query;

    va_start(args, types);
    query = store_bind(store, sql, types, args);
    va_end(args);

    if (query == NULL) {
        return NULL;
    }

    rows = json_array();

    while (store_step(store, query) == SQLITE_ROW) {
        json_array_append_new(rows, store_row(store, query));
    }

    sqlite3_finalize(query);

    if (store->failed) {
        json_decref(rows);
        return NULL;
    }

    return rows;
}


int64_t
store_number(upstream_store_t *store, int64_t otherwise, const char *sql,
    const char *types, ...)
{
    va_list        args;
    sqlite3_stmt  *query;

    va_start(args, types);
    query = store_bind(store, sql, types, args);
    va_end(args);

    if (query == NULL) {
        return otherwise;
    }

    if (store_step(store, query) == SQLITE_ROW) {
        otherwise = sqlite3_column_int64(query, 0);
    }

    sqlite3_finalize(query);

    return otherwise;
}


static sqlite3_stmt *
store_bind(upstream_store_t *store, const char *sql, const char *types,
    va_list args)
{
    int            i;
    sqlite3_stmt  *query;

    if (sqlite3_prepare_v2(store->db, sql, -1, &query, NULL) != SQLITE_OK) {
        store_failed(store);
        return NULL;
    }

    for (i = 1; *types; i++, types++) {

        if (*types == 's') {
            sqlite3_bind_text(query, i, va_arg(args, const char *), -1,
                              SQLITE_TRANSIENT);

        } else {
            sqlite3_bind_int64(query, i, va_arg(args, int64_t));
        }
    }

    return query;
}


static int
store_step(upstream_store_t *store, sqlite3_stmt *query)
{
    int  rc;

    rc = sqlite3_step(query);

    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        store_failed(store);
    }

    return rc;
}


static json_t *
store_row(upstream_store_t *store, sqlite3_stmt *query)
{
    int      i;
    json_t  *row, *value;

    row = json_object();

    for (i = 0; i < sqlite3_column_count(query); i++) {

        switch (sqlite3_column_type(query, i)) {

        case SQLITE_NULL:
            continue;

        case SQLITE_INTEGER:
            value = json_integer(sqlite3_column_int64(query, i));
            break;

        default:
            value = json_string((const char *) sqlite3_column_text(query, i));
        }

        if (json_object_set_new(row, sqlite3_column_name(query, i), value)
            != 0)
        {
            store_failed(store);
        }
    }

    return row;
}


static void
store_failed(upstream_store_t *store)
{
    if (!store->failed) {
        upstream_log("database: %s", sqlite3_errmsg(store->db));
    }

    store->failed = 1;
}


int
store_id(upstream_store_t *store, const char *kind, char *id, size_t size)
{
    int64_t  n;

    store_exec(store, "UPDATE numbers SET last = last + 1 WHERE kind = ?", "s",
               kind);

    n = store_number(store, 0, "SELECT last FROM numbers WHERE kind = ?", "s",
                     kind);

    snprintf(id, size, "%s%lld", kind, (long long) n);

    return n ? 0 : -1;
}


json_t *
store_now(upstream_store_t *store)
{
    return store_object(store, "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') "
                        "AS now", "");
}
