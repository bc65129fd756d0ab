import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Digest, digestOf, type Repository } from '../../src/oci/index.ts';
import {
  type BlobRecord,
  MAX_HOLDS,
  MAX_PINS,
  MAX_TAG_MOVES,
  MAX_URLS_PER_BLOB,
  type MemberRecord,
  type MetadataStore,
  type TagEntry,
  type TagHold,
  type TagMove,
  type TagRecord,
  type UrlEntry,
  type UrlName,
  type UrlRecord,
} from '../../src/store/index.ts';
import { repositorySearchSuite } from './repository-search.ts';

/** Makes an empty store, and cleans up after the test. */
export type MakeMetadataStore = (context: TestContext) => Promise<MetadataStore>;

const NGINX: Repository = { registry: 'docker.io', repository: 'library/nginx' };
const OTHERS: readonly Repository[] = [
  { registry: 'docker.io', repository: 'library/nginx2' },
  { registry: 'docker.io', repository: 'library' },
  { registry: 'ghcr.io', repository: 'library/nginx' },
  // The same text when the parts are simply joined.
  { registry: 'docker.io/library', repository: 'nginx' },
];

const FILE: UrlName = { route: 'github', url: 'https://github.com/o/r/releases/download/v1/f.tar.gz' };

/** What every {@link MetadataStore} must do. */
export function metadataStoreSuite(name: string, make: MakeMetadataStore): void {
  repositorySearchSuite(name, async (t) => {
    const store = await make(t);
    return {
      search: (search) => store.searchRepositories(search),
      add: (repository) => store.putMembers(repository, [memberRecord(1)]),
    };
  });
  describe(`${name} as a name store`, () => {
    test('knows nothing when it is new', async (t) => {
      const store = await make(t);
      assert.equal(await store.getTag(NGINX, 'latest'), undefined);
      assert.equal(await store.getMember(NGINX, numbered(1)), undefined);
      assert.equal(await store.deleteTag(NGINX, 'latest'), false);
      assert.equal(await store.deleteMember(NGINX, numbered(1)), false);
      assert.deepEqual(await store.leastRecentlyUsed(10), []);
      assert.deepEqual(await store.totals(), { blobs: 0, bytes: 0 });
      await store.deleteBlob(numbered(1));
      await store.touchBlobs([{ digest: numbered(1), at: 5 }]);
      await store.putMembers(NGINX, []);
      assert.equal(await store.getUrl(FILE), undefined);
      assert.equal(await store.deleteUrl(FILE), false);
      assert.deepEqual(await store.listUrls({ limit: 9 }), []);
      assert.deepEqual(await store.urlsOf(numbered(1), 9), []);
    });

    test('gives what was kept by URL back as it was put, and replaces it whole', async (t) => {
      const store = await make(t);
      const others: readonly UrlName[] = [
        { ...FILE, route: 'github2' },
        { ...FILE, url: `${FILE.url}?raw=1` },
        { route: `${FILE.route}https`, url: FILE.url.slice(5) },
      ];
      for (const [index, name] of [FILE, ...others].entries()) await store.putUrl(name, urlRecord(index));
      for (const [index, name] of [FILE, ...others].entries()) {
        assert.deepEqual(await store.getUrl(name), urlRecord(index));
      }
      const other: UrlRecord = {
        digest: numbered(8),
        size: 0,
        headers: { __proto__: null, 'content-disposition': `attachment; filename="it's"` } as never,
        checkedAt: 1,
        freshUntil: Number.MAX_SAFE_INTEGER,
      };
      await store.putUrl(FILE, other);
      assert.deepEqual({ ...(await store.getUrl(FILE)), headers: undefined }, { ...other, headers: undefined });
      assert.deepEqual({ ...(await store.getUrl(FILE))?.headers }, { ...other.headers });
      assert.equal(await store.deleteUrl(FILE), true);
      assert.equal(await store.getUrl(FILE), undefined);
      assert.deepEqual(await store.getUrl(others[0] as UrlName), urlRecord(1));
    });

    test('lists URLs once, page by page, of all routes or of one', async (t) => {
      const store = await make(t);
      const entries: UrlEntry[] = ['a', 'b', 'b2'].flatMap((route) =>
        [1, 2, 3].map((n) => ({ route, url: `https://site/${n}`, record: urlRecord(n) })),
      );
      for (const { route, url, record } of entries.toReversed()) await store.putUrl({ route, url }, record);
      const first = await store.listUrls({ limit: 4 });
      assert.deepEqual(first, entries.slice(0, 4));
      assert.deepEqual(await store.listUrls({ after: first.at(-1), limit: 100 }), entries.slice(4));
      assert.deepEqual(await store.listUrls({ route: 'b', limit: 2 }), entries.slice(3, 5));
      assert.deepEqual(await store.listUrls({ route: 'b', after: entries[4], limit: 100 }), entries.slice(5, 6));
      assert.equal((await store.urlsOf(numbered(1), 9)).length, 3);
      assert.equal((await store.urlsOf(numbered(1), 2)).length, 2);
    });

    test('forgets with a blob the URLs that lead to it, and no others', async (t) => {
      const store = await make(t);
      await store.putBlob(blobRecord(1));
      await store.putBlob(blobRecord(2));
      await store.putUrl(FILE, urlRecord(1));
      await store.putUrl({ ...FILE, route: 'other' }, urlRecord(1));
      await store.putUrl({ ...FILE, url: 'https://site/2' }, urlRecord(2));
      await store.deleteBlob(numbered(1));
      const left = { ...FILE, url: 'https://site/2' };
      assert.deepEqual(await store.listUrls({ limit: 9 }), [{ ...left, record: urlRecord(2) }]);
    });

    test('keeps so many URLs of one blob, and forgets those checked longest ago', async (t) => {
      const store = await make(t);
      await store.putUrl(FILE, urlRecord(2));
      for (let n = 0; n <= MAX_URLS_PER_BLOB; n += 1) {
        await store.putUrl({ route: 'many', url: String(n) }, { ...urlRecord(1), checkedAt: n === 0 ? 9e6 : n });
      }
      assert.equal((await store.urlsOf(numbered(1), 9999)).length, MAX_URLS_PER_BLOB);
      assert.equal(await store.getUrl({ route: 'many', url: '1' }), undefined);
      assert.notEqual(await store.getUrl({ route: 'many', url: '0' }), undefined);
      assert.notEqual(await store.getUrl(FILE), undefined);
    });

    test('gives a tag back as it was put', async (t) => {
      const store = await make(t);
      await store.putTag(NGINX, 'latest', tagRecord(1));
      assert.deepEqual(await store.getTag(NGINX, 'latest'), tagRecord(1));
    });

    test('replaces a tag whole', async (t) => {
      const store = await make(t);
      await store.putTag(NGINX, 'latest', tagRecord(1));
      const moved: TagRecord = {
        digest: digestOf(Buffer.from('moved'), 'sha512'),
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        size: 7,
        checkedAt: 1_900_000_000_000,
        upstream: 'cold',
        visibility: 'private',
      };
      await store.putTag(NGINX, 'latest', moved);
      assert.deepEqual(await store.getTag(NGINX, 'latest'), moved);
    });

    test('remembers where a tag pointed, newest first, and what has not moved once', async (t) => {
      const store = await make(t);
      assert.deepEqual(await store.listMoves(NGINX, 'latest'), []);
      await store.putTag(NGINX, 'latest', tagRecord(1));
      await store.putTag(NGINX, 'latest', { ...tagRecord(1), checkedAt: 9, upstream: 'another' });
      await store.putTag(NGINX, 'latest', { ...tagRecord(2), visibility: 'private' });
      await store.putTag(NGINX, 'latest', { ...tagRecord(1), checkedAt: 12 });
      const moves = [{ ...moveOf(1), seenAt: 12 }, { ...moveOf(2), visibility: 'private' }, moveOf(1)];
      assert.deepEqual(await store.listMoves(NGINX, 'latest'), moves);
      for (const other of OTHERS) {
        await store.putTag(other, 'latest', tagRecord(3));
        assert.deepEqual(await store.listMoves(other, 'latest'), [moveOf(3)]);
      }
      assert.deepEqual(await store.listMoves(NGINX, 'latest'), moves);
      assert.deepEqual(await store.listMoves(NGINX, 'Latest'), []);
    });

    test('keeps so many moves of a tag, and forgets the oldest', async (t) => {
      const store = await make(t);
      await store.putTag(NGINX, 'other', tagRecord(1));
      for (let n = 1; n <= MAX_TAG_MOVES + 3; n += 1) await store.putTag(NGINX, 'latest', tagRecord(n));
      const moves = await store.listMoves(NGINX, 'latest');
      assert.equal(moves.length, MAX_TAG_MOVES);
      assert.deepEqual(moves[0], moveOf(MAX_TAG_MOVES + 3));
      assert.deepEqual(moves.at(-1), moveOf(4));
      assert.deepEqual(await store.listMoves(NGINX, 'other'), [moveOf(1)]);
    });

    test('forgets the moves of a tag with the tag, and no others', async (t) => {
      const store = await make(t);
      for (const n of [1, 2]) for (const tag of ['a', 'b']) await store.putTag(NGINX, tag, tagRecord(n));
      for (const other of OTHERS) await store.putTag(other, 'a', tagRecord(1));
      await store.deleteTag(NGINX, 'a');
      assert.deepEqual(await store.listMoves(NGINX, 'a'), []);
      assert.equal((await store.listMoves(NGINX, 'b')).length, 2);
      for (const other of OTHERS) assert.equal((await store.listMoves(other, 'a')).length, 1);
      await store.putTag(NGINX, 'a', tagRecord(2));
      assert.deepEqual(await store.listMoves(NGINX, 'a'), [moveOf(2)]);
    });

    test('gives holds back as they were put, in one order, and replaces them whole', async (t) => {
      const store = await make(t);
      assert.deepEqual(await store.listHolds(), []);
      assert.equal(await store.deleteHold(NGINX, 'latest'), false);
      const entries = [...OTHERS, NGINX].map((repository, n) => ({ repository, tag: 'latest', hold: holdOf(n) }));
      for (const { repository, tag, hold } of entries) {
        assert.equal(await store.putHold(repository, tag, holdOf(9)), true);
        assert.equal(await store.putHold(repository, tag, hold), true);
      }
      const listed = await store.listHolds();
      const inOrder = (list: readonly unknown[]) => list.map((each) => JSON.stringify(each)).toSorted();
      assert.deepEqual(inOrder(listed), inOrder(entries));
      assert.deepEqual(await store.listHolds(), listed);
      // A hold outlives the record of its tag.
      await store.putTag(NGINX, 'latest', tagRecord(1));
      await store.deleteTag(NGINX, 'latest');
      assert.equal(await store.deleteHold(NGINX, 'latest'), true);
      assert.equal((await store.listHolds()).length, OTHERS.length);
    });

    test('holds so many tags at once', async (t) => {
      const store = await make(t);
      for (let n = 0; n < MAX_HOLDS; n += 1) assert.equal(await store.putHold(NGINX, `${n}`, holdOf(n)), true);
      assert.equal(await store.putHold(NGINX, 'one-more', holdOf(1)), false);
      assert.equal(await store.putHold(NGINX, '7', holdOf(2)), true);
      await store.deleteHold(NGINX, '7');
      assert.equal(await store.putHold(NGINX, 'one-more', holdOf(1)), true);
    });

    test('gives pins back in one order, replaces them, and keeps them without a record of their tag', async (t) => {
      const store = await make(t);
      assert.deepEqual(await store.listPins(), []);
      assert.equal(await store.deletePin(NGINX, 'latest'), false);
      const entries = [...OTHERS, NGINX].map((repository, n) => ({ repository, tag: 'latest', pin: { pinnedAt: n } }));
      for (const { repository, tag, pin } of entries) {
        assert.equal(await store.putPin(repository, tag, { pinnedAt: 99 }), true);
        assert.equal(await store.putPin(repository, tag, pin), true);
      }
      const listed = await store.listPins();
      const inOrder = (list: readonly unknown[]) => list.map((each) => JSON.stringify(each)).toSorted();
      assert.deepEqual(inOrder(listed), inOrder(entries));
      assert.deepEqual(await store.listPins(), listed);
      await store.putTag(NGINX, 'latest', tagRecord(1));
      await store.deleteTag(NGINX, 'latest');
      assert.equal((await store.listPins()).length, entries.length);
      assert.equal(await store.deletePin(NGINX, 'Latest'), false);
      assert.equal(await store.deletePin(NGINX, 'latest'), true);
      assert.equal((await store.listPins()).length, OTHERS.length);
    });

    test('pins so many tags at once', async (t) => {
      const store = await make(t);
      for (let n = 0; n < MAX_PINS; n += 1) assert.equal(await store.putPin(NGINX, `${n}`, { pinnedAt: n }), true);
      assert.equal(await store.putPin(NGINX, 'one-more', { pinnedAt: 1 }), false);
      assert.equal(await store.putPin(NGINX, '7', { pinnedAt: 2 }), true);
      await store.deletePin(NGINX, '7');
      assert.equal(await store.putPin(NGINX, 'one-more', { pinnedAt: 1 }), true);
    });

    test('counts the tags of each repository, up to a number', async (t) => {
      const store = await make(t);
      for (const tag of ['a', 'b', 'c']) await store.putTag(NGINX, tag, tagRecord(1));
      await store.putTag(OTHERS[0] as Repository, 'a', tagRecord(1));
      const of = [NGINX, ...OTHERS];
      assert.deepEqual(await store.countTags(of, 99), [3, 1, 0, 0, 0]);
      assert.deepEqual(await store.countTags(of, 2), [2, 1, 0, 0, 0]);
      assert.deepEqual(await store.countTags([], 2), []);
    });

    test('lists and finds a repository from its first member to its last', async (t) => {
      const store = await make(t);
      const found = async () => (await store.searchRepositories({ limit: 9 })).repositories;
      await store.putMembers(NGINX, [memberRecord(1), memberRecord(2)]);
      await store.putMembers(NGINX, [memberRecord(2)]);
      await store.deleteMember(NGINX, numbered(1));
      assert.deepEqual([await found(), await store.listRepositories({ limit: 9 })], [[NGINX], [NGINX]]);
      await store.deleteMembers(NGINX, [numbered(2)]);
      assert.deepEqual([await found(), await store.listRepositories({ limit: 9 })], [[], []]);
      await store.putMembers(NGINX, [memberRecord(1)]);
      assert.deepEqual(await found(), [NGINX]);
    });

    test('tells tags apart by registry, repository, name and case', async (t) => {
      const store = await make(t);
      await store.putTag(NGINX, 'latest', tagRecord(1));
      for (const other of OTHERS) assert.equal(await store.getTag(other, 'latest'), undefined);
      assert.equal(await store.getTag(NGINX, 'Latest'), undefined);
      for (const [index, other] of OTHERS.entries()) await store.putTag(other, 'latest', tagRecord(index + 2));
      assert.deepEqual(await store.getTag(NGINX, 'latest'), tagRecord(1));
      assert.equal(await store.deleteTag(NGINX, 'latest'), true);
      assert.equal(await store.deleteTag(NGINX, 'latest'), false);
      assert.equal(await store.getTag(NGINX, 'latest'), undefined);
      for (const [index, other] of OTHERS.entries()) {
        assert.deepEqual(await store.getTag(other, 'latest'), tagRecord(index + 2));
      }
    });

    test('knows a repository as public until that is deleted, and no other repository', async (t) => {
      const store = await make(t);
      const other = { ...NGINX, registry: 'ghcr.io' };
      assert.equal(await store.putPublic(NGINX, { checkedAt: 1000, upstreams: 'a' }), false);
      assert.equal(await store.getPublic(NGINX), undefined);
      await store.putMembers(NGINX, [memberRecord(1)]);
      assert.equal(await store.putPublic(NGINX, { checkedAt: 1000, upstreams: 'a' }), true);
      await store.putPublic(NGINX, { checkedAt: 2000, upstreams: 'b' });
      assert.deepEqual(await store.getPublic(NGINX), { checkedAt: 2000, upstreams: 'b' });
      assert.equal(await store.getPublic(other), undefined);
      assert.equal(await store.deletePublic(other), false);
      assert.equal(await store.deletePublic(NGINX), true);
      assert.equal(await store.getPublic(NGINX), undefined);
    });

    test('tells that a digest is private in another repository, until that one is public', async (t) => {
      const store = await make(t);
      const [closed] = OTHERS as readonly [Repository];
      await store.putMembers(NGINX, [memberRecord(1, { visibility: 'private' }), memberRecord(2), memberRecord(3)]);
      await store.putMembers(closed, [memberRecord(1), memberRecord(2, { visibility: 'private' }), memberRecord(3)]);
      const isPrivate = (of: Repository, at: number) => store.isPrivateElsewhere(of, numbered(at));
      assert.deepEqual(
        [await isPrivate(NGINX, 1), await isPrivate(NGINX, 2), await isPrivate(NGINX, 3)],
        [false, true, false],
      );
      assert.deepEqual([await isPrivate(closed, 1), await isPrivate(closed, 2)], [true, false]);
      assert.equal(await isPrivate({ registry: 'quay.io', repository: 'other' }, 2), true);
      await store.putPublic(closed, { checkedAt: 1, upstreams: 'a' });
      assert.equal(await isPrivate(NGINX, 2), false);
      await store.deletePublic(closed);
      assert.equal(await isPrivate(NGINX, 2), true);
    });

    test('no longer knows a repository as public once its last member is deleted', async (t) => {
      const store = await make(t);
      await store.putMembers(NGINX, [memberRecord(1)]);
      await store.putPublic(NGINX, { checkedAt: 1000, upstreams: 'a' });
      await store.deleteMembers(NGINX, [memberRecord(1).digest]);
      assert.equal(await store.getPublic(NGINX), undefined);
    });

    test('gives members back as they were put', async (t) => {
      const store = await make(t);
      const manifest = memberRecord(1, { kind: 'manifest', mediaType: 'application/vnd.oci.image.index.v1+json' });
      const unsized = memberRecord(2, { size: undefined, mediaType: '', visibility: 'private' });
      await store.putMembers(NGINX, [manifest, unsized, memberRecord(3, { size: 0 })]);
      assert.deepEqual(await store.getMember(NGINX, numbered(1)), manifest);
      assert.deepEqual(await store.getMember(NGINX, numbered(2)), unsized);
      assert.deepEqual(await store.getMember(NGINX, numbered(3)), memberRecord(3, { size: 0 }));
    });

    test('replaces a member whole', async (t) => {
      const store = await make(t);
      await store.putMembers(NGINX, [memberRecord(1)]);
      const replaced = memberRecord(1, { kind: 'manifest', size: undefined, mediaType: 'x/y', visibility: 'private' });
      await store.putMembers(NGINX, [memberRecord(1, { size: 3 }), replaced]);
      assert.deepEqual(await store.getMember(NGINX, numbered(1)), replaced);
    });

    test('lets no repository see the members of another', async (t) => {
      const store = await make(t);
      await store.putMembers(NGINX, [memberRecord(1)]);
      await store.putBlob(blobRecord(1));
      for (const other of OTHERS) assert.equal(await store.getMember(other, numbered(1)), undefined);
      for (const other of OTHERS) await store.putMembers(other, [memberRecord(1, { visibility: 'private' })]);
      assert.equal(await store.deleteMember(NGINX, numbered(1)), true);
      assert.equal(await store.deleteMember(NGINX, numbered(1)), false);
      assert.equal(await store.getMember(NGINX, numbered(1)), undefined);
      for (const other of OTHERS) assert.equal((await store.getMember(other, numbered(1)))?.visibility, 'private');
    });

    test('takes a manifest with thousands of members', async (t) => {
      const store = await make(t);
      const members = Array.from({ length: 3000 }, (_, index) => memberRecord(index));
      await store.putMembers(NGINX, members);
      assert.deepEqual(await store.getMember(NGINX, numbered(0)), members[0]);
      assert.deepEqual(await store.getMember(NGINX, numbered(2999)), members[2999]);
    });

    test('sums up what is stored, through every change', async (t) => {
      const store = await make(t);
      await store.putBlob(blobRecord(1, { size: 100 }));
      await store.putBlob(blobRecord(2, { size: 20, kind: 'hosted' }));
      assert.deepEqual(await store.totals(), { blobs: 2, bytes: 120 });
      await store.putBlob(blobRecord(1, { size: 100 }));
      assert.deepEqual(await store.totals(), { blobs: 2, bytes: 120 });
      await store.putBlob(blobRecord(1, { size: 3 }));
      assert.deepEqual(await store.totals(), { blobs: 2, bytes: 23 });
      await store.touchBlobs([{ digest: numbered(1), at: 9 }]);
      await store.deleteBlob(numbered(9));
      assert.deepEqual(await store.totals(), { blobs: 2, bytes: 23 });
      await store.deleteBlob(numbered(1));
      await store.deleteBlob(numbered(1));
      assert.deepEqual(await store.totals(), { blobs: 1, bytes: 20 });
    });

    test('sums up more bytes than fit into 32 bits', async (t) => {
      const store = await make(t);
      const size = 5 * 2 ** 40;
      await store.putBlob(blobRecord(1, { size }));
      await store.putBlob(blobRecord(2, { size }));
      assert.deepEqual(await store.totals(), { blobs: 2, bytes: 2 * size });
      assert.equal((await store.leastRecentlyUsed(1))[0]?.size, size);
    });

    test('names those first that were not read for the longest time', async (t) => {
      const store = await make(t);
      for (const [number, storedAt] of [
        [1, 100],
        [2, 300],
        [3, 200],
        [4, 400],
      ] as const) {
        await store.putBlob(blobRecord(number, { storedAt }));
      }
      assert.deepEqual(await order(store), [1, 3, 2, 4]);
      await store.touchBlobs([
        { digest: numbered(1), at: 1000 },
        { digest: numbered(3), at: 350 },
        { digest: numbered(77), at: 2000 },
      ]);
      assert.deepEqual(await order(store), [2, 3, 4, 1]);
      assert.deepEqual(await order(store, 2), [2, 3]);
      assert.deepEqual(await order(store, 0), []);
      // The last time noted for a digest counts, and storedAt stays.
      await store.touchBlobs([
        { digest: numbered(2), at: 1500 },
        { digest: numbered(2), at: 1600 },
      ]);
      assert.deepEqual(await order(store), [3, 4, 1, 2]);
      assert.deepEqual((await store.leastRecentlyUsed(4))[3], { ...blobRecord(2, { storedAt: 300 }), readAt: 1600 });
      // A blob stored again counts from then.
      await store.putBlob(blobRecord(3, { storedAt: 5000 }));
      assert.deepEqual(await order(store), [4, 1, 2, 3]);
      await store.deleteBlob(numbered(4));
      assert.deepEqual(await order(store), [1, 2, 3]);
    });

    test('never offers a hosted blob for eviction, not even where a mirrored copy of it arrives', async (t) => {
      const store = await make(t);
      await store.putBlob(blobRecord(1, { kind: 'hosted', storedAt: 1 }));
      await store.putBlob(blobRecord(2, { storedAt: 2 }));
      assert.deepEqual(await order(store), [2]);
      await store.putBlob(blobRecord(1, { kind: 'mirrored', storedAt: 3 }));
      assert.deepEqual(await order(store), [2]);
      await store.putBlob(blobRecord(2, { kind: 'hosted', storedAt: 4 }));
      assert.deepEqual(await order(store), []);
      await store.deleteBlob(numbered(1));
      await store.putBlob(blobRecord(1, { kind: 'mirrored', storedAt: 5 }));
      assert.deepEqual(await order(store), [1]);
    });

    test('goes on behind the blob it named last, also among those read at the same time', async (t) => {
      const store = await make(t);
      for (let number = 0; number < 6; number += 1) await store.putBlob(blobRecord(number, { storedAt: number % 2 }));
      const all = await store.leastRecentlyUsed(100);
      assert.deepEqual(
        all.map(({ readAt }) => readAt),
        [0, 0, 0, 1, 1, 1],
      );
      for (let count = 0; count < all.length; count += 1) {
        assert.deepEqual(await store.leastRecentlyUsed(100, all[count]), all.slice(count + 1));
      }
    });

    test('lists tags once, page by page, of all or of one repository', async (t) => {
      const store = await make(t);
      for (const repository of [NGINX, ...OTHERS]) {
        for (const tag of ['1', '2', 'latest']) await store.putTag(repository, tag, tagRecord(tag.length));
      }
      const seen: string[] = [];
      for (let after: TagEntry | undefined; ; ) {
        const page = await store.listTags({ after, limit: 4 });
        seen.push(...page.map(({ repository, tag }) => JSON.stringify([repository, tag])));
        after = page.at(-1);
        if (page.length < 4) break;
      }
      assert.equal(seen.length, 15);
      assert.equal(new Set(seen).size, 15);
      const first = await store.listTags({ repository: NGINX, limit: 2 });
      assert.deepEqual(first, [
        { repository: NGINX, tag: '1', record: tagRecord(1) },
        { repository: NGINX, tag: '2', record: tagRecord(1) },
      ]);
      const rest = await store.listTags({ repository: NGINX, after: first[1], limit: 2 });
      assert.deepEqual(
        rest.map(({ tag }) => tag),
        ['latest'],
      );
    });

    test('lists the members of a repository, and forgets those it is told to', async (t) => {
      const store = await make(t);
      const members = [1, 2, 3, 4, 5].map((number) => memberRecord(number));
      await store.putMembers(NGINX, members);
      for (const other of OTHERS) await store.putMembers(other, [memberRecord(9)]);
      const sorted = members.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
      const first = await store.listMembers(NGINX, { limit: 2 });
      assert.deepEqual(first, sorted.slice(0, 2));
      assert.deepEqual(await store.listMembers(NGINX, { after: first[1]?.digest, limit: 9 }), sorted.slice(2));
      await store.deleteMembers(NGINX, [...sorted.slice(1).map(({ digest }) => digest), numbered(9)]);
      assert.deepEqual(await store.listMembers(NGINX, { limit: 9 }), sorted.slice(0, 1));
      for (const other of OTHERS) assert.equal((await store.listMembers(other, { limit: 9 })).length, 1);
    });

    test('names the repositories there are, and those that a digest belongs to', async (t) => {
      const store = await make(t);
      const all = [NGINX, ...OTHERS];
      for (const repository of all) await store.putMembers(repository, [memberRecord(1), memberRecord(2)]);
      await store.putMembers(NGINX, [memberRecord(3)]);
      const seen: Repository[] = [];
      for (let after: Repository | undefined; ; ) {
        const page = await store.listRepositories({ after, limit: 2 });
        seen.push(...page);
        after = page.at(-1);
        if (page.length < 2) break;
      }
      const inOrder = (list: readonly Repository[]) => list.map((each) => JSON.stringify(each)).toSorted();
      assert.deepEqual(inOrder(seen), inOrder(all));
      assert.deepEqual(inOrder(await store.repositoriesOf(numbered(1), 9)), inOrder(all));
      assert.equal((await store.repositoriesOf(numbered(1), 2)).length, 2);
      assert.deepEqual(await store.repositoriesOf(numbered(3), 9), [NGINX]);
      assert.deepEqual(await store.repositoriesOf(numbered(4), 9), []);
    });

    test('keeps what one manifest asks to keep, though another does not', async (t) => {
      const store = await make(t);
      await store.putMembers(NGINX, [memberRecord(1, { transient: true }), memberRecord(2)]);
      assert.equal((await store.getMember(NGINX, numbered(1)))?.transient, true);
      await store.putMembers(NGINX, [memberRecord(1), memberRecord(2, { transient: true })]);
      for (const number of [1, 2])
        assert.deepEqual(await store.getMember(NGINX, numbered(number)), memberRecord(number));
    });

    test('gives a blob back as it was put, and says when it was found right', async (t) => {
      const store = await make(t);
      assert.equal(await store.getBlob(numbered(1)), undefined);
      await store.noteVerified(numbered(1), 7);
      assert.equal(await store.getBlob(numbered(1)), undefined);
      await store.putBlob(blobRecord(1));
      await store.putBlob(blobRecord(2, { kind: 'hosted', size: 0, verifiedAt: 1_800_000_000_001 }));
      assert.deepEqual(await store.getBlob(numbered(1)), blobRecord(1));
      const second = blobRecord(2, { kind: 'hosted', size: 0, verifiedAt: 1_800_000_000_001 });
      assert.deepEqual(await store.getBlob(numbered(2)), second);
      await store.noteVerified(numbered(1), 1_800_000_000_007);
      assert.deepEqual(await store.getBlob(numbered(1)), blobRecord(1, { verifiedAt: 1_800_000_000_007 }));
      assert.deepEqual(await store.getBlob(numbered(2)), second);
      // A verification is no read.
      await store.putBlob(blobRecord(3, { storedAt: 1_800_000_000_001 }));
      assert.deepEqual(await order(store), [1, 3]);
      // A blob stored again is unverified: the record was of the old bytes.
      await store.putBlob(blobRecord(1));
      assert.equal((await store.getBlob(numbered(1)))?.verifiedAt, undefined);
      await store.deleteBlob(numbered(1));
      assert.equal(await store.getBlob(numbered(1)), undefined);
    });

    test('lists every blob once, page by page', async (t) => {
      const store = await make(t);
      const records = Array.from({ length: 7 }, (_, number) =>
        blobRecord(number, { kind: number % 2 === 0 ? 'hosted' : 'mirrored', verifiedAt: number }),
      );
      for (const record of records) await store.putBlob(record);
      const sorted = records.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
      const first = await store.listBlobs({ limit: 4 });
      assert.deepEqual(first, sorted.slice(0, 4));
      const last = first.at(-1)?.digest;
      // A row added in between does not shift the next page.
      await store.deleteBlob(sorted[0]?.digest as Digest);
      assert.deepEqual(await store.listBlobs({ after: last, limit: 100 }), sorted.slice(4));
      assert.deepEqual(await store.listBlobs({ after: sorted[6]?.digest, limit: 100 }), []);
    });

    test('takes names that look like SQL for names', async (t) => {
      const store = await make(t);
      const odd: Repository = { registry: `a'b"c`, repository: `x'); DROP TABLE tags; --` };
      await store.putTag(odd, `'`, tagRecord(1));
      await store.putMembers(odd, [memberRecord(1)]);
      assert.deepEqual(await store.getTag(odd, `'`), tagRecord(1));
      assert.deepEqual(await store.getMember(odd, numbered(1)), memberRecord(1));
    });
  });
}

