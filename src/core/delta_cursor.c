
/*
 * Copyright (C) Delta contributors
 */

#include "delta_cursor.h"


#define delta_cursor_digit(c)  ((uint8_t) ((c) - '0') < 10)


static int delta_cursor_pair(uint64_t *a, uint64_t *b, char separator,
    const char *p, size_t n);
static int delta_cursor_number(uint64_t *number, const char *p, size_t n);
static int delta_cursor_digits(const char *p, size_t n);
static int delta_cursor_days(int *days, int year, int month, int day);
static size_t delta_cursor_print(char *out, uint64_t number);


int
delta_position_parse(delta_position_t *position, const char *p, size_t n)
{
    delta_position_t  found;

    if (delta_cursor_pair(&found.ms, &found.seq, '-', p, n) != 0) {
        return -1;
    }

    *position = found;

    return 0;
}


int
delta_cursor_parse(delta_cursor_t *cursor, const char *p, size_t n)
{
    delta_cursor_t  found;

    if (delta_cursor_pair(&found.epoch, &found.ms, '.', p, n) != 0) {
        return -1;
    }

    *cursor = found;

    return 0;
}


int
delta_place_parse(uint64_t *epoch, delta_position_t *position, const char *p,
    size_t n)
{
    size_t            len;
    uint64_t          number;
    const char       *dot;
    delta_position_t  found;

    dot = n > DELTA_PLACE_LEN ? NULL : memchr(p, '.', n);

    if (dot == NULL) {
        return -1;
    }

    len = dot - p;

    if (delta_cursor_number(&number, p, len) != 0
        || delta_position_parse(&found, dot + 1, n - len - 1) != 0)
    {
        return -1;
    }

    *epoch = number;
    *position = found;

    return 0;
}


static int
delta_cursor_pair(uint64_t *a, uint64_t *b, char separator, const char *p,
    size_t n)
{
    size_t       len;
    const char  *found;

    if (n == 0 || n > DELTA_POSITION_LEN) {
        return -1;
    }

    found = memchr(p, separator, n);

    if (found == NULL) {
        return -1;
    }

    len = found - p;

    if (delta_cursor_number(a, p, len) != 0) {
        return -1;
    }

    return delta_cursor_number(b, found + 1, n - len - 1);
}


static int
delta_cursor_number(uint64_t *number, const char *p, size_t n)
{
    size_t    i;
    uint64_t  value, digit;

    if (n == 0 || n > 20 || (n > 1 && p[0] == '0')) {
        return -1;
    }

    value = 0;

    for (i = 0; i < n; i++) {

        if (!delta_cursor_digit(p[i])) {
            return -1;
        }

        digit = p[i] - '0';

        if (value > (UINT64_MAX - digit) / 10) {
            return -1;
        }

        value = value * 10 + digit;
    }

    *number = value;

    return 0;
}


int
delta_position_parse_time(delta_position_t *position, const char *p, size_t n)
{
    int                days, hour, minute, second;
    size_t             i;
    uint64_t           nano;
    static const char  form[] = "0000-00-00T00:00:00";

    if (n < sizeof(form) || n > sizeof(form) + 10 || p[n - 1] != 'Z') {
        return -1;
    }

    for (i = 0; i < sizeof(form) - 1; i++) {

        if (form[i] == '0' ? !delta_cursor_digit(p[i]) : p[i] != form[i]) {
            return -1;
        }
    }

    if (delta_cursor_days(&days, delta_cursor_digits(p, 4),
                          delta_cursor_digits(p + 5, 2),
                          delta_cursor_digits(p + 8, 2))
        != 0)
    {
        return -1;
    }

    hour = delta_cursor_digits(p + 11, 2);
    minute = delta_cursor_digits(p + 14, 2);
    second = delta_cursor_digits(p + 17, 2);

    if (hour > 23 || minute > 59 || second > 59) {
        return -1;
    }

    nano = 0;

    if (n > sizeof(form)) {

        if (p[i++] != '.' || i == n - 1) {
            return -1;
        }

        for (n = n - 1; i < sizeof(form) + 9; i++) {

            if (i < n && !delta_cursor_digit(p[i])) {
                return -1;
            }

            nano = nano * 10 + (i < n ? p[i] - '0' : 0);
        }
    }

    position->ms = (((uint64_t) days * 24 + hour) * 60 + minute) * 60000
                   + (uint64_t) second * 1000 + nano / 1000000;
    position->seq = nano % 1000000;

    return 0;
}


