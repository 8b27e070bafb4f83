/* SPDX-License-Identifier: Apache-2.0 */
/* custom_convert.h: objects of custom kinds whose versions a webhook converts (spec.conversion.strategy Webhook).
 *
 * Model:      forms of objects are made without waiting (form.h). So whoever needs one that only a webhook can make asks
 *             for it first and goes on when it is there: what the webhook made is kept with the object, like every
 *             other encoding. Bodies of writes are converted the same way: the attempt ends, and begins anew with the
 *             result at hand.
 * Invariants: a webhook changes no metadata but labels and annotations, and cannot make another object of one.
 * Ownership:  a wait belongs to its caller until done() or fed_conv_cancel; objects and kind are referenced.
 * Failure:    FED_E_INTERNAL with "conversion webhook for GROUP/VERSION, Kind=KIND failed: why".
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_CUSTOM_CONVERT_H
#define FED_APISERVER_CUSTOM_CONVERT_H

#include "apiserver/registry.h"

struct fed_conv_wait;
typedef void (*fed_conv_done)(void *ud, int code, const struct fed_err *err);

/* Gives each object that lacks it its encoding in version `to`. done is called once, never before this returned. */
struct fed_conv_wait *fed_conv_objects(struct fed_api *api, const struct fed_kind_version *to,
                                       struct fed_kobj *const *objs, size_t n, fed_conv_done done, void *ud);
void fed_conv_cancel(struct fed_conv_wait *w); /* NULL ok; done is not called */
void fed_conv_release(struct fed_api *api);    /* after fed_webhooks_release: forgets what runs */

/* The attempt needs the current object in another version: true, and op->again is called when it is there. */
bool fed_conv_current(struct fed_write_op *op);
/* The body, in place, from one version to another. FED_E_BUSY: op->again is called with the result at hand; the
 * attempt ends here without an answer. */
FED_MUST_USE int fed_conv_body(struct fed_write_op *op, struct fed_json *obj, const struct fed_kind_version *from,
                               const struct fed_kind_version *to, struct fed_err *err);

/* Pure: the converted objects of a webhook's answer, as many as were sent; NULL: err says why not. */
struct fed_json *fed_conv_review_read(struct fed_arena *a, struct fed_str body, const char *uid, size_t n,
                                      struct fed_err *err);
/* Pure: checks what came for `was` and gives it the metadata back; labels and annotations may be new. */
FED_MUST_USE int fed_conv_take(struct fed_arena *a, const struct fed_kind_version *to, const struct fed_json *was,
                               struct fed_json *now, struct fed_err *err);

#endif
