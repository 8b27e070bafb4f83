# SPDX-License-Identifier: Apache-2.0
"""What really happened to the ConfigMaps of a namespace, to compare with what a client says it saw."""
import json
import random
import threading
import time
import urllib.error
import urllib.request


def write(api, ns, n, seed, pause=0.0, taken=()):
    """n random writes; each as (type, name, resourceVersion), in order. The names of the events `taken` are left alone."""
    rand, alive, done = random.Random(seed), {}, []
    path = f"/api/v1/namespaces/{ns}/configmaps"
    for i in range(n):
        name = f"c{rand.randrange(12)}"
        if name in {t[1] for t in taken}:
            name = "other-" + name
        if name not in alive:
            o = api("POST", path, {"metadata": {"name": name}, "data": {"n": str(i)}})
            done.append(("ADDED", name, o["metadata"]["resourceVersion"]))
            alive[name] = o
        elif rand.random() < 0.7:
            alive[name]["data"] = {"n": str(i)}
            o = alive[name] = api("PUT", f"{path}/{name}", alive[name])
            done.append(("MODIFIED", name, o["metadata"]["resourceVersion"]))
        else:
            api("DELETE", f"{path}/{name}")
            done.append(("DELETED", name, None))  # the answer does not tell its revision
            del alive[name]
        if pause:
            time.sleep(rand.random() * pause)
    return done, {name: o["metadata"]["resourceVersion"] for name, o in alive.items()}


def compare(seen, done):
    """seen: [type, name, resourceVersion] as the client told. Asserts that it is what was done: nothing less, nothing twice."""
    versions = [int(v) for _, _, v in seen]
    assert versions == sorted(set(versions)), "events out of order or twice"
    assert [(t, n) for t, n, _ in seen] == [(t, n) for t, n, _ in done]
    assert all(want is None or want == got for (_, _, got), (_, _, want) in zip(seen, done))


class Storm:
    """Writes while the server is killed at random and comes back. A write that was not answered may have happened or not: what
    counts as the truth is the history that the server tells at the end, and that must hold all that was acknowledged."""

    def __init__(self, server, ns, seed):
        self.server, self.rand, self.acknowledged, self.kills = server, random.Random(seed), [], 0
        self.path = f"/api/v1/namespaces/{ns}/configmaps"
        self.start = server.api("GET", self.path)["metadata"]["resourceVersion"]

    def ask(self, method, path, body=None):
        """The answer; None for 404 and 409; raises when there was none."""
        try:
            return self.server.api(method, path, body)
        except urllib.error.HTTPError as e:
            if e.code in (404, 409):
                return None
            raise

    def one(self, name, i):
        now = self.ask("GET", f"{self.path}/{name}")
        if not now:
            o = self.ask("POST", self.path, {"metadata": {"name": name}, "data": {"n": str(i)}})
            return o and ("ADDED", name, o["metadata"]["resourceVersion"])
        if self.rand.random() < 0.7:
            now["data"] = {"n": str(i)}
            o = self.ask("PUT", f"{self.path}/{name}", now)
            return o and ("MODIFIED", name, o["metadata"]["resourceVersion"])
        return self.ask("DELETE", f"{self.path}/{name}") and ("DELETED", name, None)

    def write(self, n, kills):
        """n writes, with so many deaths of the server between and beneath them."""
        deaths = set(self.rand.sample(range(5, n), kills))
        for i in range(n):
            if i in deaths:
                threading.Timer(self.rand.random() * 0.02, self.server.proc.kill).start()
            try:
                done = self.one(f"c{self.rand.randrange(12)}", i)
                self.acknowledged += [done] if done else []
            except OSError:  # URLError, a reset, a time-out
                pass
            if self.server.proc.poll() is not None:
                self.server.start()
                self.kills += 1
        if self.server.proc.poll() is not None:
            self.server.start()

    def truth(self):
        """All events since the start, as (type, name, resourceVersion); and what is there now."""
        request = urllib.request.Request(f"{self.server.api.url}{self.path}?watch=1&resourceVersion={self.start}&timeoutSeconds=3")
        with urllib.request.urlopen(request, context=self.server.api.context, timeout=20) as answer:
            events = [json.loads(line) for line in answer]
        assert {e["type"] for e in events} <= {"ADDED", "MODIFIED", "DELETED"}, events[-1]
        told = [(e["type"], e["object"]["metadata"]["name"], e["object"]["metadata"]["resourceVersion"]) for e in events]
        rest = iter(told)
        for want in self.acknowledged:  # in this order; between them what was not answered
            assert any(got[:2] == want[:2] and want[2] in (None, got[2]) for got in rest), f"lost: {want}"
        alive = {o["metadata"]["name"]: o["metadata"]["resourceVersion"] for o in self.server.api("GET", self.path)["items"]}
        return told, alive
