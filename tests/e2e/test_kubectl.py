# SPDX-License-Identifier: Apache-2.0
"""Real kubectls against the federation and, for pods, logs and nodes, against a member.

Most of it is a table of stories, each in a namespace of its own, in the form of a terminal session:

    $ create configmap a --from-literal=k=v     a command that succeeds (! one that fails; ~ is repeated until it fits)
    configmap/a created                         what its output (both streams) has: a text, or /a regular expression/
    -data: {}                                   what its output has not

"$1.27" only for kubectl 1.27 and newer, "$-1.26" only for 1.26 and older; NS is the story's namespace; a line
"<<" gives the command the file that is so named in FILES. The stories of one kubectl run side by side.
"""
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import time

import pytest

from fed import ROOT, poll

MEMBER = "europe-west1"
EXAMPLES = sorted(p for d in [ROOT / "docs/examples", *[pathlib.Path(v) for v in [os.environ.get("HANSA_MANIFESTS")] if v]]
                  for p in d.glob("*.yaml"))

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, labels: {app: app}}
spec:
  replicas: 3
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - name: web
        image: hansa/echo:v1
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}
"""
FILES = {
    "app": APP,
    "app5": APP.replace("replicas: 3", "replicas: 5"),
    "misspelt": APP.replace("replicas: 3", "replcas: 3").replace("image:", "imagge:"),
    "typed": APP.replace("replicas: 3", "replicas: many"),
    "mismatch": APP.replace("template:\n    metadata: {labels: {app: app}}", "template:\n    metadata: {labels: {app: x}}"),
    "noimage": APP.replace("        image: hansa/echo:v1\n", ""),
    "badname": APP.replace("{name: app,", "{name: App_1,"),
    "nokind": APP.replace("kind: Deployment", "kind: Deploymint"),
    "cm": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"k": "new"}}',
    "oldcm": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "resourceVersion": "1"}}',
    "old-ingress": """
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: old}
spec:
  backend: {serviceName: all, servicePort: http}
  tls: [{hosts: [a.example.com], secretName: s}]
  rules:
  - {host: a.example.com, http: {paths: [{path: /x, backend: {serviceName: x, servicePort: 80}}]}}
