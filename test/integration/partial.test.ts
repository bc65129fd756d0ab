import assert from 'node:assert/strict';
import { open, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEntrepot } from '../support/app.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { Gate, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// A transfer ends early; the next pull of the digest continues it. The upstream stalls where it ends, so that how many bytes have come,
// and how many were asked for, is known to the byte.

const MB = 1024 * 1024;
const SIZE = 34 * MB;
/** Of what an upstream has sent by then, and of what is asked for later. */
const MOST = 1.02;

let upstream: ScriptedUpstream;
let workspace: Workspace;
let seed = 0;
before(async () => {
  workspace = await Workspace.open();
  upstream = await startScriptedUpstream();
});
after(async () => {
  await upstream.stop();
  await workspace.close();
});
beforeEach(() => {
  upstream.heal();
  upstream.forget();
});

interface Layer extends Content {
  readonly repository: string;
  readonly path: string;
  /** The digest of the manifest that names it. */
  readonly manifest: string;
}

function addLayer(size = SIZE): Layer {
  const repository = `large/app-${(seed += 1)}`;
  const image = buildImage({ seed: repository, layers: [size], architectures: ['amd64'] });
  upstream.add(image, repository, ['latest']);
  const { layers, manifest } = platformOf(image, 'amd64');
  const [layer] = layers;
  assert.ok(layer !== undefined);
  return { ...layer, repository, manifest: manifest.digest, path: `/v2/${repository}/blobs/${layer.digest}` };
}

const settingsOf = (more: object = {}) => ({
  default_registry: 'hub',
  registries: { hub: { upstreams: [{ url: upstream.url }] } },
  transfer: { min_segment: MB, connections: 1 },
  timeouts: { shutdown_timeout: '0s' },
  ...more,
});

const start = (dir: string, more: object = {}): Promise<Mirror> => startMirror(settingsOf(more), { dir });
const newDirectory = (): string => workspace.path(`cache-${(seed += 1)}`);
const bytesOf = ({ digest }: Layer): number => upstream.blobBodies(digest).reduce((sum, { bytes }) => sum + bytes, 0);

async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  const patience = AbortSignal.timeout(60_000);
  while (!(await isSo())) await sleep(5, undefined, { signal: patience });
}

const received = (mirror: Mirror, bytes: number): Promise<void> =>
  until(async () => (await mirror.app.status()).transfers.some((each) => each.bytes === bytes));

/** Pulls a layer until so much has come, and the upstream stalls. The returned function ends the client. */
async function pullTo(mirror: Mirror, layer: Layer, at: number): Promise<() => void> {
  upstream.fault(layer.digest, { stallAt: at, times: 1 });
  const client = get(`${mirror.url}${layer.path}`, { agent: false }, (response) =>
    response.resume().on('error', () => {}),
  );
  client.on('error', () => {});
  await received(mirror, at);
  return () => void client.destroy();
}

/** A directory in which a transfer of a layer has ended after so many bytes. */
async function interrupted(layer: Layer, at: number, more: object = {}): Promise<string> {
  const dir = newDirectory();
  const mirror = await start(dir, more);
  await pullTo(mirror, layer, at);
  await mirror.stop();
  upstream.heal();
  return dir;
}

/** The note of partial content in a directory; empty where there is none. */
async function notedIn(dir: string): Promise<{ readonly extents: readonly (readonly [number, number])[] }> {
  const names = await readdir(join(dir, 'partial')).catch(() => []);
  const name = names.find((each) => each.endsWith('.note'));
  if (name === undefined) return { extents: [] };
  const { 'entrepot-partial': text } = JSON.parse(await readFile(join(dir, 'partial', name), 'utf8'));
  return JSON.parse(text.slice(text.indexOf('\n')));
}

/** The file of partial content in a directory. */
async function partialOf(dir: string): Promise<string> {
  const [name] = (await readdir(join(dir, 'partial'))).filter((each) => !each.endsWith('.note'));
  assert.ok(name !== undefined, 'no partial content');
  return join(dir, 'partial', name);
}

async function flip(file: string, at: number): Promise<void> {
  await using handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await handle.write(byte, 0, 1, at);
}

async function assertPulled(mirror: Mirror, layer: Layer): Promise<void> {
  const { status, body } = await mirror.get(layer.path);
  assert.equal(status, 200);
  assert.ok(body.equals(layer.bytes), `${body.length} of ${layer.size} bytes`);
}

const isContinued = (mirror: Mirror): boolean => mirror.log.some(({ msg }) => msg === 'ingest.continued');

