import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hostingStage } from '../../test/support/hosting-stage.ts';
import { content } from '../../test/support/image.ts';
import { ALL, inventoryWorld, onlyFor } from '../../test/support/inventory-world.ts';
import { smallImage, smallIndex, smallLayer } from '../../test/support/small-image.ts';
import { MEDIA_TYPES, type Repository } from '../oci/index.ts';

const named = (text: string): Repository => {
  const slash = text.indexOf('/');
  return { registry: text.slice(0, slash), repository: text.slice(slash + 1) };
};
const APP = named('docker.io/team/app');
const NAME = 'docker.io/team/app';
const amd = smallImage('amd64', [smallLayer('1', 1000), smallLayer('2', 500)]);
const arm = smallImage('arm64', [smallLayer('3', 700)]);
const index = smallIndex({ 'linux/amd64': amd, 'linux/arm64': arm });
const sum = (...of: readonly { readonly size: number }[]) => of.reduce((bytes, { size }) => bytes + size, 0);
const page = (more: object = {}) => ({ limit: 100, ...more });

describe('the repositories of an inventory', () => {
  const fill = async (world: ReturnType<typeof inventoryWorld>, ...names: readonly string[]) => {
    for (const name of names) await world.add(named(name), smallLayer(name, 10));
  };

  test('are those that are cached and hosted, in one order, each once, and none that its home hides', async (t) => {
    const stage = await hostingStage(t);
    const world = inventoryWorld({ hosting: ['own/**'], hosted: () => stage.hosting });
    await fill(world, 'docker.io/a', 'apps/own/x', 'apps/passed', 'quay.io/b');
    for (const name of ['apps/own/x', 'apps/own/y', 'apps/not-any-more']) {
      await stage.addBlob(smallLayer(name, 10), named(name));
    }
    const { repositories, next } = await world.inventory.repositories(page(), ALL);
    assert.deepEqual(
      repositories.map(({ registry, repository, home }) => [`${registry}/${repository}`, home]),
      [
        ['apps/own/x', 'hosted'],
        ['apps/own/y', 'hosted'],
        ['apps/passed', 'mirrored'],
        ['docker.io/a', 'mirrored'],
        ['quay.io/b', 'mirrored'],
      ],
    );
    assert.equal(next, undefined);
    const of = async (more: object) =>
      (await world.inventory.repositories(page(more), ALL)).repositories.map((each) => each.repository);
    assert.deepEqual(await of({ home: 'mirrored' }), ['passed', 'a', 'b']);
    assert.deepEqual(await of({ home: 'hosted', search: 'Y' }), ['own/y']);
    assert.deepEqual(await of({ registry: 'apps', search: ' pass ' }), ['passed']);
  });

  test('have the number of their tags and their last pull', async () => {
    const pull = { at: 77, by: 'alice' };
    const lastPulls = {
      ofEach: async (all: readonly Repository[]) => all.map((each) => (each.repository === 'a' ? pull : undefined)),
      ofTags: async () => new Map([['1', pull]]),
    };
    const world = inventoryWorld({ lastPulls });
    await fill(world, 'docker.io/a', 'docker.io/b');
    for (const tag of ['1', '2']) await world.tag(named('docker.io/a'), tag, index);
    const { repositories } = await world.inventory.repositories(page(), ALL);
    assert.deepEqual(repositories, [
      { registry: 'docker.io', repository: 'a', home: 'mirrored', tags: 2, pulledAt: 77, pulledBy: 'alice' },
      { registry: 'docker.io', repository: 'b', home: 'mirrored', tags: 0 },
    ]);
    const { tags } = await world.inventory.tags({ image: 'docker.io/a', ...page() }, ALL);
    assert.deepEqual(
      tags.map(({ tag, pulledBy }) => [tag, pulledBy]),
      [
        ['1', 'alice'],
        ['2', undefined],
      ],
    );
  });

  test('fill a page up from what the caller sees, and no cursor names what it does not see', async () => {
    const world = inventoryWorld();
    const names = Array.from({ length: 300 }, (_, n) => `docker.io/team/${n % 100 === 99 ? 'open' : 'hidden'}-${n}`);
    await fill(world, ...names);
    const caller = onlyFor((name) => name.includes('open'));
    const seen: string[] = [];
    let [after, pages]: [string | undefined, number] = [undefined, 0];
    do {
      const answer: Awaited<ReturnType<typeof world.inventory.repositories>> = await world.inventory.repositories(
        { limit: 2, after },
        caller,
      );
      seen.push(...answer.repositories.map(({ repository }) => repository));
      after = answer.next;
      pages += 1;
      if (after !== undefined) assert.ok(!Buffer.from(after, 'base64url').toString('latin1').includes('hidden'));
    } while (after !== undefined);
    assert.deepEqual(seen, ['team/open-199', 'team/open-299', 'team/open-99']);
    assert.equal(pages, 2);
    const none = await world.inventory.repositories(
      page(),
      onlyFor(() => false),
    );
    assert.deepEqual(none, { repositories: [] });
  });

  test('refuse the cursor of another list', async () => {
    const world = inventoryWorld();
    await fill(world, 'docker.io/a', 'docker.io/b');
    const { next = '' } = await world.inventory.repositories({ limit: 1 }, ALL);
    await assert.rejects(world.inventory.tags({ image: 'docker.io/a', limit: 1, after: next }, ALL), {
      code: 'PAGINATION_NUMBER_INVALID',
    });
  });
});

