// SPDX-License-Identifier: Apache-2.0
// What test_node.py asks of @kubernetes/client-node. usage: node client.mjs KUBECONFIG NAMESPACE objects|watch|informer|streams
import assert from 'node:assert/strict';
import net from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const [, , kubeconfig, namespace, what] = process.argv;
const kc = new k8s.KubeConfig();
kc.loadFromFile(kubeconfig);
const core = kc.makeApiClient(k8s.CoreV1Api);
const path = `/api/v1/namespaces/${namespace}/configmaps`;
const configMap = (name, data) => ({ metadata: { name, labels: { t: 'x' } }, data });
const refused = (call, code) => assert.rejects(call, (e) => e.code === code);

async function objects() {
  const made = await core.createNamespacedConfigMap({ namespace, body: configMap('a', { k: 'v' }) });
  assert.ok(made.metadata.uid && made.metadata.creationTimestamp instanceof Date);
  await refused(core.createNamespacedConfigMap({ namespace, body: configMap('a') }), 409);
  made.data.l = 'w';
  const newer = await core.replaceNamespacedConfigMap({ name: 'a', namespace, body: made });
  assert.deepEqual(newer.data, { k: 'v', l: 'w' });
  await refused(core.replaceNamespacedConfigMap({ name: 'a', namespace, body: made }), 409);
  const patch = async (type, body) =>
    (await core.patchNamespacedConfigMap({ name: 'a', namespace, body, fieldManager: 'test' },
      k8s.setHeaderOptions('Content-Type', type))).data;
  assert.deepEqual(await patch(k8s.PatchStrategy.MergePatch, { data: { k: null, m: 'x' } }), { l: 'w', m: 'x' });
  assert.deepEqual(await patch(k8s.PatchStrategy.StrategicMergePatch, { data: { n: 'y' } }), { l: 'w', m: 'x', n: 'y' });
  assert.deepEqual(await patch(k8s.PatchStrategy.JsonPatch, [{ op: 'remove', path: '/data/m' }]), { l: 'w', n: 'y' });
  assert.deepEqual(await patch(k8s.PatchStrategy.ServerSideApply,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { z: '1' } }), { l: 'w', n: 'y', z: '1' });
  await refused(core.patchNamespacedConfigMap({ name: 'a', namespace, body: {} },
    k8s.setHeaderOptions('Content-Type', 'text/plain')), 415).catch((e) => {
    if (!/not supported|cannot|serialize/i.test(String(e.actual ?? e))) throw e; // refused by the library itself
  });
  const apps = kc.makeApiClient(k8s.AppsV1Api);
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } };
  const d = await apps.createNamespacedDeployment({ namespace,
    body: { metadata: { name: 'd' }, spec: { replicas: 2, selector: { matchLabels: { a: 'b' } }, template } } });
  assert.equal(d.spec.template.spec.containers[0].imagePullPolicy, 'IfNotPresent');
  const list = await core.listNamespacedConfigMap({ namespace, limit: 1, labelSelector: 't=x' });
  assert.equal(list.items.length, 1);
  const generic = k8s.KubernetesObjectApi.makeApiClient(kc);
  const any = await generic.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'g', namespace }, data: { a: 'b' } });
  assert.equal((await generic.read(any)).data.a, 'b');
  const gone = await core.deleteNamespacedConfigMap({ name: 'a', namespace });
  assert.equal(gone.status, 'Success');
  await refused(core.readNamespacedConfigMap({ name: 'a', namespace }), 404);
}

// One event of a watch from `resourceVersion`.
function next(resourceVersion) {
  return new Promise((resolve, reject) => {
    let request;
    new k8s.Watch(kc).watch(path, { resourceVersion, timeoutSeconds: 10 }, (type, object) => {
      resolve([type, object]);
      request?.abort();
    }, (e) => reject(e ?? new Error('the watch ended'))).then((r) => { request = r; }, reject);
  });
}

