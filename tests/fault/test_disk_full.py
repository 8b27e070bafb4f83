# SPDX-License-Identifier: Apache-2.0
"""The disk of the store fills up: writes are refused with the disk's name, reads and what was acknowledged stay; when there is
room again writes go on, without a restart. Also after a kill -9 on the full disk."""
import collections
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from crash import APID, PATH, Client, Unknown


class Small:
    """hansa-apid on a file system of 8 MiB of its own, half of which a file `filler` takes."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hansa-full-"))
        self.refusals = collections.Counter()
        (self.dir / "disk").mkdir()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        # The shell stays and holds the file system; it starts the server again when that ends.
        self.shell = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c",
             'mount -t tmpfs -o size=8m none "$1" && head -c 4194304 /dev/zero > "$1/filler" || exit 9\n'
             'while :; do "$2" "$1" --store sqlite --plain --port "$3" & echo $! > "$4/pid"; wait $!; done',
             "sh", self.dir / "disk", APID, str(self.port), self.dir], stderr=open(self.dir / "log", "w"))

    def pid(self):
        return int((self.dir / "pid").read_text())

    def wait_ready(self):
        for _ in range(3000):
            if self.shell.poll() is not None:
                pytest.skip("no file system of one's own on this machine")
            try:
                if Client(self).call("GET", "/version")[0] == 200:
                    return
            except (ConnectionRefusedError, Unknown):
                pass
            time.sleep(0.01)
        raise AssertionError((self.dir / "log").read_text())

    def inside(self, name):
        return pathlib.Path(f"/proc/{self.shell.pid}/root{self.dir}/disk/{name}")

    def end(self):
        self.shell.kill()
        self.shell.wait()
        os.kill(self.pid(), signal.SIGKILL)
        shutil.rmtree(self.dir)


@pytest.fixture
def small():
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    s = Small()
    yield s
    s.end()


def fill(client, prefix, made):
    """Creates objects until one is refused; returns the refusal."""
    for i in range(4000):
        name = f"{prefix}-{i}"
        status, body = client.call("POST", PATH, {"metadata": {"name": name}, "data": {"x": name * 200}})
        if status != 201:
            return status, body
        made.append(name)
    raise AssertionError("never full")


def listed(client):
    status, body = client.call("GET", PATH)
    assert status == 200
    return [o["metadata"]["name"] for o in body["items"] if o["data"]["x"] == o["metadata"]["name"] * 200]


def test_full_disk(small):
    small.wait_ready()
    client, made = Client(small), []
    status, body = fill(client, "a", made)
    assert status == 500 and body["reason"] == "InternalError"
    assert f"the disk that holds {small.dir}/disk/store.db is full" in body["message"]
    assert len(made) > 50
    for _ in range(20):  # refused again and again, and nothing breaks
        assert client.call("POST", PATH, {"metadata": {"name": "no"}, "data": {"x": "y" * 100000}})[0] == 500
    assert sorted(listed(client)) == sorted(made)
    small.inside("filler").unlink()
    status, body = client.call("POST", PATH, {"metadata": {"name": "again"}, "data": {"x": "again" * 200}})
    assert status == 201, body
    made.append("again")
    # Full again, and killed there.
    fill(client, "b", made)
    os.kill(small.pid(), signal.SIGKILL)
    client = Client(small)
    small.wait_ready()
    assert sorted(listed(client)) == sorted(made)
    for name in made[:200]:
        client.call("DELETE", f"{PATH}/{name}")
