/* SPDX-License-Identifier: Apache-2.0 */
/* How an attempt to write ends without having written: what it held is given back, the asker is told why. */
#include "apiserver/quota.h"
#include "apiserver/quota_guard.h"
#include "apiserver/registry.h"

void fed_commit_settle(struct fed_write_op *op, bool committed)
{
    fed_quota_settle(op);
    fed_guard_leave(op);
    const struct fed_hooks *h = &op->w.kind->hooks;
    if (op->prepared && h->settled)
        h->settled(h->ud, &op->w, op->obj, committed);
    op->prepared = false;
}

void fed_commit_fail(struct fed_write_op *op, int code)
{
    struct fed_api_reply *r = op->r;
    fed_commit_settle(op, false);
    fed_commit_release(op);
    if (op->done) {
        op->done(op, code, 0, &op->err);
        return;
    }
    if (code == FED_E_CONFLICT && !op->err.text[0])
        fed_api_fail_object(
            r, code,
            "Operation cannot be fulfilled on %.*s \"%.*s\": the object has been modified; please apply "
            "your changes to the latest version and try again",
            FED_STR_ARG(fed_api_qualified(r)), FED_STR_ARG(r->q.name));
    else if (code == FED_E_CONFLICT)
        fed_api_fail_object(r, code, "Operation cannot be fulfilled on %.*s \"%.*s\": %s",
                            FED_STR_ARG(fed_api_qualified(r)), FED_STR_ARG(r->q.name), op->err.text);
    else
        fed_api_fail_object(r, code, op->err.text[0] ? "%s" : NULL, op->err.text);
}

void fed_commit_fail_causes(struct fed_write_op *op)
{
    fed_commit_settle(op, false);
    fed_commit_release(op);
    if (op->done) {
        fed_err_set(&op->err, FED_E_INVALID, "%.*s", FED_STR_ARG(op->causes.items[0].message));
        op->done(op, FED_E_INVALID, 0, &op->err);
        return;
    }
    fed_api_fail_causes(op->r, &op->causes);
}

void fed_commit_refuse(struct fed_write_op *op, int code)
{
    struct fed_api_reply *r = op->r;
    struct fed_err err = op->err;
    if (code == FED_E_FORBIDDEN && !op->done) {
        fed_commit_settle(op, false);
        fed_commit_release(op);
        fed_api_fail_object(r, code, "%.*s \"%.*s\" is forbidden: %s", FED_STR_ARG(fed_api_qualified(r)),
                            FED_STR_ARG(r->q.name), err.text);
    } else {
        fed_commit_fail(op, code);
    }
}

void fed_commit_refuse_text(struct fed_write_op *op, int status, struct fed_str text)
{
    fed_commit_settle(op, false);
    fed_commit_release(op);
    if (op->done) {
        int code = fed_status_read(status, text, &op->err);
        op->done(op, code, 0, &op->err);
    } else {
        fed_api_answer_text(op->r, status, text);
    }
}
