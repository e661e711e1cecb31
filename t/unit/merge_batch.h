
/*
 * Copyright (C) Delta contributors
 *
 * Events to merge, from their text.
 */

#ifndef _MERGE_BATCH_H_INCLUDED_
#define _MERGE_BATCH_H_INCLUDED_


#include "delta_merge.h"
#include "tap.h"


#define MERGE_EVENTS  16
#define MERGE_PLENTY  (1 << 24)

#ifndef MERGE_TEXT
#define MERGE_TEXT    4096
#endif


typedef struct {
    char                buf[MERGE_EVENTS][MERGE_TEXT];
    delta_merge_item_t  in[MERGE_EVENTS];
    size_t              n;
} merge_batch_t;


/* "<type> <d>" */

tap_unused static void
merge_add(merge_batch_t *b, const char *text)
{
    char                *p;
    delta_merge_item_t  *item;

    p = b->buf[b->n];
    item = &b->in[b->n++];

    strcpy(p, text);

    item->event.t.data = p;
    item->event.t.len = strcspn(p, " ");
    item->event.d.data = p + item->event.t.len + 1;
    item->event.d.len = strlen(item->event.d.data);
    item->rule = delta_merge_rule(item->event.t);
}


#endif /* _MERGE_BATCH_H_INCLUDED_ */
