/* Dates as mail writes them (RFC 5322 3.3), in English whatever the locale. */
#include <postern/mail.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

char *postern_date_format(int64_t unix_seconds, char *buf, size_t size)
{
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t when = (time_t)unix_seconds;
    struct tm tm;
    long minutes;

    /* A year that RFC 5322 cannot write is a broken clock or file: the epoch shows that best. */
    if (!localtime_r(&when, &tm) || tm.tm_year < 0 || tm.tm_year > 9999 - 1900) {
        when = 0;
        gmtime_r(&when, &tm);
    }
    minutes = tm.tm_gmtoff / 60;
    snprintf(buf, size, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
             minutes < 0 ? '-' : '+', labs(minutes) / 60, labs(minutes) % 60);
    return buf;
}
