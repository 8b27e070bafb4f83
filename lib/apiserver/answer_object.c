/* SPDX-License-Identifier: Apache-2.0 */
/* Answering with one object in the form that was asked; a webhook may have to convert it first. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/custom_convert.h"

struct waiting {
    struct fed_api_reply *r;
    struct fed_kobj *o;
    int status;
};

static void answer_ready(void *ud, int code, const struct fed_err *err)
{
    struct waiting *w = ud;
    struct fed_kobj *o = w->o;
    if (code)
        fed_api_fail_err(w->r, err);
    else
        fed_api_answer_object(w->r, w->status, o);
    fed_kobj_unref(o);
}

/* Another version of a kind that a webhook converts: true, and it is answered when it is there. */
static bool convert_first(struct fed_api_reply *r, int status, struct fed_kobj *o)
{
    if (fed_form_ready(o, &r->form))
        return false;
    struct waiting *w = FED_ARENA_NEW(&r->arena, struct waiting);
    *w = (struct waiting){r, fed_kobj_ref(o), status};
    fed_api_request_defer(r);
    (void)fed_conv_objects(r->api, r->form.v, &o, 1, answer_ready, w);
    return true;
}

void fed_api_answer_object(struct fed_api_reply *r, int status, struct fed_kobj *o)
{
    struct fed_blob *blob = NULL;
    struct fed_buf b = {0};
    if (convert_first(r, status, o))
        return;
    if (r->form.kind == FED_FORM_TABLE) {
        fed_form_write(&b, o, &r->form, fed_wall_ms(r->api->env), true);
        fed_api_answer_text(r, status, fed_buf_str(&b));
        fed_buf_release(&b);
        return;
    }
    struct fed_str bytes = fed_form_bytes(o, &r->form, &blob);
    if (blob && !r->pretty && !r->yaml) {
        fed_blob_ref(blob); /* the answer may outlive the encoding */
        fed_api_answer_blob(r, status, "application/json", blob);
        fed_blob_unref(blob);
    } else {
        fed_api_answer_text(r, status, bytes);
    }
}