describe('the tags of an inventory', () => {
  test('come in version order, then manifests that no tag leads to', async () => {
    const world = inventoryWorld();
    const loose = smallImage('loose', [smallLayer('9', 100)]);
    await world.add(APP, index, ...amd.parts, arm.manifest, ...loose.parts);
    for (const tag of ['1.10', 'latest', '1.9']) await world.tag(APP, tag, index);
    const answer = await world.inventory.tags({ image: NAME, ...page() }, ALL);
    assert.deepEqual(
      answer.tags.map(({ tag, digest }) => [tag, digest]),
      [
        ['1.9', index.digest],
        ['1.10', index.digest],
        ['latest', index.digest],
        ['', loose.manifest.digest],
      ],
    );
    assert.deepEqual([answer.image, answer.home, answer.next], [NAME, 'mirrored', undefined]);
    // Every page size gives the same list.
    for (const limit of [1, 2, 3, 4]) {
      const all: string[] = [];
      let after: string | undefined;
      do {
        const part: Awaited<ReturnType<typeof world.inventory.tags>> = await world.inventory.tags(
          { image: NAME, limit, after },
          ALL,
        );
        assert.ok(part.tags.length <= limit && part.tags.length > 0);
        all.push(...part.tags.map(({ tag, digest }) => tag || digest));
        after = part.next;
      } while (after !== undefined);
      assert.deepEqual(all, ['1.9', '1.10', 'latest', loose.manifest.digest]);
    }
    const searched = await world.inventory.tags({ image: NAME, ...page({ search: '1.' }) }, ALL);
    assert.deepEqual(
      searched.tags.map(({ tag }) => tag),
      ['1.9', '1.10'],
    );
  });

  test('say what of an image is stored, and what of it is known', async () => {
    const world = inventoryWorld();
    await world.add(APP, index, ...amd.parts);
    await world.tag(APP, 'part', index);
    await world.tag(APP, 'whole', amd.manifest);
    await world.tag(APP, 'gone', arm.manifest);
    const { tags } = await world.inventory.tags({ image: NAME, ...page() }, ALL);
    const [gone, part, whole] = tags;
    assert.deepEqual(
      [gone?.complete, gone?.storedBytes, gone?.bytes, gone?.freshUntil, gone?.checkedAt],
      [false, 0, undefined, 5500, 4500],
    );
    assert.deepEqual([part?.complete, part?.storedBytes, part?.bytes], [false, sum(index, ...amd.parts), undefined]);
    assert.deepEqual([part?.platforms, part?.storedPlatforms], [['linux/amd64', 'linux/arm64'], ['linux/amd64']]);
    assert.deepEqual([whole?.complete, whole?.storedBytes, whole?.bytes], [true, sum(...amd.parts), sum(...amd.parts)]);
    await world.add(APP, ...arm.parts);
    await world.metadata.deleteBlob(arm.layers[0]?.digest as never);
    const [, later] = (await world.inventory.tags({ image: NAME, ...page() }, ALL)).tags;
    assert.deepEqual([later?.complete, later?.bytes], [false, sum(index, ...amd.parts, ...arm.parts)]);
  });

  test('do not miss the platforms that are not kept', async () => {
    const world = inventoryWorld({ platforms: ['linux/amd64'] });
    await world.add(APP, index, ...amd.parts);
    await world.tag(APP, 'latest', index);
    const [entry] = (await world.inventory.tags({ image: NAME, ...page() }, ALL)).tags;
    const all = sum(index, ...amd.parts);
    assert.deepEqual([entry?.complete, entry?.bytes, entry?.storedBytes], [true, all, all]);
  });

  test('show what clients get of a held tag, with and without a record of it', async () => {
    const world = inventoryWorld();
    await world.add(APP, ...amd.parts);
    await world.tag(APP, 'moved', arm.manifest);
    const { mediaType, size, digest } = amd.manifest;
    const hold = { digest, mediaType, size, upstream: 'hub', visibility: 'public' as const, heldAt: 1, reason: 'why' };
    await world.metadata.putHold(APP, 'moved', { ...hold, until: undefined });
    await world.metadata.putHold(APP, 'without', { ...hold, until: 9000 });
    await world.metadata.putHold(APP, 'ended', { ...hold, until: 4000 });
    const { tags } = await world.inventory.tags({ image: NAME, ...page() }, ALL);
    assert.deepEqual(
      tags.map((each) => [each.tag, each.digest, each.held, each.complete]),
      [
        ['moved', digest, true, true],
        ['without', digest, true, true],
      ],
    );
    const image = await world.inventory.image(`${NAME}:without`, ALL);
    assert.deepEqual(image.hold, { digest, since: 1, until: 9000, reason: 'why' });
  });

  test('read a bounded number of manifests for one answer, and the rest for the next', async () => {
    const world = inventoryWorld();
    const count = 1200;
    for (let n = 0; n < count; n += 1) {
      const image = smallImage(`many ${n}`, []);
      await world.add(APP, image.manifest);
      await world.tag(APP, `1.${n}`, image.manifest);
    }
    let reads = 0;
    const open = world.store.open.bind(world.store);
    world.store.open = (digest) => {
      reads += 1;
      return open(digest);
    };
    const seen: string[] = [];
    let after: string | undefined;
    do {
      reads = 0;
      const part: Awaited<ReturnType<typeof world.inventory.tags>> = await world.inventory.tags(
        { image: NAME, limit: 5000, after },
        ALL,
      );
      assert.ok(reads <= 1000, `${reads} reads`);
      assert.ok(part.tags.every(({ bytes }) => bytes !== undefined));
      seen.push(...part.tags.map(({ tag }) => tag));
      after = part.next;
    } while (after !== undefined);
    assert.deepEqual(
      seen,
      Array.from({ length: count }, (_, n) => `1.${n}`),
    );
  });
});

