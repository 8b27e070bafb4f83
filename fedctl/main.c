/* SPDX-License-Identifier: Apache-2.0 */
#include "fedctl/fedctl.h"

int main(int argc, char **argv)
{
    struct fctl c;
    struct fed_loop *loop = fed_loop_new();
    fctl_init(&c, loop);
    int status = fctl_main(&c, argc, argv);
    fctl_release(&c);
    fed_loop_free(loop);
    return status;
}
