# SPDX-License-Identifier: Apache-2.0
"""Pods from controllers to processes: deployments, configuration, probes, restarts, logs, deletion."""
import json
import os
import subprocess
import time

from member_lib import curl, deployment, is_ready, service, wait_for


def address(pod):
    return pod["status"]["podIP"]


def test_deployment_runs_and_is_ready_fast(member):
    begin = time.monotonic()
    member.apply(deployment("fast", 2))
    applied = time.monotonic()
    member.ready("app=fast", 2)
    took = time.monotonic() - applied
    print(f"apply {applied - begin:.3f} s, ready after another {took:.3f} s")
    pod = member.pods("app=fast")[0]
    began = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    assert began and pod["status"]["phase"] == "Running" and pod["status"]["hostIP"].startswith("127.")
    answer = json.loads(curl(f"http://{address(pod)}:8080/a?b=c"))
    assert answer["pod"] == pod["metadata"]["name"] and answer["cluster"] == member.name
    assert answer["request"]["path"] == "/a" and answer["request"]["query"] == "b=c"
    wait_for(lambda: "2/2" in member.kubectl("get", "deploy", "fast"), what="the Deployment to tell of them")
    assert "successfully rolled out" in member.kubectl("rollout", "status", "deploy/fast", "--timeout=10s")


def test_configuration_as_environment_and_files(member):
    cm = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"},
          "data": {"colour": "green", "app.ini": "[a]\nb=1\n"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sec"}, "stringData": {"password": "s3cret"}}
    env = [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "colour"}}},
           {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "password"}}},
           {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
           {"name": "GREETING", "value": "I am $(WHO) and $(NOBODY) $$(WHO)"}]
    pod = {"volumes": [{"name": "c", "configMap": {"name": "conf"}}, {"name": "s", "secret": {"secretName": "sec"}},
                       {"name": "e", "emptyDir": {}}],
           "initContainers": [{"name": "prepare", "image": "hansa/echo:v1", "volumeMounts": [
               {"name": "c", "mountPath": "/etc/never/conf"}, {"name": "e", "mountPath": "/scratch"},
               {"name": "s", "mountPath": "/etc/never/secret"}],
               "command": ["sh", "-c", "cat /etc/never/conf/app.ini /etc/never/secret/password > /scratch/seen; "
                                       "ls /var/run/secrets/kubernetes.io/serviceaccount >> /scratch/seen"]}]}
    member.apply(cm, secret, deployment("conf", env=env, envFrom=[{"prefix": "C_", "configMapRef": {"name": "conf"}}],
                                        volumeMounts=[{"name": "e", "mountPath": "/scratch"}], pod=pod))
    one = member.ready("app=conf", 1)[0]
    e = json.loads(curl(f"http://{address(one)}:8080/"))["environment"]
    assert e["COLOUR"] == "green" and e["PASSWORD"] == "s3cret" and e["C_colour"] == "green"
    assert e["GREETING"] == f"I am {one['metadata']['name']} and $(NOBODY) $(WHO)"
    assert e["KUBERNETES_SERVICE_HOST"].startswith("127.")
    uid = one["metadata"]["uid"]
    volumes = member.dir / "pods" / uid / "volumes"
    seen = (volumes / "e" / "seen").read_text()
    assert seen.startswith("[a]\nb=1\ns3cret") and "token" in seen and "ca.crt" in seen
    assert not os.path.exists("/etc/never") and not os.path.exists("/scratch")
    member.kubectl("patch", "cm", "conf", "-p", '{"data":{"app.ini":"new"}}')
    wait_for(lambda: (volumes / "c" / "app.ini").read_text() == "new", what="the file to follow the ConfigMap")


def test_missing_configuration_waits_then_starts(member):
    env = [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "x"}}}]
    member.apply(deployment("later", env=env))
    def waits():
        s = member.pods("app=later")[0]["status"]["containerStatuses"][0]["state"]
        return s["waiting"]["reason"] == "CreateContainerConfigError"
    wait_for(waits, what="CreateContainerConfigError")
    member.kubectl("create", "cm", "later", "--from-literal=x=1")
    member.ready("app=later", 1)


