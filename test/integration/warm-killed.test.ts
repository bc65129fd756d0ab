import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { ENTREPOT, type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { buildImage, type Content } from '../support/image.ts';
import { Workspace } from '../support/processes.ts';
import { rawRequest } from '../support/raw-request.ts';
import { Gate, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The server is a process that is killed (SIGKILL: no handler, no flush) and started again, and so are the commands.

const REPOSITORY = 'team/app';
const COUNT = 20;
/** The server works on four images at once, so four that stall are all that it has in flight. */
const AT_ONCE = 4;
const images = Array.from({ length: COUNT }, (_, index) =>
  buildImage({ seed: `killed ${index}`, layers: [90_000 + index, 3000 + index], architectures: ['amd64'] }),
);
const nameOf = (index: number): string => `up/${REPOSITORY}:v${index}`;
/** Images whose large layer stalls until the server is killed: those of the first kill, and of the second. */
const STALLED = [
  [6, 7, 8, 9],
  [13, 14, 15, 16],
] as const;

test('two callers warm 20 images while the server is killed twice: the callers go on, and what was stored is not fetched again', {
  timeout: 240_000,
}, async () => {
  await using workspace = await Workspace.open();
  await using upstream = await startScriptedUpstream();
  for (const [index, image] of images.entries()) upstream.add(image, REPOSITORY, [`v${index}`]);
  const gates = STALLED.map((indexes) => {
    const stallGate = new Gate();
    for (const index of indexes) upstream.fault(layerOf(index).digest, { stallAt: 50_000, stallGate, times: 1 });
    return stallGate;
  });
  const dir = workspace.path('cache');
  const start = () => startEntrepot(workspace, { registries: { up: { upstreams: [upstream.url] } } }, { dir });
  let entrepot = await start();
  const said: string[] = [];
  const callers = [0, 1].map(async (caller) => {
    const running = await workspace.start(
      ['sh', ENTREPOT, 'warm', ...images.map((_, index) => nameOf(index)), '--cache-dir', dir],
      { ready: () => true, env: { ...process.env, HOME: workspace.dir, NODE_NO_WARNINGS: '1' } },
    );
    const code = await running.exited;
    said[caller] = running.output();
    return code;
  });
  const inFlight = new Set<string>();
  for (const [kill, gate] of gates.entries()) {
    await gate.arrived(AT_ONCE);
    if (kill === 0) await bothAsked(entrepot);
    // Four images that stall take every place, so all before them are stored.
    for (const index of STALLED[kill] ?? []) for (const { digest } of images[index]?.blobs ?? []) inFlight.add(digest);
    entrepot.process.kill('SIGKILL');
    await entrepot.process.exited;
    gate.open();
    entrepot = await start();
  }
  assert.deepEqual(await Promise.all(callers), [0, 0], said.join('\n'));
  for (const text of said) {
    assert.match(text, /The server has stopped\. Waiting for it to start again\./);
    assert.match(text, /20 images are in the cache/);
  }
  const journal = upstream.journal();
  for (const [index, { blobs, manifests }] of images.entries()) {
    for (const { digest } of blobs) {
      const times = upstream.blobBodies(digest).length;
      if (inFlight.has(digest)) assert.ok(times === 1 || times === 2, `${digest} of v${index}: ${times}\n${journal}`);
      else assert.equal(times, 1, `${digest} of v${index}\n${journal}`);
    }
    const isCut = STALLED.flat().includes(index as never);
    for (const reference of [`v${index}`, ...manifests.map(({ digest }) => digest)]) {
      const asked = upstream.count({ kind: 'manifest', method: 'GET', reference });
      assert.ok(asked <= (isCut ? 2 : 1), `${reference} of v${index}: ${asked}\n${journal}`);
    }
  }
  for (const index of STALLED.flat()) assert.equal(upstream.blobBodies(layerOf(index).digest).length, 2, journal);
  // From here on the upstream is not needed.
  upstream.forget();
  for (const [index, { index: root, manifests, blobs }] of images.entries()) {
    const get = (path: string) => rawRequest(entrepot.host, { path: `/up/v2/${REPOSITORY}/${path}` });
    assert.ok((await get(`manifests/v${index}`)).body.equals(root.bytes));
    for (const { digest, bytes } of manifests) assert.ok((await get(`manifests/${digest}`)).body.equals(bytes), digest);
    for (const { digest, bytes } of blobs) assert.ok((await get(`blobs/${digest}`)).body.equals(bytes), digest);
  }
  assert.equal(upstream.count(), 0, upstream.journal());
});

function layerOf(index: number): Content {
  const layer = images[index]?.platforms[0]?.layers[0];
  assert.ok(layer !== undefined);
  return layer;
}

/** Waits until the server works for both callers. */
async function bothAsked({ dir }: RunningEntrepot): Promise<void> {
  for (const end = performance.now() + 60_000; ; ) {
    const { jobs } = await callControl(controlSocketPath(dir), OPERATIONS.warmJobs, { input: {} });
    if (jobs.length === 2) return;
    assert.ok(performance.now() < end, `${jobs.length} callers`);
    await sleep(20);
  }
}
