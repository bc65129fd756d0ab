import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { loadHostedStore } from '../../src/store/index.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { buildImage, type Content, content, noise, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { Workspace } from '../support/processes.ts';
import { pushBlob, pushImage, pushManifest, refusalOf, send } from '../support/push.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type SmallImage, smallImage, smallLayer } from '../support/small-image.ts';

// Many clients that push at the same time, to the whole server as a process.

const MiB = 1024 * 1024;
const CLIENTS = 20;
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const alice = basic('alice');

let workspace: Workspace;
let server: RunningEntrepot;
before(async () => {
  workspace = await Workspace.open();
  const htpasswd = await workspace.file('htpasswd', htpasswdOf('alice'));
  const rules = [{ who: 'alice', may: ['pull', 'push', 'delete'], on: ['apps/**'] }];
  server = await startEntrepot(workspace, {
    log: { level: 'info', format: 'json', access: false },
    registries: { apps: { hosted: true } },
    access: { htpasswd, rules },
  });
});
after(() => workspace.close());

const to = (repository: string) => ({ host: server.host, repository, headers: alice });
const each = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));

async function assertPulled(repository: string, { digest, bytes }: Content): Promise<void> {
  const { status, body } = await rawRequest(server.host, { path: `/v2/${repository}/blobs/${digest}`, headers: alice });
  assert.equal(status, 200, digest);
  assert.ok(body.equals(bytes), `${digest} is wrong`);
}

async function tagOf(repository: string, tag: string): Promise<string | undefined> {
  const path = `/v2/${repository}/manifests/${tag}`;
  return (await rawRequest(server.host, { method: 'HEAD', path, headers: alice })).headers['docker-content-digest'];
}

/** Images of one layer, all with the same, that is pushed already. */
async function imagesIn(repository: string, count: number, seed: string): Promise<readonly SmallImage[]> {
  const layer = smallLayer(seed);
  const images = each(count, (at) => smallImage(`${seed} ${at}`, [layer]));
  for (const blob of [layer, ...images.map(({ config }) => config)]) {
    assert.equal((await pushBlob(to(repository), blob)).status, 201);
  }
  return images;
}

test('200 pushes of 1 MiB at once: no error, and every byte is there', { timeout: 120_000 }, async () => {
  const base = noise('parallel', MiB);
  const blobs = each(200, (at) => {
    const bytes = Buffer.from(base);
    bytes.writeUInt32BE(at);
    return content(LAYER, bytes);
  });
  const repositoryOf = (at: number): string => `apps/parallel/r${at % 10}`;
  const answers = await Promise.all(blobs.map((blob, at) => pushBlob(to(repositoryOf(at)), blob)));
  const refused = answers.filter(({ status }) => status !== 201);
  assert.deepEqual(
    refused.map(({ status, body }) => `${status} ${body.toString()}`),
    [],
  );
  for (const [at, blob] of blobs.entries()) await assertPulled(repositoryOf(at), blob);
});

test(`one image, pushed by ${CLIENTS} clients at once`, async () => {
  const image = buildImage({ seed: 'same', layers: [300_000, 20_000] });
  await Promise.all(each(CLIENTS, () => pushImage(to('apps/same'), image, 'v1')));
  assert.equal(await tagOf('apps/same', 'v1'), image.index.digest);
  for (const blob of platformOf(image, 'amd64').layers) await assertPulled('apps/same', blob);
});

describe(`a tag that ${CLIENTS} clients move at once`, () => {
  test('points to what one of them pushed, and its history has all of them', async () => {
    const images = await imagesIn('apps/moved', CLIENTS, 'moved');
    const answers = await Promise.all(images.map(({ manifest }) => pushManifest(to('apps/moved'), manifest, 'latest')));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
    const digests: string[] = images.map(({ manifest }) => manifest.digest);
    const winner = await tagOf('apps/moved', 'latest');
    assert.ok(winner !== undefined && digests.includes(winner));
    for (const digest of digests) assert.equal(await tagOf('apps/moved', digest), digest, 'all are there');
    const { openHostedStore } = await loadHostedStore();
    // A second reader does no harm: the records are a database.
    const records = await openHostedStore(`${server.dir}/hosted/hosted.db`);
    try {
      const moves = await records.listTagMoves({ registry: 'apps', repository: 'moved' }, 'latest');
      assert.deepEqual(new Set(moves.map(({ digest }) => digest)), new Set(digests));
      assert.equal(moves.length, CLIENTS);
      assert.ok([moves[0]?.digest, moves.at(-1)?.digest].includes(winner as Content['digest']));
    } finally {
      await records.close();
    }
  });

  test('with If-Match is moved by exactly one, round after round', async () => {
    const rounds = 5;
    const [first, ...images] = await imagesIn('apps/swapped', 1 + rounds * CLIENTS, 'swapped');
    assert.equal((await pushManifest(to('apps/swapped'), (first as SmallImage).manifest, 'latest')).status, 201);
    for (let round = 0; round < rounds; round += 1) {
      const current = await tagOf('apps/swapped', 'latest');
      const mine = images.slice(round * CLIENTS, (round + 1) * CLIENTS).map(({ manifest }) => manifest);
      const headers = { ...alice, 'if-match': `"${current}"` };
      const answers = await Promise.all(
        mine.map((manifest) => pushManifest({ ...to('apps/swapped'), headers }, manifest, 'latest')),
      );
      const won = answers.flatMap(({ status }, at) => (status === 201 ? [at] : []));
      assert.equal(won.length, 1, `${won.length} of ${CLIENTS} moved it in round ${round}`);
      for (const answer of answers.filter(({ status }) => status !== 201)) {
        assert.deepEqual([answer.status, refusalOf(answer).code], [412, 'DENIED']);
      }
      assert.equal(await tagOf('apps/swapped', 'latest'), mine[won[0] as number]?.digest);
    }
  });

  test('with If-None-Match: * is made by exactly one', async () => {
    const images = await imagesIn('apps/made', CLIENTS, 'made');
    const headers = { ...alice, 'if-none-match': '*' };
    const answers = await Promise.all(
      images.map(({ manifest }) => pushManifest({ ...to('apps/made'), headers }, manifest, 'latest')),
    );
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    assert.equal(answers.filter(({ status }) => status === 412).length, CLIENTS - 1);
  });
});

test(`${CLIENTS} clients that push and delete one blob end with all of it or none`, async () => {
  const blob = smallLayer('contested', 50_000);
  const path = `/v2/apps/contested/blobs/${blob.digest}`;
  const answers = await Promise.all(
    each(CLIENTS, (at) =>
      at % 2 === 0 ? pushBlob(to('apps/contested'), blob) : send(server.host, 'DELETE', path, { headers: alice }),
    ),
  );
  for (const [at, { status }] of answers.entries()) {
    assert.ok(at % 2 === 0 ? status === 201 : status === 202 || status === 404, `${at}: ${status}`);
  }
  const head = await rawRequest(server.host, { method: 'HEAD', path, headers: alice });
  if (head.status === 200) await assertPulled('apps/contested', blob);
  else assert.equal((await rawRequest(server.host, { path, headers: alice })).status, 404);
  assert.equal((await pushBlob(to('apps/contested'), blob)).status, 201);
  await assertPulled('apps/contested', blob);
});
