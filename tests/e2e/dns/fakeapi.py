# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes API of a few kinds: list and watch, nothing else. Objects are put and dropped by the test."""
import http.server
import json
import queue
import threading
import urllib.parse

KINDS = {"clusters": ("federation/v1beta1", "Cluster"), "serviceimports": ("multicluster.x-k8s.io/v1alpha1", "ServiceImport"),
         "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice"), "ingresses": ("networking.k8s.io/v1", "Ingress")}


class FakeApi:
    def __init__(self, port):
        self.lock, self.rev = threading.Lock(), 1
        self.objects = {k: {} for k in KINDS}
        self.watchers = {k: [] for k in KINDS}
        self.deleted = {k: [] for k in KINDS}  # a watch tells what went since its list, too
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                plural = url.path.rsplit("/", 1)[1]
                if plural not in KINDS:
                    self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                                      "reason": "NotFound", "message": "no such path"})
                elif "watch" in query:
                    self.watch(plural, query)
                else:
                    with api.lock:
                        items = list(api.objects[plural].values())
                        rev = api.rev
                    version, kind = KINDS[plural]
                    self.answer(200, {"kind": kind + "List", "apiVersion": version,
                                      "metadata": {"resourceVersion": str(rev)}, "items": items})

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def watch(self, plural, query):
                if query.get("sendInitialEvents") == "true":
                    self.answer(422, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 422,
                                      "reason": "Invalid", "message": "sendInitialEvents is not supported"})
                    return
                box, since = queue.Queue(), int(query.get("resourceVersion") or 0)
                with api.lock:
                    changed = [("DELETED", o) for o in api.deleted[plural]]
                    changed += [("MODIFIED", o) for o in api.objects[plural].values()]
                    for event in sorted(changed, key=lambda e: int(e[1]["metadata"]["resourceVersion"])):
                        if int(event[1]["metadata"]["resourceVersion"]) > since:
                            box.put(event)
                    api.watchers[plural].append(box)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    while True:
                        event = box.get()
                        if event is None:
                            break
                        data = json.dumps({"type": event[0], "object": event[1]}).encode() + b"\n"
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                        self.wfile.flush()
                except OSError:
                    pass
                self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, obj):
        plural = next(k for k, (_, kind) in KINDS.items() if kind == obj["kind"])
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        with self.lock:
            self.rev += 1
            event = "MODIFIED" if key in self.objects[plural] else "ADDED"
            obj["metadata"]["resourceVersion"] = str(self.rev)
            self.objects[plural][key] = obj
            for box in self.watchers[plural]:
                box.put((event, obj))

    def drop(self, plural, ns, name):
        with self.lock:
            self.rev += 1
            obj = json.loads(json.dumps(self.objects[plural].pop((ns, name))))
            obj["metadata"]["resourceVersion"] = str(self.rev)
            self.deleted[plural].append(obj)
            for box in self.watchers[plural]:
                box.put(("DELETED", obj))

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for boxes in self.watchers.values():
                for box in boxes:
                    box.put(None)
