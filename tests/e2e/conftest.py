# SPDX-License-Identifier: Apache-2.0
"""The shared fixtures of the end-to-end tests; fed.py has them, so that a test may import its helpers by name."""
from fed import federation, make_federation, pytest_generate_tests  # noqa: F401
