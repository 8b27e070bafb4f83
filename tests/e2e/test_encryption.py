# SPDX-License-Identifier: Apache-2.0
"""Encryption at rest: what lies in the SQLite file, rotation of keys, and keys that are missing.

    HTTP, kubectl --> hansa-apid --store sqlite --encryption-provider-config FILE
"""
import base64
import json
import os
import shutil
import signal
import subprocess
import pathlib
import sqlite3
import tempfile

import pytest

from test_admission import Api
from test_engine_kubectl import Kubectl, Server, binary, kubectls, wait_for

V1 = "/api/v1/namespaces/default/"
MARK = "plaintext-that-must-not-be-found"


def config(path, *providers, resources=("secrets",)):
    doc = {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
           "resources": [{"resources": list(resources), "providers": list(providers)}]}
    tmp = str(path) + ".new"
    with open(tmp, "w") as f:
        json.dump(doc, f)
    os.rename(tmp, path)


def gcm(*names):
    return {"aesgcm": {"keys": [{"name": n, "secret": base64.b64encode(n.encode().ljust(32, b".")).decode()}
                                for n in names]}}


IDENTITY = {"identity": {}}


def values(server, what="secrets"):
    """The stored values of a kind by key: the newest of each."""
    copy = tempfile.mkdtemp(prefix="hansa-store-")  # the file itself is locked by its server
    for f in pathlib.Path(server.dir).glob("store.db*"):
        if not f.name.endswith(("lock", "shm")):
            shutil.copy(f, copy)
    db = sqlite3.connect(copy + "/store.db")
    tables = [r[0] for r in db.execute("select name from sqlite_master where type='table'")]
    found = {}
    for t in tables:
        for row in db.execute("select * from %s" % t):
            cells = [c.encode() if isinstance(c, str) else c for c in row if isinstance(c, (bytes, str))]
            key = next((c for c in cells if c.startswith(b"/registry/%s/" % what.encode())), None)
            value = next((c for c in cells if c.startswith(b"json ")), None)
            if key and value:
                found.setdefault(key, []).append(value)
    db.close()
    return found


def key_ids(server):
    return sorted(v[-1].split(b"\n")[0].split(b" ")[2].decode() for v in values(server).values())


def secret(name, text=MARK):
    return {"metadata": {"name": name}, "stringData": {"a": text}}


def server_at(path, conf, *more):
    s = Server(path, "--store", "sqlite", "--encryption-provider-config", str(conf), *more)
    s.start()
    return s


def on_disk(server):
    data = b""
    for name in os.listdir(server.dir):
        if name.startswith("store.db"):
            with open(os.path.join(server.dir, name), "rb") as f:
                data += f.read()
    return data


def test_nothing_to_read_on_disk(tmp_path):
    conf = tmp_path / "enc.yaml"
    config(conf, gcm("one"), IDENTITY)
    s = server_at(tmp_path, conf)
    try:
        api = Api(s)
        assert api("POST", V1 + "secrets", secret("a")).status == 201
        assert api("POST", V1 + "configmaps", {"metadata": {"name": "a"}, "data": {"a": "readable-map"}}).status == 201
        encoded = base64.b64encode(MARK.encode())
        data = on_disk(s)
        assert encoded not in data and MARK.encode() not in data and b"readable-map" in data
        assert key_ids(s) == ["one"]
        s.stop()
        s.start()
        got = Api(s)("GET", V1 + "secrets/a").data
        assert base64.b64decode(got["data"]["a"]).decode() == MARK
    finally:
        s.stop()


def test_rotation_in_the_background_and_by_replace(tmp_path):
    conf = tmp_path / "enc.yaml"
    config(conf, IDENTITY)
    s = server_at(tmp_path, conf)
    try:
        api = Api(s)
        for i in range(40):
            assert api("POST", V1 + "secrets", secret("s%d" % i)).status == 201
        assert key_ids(s) == ["-"] * 40

        def reload(*providers):
            config(conf, *providers)
            s.proc.send_signal(signal.SIGHUP)
        reload(gcm("one"), IDENTITY)
        wait_for(lambda: key_ids(s) == ["one"] * 40, "everything to be encrypted")
        reload(gcm("two", "one"))
        wait_for(lambda: key_ids(s) == ["two"] * 40, "everything to be encrypted with the second key")
        # The first key is needed no more; the second is, and a configuration without it is refused.
        reload(gcm("two"))
        reload(gcm("three"))
        log = os.path.join(s.dir, "log")
        wait_for(lambda: "stays as it was" in open(log).read(), "the refusal")
        assert 'the key "two" is needed by /registry/secrets/default/s' in open(log).read()
        assert api("POST", V1 + "secrets", secret("after")).status == 201
        assert key_ids(s) == ["two"] * 41
        s.stop()
        config(conf, gcm("two"))
        s.start()
        api = Api(s)
        assert len(api("GET", V1 + "secrets").data["items"]) == 41
        before = api("GET", V1 + "secrets/s1").data["metadata"]["resourceVersion"]
        tool = kubectls() and Kubectl(kubectls()[-1], s, tmp_path)
        if tool:  # nothing changes: nothing is written
            tool("replace", "-f", "-", stdin=tool("get", "secrets", "s1", "-o", "json"))
            assert api("GET", V1 + "secrets/s1").data["metadata"]["resourceVersion"] == before
        config(conf, IDENTITY, gcm("two"))
        s.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: key_ids(s) == ["-"] * 41, "everything to be plain again")
    finally:
        s.stop()


def refused(tmp_path, conf):
    args = [binary(), str(tmp_path), "--store", "sqlite"] + (["--encryption-provider-config", str(conf)] if conf else [])
    p = subprocess.run(args, capture_output=True, text=True, timeout=30)
    assert p.returncode == 1
    return p.stderr


def test_a_missing_key_is_named(tmp_path):
    conf = tmp_path / "enc.yaml"
    config(conf, gcm("one"))
    s = server_at(tmp_path, conf)
    assert Api(s)("POST", V1 + "secrets", secret("precious")).status == 201
    s.stop()
    config(conf, gcm("other"))
    said = refused(tmp_path, conf)
    assert "/registry/secrets/default/precious" in said and 'encrypted with the key "one"' in said
    said = refused(tmp_path, None)
    assert "--encryption-provider-config" in said and "/registry/secrets/default/precious" in said
    # Another key of the same name does not open it.
    doc = {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": [
        {"resources": ["secrets"], "providers": [{"aesgcm": {"keys": [
            {"name": "one", "secret": base64.b64encode(b"x" * 32).decode()}]}}]}]}
    conf.write_text(json.dumps(doc))
    said = refused(tmp_path, conf)
    assert "does not verify" in said and "/registry/secrets/default/precious" in said


@pytest.mark.parametrize("text, words", [
    ("kind: Nonsense", "EncryptionConfiguration of apiserver.config.k8s.io/v1 is expected"),
    ("resources: [{resources: [secrets], providers: [{kms: {name: x}}]}]", "not supported: identity and aesgcm are"),
    ("resources: [{resources: [secrets], providers: [{aesgcm: {keys: [{name: a, secret: c2hvcnQ=}]}}]}]",
     "not the base64 form of 16, 24 or 32 bytes"),
    ("resources: [{resources: [secrets], providers: []}]", "providers: at least one is required"),
])
def test_bad_configurations(tmp_path, text, words):
    head = "" if "kind" in text.split(":")[0] else "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\n"
    conf = tmp_path / "enc.yaml"
    conf.write_text(head + text + "\n")
    assert words in refused(tmp_path, conf)
