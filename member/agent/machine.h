/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h: what this machine is, in the words of a Node's status.nodeInfo (all of them are required there).
 *
 * Model:      read once, from uname(2), /etc/os-release, /etc/machine-id and /proc, as a kubelet does.
 * Failure:    none; what cannot be read is empty ("Linux" for the name of the system).
 */
#ifndef MBR_AGENT_MACHINE_H
#define MBR_AGENT_MACHINE_H

struct mbr_machine {
    char kernel[65], arch[65]; /* arch in Go's words: amd64, arm64 */
    char os_image[128];
    char machine_id[64], system_uuid[64], boot_id[64];
};
void mbr_machine_read(struct mbr_machine *out);

#endif
