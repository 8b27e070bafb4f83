/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/desired.h"

#include "fedapi/controllers/marks.h"
#include "fedapi/controllers/spread.h"

/* Annotations that speak to the hub, or that a controller of the member writes. The v1 preferences and the selector go
 * along, as they always did. */
static bool is_hub_annotation(struct fed_str key)
{
    static const char *const names[] = {"kubectl.kubernetes.io/last-applied-configuration",
                                        "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation",
                                        FAPI_SERVICE_INGRESSES};
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++) {
        if (fed_str_is(key, names[i]))
            return true;
    }
    return fed_str_starts(key, FED_STR("federation.hansa.io/"));
}

static struct fed_json *make_metadata(struct fed_arena *a, const struct fapi_desired_conf *conf, struct fed_json *out)
{
    const struct fed_json *source = fed_json_find(conf->source, "metadata");
    struct fed_json *meta = fed_json_ensure_object(a, out, "metadata");
    struct fed_str ns = fed_json_find_text(source, "namespace");
    fed_json_set(meta, "name", fed_json_new_str(a, fed_json_find_text(source, "name")));
    if (ns.n)
        fed_json_set(meta, "namespace", fed_json_new_str(a, ns));
    FED_JSON_EACH(l, fed_json_find(source, "labels"))
        fed_json_set_str(fed_json_ensure_object(a, meta, "labels"), l->key, fed_json_copy(a, l));
    FED_JSON_EACH(n, fed_json_find(source, "annotations")) {
        if (!is_hub_annotation(n->key))
            fed_json_set_str(fed_json_ensure_object(a, meta, "annotations"), n->key, fed_json_copy(a, n));
    }
    fed_obj_set_label(a, out, FAPI_MANAGED, FED_STR("true"));
    fed_obj_set_annotation(a, out, FAPI_FEDERATION_UID, conf->federation_uid);
    fed_obj_set_annotation(a, out, FAPI_SOURCE_UID, fed_json_find_text(source, "uid"));
    return meta;
}

/* Copies spec members of the member's object over those of ours. */
static void retain(struct fed_arena *a, struct fed_json *spec, const struct fed_json *member, const char *key)
{
    const struct fed_json *v = fed_json_find(member, key);
    if (v && spec)
        fed_json_set(spec, key, fed_json_copy(a, v));
}

static bool same_port(const struct fed_json *p, const struct fed_json *q)
{
    struct fed_str x = fed_json_find_text(p, "protocol"), y = fed_json_find_text(q, "protocol");
    return fed_str_eq(fed_json_find_text(p, "name"), fed_json_find_text(q, "name")) &&
           fed_str_eq(x.n ? x : FED_STR("TCP"), y.n ? y : FED_STR("TCP")) &&
           fed_json_int(fed_json_find(p, "port"), 0) == fed_json_int(fed_json_find(q, "port"), 0);
}

/* Addresses are given out by each cluster: only "None" can be meant for all. Node ports too, unless the user chose one;
 * the hub gives out none. */
static void service(struct fed_arena *a, struct fed_json *spec, const struct fed_json *member)
{
    const struct fed_json *theirs = fed_json_find(member, "spec");
    struct fed_str type = fed_json_find_text(spec, "type");
    bool headless = fed_str_is(fed_json_find_text(spec, "clusterIP"), "None");
    bool external = fed_str_is(type, "ExternalName");
    bool node_ports = fed_str_is(type, "NodePort") || fed_str_is(type, "LoadBalancer");
    static const char *const addresses[] = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"};
    for (size_t i = 0; i < FED_ARRAY_LEN(addresses) && !headless && !external; i++) {
        fed_json_remove_key(spec, addresses[i]);
        if (!fed_str_is(fed_json_find_text(theirs, "clusterIP"), "None"))
            retain(a, spec, theirs, addresses[i]);
    }
    if (fed_str_is(type, "LoadBalancer") && fed_str_is(fed_json_find_text(spec, "externalTrafficPolicy"), "Local") &&
        !fed_json_find(spec, "healthCheckNodePort"))
        retain(a, spec, theirs, "healthCheckNodePort");
    FED_JSON_EACH(p, fed_json_find(spec, "ports")) {
        if (!node_ports || fed_json_int(fed_json_find(p, "nodePort"), 0) > 0)
            continue;
        fed_json_remove_key(p, "nodePort");
        FED_JSON_EACH(q, fed_json_find(theirs, "ports")) {
            if (same_port(p, q))
                retain(a, p, q, "nodePort");
        }
    }
}

