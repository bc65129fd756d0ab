import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { gc } from '../../src/cli/commands/cache/gc.ts';
import { history } from '../../src/cli/commands/cache/history.ts';
import { purge } from '../../src/cli/commands/cache/purge.ts';
import { refresh } from '../../src/cli/commands/cache/refresh.ts';
import { rollback } from '../../src/cli/commands/cache/rollback.ts';
import { unhold } from '../../src/cli/commands/cache/unhold.ts';
import { status } from '../../src/cli/commands/server/status.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, platformOf, type TestImage } from '../support/image.ts';
import { isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// A tag moves: what is remembered of it, and how an operator takes it back.

const REPOSITORY = 'team/app';
const NAME = `up/${REPOSITORY}:latest`;
const OLD = buildImage({ seed: 'history old', layers: [40_000] });
const NEW = buildImage({ seed: 'history new', layers: [50_000] });

const at = (reference: string): string => `/up/v2/${REPOSITORY}/manifests/${reference}`;
const blobAt = (digest: string): string => `/up/v2/${REPOSITORY}/blobs/${digest}`;

interface Stage {
  readonly upstream: ScriptedUpstream;
  readonly dir: string;
  /** The file of a configuration, for commands without a server. */
  readonly file: string;
  readonly start: () => Promise<Mirror>;
}

async function stage(t: TestContext, cache: Readonly<Record<string, unknown>> = {}): Promise<Stage> {
  const upstream = await startScriptedUpstream();
  upstream.add(OLD, REPOSITORY, ['latest']);
  const root = await mkdtemp(join(tmpdir(), 'entrepot-history-'));
  const dir = join(root, 'cache');
  const mirrors: Mirror[] = [];
  t.after(async () => {
    upstream.heal();
    for (const mirror of mirrors) await mirror.stop();
    await upstream.stop();
    await rm(root, { recursive: true, force: true });
  });
  const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } };
  const settings = { tags: { fresh_for: '0s' }, ...cache };
  const file = join(root, 'entrepot.yaml');
  await writeFile(file, JSON.stringify({ cache: { dir, ...settings }, registries }));
  return {
    upstream,
    dir,
    file,
    async start() {
      const mirror = await startMirror({ cache: settings, registries }, { dir });
      mirrors.push(mirror);
      return mirror;
    },
  };
}

async function pull(mirror: Mirror, image: TestImage): Promise<void> {
  const { manifest, config, layers } = platformOf(image, 'amd64');
  assert.equal((await mirror.get(at('latest'))).body.equals(image.index.bytes), true);
  assert.equal((await mirror.get(at(manifest.digest))).status, 200);
  for (const { digest, bytes } of [config, ...layers]) {
    const answer = await mirror.get(blobAt(digest));
    assert.ok(answer.body.equals(bytes));
    if (answer.headers['x-cache'] === 'MISS') await mirror.logged(isIngestEnd(digest));
  }
}

/** That clients get an image by its tag, and every part of one platform. */
async function assertServes(mirror: Mirror, image: TestImage): Promise<Readonly<Record<string, unknown>>> {
  const got = await mirror.get(at('latest'));
  const headed = await mirror.head(at('latest'));
  assert.deepEqual([got.status, headed.status], [200, 200], got.body.toString());
  assert.ok(got.body.equals(image.index.bytes));
  assert.equal(got.headers['docker-content-digest'], image.index.digest);
  for (const name of ['docker-content-digest', 'content-length', 'content-type', 'warning', 'age']) {
    assert.equal(headed.headers[name], got.headers[name], name);
  }
  const { manifest, config, layers } = platformOf(image, 'amd64');
  assert.equal((await mirror.get(at(manifest.digest))).status, 200);
  for (const { digest, bytes } of [config, ...layers]) {
    assert.ok((await mirror.get(blobAt(digest))).body.equals(bytes));
  }
  return got.headers;
}

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function say<O>(
  command: (options: O, output: { out(text: string): void; err(text: string): void }) => Promise<number>,
  options: O,
): Promise<Said> {
  const { output, said } = captureOutput();
  return { code: await command(options, output), ...said };
}