def test_unknown_image(member):
    member.kubectl("run", "stranger", "--image=nginx:1")
    def reason():
        return member.json("pod", "stranger")["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
    wait_for(lambda: reason() in ("ErrImagePull", "ImagePullBackOff"), what="ErrImagePull")
    member.kubectl("delete", "pod", "stranger", "--timeout=10s")


def test_readiness_follows_the_pod(member):
    member.apply(deployment("moody"), service("moody"))
    pod = member.ready("app=moody", 1)[0]
    def addresses():
        ep = member.json("endpoints", "moody")
        return [a["ip"] for s in ep.get("subsets", []) for a in s.get("addresses", [])]
    wait_for(lambda: addresses() == [address(pod)], what="the endpoint")
    curl(f"http://{address(pod)}:8080/control", "-d", '{"healthy":false}')
    wait_for(lambda: addresses() == [], what="no ready endpoint", timeout=10)
    wait_for(lambda: [e["conditions"]["ready"] for s in member.json("endpointslices", "-l", "kubernetes.io/service-name=moody")["items"]
                      for e in s["endpoints"]] == [False], what="the slice to tell the same")
    assert not is_ready(member.pods("app=moody")[0])
    assert wait_for(lambda: member.events(reason="Unhealthy"), what="an event")
    curl(f"http://{address(pod)}:8080/control", "-d", '{"healthy":true}')
    wait_for(lambda: addresses() == [address(pod)], what="the endpoint again")


def test_crash_backs_off_and_liveness_restarts(member):
    member.apply(deployment("crash", command=["sh", "-c", "echo going; sleep 0.1; exit 3"], readinessProbe=None))
    def backs_off():
        c = member.pods("app=crash")[0]["status"]["containerStatuses"][0]
        return c["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" and c
    c = wait_for(backs_off, what="CrashLoopBackOff")
    assert c["lastState"]["terminated"]["exitCode"] == 3 and c["restartCount"] >= 1
    name = member.pods("app=crash")[0]["metadata"]["name"]
    assert member.kubectl("logs", name, "--previous") == "going\n"
    member.kubectl("delete", "deploy", "crash")
    # A busy machine is not to be taken for a sick pod.
    member.apply(deployment("live", livenessProbe={"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1,
                                                   "timeoutSeconds": 20, "failureThreshold": 1}))
    pod = member.ready("app=live", 1)[0]
    curl(f"http://{address(pod)}:8080/control", "-d", '{"healthy":false}')
    wait_for(lambda: member.pods("app=live")[0]["status"]["containerStatuses"][0]["restartCount"] == 1, what="a restart")
    member.ready("app=live", 1)


def test_exec_probe_and_init_failure(member):
    probe = {"exec": {"command": ["sh", "-c", 'test -e /made/ready && test "$X" = y']}, "periodSeconds": 1}
    member.apply(deployment("execp", readinessProbe=probe, env=[{"name": "X", "value": "y"}],
                            volumeMounts=[{"name": "e", "mountPath": "/made"}],
                            pod={"volumes": [{"name": "e", "emptyDir": {}}]}))
    pod = wait_for(lambda: [p for p in member.pods("app=execp") if p["status"]["phase"] == "Running"], what="the pod")[0]
    assert not is_ready(pod)
    (member.dir / "pods" / pod["metadata"]["uid"] / "volumes" / "e" / "ready").touch()
    member.ready("app=execp", 1)


def test_rolling_update_keeps_serving(member):
    member.apply(deployment("roll", 4, env=[{"name": "V", "value": "1"}]), service("roll"))
    member.ready("app=roll", 4)
    ip = member.json("svc", "roll")["spec"]["clusterIP"]
    wait_for(lambda: curl(f"http://{ip}:8080/"), what="the service")
    member.kubectl("set", "env", "deploy/roll", "V=2")
    asked = failed = 0
    def updated():
        nonlocal asked, failed
        for _ in range(20):
            asked += 1
            try:
                curl(f"http://{ip}:8080/", timeout=10)  # late on a busy machine is not lost
            except OSError:
                failed += 1
        d = member.json("deploy", "roll")
        s = d["status"]
        return s.get("observedGeneration") == d["metadata"]["generation"] and s.get("updatedReplicas") == 4 and \
            s.get("availableReplicas") == 4 and s["replicas"] == 4
    wait_for(updated, 30, "the rollout")
    assert failed == 0, f"{failed} of {asked} requests failed"
    versions = {json.loads(curl(f"http://{address(p)}:8080/"))["environment"]["V"] for p in member.ready("app=roll", 4)}
    assert versions == {"2"}
    assert "2" in member.kubectl("rollout", "history", "deploy/roll")
    member.kubectl("rollout", "undo", "deploy/roll")
    wait_for(lambda: {json.loads(curl(f"http://{address(p)}:8080/"))["environment"]["V"]
                      for p in member.ready("app=roll", 4)} == {"1"}, 30, "the undo")
    sets = member.json("rs", "-l", "app=roll")["items"]
    assert sorted(s["spec"]["replicas"] for s in sets) == [0, 4]
    member.kubectl("scale", "deploy/roll", "--replicas=1")
    member.ready("app=roll", 1)


def test_what_is_done_once_is_said_once(member):
    """Several rollouts side by side: no step is seen, and told, a second time before its own write has come back."""
    names = [f"once{i}" for i in range(8)]

    def roll(replicas, version):
        member.apply(*[deployment(n, replicas, env=[{"name": "V", "value": version}]) for n in names])
        for n in names:
            member.kubectl("rollout", "status", f"deploy/{n}", "--timeout=120s")
    for step in (3, "1"), (3, "2"), (4, "2"):
        roll(*step)
    told = [e for e in member.events(reason="ScalingReplicaSet") if e["involvedObject"]["name"] in names]
    assert len(told) >= 3 * len(names) and not [(e["involvedObject"]["name"], e["message"], e["count"]) for e in told if e["count"] > 1]
    member.kubectl("delete", "deploy", *names)


def test_recreate_strategy(member):
    d = deployment("anew", 2, env=[{"name": "V", "value": "1"}])
    d["spec"]["strategy"] = {"type": "Recreate"}
    member.apply(d)
    before = {p["metadata"]["uid"] for p in member.ready("app=anew", 2)}
    member.kubectl("set", "env", "deploy/anew", "V=2")
    wait_for(lambda: not before & {p["metadata"]["uid"] for p in member.ready("app=anew", 2)}, 20, "new pods")


def test_logs(member):
    member.apply(deployment("noisy", command=["sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"],
                            readinessProbe=None))
    pod = member.ready("app=noisy", 1)[0]["metadata"]["name"]
    wait_for(lambda: member.kubectl("logs", pod).count("\n") >= 5, what="lines")
    assert member.kubectl("logs", pod).startswith("line 0\nline 1\n")
    assert member.kubectl("logs", pod, "--tail=2").count("\n") in (2, 3)
    assert "T" in member.kubectl("logs", pod, "--timestamps", "--tail=1").split()[0]
    with subprocess.Popen(["kubectl", "--kubeconfig", member.kubeconfig, "logs", "-f", pod, "--tail=1"],
                          stdout=subprocess.PIPE, text=True) as p:
        lines = [p.stdout.readline() for _ in range(4)]
        p.kill()
    numbers = [int(l.split()[1]) for l in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    member.kubectl("delete", "deploy", "noisy")


def test_daemonset_on_every_node(make_member):
    m = make_member("three", extra=["--nodes", "3"])
    ds = deployment("edge", pod={"hostNetwork": True,
                                 "volumes": [{"name": "h", "hostPath": {"path": "/var/lib/hansa/x", "type": "DirectoryOrCreate"}}]},
                    volumeMounts=[{"name": "h", "mountPath": "/var/lib/hansa/x"}])
    ds["kind"] = "DaemonSet"
    del ds["spec"]["replicas"]
    m.apply(ds)
    pods = m.ready("app=edge", 3)
    nodes = {p["spec"]["nodeName"]: p["status"]["podIP"] for p in pods}
    assert len(nodes) == 3 and len(set(nodes.values())) == 3
    for ip in nodes.values():
        assert json.loads(curl(f"http://{ip}:8080/"))["address"].startswith(ip)
    assert not os.path.exists("/var/lib/hansa/x")
    m.kubectl("set", "env", "ds/edge", "V=2")
    wait_for(lambda: {json.loads(curl(f"http://{ip}:8080/"))["environment"].get("V") for ip in nodes.values()} == {"2"},
             30, "the update")
    status = wait_for(lambda: (s := m.json("ds", "edge")["status"]).get("updatedNumberScheduled") == 3 and
                      s.get("numberReady") == 3 and s, what="the status")
    assert status["desiredNumberScheduled"] == 3


def test_delete_cleans_up(member):
    member.kubectl("create", "ns", "short")
    member.kubectl("-n", "short", "create", "deploy", "web", "--image=hansa/echo:v1", "--replicas=2")
    pods = wait_for(lambda: (p := member.json("-n", "short", "pods")["items"]) and len(p) == 2 and all(map(is_ready, p)) and p,
                    what="pods")
    uids = [p["metadata"]["uid"] for p in pods]
    member.kubectl("delete", "ns", "short", "--timeout=40s")
    assert member.kubectl("get", "ns", "short", check=False).returncode != 0
    wait_for(lambda: not any((member.dir / "pods" / u).exists() for u in uids), what="folders to go")


def test_eviction_and_exec(member):
    member.apply(deployment("evict"))
    pod = member.ready("app=evict", 1)[0]["metadata"]["name"]
    r = member.kubectl("exec", pod, "--", "true", check=False)
    assert r.returncode == 0, r.stderr
    node = member.json("nodes")["items"][0]["metadata"]["name"]
    member.kubectl("cordon", node)
    member.kubectl("create", "--raw", f"/api/v1/namespaces/default/pods/{pod}/eviction", "-f", "-", stdin=json.dumps(
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}))
    wait_for(lambda: member.kubectl("get", "pod", pod, check=False).returncode, what="the pod to go")
    wait_for(lambda: member.events(reason="FailedScheduling"), what="FailedScheduling")
    member.kubectl("uncordon", node)
    member.ready("app=evict", 1)


def test_a_pod_that_ends(member):
    member.kubectl("run", "once", "--image=hansa/echo:v1", "--restart=Never", "--command", "--", "sh", "-c", "echo done; exit 0")
    wait_for(lambda: member.json("pod", "once")["status"]["phase"] == "Succeeded", what="Succeeded")
    assert member.kubectl("logs", "once") == "done\n"
    member.kubectl("run", "fails", "--image=hansa/echo:v1", "--restart=Never", "--command", "--", "sh", "-c", "exit 4")
    wait_for(lambda: member.json("pod", "fails")["status"]["phase"] == "Failed", what="Failed")
    state = member.json("pod", "fails")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert state["exitCode"] == 4 and state["reason"] == "Error"
    member.kubectl("run", "typo", "--image=hansa/echo:v1", "--restart=Never", "--command", "--", "/no/such/file")
    wait_for(lambda: member.json("pod", "typo")["status"]["phase"] == "Failed", what="Failed")
    member.kubectl("delete", "pod", "once", "fails", "typo", "--timeout=10s")


def test_a_pod_that_will_not_end_is_killed(member):
    spec = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "deaf", "labels": {"app": "deaf"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                {"name": "c", "image": "hansa/echo:v1", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]}]}}
    member.apply(spec)
    member.ready("app=deaf", 1)
    begin = time.monotonic()
    member.kubectl("delete", "pod", "deaf", "--timeout=10s")
    assert 0.9 < time.monotonic() - begin < 9


def test_without_mount_name_spaces(make_member):
    """Paths below a mountPath in arguments and environment become paths of the volume."""
    m = make_member("rewritten", extra=["--rewrite-paths"])
    m.kubectl("create", "cm", "conf", "--from-literal=a=hello")
    m.apply(deployment("web", env=[{"name": "CONF", "value": "/etc/never/conf/a"}],
                       command=["sh", "-c", 'cat "$0" "$CONF"; echo; exec hansa-echo', "/etc/never/conf/a"],
                       volumeMounts=[{"name": "c", "mountPath": "/etc/never/conf"}],
                       pod={"volumes": [{"name": "c", "configMap": {"name": "conf"}}]}))
    pod = m.ready("app=web", 1)[0]
    assert "hellohello\n" in m.kubectl("logs", pod["metadata"]["name"])
    e = json.loads(curl(f"http://{address(pod)}:8080/"))["environment"]
    assert e["HANSA_ROOT"] == str(m.dir / "pods" / pod["metadata"]["uid"])
