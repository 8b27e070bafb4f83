/* SPDX-License-Identifier: Apache-2.0 */
/* flags.c: what the texts of flags mean. Pure. */
#include "base/mem.h"
#include "fedctl/plan.h"
#include "kube/names.h"

int fctl_check_provider(const char *provider, struct fed_err *err)
{
    static const char *const originals[] = {"google-clouddns", "aws-route53", "azure-azuredns", "coredns"};
    if (!provider || strcmp(provider, "hansa") == 0)
        return 0;
    for (size_t i = 0; i < FED_ARRAY_LEN(originals); i++)
        if (strcmp(provider, originals[i]) == 0)
            return fed_err_set(
                err, FED_E_INVALID,
                "--dns-provider: \"%s\" is not supported: every joined cluster answers DNS for the "
                "federation itself. Use --dns-provider=hansa (the default) and delegate the zone with NS "
                "records to the clusters' DNS servers (`kubefed status` shows them)",
                provider);
    return fed_err_set(err, FED_E_INVALID, "--dns-provider: \"%s\" is unknown; the one there is is \"hansa\"",
                       provider);
}

int fctl_parse_zone(struct fed_arena *a, const char *text, const char **zone, struct fed_err *err)
{
    struct fed_str s = fed_str(text);
    if (s.n && s.p[s.n - 1] == '.')
        s.n--;
    if (!s.n)
        return fed_err_set(err, FED_E_INVALID,
                           "--dns-zone-name: the name of a DNS zone is required, as in example.com");
    const char *wrong = fed_name_check_subdomain(s);
    if (wrong)
        return fed_err_set(err, FED_E_INVALID, "--dns-zone-name: \"%s\" is no DNS name: %s", text, wrong);
    *zone = fed_arena_printf(a, "%.*s.", FED_STR_ARG(s)).p;
    return 0;
}

static bool degrees(struct fed_str s, double limit)
{
    char text[32], *end = NULL;
    if (!s.n || s.n >= sizeof(text))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.' || (s.p[i] == '-' && i == 0)))
            return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    double v = strtod(text, &end);
    return end == text + s.n && v >= -limit && v <= limit;
}

int fctl_check_coordinates(const char *text, struct fed_err *err)
{
    struct fed_str rest = fed_str(text), latitude;
    if (fed_str_cut(&rest, ',', &latitude) && degrees(fed_str_trim(latitude), 90) && rest.p &&
        degrees(fed_str_trim(rest), 180))
        return 0;
    return fed_err_set(err, FED_E_INVALID, "coordinates: \"%s\" is not LATITUDE,LONGITUDE in degrees, as in 50.45,3.82",
                       text);
}

static void add(struct fed_arena *a, struct fed_strings *list, const char *text)
{
    const char **v = FED_ARENA_ARRAY(a, const char *, list->n + 1);
    for (size_t i = 0; i < list->n; i++)
        v[i] = list->v[i];
    v[list->n++] = text;
    list->v = v;
}

void fctl_concat(struct fed_arena *a, struct fed_strings *list, const struct fed_strings *more)
{
    for (size_t i = 0; i < more->n; i++)
        add(a, list, more->v[i]);
}

int fctl_parse_overrides(struct fed_arena *a, const char *flag, const struct fed_strings *in, struct fed_strings *out,
                         struct fed_err *err)
{
    *out = (struct fed_strings){0};
    for (size_t i = 0; i < in->n; i++) {
        struct fed_str s = fed_str(in->v[i]);
        ptrdiff_t eq = fed_str_chr(s, '=', 0);
        if (fed_str_starts(s, FED_STR("--")) && eq > 2) {
            add(a, out, fed_arena_dupz(a, fed_str_head(s, (size_t)eq)));
            add(a, out, fed_arena_dupz(a, fed_str_from(s, (size_t)eq + 1)));
        } else if (!fed_str_starts(s, FED_STR("--")) && out->n) {
            out->v[out->n - 1] = fed_arena_printf(a, "%s,%s", out->v[out->n - 1], in->v[i]).p;
        } else {
            return fed_err_set(err, FED_E_INVALID, "--%s: \"%s\" is not --ARGUMENT=VALUE", flag, in->v[i]);
        }
    }
    return 0;
}

int fctl_parse_labels(struct fed_arena *a, const char *flag, const struct fed_strings *in, struct fed_json **out,
                      struct fed_err *err)
{
    *out = in->n ? fed_json_object(a) : NULL;
    for (size_t i = 0; i < in->n; i++) {
        struct fed_str value = fed_str(in->v[i]), key;
        const char *wrong = "it has no \"=\"";
        if (fed_str_cut(&value, '=', &key) && value.p) {
            wrong = fed_name_check_qualified(key);
            if (!wrong)
                wrong = fed_name_check_label_value(value);
        }
        if (wrong)
            return fed_err_set(err, FED_E_INVALID, "--%s: \"%s\" is not KEY=VALUE: %s", flag, in->v[i], wrong);
        fed_json_set_str(*out, fed_arena_dup(a, key), fed_json_new_str(a, fed_arena_dup(a, value)));
    }
    return 0;
}

static int parse_cluster(struct fed_arena *a, const char *text, struct fctl_place *out, struct fed_err *err)
{
    struct fed_str rest = fed_str(text), name, place, region;
    fed_str_cut(&rest, '=', &name);
    out->name = fed_arena_dupz(a, name);
    const char *wrong = fed_name_check_1035(name);
    if (wrong)
        return fed_err_set(err, FED_E_INVALID, "--clusters: \"%s\" is no name for a cluster: %s", out->name, wrong);
    if (!rest.p)
        return 0;
    fed_str_cut(&rest, '@', &place);
    fed_str_cut(&place, '/', &region);
    if (!region.n || !place.n || fed_name_check_label_value(region) || fed_name_check_label_value(place))
        return fed_err_set(err, FED_E_INVALID, "--clusters: \"%s\" is not NAME[=REGION/ZONE[@LATITUDE,LONGITUDE]]",
                           text);
    out->region = fed_arena_dupz(a, region);
    out->zone = fed_arena_dupz(a, place);
    if (!rest.p)
        return 0;
    out->coordinates = fed_arena_dupz(a, rest);
    return fctl_check_coordinates(out->coordinates, err);
}

int fctl_parse_clusters(struct fed_arena *a, const struct fed_strings *in, struct fctl_place **out, size_t *n,
                        struct fed_err *err)
{
    struct fed_strings whole = {0};
    for (size_t i = 0; i < in->n; i++) {
        const char *at = whole.n ? strchr(whole.v[whole.n - 1], '@') : NULL;
        if (at && !strchr(at, ',')) /* the comma of the coordinates */
            whole.v[whole.n - 1] = fed_arena_printf(a, "%s,%s", whole.v[whole.n - 1], in->v[i]).p;
        else
            add(a, &whole, in->v[i]);
    }
    *out = FED_ARENA_ARRAY(a, struct fctl_place, whole.n + 1);
    *n = whole.n;
    if (!whole.n)
        return fed_err_set(err, FED_E_INVALID, "--clusters: name at least one cluster");
    for (size_t i = 0; i < whole.n; i++) {
        int code = parse_cluster(a, whole.v[i], &(*out)[i], err);
        if (code)
            return code;
        for (size_t j = 0; j < i; j++)
            if (strcmp((*out)[j].name, (*out)[i].name) == 0)
                return fed_err_set(err, FED_E_INVALID, "--clusters: \"%s\" is named twice", (*out)[i].name);
    }
    return 0;
}