describe('one image of an inventory', () => {
  test('has its children, or its layers, and what refers to it', async () => {
    const world = inventoryWorld();
    const descriptor = ({ mediaType, digest, size }: typeof index) => ({ mediaType, digest, size });
    const refer = (of: typeof index, artifactType: string) => {
      const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: amd.config.digest, size: 2 };
      const json = { schemaVersion: 2, artifactType, config: empty, layers: [], subject: descriptor(of) };
      return content(MEDIA_TYPES.ociManifest, Buffer.from(JSON.stringify(json)));
    };
    const signature = refer(index, 'application/vnd.dev.sigstore.bundle.v0.3+json');
    const listed = refer(index, 'text/spdx');
    const list = content(
      MEDIA_TYPES.ociIndex,
      Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [descriptor(listed)] })),
    );
    const other = refer(amd.manifest, 'text/of-another');
    await world.add(APP, index, ...amd.parts, signature, listed, list, other);
    await world.tag(APP, 'latest', index);
    await world.tag(APP, index.digest.replace(':', '-'), list);
    const image = await world.inventory.image(NAME, ALL);
    assert.equal(image.image, `${NAME}:latest`);
    assert.deepEqual(
      image.children.map(({ digest, platform, stored, complete }) => [digest, platform, stored, complete]),
      [
        [amd.manifest.digest, 'linux/amd64', true, true],
        [arm.manifest.digest, 'linux/arm64', false, false],
      ],
    );
    assert.deepEqual(image.layers, []);
    assert.deepEqual(
      new Map(image.referrers.map(({ digest, artifactType }) => [digest, artifactType])),
      new Map([
        [signature.digest as string, 'application/vnd.dev.sigstore.bundle.v0.3+json'],
        [listed.digest as string, 'text/spdx'],
      ]),
    );
    const child = await world.inventory.image(`${NAME}@${amd.manifest.digest}`, ALL);
    assert.deepEqual(
      child.layers.map(({ digest, stored, bytes }) => [digest, stored, bytes]),
      [amd.config, ...amd.layers].map(({ digest, size }) => [digest, true, size]),
    );
    assert.equal(child.entry.tag, '');
  });

  test('of a rotten manifest has no parts, and nothing of it is known', async () => {
    const world = inventoryWorld();
    await world.add(APP, index);
    world.store.plant(index.digest, Buffer.from('{'));
    await world.tag(APP, 'latest', index);
    const { entry, children } = await world.inventory.image(NAME, ALL);
    assert.deepEqual([entry.complete, entry.bytes, children], [false, undefined, []]);
  });

  test('that the caller may not see is as one that is not there', async () => {
    const world = inventoryWorld();
    await world.add(APP, ...amd.parts);
    await world.tag(APP, 'latest', amd.manifest);
    const blind = onlyFor(() => false);
    const errorOf = async (work: Promise<unknown>) => {
      const error = await work.then(
        () => assert.fail('it was answered'),
        (reason: unknown) => reason,
      );
      const { code, message } = error as { code: string; message: string };
      return { code, message: message.replaceAll('docker.io/team/none', NAME) };
    };
    assert.deepEqual(
      await errorOf(world.inventory.image(NAME, blind)),
      await errorOf(world.inventory.image('docker.io/team/none', ALL)),
    );
    assert.deepEqual(
      await errorOf(world.inventory.tags({ image: NAME, ...page() }, blind)),
      await errorOf(world.inventory.tags({ image: 'docker.io/team/none', ...page() }, ALL)),
    );
    assert.equal((await errorOf(world.inventory.image(`${NAME}:none`, ALL))).code, 'MANIFEST_UNKNOWN');
    // A digest of another repository is none of this one.
    await world.add(named('docker.io/team/other'), ...arm.parts);
    const foreign = world.inventory.image(`${NAME}@${arm.manifest.digest}`, ALL);
    assert.equal((await errorOf(foreign)).code, 'MANIFEST_UNKNOWN');
  });
});

