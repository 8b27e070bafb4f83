# SPDX-License-Identifier: Apache-2.0
import pytest

from glb import Backend, Balancer


@pytest.fixture
def balancer(tmp_path):
    """balancer(world, *args, ...) starts one; all are stopped, and must end in order."""
    made = []

    def start(world, *args, **kw):
        b = Balancer(tmp_path, world, *args, **kw)
        made.append(b)
        return b
    yield start
    for b in made:
        b.stop()


@pytest.fixture
def backend():
    made = []

    def start(handle, **kw):
        b = Backend(handle, **kw)
        made.append(b)
        return b
    yield start
    for b in made:
        b.close()
