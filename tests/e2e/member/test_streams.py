# SPDX-License-Identifier: Apache-2.0
"""exec, attach, cp, port-forward, logs and top with every kubectl at hand, from SPDY (1.20) to WebSocket (1.30 and later)."""
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import termios
import time

import pytest

from member_lib import ROOT, wait_for

WANTED = ("1.20", "1.29", "1.30", "1.33")


def kubectls():
    """The oldest, Debian's, and those that lie beside the installed one; else the installed one alone."""
    found = {}
    old = [pathlib.Path(os.environ["HANSA_OLD_KUBECTL"])] if "HANSA_OLD_KUBECTL" in os.environ else []
    for path in old + [ROOT / "build/tools/kubectl-debian/usr/bin/kubectl"]:
        if path.exists():
            found.setdefault("1.20", str(path))
    installed = shutil.which("kubectl")
    beside = pathlib.Path(installed).resolve().parent if installed else None
    for version in WANTED:
        if beside and (beside / f"kubectl.{version}").exists():
            found[version] = str(beside / f"kubectl.{version}")
    return found or {"installed": installed}


KUBECTLS = kubectls()


class Kubectl:
    def __init__(self, member, version):
        self.version = version
        self.base = [KUBECTLS[version], "--kubeconfig", str(member.kubeconfig),
                     "--cache-dir", str(member.dir / f"cache-{version}")]

    def __call__(self, *args, stdin=b"", timeout=60):
        return subprocess.run([*self.base, *map(str, args)], input=stdin, capture_output=True, timeout=timeout)

    def start(self, *args, **kw):
        return subprocess.Popen([*self.base, *map(str, args)], **kw)

    def out(self, *args, **kw):
        r = self(*args, **kw)
        assert r.returncode == 0, (args, r.stdout[-500:], r.stderr)
        return r.stdout


@pytest.fixture(params=list(KUBECTLS))
def k(request, member, pods):
    return Kubectl(member, request.param)


def pod(name, *containers, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"containers": list(containers), "terminationGracePeriodSeconds": 1, **spec}}


def container(name="main", *command, **more):
    c = {"name": name, "image": "hansa/echo:v1", **more}
    return {**c, "command": list(command)} if command else c


def is_running(member, name):
    states = member.json("pod", name)["status"].get("containerStatuses", [{}])
    return all("running" in s.get("state", {}) for s in states)


@pytest.fixture(scope="module")
def pods(member):
    lines = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done"
    member.apply(pod("web", container("echo", ports=[{"containerPort": 8080}]), container("side", "sh", "-c", lines,
                     env=[{"name": "COLOUR", "value": "green"}], workingDir="/usr")),
                 pod("busy", container("main", "sh", "-c", "while :; do :; done")))
    for name in ("web", "busy"):
        wait_for(lambda: is_running(member, name), 30, f"{name} to run")
    return "web"


def digest(data):
    return hashlib.sha256(data).hexdigest()


# --- exec ---

def test_exec_outcomes(k):
    r = k("exec", "web", "-c", "side", "--", "sh", "-c", "echo out; echo err >&2; pwd; echo $COLOUR; exit 3")
    assert r.returncode == 3 and r.stdout == b"out\n/usr\ngreen\n"
    assert r.stderr == b"err\ncommand terminated with exit code 3\n"
    assert k("exec", "web", "-c", "side", "--", "true").returncode == 0
    r = k("exec", "web", "-c", "side", "--", "nonesuch", "x")
    assert r.returncode == 1 and b'exec: "nonesuch": executable file not found in $PATH' in r.stderr
    r = k("exec", "web", "-c", "nope", "--", "true")
    assert r.returncode == 1 and b"container nope is not valid for pod web" in r.stderr
    r = k("exec", "nobody", "--", "true")
    assert r.returncode == 1 and b'pods "nobody" not found' in r.stderr
    r = k("exec", "web", "-c", "side", "--", "sh", "-c", "kill -9 $$")
    assert r.returncode == 137


def test_exec_carries_10_MB_both_ways(k):
    data = os.urandom(10_000_000)
    assert digest(k.out("exec", "-i", "web", "-c", "side", "--", "cat", stdin=data)) == digest(data)


def test_output_is_whole_when_the_command_ends_at_once(k):
    out = k.out("exec", "web", "-c", "side", "--", "sh", "-c", "head -c 3000000 /dev/zero; echo end >&2")
    assert len(out) == 3_000_000