describe('a transfer that ended early is continued', () => {
  test('after a stop and a start', async () => {
    const layer = addLayer();
    const dir = await interrupted(layer, 20 * MB);
    await using mirror = await start(dir);
    await assertPulled(mirror, layer);
    assert.ok(bytesOf(layer) <= layer.size * MOST, upstream.journal());
    const { level, reason } = await mirror.logged(({ msg }) => msg === 'ingest.continued');
    assert.deepEqual([level, reason], ['info', `continued at ${20 * MB} of ${layer.size} bytes from partial content`]);
    const { bytes } = await mirror.logged(isIngestEnd(layer.digest, 'committed'));
    assert.equal(bytes, layer.size - 20 * MB, 'what was fetched now');
    assert.deepEqual(await readdir(join(dir, 'partial')), []);
    assert.match(
      (await mirror.get('/metrics')).body.toString(),
      /entrepot_ingests_continued_total\{registry="hub"\} 1/,
    );
    // From the cache now.
    upstream.forget();
    await assertPulled(mirror, layer);
    assert.equal(upstream.count(), 0);
  });

  test('twice, where it ends early again', async () => {
    const layer = addLayer();
    const dir = await interrupted(layer, 12 * MB);
    const second = await start(dir);
    await pullTo(second, layer, 22 * MB);
    await second.stop();
    upstream.heal();
    await using third = await start(dir);
    await assertPulled(third, layer);
    assert.ok(bytesOf(layer) <= layer.size * MOST, upstream.journal());
  });

  test('by the next client, where the only one leaves', async () => {
    // So much is missing that the transfer does not go on by itself.
    const layer = addLayer(48 * MB);
    await using mirror = await start(newDirectory());
    const leave = await pullTo(mirror, layer, 10 * MB);
    leave();
    await mirror.logged(isIngestEnd(layer.digest, 'aborted'));
    upstream.heal();
    await assertPulled(mirror, layer);
    assert.ok(bytesOf(layer) <= layer.size * MOST, upstream.journal());
  });

  test('by the next client, where the upstream failed for good', async () => {
    const layer = addLayer();
    await using mirror = await start(newDirectory());
    upstream.fault(layer.digest, { cutAt: 20 * MB, times: 1 });
    upstream.fault(layer.digest, { status: 500, after: 1 });
    assert.equal((await mirror.get(layer.path)).body.length, 20 * MB);
    await mirror.logged(isIngestEnd(layer.digest, 'failed'));
    upstream.heal();
    upstream.forget();
    // An upstream that has just failed is left alone for a moment.
    await until(
      async () =>
        (await mirror.get(`/v2/${layer.repository}/blobs/${layer.digest}`, { range: 'bytes=0-9' })).status === 206,
    );
    await assertPulled(mirror, layer);
    const [first] = upstream.blobBodies(layer.digest);
    assert.equal(first?.headers['range'], `bytes=${20 * MB}-${layer.size - 1}`);
    assert.ok(bytesOf(layer) <= (layer.size - 20 * MB) * MOST, upstream.journal());
  });

  test('with what had come far ahead', async () => {
    const layer = addLayer();
    const more = { transfer: { min_segment: MB, connections: 2 } };
    const dir = newDirectory();
    const first = await start(dir, more);
    await pullTo(first, layer, 9 * MB);
    // One after the other: at 20 MiB and at 28 MiB, of 2 MiB each.
    for (const at of [20 * MB, 28 * MB]) {
      const range = `bytes=${at}-${at + 2 * MB - 1}`;
      const { status, body } = await first.get(layer.path, { range });
      assert.equal(status, 206);
      assert.ok(body.equals(layer.bytes.subarray(at, at + 2 * MB)));
    }
    await first.stop();
    upstream.heal();
    const before = upstream.blobBodies(layer.digest).length;
    await using second = await start(dir);
    await assertPulled(second, layer);
    const asked = upstream.blobBodies(layer.digest)[before];
    assert.equal(asked?.headers['range'], `bytes=${9 * MB}-${20 * MB - 1}`, upstream.journal());
    assert.ok(bytesOf(layer) <= layer.size * MOST, upstream.journal());
  });

  test('for a client that reads in the middle of what is there', async () => {
    const layer = addLayer();
    const dir = await interrupted(layer, 20 * MB);
    await using mirror = await start(dir, { transfer: { min_segment: MB, connections: 2 } });
    // The manifest gives the size.
    await mirror.get(`/v2/${layer.repository}/manifests/${layer.manifest}`);
    upstream.fault(layer.digest, { stallAt: 21 * MB, stallGate: new Gate(), times: 1 });
    const { status, body } = await mirror.get(layer.path, { range: `bytes=${14 * MB}-${15 * MB}` });
    assert.equal(status, 206);
    assert.ok(body.equals(layer.bytes.subarray(14 * MB, 15 * MB + 1)));
    upstream.heal();
    await assertPulled(mirror, layer);
    assert.ok(bytesOf(layer) <= layer.size * MOST, upstream.journal());
  });

  test('after a kill with segments open', { timeout: 120_000 }, async () => {
    const layer = addLayer();
    const dir = newDirectory();
    upstream.fault(layer.digest, { stallAt: 9 * MB, times: 1 });
    const config = settingsOf({ transfer: { min_segment: MB, connections: 2 } });
    const first = await startEntrepot(workspace, config, { dir });
    const read = (range?: string): void => {
      const headers = range === undefined ? {} : { range };
      const url = `${first.url}${layer.path}`;
      get(url, { agent: false, headers }, (response) => response.resume().on('error', () => {})).on('error', () => {});
    };
    read();
    await until(async () => (await notedIn(dir)).extents[0]?.[1] === 9 * MB);
    // A part far ahead is under way too.
    upstream.fault(layer.digest, { stallAt: 22 * MB, times: 1 });
    read(`bytes=${20 * MB}-${25 * MB}`);
    const notedBytes = async (): Promise<number> =>
      (await notedIn(dir)).extents.reduce((sum, [start, end]) => sum + end - start, 0);
    // Of which connection they come is not for the test to say.
    await until(async () => (await notedBytes()) >= 11 * MB);
    first.process.kill('SIGKILL');
    await first.process.exited;
    const noted = await notedBytes();
    upstream.heal();
    upstream.forget();
    await using mirror = await start(dir);
    await assertPulled(mirror, layer);
    assert.ok(isContinued(mirror));
    assert.ok(bytesOf(layer) <= (layer.size - noted) * MOST, upstream.journal());
  });
});

