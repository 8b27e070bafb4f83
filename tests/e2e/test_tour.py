# SPDX-License-Identifier: Apache-2.0
"""Every command of README's tour, in its order, as a reader types it."""
import re

from fed import ROOT, run


def tour():
    """The sh blocks of the section "A five-minute tour"."""
    section = (ROOT / "README.md").read_text().split("## A five-minute tour\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)


def test_tour_of_the_readme(federation):
    blocks = tour()
    assert len(blocks) > 5
    script = "\n".join(f"echo '=== block {i}' >&2\n{block}" for i, block in enumerate(blocks))
    done = run("bash", "-euxo", "pipefail", "-c", f"cd '{ROOT}'\n{script}", env=federation.env, timeout=240)
    for cluster in ("us-east1", "europe-west1", "asia-east1"):
        assert cluster in done.stdout
