
/*
 * Copyright (C) Delta contributors
 *
 * The tables, and what is in them at first.
 */

#ifndef _UPSTREAM_SCHEMA_H_INCLUDED_
#define _UPSTREAM_SCHEMA_H_INCLUDED_


#define SCHEMA_VERSION  2       /* in meta; another one is refused */


extern const char  schema_tables[];
extern const char  schema_seeds[];


#endif /* _UPSTREAM_SCHEMA_H_INCLUDED_ */
