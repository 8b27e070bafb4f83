# SPDX-License-Identifier: Apache-2.0
"""What outlives what: pods the agent, data the process, ranges a stop."""
import json
import os
import signal
import subprocess
import time

from member_lib import BIN, curl, deployment, service, wait_for


def shim_pids(member):
    """Pids of the processes whose command line names a pod folder of this member."""
    out = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{p}/cmdline", "rb").read().split(b"\0")
        except OSError:
            continue
        if words[0] == b"hansa-shim" and len(words) > 1 and words[1].startswith(str(member.dir).encode()):
            out.append(int(p))
    return sorted(out)


def children(pid):
    return sorted(int(c) for c in open(f"/proc/{pid}/task/{pid}/children").read().split())


def test_killed_agent_kills_no_pod(member):
    member.apply(deployment("stay", 2), service("stay", "LoadBalancer"))
    first = {p["metadata"]["name"] for p in member.ready("app=stay", 2)}
    member.kubectl("delete", "pod", *first) # the addresses that stay are not those that a new process gives out first
    pods = member.ready("app=stay", 2)
    addresses = {p["metadata"]["uid"]: p["status"]["podIP"] for p in pods}
    ips = list(addresses.values())
    shims = wait_for(lambda: len(s := shim_pids(member)) == 2 and s, what="the shims of the first two to end")
    processes = [children(s) for s in shims]
    assert all(len(p) == 1 for p in processes)
    member.kill()
    for ip in ips:
        assert json.loads(curl(f"http://{ip}:8080/"))
    member.start()
    again = member.ready("app=stay", 2)
    assert shim_pids(member) == shims and [children(s) for s in shims] == processes
    assert all(p["status"]["containerStatuses"][0]["restartCount"] == 0 for p in again)
    assert {p["metadata"]["uid"]: p["status"]["podIP"] for p in again} == addresses
    lb = member.json("svc", "stay")["status"]["loadBalancer"]["ingress"][0]["ip"]
    wait_for(lambda: json.loads(curl(f"http://{lb}:8080/")), what="the service")
    member.kubectl("scale", "deploy/stay", "--replicas=3")
    three = member.ready("app=stay", 3)
    assert len({p["status"]["podIP"] for p in three}) == 3


def test_killed_shim_takes_its_containers_and_comes_back(member):
    member.apply(deployment("shim"))
    pod = member.ready("app=shim", 1)[0]
    shim = [s for s in shim_pids(member) if pod["metadata"]["uid"] in open(f"/proc/{s}/cmdline").read()][0]
    child = children(shim)[0]
    os.kill(shim, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{child}"), what="the container to die")
    wait_for(lambda: member.pods("app=shim")[0]["status"]["containerStatuses"][0]["restartCount"] == 1, what="a restart")
    member.ready("app=shim", 1)


def test_stop_and_start_again(member):
    port = json.loads((member.dir / "ports.json").read_text())
    member.stop(pods=True)
    assert shim_pids(member) == []
    member.start()
    assert json.loads((member.dir / "ports.json").read_text()) == port
    member.ready("app=stay", 3, 30)


def test_second_process_is_refused(member):
    r = subprocess.run([BIN / "hansa-member", "--name", "x", "--dir", member.dir], capture_output=True, text=True, timeout=20)
    assert r.returncode == 75 and "another hansa-member runs" in r.stderr


def test_two_members_side_by_side(member, make_member):
    other = make_member("beside")
    a, b = (json.loads((m.dir / "ports.json").read_text())["range"] for m in (member, other))
    assert a != b
    mode = (other.dir / "kubeconfig").stat().st_mode & 0o777
    assert mode == 0o600


def test_idle_costs_little(member):
    ticks = lambda: sum(map(int, open(f"/proc/{member.proc.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
    before = ticks()
    time.sleep(3)
    used = (ticks() - before) / os.sysconf("SC_CLK_TCK") / 3
    rss = [int(l.split()[1]) for l in open(f"/proc/{member.proc.pid}/status") if l.startswith("VmRSS")][0] / 1024
    print(f"idle with 4 probed pods: {used * 100:.2f} % of a core, {rss:.1f} MB")
    assert used < 0.05
    if "asan" not in str(BIN):
        assert rss < 25