def test_a_command_that_does_not_read_does_not_hang_others(k):
    """Its stdin is more than any buffer; another command and the member itself answer meanwhile."""
    with k.start("exec", "-i", "web", "-c", "side", "--", "sh", "-c", "sleep 2; echo done", stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        feeder = subprocess.Popen(["head", "-c", "20000000", "/dev/zero"], stdout=p.stdin, stderr=subprocess.DEVNULL)
        p.stdin.close()
        assert k.out("exec", "web", "-c", "side", "--", "echo", "still here") == b"still here\n"
        assert p.stdout.read() == b"done\n"
        p.wait(30)
        feeder.kill()
        feeder.wait()


def test_a_client_that_leaves_takes_its_command_with_it(k, member):
    mark = f"86{time.monotonic_ns() % 10**8}"
    with k.start("exec", "-i", "web", "-c", "side", "--", "sh", "-c", f"echo up; exec sleep {mark}", stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"up\n"
        runs = lambda: subprocess.run(["pgrep", "-f", f"^sleep {mark}"], capture_output=True).returncode == 0
        wait_for(runs, what="the command")
        p.kill()
    wait_for(lambda: not runs(), what="the command to be hung up")
    assert is_running(member, "web")


def read_until(fd, want, timeout=20):
    seen, end = b"", time.monotonic() + timeout
    while want not in seen and time.monotonic() < end:
        try:
            if select.select([fd], [], [], 0.1)[0]:
                seen += os.read(fd, 4096)
        except OSError:
            break
    assert want in seen, seen
    return seen


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def test_exec_terminal_and_its_size(k):
    master, slave = pty.openpty()
    set_size(master, 33, 111)
    with k.start("exec", "-it", "web", "-c", "side", "--", "bash", "--norc", "-i", stdin=slave, stdout=slave, stderr=slave,
                 start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) as p:
        os.close(slave)
        os.write(master, b"tty | sed s/pts/PTS/; echo $TERM-$((40+2))\n")
        assert b"/dev/PTS/" in read_until(master, b"xterm-42")
        os.write(master, b"until [ \"$(stty size)\" = '33 111' ]; do sleep 0.05; done; echo first-$((1+1))\n")
        read_until(master, b"first-2")
        set_size(master, 44, 122)
        os.write(master, b"until [ \"$(stty size)\" = '44 122' ]; do sleep 0.05; done; echo second-$((1+1))\n")
        read_until(master, b"second-2")
        os.write(master, b"exit 7\n")
        read_until(master, b"exit code 7")
        assert p.wait(20) == 7
    os.close(master)


# --- attach, run ---

def test_attach_feeds_the_first_process(k, member):
    name = f"ears-{k.version.replace('.', '-')}"
    member.apply(pod(name, container("main", "sh", "-c", "while read l; do echo got $l; done; echo bye", stdin=True,
                                     stdinOnce=True), restartPolicy="Never"))
    wait_for(lambda: is_running(member, name), what="the pod")
    out = k.out("attach", "-i", name, stdin=b"a\nb\n")
    assert b"got a\ngot b\nbye\n" in out
    wait_for(lambda: member.json("pod", name)["status"]["phase"] == "Succeeded", what="the end of its input to end it")
    assert k.out("logs", name) == b"got a\ngot b\nbye\n"
    member.kubectl("delete", "pod", name, "--wait=false")


def test_attach_to_a_terminal(k, member):
    name = f"shell-{k.version.replace('.', '-')}"
    member.apply(pod(name, container("main", "bash", "--norc", "-i", stdin=True, tty=True)))
    wait_for(lambda: is_running(member, name), what="the pod")
    master, slave = pty.openpty()
    set_size(master, 20, 70)
    with k.start("attach", "-it", name, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                 preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) as p:
        os.close(slave)
        read_until(master, b"prompt")
        os.write(master, b"until [ \"$(stty size)\" = '20 70' ]; do sleep 0.05; done; echo size-$((1+1))\n")
        read_until(master, b"size-2")
        p.kill()
    os.close(master)
    assert is_running(member, name)
    member.kubectl("delete", "pod", name, "--wait=false")


# --- debug ---

def test_debug_in_a_running_pod(k, member):
    """An ephemeral container with a terminal: it sees its pod, and what it does is not the pod's state."""
    if k.version == "1.20":
        pytest.skip("asks for a kind that no server has had since 1.22")
    name = f"probe-{k.version.replace('.', '-')}"
    master, slave = pty.openpty()
    set_size(master, 20, 70)
    with k.start("debug", "web", "-it", "--image=hansa/echo:v1", "--target=side", "-c", name, "--", "bash", "--norc", "-i",
                 stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                 preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) as p:
        os.close(slave)
        read_until(master, b"prompt")
        os.write(master, b"echo $HANSA_POD_NAME-$((40+2))\n")
        read_until(master, b"web-42")
        assert k.out("exec", "web", "-c", name, "--", "echo", "beside it") == b"beside it\n"
        os.write(master, b"exit 3\n")
        p.wait(20)
    os.close(master)
    status = wait_for(lambda: (s := member.json("pod", "web")["status"]) and ephemeral(s, name)["state"].get("terminated") and s,
                      what="its end to be told")
    assert ephemeral(status, name)["state"]["terminated"]["exitCode"] == 3 and status["phase"] == "Running"
    assert {"type": "Ready", "status": "True"}.items() <= next(c for c in status["conditions"] if c["type"] == "Ready").items()
    assert b"web-42" in k.out("logs", "web", "-c", name)


def ephemeral(status, name):
    return next(s for s in status["ephemeralContainerStatuses"] if s["name"] == name)


def test_debug_mistakes(k):
    if k.version == "1.20":
        pytest.skip("asks for a kind that no server has had since 1.22")
    r = k("debug", "web", "--image=hansa/echo:v1", "--target=nope", "--", "sh")
    assert r.returncode == 1 and b'targetContainerName: Not found: "nope"' in r.stderr
    r = k("debug", "web", "--image=hansa/echo:v1", "-c", "side", "--", "sh")
    assert r.returncode == 1 and b'Duplicate value: "side"' in r.stderr
    assert k("debug", "nobody", "--image=hansa/echo:v1", "--", "sh").returncode == 1


def test_debug_a_copy_and_a_node(k, member):
    """Ordinary pods that kubectl makes up: a copy of the pod with another command, and one on the node."""
    copy = f"copy-{k.version.replace('.', '-')}"
    k.out("debug", "web", "--copy-to", copy, "-c", "side", "--image=hansa/echo:v1", "--", "sh", "-c", "echo copied; exec sleep 1000")
    wait_for(lambda: is_running(member, copy) and k("logs", copy, "-c", "side").stdout == b"copied\n", what="the copy to run")
    assert [c["name"] for c in member.json("pod", copy)["spec"]["containers"]] == ["echo", "side"]
    out = k.out("debug", f"node/{member.name}-1", "-i", "--image=hansa/echo:v1", "--", "sh", "-c", "read l; ls /host",
                stdin=b"now that you are attached\n")
    assert b"etc" in out
    member.kubectl("delete", "pod", copy, "--ignore-not-found", "--wait=false")


# --- cp ---

def test_cp_files_and_folders(k, tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/one").write_bytes(data)
    (tmp_path / "tree/sub/two").write_text("two")
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir()
    back.mkdir()
    k.out("cp", tmp_path / "tree/one", f"web:{there}/one", "-c", "side")
    assert (there / "one").read_bytes() == data
    k.out("cp", tmp_path / "tree", f"default/web:{there}/tree", "-c", "side")
    assert (there / "tree/sub/two").read_text() == "two"
    k.out("cp", f"web:{there}/one", back / "one", "-c", "side")
    assert (back / "one").read_bytes() == data
    k.out("cp", f"web:{there}/tree", back / "tree", "-c", "side")
    assert (back / "tree/one").read_bytes() == data and (back / "tree/sub/two").read_text() == "two"


def test_cp_of_an_absent_file(k, tmp_path):
    """tar's complaints, its empty archive and its outcome all arrive. kubectl cp itself leaves with 0 at the archive's end, before
    it has asked for the outcome, in every cluster; what tar said before is sent before, and is seen when kubectl is quick."""
    for _ in range(5):
        r = k("exec", "web", "-c", "side", "--", "tar", "cf", "-", f"{tmp_path}/absent")
        said = r.stderr.decode().splitlines()
        assert r.stdout == bytes(10240) and r.returncode == 2
        assert said == ["tar: Removing leading `/' from member names",
                        f"tar: {tmp_path}/absent: Cannot stat: No such file or directory",
                        "tar: Exiting with failure status due to previous errors", "command terminated with exit code 2"]
    k("cp", f"web:{tmp_path}/absent", tmp_path / "back", "-c", "side")
    assert not (tmp_path / "back").exists()
    r = k("cp", f"web:{tmp_path}/absent", tmp_path / "back", "-c", "nope")
    assert r.returncode == 1 and b"container nope is not valid for pod web" in r.stderr
    r = k("cp", tmp_path / "absent", f"web:{tmp_path}/there", "-c", "side")
    assert r.returncode == 1 and not (tmp_path / "there").exists()


# --- port-forward ---

# A little server at the pod's address: 20 MB over HTTP, and one that answers only after the client's end.
SOURCE = r"""
import socket, sys, threading
s = socket.create_server((sys.argv[1], 0))
t = socket.create_server((sys.argv[1], 0))
print(s.getsockname()[1], t.getsockname()[1], flush=True)
def big(c):
    c.recv(4096)
    c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 20000000)
    c.close()
def late(c):
    got = b""
    while b := c.recv(65536):
        got += b
    c.sendall(b"%d bytes" % len(got))
    c.close()
def serve(s, f):
    while True:
        threading.Thread(target=f, args=(s.accept()[0],), daemon=True).start()
threading.Thread(target=serve, args=(t, late), daemon=True).start()
serve(s, big)
"""


@pytest.fixture(scope="module")
def source(member, pods):
    ip = member.json("pod", "web")["status"]["podIP"]
    p = subprocess.Popen(["/usr/bin/python3", "-c", SOURCE, ip], stdout=subprocess.PIPE, text=True)
    yield [int(n) for n in p.stdout.readline().split()]
    p.kill()
    p.wait()


@pytest.fixture
def forwarded(k, source):
    big, late = source
    log = subprocess.PIPE
    p = k.start("port-forward", "--address", "127.0.0.1", "web", ":8080", f":{big}", f":{late}", ":81", stdout=log,
                stderr=subprocess.STDOUT, text=True)
    ports = {}
    while len(ports) < 4:
        line = p.stdout.readline()
        assert line, "port-forward ended"
        if m := re.match(r"Forwarding from 127.0.0.1:(\d+) -> (\d+)", line):
            ports[int(m[2])] = int(m[1])
    yield p, ports, source
    p.kill()
    p.wait()
    p.stdout.close()


def test_port_forward(forwarded, tmp_path):
    p, ports, (big, late) = forwarded
    # Into files: who does not read one connection holds the others, as SPDY's clients keep no windows.
    urls = [f"http://127.0.0.1:{ports[8080]}/{i}" for i in range(8)] + [f"http://127.0.0.1:{ports[big]}/"] * 2
    gets = [subprocess.Popen(["curl", "-sS", "-m", "60", "-o", tmp_path / str(i), url]) for i, url in enumerate(urls)]
    for i, g in enumerate(gets):
        assert g.wait(90) == 0
        if i < 8:
            assert json.loads((tmp_path / str(i)).read_text())["request"]["path"] == f"/{i}"
        else:
            assert (tmp_path / str(i)).stat().st_size == 20_000_000
    with socket.create_connection(("127.0.0.1", ports[late]), timeout=30) as s:
        s.sendall(b"y" * 1_000_000)
        s.shutdown(socket.SHUT_WR)  # the answer comes after our end
        assert s.recv(100) == b"1000000 bytes"
    with socket.create_connection(("127.0.0.1", ports[81]), timeout=30) as s:
        assert s.recv(1) == b""
    seen = ""
    while "error forwarding port 81" not in seen:
        line = p.stdout.readline()
        assert line, seen
        seen += line
    assert "onnection refused" in line


# --- logs ---

def utc(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamped(k, *options):
    """[(time, line)] of the lines that the container says."""
    return [tuple(line.split(" ", 1)) for line in k.out("logs", "web", "-c", "side", "--timestamps", *options).decode().splitlines()]


def test_logs_options(k, member):
    lines = k.out("logs", "web", "-c", "side").decode().splitlines()
    assert lines[0] == "line 1"
    assert len(k.out("logs", "web", "-c", "side", "--tail=3").splitlines()) in (3, 4)
    assert k.out("logs", "web", "-c", "side", "--limit-bytes=8") == b"line 1\nl"
    stamp, word, _ = k.out("logs", "web", "-c", "side", "--tail=1", "--timestamps").decode().splitlines()[-1].split()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", stamp) and word == "line"
    begin = time.time() - 2
    recent = stamped(k, "--since=2s")
    end = time.time() - 2
    everything = stamped(k)
    assert all(t >= utc(begin) for t, _ in recent)
    assert {line for t, line in everything if utc(end) <= t <= utc(begin + 2)} <= {line for _, line in recent}
    # kubectl sends whole seconds of a time: the lines of that second come too.
    since = stamped(k, f"--since-time={stamp}")
    assert since[0] == next(line for line in everything if line[0][:19] >= stamp[:19])
    both = k.out("logs", "web", "--all-containers", "--prefix", "--tail=1").decode()
    assert "[pod/web/side] line" in both and "[pod/web/echo]" in both
    assert b"[pod/web/side] line" in k.out("logs", "-l", "app=web", "-c", "side", "--prefix", "--tail=1")
    assert b"container nope is not valid for pod web" in k("logs", "web", "-c", "nope").stderr
    assert b'previous terminated container "side" in pod "web" not found' in k("logs", "web", "-c", "side", "-p").stderr
    with k.start("logs", "-f", "web", "-c", "side", "--tail=0", stdout=subprocess.PIPE) as p:
        numbers = [int(p.stdout.readline().split()[1]) for _ in range(5)]
        p.kill()
    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_logs_of_what_does_not_run(k, member):
    missing = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "a"}}}
    member.apply(pod("waits", container("main", env=[missing])), pod("nowhere", container(), nodeSelector={"no": "node"}),
                 pod("pulls", container("main", image="nginx")))
    said = lambda name: k("logs", name).stderr.decode()
    wait_for(lambda: 'container "main" in pod "waits" is waiting to start: CreateContainerConfigError' in said("waits"),
             what="the reason")
    wait_for(lambda: re.search("waiting to start: (image can't be pulled|trying and failing to pull image)", said("pulls")),
             what="the reason")
    assert k.out("logs", "nowhere") == b""
    assert "does not have a host assigned" in k("exec", "nowhere", "--", "true").stderr.decode()
    assert 'container not found ("main")' in k("exec", "pulls", "--", "true").stderr.decode()


def test_logs_across_rotation(member, pods):
    """30 MB of lines: the file is renamed twice; a follower sees each line once."""
    member.apply(pod("much", container("main", "sh", "-c", "seq -f '%06.0f 0123456789012345678901234567890123456789' 1 300000; sleep 1"),
                     restartPolicy="Never"))
    wait_for(lambda: member.json("pod", "much")["status"]["containerStatuses"][0]["state"], what="the pod")
    k = Kubectl(member, list(KUBECTLS)[-1])
    wait_for(lambda: k("logs", "much", "--limit-bytes=1").returncode == 0, what="its log")
    r = k("logs", "-f", "much", timeout=60)
    numbers = [int(line.split()[0]) for line in r.stdout.splitlines()]
    assert numbers, r.stderr
    assert numbers == list(range(numbers[0], 300001)), "lines lost or seen twice"
    member.kubectl("delete", "pod", "much", "--wait=false")


# --- top ---

def table(out):
    rows = [line.split() for line in out.decode().splitlines()]
    return {r[0]: r[1:] for r in rows[1:]}


def test_top(k, member):
    busy = wait_for(lambda: (t := table(k.out("top", "pod"))) and int(t["busy"][0].rstrip("m")) > 50 and t, 60, "a busy pod")
    assert set(busy) >= {"web", "busy"} and busy["web"][1].endswith("Mi")
    rows = k.out("top", "pod", "web", "--containers").decode().splitlines()
    assert sorted(r.split()[1] for r in rows[1:]) == ["echo", "side"]
    first = k.out("top", "pod", "-A", "--sort-by=cpu").decode().splitlines()[1].split()
    assert first[:2] == ["default", "busy"]
    assert set(table(k.out("top", "pod", "-l", "app=web"))) == {"web"}
    node = table(k.out("top", "node"))
    assert int(node[f"{member.name}-1"][0].rstrip("m")) > 50
    assert b'podmetrics.metrics.k8s.io "default/nobody" not found' in k("top", "pod", "nobody").stderr


# --- other clients ---

@pytest.fixture
def python_api(member, pods):
    config = pytest.importorskip("kubernetes.config", reason="python3-kubernetes is not installed")
    pytest.importorskip("websocket", reason="python3-websocket is not installed")
    from kubernetes import client
    return client.CoreV1Api(config.new_client_from_config(str(member.kubeconfig)))


WANT = {"container": "side", "stderr": True, "stdin": False, "stdout": True, "tty": False}


def test_python_client_exec(python_api):
    from kubernetes.client.exceptions import ApiException
    from kubernetes.stream import stream
    execute = python_api.connect_get_namespaced_pod_exec
    assert stream(execute, "web", "default", command=["echo", "hello"], **WANT) == "hello\n"
    s = stream(execute, "web", "default", command=["sh"], _preload_content=False, **{**WANT, "stdin": True})
    s.write_stdin("echo to err >&2; exit 5\n")
    s.run_forever(timeout=20)
    assert "to err" in s.read_stderr() and s.returncode == 5
    s = stream(execute, "web", "default", command=["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; exit 3"],
               _preload_content=False, **WANT)
    s.run_forever(timeout=20)
    assert s.returncode == 3 and len(s.read_all()) == 3_000_000  # in this order: read_all forgets the outcome
    with pytest.raises(ApiException, match="404"):
        stream(execute, "nobody", "default", command=["true"], **WANT)


@pytest.mark.parametrize("version,first", [("v4", b"\x01"), ("v5", b"\x01here\n")])
def test_the_first_message(python_api, version, first):
    """Clients of v4 are greeted by an empty message; client-go's v5 would only complain of it."""
    import ssl

    import websocket
    conf = python_api.api_client.configuration
    url = conf.host.replace("https", "wss") + "/api/v1/namespaces/default/pods/web/exec?container=side&stdout=1&stdin=1&command=cat"
    tls = {"cert_reqs": ssl.CERT_NONE, "certfile": conf.cert_file, "keyfile": conf.key_file}
    ws = websocket.create_connection(url, sslopt=tls, subprotocols=[f"{version}.channel.k8s.io"], timeout=20)
    try:
        ws.send_binary(b"\x00here\n")
        assert ws.recv() == first
    finally:
        ws.close()


def test_python_client_log_stream(python_api):
    from kubernetes import watch
    answer = python_api.read_namespaced_pod_log("web", "default", container="side", follow=True, tail_lines=0,
                                                _preload_content=False, _request_timeout=20)
    got = b""
    while got.count(b"\n") < 3:
        got += answer.read(1)
    answer.release_conn()
    assert re.fullmatch(rb"line \d+\nline \d+\nline \d+\n", got)
    numbers = []
    w = watch.Watch()
    for line in w.stream(python_api.read_namespaced_pod_log, "web", "default", container="side", tail_lines=1, _request_timeout=20):
        numbers.append(int(line.split()[1]))
        if len(numbers) == 4:
            w.stop()
    assert numbers == list(range(numbers[0], numbers[0] + 4))


def test_python_client_port_forward(python_api):
    from kubernetes.stream import portforward
    f = portforward(python_api.connect_get_namespaced_pod_portforward, "web", "default", ports="8080")
    conn = f.socket(8080)
    conn.settimeout(20)
    conn.sendall(b"GET /py HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while b := conn.recv(65536):  # the end of the pod's connection is the end of this one
        answer += b
    assert b'"path":"/py"' in answer.replace(b" ", b"") and f.error(8080) is None


def test_the_pod_outlives_a_killed_member(member, pods):
    k = Kubectl(member, list(KUBECTLS)[-1])
    if k.version != "1.20":
        k.out("debug", "web", "--image=hansa/echo:v1", "-c", "stays", "--", "sleep", "1000")
        wait_for(lambda: "running" in ephemeral(member.json("pod", "web")["status"], "stays")["state"], what="a guest in it")
    mark = f"87{time.monotonic_ns() % 10**8}"
    pid = member.json("pod", "web")["status"]["containerStatuses"][0]["containerID"]
    with k.start("exec", "-i", "web", "-c", "side", "--", "sh", "-c", f"echo up; exec sleep {mark}", stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"up\n"
        member.kill()
        p.communicate(timeout=30)
    member.start()
    wait_for(lambda: subprocess.run(["pgrep", "-f", f"^sleep {mark}"], capture_output=True).returncode != 0,
             what="the command to end with its member")
    assert member.json("pod", "web")["status"]["containerStatuses"][0]["containerID"] == pid
    wait_for(lambda: k("exec", "web", "-c", "side", "--", "true").returncode == 0, what="exec after the restart")
    if k.version != "1.20":
        wait_for(lambda: k("exec", "web", "-c", "stays", "--", "true").returncode == 0, what="exec in the guest")
