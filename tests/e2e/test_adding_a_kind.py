# SPDX-License-Identifier: Apache-2.0
"""docs/contributing/adding-a-kind.md is true: its files, laid over this tree, build, and its commands print what it says.

    tree + build folder (lower, untouched) --overlay of a mount name space--> the same path with the new files: cmake and ninja build
    what is new --> hansa-apid --> kubectl

Where overlays are not allowed the tree is copied and built whole, which takes minutes.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

from test_engine_kubectl import Server, kubectls, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/contributing/adding-a-kind.md"
OVERLAY = """set -e
mount -t overlay overlay -o "userxattr,lowerdir=$ROOT,upperdir=$TMP/upper,workdir=$TMP/work" "$ROOT"
cd "$ROOT" # again: the folder that it was is below now
cp -r "$TMP/files/." .
cmake "$BUILD"
ninja -C "$BUILD" hansa-apid
cp "$BUILD/tests/hansa-apid" "$TMP/hansa-apid"
"""


def blocks():
    """(words behind the language, text) of each fenced block."""
    return [(lang, name, text) for lang, name, text in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```", PAGE.read_text(), re.M | re.S)]


def commands(text):
    """(command, output) of a console."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        line, _, out = part.partition("\n")
        yield line, out


def build_folder():
    for name in (os.environ.get("HANSA_BUILD"), "build/release", "build"):
        if name and (ROOT / name / "build.ninja").exists() and (ROOT / name / "tests/hansa-apid").exists():
            return name
    pytest.skip("hansa-apid is not built with ninja")


def build(tmp):
    for folder in ("upper", "work"):
        (tmp / folder).mkdir()
    env = dict(os.environ, ROOT=str(ROOT), TMP=str(tmp), BUILD=build_folder())
    log = open(tmp / "build.log", "wb")
    probe = OVERLAY.split("\ncd")[0]
    if subprocess.run(["unshare", "-rm", "bash", "-c", probe], env=env, stderr=log).returncode == 0:
        for folder in ("upper", "work"):
            shutil.rmtree(tmp / folder)
            (tmp / folder).mkdir()
        done = subprocess.run(["unshare", "-rm", "bash", "-c", OVERLAY], env=env, stdout=log, stderr=log, timeout=600)
    else:
        tree = tmp / "tree"
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        tree.mkdir()
        subprocess.run(["tar", "-c", "--null", "-T", "-", "-f", str(tmp / "tree.tar")], cwd=ROOT, input=names, check=True)
        subprocess.run(["tar", "-x", "-f", str(tmp / "tree.tar")], cwd=tree, check=True)
        shutil.copytree(tmp / "files", tree, dirs_exist_ok=True)
        script = 'cmake -S . -B b -G Ninja -DCMAKE_BUILD_TYPE=Release && ninja -C b hansa-apid && cp b/tests/hansa-apid "$TMP"'
        done = subprocess.run(["bash", "-c", script], cwd=tree, env=env, stdout=log, stderr=log, timeout=1800)
    assert done.returncode == 0, (tmp / "build.log").read_text()[-4000:]
    return tmp / "hansa-apid"


def test_the_example_builds_and_works(tmp_path, monkeypatch):
    if not kubectls():
        pytest.skip("no kubectl here")
    files, here, consoles = tmp_path / "files", tmp_path / "here", []
    here.mkdir()
    for lang, name, text in blocks():
        if lang == "console":
            consoles.append(text)
        elif name:
            path = (files if "/" in name else here) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    before = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    binary = build(tmp_path)
    assert subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout == before
    monkeypatch.setattr("test_engine_kubectl.binary", lambda: str(binary))
    folder = tmp_path / "apid"
    folder.mkdir()
    server = Server(folder)
    server.start()
    try:
        env = dict(os.environ, KUBECONFIG=str(folder / "kubeconfig"), HOME=str(tmp_path))
        kubectl = kubectls()[0]
        explain_help = subprocess.run([kubectl, "explain", "--help"], env=env, capture_output=True).stdout
        wait_for(lambda: subprocess.run([kubectl, "get", "berths"], env=env, capture_output=True).returncode == 0, "berths")
        n = 0
        for line, want in (c for text in consoles for c in commands(text)):
            words = shlex.split(line)
            assert words[0] == "kubectl"
            if "--output=plaintext-openapiv2" in words and b"--output" not in explain_help:
                words.remove("--output=plaintext-openapiv2")  # before 1.27 it is the only form
            p = subprocess.run([kubectl, *words[1:]], cwd=here, env=env, capture_output=True, text=True, timeout=60)
            assert (p.stdout + p.stderr).rstrip("\n") == want.rstrip("\n"), line
            n += 1
        assert n > 5
    finally:
        server.stop()
