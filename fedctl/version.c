/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "fedctl/fedctl.h"

struct version_conf {
    struct fctl_common common;
};

static int run(struct fctl *c, void *conf FED_UNUSED, struct fed_err *err FED_UNUSED)
{
    fctl_say(c, "kubefed %s", FCTL_VERSION);
    return 0;
}

static const struct fed_setting rows[] = {FCTL_HARMLESS_ROW(version_conf)};
static const struct fed_settings settings = {.program = "kubefed version",
                                             .summary = "Prints the version",
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

const struct fctl_verb fctl_verb_version = {.name = "version",
                                            .settings = &settings,
                                            .conf_size = sizeof(struct version_conf),
                                            .examples = "  kubefed version",
                                            .run = run};