static void by_kind(struct fed_arena *a, const struct fapi_desired_conf *conf, struct fed_str kind,
                    struct fed_json *out)
{
    struct fed_json *spec = fed_json_find(out, "spec");
    if (fed_str_is(kind, "Service")) {
        service(a, spec, conf->member);
    } else if (fed_str_is(kind, "Namespace")) {
        fed_json_remove_key(out, "spec"); /* finalizers: each cluster's own */
    } else if (fed_str_is(kind, "ServiceAccount")) {
        fed_json_remove_key(out, "secrets");
        retain(a, out, conf->member, "secrets");
    } else if (fed_str_is(kind, "PersistentVolumeClaim")) {
        fed_json_remove_key(spec, "volumeName");
        retain(a, spec, fed_json_find(conf->member, "spec"), "volumeName");
    } else if (fed_str_is(kind, "Job")) {
        /* The selector is of the federated Job's uid, so that its pods are known as one Job's in all clusters. What is
         * left of it is taken away by the hub: a copy that goes by itself would be made, and run, again. */
        fed_json_set(spec, "manualSelector", fed_json_new_bool(a, true));
        fed_json_remove_key(spec, "ttlSecondsAfterFinished");
        if (conf->replicas < 0)
            return;
        retain(a, spec, fed_json_find(conf->member, "spec"), "completions");
    } else if (fed_str_is(kind, "DaemonSet")) {
        fed_json_remove_key(spec, "templateGeneration"); /* old API versions only */
    }
}

static bool scaled_by_member(const struct fed_json *source)
{
    return fed_str_is(fed_obj_annotation(source, FAPI_RETAIN_REPLICAS), "true") ||
           fed_obj_annotation(source, FAPI_HPA_TARGETS).n;
}

/* Another name says nothing about an object of a kind that users defined. */
static void custom_kind(struct fed_arena *a, const struct fapi_desired_conf *conf, struct fed_json *out)
{
    const struct fed_json *theirs = fapi_custom_at(conf->member, conf->custom->replicas);
    if (conf->api_version.n)
        fed_json_set(out, "apiVersion", fed_json_new_str(a, conf->api_version));
    fapi_custom_apply(a, conf->custom, out, conf->replicas);
    if (theirs && (conf->scaled || scaled_by_member(conf->source)))
        fapi_custom_set(out, conf->custom->replicas, fed_json_copy(a, theirs));
}

struct fed_json *fapi_desired(struct fed_arena *a, const struct fapi_desired_conf *conf)
{
    struct fed_json *out = fed_json_object(a);
    struct fed_str kind = fed_json_find_text(conf->source, "kind");
    fed_json_set(out, "apiVersion", fed_json_new_str(a, fed_json_find_text(conf->source, "apiVersion")));
    fed_json_set(out, "kind", fed_json_new_str(a, kind));
    make_metadata(a, conf, out);
    FED_JSON_EACH(m, conf->source) {
        if (!fed_str_is(m->key, "apiVersion") && !fed_str_is(m->key, "kind") && !fed_str_is(m->key, "metadata") &&
            !fed_str_is(m->key, "status"))
            fed_json_set_str(out, m->key, fed_json_copy(a, m));
    }
    struct fed_json *spec = fed_json_find(out, "spec");
    if (conf->custom) {
        custom_kind(a, conf, out);
        return out;
    }
    fapi_spread_apply(a, kind, out, conf->replicas);
    if (spec && (conf->scaled || scaled_by_member(conf->source)))
        retain(a, spec, fed_json_find(conf->member, "spec"), "replicas");
    by_kind(a, conf, kind, out);
    return out;
}
