/* SPDX-License-Identifier: Apache-2.0 */
/* hansa-globallb: see globallb/io/server.h. */
#include "globallb/io/server.h"

int main(int argc, char **argv)
{
    return glb_server_run(argc, argv);
}
