#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""crash.py with three servers on an etcd of three members. Every client goes from server to server with each request, every
watcher with each piece of its watch. Killed (kill -9) or frozen (SIGSTOP) at random moments:

    a server · a member of etcd · the leader of etcd · now and then two members at once, so that etcd stands still

The history is one: what any server acknowledged must hold at all of them, and the registers be linearizable across them. What
the watcher saw is compared with etcd's own history of the keys, revision by revision.

usage: crash_etcd.py [--kills N] [--seed N] [--dir DIR] [--keep]
"""
import argparse
import base64
import json
import pathlib
import signal
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))
import crash  # noqa: E402
from etcd_lib import Etcd  # noqa: E402
from fed import poll  # noqa: E402

SERVERS = MEMBERS = 3
KEYS = b"/hansa/s/registry/configmaps/default/"


class EtcdWorld(crash.World):
    def __init__(self, folder, seed):
        super().__init__(folder, seed)
        folder = pathlib.Path(folder)
        self.etcd = Etcd(folder, MEMBERS)
        self.servers[0].log.close()
        self.servers = [crash.Server(folder / f"s{i}", "etcd:" + ",".join(self.etcd.urls)) for i in range(SERVERS)]
        self.down, self.done = {}, {}  # member -> when it comes back

    def kill_one(self):
        self.bring_back()
        what = self.dice.choices(["server", "member", "leader", "freeze server", "freeze leader", "majority"],
                                 [55, 15, 14, 6, 6, 4])[0]
        if what != "server" and not what.endswith("server") and self.down:
            what = "server"  # one trouble of etcd at a time
        self.done[what] = self.done.get(what, 0) + 1
        if what == "server":
            super().kill_one()
        elif what == "freeze server":
            self.freeze(self.dice.choice(self.servers).process, self.dice.uniform(0.1, 1.0))
        elif what == "freeze leader":
            self.freeze(self.etcd.processes[self.leader()], self.dice.uniform(0.1, 2.0))
        elif what == "leader":
            self.kill_member(self.leader())
        else:
            for i in self.dice.sample(range(MEMBERS), 2 if what == "majority" else 1):
                self.kill_member(i)
            if what == "majority":
                time.sleep(self.dice.uniform(0.0, 1.5))
                self.bring_back(True)

    def leader(self):
        i = poll(lambda: self.etcd.leader(), timeout=60, what="etcd has a leader")
        return i - 1

    def freeze(self, process, seconds):
        process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    def kill_member(self, i):
        self.etcd.kill(i)
        self.down[i] = time.monotonic() + self.dice.uniform(0.0, 1.5)

    def bring_back(self, all_of_them=False):
        for i, when in list(self.down.items()):
            if all_of_them or time.monotonic() > when:
                self.etcd.start(i)
                del self.down[i]
        if not self.down:
            for i in range(MEMBERS):
                poll(lambda i=i: self.etcd.healthy(i), timeout=60, what="the members are well")

    def calm(self):
        self.bring_back(True)
        super().calm()
        # Each has found its way back to etcd.
        for s in self.servers:
            poll(lambda s=s: crash.Client(s).call("GET", f"{crash.PATH}?limit=1")[0] == 200, timeout=60, what="reads")

    def end(self):
        super().end()
        self.etcd.end()

    def judge(self, first, listed):
        super().judge(first, listed)
        for i, s in enumerate(self.servers):
            rev, there = self.list(server=s)
            if there != listed:
                self.fail(f"server {i} at {rev} has another state: {crash.differing(there, listed)}")

    def revisions(self, first):
        """etcd's own word, through its JSON gateway: the revisions of all changes of our objects."""
        want = {"create_request": {"key": base64.b64encode(KEYS).decode(), "start_revision": first + 1,
                                   "range_end": base64.b64encode(KEYS[:-1] + b"0").decode()}}
        found = set()
        with urllib.request.urlopen(self.etcd.urls[0] + "/v3/watch", data=json.dumps(want).encode(), timeout=20) as r:
            while max(found, default=0) < self.last_rev:
                for e in json.loads(r.readline())["result"].get("events", ()):
                    rev = int(e["kv"]["mod_revision"])
                    if rev <= self.last_rev:
                        found.add(rev)
        return found

    def summary(self):
        return super().summary() + "; " + ", ".join(f"{k}: {v}" for k, v in sorted(self.done.items()))


def run(kills, seed=None, folder=None, keep=False):
    return crash.run(kills, seed, folder, keep, EtcdWorld, f"{SERVERS} servers on {MEMBERS} members of etcd")


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
