
/*
 * Copyright (C) Delta contributors
 *
 * Event stream blocks (HTML standard, 9.2 Server-sent events).
 */

#ifndef _DELTA_SSE_H_INCLUDED_
#define _DELTA_SSE_H_INCLUDED_


#include "delta.h"


/*
 * One block: "id:", "event:", "data:" lines and the empty line that sends
 * it; an empty id or event leaves its line out.  CR, LF or CRLF within data
 * start another "data:" line, so a value can never forge a field; data.data
 * == NULL leaves them out, which sends nothing but the id.  An id or
 * event with CR, LF or NUL is refused: returns 0 and writes nothing.
 *
 * Returns the bytes written; with out == NULL, the bytes it would write.
 */
size_t delta_sse_block(char *out, delta_str_t id, delta_str_t event,
    delta_str_t data);


#endif /* _DELTA_SSE_H_INCLUDED_ */
