# SPDX-License-Identifier: Apache-2.0
"""What really happened to the ConfigMaps of a namespace, to compare with what a client says it saw."""
import random
import time


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
