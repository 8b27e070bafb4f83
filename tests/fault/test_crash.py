# SPDX-License-Identifier: Apache-2.0
"""crash.py in the gate: 25 kills; 300 with HANSA_TEST_LONG=yes; as many as HANSA_TEST_KILLS says. HANSA_TEST_SEED repeats a run."""
import os

import crash

LONG = os.environ.get("HANSA_TEST_LONG") == "yes"
KILLS = int(os.environ.get("HANSA_TEST_KILLS", 300 if LONG else 25))
SEED = int(os.environ["HANSA_TEST_SEED"]) if "HANSA_TEST_SEED" in os.environ else None


def test_nothing_acknowledged_is_lost_sqlite():
    assert crash.run(KILLS, SEED, "sqlite") == []
