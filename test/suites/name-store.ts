import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Digest, digestOf, type Repository } from '../../src/oci/index.ts';
import {
  type BlobRecord,
  MAX_URLS_PER_BLOB,
  type MemberRecord,
  type MetadataStore,
  type TagEntry,
  type TagRecord,
  type UrlEntry,
  type UrlName,
  type UrlRecord,
} from '../../src/store/index.ts';

/** Makes an empty store, and cleans up after the test. */
export type MakeNameStore = (context: TestContext) => Promise<MetadataStore>;

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
export function nameStoreSuite(name: string, make: MakeNameStore): void {
  describe(`${name} as a name store`, () => {
    test('knows nothing when it is new', async (t) => {
      const names = await make(t);
      assert.equal(await names.getTag(NGINX, 'latest'), undefined);
      assert.equal(await names.getMember(NGINX, numbered(1)), undefined);
      assert.equal(await names.deleteTag(NGINX, 'latest'), false);
      assert.equal(await names.deleteMember(NGINX, numbered(1)), false);
      assert.deepEqual(await names.leastRecentlyUsed(10), []);
      assert.deepEqual(await names.totals(), { blobs: 0, bytes: 0 });
      await names.deleteBlob(numbered(1));
      await names.touchBlobs([{ digest: numbered(1), at: 5 }]);
      await names.putMembers(NGINX, []);
      assert.equal(await names.getUrl(FILE), undefined);
      assert.equal(await names.deleteUrl(FILE), false);
      assert.deepEqual(await names.listUrls({ limit: 9 }), []);
      assert.deepEqual(await names.urlsOf(numbered(1), 9), []);
    });

    test('gives what was kept by URL back as it was put, and replaces it whole', async (t) => {
      const names = await make(t);
      const others: readonly UrlName[] = [
        { ...FILE, route: 'github2' },
        { ...FILE, url: `${FILE.url}?raw=1` },
        { route: `${FILE.route}https`, url: FILE.url.slice(5) },
      ];
      for (const [index, name] of [FILE, ...others].entries()) await names.putUrl(name, urlRecord(index));
      for (const [index, name] of [FILE, ...others].entries()) {
        assert.deepEqual(await names.getUrl(name), urlRecord(index));
      }
      const other: UrlRecord = {
        digest: numbered(8),
        size: 0,
        headers: { __proto__: null, 'content-disposition': `attachment; filename="it's"` } as never,
        checkedAt: 1,
        freshUntil: Number.MAX_SAFE_INTEGER,
      };
      await names.putUrl(FILE, other);
      assert.deepEqual({ ...(await names.getUrl(FILE)), headers: undefined }, { ...other, headers: undefined });
      assert.deepEqual({ ...(await names.getUrl(FILE))?.headers }, { ...other.headers });
      assert.equal(await names.deleteUrl(FILE), true);
      assert.equal(await names.getUrl(FILE), undefined);
      assert.deepEqual(await names.getUrl(others[0] as UrlName), urlRecord(1));
    });

    test('lists URLs once, page by page, of all routes or of one', async (t) => {
      const names = await make(t);
      const entries: UrlEntry[] = ['a', 'b', 'b2'].flatMap((route) =>
        [1, 2, 3].map((n) => ({ route, url: `https://site/${n}`, record: urlRecord(n) })),
      );
      for (const { route, url, record } of entries.toReversed()) await names.putUrl({ route, url }, record);
      const first = await names.listUrls({ limit: 4 });
      assert.deepEqual(first, entries.slice(0, 4));
      assert.deepEqual(await names.listUrls({ after: first.at(-1), limit: 100 }), entries.slice(4));
      assert.deepEqual(await names.listUrls({ route: 'b', limit: 2 }), entries.slice(3, 5));
      assert.deepEqual(await names.listUrls({ route: 'b', after: entries[4], limit: 100 }), entries.slice(5, 6));
      assert.equal((await names.urlsOf(numbered(1), 9)).length, 3);
      assert.equal((await names.urlsOf(numbered(1), 2)).length, 2);
    });

    test('forgets with a blob the URLs that lead to it, and no others', async (t) => {
      const names = await make(t);
      await names.putBlob(blobRecord(1));
      await names.putBlob(blobRecord(2));
      await names.putUrl(FILE, urlRecord(1));
      await names.putUrl({ ...FILE, route: 'other' }, urlRecord(1));
      await names.putUrl({ ...FILE, url: 'https://site/2' }, urlRecord(2));
      await names.deleteBlob(numbered(1));
      const left = { ...FILE, url: 'https://site/2' };
      assert.deepEqual(await names.listUrls({ limit: 9 }), [{ ...left, record: urlRecord(2) }]);
    });

    test('keeps so many URLs of one blob, and forgets those checked longest ago', async (t) => {
      const names = await make(t);
      await names.putUrl(FILE, urlRecord(2));
      for (let n = 0; n <= MAX_URLS_PER_BLOB; n += 1) {
        await names.putUrl({ route: 'many', url: String(n) }, { ...urlRecord(1), checkedAt: n === 0 ? 9e6 : n });
      }
      assert.equal((await names.urlsOf(numbered(1), 9999)).length, MAX_URLS_PER_BLOB);
      assert.equal(await names.getUrl({ route: 'many', url: '1' }), undefined);
      assert.notEqual(await names.getUrl({ route: 'many', url: '0' }), undefined);
      assert.notEqual(await names.getUrl(FILE), undefined);
    });

    test('gives a tag back as it was put', async (t) => {
      const names = await make(t);
      await names.putTag(NGINX, 'latest', tagRecord(1));
      assert.deepEqual(await names.getTag(NGINX, 'latest'), tagRecord(1));
    });

    test('replaces a tag whole', async (t) => {
      const names = await make(t);
      await names.putTag(NGINX, 'latest', tagRecord(1));
      const moved: TagRecord = {
        digest: digestOf(Buffer.from('moved'), 'sha512'),
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        size: 7,
        checkedAt: 1_900_000_000_000,
        upstream: 'cold',
        visibility: 'private',
      };
      await names.putTag(NGINX, 'latest', moved);
      assert.deepEqual(await names.getTag(NGINX, 'latest'), moved);
    });

    test('tells tags apart by registry, repository, name and case', async (t) => {
      const names = await make(t);
      await names.putTag(NGINX, 'latest', tagRecord(1));
      for (const other of OTHERS) assert.equal(await names.getTag(other, 'latest'), undefined);
      assert.equal(await names.getTag(NGINX, 'Latest'), undefined);
      for (const [index, other] of OTHERS.entries()) await names.putTag(other, 'latest', tagRecord(index + 2));
      assert.deepEqual(await names.getTag(NGINX, 'latest'), tagRecord(1));
      assert.equal(await names.deleteTag(NGINX, 'latest'), true);
      assert.equal(await names.deleteTag(NGINX, 'latest'), false);
      assert.equal(await names.getTag(NGINX, 'latest'), undefined);
      for (const [index, other] of OTHERS.entries()) {
        assert.deepEqual(await names.getTag(other, 'latest'), tagRecord(index + 2));
      }
    });

    test('gives members back as they were put', async (t) => {
      const names = await make(t);
      const manifest = memberRecord(1, { kind: 'manifest', mediaType: 'application/vnd.oci.image.index.v1+json' });
      const unsized = memberRecord(2, { size: undefined, mediaType: '', visibility: 'private' });
      await names.putMembers(NGINX, [manifest, unsized, memberRecord(3, { size: 0 })]);
      assert.deepEqual(await names.getMember(NGINX, numbered(1)), manifest);
      assert.deepEqual(await names.getMember(NGINX, numbered(2)), unsized);
      assert.deepEqual(await names.getMember(NGINX, numbered(3)), memberRecord(3, { size: 0 }));
    });

    test('replaces a member whole', async (t) => {
      const names = await make(t);
      await names.putMembers(NGINX, [memberRecord(1)]);
      const replaced = memberRecord(1, { kind: 'manifest', size: undefined, mediaType: 'x/y', visibility: 'private' });
      await names.putMembers(NGINX, [memberRecord(1, { size: 3 }), replaced]);
      assert.deepEqual(await names.getMember(NGINX, numbered(1)), replaced);
    });

    test('lets no repository see the members of another', async (t) => {
      const names = await make(t);
      await names.putMembers(NGINX, [memberRecord(1)]);
      await names.putBlob(blobRecord(1));
      for (const other of OTHERS) assert.equal(await names.getMember(other, numbered(1)), undefined);
      for (const other of OTHERS) await names.putMembers(other, [memberRecord(1, { visibility: 'private' })]);
      assert.equal(await names.deleteMember(NGINX, numbered(1)), true);
      assert.equal(await names.deleteMember(NGINX, numbered(1)), false);
      assert.equal(await names.getMember(NGINX, numbered(1)), undefined);
      for (const other of OTHERS) assert.equal((await names.getMember(other, numbered(1)))?.visibility, 'private');
    });

    test('takes a manifest with thousands of members', async (t) => {
      const names = await make(t);
      const members = Array.from({ length: 3000 }, (_, index) => memberRecord(index));
      await names.putMembers(NGINX, members);
      assert.deepEqual(await names.getMember(NGINX, numbered(0)), members[0]);
      assert.deepEqual(await names.getMember(NGINX, numbered(2999)), members[2999]);
    });

    test('sums up what is stored, through every change', async (t) => {
      const names = await make(t);
      await names.putBlob(blobRecord(1, { size: 100 }));
      await names.putBlob(blobRecord(2, { size: 20, kind: 'hosted' }));
      assert.deepEqual(await names.totals(), { blobs: 2, bytes: 120 });
      await names.putBlob(blobRecord(1, { size: 100 }));
      assert.deepEqual(await names.totals(), { blobs: 2, bytes: 120 });
      await names.putBlob(blobRecord(1, { size: 3 }));
      assert.deepEqual(await names.totals(), { blobs: 2, bytes: 23 });
      await names.touchBlobs([{ digest: numbered(1), at: 9 }]);
      await names.deleteBlob(numbered(9));
      assert.deepEqual(await names.totals(), { blobs: 2, bytes: 23 });
      await names.deleteBlob(numbered(1));
      await names.deleteBlob(numbered(1));
      assert.deepEqual(await names.totals(), { blobs: 1, bytes: 20 });
    });

    test('sums up more bytes than fit into 32 bits', async (t) => {
      const names = await make(t);
      const size = 5 * 2 ** 40;
      await names.putBlob(blobRecord(1, { size }));
      await names.putBlob(blobRecord(2, { size }));
      assert.deepEqual(await names.totals(), { blobs: 2, bytes: 2 * size });
      assert.equal((await names.leastRecentlyUsed(1))[0]?.size, size);
    });

    test('names those first that were not read for the longest time', async (t) => {
      const names = await make(t);
      for (const [number, storedAt] of [
        [1, 100],
        [2, 300],
        [3, 200],
        [4, 400],
      ] as const) {
        await names.putBlob(blobRecord(number, { storedAt }));
      }
      assert.deepEqual(await order(names), [1, 3, 2, 4]);
      await names.touchBlobs([
        { digest: numbered(1), at: 1000 },
        { digest: numbered(3), at: 350 },
        { digest: numbered(77), at: 2000 },
      ]);
      assert.deepEqual(await order(names), [2, 3, 4, 1]);
      assert.deepEqual(await order(names, 2), [2, 3]);
      assert.deepEqual(await order(names, 0), []);
      // The last word on one digest counts, and the record says still when it was stored.
      await names.touchBlobs([
        { digest: numbered(2), at: 1500 },
        { digest: numbered(2), at: 1600 },
      ]);
      assert.deepEqual(await order(names), [3, 4, 1, 2]);
      assert.deepEqual((await names.leastRecentlyUsed(4))[3], { ...blobRecord(2, { storedAt: 300 }), readAt: 1600 });
      // Stored anew, it counts from then.
      await names.putBlob(blobRecord(3, { storedAt: 5000 }));
      assert.deepEqual(await order(names), [4, 1, 2, 3]);
      await names.deleteBlob(numbered(4));
      assert.deepEqual(await order(names), [1, 2, 3]);
    });

    test('never offers a hosted blob for eviction, not even where a mirrored copy of it arrives', async (t) => {
      const names = await make(t);
      await names.putBlob(blobRecord(1, { kind: 'hosted', storedAt: 1 }));
      await names.putBlob(blobRecord(2, { storedAt: 2 }));
      assert.deepEqual(await order(names), [2]);
      await names.putBlob(blobRecord(1, { kind: 'mirrored', storedAt: 3 }));
      assert.deepEqual(await order(names), [2]);
      await names.putBlob(blobRecord(2, { kind: 'hosted', storedAt: 4 }));
      assert.deepEqual(await order(names), []);
      await names.deleteBlob(numbered(1));
      await names.putBlob(blobRecord(1, { kind: 'mirrored', storedAt: 5 }));
      assert.deepEqual(await order(names), [1]);
    });

    test('goes on behind the blob it named last, also among those read at the same time', async (t) => {
      const names = await make(t);
      for (let number = 0; number < 6; number += 1) await names.putBlob(blobRecord(number, { storedAt: number % 2 }));
      const all = await names.leastRecentlyUsed(100);
      assert.deepEqual(
        all.map(({ readAt }) => readAt),
        [0, 0, 0, 1, 1, 1],
      );
      for (let count = 0; count < all.length; count += 1) {
        assert.deepEqual(await names.leastRecentlyUsed(100, all[count]), all.slice(count + 1));
      }
    });

    test('lists tags once, page by page, of all or of one repository', async (t) => {
      const names = await make(t);
      for (const repository of [NGINX, ...OTHERS]) {
        for (const tag of ['1', '2', 'latest']) await names.putTag(repository, tag, tagRecord(tag.length));
      }
      const seen: string[] = [];
      for (let after: TagEntry | undefined; ; ) {
        const page = await names.listTags({ after, limit: 4 });
        seen.push(...page.map(({ repository, tag }) => JSON.stringify([repository, tag])));
        after = page.at(-1);
        if (page.length < 4) break;
      }
      assert.equal(seen.length, 15);
      assert.equal(new Set(seen).size, 15);
      const first = await names.listTags({ repository: NGINX, limit: 2 });
      assert.deepEqual(first, [
        { repository: NGINX, tag: '1', record: tagRecord(1) },
        { repository: NGINX, tag: '2', record: tagRecord(1) },
      ]);
      const rest = await names.listTags({ repository: NGINX, after: first[1], limit: 2 });
      assert.deepEqual(
        rest.map(({ tag }) => tag),
        ['latest'],
      );
    });

    test('lists the members of a repository, and forgets those it is told to', async (t) => {
      const names = await make(t);
      const members = [1, 2, 3, 4, 5].map((number) => memberRecord(number));
      await names.putMembers(NGINX, members);
      for (const other of OTHERS) await names.putMembers(other, [memberRecord(9)]);
      const sorted = members.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
      const first = await names.listMembers(NGINX, { limit: 2 });
      assert.deepEqual(first, sorted.slice(0, 2));
      assert.deepEqual(await names.listMembers(NGINX, { after: first[1]?.digest, limit: 9 }), sorted.slice(2));
      await names.deleteMembers(NGINX, [...sorted.slice(1).map(({ digest }) => digest), numbered(9)]);
      assert.deepEqual(await names.listMembers(NGINX, { limit: 9 }), sorted.slice(0, 1));
      for (const other of OTHERS) assert.equal((await names.listMembers(other, { limit: 9 })).length, 1);
    });

    test('names the repositories there are, and those that a digest belongs to', async (t) => {
      const names = await make(t);
      const all = [NGINX, ...OTHERS];
      for (const repository of all) await names.putMembers(repository, [memberRecord(1), memberRecord(2)]);
      await names.putMembers(NGINX, [memberRecord(3)]);
      const seen: Repository[] = [];
      for (let after: Repository | undefined; ; ) {
        const page = await names.listRepositories({ after, limit: 2 });
        seen.push(...page);
        after = page.at(-1);
        if (page.length < 2) break;
      }
      const inOrder = (list: readonly Repository[]) => list.map((each) => JSON.stringify(each)).toSorted();
      assert.deepEqual(inOrder(seen), inOrder(all));
      assert.deepEqual(inOrder(await names.repositoriesOf(numbered(1), 9)), inOrder(all));
      assert.equal((await names.repositoriesOf(numbered(1), 2)).length, 2);
      assert.deepEqual(await names.repositoriesOf(numbered(3), 9), [NGINX]);
      assert.deepEqual(await names.repositoriesOf(numbered(4), 9), []);
    });

    test('keeps what one manifest asks to keep, though another does not', async (t) => {
      const names = await make(t);
      await names.putMembers(NGINX, [memberRecord(1, { transient: true }), memberRecord(2)]);
      assert.equal((await names.getMember(NGINX, numbered(1)))?.transient, true);
      await names.putMembers(NGINX, [memberRecord(1), memberRecord(2, { transient: true })]);
      for (const number of [1, 2])
        assert.deepEqual(await names.getMember(NGINX, numbered(number)), memberRecord(number));
    });

    test('gives a blob back as it was put, and says when it was found right', async (t) => {
      const names = await make(t);
      assert.equal(await names.getBlob(numbered(1)), undefined);
      await names.noteVerified(numbered(1), 7);
      assert.equal(await names.getBlob(numbered(1)), undefined);
      await names.putBlob(blobRecord(1));
      await names.putBlob(blobRecord(2, { kind: 'hosted', size: 0, verifiedAt: 1_800_000_000_001 }));
      assert.deepEqual(await names.getBlob(numbered(1)), blobRecord(1));
      const second = blobRecord(2, { kind: 'hosted', size: 0, verifiedAt: 1_800_000_000_001 });
      assert.deepEqual(await names.getBlob(numbered(2)), second);
      await names.noteVerified(numbered(1), 1_800_000_000_007);
      assert.deepEqual(await names.getBlob(numbered(1)), blobRecord(1, { verifiedAt: 1_800_000_000_007 }));
      assert.deepEqual(await names.getBlob(numbered(2)), second);
      // It says when it was last looked at, which is no read.
      await names.putBlob(blobRecord(3, { storedAt: 1_800_000_000_001 }));
      assert.deepEqual(await order(names), [1, 3]);
      // Stored anew, what was found out about the old bytes says nothing.
      await names.putBlob(blobRecord(1));
      assert.equal((await names.getBlob(numbered(1)))?.verifiedAt, undefined);
      await names.deleteBlob(numbered(1));
      assert.equal(await names.getBlob(numbered(1)), undefined);
    });

    test('lists every blob once, page by page', async (t) => {
      const names = await make(t);
      const records = Array.from({ length: 7 }, (_, number) =>
        blobRecord(number, { kind: number % 2 === 0 ? 'hosted' : 'mirrored', verifiedAt: number }),
      );
      for (const record of records) await names.putBlob(record);
      const sorted = records.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
      const first = await names.listBlobs({ limit: 4 });
      assert.deepEqual(first, sorted.slice(0, 4));
      const last = first.at(-1)?.digest;
      // What goes in between does not shift the next page.
      await names.deleteBlob(sorted[0]?.digest as Digest);
      assert.deepEqual(await names.listBlobs({ after: last, limit: 100 }), sorted.slice(4));
      assert.deepEqual(await names.listBlobs({ after: sorted[6]?.digest, limit: 100 }), []);
    });

    test('takes names that look like SQL for names', async (t) => {
      const names = await make(t);
      const odd: Repository = { registry: `a'b"c`, repository: `x'); DROP TABLE tags; --` };
      await names.putTag(odd, `'`, tagRecord(1));
      await names.putMembers(odd, [memberRecord(1)]);
      assert.deepEqual(await names.getTag(odd, `'`), tagRecord(1));
      assert.deepEqual(await names.getMember(odd, numbered(1)), memberRecord(1));
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
async function order(names: MetadataStore, limit = 100): Promise<number[]> {
  const records = await names.leastRecentlyUsed(limit);
  const numbers = new Map(Array.from({ length: 10 }, (_, number) => [numbered(number), number]));
  return records.map((record) => numbers.get(record.digest) ?? -1);
}
