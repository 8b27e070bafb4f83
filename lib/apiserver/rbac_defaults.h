/* SPDX-License-Identifier: Apache-2.0 */
/* rbac_defaults.h: the roles and bindings that every server has, as tables.
 *
 * Model:      rules of roles one after the other, a row without verbs begins the next role; sums are aggregated roles; bindings.
 *             A ClusterRole system:controller:X is bound to the service account X of kube-system, without a row.
 * Invariants: words are separated by commas; a name is NAME, of the cluster, or NAMESPACE/NAME. Each table ends with zeros.
 * Threads:    immutable.
 */
#ifndef FED_APISERVER_RBAC_DEFAULTS_H
#define FED_APISERVER_RBAC_DEFAULTS_H

#define FED_BOOT_CONTROLLER "system:controller:"

struct fed_boot_rule {
    const char *verbs;              /* NULL: a role begins, `groups` is its name */
    const char *groups, *resources; /* NULL: of URLs */
    const char *names_or_urls;      /* names of objects where there are resources */
};
struct fed_boot_sum {
    const char *name;   /* holds what is labelled aggregate-to-NAME, as the role system:aggregate-to-NAME is */
    const char *inside; /* is part of this one itself, or NULL */
};
struct fed_boot_binding {
    const char *name, *role; /* a role of the same scope */
    const char *subjects;    /* KIND=NAME; NAMESPACE/NAME of service accounts */
};

extern const struct fed_boot_rule fed_boot_rules[];
extern const struct fed_boot_sum fed_boot_sums[];
extern const struct fed_boot_binding fed_boot_bindings[];

#endif
