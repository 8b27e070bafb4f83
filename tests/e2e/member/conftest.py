# SPDX-License-Identifier: Apache-2.0
"""Included clusters for tests: each test module gets one member of its own, on its own loopback range."""
import os
import pathlib
import shutil
import tempfile

import pytest

from member_lib import Member


@pytest.fixture(scope="session")
def make_member():
    base = pathlib.Path(tempfile.mkdtemp(prefix="hansa-member-"))
    made = []

    def make(name, user=None, extra=()):
        base.chmod(0o755)
        directory = base / f"{name}-{len(made)}" / "state"
        directory.mkdir(parents=True)
        if user:
            shutil.chown(directory.parent, user)
            shutil.chown(directory, user)
        m = Member(name, directory, user, extra)
        made.append(m)
        return m.start()

    yield make
    for m in made:
        try:
            m.stop()
        except Exception as e:  # the others must be stopped too
            print(f"stop {m.name}: {e}")
            if m.proc and m.proc.poll() is None:
                m.kill()
    if not os.environ.get("HANSA_KEEP"):
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def member(make_member, request):
    return make_member(request.module.__name__.removeprefix("test_").replace("_", "-"))