describe('a pin', () => {
  test('is told apart from a pattern of the configuration, and needs a tag that is known', async () => {
    const world = inventoryWorld({ pin: ['docker.io/team/*:stable'], hosting: ['own/**'] });
    await world.add(APP, ...amd.parts);
    for (const tag of ['latest', 'stable', 'other']) await world.tag(APP, tag, amd.manifest);
    assert.deepEqual(await world.inventory.pin(NAME, true), { image: `${NAME}:latest`, changed: true });
    assert.deepEqual(await world.inventory.pin(`${NAME}:latest`, true), { image: `${NAME}:latest`, changed: false });
    const pinned = async () =>
      (await world.inventory.tags({ image: NAME, ...page() }, ALL)).tags.map(({ tag, pinned: by }) => [tag, by]);
    assert.deepEqual(await pinned(), [
      ['latest', 'operator'],
      ['other', undefined],
      ['stable', 'configuration'],
    ]);
    assert.deepEqual(await world.inventory.pin(NAME, false), { image: `${NAME}:latest`, changed: true });
    assert.deepEqual(await world.inventory.pin(NAME, false), { image: `${NAME}:latest`, changed: false });
    for (const [text, code] of [
      [`${NAME}:none`, 'MANIFEST_UNKNOWN'],
      ['apps/own/x:1', 'UNSUPPORTED'],
      [`${NAME}@${amd.manifest.digest}`, 'NAME_INVALID'],
      [`${NAME}:1*`, 'NAME_INVALID'],
      ['docker.io/*/app:1', 'NAME_INVALID'],
      [`@${amd.manifest.digest}`, 'NAME_INVALID'],
    ] as const) {
      await assert.rejects(world.inventory.pin(text, true), { code }, text);
    }
  });
});
