/* SPDX-License-Identifier: Apache-2.0 */
/* server.h: hansa-globallb as a whole: the control thread (settings, watching, probing, snapshots, metrics) and its
 * workers.
 *
 * Model:   start: settings -> saved snapshot or objects file -> sockets -> workers -> prober -> watch when the kubeconfig
 *          is there. Each second, and at SIGHUP, the cluster's name, credentials and objects are looked at again; a
 *          change of the cluster's name makes the engine (builder, prober) anew, new credentials a new connection. Other
 *          settings need a restart, and a log line says so.
 * Threads: glb_server_run is the control thread. */
#ifndef GLB_IO_SERVER_H
#define GLB_IO_SERVER_H

/* Until SIGTERM or SIGINT (then running requests end within --stop-timeout); returns the exit status. */
int glb_server_run(int argc, char **argv);

#endif
