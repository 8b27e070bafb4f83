/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_vfs.h: how SQLite reaches the store's file, so that two connections of this process share it and nobody else.
 *
 * Model:      a VFS over the system's own. The index of the log, which SQLite otherwise keeps in a file beside the store
 *             (-shm) or, for an exclusive connection, in that connection alone, is in this process's memory, one for each
 *             store file; so are the locks between its connections. Data goes through unchanged.
 * Invariants: the file's own lock is exclusive from the first access of the first connection until that one is closed,
 *             so other processes are refused as with locking_mode=EXCLUSIVE. There is no -shm file that could fail to grow.
 * Ownership:  the connection that was opened first is closed last.
 * Threads:    each connection belongs to one thread at a time, several may run at once.
 * Failure:    SQLite's codes; a file that another process has locked is SQLITE_BUSY.
 */
#ifndef STORE_SQLITE_VFS_H
#define STORE_SQLITE_VFS_H

/* For sqlite3_open_v2; registered on first use, never removed. NULL: the system has none to stand on. */
const char *store_sqlite_vfs(void);

#endif
