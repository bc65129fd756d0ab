import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { gc } from '../../src/cli/commands/cache/gc.ts';
import { history } from '../../src/cli/commands/cache/history.ts';
import { purge } from '../../src/cli/commands/cache/purge.ts';
import { rollback } from '../../src/cli/commands/cache/rollback.ts';
import { scrub } from '../../src/cli/commands/cache/scrub.ts';
import { unhold } from '../../src/cli/commands/cache/unhold.ts';
import { type Digest, digestHex } from '../../src/oci/index.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, type Content, platformOf, type TestImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { pushImage, send } from '../support/push.ts';

// What an operator does to hosted repositories by commands, with a running server and without one.

const OLD = buildImage({ seed: 'hosted old', layers: [4000] });
const NEW = buildImage({ seed: 'hosted new', layers: [5000] });
const alice = basic('alice');

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'entrepot-hosted-commands-'));
  await writeFile(join(scratch, 'htpasswd'), htpasswdOf('alice'));
});
after(() => rm(scratch, { recursive: true, force: true }));

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A server with two pushes of one tag, and commands on its directory. */
async function stage(t: TestContext) {
  const dir = await mkdtemp(join(scratch, 'cache-'));
  const config = {
    registries: { apps: { hosted: true, immutable_tags: ['release-*'] } },
    access: {
      htpasswd: join(scratch, 'htpasswd'),
      rules: [{ who: 'alice', may: ['pull', 'push', 'delete', 'catalog'], on: ['apps/**'] }],
    },
  };
  const file = join(dir, '..', `${crypto.randomUUID()}.yaml`);
  await writeFile(file, JSON.stringify({ ...config, cache: { dir } }));
  const mirror = await startMirror(config, { dir });
  t.after(() => mirror.stop());
  await pushImage(target(mirror), OLD, 'v1');
  await pushImage(target(mirror), NEW, 'v1');
  await pushImage(target(mirror), OLD, 'release-1');
  const flags = { config: file };
  const say = async (work: (output: ReturnType<typeof captureOutput>['output']) => Promise<number>): Promise<Said> => {
    const { output, said } = captureOutput();
    const code = await work(output);
    return { code, out: said.out, err: said.err };
  };
  return {
    dir,
    mirror,
    history: (image: string, json = false) => say((output) => history({ flags, image, json }, output)),
    rollback: (image: string, more: { until?: string; reason?: string } = {}) =>
      say((output) => rollback({ flags, image, ...more }, output)),
    unhold: (image: string) => say((output) => unhold({ flags, image }, output)),
    gc: (more: { dryRun?: boolean } = {}) => say((output) => gc({ flags, ...more }, output)),
    scrub: () => say((output) => scrub({ flags }, { output, isTerminal: false })),
    purge: (...patterns: string[]) => say((output) => purge({ flags, patterns }, output)),
  };
}

const target = (mirror: Mirror, repository = 'apps/web') => ({ host: mirror.host, repository, headers: alice });
const digestOfTag = async (mirror: Mirror, tag: string): Promise<unknown> =>
  (await mirror.get(`/v2/apps/web/manifests/${tag}`, alice)).headers['docker-content-digest'];

async function remove(mirror: Mirror, image: TestImage): Promise<void> {
  for (const { digest } of [image.index, ...image.platforms.map(({ manifest }) => manifest)]) {
    await send(mirror.host, 'DELETE', `/v2/apps/web/manifests/${digest}`, { headers: alice });
  }
}

