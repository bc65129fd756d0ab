import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { scrub } from '../../src/cli/commands/cache/scrub.ts';
import { digestOf } from '../../src/oci/index.ts';
import { openFilesystemBlobStore } from '../../src/store/index.ts';
import { putBlob } from '../suites/blob-store.ts';
import { startEntrepot } from '../support/app.ts';
import { buildImage, type Content, content, noise, platformOf } from '../support/image.ts';
import { download, isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// What rests on the disk may rot, be lost or be left half-done by a crash: what clients see of it.

const REPOSITORY = 'team/app';

interface Stage {
  readonly upstream: ScriptedUpstream;
  readonly workspace: Workspace;
  readonly dir: string;
  /** Starts a server on the directory, after the one before was stopped. */
  readonly start: () => Promise<Mirror>;
}

async function stage(t: TestContext): Promise<Stage> {
  const workspace = await Workspace.open();
  const upstream = await startScriptedUpstream();
  const dir = workspace.path('cache');
  let running: Mirror | undefined;
  t.after(async () => {
    await running?.stop();
    await upstream.stop();
    await workspace.close();
  });
  return {
    upstream,
    workspace,
    dir,
    async start() {
      await running?.stop();
      running = await startMirror({ registries: { up: { upstreams: [upstream.url] } } }, { dir });
      return running;
    },
  };
}

function urlOf(server: { readonly url: string }, blob: Content): string {
  return `${server.url}/up/v2/${REPOSITORY}/blobs/${blob.digest}`;
}

function pathOf(dir: string, { digest }: Content): string {
  return join(dir, 'blobs', 'sha256', digest.slice(7, 9), digest.slice(7));
}

/** Pulls them all, a few at a time, and waits until each is stored. */
async function warm(mirror: Mirror, blobs: readonly Content[]): Promise<void> {
  for (let first = 0; first < blobs.length; first += 8) {
    await Promise.all(
      blobs.slice(first, first + 8).map(async (blob) => {
        assert.ok((await download(urlOf(mirror, blob), blob)).right);
        await mirror.logged(isIngestEnd(blob.digest, 'committed'));
      }),
    );
  }
}

async function metric(mirror: Mirror, name: string): Promise<number> {
  const { body } = await mirror.get('/metrics');
  const lines = body
    .toString()
    .split('\n')
    .filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await chmod(path, 0o600);
  await writeFile(path, bytes);
}

const ROTS: readonly ((path: string) => Promise<void>)[] = [
  flip,
  async (path) => {
    await chmod(path, 0o600);
    await truncate(path, 100);
  },
  async (path) => {
    await chmod(path, 0o600);
    await truncate(path, 0);
  },
  (path) => rm(path),
  async (path) => {
    await rm(path);
    await symlink('/dev/zero', path);
  },
  async (path) => {
    await rm(path);
    await mkdir(path);
  },
];

describe('100 rotten files', () => {
  for (const how of ['while the server runs', 'while it is down'] as const) {
    test(`${how}: no client gets a complete wrong body, and each is healed by one download`, async (t) => {
      const { upstream, dir, start } = await stage(t);
      // Some are larger than what is hashed before its first byte.
      const blobs = Array.from({ length: 100 }, (_, i) => {
        const blob = content('application/octet-stream', noise(`rot ${i}`, i % 25 === 0 ? 5_000_000 : 20_000));
        upstream.addBlob(REPOSITORY, blob);
        return blob;
      });
      let mirror = await start();
      await warm(mirror, blobs);
      if (how === 'while it is down') await mirror.stop();
      for (const [i, blob] of blobs.entries()) await ROTS[i % ROTS.length]?.(pathOf(dir, blob));
      if (how === 'while it is down') mirror = await start();
      const before = upstream.blobBodies().length;
      let cut = 0;
      for (const blob of blobs) {
        const first = await download(urlOf(mirror, blob), blob);
        if (first.whole) assert.ok(first.right, 'a complete wrong body');
        else cut += 1;
        const second = await download(urlOf(mirror, blob), blob);
        assert.deepEqual([second.status, second.whole, second.right], [200, true, true]);
        await mirror.logged(isIngestEnd(blob.digest, 'committed'), { count: how === 'while it is down' ? 1 : 2 });
        assert.equal(digestOf(await readFile(pathOf(dir, blob))), blob.digest);
      }
      assert.equal(upstream.blobBodies().length - before, 100);
      assert.ok(cut <= 2, `${cut} clients noticed`);
      // What is no file is moved to foreign/, and stays.
      assert.ok((await readdir(join(dir, 'quarantine'))).length <= 16, 'the quarantine is bounded');
      assert.ok((await readdir(join(dir, 'foreign'))).length >= 32);
      const rotten = await metric(mirror, 'entrepot_cache_rotten_total{');
      // Taking stock at the start finds by itself that a file is gone, or is none, and says so in one line.
      assert.ok(how === 'while it is down' ? rotten >= 50 : rotten === 100, `${rotten}`);
      const { cache } = await mirror.app.status();
      assert.equal(cache === 'off' ? 0 : cache.blobs, 100);
    });
  }
});

describe('the names database', () => {
  const image = buildImage({ seed: 'lost', layers: [60_000, 5_000_000], architectures: ['amd64'] });
  const { manifest, config, layers } = platformOf(image, 'amd64');
  const blobs = [config, ...layers];

  async function pull(mirror: Mirror): Promise<void> {
    const tag = await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`);
    assert.equal(digestOf(tag.body), image.index.digest);
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/${manifest.digest}`)).status, 200);
    for (const blob of blobs) assert.ok((await download(urlOf(mirror, blob), blob)).right);
  }

  const losses: Record<string, (file: string) => Promise<void>> = {
    deleted: (file) => rm(file),
    truncated: (file) => truncate(file, 5000),
    emptied: (file) => truncate(file, 0),
    'overwritten with garbage': (file) => writeFile(file, Buffer.alloc(70_000, 'garbage')),
  };
  for (const [what, lose] of Object.entries(losses)) {
    for (const backup of [true, false]) {
      test(`${what}, with${backup ? '' : 'out'} a backup, costs no blob`, async (t) => {
        const { upstream, dir, start } = await stage(t);
        upstream.add(image, REPOSITORY, ['latest']);
        const before = await start();
        await pull(before);
        for (const blob of blobs) await before.logged(isIngestEnd(blob.digest, 'committed'));
        await before.stop();
        if (!backup) await rm(join(dir, 'names.backup.db'));
        await lose(join(dir, 'names.db'));
        const fetched = upstream.blobBodies().length;
        const mirror = await start();
        await pull(mirror);
        assert.equal(upstream.blobBodies().length, fetched);
        const { cache } = await mirror.app.status();
        assert.equal(cache === 'off' ? 0 : cache.blobs, 5, 'blobs and manifests are counted again');
        const isHeard = mirror.log.some(({ msg, level }) => msg === 'names.recovered' && level === 'warn');
        assert.equal(isHeard, backup || what !== 'deleted');
      });
    }
  }

  test('damaged while it is used is replaced, and no pull fails', async (t) => {
    const { upstream, dir, start } = await stage(t);
    upstream.add(image, REPOSITORY, ['latest']);
    await pull(await start());
    const mirror = await start();
    const file = join(dir, 'names.db');
    await writeFile(file, (await readFile(file)).fill(0xa5));
    const fetched = upstream.blobBodies().length;
    await pull(mirror);
    await pull(mirror);
    assert.equal(upstream.blobBodies().length, fetched);
    await mirror.logged(({ msg }) => msg === 'names.recovered');
  });
});