""",
    "old-deployment": """
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: old}
spec:
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: c, image: "hansa/echo:v1"}]}
""",
}

# name: (context, session)
STORIES = {
    "configmap": ("fed", """
        $ create configmap one --from-literal=k=v --from-literal=l=w
        configmap/one created
        ! create configmap one
        already exists
        $ get configmap one
        /NAME +DATA +AGE\\none +2 +\\d+s/
        $ get configmap one -o yaml
        k: v
        uid:
        $ get configmap one -o json
        "kind": "ConfigMap"
        $ get configmap one -o name
        configmap/one
        $ get configmap one -o jsonpath={.data.k}
        v
        $ get configmap -o custom-columns=N:.metadata.name,K:.data.k
        /N +K\\none +v/
        $ label configmap one color=red
        labeled
        ! label configmap one color=blue
        already has a value
        $ label configmap one color=blue --overwrite
        labeled
        $ get configmap --show-labels
        color=blue
        $ get configmap -L color
        /COLOR\\none .* blue/
        $ get configmap -l color=blue -o name
        configmap/one
        $ get configmap -l color!=blue -o name
        -configmap/one
        $ get configmap --field-selector metadata.name=one -o name
        configmap/one
        ! get configmap --field-selector spec.colour=red
        is not a known field selector
        $ label configmap one color-
        $ get configmap one -o yaml
        -color
        -labels:
        $ annotate configmap one note=x
        annotate
        $ patch configmap one -p {"data":{"k":"p1"}}
        patched
        $ patch configmap one -p {"data":{"k":"p1"}}
        patched (no change)
        $ patch configmap one --type=merge -p {"data":{"l":null}}
        patched
        $ patch configmap one --type=json -p [{"op":"test","path":"/data/k","value":"p1"},{"op":"add","path":"/data/m","value":"2"}]
        patched
        ! patch configmap one --type=json -p [{"op":"replace","path":"/data/none/deep","value":"2"}]
        $ get configmap one -o jsonpath={.data}
        {"k":"p1","m":"2"}
        $ edit configmap one
        configmap/one edited
        $ get configmap one -o jsonpath={.data.k}
        p2
        ! replace -f -
        << oldcm
        the object has been modified
        $ replace -f -
        << cm
        configmap/one replaced
        $ replace --force -f -
        << cm
        configmap/one replaced
        $ get configmap one -o jsonpath={.data.k}
        new
        $ describe configmap one
        Name:         one
        $ delete configmap one
        configmap "one" deleted
        ! get configmap one
        Error from server (NotFound): configmaps "one" not found
        ! delete configmap one
        NotFound
        $ create secret generic s --from-literal=p=q
        secret/s created
        $ get secret s
        /s +Opaque +1/
        $ get secret s -o jsonpath={.data.p}
        cQ==
        $ describe secret s
        p:  1 bytes
        $ delete secret --all
        secret "s" deleted
    """),
    "apply": ("fed", """
        $ create -f - --dry-run=server
        << app
        deployment.apps/app created (server dry run)
        ! get deployment app
        NotFound
        $ apply -f -
        << app
        deployment.apps/app created
        $ apply -f -
        << app
        deployment.apps/app unchanged
        $ diff -f -
        << app
        ! diff -f -
        << app5
        /-  replicas: 3\\n\\+  replicas: 5/
        $ apply -f - --dry-run=server
        << app5
        configured (server dry run)
        $ get deployment app -o jsonpath={.spec.replicas}
        3
        $ apply -f -
        << app5
        deployment.apps/app configured
        $ get deployment app -o jsonpath={.spec.replicas}
        5
        $ apply view-last-applied deployment app
        replicas: 5
        $ scale deployment app --replicas=2
        scaled
        ! apply -f - --server-side --field-manager=other
        << app
        /conflict with "kubectl[.0-9]*" /
        .spec.replicas
        $ apply -f - --server-side --field-manager=other --force-conflicts
        << app
        deployment.apps/app serverside-applied
        $ get deployment app -o jsonpath={.spec.replicas}
        3
        $ delete -f -
        << app
        deployment.apps "app" deleted
    """),
    "deployment": ("fed", """
        $ create -f -
        << app
        deployment.apps/app created
        $ rollout status deployment/app --timeout=30s
        successfully rolled out
        ~ get deployment
        /NAME +READY +UP-TO-DATE +AVAILABLE +AGE\\napp +3/3 +3 +3 +\\d+s/
        $ get deployment -o wide
        /CONTAINERS +IMAGES +SELECTOR\\napp .* web +hansa\\/echo:v1 +app=app/
        $ wait deployment/app --for=condition=Available --timeout=20s
        condition met
        ! wait deployment/none --for=condition=Available --timeout=2s
        not found
        $ describe deployment app
        Replicas:               3 desired | 3 updated | 3 total | 3 available | 0 unavailable
        Available
        hansa/echo:v1
        !1.33 logs deployment/app
        ask one of those (kubectl --context CLUSTER)
        $ scale deployment app --replicas=4
        deployment.apps/app scaled
        $ scale deployment app --current-replicas=4 --replicas=5
        scaled
        ! scale deployment app --current-replicas=9 --replicas=1
        xpected replicas to be 9
        $ get deployment app -o jsonpath={.spec.replicas}
        5
        $ patch deployment app -p {"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}}
        patched
        $ get deployment app -o jsonpath={.spec.template.spec.containers[0].image},{.spec.template.spec.containers[0].env[0].name}
        hansa/echo:v1,A
        $ set env deployment/app B=2 A-
        env updated
        $ set env deployment/app --list
        B=2
        $ set image deployment/app web=hansa/echo:v2
        image updated
        $ set image deployment/app web=hansa/echo:v1
        image updated
        $ rollout restart deployment/app
        restarted
        $ rollout pause deployment/app
        paused
        $ rollout resume deployment/app
        resumed
        $ rollout status deployment/app --timeout=60s
        successfully rolled out
        ~ --context=CTX get pods -l app=app -o name
        pod/app-
        $ expose deployment app --port=80 --target-port=8080 --type=LoadBalancer --name=web
        service/web exposed
        ~ get service web
        /web +LoadBalancer +\\S+ +127[0-9.,]+ +80/
        $ describe service web
        LoadBalancer Ingress:
        $1.27 create ingress web --rule=web.example.com/*=web:80
        ingress.networking.k8s.io/web created
        $ get deployment,service -o name
        deployment.apps/app
        service/web
        $ get all
        deployment.apps/app
        service/web
        $ autoscale deployment app --max=3
        autoscaled
        $ delete deployment app --cascade=foreground
        deployment.apps "app" deleted
        ~ --context=CTX get deployment -o name
        -deployment
        $ create -f -
        << app
        created
        ~ --context=CTX get deployment -o name
        deployment.apps/app
        $ delete deployment app --cascade=orphan
        deleted
        $ --context=CTX get deployment -o name
        deployment.apps/app
        $ delete service web --cascade=background
        deleted
    """),
    "versions": ("fed", """
        $ create -f -
        << old-ingress
        /ingress.*\\/old created/
        $ get ingress
        /NAME +CLASS +HOSTS +ADDRESS +PORTS +AGE\\nold +<none> +a.example.com +\\S* +80, 443/
        -{
        $ get ingress -o wide
        -{
        $ get ingresses.v1.networking.k8s.io old -o jsonpath={.apiVersion},{.spec.defaultBackend.service.port.name},{.spec.rules[0].http.paths[0].backend.service.port.number}
        networking.k8s.io/v1,http,80
        $ get ingresses.v1beta1.networking.k8s.io old -o jsonpath={.apiVersion},{.spec.backend.servicePort}
        networking.k8s.io/v1beta1,http
        $ get ingresses.v1beta1.extensions old -o jsonpath={.apiVersion},{.spec.backend.serviceName},{.spec.rules[0].http.paths[0].backend.servicePort}
        extensions/v1beta1,all,80
        $ describe ingress old
        a.example.com
        $ create -f -
        << old-deployment
        /deployment.*\\/old created/
        $ get deployments.v1.apps old -o jsonpath={.apiVersion},{.spec.replicas},{.spec.selector.matchLabels.a}
        apps/v1,1,b
        $ get deployments.v1beta1.extensions old -o jsonpath={.apiVersion},{.kind}
        extensions/v1beta1,Deployment
        $ get deployments.v1beta1.extensions
        /old +\\d\\/1/
        $ get deployments.v1beta1.apps old -o jsonpath={.apiVersion}
        apps/v1beta1
        $ get deployments.v1beta2.apps old -o jsonpath={.apiVersion}
        apps/v1beta2
        $ delete ingress,deployment old
        /ingress.* "old" deleted/
    """),
    "mistakes": ("fed", """
        ! create -f -
        << misspelt
        replcas
        imagge
        ! create -f -
        << typed
        replicas
        ! create -f - --validate=false
        << typed
        spec.replicas
        ! create -f -
        << mismatch
        `selector` does not match template `labels`
        ! create -f -
        << noimage
        spec.template.spec.containers[0].image: Required value
        ! create -f -
        << badname
        Invalid value: "App_1"
        RFC 1123
        ! create -f -
        << nokind
        no matches for kind "Deploymint" in version "apps/v1"
        ! -n none create configmap a
        namespaces "none" not found
        ! get nopes
        the server doesn't have a resource type "nopes"
        $ get pods
        Warning: pods are in the clusters, not here: ask one of those (kubectl --context CLUSTER)
        No resources found
        ! get po/one
        Error from server (NotFound): pods "one" not found: pods are in the clusters, not here: ask one of those
        ! get node one
        nodes are in the clusters, not here
        ! run p --image=hansa/echo:v1
        pods are in the clusters, not here
        !1.33 scale deployment none --replicas=1
        not found
        ! patch deployment none -p {}
        not found
        $ -n none get configmap
        No resources found
        ! create configmap Bad_Name
        RFC 1123
    """),
    "api": ("fed", """
        $ api-resources
        /deployments +deploy +apps\\/v1 +true +Deployment/
        /clusters .*federation\\/v1beta1 +false +Cluster/
        $ api-versions
        federation/v1beta1
        extensions/v1beta1
        $ version
        v1.
        $ cluster-info
        is running at
        $ explain clusters.spec
        serverAddressByClientCIDRs
        $ explain deployment.spec.template.spec.containers.env
        $ explain deployment --recursive
        readinessProbe
        $ explain ingress --api-version=extensions/v1beta1 --recursive
        serviceName
        ! explain deployment.spec.none
        $ auth can-i create deployments
        yes
        $ auth can-i --list
        *.*
        $1.28 auth whoami
        Username
        $ get --raw /healthz
        ok
        $ get --raw /api/v1/namespaces/NS
        "name":"NS"
        $ get clusters
        /NAME +STATUS +REGION +ZONE +AGE\\nasia-east1 +Ready +asia-east1 +asia-east1-a +\\d/
        $ get clusters -o wide
        https://
        $ describe cluster us-east1
        Ready
        $ get deployment -A --sort-by=.metadata.name
        $ get events -A --sort-by=.lastTimestamp
        $ get namespaces
        /default +Active/
        $ get namespace NS -o jsonpath={.status.phase}
        Active
        $ describe namespace NS
        Status:       Active
    """),
    "member": (MEMBER, """
        $ create -f -
        << app
        deployment.apps/app created
        $ rollout status deployment/app --timeout=30s
        successfully rolled out
        $ get pods -o wide
        /app-\\S+ +1\\/1 +Running +0 +\\S+ +127\\.\\S+ +europe-west1-1/
        $ get all
        replicaset.apps/app-
        $ describe pods -l app=app
        Status:       
        Started container web
        $ set env deployment/app A=B
        env updated
        $ rollout status deployment/app --timeout=60s
        successfully rolled out
        $ rollout history deployment/app
        /1 .*\\n2 /
        $ rollout history deployment/app --revision=2
        A:
        $ rollout undo deployment/app
        rolled back
        $ rollout pause deployment/app
        paused
        $ rollout resume deployment/app
        resumed
        $ rollout restart deployment/app
        restarted
        $ rollout status deployment/app --timeout=60s
        successfully rolled out
        $ expose deployment app --port=80 --target-port=http
        service/app exposed
        ~ get endpoints app
        /127\\.\\S+:8080/
        ~ describe service app
        /Endpoints: +127/
        $ autoscale deployment app --max=3
        autoscaled
        ~ get events
        Scheduled
        $ auth can-i get pods --subresource=log
        yes
        $ get pods --field-selector=status.phase=Running,spec.nodeName=europe-west1-1 -o name
        pod/app-
        $ delete deployment app
        deleted
    """),
    "pod": (MEMBER, """
        $ run p --image=hansa/echo:v1
        pod/p created
        $ wait pod/p --for=condition=Ready --timeout=30s
        condition met
        $ get pod p
        /p +1\\/1 +Running +0/
        ~ logs p
        listening
        $ logs p --tail=1 -c p
        listening
        $ logs p --timestamps --since=1h
        /^\\d{4}-\\d\\d-\\d\\dT/
        ! logs p -c other
        container other is not valid for pod p
        ! logs p --previous
        previous terminated container "p" in pod "p" not found
        ! logs none
        not found
        $ exec p -- printenv HOSTNAME
        /^p$/
        ! exec p -- false
        exit code 1
        $ create serviceaccount robot
        serviceaccount/robot created
        $ create role r --verb=get --resource=pods
        created
        $ create rolebinding r --role=r --serviceaccount=NS:robot
        created
        $ auth can-i get pods --as=system:serviceaccount:NS:robot
        yes
        ! auth can-i delete pods --as=system:serviceaccount:NS:robot
        no
        $ create job j --image=hansa/echo:v1
        created
        $ create quota q --hard=pods=9
        created
        $ delete pod p --grace-period=0 --force
        /pod "p" (force )?deleted/
    """),
    "node": (MEMBER, """
        $ get nodes
        /NAME +STATUS +ROLES +AGE +VERSION\\neurope-west1-1 +Ready/
        $ get nodes -o wide
        hansa-process://
        $ describe node europe-west1-1
        topology.kubernetes.io/region=europe-west1
        $ label node europe-west1-1 NS=1
        labeled
        $ get nodes -l NS=1 -o name
        node/europe-west1-1
        $ label node europe-west1-1 NS-
        $ drain europe-west1-1 --ignore-daemonsets --force --dry-run=client
    """),
}


class Kubectl:
    def __init__(self, federation, path):
        self.fed, self.path = federation, path
        out = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True).stdout
        self.minor = int(re.search(r'"gitVersion": "v1\.(\d+)', out).group(1))
        self.env = dict(federation.env, KUBE_EDITOR="sed -i s/p1/p2/")
        self.flags = [path, "--cache-dir", str(federation.dir / "kubectl-cache")]

    def run(self, argv, stdin=None, timeout=90):
        return subprocess.run([*self.flags, *map(str, argv)], env=self.env, input=stdin, text=True, capture_output=True, timeout=timeout)

    def __call__(self, *argv, **kw):
        done = self.run(argv, **kw)
        assert done.returncode == 0, f"{' '.join(map(str, argv))}: {done.stdout}{done.stderr}"
        return done.stdout

    def serves(self, condition):
        """Whether "", "1.27" or "-1.26" includes this kubectl."""
        return (not condition or (condition[0] == "-" and self.minor <= int(condition[3:]))
                or (condition[0] != "-" and self.minor >= int(condition[2:])))


def commands(session, ns):
    """(mark, version condition, argv, stdin, [expected]) of a session."""
    found = []
    for line in session.replace("NS", ns).replace("CTX", MEMBER).split("\n"):
        line = line.lstrip()
        start = re.match(r"([$!~])(-?\d\.\d+)? (.*)", line)
        if start:
            text = start.group(3)
            # What follows -p is JSON, as it stands.
            head, patch, value = text.partition(" -p ")
            argv = shlex.split(head) + (["-p", value] if patch else [])
            found.append([start.group(1), start.group(2), argv, None, []])
        elif line.startswith("<< "):
            found[-1][3] = FILES[line[3:].strip()]
        elif line:
            found[-1][4].append(line)
    return found


def misfit(expected, output):
    for want in expected:
        if want.startswith("-"):
            if want[1:] in output:
                return f"has {want[1:]!r}"
        elif want.startswith("/") and want.endswith("/"):
            if not re.search(want[1:-1].replace("\\/", "/"), output):
                return f"does not match {want}"
        elif want not in output:
            return f"does not have {want!r}"
    return None


def play(kubectl, context, session, ns):
    """Plays a session; the words of what went wrong fail it."""
    kubectl("create", "namespace", ns)
    try:
        if context != "fed":
            account = ["--context", context, "-n", ns, "get", "serviceaccount", "default"]  # as which pods run
            poll(lambda: kubectl.run(account).returncode == 0, 20, what="namespace")
        for mark, condition, argv, stdin, expected in commands(session, ns):
            if not kubectl.serves(condition):
                continue
            where = ([] if any(a.startswith("--context") for a in argv) else ["--context", context])
            where += [] if "-n" in argv else ["-n", ns]
            end = time.monotonic() + (30 if mark == "~" else 0)
            while True:
                done = kubectl.run([*where, *argv], stdin)
                output = done.stdout + done.stderr
                wrong = "succeeds" if mark == "!" and done.returncode == 0 else None
                wrong = f"exits {done.returncode}" if mark != "!" and done.returncode != 0 else wrong
                wrong = wrong or misfit(expected, output)
                if not wrong or time.monotonic() >= end:
                    break
                time.sleep(0.2)
            assert not wrong, f"{mark} kubectl {' '.join(argv)}\n{wrong}; its output:\n{output}"
    finally:
        kubectl.run(["delete", "namespace", ns, "--wait=false"])


@pytest.fixture(scope="module")
def kubectl(federation, kubectl_path):
    return Kubectl(federation, kubectl_path)


@pytest.fixture(scope="session")
def started():
    """The stories by kubectl, as they run or have ended: {minor: {name: future}}."""
    all_of_them = {}
    yield all_of_them
    concurrent.futures.wait([f for futures in all_of_them.values() for f in futures.values()])


@pytest.mark.parametrize("name", STORIES)
def test_story(kubectl, started, name):
    if kubectl.minor not in started:
        pool = concurrent.futures.ThreadPoolExecutor(4)
        started[kubectl.minor] = {n: pool.submit(play, kubectl, context, session, f"s{kubectl.minor}-{n}")
                                  for n, (context, session) in STORIES.items()}
    started[kubectl.minor][name].result(300)


@pytest.mark.parametrize("path", EXAMPLES, ids=[p.stem for p in EXAMPLES])
def test_example(kubectl, path):
    """Each file: created and applied with validation, read back in the version it was written in, deleted."""
    wanted = len(re.findall(r"^kind: ", path.read_text(), re.M))
    created = kubectl("create", "-f", path)
    assert len(re.findall(r" created$", created, re.M)) == wanted, created
    applied = kubectl("apply", "-f", path)
    assert len(re.findall(r" (configured|unchanged)$", applied, re.M)) == wanted, applied
    generation = ["get", "-f", path, "-o", "jsonpath={range .items[*]}{.metadata.generation},{end}"]
    before = kubectl(*generation)
    # kubectl sees the paths of an old Ingress, which have got a type, as changed each time; the object does not change.
    same = len(re.findall(r" unchanged$", kubectl("apply", "-f", path), re.M))
    assert same >= wanted - path.read_text().count("kind: Ingress") and kubectl(*generation) == before
    assert kubectl("diff", "-f", path) == ""
    names = kubectl("get", "-f", path, "-o", "name").split()
    assert len(names) == wanted
    for version in re.findall(r"^apiVersion: (\S+)", path.read_text(), re.M):
        assert f"apiVersion: {version}\n" in kubectl("get", "-f", path, "-o", "yaml")
    for form in ("wide", "json", "name"):
        kubectl("get", "-f", path, "-o", form)
    assert "Name:" in kubectl("describe", "-f", path)
    kubectl("delete", "-f", path, "--ignore-not-found")
    assert kubectl("get", "-f", path, "--ignore-not-found") == ""


@pytest.mark.parametrize("context", ["fed", MEMBER])
def test_every_kind_is_listed_and_described(kubectl, context):
    names = kubectl("--context", context, "api-resources", "--verbs=list", "-o", "name").split()
    assert "deployments.apps" in names and (context == "fed") == ("clusters.federation" in names)

    def look(name):
        lists = kubectl("--context", context, "get", name, "-A", "-o", "wide")
        # A cell is never a whole object.
        assert "{" not in lists, lists
        if kubectl.minor > 20 or not name.startswith("endpointslices"):  # it asks for them in a version of that time
            poll(lambda: described(name), 20, what=f"describe {name} -A")

    def described(name):
        """It lists, then gets each: what goes in between (other tests' namespaces) is told as not found."""
        done = kubectl.run(["--context", context, "describe", name, "-A"])
        assert done.returncode == 0 or "not found" in done.stderr, done.stderr
        return done.returncode == 0

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert not [e for e in pool.map(look, names) if e]


def follow(kubectl, argv, until):
    """Starts a command that goes on; until: (words, action): when its output has the words, does the action."""
    with tempfile.TemporaryFile("w+") as out:
        proc = subprocess.Popen([*kubectl.flags, *argv], env=kubectl.env, stdout=out, stderr=subprocess.STDOUT)

        def seen():
            size = os.fstat(out.fileno()).st_size
            return os.pread(out.fileno(), size, 0).decode()

        try:
            for words, action in until:
                poll(lambda: words in seen(), 15, what=f"{words!r} of {argv}")
                if action:
                    action()
            return seen()
        finally:
            proc.kill()
            proc.wait()


def test_watch(kubectl):
    ns = f"w{kubectl.minor}"
    kubectl("create", "namespace", ns)
    kubectl("-n", ns, "create", "configmap", "a")
    out = follow(kubectl, ["-n", ns, "get", "configmap", "-w"], [
        ("a ", lambda: kubectl("-n", ns, "create", "configmap", "b", "--from-literal=x=y")),
        ("b ", lambda: kubectl("-n", ns, "delete", "configmap", "a"))])
    assert re.match(r"NAME +DATA +AGE\na +0 +", out), out
    follow(kubectl, ["-n", ns, "get", "configmap", "-w", "-o", "yaml"], [
        ("name: b", lambda: kubectl("-n", ns, "patch", "configmap", "b", "-p", '{"data":{"x":"later"}}')), ("x: later", None)])
    kubectl("delete", "namespace", ns)


def test_logs_follow_and_the_log_of_the_container_before(kubectl):
    ns = f"l{kubectl.minor}"
    member = ["--context", MEMBER, "-n", ns]
    kubectl("create", "namespace", ns)
    poll(lambda: kubectl(*member, "get", "serviceaccount", "default"), 20)
    pod = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - {name: web, image: "hansa/echo:v1", ports: [{containerPort: 8080}]}
  - {name: brief, image: "hansa/echo:v1", command: [sh, -c, "echo some words; exit 3"]}
"""
    kubectl(*member, "create", "-f", "-", stdin=pod)
    poll(lambda: "listening" in kubectl(*member, "logs", "p", "-c", "web"), 20)
    follow(kubectl, [*member, "logs", "-f", "p", "-c", "web"], [("listening", None)])
    poll(lambda: kubectl(*member, "get", "pod", "p", "-o", "jsonpath={.status.containerStatuses[?(@.name==\"brief\")].restartCount}")
         not in ("", "0"), 30, what="a restart")
    assert "some words" in kubectl(*member, "logs", "p", "-c", "brief", "--previous")
    done = kubectl.run([*member, "logs", "p", "-c", "neither"])
    assert done.returncode and "not valid for pod" in done.stderr
    kubectl("delete", "namespace", ns)


def test_cordon_and_drain(kubectl):
    """On a member of the federation; what a dry run evicts stays."""
    context, node = "asia-east1", "asia-east1-1"
    member = ["--context", context]
    ns = f"d{kubectl.minor}"
    kubectl(*member, "create", "namespace", ns)
    kubectl(*member, "-n", ns, "create", "deployment", "d", "--image=hansa/echo:v1")
    kubectl(*member, "-n", ns, "rollout", "status", "deployment/d", "--timeout=30s")
    before = kubectl(*member, "-n", ns, "get", "pods", "-o", "name")
    try:
        kubectl(*member, "cordon", node)
        assert "Ready,SchedulingDisabled" in kubectl(*member, "get", "node", node)
        select = "--pod-selector=app=d"
        if kubectl.minor >= 27:  # old ones ask a listed pod what it is, which no Kubernetes tells, and give up
            kubectl(*member, "drain", node, "--ignore-daemonsets", select, "--dry-run=server")
        assert kubectl(*member, "-n", ns, "get", "pods", "-o", "name") == before
        assert "drained" in kubectl(*member, "drain", node, "--ignore-daemonsets", select) or kubectl.minor < 27
        assert before.strip() not in kubectl(*member, "-n", ns, "get", "pods", "-o", "name")
        poll(lambda: "Pending" in kubectl(*member, "-n", ns, "get", "pods"), 10, what="a pod without a node")
    finally:
        kubectl(*member, "uncordon", node)
    kubectl(*member, "-n", ns, "rollout", "status", "deployment/d", "--timeout=30s")
    kubectl(*member, "delete", "namespace", ns, "--wait=false")
