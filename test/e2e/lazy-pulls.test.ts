import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { startBuildkit } from '../support/buildkit.ts';
import { type CountedReads, countReads } from '../support/counting.ts';
import {
  buildLazyImage,
  FOOTER,
  isRight,
  type LazyChunk,
  type LazyImage,
  readToc,
  tocOffset,
} from '../support/estargz.ts';
import { needsGoTools } from '../support/go-tools.ts';
import { Chances } from '../support/hostile.ts';
import { noise } from '../support/image.ts';
import { needs, Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const MiB = 1024 * 1024;
const REPOSITORY = 'library/lazy';
/** Of the layer, which does not compress: 80 MiB. */
const FILES = Object.fromEntries(
  Array.from({ length: 320 }, (_, i) => [`file-${i}`, noise(`lazy ${i}`, MiB / 4)] as const),
);
const READS = 200;
const AT_ONCE = 8;
/** Bytes a second of one connection to the upstream: alone it takes ten seconds for the layer. */
const RATE = 8 * MiB;

// Lazy pullers read a few places of a layer and start, while the whole of it is on its way into the cache.

describe('a lazy puller', { ...needs('root', 'runc'), ...needsGoTools('buildkitd', 'buildctl') }, () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  let image: LazyImage;
  let entrepot: RunningEntrepot;
  let reads: CountedReads;

  before(async () => {
    workspace = await Workspace.open();
    image = await buildLazyImage(workspace, FILES);
    upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    workspace.defer(() => upstream.stop());
    const { manifest, config, layer } = image;
    upstream.library.addManifest(REPOSITORY, manifest);
    upstream.library.tag(REPOSITORY, { tag: 'latest', digest: manifest.digest });
    for (const blob of [config, layer]) upstream.addBlob(REPOSITORY, blob);
    upstream.fault(layer.digest, { bytesPerSecond: RATE });
  });
  after(() => workspace.close());
  beforeEach(async () => {
    upstream.forget();
    reads = countReads(workspace);
    const env = { ...process.env, ...reads.env };
    entrepot = await startEntrepot(workspace, { registries: { 'docker.io': { upstreams: [upstream.url] } } }, { env });
  });

  const layerUrl = (): string => `${entrepot.url}/v2/${REPOSITORY}/blobs/${image.layer.digest}`;

  async function readRange(range: string): Promise<{ readonly type: string; readonly body: Buffer }> {
    const response = await fetch(layerUrl(), { headers: { range: `bytes=${range}` } });
    const body = Buffer.from(await response.arrayBuffer());
    assert.equal(response.status, 206, range);
    return { type: response.headers.get('content-type') ?? '', body };
  }

  /** Waits until the layer is in the cache, and compares what was asked for with its bytes. */
  async function assertAskedOnce(): Promise<void> {
    const { size, digest } = image.layer;
    const deadline = Date.now() + 60_000;
    const isCached = (): boolean =>
      entrepot
        .logs()
        .some(({ msg, outcome, digest: of }) => msg === 'ingest.finished' && outcome === 'committed' && of === digest);
    while (!isCached() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(isCached(), 'the layer came into the cache');
    const read = await reads.readFrom([upstream]);
    assert.ok(read <= size * 1.02, `${read / size} of the layer were read\n${upstream.journal()}`);
  }

  test(`reads ${READS} chunks here and there of a cold layer, each right, and every byte is asked for once`, async () => {
    const { layer, manifest } = image;
    assert.equal((await fetch(`${entrepot.url}/v2/${REPOSITORY}/manifests/${manifest.digest}`)).status, 200);
    const footer = (await readRange(`-${FOOTER}`)).body;
    const offset = tocOffset(footer);
    const toc = (await readRange(`${offset}-${layer.size - FOOTER - 1}`)).body;
    const chunks = readToc(toc, offset);
    assert.ok(chunks.length >= 320, `${chunks.length} chunks`);
    const chances = new Chances(16);
    let left = 0;
    async function read(): Promise<void> {
      while (left > 0) {
        left -= 1;
        const chunk = chances.of(chunks);
        // Every fourth read asks for two chunks at once, as the stargz snapshotter does.
        if (left % 4 > 0) {
          const { body } = await readRange(`${chunk.start}-${chunk.end - 1}`);
          assert.ok(isRight(body, chunk), `the chunk at ${chunk.start}`);
          continue;
        }
        const both = [chunk, chances.of(chunks)].sort((one, other) => one.start - other.start);
        await readSeveral(both);
      }
    }
    const readMany = async (count: number): Promise<void> => {
      left = count;
      await Promise.all(Array.from({ length: AT_ONCE }, read));
    };
    await readMany(READS);
    await assertAskedOnce();
    upstream.forget();
    await readMany(20);
    assert.deepEqual(upstream.requests, [], upstream.journal());
  });

  /** Reads chunks in one request. */
  async function readSeveral(chunks: readonly LazyChunk[]): Promise<void> {
    const { type, body } = await readRange(chunks.map(({ start, end }) => `${start}-${end - 1}`).join(','));
    const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(type)?.[1];
    // Neighbours come as one part.
    const bytes =
      boundary === undefined
        ? [{ start: chunks[0]?.start ?? 0, body }]
        : body
            .toString('latin1')
            .split(`\r\n--${boundary}`)
            .slice(1, -1)
            .map((part) => {
              const [head = '', ...rest] = part.split('\r\n\r\n');
              const start = Number(/content-range: bytes (\d+)-/i.exec(head)?.[1]);
              return { start, body: Buffer.from(rest.join('\r\n\r\n'), 'latin1') };
            });
    for (const chunk of chunks) {
      const part = bytes.find(({ start, body: { length } }) => start <= chunk.start && start + length >= chunk.end);
      assert.ok(part !== undefined, `no part has the chunk at ${chunk.start}: ${type}`);
      const from = chunk.start - part.start;
      assert.ok(
        isRight(part.body.subarray(from, from + chunk.end - chunk.start), chunk),
        `the chunk at ${chunk.start}`,
      );
    }
  }

  const fuse = existsSync('/dev/fuse')
    ? {}
    : { skip: 'needs /dev/fuse: modprobe fuse, or give the container the device' };
  test('buildkit with the stargz snapshotter reads three files of an image that it does not pull', fuse, async () => {
    const wanted = ['file-7', 'file-160', 'file-311'];
    await workspace.file(
      'lazy/Dockerfile',
      `FROM docker.io/${REPOSITORY} AS lazy\nFROM scratch\nCOPY --from=lazy ${wanted.map((name) => `/files/${name}`).join(' ')} /\n`,
    );
    const config = `[registry."docker.io"]\n  mirrors = ["${entrepot.host}"]\n[registry."${entrepot.host}"]\n  http = true\n
      [worker.oci.stargzSnapshotter]\n  no_background_fetch = true\n  noprefetch = true\n`;
    const buildkit = await startBuildkit(workspace, { name: 'lazy-reader', snapshotter: 'stargz', config });
    const out = workspace.path('lazy-out');
    await buildkit.build(workspace.path('lazy'), `type=local,dest=${out}`);
    for (const name of wanted) assert.ok((FILES[name] as Buffer).equals(await readFile(`${out}/${name}`)), name);
    const { digest, size } = image.layer;
    const requests = entrepot.accessLog().filter(({ method, path }) => method === 'GET' && path.endsWith(digest));
    assert.ok(requests.length > 2 && requests.every(({ status }) => status === 206), JSON.stringify(requests));
    const served = requests.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(served < size / 4, `it read ${served} of ${size} bytes`);
    await assertAskedOnce();
  });
});