describe('a stop in order', () => {
  test('leaves a note, so that the next start need not count; a crash, doubt or another database leaves none', async (t) => {
    const { dir, start } = await stage(t);
    const note = join(dir, 'clean-stop.json');
    const isCounted = async (mirror: Mirror): Promise<boolean> => {
      await mirror.stop();
      return existsSync(note);
    };
    // The first one counts, which an empty cache is done with soon; a stop in the middle of it leaves nothing.
    for (let turn = 0; !existsSync(note); turn += 1) {
      assert.ok(turn < 20);
      const mirror = await start();
      assert.equal(existsSync(note), false);
      await mirror.get('/readyz');
      await mirror.stop();
    }
    // Nothing was counted here: what was noted then still holds.
    const before = await readFile(note, 'utf8');
    assert.equal(await isCounted(await start()), true);
    assert.equal(JSON.parse(await readFile(note, 'utf8')).countedAt, JSON.parse(before).countedAt);

    await rm(join(dir, 'names.db'));
    const store = await openFilesystemBlobStore(dir);
    await putBlob(store, Buffer.from('planted'));
    const mirror = await start();
    const counted = await mirror.logged(({ msg }) => msg === 'cache.counted');
    assert.equal(counted['adopted'], 1);
  });
});

describe('a kill', () => {
  test('between the rename and the row leaves a file that is adopted, not fetched again', async (t) => {
    const { upstream, workspace, dir, start } = await stage(t);
    const blob = content('application/octet-stream', noise('adopted', 300_000));
    upstream.addBlob(REPOSITORY, blob);
    const registries = { up: { upstreams: [upstream.url] } };
    const env = { ...process.env, ENTREPOT_CRASH_AT: 'commit.renamed' };
    const killed = await startEntrepot(workspace, { registries }, { dir, env });
    await download(urlOf(killed, blob), blob).catch(() => undefined);
    await killed.process.exited;
    assert.ok(existsSync(pathOf(dir, blob)));
    assert.equal(upstream.blobBodies(blob.digest).length, 1);

    const mirror = await start();
    const pulled = await download(urlOf(mirror, blob), blob);
    assert.deepEqual([pulled.right, pulled.cache], [true, 'HIT']);
    assert.equal(upstream.blobBodies(blob.digest).length, 1);
    const { cache } = await mirror.app.status();
    assert.deepEqual(cache === 'off' ? undefined : [cache.blobs, cache.bytes], [1, blob.size]);
  });
});