/** The commands are tried while the server runs, and again after it has stopped. */
for (const how of ['with a running server', 'without a server'] as const) {
  describe(`hosted repositories, ${how}`, () => {
    const begin = async (t: TestContext) => {
      const staged = await stage(t);
      if (how === 'without a server') await staged.mirror.stop();
      return staged;
    };

    test('history shows where a tag pointed, who moved it, and what is still here', async (t) => {
      const { history } = await begin(t);
      const { code, out } = await history('apps/web:v1');
      assert.equal(code, 0);
      const [head, , first = '', second = ''] = out.split('\n');
      assert.equal(head, 'apps/web:v1');
      assert.match(first, new RegExp(`${NEW.index.digest} +all +alice +current$`));
      assert.match(second, new RegExp(`${OLD.index.digest} +all +alice$`));
      const all = JSON.parse((await history('apps/**', true)).out);
      assert.deepEqual(
        all.tags.map(({ image }: { image: string }) => image),
        ['apps/web:release-1', 'apps/web:v1'],
      );
      const none = await history('apps/none');
      assert.equal(none.code, 1);
      assert.match(none.out, /Nothing is recorded of apps\/none/);
    });

    test('rollback moves a tag back, once, and refuses what cannot be, with the remedy', async (t) => {
      const { rollback, history, unhold } = await begin(t);
      const done = await rollback(`apps/web:v1@${OLD.index.digest}`);
      assert.deepEqual([done.code, done.err], [0, '']);
      assert.equal(
        done.out,
        `apps/web:v1 points to ${OLD.index.digest} again. Before it pointed to ${NEW.index.digest}.\n`,
      );
      assert.match((await rollback(`apps/web:v1@${OLD.index.digest}`)).err, /points to this digest already/);
      const moves = JSON.parse((await history('apps/web:v1', true)).out).tags[0].moves;
      assert.deepEqual(
        moves.map(({ by, current }: { by: string; current: boolean }) => [by, current]),
        [
          ['operator', true],
          ['alice', false],
          ['alice', false],
        ],
      );
      const refused: readonly (readonly [() => Promise<Said>, RegExp])[] = [
        [() => rollback(`apps/web:v1@sha256:${'0'.repeat(64)}`), /never pointed to this digest/],
        [() => rollback(`apps/web:release-1@${NEW.index.digest}`), /never pointed to this digest/],
        [
          () => rollback(`apps/web:v1@${NEW.index.digest}`, { reason: 'broken' }),
          /moves, and is not held: leave out --until and --reason/,
        ],
        [
          () => rollback(`apps/web:v1@${NEW.index.digest}`, { until: '7d' }),
          /moves, and is not held: leave out --until and --reason/,
        ],
        [() => unhold('apps/web:v1'), /is hosted here: it follows no upstream/],
      ];
      for (const [said, message] of refused) {
        const { code, err } = await said();
        assert.equal(code, 1);
        assert.match(err, message);
      }
    });

    test('purge refuses a hosted name, and says of a pattern what stays', async (t) => {
      const { purge, history } = await begin(t);
      for (const name of ['apps/web', 'apps/web:v1', `apps/web@${OLD.index.digest}`]) {
        const { code, err } = await purge(name);
        assert.equal(code, 1);
        assert.match(err, /is hosted here and has no other copy, so it is not purged.*crane delete/);
      }
      for (const pattern of ['apps', 'apps/w*', OLD.index.digest]) {
        const { code, out } = await purge(pattern);
        assert.equal(code, 1, pattern);
        assert.match(out, /^Hosted here, and kept: apps\/web\. .*crane delete/);
      }
      assert.equal((await history('apps/web:v1')).code, 0);
    });

    test('gc collects, within the grace, and says so', async (t) => {
      const { gc } = await begin(t);
      assert.match((await gc()).out, /Hosted repositories: nothing to remove\.\n$/);
      assert.doesNotMatch((await gc({ dryRun: true })).out, /Hosted/);
    });

    test('scrub finds a corrupt blob and names its repository, each time until it is pushed again', async (t) => {
      const { scrub, dir } = await begin(t);
      const all = await scrub();
      assert.equal(all.code, 0, all.out);
      const layer = platformOf(NEW, 'amd64').layers[0] as Content;
      await damage(dir, layer.digest);
      const found = await scrub();
      assert.equal(found.code, 1);
      assert.match(found.out, new RegExp(`${layer.digest.slice(0, 19)} +content +apps/web +`));
      assert.match(found.out, /1 hosted here and lost .*Push the images again, or restore a backup/);
      assert.doesNotMatch(found.out, /fetched again/);
      assert.equal((await readdir(join(dir, 'hosted', 'quarantine'))).length, 1);
      const again = await scrub();
      assert.equal(again.code, 1);
      assert.match(again.out, new RegExp(`${layer.digest.slice(0, 19)} +missing +apps/web +`));
    });
  });
}

async function damage(dir: string, digest: Digest): Promise<void> {
  const path = join(dir, 'hosted/blobs/sha256', digestHex(digest).slice(0, 2), digestHex(digest));
  await chmod(path, 0o600);
  await writeFile(path, Buffer.alloc(platformOf(NEW, 'amd64').layers[0]?.size ?? 0, 7));
}

describe('a rollback beside pushes', () => {
  test('is served at once, is an event, and is refused where the manifest is gone or the tag immutable', async (t) => {
    const { mirror, rollback, history } = await stage(t);
    assert.equal(await digestOfTag(mirror, 'v1'), NEW.index.digest);
    assert.equal((await rollback(`apps/web:v1@${OLD.index.digest}`)).code, 0);
    assert.equal(await digestOfTag(mirror, 'v1'), OLD.index.digest);
    const deleted = await send(mirror.host, 'DELETE', '/v2/apps/web/manifests/v1', { headers: alice });
    assert.equal(deleted.status, 202);
    const back = await rollback(`apps/web:v1@${NEW.index.digest}`);
    assert.match(back.out, /It was deleted\./);
    assert.equal(await digestOfTag(mirror, 'v1'), NEW.index.digest);
    assert.equal((await rollback(`apps/web:v1@${OLD.index.digest}`)).code, 0);
    await remove(mirror, NEW);
    const gone = await rollback(`apps/web:v1@${NEW.index.digest}`);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /whose manifest was deleted or lost; push it again, or restore a backup/);
    const { out } = await history('apps/web:v1');
    assert.match(out, new RegExp(`${NEW.index.digest} +no +`));
    assert.match(out, / deleted +alice/);
  });

  test('is refused for an immutable tag', async (t) => {
    const { mirror, rollback } = await stage(t);
    await pushImage(target(mirror, 'apps/other'), OLD, 'release-1');
    // It was moved before it was immutable.
    await mirror.reload({ registries: { apps: { hosted: true } }, access: access() });
    await pushImage(target(mirror, 'apps/other'), NEW, 'release-1');
    await mirror.reload({ registries: { apps: { hosted: true, immutable_tags: ['release-*'] } }, access: access() });
    const { code, err } = await rollback(`apps/other:release-1@${OLD.index.digest}`);
    assert.equal(code, 1);
    assert.match(err, /is immutable \(immutable_tags\)/);
  });
});

const access = () => ({
  htpasswd: join(scratch, 'htpasswd'),
  rules: [{ who: 'alice', may: ['pull', 'push', 'delete', 'catalog'], on: ['apps/**'] }],
});