async function watch() {
  let at = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
  const seen = [];
  for (const name of ['a', 'b']) await core.createNamespacedConfigMap({ namespace, body: configMap(name) });
  await core.deleteNamespacedConfigMap({ name: 'a', namespace });
  for (let i = 0; i < 3; i++) {
    const [type, object] = await next(at);
    seen.push(`${type} ${object.metadata.name}`);
    at = object.metadata.resourceVersion;
  }
  assert.deepEqual(seen, ['ADDED a', 'ADDED b', 'DELETED a']);
}

// Tells each event in a line, until its input ends.
async function informer() {
  const made = k8s.makeInformer(kc, path, () => core.listNamespacedConfigMap({ namespace }));
  const tell = (type) => (o) => console.log(JSON.stringify([type, o.metadata.name, o.metadata.resourceVersion]));
  made.on('add', tell('ADDED'));
  made.on('update', tell('MODIFIED'));
  made.on('delete', tell('DELETED'));
  let ended = false;
  const start = () => ended || made.start().catch(() => setTimeout(start, 5));
  made.on('error', () => setTimeout(start, 5));
  process.stdin.on('end', () => { ended = true; made.stop(); process.exit(0); });
  process.stdin.resume();
  await core.listNamespacedConfigMap({ namespace });
  console.log('"ready"');
  await start();
}

const text = (stream) => { const s = { all: '' }; stream.on('data', (d) => { s.all += d; }); return s; };
const until = async (check, what) => {
  for (const end = Date.now() + 30000; !await check();) {
    assert.ok(Date.now() < end, what);
    await new Promise((r) => setTimeout(r, 50));
  }
};

// Runs a command in the pod; resolves to what it wrote and the Status of its end.
function exec(name, command, input) {
  const out = new PassThrough(), err = new PassThrough(), o = text(out), e = text(err);
  return new Promise((resolve, reject) => {
    new k8s.Exec(kc).exec(namespace, name, 'c', command, out, err, input === undefined ? null : Readable.from([input]), false,
      (status) => resolve([o.all, e.all, status])).catch(reject);
  });
}

async function streams() {
  const name = 'p';
  await core.createNamespacedPod({ namespace, body: { metadata: { name },
    spec: { containers: [{ name: 'c', image: 'hansa/echo:v1', ports: [{ containerPort: 8080 }] }] } } });
  const ready = async () => (await core.readNamespacedPodStatus({ name, namespace })).status.conditions?.some(
    (c) => c.type === 'Ready' && c.status === 'True');
  await until(ready, 'the pod is ready');
  let [out, err, status] = await exec(name, ['sh', '-c', 'echo out; echo err >&2; exit 3']);
  assert.deepEqual([out, err, status.status, status.reason], ['out\n', 'err\n', 'Failure', 'NonZeroExitCode']);
  assert.equal(status.details.causes.find((c) => c.reason === 'ExitCode').message, '3');
  [out, , status] = await exec(name, ['head', '-c', '5'], 'hello');
  assert.deepEqual([out, status.status], ['hello', 'Success']);
  await assert.rejects(exec('none', ['true']));
  await forward(name);
  const log = new PassThrough(), lines = text(log);
  const stop = await new k8s.Log(kc).log(namespace, name, 'c', log, { follow: true, tailLines: 100, timestamps: true });
  await until(() => /^\d{4}-\d\d-\d\dT.*Z .*/m.test(lines.all), 'a line of the log');
  stop.abort();
  assert.match(await core.readNamespacedPodLog({ name, namespace, limitBytes: 100000 }), /./);
  await core.deleteNamespacedPod({ name, namespace, body: { gracePeriodSeconds: 0 } });
}

// One request through a forwarded port.
async function forward(name) {
  const server = net.createServer((socket) => new k8s.PortForward(kc).portForward(namespace, name, [8080], socket, null, socket));
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { Connection: 'close' } });
  assert.equal(answer.status, 200);
  await answer.text();
  server.close();
}

await { objects, watch, informer, streams }[what]();
if (what !== 'informer') {
  console.log('"done"');
  process.exit(0);
}
