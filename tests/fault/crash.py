#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API server is killed (kill -9) at random moments under load, again and again, and all that it said is held against it:

  - what it acknowledged is there, whole; what it refused (503 too: "not done") is not; what it never answered, or with 504, is
    there whole or not at all
  - a watcher that goes on from its last revision sees each change once, in order, as what it is (ADDED, MODIFIED, DELETED),
    and ends with the state that a list gives; no revision is missing
  - the registers that many clients read, write and compare-and-swap are linearizable (linear.py)

usage: crash.py [--kills N] [--seed N] [--dir DIR] [--keep]
The server is build/release/tests/hansa-apid, or $HANSA_APID. --kills 3000 is half an hour well spent.
crash_etcd.py does the same to several servers on one etcd, and to that.
"""
import argparse
import collections
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import linear  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
APID = os.environ.get("HANSA_APID", str(ROOT / "build/release/tests/hansa-apid"))
PATH = "/api/v1/namespaces/default/configmaps"
REGISTERS = 6
LIVE_MAX = 60  # objects that one creator keeps


class Server:
    """One hansa-apid after the other on the same folder and port."""

    def __init__(self, folder, store):
        self.dir, self.store, self.process = pathlib.Path(folder), store, None
        self.dir.mkdir(exist_ok=True)
        self.refusals = collections.Counter()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = open(self.dir / "log", "ab")

    def start(self):
        (self.dir / "ready").unlink(missing_ok=True)
        self.process = subprocess.Popen([APID, self.dir, "--store", self.store, "--port", str(self.port), "--plain"],
                                        stdout=self.log, stderr=self.log)

    def wait_ready(self, timeout=60):
        end = time.monotonic() + timeout
        while not (self.dir / "ready").exists():
            if self.process.poll() is not None:
                raise Failure(f"the server does not start (exit {self.process.returncode}):\n"
                              + (self.dir / "log").read_text()[-3000:])
            if time.monotonic() > end:
                raise Failure("the server is not ready in time")
            time.sleep(0.002)

    def kill(self):
        if self.process.poll() is not None:
            raise Failure(f"the server ended by itself (exit {self.process.returncode}):\n"
                          + (self.dir / "log").read_text()[-3000:])
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)


class Failure(Exception):
    pass


class Unknown(Exception):
    """The request may have been carried out."""


class Client:
    def __init__(self, server, timeout=20):
        self.server, self.timeout, self.conn = server, timeout, None

    def call(self, method, path, body=None, kind="application/json"):
        """(status, object). Unknown when no answer came."""
        try:
            if self.conn is None:
                self.conn = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=self.timeout)
                self.conn.connect()
                self.conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.conn = None
            raise ConnectionRefusedError
        try:
            self.conn.request(method, path, body=None if body is None else json.dumps(body),
                              headers={"Authorization": "Bearer admin", "Content-Type": kind})
            answer = self.conn.getresponse()
            text = answer.read()
            body = json.loads(text)
            if answer.status >= 500 or answer.status == 429:
                self.server.refusals[answer.status] += 1
                time.sleep(0.01)
            return answer.status, body
        except (OSError, http.client.HTTPException, ValueError):
            self.conn.close()
            self.conn = None
            raise Unknown


class Worker(threading.Thread):
    def __init__(self, world, number):
        super().__init__(daemon=True)
        self.world, self.number = world, number
        self.clients = [Client(s) for s in world.servers]
        self.client = self.clients[0]
        self.dice = random.Random(f"{world.seed}/{type(self).__name__}/{number}")

    def run(self):
        try:
            while not self.world.stop.is_set():
                try:
                    self.client = self.dice.choice(self.clients)
                    self.step()
                except ConnectionRefusedError:
                    time.sleep(0.003)
        except Exception as e:  # noqa: BLE001: shown by the main thread
            self.world.fail(f"{type(self).__name__} {self.number}: {type(e).__name__}: {e}")


def value_of(obj):
    return obj.get("data", {}).get("v")


class Registrar(Worker):
    """Reads, writes, swaps and deletes registers; notes what it did and what it was told."""

    def __init__(self, world, number):
        super().__init__(world, number)
        self.n, self.known, self.history = 0, {}, []

    def step(self):
        name = f"reg-{self.dice.randrange(REGISTERS)}"
        kind = self.dice.choices(["read", "write", "cas", "delete"], [30, 20, 45, 5])[0]
        if kind == "cas" and name not in self.known:
            kind = "read"
        self.n += 1
        value = f"{self.number}-{self.n}"
        op = {"key": name, "kind": kind, "value": value, "expect": None, "invoke": time.monotonic_ns(), "ret": None}
        try:
            status, body = getattr(self, kind)(name, value, op)
        except Unknown:
            self.known.pop(name, None)
            if kind != "read":
                self.history.append(op)
            return
        op["ret"] = time.monotonic_ns()
        if status in (429, 503):
            return  # nothing was done
        if status >= 500:
            op["ret"] = None  # it may have been done
        elif status in (200, 201):
            if kind != "delete":
                self.known[name] = (body["metadata"]["resourceVersion"], value_of(body))
            op["value"] = value_of(body) if kind != "delete" else None
            if kind in ("write", "cas") and op["value"] != value:
                raise Failure(f"wrote {value} to {name} and was answered {op['value']}")
        elif status == 404:
            self.known.pop(name, None)
            op.update(kind="read", value=None)  # whatever was asked: it was not there
        elif status == 409 and kind == "cas":
            op["kind"] = "miss"
            self.known.pop(name, None)
        elif status == 409:
            return  # a write that gave up after several tries, or a create that came second: nothing was done
        else:
            raise Failure(f"{kind} {name}: {status} {body}")
        if op["ret"] is not None or op["kind"] != "read":
            self.history.append(op)

    def read(self, name, value, op):
        return self.client.call("GET", f"{PATH}/{name}")

    def write(self, name, value, op):
        """Whatever is there; when nothing is there, makes it (a swap from nothing)."""
        status, body = self.client.call("PATCH", f"{PATH}/{name}", {"data": {"v": value}}, "application/merge-patch+json")
        if status != 404:
            return status, body
        op["invoke"] = time.monotonic_ns()
        op["kind"] = "cas"
        return self.client.call("POST", PATH, {"metadata": {"name": name}, "data": {"v": value}})

    def cas(self, name, value, op):
        rev, op["expect"] = self.known[name]
        return self.client.call("PUT", f"{PATH}/{name}", {"metadata": {"name": name, "resourceVersion": rev},
                                                          "data": {"v": value}})

    def delete(self, name, value, op):
        return self.client.call("DELETE", f"{PATH}/{name}")


def content(name):
    """What an object of this name holds: any half of it would show."""
    seed = hashlib.sha256(name.encode()).hexdigest()
    return {"name": name, "bulk": seed * (1 + int(seed[:4], 16) % 40)}


class Creator(Worker):
    """Makes objects and deletes them; only it touches them, so it knows what must be there."""

    def __init__(self, world, number):
        super().__init__(world, number)
        self.n, self.live, self.gone, self.maybe = 0, [], set(), set()
        self.told = {}  # name of a live object -> what its deletions that were not done were answered

    def step(self):
        if len(self.live) > LIVE_MAX or (self.live and self.dice.random() < 0.3):
            name = self.live.pop(self.dice.randrange(len(self.live)))
            try:
                status, body = self.client.call("DELETE", f"{PATH}/{name}")
            except ConnectionRefusedError:
                self.live.append(name)
                raise
            except Unknown:
                self.maybe.add(name)
                return
            if status == 200:
                self.gone.add(name)
            elif status in (429, 503):
                self.live.append(name)
                self.told.setdefault(name, []).append(f"{status} by {self.client.server.port}: {body.get('message')}")
            elif status >= 500:
                self.maybe.add(name)
            else:
                raise Failure(f"delete of {name}, which was acknowledged: {status} by {self.client.server.port}: "
                              f"{body.get('message')}; told before: {self.told.get(name)}")
            return
        self.n += 1
        name = f"o-{self.number}-{self.n}"
        try:
            status, body = self.client.call("POST", PATH, {"metadata": {"name": name, "labels": {"mod": str(self.n % 3)}},
                                                           "data": content(name)})
        except Unknown:
            self.maybe.add(name)
            return
        if status == 201:
            self.live.append(name)
        elif status >= 500 and status != 503:
            self.maybe.add(name)
        elif status not in (429, 503):
            raise Failure(f"create {name}: {status} {body}")


class Watcher(Worker):
    """Follows from the first revision on, through every restart."""

    def __init__(self, world, number, rev, selector=""):
        super().__init__(world, number)
        self.rev, self.selector, self.state, self.n, self.resumed = rev, selector, {}, 0, 0
        self.revs = []

    def step(self):
        path = f"{PATH}?watch=1&allowWatchBookmarks=true&resourceVersion={self.rev}{self.selector}&timeoutSeconds=60"
        conn = http.client.HTTPConnection("127.0.0.1", self.dice.choice(self.world.servers).port, timeout=2)
        try:
            conn.connect()
        except OSError:
            raise ConnectionRefusedError
        try:
            conn.request("GET", path, headers={"Authorization": "Bearer admin"})
            answer = conn.getresponse()
            if answer.status in (429, 503):
                raise OSError("not ready")
            if answer.status != 200:
                raise Failure(f"watch from {self.rev}: {answer.status} {answer.read()[:300]}")
            self.resumed += 1
            self.follow(answer)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            conn.close()

    def follow(self, answer):
        while not (self.world.last_rev and self.run_out()):
            line = answer.readline()
            if not line.endswith(b"\n"):
                return  # cut off: half an event is none
            event = json.loads(line)
            self.take(event["type"], event["object"])

    def run_out(self):
        """True when it has seen everything."""
        return self.rev >= self.world.last_rev

    def take(self, kind, obj):
        if kind == "ERROR":
            raise Failure(f"watch from {self.rev} ended: {obj}")
        rev, name = int(obj["metadata"]["resourceVersion"]), obj["metadata"].get("name")
        if kind == "BOOKMARK":
            if rev < self.rev:
                raise Failure(f"bookmark {rev} after {self.rev}")
            self.rev = rev
            return
        if rev <= self.rev:
            raise Failure(f"{kind} {name} at {rev}, after {self.rev}: seen twice or out of order")
        if (kind == "ADDED") == (name in self.state):
            raise Failure(f"{kind} {name} at {rev}, which was {'' if name in self.state else 'not '}there")
        self.rev = rev
        self.n += 1
        self.revs.append(rev)
        if kind == "DELETED":
            del self.state[name]
        else:
            self.state[name] = (rev, obj.get("data"))

    def run(self):
        try:
            while not (self.world.stop.is_set() and self.world.last_rev and self.run_out()):
                try:
                    self.step()
                except ConnectionRefusedError:
                    time.sleep(0.003)
                if self.world.failures or self.world.give_up.is_set():
                    return
        except Exception as e:  # noqa: BLE001
            self.world.fail(f"Watcher {self.number}: {type(e).__name__}: {e}")


class World:
    def __init__(self, folder, seed):
        self.seed = seed
        self.dice = random.Random(seed)
        self.servers = [Server(folder, "sqlite")]
        self.stop, self.give_up = threading.Event(), threading.Event()
        self.failures, self.last_rev = [], 0
        self.registrars = self.creators = self.watchers = ()

    def fail(self, text):
        self.failures.append(text)

    def list(self, selector="", server=None):
        status, body = Client(server or self.servers[0]).call("GET", f"{PATH}?limit=0{selector}")
        assert status == 200, body
        return int(body["metadata"]["resourceVersion"]), {
            o["metadata"]["name"]: (int(o["metadata"]["resourceVersion"]), o.get("data")) for o in body["items"]}

    def kill_one(self):
        """Mostly under load, now and then while it starts."""
        server = self.dice.choice(self.servers)
        server.kill()
        server.start()
        if self.dice.random() < 0.8:
            server.wait_ready()

    def calm(self):
        """All is up again."""
        for s in self.servers:
            s.wait_ready()

    def end(self):
        self.stop.set()
        self.give_up.set()
        for s in self.servers:
            if s.process and s.process.poll() is None:
                s.kill()
            s.log.close()

    def run(self, kills):
        for s in self.servers:
            s.start()
        self.calm()
        rev, there = self.list()
        assert not there, "the folder is not new"
        self.registrars = [Registrar(self, i) for i in range(6)]
        self.creators = [Creator(self, i) for i in range(3)]
        self.watchers = [Watcher(self, 0, rev), Watcher(self, 1, rev, "&labelSelector=mod%3D1")]
        everyone = [*self.registrars, *self.creators, *self.watchers]
        for w in everyone:
            w.start()
        for i in range(kills):
            time.sleep(self.dice.uniform(0.0, 0.03) if self.dice.random() < 0.2 else self.dice.uniform(0.03, 0.5))
            if self.failures:
                break
            self.kill_one()
        self.calm()
        time.sleep(0.2)
        self.stop.set()
        for w in [*self.registrars, *self.creators]:
            w.join(60)
        # The selecting watcher may have nothing to see at the end: one more object for it, which also ends the other.
        status, body = Client(self.servers[0]).call("POST", PATH, {"metadata": {"name": "end", "labels": {"mod": "1"}}})
        assert status == 201, body
        self.last_rev, listed = self.list()
        for w in self.watchers:
            w.join(60)
            if w.is_alive():
                self.fail(f"watcher {w.number} has not seen revision {self.last_rev}, only {w.rev}")
        self.give_up.set()
        if not self.failures:
            self.judge(rev, listed)
        for s in self.servers:
            s.stop()
        return self.failures

    def judge(self, first, listed):
        self.judge_objects(listed)
        everything, some = self.watchers
        if everything.state != listed:
            self.fail(f"the watcher's end is not the list: {differing(everything.state, listed)}")
        _, selected = self.list("&labelSelector=mod%3D1")
        if some.state != selected:
            self.fail(f"the selecting watcher's end is not the list: {differing(some.state, selected)}")
        missing = sorted(self.revisions(first) ^ set(everything.revs))
        if missing:
            self.fail(f"revisions that the watch does not have, or alone has: {missing[:10]}")
        final = max((o["ret"] or o["invoke"] for r in self.registrars for o in r.history), default=0) + 1
        for i in range(REGISTERS):
            key = f"reg-{i}"
            ops = [o for r in self.registrars for o in r.history if o["key"] == key]
            end = listed[key][1]["v"] if key in listed else None
            ops.append({"key": key, "kind": "read", "value": end, "expect": None, "invoke": final, "ret": final + 1})
            wrong = linear.check(ops)
            if wrong:
                self.fail(f"{key}: {wrong}")

    def revisions(self, first):
        """Those of the changes after the first revision. Nobody else writes: each is one event."""
        return set(range(first + 1, self.last_rev + 1))

    def judge_objects(self, listed):
        for c in self.creators:
            for name in c.live:
                if name not in listed:
                    self.fail(f"{name} was acknowledged and is lost")
            for name in c.gone & set(listed):
                self.fail(f"{name}: its deletion was acknowledged and is lost")
        known = {n for c in self.creators for n in [*c.live, *c.maybe]}
        for name, (_, data) in listed.items():
            if name.startswith("o-") and name not in known:
                self.fail(f"{name} is there, though nobody made it")
            if name.startswith("o-") and data != content(name):
                self.fail(f"{name} is there in half")

    def summary(self):
        ops = sum(len(r.history) for r in self.registrars)
        unknown = sum(o["ret"] is None for r in self.registrars for o in r.history)
        return (f"{self.last_rev} revisions, {ops} register operations ({unknown} of unknown outcome), "
                f"{sum(len(c.live) + len(c.gone) for c in self.creators)} objects made, "
                f"watchers saw {[w.n for w in self.watchers]} events in {[w.resumed for w in self.watchers]} pieces, "
                f"refusals {dict(sum((s.refusals for s in self.servers), collections.Counter()))}")


def differing(a, b):
    return [(k, a.get(k), b.get(k)) for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k)][:5]


def run(kills, seed=None, folder=None, keep=False, make=World, title="sqlite"):
    """Runs it, with the seed and a summary printed; returns the failures."""
    seed = random.randrange(2**32) if seed is None else seed
    print(f"crash test: {title}, {kills} kills, seed {seed}", flush=True)
    own = folder or tempfile.mkdtemp(prefix="hansa-crash-")
    world = make(own, seed)
    try:
        failures = world.run(kills)
    finally:
        world.end()
    print(world.summary(), flush=True)
    if keep or failures:
        print(f"kept: {own}")
    else:
        shutil.rmtree(own)
    return failures


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--kills", type=int, default=25)
    p.add_argument("--seed", type=int)
    p.add_argument("--dir")
    p.add_argument("--keep", action="store_true")
    a = p.parse_args()
    failures = run(a.kills, a.seed, a.dir, a.keep)
    for f in failures:
        print(f"FAILED: {f}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