describe('partial content that is damaged costs a part of it, and no pull', () => {
  const damages: readonly (readonly [string, (file: string) => Promise<void>, number])[] = [
    // Checkpoints are a MiB apart, and a chunk of up to as much.
    ['a byte is flipped in what was hashed', (file) => flip(file, 7 * MB), 3],
    [
      'two are',
      async (file) => {
        await flip(file, 3 * MB);
        await flip(file, 12 * MB);
      },
      5,
    ],
    ['it is shorter', (file) => truncate(file, 11 * MB), 10],
    ['it is empty', (file) => truncate(file, 0), 21],
    ['its note is empty', (file) => writeFile(`${file}.note`, ''), 21],
    ['its note is garbled', (file) => writeFile(`${file}.note`, '{"entrepot-partial": "\u0000"}'), 21],
    ['its note is of another program', (file) => writeFile(`${file}.note`, '[1, 2'), 21],
  ];
  for (const [what, damage, lost] of damages) {
    test(what, async () => {
      const layer = addLayer();
      const dir = await interrupted(layer, 20 * MB);
      await damage(await partialOf(dir));
      upstream.forget();
      await using mirror = await start(dir);
      await assertPulled(mirror, layer);
      assert.ok(bytesOf(layer) <= layer.size - (20 - lost) * MB, upstream.journal());
      await mirror.logged(isIngestEnd(layer.digest, 'committed'));
      const { upstreams = [] } = await mirror.app.status();
      assert.ok(
        upstreams.every(({ state }) => state === 'closed'),
        'the upstream is not blamed',
      );
    });
  }

  test('a byte is flipped far ahead: the pull is cut before its last byte, and the next one starts fresh', async () => {
    const layer = addLayer();
    const dir = newDirectory();
    const first = await start(dir, { transfer: { min_segment: MB, connections: 2 } });
    await pullTo(first, layer, 9 * MB);
    await first.get(layer.path, { range: `bytes=${20 * MB}-${22 * MB - 1}` });
    await first.stop();
    upstream.heal();
    await flip(await partialOf(dir), 21 * MB);
    await using mirror = await start(dir);
    const { body } = await mirror.get(layer.path);
    assert.ok(body.length < layer.size, 'its last byte is held back');
    const { reason } = await mirror.logged(isIngestEnd(layer.digest, 'failed'));
    assert.match(String(reason), /^What was kept of .* is damaged/);
    assert.deepEqual(await readdir(join(dir, 'partial')), []);
    await assertPulled(mirror, layer);
  });
});

