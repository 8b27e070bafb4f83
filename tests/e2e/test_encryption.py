# SPDX-License-Identifier: Apache-2.0
"""Encryption at rest: what lies in the SQLite file, rotation of keys, and keys that are missing.

    HTTP, kubectl --> hansa-apid --store sqlite --encryption-provider-config FILE
"""
import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import pathlib
import sqlite3
import tempfile

import pytest
import yaml

from fed import BIN, ROOT
from test_admission import Api
from test_audit import metric
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


def test_the_story_of_the_operators_page(tmp_path):
    """docs/operators/security.md, "Encryption of the store", done as it is written there."""
    page = (ROOT / "docs/operators/security.md").read_text()
    page = page[page.index("## Encryption of the store"):]
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.S).group(1))
    keys = example["resources"][0]["providers"][0]["aesgcm"]["keys"]
    assert [k["name"] for k in keys] == ["k2", "k1"] and example["resources"][0]["providers"][1] == {"identity": {}}
    for k in keys:  # BASE64-OF-32-BYTES
        k["secret"] = base64.b64encode(os.urandom(32)).decode()
    conf = tmp_path / "enc.yaml"

    def write(*which):
        doc = json.loads(json.dumps(example))
        doc["resources"][0]["providers"][0]["aesgcm"]["keys"] = [k for name in which for k in keys if k["name"] == name]
        conf.with_suffix(".new").write_text(yaml.safe_dump(doc))
        os.rename(conf.with_suffix(".new"), conf)
    said = lambda words: open(os.path.join(s.dir, "log")).read().count(words)
    write("k1")
    s = server_at(tmp_path, conf)
    try:
        api = Api(s)
        for i in range(20):
            assert api("POST", V1 + "secrets", secret("s%d" % i)).status == 201
        assert key_ids(s) == ["k1"] * 20
        # "Put the new key first, keep the old one; the file is read again when it changes (within 10 s)"
        write("k2", "k1")
        wait_for(lambda: said("was read again") == 1, "the file to be read by itself", 30)
        # "When hansa_encryption_objects_to_rewrite is 0 (and the log says how many were rewritten)"
        wait_for(lambda: metric(api, "hansa_encryption_objects_to_rewrite") == 0 and
                 said("encryption: 20 stored objects rewritten") == 1, "the rewriting")
        assert key_ids(s) == ["k2"] * 20
        # "take the old key out." The other way round is refused: "A configuration that lacks a key still in use is refused"
        write("k1")
        s.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: said("stays as it was") == 1, "the refusal")
        write("k2")
        s.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: said("was read again") == 2, "the last change")
        assert len(api("GET", V1 + "secrets").data["items"]) == 20
    finally:
        s.stop()
    # "At start a missing or wrong key ends the program with the key's and the object's names"
    write("k1")
    assert re.search(r'/registry/secrets/default/s\d+: encrypted with the key "k2"', refused(tmp_path, conf))
    write("k2")
    s.start()
    assert len(Api(s)("GET", V1 + "secrets").data["items"]) == 20
    s.stop()


