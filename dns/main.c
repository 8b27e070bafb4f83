/* SPDX-License-Identifier: Apache-2.0 */
/* hansa-dns: see dns/io/server.h. */
#include "dns/io/server.h"

int main(int argc, char **argv)
{
    return gdns_server_run(argc, argv);
}