describe('partial content is served to no client before an upstream has answered', () => {
  const ME = { username: 'me', password: 'right' };

  test('none of it, where the credential is no longer right', async () => {
    await using hub = await startScriptedUpstream({ personality: 'dockerHub', credentials: ME, anonymous: false });
    const image = buildImage({ seed: 'private', layers: [SIZE], architectures: ['amd64'] });
    hub.add(image, 'team/private', ['latest']);
    const [layer] = platformOf(image, 'amd64').layers as [Content];
    const path = `/v2/team/private/blobs/${layer.digest}`;
    const withPassword = (password: string) => ({
      registries: { hub: { upstreams: [{ url: hub.url, credentials: { ...ME, password } }] } },
    });
    const dir = newDirectory();
    const first = await start(dir, withPassword('right'));
    hub.fault(layer.digest, { stallAt: 20 * MB, times: 1 });
    const client = get(`${first.url}${path}`, { agent: false }, (response) => response.resume().on('error', () => {}));
    client.on('error', () => {});
    await received(first, 20 * MB);
    await first.stop();
    hub.heal();
    const second = await start(dir, withPassword('wrong'));
    for (const headers of [{}, { range: 'bytes=0-99' }, { range: `bytes=${12 * MB}-` }]) {
      const { status, body } = await second.get(path, headers);
      assert.ok(status >= 400, `${status}`);
      assert.ok(!body.includes(layer.bytes.subarray(0, 16)) && body.length < 4096);
    }
    await second.stop();
    // It was not lost by that.
    hub.forget();
    await using third = await start(dir, withPassword('right'));
    assert.ok((await third.get(path)).body.equals(layer.bytes));
    const fetched = hub.blobBodies(layer.digest).reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(fetched <= (layer.size - 20 * MB) * MOST, hub.journal());
  });

  test('none of it, where the upstream no longer has the blob', async () => {
    const layer = addLayer();
    const dir = await interrupted(layer, 20 * MB);
    upstream.fault(layer.digest, { status: 404 });
    await using mirror = await start(dir);
    const { status, body } = await mirror.get(layer.path);
    assert.equal(status, 404);
    assert.ok(body.length < 4096);
  });

  test('all that there is but the last byte is not enough', async () => {
    const layer = addLayer();
    const dir = await interrupted(layer, layer.size - 1);
    upstream.forget();
    upstream.fault(layer.digest, { status: 403 });
    const second = await start(dir);
    assert.ok((await second.get(layer.path)).status >= 400);
    await second.stop();
    upstream.heal();
    upstream.forget();
    await using third = await start(dir);
    await assertPulled(third, layer);
    assert.equal(bytesOf(layer), 1, upstream.journal());
  });

  test('offline, a pull fails at once as without it', async () => {
    const layer = addLayer();
    const dir = await interrupted(layer, 20 * MB);
    await using mirror = await start(dir, { offline: true });
    const { status } = await mirror.get(layer.path);
    assert.ok(status >= 400, `${status}`);
    assert.equal((await mirror.app.status()).transfers.length, 0);
  });
});

describe('the area of partial content', () => {
  const filesIn = async (dir: string): Promise<readonly string[]> =>
    (await readdir(join(dir, 'partial')).catch(() => [])).filter((each) => !each.endsWith('.note'));

  test('keeps what fits, and the latest', async () => {
    const [first, second] = [addLayer(), addLayer()];
    const more = { cache: { partial_size: '30MiB' } };
    const dir = newDirectory();
    for (const layer of [first, second]) {
      const mirror = await start(dir, more);
      await pullTo(mirror, layer, 20 * MB);
      await mirror.stop();
      upstream.heal();
    }
    assert.deepEqual(await filesIn(dir), [second.digest.replace(':', '-')]);
    upstream.forget();
    await using mirror = await start(dir, more);
    await assertPulled(mirror, first);
    await assertPulled(mirror, second);
    assert.ok(bytesOf(second) <= (second.size - 20 * MB) * MOST, upstream.journal());
  });

  test('keeps nothing where it is turned off, of what fits not, and of the first few MiB', async () => {
    for (const [at, partial_size] of [
      [20 * MB, 0],
      [20 * MB, '19MiB'],
      [7 * MB, '1GiB'],
    ] as const) {
      assert.deepEqual(await filesIn(await interrupted(addLayer(), at, { cache: { partial_size } })), []);
    }
  });

  test('is emptied by a reload that turns it off', async () => {
    const dir = await interrupted(addLayer(), 20 * MB);
    await using mirror = await start(dir);
    assert.equal((await filesIn(dir)).length, 1);
    await mirror.reload(settingsOf({ cache: { partial_size: 0 } }));
    await until(async () => (await filesIn(dir)).length === 0);
  });

  test('is told by the status and the metrics', async () => {
    const dir = await interrupted(addLayer(), 20 * MB);
    await using mirror = await start(dir);
    const { cache } = await mirror.app.status();
    assert.ok(cache !== 'off');
    assert.equal(cache.partial?.count, 1);
    assert.ok((cache.partial?.bytes ?? 0) >= 19 * MB, `${cache.partial?.bytes}`);
    const { body } = await mirror.get('/metrics');
    assert.match(body.toString(), /^entrepot_cache_partials 1$/m);
  });

  test('holds no file that the next start takes for another program’s', async () => {
    const dir = await interrupted(addLayer(), 20 * MB);
    const mirror = await start(dir);
    await mirror.stop();
    assert.ok(!mirror.log.some(({ msg }) => /another program/.test(msg)));
    assert.equal((await filesIn(dir)).length, 1);
  });
});