describe('entrepot scrub', () => {
  async function runScrub(dir: string): Promise<{ readonly code: number; readonly out: string }> {
    let out = '';
    const output = { out: (text: string) => (out += text), err: (text: string) => (out += text) };
    const code = await scrub({ flags: { cacheDir: dir }, json: true, stop: false }, { output });
    return { code, out };
  }

  test('has the running server find what is wrong before a client asks for it', async (t) => {
    const { upstream, dir, start } = await stage(t);
    const blobs = Array.from({ length: 10 }, (_, i) => {
      const blob = content('application/octet-stream', noise(`scrub ${i}`, 10_000));
      upstream.addBlob(REPOSITORY, blob);
      return blob;
    });
    const mirror = await start();
    await warm(mirror, blobs);
    assert.equal((await runScrub(dir)).code, 0);
    const [flipped, gone] = blobs as [Content, Content];
    await flip(pathOf(dir, flipped));
    await rm(pathOf(dir, gone));
    const { code, out } = await runScrub(dir);
    assert.equal(code, 1);
    const { rotten, missing, blobs: looked, state } = JSON.parse(out) as Record<string, unknown>;
    assert.deepEqual([state, rotten, missing, looked], ['done', 1, 1, 9]);
    const again = await download(urlOf(mirror, flipped), flipped);
    assert.deepEqual([again.right, again.cache], [true, 'MISS']);
    await mirror.logged(isIngestEnd(flipped.digest, 'committed'), { count: 2 });
    assert.equal((await runScrub(dir)).code, 0);
  });
});
