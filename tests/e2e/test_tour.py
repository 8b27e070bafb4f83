# SPDX-License-Identifier: Apache-2.0
"""Every command of README's tour, in its order, as a reader types it."""
import re

from fed import ROOT, run


def tour():
    """The sh blocks of the section "A five-minute tour"."""
    section = (ROOT / "README.md").read_text().split("## A five-minute tour\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)


def patiently(block):
    """A block that asks DNS or a balancer in each of three regions. Who types has paused before it; the servers learn of
    a rollout's end from their watches, a moment after kubectl does."""
    if not block.startswith(("for client in", "for lb in")):
        return block
    return f"until [ \"$( ({block}) | grep -oE '^[0-9.]+$|\"cluster\":\"[^\"]*\"' | sort -u | wc -l)\" = 3 ]; do sleep 0.1; done\n{block}"


def test_tour_of_the_readme(federation, kubectl_path, tmp_path):
    (tmp_path / "kubectl").symlink_to(kubectl_path)
    env = dict(federation.env, PATH=f"{tmp_path}:{federation.env['PATH']}", HOME=str(tmp_path))
    blocks = tour()
    assert len(blocks) > 5
    script = "\n".join(f"echo '=== block {i}'\n{patiently(block)}" for i, block in enumerate(blocks))
    done = run("bash", "-euxo", "pipefail", "-c", f"cd '{ROOT}'\n{script}", env=env, timeout=120)
    said = dict(re.findall(r"^=== block (\d+)\n(.*?)(?=^=== block|\Z)", done.stdout, re.M | re.S))
    assert len(said) == len(blocks), done.stdout

    # What the text around the commands promises.
    def block_with(command):
        return said[str(next(i for i, b in enumerate(blocks) if command in b))]

    assert block_with("kubectl get clusters").count("Ready") == 3
    assert "6/6" in block_with("rollout status")
    assert block_with("get deployments,pods").count("2/2") == 3
    near = block_with("for client in").split()
    assert len(near) == 3 and len(set(near)) == 3, near
    answers = re.findall(r'"cluster":"([a-z0-9-]+)"', block_with("for lb in"))
    assert answers == ["us-east1", "europe-west1", "asia-east1"]
    answers = re.findall(r'"cluster":"([a-z0-9-]+)"', block_with("kubefed down --cluster europe-west1"))
    assert answers == ["us-east1", "asia-east1"]
    assert near[1] not in block_with("kubefed down --cluster europe-west1").split()
