/* SPDX-License-Identifier: Apache-2.0 */
/* server.h: hansa-dns as a whole: the control thread (settings, watching, probing, snapshots, metrics) and its workers.
 *
 * Model:   start: settings -> saved snapshot or objects file -> sockets -> workers -> prober -> watch when the kubeconfig
 *          is there. Each second, and at SIGHUP, settings, credentials and objects are looked at again; what changed is
 *          swapped in; a bad file is reported once and the old state stays. Listen addresses, the number of workers,
 *          the state folder and the metrics address need a restart; a change of the cluster's name makes the engine
 *          (builder, prober) anew.
 * Threads: gdns_server_run is the control thread. */
#ifndef GDNS_IO_SERVER_H
#define GDNS_IO_SERVER_H

/* Until SIGTERM or SIGINT; returns the exit status. */
int gdns_server_run(int argc, char **argv);

#endif
