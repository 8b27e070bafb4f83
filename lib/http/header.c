/* SPDX-License-Identifier: Apache-2.0 */
#include "http/header.h"

/* XX(status, reason): RFC 9110 section 15, RFC 6585, RFC 4918. */
#define STATUS_MAP(XX)                                                                                                 \
    XX(100, "Continue")                                                                                                \
    XX(101, "Switching Protocols")                                                                                     \
    XX(200, "OK")                                                                                                      \
    XX(201, "Created")                                                                                                 \
    XX(202, "Accepted")                                                                                                \
    XX(203, "Non-Authoritative Information")                                                                           \
    XX(204, "No Content")                                                                                              \
    XX(205, "Reset Content")                                                                                           \
    XX(206, "Partial Content")                                                                                         \
    XX(300, "Multiple Choices")                                                                                        \
    XX(301, "Moved Permanently")                                                                                       \
    XX(302, "Found")                                                                                                   \
    XX(303, "See Other")                                                                                               \
    XX(304, "Not Modified")                                                                                            \
    XX(307, "Temporary Redirect")                                                                                      \
    XX(308, "Permanent Redirect")                                                                                      \
    XX(400, "Bad Request")                                                                                             \
    XX(401, "Unauthorized")                                                                                            \
    XX(403, "Forbidden")                                                                                               \
    XX(404, "Not Found")                                                                                               \
    XX(405, "Method Not Allowed")                                                                                      \
    XX(406, "Not Acceptable")                                                                                          \
    XX(408, "Request Timeout")                                                                                         \
    XX(409, "Conflict")                                                                                                \
    XX(410, "Gone")                                                                                                    \
    XX(411, "Length Required")                                                                                         \
    XX(412, "Precondition Failed")                                                                                     \
    XX(413, "Content Too Large")                                                                                       \
    XX(414, "URI Too Long")                                                                                            \
    XX(415, "Unsupported Media Type")                                                                                  \
    XX(416, "Range Not Satisfiable")                                                                                   \
    XX(417, "Expectation Failed")                                                                                      \
    XX(421, "Misdirected Request")                                                                                     \
    XX(422, "Unprocessable Content")                                                                                   \
    XX(426, "Upgrade Required")                                                                                        \
    XX(428, "Precondition Required")                                                                                   \
    XX(429, "Too Many Requests")                                                                                       \
    XX(431, "Request Header Fields Too Large")                                                                         \
    XX(500, "Internal Server Error")                                                                                   \
    XX(501, "Not Implemented")                                                                                         \
    XX(502, "Bad Gateway")                                                                                             \
    XX(503, "Service Unavailable")                                                                                     \
    XX(504, "Gateway Timeout")                                                                                         \
    XX(505, "HTTP Version Not Supported")

const char *fed_http_reason(int status)
{
    switch (status) {
#define XX(code, text)                                                                                                 \
    case code:                                                                                                         \
        return text;
        STATUS_MAP(XX)
#undef XX
    default:
        return "";
    }
}

static void two(char *p, int64_t v)
{
    p[0] = (char)('0' + v / 10 % 10);
    p[1] = (char)('0' + v % 10);
}

void fed_http_date(int64_t wall_ms, char out[30])
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1 January 1970 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t secs = wall_ms < 0 ? 0 : wall_ms / 1000;
    int64_t day = secs / 86400, sec = secs % 86400;
    /* Civil date of the proleptic Gregorian calendar: years begin in March so that the leap day comes last. */
    int64_t shifted = day + 719468, era = shifted / 146097, doe = shifted % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, mday = doy - (153 * mp + 2) / 5 + 1;
    int64_t month = mp < 10 ? mp + 2 : mp - 10; /* 0 = January */
    int64_t year = (yoe + era * 400 + (month <= 1)) % 10000;

    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", 30);
    memcpy(out, days + 3 * (day % 7), 3);
    two(out + 5, mday);
    memcpy(out + 8, months + 3 * month, 3);
    two(out + 12, year / 100);
    two(out + 14, year % 100);
    two(out + 17, sec / 3600);
    two(out + 20, sec / 60 % 60);
    two(out + 23, sec % 60);
}
