/* SPDX-License-Identifier: Apache-2.0 */
/* text.c: values as text: for string(), and for people. */
#include <arpa/inet.h>

#include "cel/cel_priv.h"

static void write_net(const struct fed_cel_value *v, struct fed_buf *out)
{
    char text[INET6_ADDRSTRLEN];

    inet_ntop(v->net->n == 4 ? AF_INET : AF_INET6, v->net->bytes, text, sizeof(text));
    fed_buf_addz(out, text);
    if (v->kind == FED_CEL_CIDR)
        fed_buf_addf(out, "/%u", v->net->prefix);
}

static bool is_utf8(struct fed_str s)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t more = c < 0x80                ? 0
                      : c >= 0xc2 && c < 0xe0 ? 1
                      : c >= 0xe0 && c < 0xf0 ? 2
                      : c >= 0xf0 && c < 0xf5 ? 3
                                              : 9;
        unsigned char second = more && i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;

        if (i + more >= s.n)
            return false;
        for (size_t k = 1; k <= more; k++)
            if (((unsigned char)s.p[i + k] & 0xc0) != 0x80)
                return false;
        if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) || (c == 0xf0 && second < 0x90) ||
            (c == 0xf4 && second > 0x8f))
            return false;
        i += more + 1;
    }
    return true;
}

bool fed_cel_to_text(struct fed_cel_run *r, const struct fed_cel_value *v, struct fed_cel_value *out)
{
    struct fed_buf b = {0};

    switch (v->kind) {
    case FED_CEL_STRING:
        *out = *v;
        return true;
    case FED_CEL_BYTES:
        *out = fed_cel_str(v->s);
        return is_utf8(v->s) || fed_cel_fail(r, "invalid UTF-8 in bytes, cannot convert to string");
    case FED_CEL_BOOL:
        *out = fed_cel_str(v->b ? FED_STR("true") : FED_STR("false"));
        return true;
    case FED_CEL_TYPE:
        *out = fed_cel_str(v->s);
        return true;
    case FED_CEL_INT:
        fed_buf_addf(&b, "%lld", (long long)v->i);
        break;
    case FED_CEL_UINT:
        fed_buf_add_u64(&b, v->u);
        break;
    case FED_CEL_DOUBLE:
        fed_cel_double_write(v->d, &b);
        break;
    case FED_CEL_TIMESTAMP:
        fed_cel_timestamp_write(v, &b);
        break;
    case FED_CEL_DURATION:
        fed_cel_duration_write(v->i, &b);
        break;
    case FED_CEL_IP:
    case FED_CEL_CIDR:
        write_net(v, &b);
        break;
    default:
        return fed_cel_fail(r, "type conversion error from '%s' to 'string'",
                            fed_cel_kind_name((enum fed_cel_kind)v->kind));
    }
    *out = fed_cel_str(fed_cel_take(r, &b));
    return true;
}

void fed_cel_write(struct fed_cel_run *r, const struct fed_cel_value *v, struct fed_buf *out)
{
    struct fed_cel_walk w;
    struct fed_cel_value key, value;

    if (!fed_cel_pay(r, 1)) /* the same list may stand in it any number of times */
        return;
    if (v->kind == FED_CEL_STRING) {
        fed_json_write_string(out, v->s);
    } else if (v->kind == FED_CEL_NULL) {
        fed_buf_addz(out, "null");
    } else if (v->kind == FED_CEL_OBJECT) {
        fed_json_write(out, v->of.json);
    } else if (v->kind == FED_CEL_LIST || v->kind == FED_CEL_MAP) {
        bool map = v->kind == FED_CEL_MAP;

        fed_buf_addc(out, map ? '{' : '[');
        for (w = fed_cel_walk(v); fed_cel_next(r, &w, &key, &value);) {
            if (w.i > 1)
                fed_buf_addz(out, ", ");
            if (map) {
                fed_cel_write(r, &key, out);
                fed_buf_addz(out, ": ");
            }
            fed_cel_write(r, &value, out);
        }
        fed_buf_addc(out, map ? '}' : ']');
    } else if (v->kind == FED_CEL_OPTIONAL) {
        fed_buf_addz(out, v->inner ? "optional(" : "optional.none()");
        if (v->inner) {
            fed_cel_write(r, v->inner, out);
            fed_buf_addc(out, ')');
        }
    } else if (fed_cel_to_text(r, v, &value)) {
        fed_buf_add(out, value.s);
    } else {
        fed_buf_addz(out, fed_cel_kind_name((enum fed_cel_kind)v->kind));
    }
}