def test_a_flipped_bit(tmp_path):
    """The store's checksum finds it first; where somebody made the checksum right again, the seal does. Both name the object."""
    conf = tmp_path / "enc.yaml"
    config(conf, gcm("one"))
    s = server_at(tmp_path, conf)
    for name in ("a", "b"):
        assert Api(s)("POST", V1 + "secrets", secret(name)).status == 201
    s.stop()
    key = b"/registry/secrets/default/b"

    def sql(text, *values):
        db = sqlite3.connect(os.path.join(s.dir, "store.db"))
        rows = db.execute(text, values).fetchall()
        db.commit()
        db.close()
        return rows
    newest = lambda k: sql("select id, value from changes where key=? order by id desc limit 1", k)[0]
    put = lambda value: sql("update changes set value=? where id=?", bytes(value), row)
    (row, value), other = newest(key), newest(b"/registry/secrets/default/a")[1]
    total = sql("select sum from changes where id=?", row)[0][0]
    for at in (len(value) - 1, len(value) // 2, len(value) - 40):
        spoiled = bytearray(value)
        spoiled[at] ^= 4
        put(spoiled)
        assert "row %d of the log is not what was written: %s" % (row, key.decode()) in refused(tmp_path, conf)
        sql("update changes set sum=null where id=?", row)  # rows of the first format have none
        said = refused(tmp_path, conf)
        assert key.decode() in said and "does not verify" in said and 'key "one"' in said
        sql("update changes set sum=? where id=?", total, row)
    # A whole value in the place of another is found as well.
    put(other)
    sql("update changes set sum=null where id=?", row)
    assert "does not verify" in refused(tmp_path, conf)
    put(value)
    s.start()
    assert base64.b64decode(Api(s)("GET", V1 + "secrets/b").data["data"]["a"]).decode() == MARK
    s.stop()


class Fedapi:
    """A control plane without clusters."""

    def __init__(self, folder, conf=None):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.env = dict(os.environ, KUBECONFIG=str(self.dir / "kubeconfig"))
        self.argv = [BIN / "hansa-fedapi", "--dir", self.dir, "--listen", "127.0.0.1:%d" % self.port]
        self.conf, self.proc = conf, None

    def start(self):
        conf = ["--encryption-provider-config", self.conf] if self.conf else []
        with open(self.dir / "log", "ab") as log:
            self.proc = subprocess.Popen([*self.argv, *conf], stdout=log, stderr=log)
        wait_for(lambda: (self.dir / "kubeconfig").exists() and self.run("get", "--raw", "/readyz", program=kubectls()[-1]).returncode == 0,
                 "the control plane", 30)
        return self

    def run(self, *argv, program="kubefed"):
        return subprocess.run([BIN / program if program == "kubefed" else program, *argv], env=self.env, capture_output=True,
                              text=True, timeout=120)

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
        return self.proc.wait(60)


def test_a_backup_needs_its_key(tmp_path):
    """Another control plane without the key refuses it before anything is replaced; with it, it goes on."""
    conf = tmp_path / "enc.yaml"
    config(conf, gcm("one"))
    kubectl = kubectls()[-1]
    first = Fedapi(tmp_path / "first", conf).start()
    made = first.run("create", "secret", "generic", "precious", "--from-literal=a=" + MARK, "-n", "default", program=kubectl)
    assert made.returncode == 0, made.stderr
    file = tmp_path / "fed.db"
    assert first.run("backup", file).returncode == 0
    assert base64.b64encode(MARK.encode()) not in file.read_bytes()
    assert first.stop() == 0
    second = Fedapi(tmp_path / "second").start()
    try:
        for flags in (["--dry-run"], ["--yes"]):
            done = second.run("restore", file, *flags)
            assert done.returncode == 1 and "this server cannot read what is in the backup" in done.stderr, done
            assert '/registry/secrets/default/precious: encrypted with the key "one"' in done.stderr
        assert second.run("get", "ns", program=kubectl).returncode == 0  # as if nothing had been
        second.stop()
        second.conf = tmp_path / "other.yaml"
        config(second.conf, {"aesgcm": {"keys": [{"name": "one", "secret": base64.b64encode(b"x" * 32).decode()}]}})
        second.start()
        done = second.run("restore", file, "--yes")
        assert done.returncode == 1 and "does not verify" in done.stderr
        second.stop()
        # By hand there is no check before: the start says what is missing, and the store before is kept beside.
        shutil.copy(file, second.dir / "store.db.restore")
        with open(second.dir / "log", "ab") as log:
            assert subprocess.run([*second.argv], stdout=log, stderr=log, timeout=60).returncode == 1
        assert 'encrypted with the key "one", which needs an encryption configuration' in (second.dir / "log").read_text()
        assert (second.dir / "store.db.replaced-1").exists()
        second.conf = conf
        second.start()
        got = second.run("get", "secret", "precious", "-n", "default", "-o", "json", program=kubectl)
        assert json.loads(got.stdout)["data"]["a"] == base64.b64encode(MARK.encode()).decode()
        assert second.run("restore", file, "--yes").returncode == 0
    finally:
        assert second.stop() == 0
