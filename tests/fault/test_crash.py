# SPDX-License-Identifier: Apache-2.0
"""crash.py and crash_etcd.py in the gate: 25 and 15 kills; 2000 and 300 with HANSA_TEST_LONG=yes; or as HANSA_TEST_KILLS says.
HANSA_TEST_SEED repeats a run."""
import os
import shutil

import pytest

import crash
import crash_etcd

LONG = os.environ.get("HANSA_TEST_LONG") == "yes"
KILLS = int(os.environ.get("HANSA_TEST_KILLS", 2000 if LONG else 25))
ETCD_KILLS = int(os.environ.get("HANSA_TEST_KILLS", 300 if LONG else 15))
SEED = int(os.environ["HANSA_TEST_SEED"]) if "HANSA_TEST_SEED" in os.environ else None


def test_nothing_acknowledged_is_lost_sqlite():
    assert crash.run(KILLS, SEED) == []


@pytest.mark.skipif(not shutil.which("etcd"), reason="etcd is not installed (Debian: etcd-server)")
def test_nothing_acknowledged_is_lost_etcd():
    """Three servers on three members of etcd; servers, members and the leader are killed."""
    assert crash_etcd.run(ETCD_KILLS, SEED) == []
