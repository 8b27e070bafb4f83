# SPDX-License-Identifier: Apache-2.0
"""The shared fixtures of the end-to-end tests; fed.py has them, so that a test may import its helpers by name."""
from builds import last_sanitizer_reports, sanitizer_reports  # noqa: F401  (first: it says where the programs are)
from fed import federation, make_federation, pytest_generate_tests  # noqa: F401