static int
delta_cursor_digits(const char *p, size_t n)
{
    int     value;
    size_t  i;

    value = 0;

    for (i = 0; i < n; i++) {
        value = value * 10 + (p[i] - '0');
    }

    return value;
}


static int
delta_cursor_days(int *days, int year, int month, int day)
{
    int               leap, past;
    static const int  before[] = {
        0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365
    };

    if (year < 1970 || month < 1 || month > 12 || day < 1) {
        return -1;
    }

    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (day > before[month] - before[month - 1] + (month == 2 && leap)) {
        return -1;
    }

    past = year - 1;

    *days = (year - 1970) * 365 + (past / 4 - past / 100 + past / 400)
            - (1969 / 4 - 1969 / 100 + 1969 / 400)
            + before[month - 1] + (month > 2 && leap) + day - 1;

    return 0;
}


size_t
delta_position_format(char *out, delta_position_t position)
{
    size_t  n;

    n = delta_cursor_print(out, position.ms);
    out[n++] = '-';

    return n + delta_cursor_print(out + n, position.seq);
}


size_t
delta_cursor_format(char *out, delta_cursor_t cursor)
{
    size_t  n;

    n = delta_cursor_print(out, cursor.epoch);
    out[n++] = '.';

    return n + delta_cursor_print(out + n, cursor.ms);
}


size_t
delta_place_format(char *out, uint64_t epoch, delta_position_t position)
{
    size_t  n;

    n = delta_cursor_print(out, epoch);
    out[n++] = '.';

    return n + delta_position_format(out + n, position);
}


size_t
delta_position_format_time(char *out, delta_position_t position)
{
    int       i, days, year, month, day;
    size_t    k;
    uint64_t  rest, number[7];

    static const uint64_t  last = UINT64_C(253402300799999);    /* 9999 */
    static const int       places[] = { 4, 2, 2, 2, 2, 2, 9 };
    static const char      ends[] = "--T::.Z";

    if (position.ms > last) {
        position.ms = last;
    }

    if (position.seq > 999999) {
        position.seq = 999999;
    }

    /* days of years that begin in March, from the year 0 on */

    rest = position.ms / 86400000 + 719468;
    i = rest / 146097;
    days = rest % 146097;
    year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
    days -= year * 365 + year / 4 - year / 100;
    month = (5 * days + 2) / 153;
    day = days - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;

    rest = position.ms % 86400000;

    number[0] = year + i * 400 + (month <= 2);
    number[1] = month;
    number[2] = day;
    number[3] = rest / 3600000;
    number[4] = rest / 60000 % 60;
    number[5] = rest / 1000 % 60;
    number[6] = rest % 1000 * 1000000 + position.seq;

    for (i = 0, k = 0; i < 7; i++) {

        for (day = places[i]; day--; number[i] /= 10) {
            out[k + day] = '0' + number[i] % 10;
        }

        k += places[i];
        out[k++] = ends[i];
    }

    return k;
}


static size_t
delta_cursor_print(char *out, uint64_t number)
{
    char    buf[20];
    size_t  i;

    i = sizeof(buf);

    do {
        buf[--i] = '0' + number % 10;
        number /= 10;
    } while (number);

    memcpy(out, buf + i, sizeof(buf) - i);

    return sizeof(buf) - i;
}


int
delta_position_compare(delta_position_t a, delta_position_t b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }

    return (a.seq > b.seq) - (a.seq < b.seq);
}
