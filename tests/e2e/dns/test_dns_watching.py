# SPDX-License-Identifier: Apache-2.0
"""hansa-dns watching a federation: credentials that come later, changes, losing the API, restarts from its snapshot.

    fakeapi.py (list, watch) ──> hansa-dns --state DIR
"""
import re
import signal
import sys
import time
import pathlib

import pytest
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fakeapi import FakeApi
from test_dns import API, NETWORKS, ROOT, Dns, free_port, wait_for

EUROPE = {"ecs": "198.51.100.0"}


def load(api):
    for doc in yaml.safe_load_all((ROOT / "tests/data/dns/world.yaml").read_text()):
        if doc:
            api.put(doc)


def kubeconfig(path, port):
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "fed",
        "clusters": [{"name": "fed", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "fed", "user": {"token": "t"}}],
        "contexts": [{"name": "fed", "context": {"cluster": "fed", "user": "fed"}}]}))


@pytest.fixture
def parts(tmp_path):
    """(start a server, the API, its port, folder): what was started is stopped."""
    started = []

    def start():
        d = Dns(tmp_path, f"--kubeconfig={tmp_path}/kubeconfig", f"--state={tmp_path}/state", "--probes=false",
                f"--networks={NETWORKS}", "--cluster=us-east1")
        started.append(d)
        return d

    port = free_port()
    api = FakeApi(port)
    load(api)
    yield start, api, port, tmp_path
    api.stop()
    for d in started:
        if d.process.poll() is None:
            assert d.stop() == 0


def test_watch_lose_and_restart(parts):
    start, api, port, tmp = parts
    dns = start()
    assert dns.ask(API) == "2" and dns.ask("example.com", 6) == "0"  # SERVFAIL, and the zone itself
    kubeconfig(tmp / "kubeconfig", port)  # join writes the credentials
    wait_for(lambda: dns.ask(API, **EUROPE) and set(dns.ask(API, **EUROPE)) == {"127.2.1.1", "127.2.1.2"})
    wait_for(lambda: dns.metric("hansa_traffic_connected") == 1)

    slices = {o["metadata"]["name"]: o for o in api.objects["endpointslices"].values()}
    europe = slices["api-status-europe-west1"]
    europe["endpoints"] = [{"addresses": ["127.2.1.7"], "conditions": {"ready": True}}]
    began = time.monotonic()
    api.put(europe)
    wait_for(lambda: dns.ask(API, **EUROPE) == ["127.2.1.7"], step=0.005)
    assert time.monotonic() - began < 5  # told by the watch, not by a list of later
    api.drop("endpointslices", "production", "api-status-europe-west1")
    api.drop("endpointslices", "production", "api-status-europe-west1-ipv6")
    wait_for(lambda: set(dns.ask(API, **EUROPE)) == {"127.1.1.1", "127.1.1.2"})
    api.put(europe)
    wait_for(lambda: dns.ask(API, **EUROPE) == ["127.2.1.7"])

    cluster = api.objects["clusters"][("", "europe-west1")]
    cluster["status"]["conditions"] = [{"type": "Offline", "status": "True"}]
    api.put(cluster)
    wait_for(lambda: set(dns.ask(API, **EUROPE)) == {"127.1.1.1", "127.1.1.2"})
    cluster["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    api.put(cluster)
    wait_for(lambda: dns.ask(API, **EUROPE) == ["127.2.1.7"])

    # the control plane goes: nothing changes, also across our own restart (kill -9)
    snapshot = tmp / "state" / "snapshot"
    wait_for(lambda: snapshot.exists() and "127.2.1.7" in snapshot.read_text()
             and not re.search(r'"Offline",\s*"status":\s*"True"', snapshot.read_text()))
    api.stop()
    wait_for(lambda: dns.metric("hansa_traffic_connected") == 0)
    assert dns.ask(API, **EUROPE) == ["127.2.1.7"]
    dns.process.send_signal(signal.SIGKILL)
    dns.process.wait()
    again = start()
    assert again.ask(API, **EUROPE) == ["127.2.1.7"]
    assert again.ask("api.example.com", **EUROPE) == ["127.2.0.80"]

    # it comes back with less: what is not there any more vanishes
    api2 = FakeApi(port)
    load(api2)
    api2.drop("serviceimports", "production", "api-status")
    wait_for(lambda: again.ask(API) == "3", seconds=20)
    api2.stop()


def test_a_damaged_snapshot_is_ignored(parts):
    start, _, port, tmp = parts
    (tmp / "state").mkdir()
    (tmp / "state" / "snapshot").write_bytes(b"hansa-snapshot 1 5 0000000000000000\nhello")
    dns = start()
    assert dns.ask(API) == "2"
    kubeconfig(tmp / "kubeconfig", port)
    wait_for(lambda: set(dns.ask(API)) == {"127.1.1.1", "127.1.1.2"})
    wait_for(lambda: (tmp / "state" / "snapshot").stat().st_size > 1000)
    assert (tmp / "state" / "snapshot").stat().st_mode & 0o777 == 0o600


def test_credentials_that_are_wrong_may_be_mended(parts):
    start, _, port, tmp = parts
    (tmp / "kubeconfig").write_text("not: [a kubeconfig")
    dns = start()
    assert dns.ask(API) == "2"
    kubeconfig(tmp / "kubeconfig", port)
    wait_for(lambda: set(dns.ask(API)) == {"127.1.1.1", "127.1.1.2"})
