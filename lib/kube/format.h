/* SPDX-License-Identifier: Apache-2.0 */
/* format.h: the string formats that Kubernetes checks in objects of custom kinds. Pure. */
#ifndef FED_KUBE_FORMAT_H
#define FED_KUBE_FORMAT_H

#include <stdbool.h>

#include "base/str.h"

/* Whether the text has the format; true for formats that are not checked (password, unknown names). */
bool fed_format_ok(struct fed_str format, struct fed_str text);
/* Whether the name is one that is checked, or one known to be just a hint. Others are unrecognized. */
bool fed_format_known(struct fed_str format);

#endif