const on = (dir: string) => ({ flags: { cacheDir: dir }, json: false });

describe('entrepot history', () => {
  test('lists where a tag pointed, newest first, with and without a server', async (t) => {
    const { upstream, dir, file, start } = await stage(t);
    const mirror = await start();
    const before = await say(history, { ...on(dir), image: NAME });
    assert.deepEqual(
      [before.code, before.out.startsWith('Nothing is recorded of up/team/app:latest')],
      [1, true],
      before.out,
    );
    await pull(mirror, OLD);
    await pull(mirror, OLD);
    upstream.add(NEW, REPOSITORY, ['latest']);
    assert.ok((await mirror.get(at('latest'))).body.equals(NEW.index.bytes));
    const { code, out } = await say(history, { ...on(dir), image: `up/${REPOSITORY}` });
    assert.equal(code, 0);
    const [head, columns, first, second, ...rest] = out.split('\n');
    assert.deepEqual([head, rest], [NAME, ['']], out);
    assert.match(columns ?? '', /^ {2}FIRST SEEN +DIGEST +STORED +UPSTREAM/);
    const when = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ';
    assert.match(first ?? '', new RegExp(`^  ${when}  ${NEW.index.digest}  manifest, 0 of \\d parts +hub +current$`));
    assert.match(second ?? '', new RegExp(`^  ${when}  ${OLD.index.digest}  manifest, 3 of \\d parts +hub$`));
    await mirror.stop();
    const alone = await say(history, { flags: { config: file }, image: NAME });
    assert.deepEqual([alone.code, alone.out], [0, out], alone.err);
    const byDigest = await say(history, { flags: { config: file }, image: `up/${REPOSITORY}@${OLD.index.digest}` });
    assert.deepEqual([byDigest.code, /is a digest, which never moves/.test(byDigest.err)], [1, true], byDigest.err);
  });
});

