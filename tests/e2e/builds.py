# SPDX-License-Identifier: Apache-2.0
"""Which build the end-to-end tests run: $HANSA_BUILD, a build folder (build/release unless set; absolute, or below the checkout).

With one of -DHANSA_SANITIZE=ON, whatever a sanitizer of any process of the programs reports (a leak too, when it ends in order)
fails the test during which it was written; SLOW stretches what tests wait for. Imported by conftest.py before all else, since the
helpers read the environment when they are imported.
"""
import os
import pathlib
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def is_sanitized(build):
    cache = build / "CMakeCache.txt"
    return cache.exists() and "HANSA_SANITIZE:BOOL=ON" in cache.read_text()


BUILD = (ROOT / os.environ.get("HANSA_BUILD", "build/release")).resolve()
SANITIZED = is_sanitized(BUILD)
SLOW = 5 if SANITIZED else 1
REPORTS = None

if "HANSA_BUILD" in os.environ:
    os.environ["HANSA_BIN"] = str(BUILD / "bin")
if SANITIZED:
    REPORTS = pathlib.Path(tempfile.mkdtemp(prefix="hansa-sanitizers-"))
    REPORTS.chmod(0o777)  # members may run as another user
    os.environ["ASAN_OPTIONS"] = f"detect_leaks=1:abort_on_error=0:log_path={REPORTS}/asan"
    os.environ["UBSAN_OPTIONS"] = f"print_stacktrace=1:log_path={REPORTS}/ubsan"


def take_reports():
    """What was reported since the last call."""
    found = sorted(REPORTS.iterdir()) if REPORTS else []
    text = "\n".join(f.read_text(errors="replace")[:8000] for f in found)
    for f in found:
        f.unlink()
    return text


@pytest.fixture(autouse=True)
def sanitizer_reports():
    yield
    text = take_reports()
    assert not text, "a sanitizer reported:\n" + text


@pytest.fixture(scope="session", autouse=True)
def last_sanitizer_reports():
    """Of processes that end after the last test."""
    yield
    text = take_reports()
    if REPORTS:
        REPORTS.rmdir()
    assert not text, "a sanitizer reported:\n" + text
