# SPDX-License-Identifier: Apache-2.0
"""hansa-globallb watching a federation: credentials that come later, changes, losing the API, its own restart.

    tests/e2e/dns/fakeapi.py (list, watch) --> hansa-globallb --state DIR
"""
import pathlib
import sys

import yaml

from glb import Balancer, free_port, ok, simple_world, wait_for
from test_glb_proxy import HOST, one

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "dns"))
import fakeapi  # noqa: E402

fakeapi.KINDS.setdefault("secrets", ("v1", "Secret"))
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


def write_kubeconfig(path, port):
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "fed",
        "clusters": [{"name": "fed", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "fed", "user": {"token": "t"}}],
        "contexts": [{"name": "fed", "context": {"cluster": "fed", "user": "fed"}}]}))


def test_watch_lose_and_restart(tmp_path, backend):
    up = backend(ok(b"here\n"))
    port = free_port()
    api = fakeapi.FakeApi(port)
    edge = tmp_path / "edge"
    edge.mkdir()
    (edge / "cluster").write_text("us-east1\n")
    state = tmp_path / "state"
    argv = (f"--kubeconfig={tmp_path}/kubeconfig", f"--state={state}", f"--config-dir={edge}", "--probes=false")
    b = Balancer(tmp_path, None, *argv, cluster=None)
    try:
        assert one(b, GET)[0].startswith(b"HTTP/1.1 503")
        for doc in simple_world({"us-east1": [("127.0.0.1", up.port)]}).docs:
            api.put(doc)
        write_kubeconfig(tmp_path / "kubeconfig", port)
        wait_for(lambda: one(b, GET)[1] == b"here\n")
        b.counts("hansa_traffic_connected", 1)
        wait_for(lambda: (state / "snapshot").exists())
        api.stop()
        assert one(b, GET)[1] == b"here\n"
        b.proc.kill()
        b.proc.wait()
        b = Balancer(tmp_path, None, *argv, cluster=None)
        assert one(b, GET)[1] == b"here\n"
        b.counts("hansa_traffic_connected", 0)
        # The cluster is renamed: the engine is made anew and goes on.
        (edge / "cluster").write_text("asia-east1\n")
        wait_for(lambda: "settings read again cluster=asia-east1" in b.text())
        assert one(b, GET)[1] == b"here\n"
    finally:
        b.stop()
