import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { ENTREPOT, type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { skopeoPull } from '../support/engines.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { needs, run, Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';
import { rawRequest } from '../support/raw-request.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

describe('a server that ends while a client pulls', needs('skopeo'), () => {
  const image = buildImage({ seed: 'lifecycle', layers: [300_000, 2_000_000], architectures: ['amd64'] });
  const layer = platformOf(image, 'amd64').layers[1] as Content;
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    workspace.defer(() => upstream.stop());
    upstream.add(image, 'library/app', ['latest']);
  });
  after(() => workspace.close());

  function start(dir?: string, more: object = {}): Promise<RunningEntrepot> {
    const config = { registries: { 'docker.io': { upstreams: [upstream.url] } }, ...more };
    return startEntrepot(workspace, config, dir === undefined ? {} : { dir });
  }

  test('SIGTERM: the transfer that runs is finished, a new connection is refused, and the exit code is 0', async () => {
    const entrepot = await start();
    const gate = new Gate();
    upstream.fault(layer.digest, { stallAt: 1_000_000, stallGate: gate, times: 1 });
    const response = await fetch(`${entrepot.url}/v2/library/app/blobs/${layer.digest}`);
    await gate.arrived();
    const stopped = entrepot.stop();
    await eventually(() => assert.ok(entrepot.logs().some((line) => line.msg.startsWith('stopping'))));
    await assert.rejects(rawRequest(entrepot.host, { path: '/v2/' }), { code: 'ECONNREFUSED' });
    gate.open();
    assert.equal(digestOf(Buffer.from(await response.arrayBuffer())), layer.digest);
    assert.equal(await stopped, 0);
  });

  test('SIGTERM with a drain delay: a pull that has begun finds all its blobs', async () => {
    const entrepot = await start(undefined, { timeouts: { drain_delay: '5m' } });
    const gate = new Gate();
    upstream.fault(layer.digest, { stallAt: 1_000_000, stallGate: gate, times: 1 });
    const pull = skopeoPull(workspace, { name: `${entrepot.host}/library/app:latest`, into: 'drained' });
    await gate.arrived();
    entrepot.process.kill('SIGTERM');
    await eventually(() => assert.ok(entrepot.logs().some((line) => line.msg.startsWith('stopping'))));
    assert.equal((await rawRequest(entrepot.host, { path: '/readyz' })).status, 503);
    const before = entrepot.accessLog().length;
    gate.open();
    await pull;
    // The layer, and the image's configuration, which skopeo asks for when it has the layers.
    await eventually(() => assert.ok(entrepot.accessLog().length >= before + 2));
    assert.equal(await entrepot.stop(), 0, 'a second signal ends the delay');
  });

  test('kill -9: nothing half is served or left behind by the next one', async () => {
    const entrepot = await start();
    const gate = new Gate();
    upstream.fault(layer.digest, { stallAt: 1_000_000, stallGate: gate, times: 1 });
    const pull = skopeoPull(workspace, { name: `${entrepot.host}/library/app:latest`, into: 'half' });
    pull.catch(() => undefined);
    await gate.arrived();
    const begun = `${entrepot.dir}/**/ingest/*`;
    assert.notDeepEqual(globSync(begun), []);
    entrepot.process.kill('SIGKILL');
    await assert.rejects(pull);
    gate.open();
    await entrepot.process.exited;

    const next = await start(entrepot.dir);
    assert.deepEqual(globSync(begun), [], 'what was begun is swept away');
    const before = upstream.blobBodies(layer.digest).length;
    await skopeoPull(workspace, { name: `${next.host}/library/app:latest`, into: 'again' });
    assert.equal(upstream.blobBodies(layer.digest).length, before + 1, 'the layer is fetched again, and once');
    assert.equal(await next.stop(), 0);
  });

  test('what was pulled is served after a restart, with the upstream gone', async () => {
    const first = await start();
    await skopeoPull(workspace, { name: `${first.host}/library/app:latest`, into: 'first' });
    await eventually(() => {
      const ended = first.logs().filter((line) => line.msg === 'ingest.finished');
      assert.equal(ended.length, image.blobs.length);
    });
    assert.equal(await first.stop(), 0);

    const second = await start(first.dir);
    upstream.fault(/./, { reset: true });
    await skopeoPull(workspace, { name: `${second.host}/library/app:latest`, into: 'second' });
    upstream.heal();
    await second.stop();
  });

  test('a second server on the same cache directory is refused, and told who has it', async () => {
    const first = await start();
    const args = ['sh', ENTREPOT, 'serve', '--listen', '127.0.0.1:0', '--cache-dir', first.dir];
    const second = await run(args, { timeout: 20_000 });
    assert.equal(second.code, 1, second.stderr);
    assert.match(second.stdout + second.stderr, new RegExp(`\\b${first.process.pid}\\b`));
    await first.stop();
  });
});
