# SPDX-License-Identifier: Apache-2.0
"""A cluster's edge for tests: HTTP on each ADDR:PORT given, and a UDP server that answers any DNS query REFUSED.

usage: edge.py UDP_ADDR:PORT HTTP_ADDR:PORT...
"""
import http.server
import socket
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def split(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(split(sys.argv[1]))
for where in sys.argv[2:]:
    threading.Thread(target=Server(split(where), Handler).serve_forever, daemon=True).start()
print("ready", flush=True)
while True:
    msg, peer = udp.recvfrom(4096)
    if len(msg) >= 12:
        udp.sendto(msg[:2] + b"\x80\x05" + msg[4:6] + bytes(6) + msg[12:], peer)