describe('a tag that is held', () => {
  test('answers with its digest by HEAD and GET, whatever the upstream says, until its hold ends', async (t) => {
    const { upstream, dir, start } = await stage(t);
    let mirror = await start();
    await pull(mirror, OLD);
    upstream.add(NEW, REPOSITORY, ['latest']);
    await pull(mirror, NEW);
    const image = `${NAME}@${OLD.index.digest}`;
    const held = await say(rollback, { ...on(dir), image, until: '7d', reason: 'the "new" one is broken' });
    assert.deepEqual([held.code, held.err], [0, '']);
    assert.match(
      held.out,
      new RegExp(`^${NAME} is held at ${OLD.index.digest} since .* until .*: the "new" one is broken`),
    );
    assert.ok(held.out.includes(`The tag of the upstream points to ${NEW.index.digest}.\n`), held.out);
    const line = await mirror.logged(({ msg }) => msg === 'tag.held');
    assert.deepEqual([line['tag'], line['digest']], ['latest', OLD.index.digest]);

    upstream.forget();
    const headers = await assertServes(mirror, OLD);
    const text = `held at ${OLD.index.digest} until \\S+ by the operator of this mirror: the 'new' one is broken`;
    assert.match(String(headers['warning']), new RegExp(`^299 - "${text}"$`));
    assert.equal(upstream.count({ kind: 'manifest' }), 0, upstream.journal());
    upstream.fault({}, { status: 500 });
    await assertServes(mirror, OLD);

    // It survives a restart, and so does the eviction of everything else.
    await mirror.stop();
    mirror = await start();
    const evicted = await say(gc, { ...on(dir), dryRun: false, maxSize: '0' });
    assert.match(evicted.out, /blobs? (?:was|were) evicted/, evicted.err);
    await assertServes(mirror, OLD);
    const shown = await say(status, on(dir));
    assert.match(
      shown.out,
      new RegExp(`held +${NAME} at ${OLD.index.digest.slice(0, 19)} until \\d{4}-\\d\\d-\\d\\d: the "new" one`),
    );
    const listed = await say(history, { ...on(dir), image: NAME });
    assert.match(listed.out, new RegExp(`\n  held at ${OLD.index.digest} since`));
    assert.match(listed.out, new RegExp(`${NEW.index.digest}  no +hub +current\n`));
    assert.match(listed.out, new RegExp(`${OLD.index.digest} .* hub +held\n`));

    upstream.heal();
    const moved = await say(refresh, { ...on(dir), patterns: [NAME] });
    assert.equal(moved.code, 0, moved.err);
    await assertServes(mirror, OLD);
    const ended = await say(unhold, { ...on(dir), image: NAME });
    assert.deepEqual([ended.code, ended.out.endsWith('The tag follows its upstream again.\n')], [0, true], ended.out);
    const end = await mirror.logged(({ msg }) => msg === 'tag.unheld');
    assert.equal(end['cause'], 'unhold');
    assert.equal((await assertServes(mirror, NEW))['warning'], undefined);
    const twice = await say(unhold, { ...on(dir), image: NAME });
    assert.deepEqual([twice.code, twice.out], [1, `${NAME} is not held; \`entrepot status\` lists the held tags.\n`]);
  });

  test('is fetched by its digest where it was evicted, and refused where it cannot be had', async (t) => {
    const { upstream, dir, file, start } = await stage(t);
    const mirror = await start();
    await pull(mirror, OLD);
    upstream.add(NEW, REPOSITORY, ['latest']);
    await pull(mirror, NEW);
    await mirror.stop();
    const evicted = await say(gc, { flags: { config: file }, dryRun: false, maxSize: '0' });
    assert.equal(evicted.code, 0, evicted.err);
    const image = `${NAME}@${OLD.index.digest}`;
    const alone = await say(rollback, { flags: { config: file }, image });
    assert.deepEqual([alone.code, /is not stored; start the server/.test(alone.err)], [1, true], alone.err);

    const second = await start();
    const failing = upstream.fault({ kind: 'manifest' }, { status: 404 });
    const refused = await say(rollback, { ...on(dir), image });
    assert.equal(refused.code, 1, refused.out);
    failing();
    const never = await say(rollback, { ...on(dir), image: `${NAME}@sha256:${'a'.repeat(64)}` });
    assert.deepEqual([never.code, /never saw up\/team\/app:latest point to/.test(never.err)], [1, true], never.err);
    const held = await say(rollback, { ...on(dir), image });
    assert.equal(held.code, 0, held.err);
    await assertServes(second, OLD);
  });

  test('can be held and let go without a server', async (t) => {
    const { upstream, file, start } = await stage(t);
    const mirror = await start();
    await pull(mirror, OLD);
    upstream.add(NEW, REPOSITORY, ['latest']);
    await pull(mirror, NEW);
    await mirror.stop();
    const held = await say(rollback, { flags: { config: file }, image: `${NAME}@${OLD.index.digest}` });
    assert.equal(held.code, 0, held.err);
    const second = await start();
    await assertServes(second, OLD);
    await second.stop();
    assert.equal((await say(unhold, { flags: { config: file }, image: NAME })).code, 0);
    const third = await start();
    await assertServes(third, NEW);
  });

  test('is kept by a purge, which says so', async (t) => {
    const { upstream, dir, start } = await stage(t);
    const mirror = await start();
    await pull(mirror, OLD);
    upstream.add(NEW, REPOSITORY, ['latest']);
    await pull(mirror, NEW);
    await say(rollback, { ...on(dir), image: `${NAME}@${OLD.index.digest}` });
    const layer = platformOf(OLD, 'amd64').layers[0]?.digest ?? '';
    for (const pattern of ['**', NAME, `up/${REPOSITORY}@${OLD.index.digest}`, layer]) {
      const purged = await say(purge, { ...on(dir), dryRun: false, patterns: [pattern] });
      assert.match(purged.out, new RegExp(`${NAME} is kept: it is held at ${OLD.index.digest}`), pattern);
      assert.match(purged.out, /end its hold first with `entrepot unhold`/);
    }
    const stop = upstream.fault({}, { status: 500 });
    await assertServes(mirror, OLD);
    stop();
    await say(unhold, { ...on(dir), image: NAME });
    const purged = await say(purge, { ...on(dir), dryRun: false, patterns: [NAME] });
    assert.equal(purged.code, 0);
    assert.equal((await say(history, { ...on(dir), image: NAME })).code, 1);
  });

  test('stays under max_size while other images come and go', async (t) => {
    const { upstream, dir, start } = await stage(t, { max_size: '300KB' });
    const mirror = await start();
    await pull(mirror, OLD);
    const held = await say(rollback, { ...on(dir), image: `${NAME}@${OLD.index.digest}` });
    assert.equal(held.code, 0, held.err);
    for (let number = 0; number < 6; number += 1) {
      const other = buildImage({ seed: `other ${number}`, layers: [80_000] });
      upstream.add(other, 'team/other', ['latest']);
      const layer = platformOf(other, 'amd64').layers[0]?.digest ?? '';
      for (const path of [
        `manifests/latest`,
        `manifests/${platformOf(other, 'amd64').manifest.digest}`,
        `blobs/${layer}`,
      ]) {
        assert.equal((await mirror.get(`/up/v2/team/other/${path}`)).status, 200);
      }
      await mirror.logged(isIngestEnd(layer));
    }
    await mirror.logged(({ msg }) => msg === 'evicted' || msg === 'cache.swept');
    upstream.fault({}, { status: 500 });
    await assertServes(mirror, OLD);
  });
});

