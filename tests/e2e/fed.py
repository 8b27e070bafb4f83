# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test shares: a federation of three clusters in a folder of its own, and hands to reach it.

    run(...)      a command: its output, or an assertion that shows what went wrong
    poll(...)     until a condition holds: tests wait for conditions and never sleep
    federation    the federation of the session (`kubefed up`); .kubectl .dig .curl .kubefed .region .state
    kubectl_path  each kubectl at hand, one test run each (the oldest and the newest; with HANSA_TEST_LONG=yes all)

Binaries come from $HANSA_BIN or $HANSA_BUILD/bin (build/release/bin). The session fails when a process of the federation outlives it.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from builds import SLOW

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("HANSA_BIN", ROOT / "build/release/bin")).resolve()
MANIFESTS = ROOT / "tests/data/manifests"
REGIONS = ("us-east1", "europe-west1", "asia-east1")
NEAR = {"us-east1": "192.0.2.0/24", "europe-west1": "198.51.100.0/24", "asia-east1": "203.0.113.0/24"}


def run(*argv, env=None, check=True, stdin=None, timeout=120):
    """Runs a command. Returns the CompletedProcess with text output; asserts success unless check is False."""
    argv = [str(a) for a in argv]
    done = subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, timeout=timeout)
    if check:
        assert done.returncode == 0, (f"{' '.join(argv)}\nexit {done.returncode}\n--- stdout\n{done.stdout[-8000:]}"
                                      f"\n--- stderr\n{done.stderr[-8000:]}")
    return done


def with_status(text, **status):
    """The object with these fields in its status, for `kubectl replace --raw PATH/status`: old ones have no --subresource."""
    o = json.loads(text)
    return json.dumps({**o, "status": {**o.get("status", {}), **status}})


def poll(condition, timeout=30, interval=0.1, what=None):
    """Calls condition() until it returns something true, which is returned. A failed assertion in it, and a field or an object that
    is not there, mean: not yet."""
    end = time.monotonic() + timeout * SLOW
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (AssertionError, LookupError, TypeError) as e:
            last = f"{type(e).__name__}: {e}"
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what or condition.__name__}: {last}")
        time.sleep(interval)


def kubectls():
    """The kubectl binaries at hand by version, oldest first: on PATH, its sisters kubectl.1.NN, unpacked in build/tools."""
    found, paths = {}, []
    main = shutil.which("kubectl")
    if main:
        real = pathlib.Path(main).resolve()
        paths = [real, *real.parent.glob("kubectl.1.*")]
    for path in [*paths, *ROOT.glob("build/tools/*/usr/bin/kubectl")]:
        out = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True)
        m = re.search(r'"gitVersion": "v(\d+)\.(\d+)', out.stdout)
        if m:
            found[(int(m.group(1)), int(m.group(2)))] = str(path)
    return [found[v] for v in sorted(found)]


def processes_of(folder):
    """{pid: command line} of the processes that have the folder in their command line or environment."""
    mark, found = str(folder).encode(), {}
    for proc in pathlib.Path("/proc").iterdir():
        if not proc.name.isdigit() or int(proc.name) == os.getpid():
            continue
        try:
            line = (proc / "cmdline").read_bytes()
            if mark in line or mark in (proc / "environ").read_bytes():
                found[int(proc.name)] = line.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


class Federation:
    """A federation made by `kubefed up --dir DIR`; its commands run with what DIR/env exports."""

    def __init__(self, folder, *flags):
        self.dir = pathlib.Path(folder)
        self.flags = flags
        # DIR is where `kubefed` looks without --dir: $XDG_STATE_HOME/hansa/fed.
        self.env = dict(os.environ, PATH=f"{BIN}:{os.environ['PATH']}", XDG_STATE_HOME=str(self.dir.parents[1]))
        self.kubectl_binary = kubectls()[-1] if kubectls() else "kubectl"

    def up(self, *flags):
        done = run(BIN / "kubefed", "up", "--dir", self.dir, *self.flags, *flags, env=self.env, timeout=300)
        exports = run("sh", "-c", f'. "{self.dir}/env" && env -0', env=self.env).stdout
        self.env = dict(line.split("=", 1) for line in exports.split("\0") if "=" in line)
        return done

    def down(self, *flags, check=True):
        return run(BIN / "kubefed", "down", "--dir", self.dir, *flags, env=self.env, check=check)

    def kubefed(self, *argv, **kw):
        return run(BIN / "kubefed", *argv, env=self.env, **kw)

    def kubectl(self, *argv, binary=None, **kw):
        """kubectl in the federation; --context CLUSTER reaches a member. Its cache is the test's own."""
        return run(binary or self.kubectl_binary, "--cache-dir", self.dir / "kubectl-cache", *argv, env=self.env, **kw)

    def get(self, *argv, **kw):
        """The JSON of `kubectl get ...`."""
        return json.loads(self.kubectl("get", "-o", "json", *argv, **kw).stdout)

    def addresses(self, variable):
        """HANSA_DNS_ALL or HANSA_LB as {region: "address:port"}."""
        return dict(entry.split("=", 1) for entry in self.env[variable].split())

    def dig(self, name, kind="A", server=None, near=None, *flags):
        """The values of the answer section; server "address:port" (default HANSA_DNS); near: a client's network."""
        address, port = (server or self.env["HANSA_DNS"]).rsplit(":", 1)
        subnet = [f"+subnet={near}"] if near else []
        out = run("dig", f"@{address}", "-p", port, name, kind, "+short", "+time=5", "+tries=1", *subnet, *flags)
        return out.stdout.split("\n")[:-1]

    def curl(self, url, *flags, check=True):
        """The body. Fails on an HTTP error."""
        return run("curl", "-fsS", "--max-time", "5", *flags, url, check=check).stdout

    def pids(self, cluster=None):
        """{pid: command line} of all processes, or of one cluster's."""
        return processes_of(self.dir / cluster if cluster else self.dir)


def end(federation):
    """Stops everything, and says which processes were left."""
    down = federation.down("--purge", "--yes", check=False)
    left = {}
    for _ in range(50):
        left = federation.pids()
        if not left:
            break
        time.sleep(0.1)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert down.returncode == 0, f"kubefed down failed: {down.stdout}{down.stderr}"
    assert not left, f"left running: {left}"


@pytest.fixture(scope="session")
def make_federation(tmp_path_factory):
    """make_federation(*flags of up): one more federation; all are stopped at the end of the session."""
    made = []

    def make(*flags):
        # A short path: sockets of pods have names of at most 107 bytes.
        fed = Federation(pathlib.Path(tempfile.mkdtemp(prefix="h-")) / "hansa/fed", *flags)
        made.append(fed)
        fed.up()
        return fed

    yield make
    problems = []
    for fed in made:
        try:
            end(fed)
        except AssertionError as e:
            problems.append(str(e))
        shutil.rmtree(fed.dir.parents[1], ignore_errors=True)
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def federation(make_federation):
    """The session's federation of three clusters. Tests leave it as they found it."""
    return make_federation()


def pytest_generate_tests(metafunc):
    if "kubectl_path" in metafunc.fixturenames:
        all_of_them = kubectls()
        if os.environ.get("HANSA_TEST_LONG") != "yes" and len(all_of_them) > 2:
            all_of_them = [all_of_them[0], all_of_them[-1]]
        names = ["debian" if "/build/tools/" in p else pathlib.Path(p).name for p in all_of_them]
        metafunc.parametrize("kubectl_path", all_of_them, ids=names, scope="session")
