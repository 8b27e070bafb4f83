# SPDX-License-Identifier: Apache-2.0
"""A wire to the API that can be cut: TCP through a port of its own, all connections ended whenever the test says so."""
import socket
import threading


class Wire:
    def __init__(self, port):
        self.target, self.lock, self.open, self.cuts = ("127.0.0.1", port), threading.Lock(), set(), 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target, timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self.lock:
                self.open |= {near, far}
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        self.end(a, b)

    def end(self, *sockets):
        for s in sockets:
            with self.lock:
                self.open.discard(s)
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def cut(self):
        """Ends every connection as it stands, in the middle of whatever goes over it."""
        with self.lock:
            now, self.cuts = set(self.open), self.cuts + 1
        self.end(*now)

    def close(self):
        self.server.close()
        self.cut()