test('a tag with a cooldown serves its aged digest, over HTTP as by digest', async (t) => {
  const { upstream, file, dir, start } = await stage(t, {
    tags: { fresh_for: '0s', rules: [{ match: 'up/team/app', cooldown: '7d' }] },
  });
  const mirror = await start();
  await pull(mirror, OLD);
  const alone = await mirror.get(at('latest'));
  assert.match(String(alone.headers['warning']), /no older digest of it can be had"$/);
  await mirror.stop();
  // A week passes.
  const database = new DatabaseSync(join(dir, 'names.db'));
  database.exec(`UPDATE tag_moves SET seen_at = seen_at - ${8 * 24 * 3_600_000}`);
  database.close();

  const second = await start();
  assert.equal((await assertServes(second, OLD))['x-entrepot-cooldown'], undefined);
  upstream.add(NEW, REPOSITORY, ['latest']);
  const headers = await assertServes(second, OLD);
  assert.match(String(headers['x-entrepot-cooldown']), new RegExp(`^${NEW.index.digest}; until=\\d{4}-\\d\\d-\\d\\dT`));
  assert.match(String(headers['warning']), /^299 - "the tag points to sha256:\w+, which is younger than its cooldown/);
  assert.ok((await second.get(at(NEW.index.digest))).body.equals(NEW.index.bytes));
  const evicted = await say(gc, { ...on(dir), dryRun: false, maxSize: '0' });
  assert.match(evicted.out, /evicted/, evicted.err);
  upstream.fault({}, { status: 500 });
  await assertServes(second, OLD);
  await second.stop();
  const again = await say(gc, { flags: { config: file }, dryRun: false, maxSize: '0' });
  assert.match(again.out, /the rest is in use, pinned or has a fresh tag/, again.out + again.err);
  const third = await start();
  await assertServes(third, OLD);
});

test('entrepot rollback refuses what it cannot read', async () => {
  const image = `${NAME}@${OLD.index.digest}`;
  for (const [options, why] of [
    [{ until: 'soon' }, /--until soon is not a duration/],
    [{ until: '0' }, /--until 0 is not a duration/],
    [{ until: '36501d' }, /expected one above 0 and of at most a hundred years/],
    [{ reason: 'two\nlines' }, /error: --reason: expected one line of text/],
    [{ reason: 'x'.repeat(201) }, /error: --reason: expected at most 200 characters/],
  ] as const) {
    const { code, err } = await say(rollback, { flags: {}, image, ...options });
    assert.deepEqual([code, why.test(err)], [2, true], err);
  }
});
