# SPDX-License-Identifier: Apache-2.0
"""kubefed backup and restore of a running federation: under load, back to the very state, clients list again, clusters follow."""
import json
import subprocess
import threading

from fed import REGIONS, poll


def names(fed, context, kind="configmaps", namespace="vault"):
    out = fed.kubectl("--context", context, "-n", namespace, "get", kind, "-o", "name", check=False)
    return sorted(n.split("/")[1] for n in out.stdout.split() if "kube-root-ca" not in n)


def contents(fed):
    return {o["metadata"]["name"]: (o["metadata"]["uid"], o.get("data")) for o in fed.get("-n", "vault", "configmaps")["items"]}


def test_backup_and_restore(federation, tmp_path):
    fed = federation
    fed.kubectl("create", "namespace", "vault")
    for i in range(5):
        fed.kubectl("-n", "vault", "create", "configmap", f"keep-{i}", f"--from-literal=n={i}")
    for c in REGIONS:
        poll(lambda: len(names(fed, c)) >= 5, what=f"all in {c}")

    # Under load: every object of the backup is whole, and those made before it began are in it.
    stop, made = threading.Event(), []

    def load():
        while not stop.is_set():
            name = f"load-{len(made)}"
            if fed.kubectl("-n", "vault", "create", "configmap", name, check=False).returncode == 0:
                made.append(name)
    creator = threading.Thread(target=load)
    creator.start()
    poll(lambda: len(made) > 3, what="load")
    file = tmp_path / "fed.db"
    said = fed.kubefed("backup", file).stdout
    assert "Saved federation" in said
    stop.set()
    creator.join()
    assert file.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.part"))
    again = fed.kubefed("backup", file, check=False)
    assert again.returncode == 2 and "never overwrites" in again.stderr

    # A second one without load is what is restored.
    before, quiet = contents(fed), tmp_path / "quiet.db"
    with open(quiet, "wb") as f:
        out = subprocess.run([fed_binary(fed), "backup", "-"], env=fed.env, stdout=f, stderr=subprocess.PIPE, text=True,
                             timeout=120)
    assert out.returncode == 0 and "SHA-256" in out.stderr

    watch = subprocess.Popen([fed.kubectl_binary, "-n", "vault", "get", "configmaps", "-w", "-o", "name"], env=fed.env,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        fed.kubectl("-n", "vault", "delete", "configmap", "keep-0", "keep-1")
        fed.kubectl("-n", "vault", "patch", "configmap", "keep-2", "-p", '{"data":{"n":"other"}}')
        fed.kubectl("-n", "vault", "create", "configmap", "later")
        for c in REGIONS:
            poll(lambda: "later" in names(fed, c) and "keep-0" not in names(fed, c), what=f"changes in {c}")

        # Nothing without --yes, nothing from a file that is none or is cut off.
        refused = fed.kubefed("restore", quiet, check=False)
        assert refused.returncode == 2 and "--yes" in refused.stderr
        half = tmp_path / "half.db"
        half.write_bytes(quiet.read_bytes()[:-5000])
        refused = fed.kubefed("restore", half, "--yes", check=False)
        assert refused.returncode == 1 and "cut off" in refused.stderr
        spoiled = bytearray(quiet.read_bytes())
        at = spoiled.rindex(b"keep-3")
        spoiled[at:at + 6] = b"kepe-3"
        half.write_bytes(spoiled)
        refused = fed.kubefed("restore", half, "--yes", check=False)
        assert refused.returncode == 1 and "no whole backup" in refused.stderr
        assert "nothing was replaced" in fed.kubefed("restore", quiet, "--dry-run").stdout
        assert "later" in contents(fed)

        last = int(fed.get("-n", "vault", "configmaps")["metadata"].get("resourceVersion") or 0)
        assert "Restored" in fed.kubefed("restore", quiet, "--yes").stdout
    finally:
        watch.kill()
        watch.wait()
    assert contents(fed) == before
    raw = json.loads(fed.kubectl("get", "--raw", "/api/v1/namespaces/vault/configmaps").stdout)
    assert int(raw["metadata"]["resourceVersion"]) >= last + 1_000_000_000
    # Whoever knew a revision from before lists again.
    old = fed.kubectl("get", "--raw", f"/api/v1/namespaces/vault/configmaps?watch=1&timeoutSeconds=1&resourceVersion={last or 5}",
                      check=False)
    assert "too old resource version" in old.stdout + old.stderr
    # The clusters follow, and the federation works on.
    for c in REGIONS:
        poll(lambda: set(before) == set(names(fed, c)), timeout=60, what=f"{c} as at the backup")
        value = fed.get("--context", c, "-n", "vault", "configmap", "keep-2")["data"]["n"]
        assert value == "2"
    fed.kubectl("-n", "vault", "create", "configmap", "after")
    for c in REGIONS:
        poll(lambda: "after" in names(fed, c), what=f"new objects in {c}")
    fed.kubectl("delete", "namespace", "vault")


def fed_binary(fed):
    import fed as module
    return str(module.BIN / "kubefed")