/** The digest of a number: distinct ones for distinct numbers. */
export function numbered(number: number): Digest {
  return digestOf(Buffer.from(String(number)));
}

export function tagRecord(number: number): TagRecord {
  return {
    digest: numbered(number),
    mediaType: 'application/vnd.oci.image.index.v1+json',
    size: 1000 + number,
    checkedAt: 1_800_000_000_000 + number,
    upstream: 'https://registry-1.docker.io',
    visibility: 'public',
  };
}

/** The move to {@link tagRecord}. */
function moveOf(number: number): TagMove {
  const { checkedAt: seenAt, ...pointed } = tagRecord(number);
  return { ...pointed, seenAt };
}

function holdOf(number: number): TagHold {
  const { checkedAt: heldAt, ...pointed } = tagRecord(number);
  return { ...pointed, heldAt, until: number % 2 === 0 ? undefined : heldAt + 1, reason: `it's "${number}"` };
}

export function urlRecord(number: number): UrlRecord {
  return {
    digest: numbered(number),
    size: 10,
    headers: { etag: `"${number}"`, 'content-type': 'application/gzip' },
    checkedAt: 1_800_000_000_000 + number,
    freshUntil: 0,
  };
}

export function memberRecord(number: number, changes: Partial<MemberRecord> = {}): MemberRecord {
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  return { digest: numbered(number), kind: 'blob', mediaType, size: 10 + number, visibility: 'public', ...changes };
}

export function blobRecord(number: number, changes: Partial<BlobRecord> = {}): BlobRecord {
  return {
    digest: numbered(number),
    size: 10,
    kind: 'mirrored',
    storedAt: 1_800_000_000_000,
    verifiedAt: undefined,
    ...changes,
  };
}

/** The numbers of the blobs, those to be evicted first in front. */
async function order(store: MetadataStore, limit = 100): Promise<number[]> {
  const records = await store.leastRecentlyUsed(limit);
  const numbers = new Map(Array.from({ length: 10 }, (_, number) => [numbered(number), number]));
  return records.map((record) => numbers.get(record.digest) ?? -1);
}
