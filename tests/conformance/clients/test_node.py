# SPDX-License-Identifier: Apache-2.0
"""@kubernetes/client-node from npm, as package-lock.json pins it, installed into build/. HANSA_OFFLINE=yes leaves it out."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import threading

import pytest

import history
from test_python import Cutter, until

HERE = pathlib.Path(__file__).resolve().parent
PLACE = HERE.parents[2] / "build/conformance-node"
pytestmark = pytest.mark.skipif(os.environ.get("HANSA_OFFLINE", "") not in ("", "no"), reason="HANSA_OFFLINE is set")


@pytest.fixture(scope="session")
def node():
    assert shutil.which("node") and shutil.which("npm"), "nodejs and npm are missing: fedctl/quickstart --build-only --tests"
    PLACE.mkdir(parents=True, exist_ok=True)
    lock, mark = (HERE / "package-lock.json").read_text(), PLACE / "installed"
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(HERE / name, PLACE / name)
    if not mark.exists() or mark.read_text() != lock:
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=PLACE, capture_output=True, text=True,
                              timeout=300)
        assert done.returncode == 0, f"npm ci failed (HANSA_OFFLINE=yes leaves these tests out):\n{done.stderr[-3000:]}"
        mark.write_text(lock)
    return ["node", str(PLACE / "client.mjs")]


@pytest.mark.parametrize("what", ["objects", "watch"])
def test_node(node, engine, ns, what):
    done = subprocess.run([*node, str(engine.kubeconfig), ns, what], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == '"done"\n', done.stdout + done.stderr


def test_node_streams(node, member):
    """exec, port-forward and logs of a pod."""
    member.api.namespace("node-streams", account=True)
    done = subprocess.run([*node, str(member.kubeconfig), "node-streams", "streams"], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0 and done.stdout == '"done"\n', done.stdout + done.stderr


def test_node_informer_cut_off(node, engine, wire, ns):
    p = subprocess.Popen([*node, str(wire.kubeconfig), ns, "informer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seen = []

    def read():
        for line in p.stdout:
            seen.append(json.loads(line))
    threading.Thread(target=read, daemon=True).start()
    try:
        until(lambda: seen, lambda: "the first list")
        rand, ended = random.Random(3), threading.Event()

        def cutter():
            while not ended.wait(0.02 + rand.random() * 0.1):
                wire.cut()
        thread = threading.Thread(target=cutter)
        # The informer's own first list comes after "ready": what it misses of the writes is told as added.
        first, _ = history.write(engine.api, ns, 1, seed=4)
        until(lambda: len(seen) > 1, lambda: "the first event")
        thread.start()
        try:
            done, alive = history.write(engine.api, ns, 300, seed=5, pause=0.01, taken=first)
        finally:
            ended.set()
            thread.join()
        until(lambda: len(seen) > len(done) + 1, lambda: f"{len(seen)} of {len(done) + 2} events")
    finally:
        p.stdin.close()
        p.wait(10)
    history.compare(seen[1:], first + done)
    assert wire.cuts > 10


def test_node_informer_and_a_server_that_dies(node, mortal, mortal_wire):
    mortal.api.namespace("a", account=False)
    p = subprocess.Popen([*node, str(mortal_wire.kubeconfig), "a", "informer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seen = []

    def read():
        for line in p.stdout:
            seen.append(json.loads(line))
    threading.Thread(target=read, daemon=True).start()
    try:
        until(lambda: seen, lambda: "the first list")
        storm = history.Storm(mortal, "a", seed=8)
        # The informer's own first list comes after "ready": what it misses of the writes is told as added.
        mortal.api("POST", storm.path, {"metadata": {"name": "first"}})
        until(lambda: len(seen) > 1, lambda: "the first event")
        with Cutter(mortal_wire, 9, 0.3):
            storm.write(200, kills=5)
        told, _ = storm.truth()
        until(lambda: len(seen) > len(told), lambda: f"{len(seen) - 1} of {len(told)} events")
    finally:
        p.stdin.close()
        p.wait(10)
    assert [tuple(e) for e in seen[1:]] == told and storm.kills >= 4
