# SPDX-License-Identifier: Apache-2.0
"""A cluster is lost while 1,000 requests a second come in: none fails, none takes over 1.5 s.

    wrk --> hansa-globallb (us-east1) --> europe-west1: nginx 127.0.0.2   (killed, stopped or cut off)
                                     \\-> asia-east1:   nginx 127.0.0.3

Packets are dropped in a network name space of our own: the test runs itself again inside `unshare`.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

from glb import free_port, simple_world, wait_for

NGINX = """daemon off; master_process off; pid {dir}/pid; error_log {dir}/err;
events {{ worker_connections 2048; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
  client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3; uwsgi_temp_path {dir}/4;
  scgi_temp_path {dir}/5;
  server {{ listen {addr}:{port} backlog=1024; location / {{ default_type text/plain; return 200 "{name}\\n"; }} }} }}
"""
LUA = "function delay() return math.random(80, 120) end"


class Web:
    def __init__(self, tmp, name, addr):
        self.name, self.addr, self.port = name, addr, free_port(addr)
        self.dir = tmp / name
        self.dir.mkdir()
        (self.dir / "conf").write_text(NGINX.format(dir=self.dir, addr=addr, port=self.port, name=name))
        self.proc = None
        self.start()

    def start(self):
        self.proc = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(self.dir / "conf")],
                                     stderr=subprocess.DEVNULL)
        wait_for(self.answers)

    def answers(self):
        import urllib.request
        try:
            return urllib.request.urlopen(f"http://{self.addr}:{self.port}/", timeout=1).status == 200
        except OSError:
            return False

    def stop(self):
        self.proc.send_signal(signal.SIGCONT)
        self.proc.kill()
        self.proc.wait()


@pytest.fixture
def web(tmp_path):
    made = []

    def start(name, addr):
        made.append(Web(tmp_path, name, addr))
        return made[-1]
    yield start
    for w in made:
        w.stop()


def ms(text):
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


class Load:
    def __init__(self, tmp, b, seconds, method="GET"):
        script = tmp / "load.lua"
        script.write_text(f'wrk.method = "{method}"\n' + LUA)
        self.proc = subprocess.Popen(["wrk", "-t1", "-c100", f"-d{seconds}s", "--timeout", "20s", "--latency", "-s", str(script),
                                      "-H", "Host: api.example.com", f"http://{b.host}:{b.port}/"],
                                     stdout=subprocess.PIPE, text=True)

    def result(self):
        out = self.proc.communicate(timeout=60)[0]
        self.out = out
        self.max_ms = ms(re.search(r"Latency\s+\S+\s+\S+\s+(\S+)", out).group(1))
        self.total = int(re.search(r"(\d+) requests in", out).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        self.failed = (int(bad.group(1)) if bad else 0) + (sum(map(int, errors.groups())) if errors else 0)
        return self


def lose(how, w):
    if how == "kill":
        w.proc.kill()
        w.proc.wait()
    elif how == "stop":
        w.proc.send_signal(signal.SIGSTOP)
    elif how == "drop":
        for chain, flag in (("INPUT", "-d"), ("OUTPUT", "-d"), ("INPUT", "-s")):
            subprocess.run(["iptables", "-I", chain, flag, w.addr, "-j", "DROP"], check=True)


def inside(name):
    """True inside the name space; else runs the test `name` there and returns False."""
    if os.environ.get("GLB_TEST_NETNS") == "1":
        return True
    # In a user name space nginx cannot set its groups: the real root needs none.
    spaces = "-n" if os.geteuid() == 0 else "-rn"
    if subprocess.run(["unshare", spaces, "sh", "-c", "ip link set lo up && iptables -L -n"], capture_output=True).returncode:
        pytest.skip("no network name space with iptables here")
    here = pathlib.Path(__file__)
    done = subprocess.run(["unshare", spaces, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-m", "pytest", "-q",
                           "-p", "no:cacheprovider", f"{here}::{name}"], env={**os.environ, "GLB_TEST_NETNS": "1"},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return False


@pytest.mark.parametrize("probes", ["true", "false"])
@pytest.mark.parametrize("how", ["kill", "stop", "drop"])
def test_loss_of_a_cluster(request, tmp_path, balancer, web, how, probes):
    if how == "drop" and not inside(request.node.name):
        return
    eu, asia = web("europe-west1", "127.0.0.2"), web("asia-east1", "127.0.0.3")
    world = simple_world({"europe-west1": [(eu.addr, eu.port)], "asia-east1": [(asia.addr, asia.port)]})
    b = balancer(world, f"--probes={probes}", workers=2)
    load = Load(tmp_path, b, 6)
    wait_for(lambda: b.metric("hansa_globallb_requests_total", code="200", cluster="europe-west1") > 1500, 10)
    assert b.metric("hansa_globallb_requests_total", cluster="asia-east1") == 0
    lose(how, eu)
    r = load.result()
    print(how, probes, r.out, b.text()[-2000:])
    assert r.total > 3000
    assert r.failed == 0, r.out
    assert r.max_ms < 1500, r.out
    assert b.metric("hansa_globallb_requests_total", code="200", cluster="asia-east1") > 1000
    assert b.metric("hansa_globallb_ejections_total") >= 1 or probes == "true"


def test_a_lost_cluster_returns(tmp_path, balancer, web):
    eu, asia = web("europe-west1", "127.0.0.2"), web("asia-east1", "127.0.0.3")
    world = simple_world({"europe-west1": [(eu.addr, eu.port)], "asia-east1": [(asia.addr, asia.port)]})
    b = balancer(world)
    load = Load(tmp_path, b, 9)
    europe = lambda: b.metric("hansa_globallb_requests_total", code="200", cluster="europe-west1")
    wait_for(lambda: europe() > 500)
    lose("stop", eu)
    wait_for(lambda: b.metric("hansa_globallb_requests_total", code="200", cluster="asia-east1") > 500)
    before = europe()
    eu.proc.send_signal(signal.SIGCONT)
    wait_for(lambda: europe() > before + 500)
    r = load.result()
    assert r.failed == 0 and r.max_ms < 1500, r.out
