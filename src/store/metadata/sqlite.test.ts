import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  blobRecord,
  memberRecord,
  metadataStoreSuite,
  numbered,
  tagRecord,
} from '../../../test/suites/metadata-store.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { MAX_TAG_MOVES } from './metadata-store.ts';
import { MIGRATIONS, STATEMENTS } from './schema.ts';
import { openSqliteMetadataStore } from './sqlite.ts';

const NGINX = { registry: 'docker.io', repository: 'library/nginx' };

metadataStoreSuite('sqlite', async (t) => {
  const store = await openSqliteMetadataStore(await temporaryFile(t));
  t.after(() => store.close());
  return store;
});

describe('openSqliteNameStore', () => {
  test('finds again what was put before, sums and order included', async (t) => {
    const file = await temporaryFile(t);
    await fill(file, 5);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    assert.deepEqual(await store.getTag(NGINX, 'tag3'), tagRecord(3));
    assert.deepEqual(await store.getMember(NGINX, numbered(4)), memberRecord(4));
    assert.deepEqual(await store.totals(), { blobs: 5, bytes: 50 });
    assert.deepEqual(await store.leastRecentlyUsed(1), [{ ...blobRecord(1, { storedAt: 1 }), readAt: 1 }]);
  });

  test('lets the event loop turn while it adds the ten thousand members of one manifest', async (t) => {
    const store = await openSqliteMetadataStore(await temporaryFile(t));
    t.after(() => store.close());
    const members = Array.from({ length: 10_000 }, (_, i) => memberRecord(i + 1));
    let turns = 0;
    const adding = store.putMembers(NGINX, members).then(() => 'done' as const);
    while ((await Promise.race([adding, nextTurn()])) !== 'done') turns += 1;
    assert.ok(turns > 50, `${turns} turns`);
    assert.deepEqual(await store.getMember(NGINX, numbered(10_000)), memberRecord(10_000));
  });

  test('creates a file that only this user can read', async (t) => {
    const file = await temporaryFile(t);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await store.putTag(NGINX, 'latest', tagRecord(1));
    for (const each of [file, `${file}-wal`]) assert.equal((await stat(each)).mode & 0o777, 0o600, each);
  });

  test('writes ahead, so that a reader of the file does not stop it', async (t) => {
    const file = await temporaryFile(t);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await store.putBlob(blobRecord(1));
    const reader = new DatabaseSync(file, { readOnly: true });
    t.after(() => reader.close());
    assert.equal(reader.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal');
    reader.exec('BEGIN');
    assert.equal(reader.prepare('SELECT count(*) AS n FROM blobs').get()?.['n'], 1);
    await store.putBlob(blobRecord(2));
    assert.equal((await store.totals()).blobs, 2);
  });

  test('says so where another process holds the lock for long', async (t) => {
    const file = await temporaryFile(t);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    const other = new DatabaseSync(file);
    t.after(() => other.close());
    other.exec('BEGIN IMMEDIATE');
    await assert.rejects(store.putMembers(NGINX, [memberRecord(1)]), /another process holds its lock/);
    other.exec('ROLLBACK');
    await store.putMembers(NGINX, [memberRecord(1)]);
    assert.deepEqual(await store.getMember(NGINX, numbered(1)), memberRecord(1));
  });

  test('puts all members or none', async (t) => {
    const store = await openSqliteMetadataStore(await temporaryFile(t));
    t.after(() => store.close());
    const wrong = memberRecord(2, { kind: 'neither' as 'blob' });
    await assert.rejects(store.putMembers(NGINX, [memberRecord(1), wrong]), /CHECK constraint/);
    assert.equal(await store.getMember(NGINX, numbered(1)), undefined);
    await store.putMembers(NGINX, [memberRecord(1)]);
    assert.deepEqual(await store.getMember(NGINX, numbered(1)), memberRecord(1));
  });

  test('brings the database of an older release up to date and loses nothing', async (t) => {
    const file = await temporaryFile(t);
    for (const [version, migration] of MIGRATIONS.entries()) {
      execute(file, `${migration}; PRAGMA user_version = ${version + 1}`);
      if (version === 0) {
        execute(file, `INSERT INTO blobs VALUES ('${numbered(1)}', 10, 'mirrored', 1800000000000, 1800000000005)`);
      }
      const copy = `${file}-${version}`;
      await copyFile(file, copy);
      const store = await openSqliteMetadataStore(copy);
      t.after(() => store.close());
      assert.deepEqual(await store.getBlob(numbered(1)), blobRecord(1), `from version ${version + 1}`);
      assert.deepEqual(await store.totals(), { blobs: 1, bytes: 10 });
    }
  });

  test('adds no row beyond the limit of rows, and still replaces those that exist', async (t) => {
    const store = await openSqliteMetadataStore(await temporaryFile(t));
    t.after(() => store.close());
    const file = { route: 'site', url: 'https://site/1' };
    const url = { digest: numbered(1), size: 10, headers: {}, checkedAt: 1, freshUntil: 2 };
    await store.putTag(NGINX, 'known', tagRecord(1));
    await store.putMembers(NGINX, [memberRecord(1)]);
    await store.putUrl(file, url);
    const { rowBytes } = await store.footprint();
    await store.limitRows(rowBytes);
    await store.putTag(NGINX, 'known', tagRecord(2));
    await store.putTag(NGINX, 'other', tagRecord(2));
    await store.putMembers(NGINX, [memberRecord(1, { visibility: 'private' }), memberRecord(2)]);
    await store.putUrl(file, { ...url, checkedAt: 5 });
    await store.putUrl({ ...file, url: 'https://site/2' }, url);
    assert.deepEqual(await store.getTag(NGINX, 'known'), tagRecord(2));
    assert.equal((await store.listMoves(NGINX, 'known')).length, 1);
    assert.equal(await store.getTag(NGINX, 'other'), undefined);
    assert.equal((await store.getMember(NGINX, numbered(1)))?.visibility, 'private');
    assert.equal(await store.getMember(NGINX, numbered(2)), undefined);
    assert.equal((await store.getUrl(file))?.checkedAt, 5);
    assert.equal((await store.listUrls({ limit: 9 })).length, 1);
    await store.limitRows(Number.POSITIVE_INFINITY);
    await store.putTag(NGINX, 'other', tagRecord(2));
    assert.deepEqual(await store.getTag(NGINX, 'other'), tagRecord(2));
    // The move that found no room is recorded with the next answer of the upstream.
    await store.putTag(NGINX, 'known', tagRecord(2));
    assert.equal((await store.listMoves(NGINX, 'known')).length, 2);
  });

  test('counts each move among the rows, until it is dropped or its tag is deleted', async (t) => {
    const store = await openSqliteMetadataStore(await temporaryFile(t));
    t.after(() => store.close());
    const rowBytes = async (): Promise<number> => (await store.footprint()).rowBytes;
    await store.putTag(NGINX, 'latest', tagRecord(1));
    const one = await rowBytes();
    await store.putTag(NGINX, 'latest', tagRecord(2));
    const move = (await rowBytes()) - one;
    assert.ok(move > 200, `${move}`);
    await store.putTag(NGINX, 'latest', { ...tagRecord(2), checkedAt: 5 });
    assert.equal(await rowBytes(), one + move);
    for (let n = 3; n < 150; n += 1) await store.putTag(NGINX, 'latest', tagRecord(n));
    assert.equal(await rowBytes(), one + (MAX_TAG_MOVES - 1) * move);
    await store.deleteTag(NGINX, 'latest');
    assert.equal(await rowBytes(), 0);
  });

  test('takes over where the tags of an older release point', async (t) => {
    const file = await temporaryFile(t);
    const database = new DatabaseSync(file);
    for (const migration of MIGRATIONS.slice(0, 7)) database.exec(migration);
    database.exec('PRAGMA user_version = 7');
    const { digest, mediaType, size, checkedAt, upstream, visibility } = tagRecord(1);
    database
      .prepare('INSERT INTO tags VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(NGINX.registry, NGINX.repository, 'latest', digest, mediaType, size, checkedAt, upstream, visibility);
    database.close();
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await store.putTag(NGINX, 'latest', tagRecord(2));
    const moves = await store.listMoves(NGINX, 'latest');
    assert.deepEqual(
      moves.map((move) => [move.digest, move.seenAt]),
      [
        [numbered(2), checkedAt + 1],
        [numbered(1), checkedAt],
      ],
    );
  });

  test('closes more than once, and rejects what comes after', async (t) => {
    const store = await openSqliteMetadataStore(await temporaryFile(t));
    await store.close();
    await store.close();
    await assert.rejects(store.getTag(NGINX, 'latest'));
  });

  test('reads and writes by an index, never by a scan', async (t) => {
    const file = await temporaryFile(t);
    await fill(file, 3);
    const database = new DatabaseSync(file);
    t.after(() => database.close());
    for (const [name, sql] of Object.entries(STATEMENTS)) {
      const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      for (const step of plan) {
        const detail = String(step['detail']);
        assert.doesNotMatch(detail, /TEMP B-TREE/, name);
        // The holds and the pins are at most a thousand, and read whole; the rows of a subquery are found by its own steps.
        if (detail.startsWith('SCAN')) {
          assert.match(detail, /^SCAN (?:blobs USING INDEX blobs_by_last_read|tag_holds|tag_pins|\(subquery)/, name);
        }
      }
    }
  });
});

describe('a metadata database that is not right', () => {
  const damages: Record<string, (file: string) => Promise<void>> = {
    'garbage from its first byte': (file) =>
      writeFile(file, 'this is no database, whatever its name may say'.repeat(100)),
    'cut to a few bytes': (file) => truncate(file, 50),
    'cut within its first page': (file) => truncate(file, 3000),
    'cut to its first page': (file) => truncate(file, 4096),
    'cut to half its length': async (file) => truncate(file, Math.floor((await stat(file)).size / 8192) * 4096),
    'overwritten where its tables are listed': async (file) => {
      const bytes = await readFile(file);
      await writeFile(file, bytes.fill(0xff, 100, 4096));
    },
    'of another program': async (file) => {
      await rm(file);
      execute(file, 'CREATE TABLE songs (title TEXT)');
    },
    'without one of its tables': async (file) => execute(file, 'DROP TABLE members'),
    'without a column': async (file) => execute(file, 'ALTER TABLE tags DROP COLUMN upstream'),
  };
  for (const [what, damage] of Object.entries(damages)) {
    test(`is refused: ${what}`, async (t) => {
      const file = await temporaryFile(t);
      await fill(file, 200);
      await damage(file);
      const before = await readFile(file);
      await assert.rejects(openSqliteMetadataStore(file), { name: 'MetadataCorruptError', file });
      assert.deepEqual(await readFile(file), before, 'the file was changed, and may have been of use');
    });
  }

  test('is found out later where the damage lies deeper', async (t) => {
    const file = await temporaryFile(t);
    await fill(file, 2000);
    const bytes = await readFile(file);
    await writeFile(file, bytes.fill(0xff, 32 * 4096));
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await assert.rejects(
      async () => {
        for (let number = 0; number < 2000; number += 1) await store.getMember(NGINX, numbered(number));
      },
      { name: 'MetadataCorruptError', message: /it is damaged.*Move it away/ },
    );
  });

  test('gives no malformed digest away', async (t) => {
    const file = await temporaryFile(t);
    await fill(file, 1);
    execute(file, "UPDATE blobs SET digest = 'sha256:../../etc/passwd'; UPDATE tags SET digest = ''");
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await assert.rejects(store.leastRecentlyUsed(1), { name: 'MetadataCorruptError' });
    await assert.rejects(store.getTag(NGINX, 'tag1'), { name: 'MetadataCorruptError' });
  });

  test('is refused where a newer release wrote it', async (t) => {
    const file = await temporaryFile(t);
    await fill(file, 1);
    execute(file, `PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    await assert.rejects(openSqliteMetadataStore(file), {
      name: 'MetadataVersionError',
      message: new RegExp(`version ${MIGRATIONS.length + 1} .* knows ${MIGRATIONS.length}`),
    });
  });
});

/** A closed database with tags, members and blobs numbered from 1. */
async function fill(file: string, count: number): Promise<void> {
  const store = await openSqliteMetadataStore(file);
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  await store.putMembers(
    NGINX,
    numbers.map((number) => memberRecord(number)),
  );
  for (const number of numbers.slice(0, 200)) {
    await store.putTag(NGINX, `tag${number}`, tagRecord(number));
    await store.putBlob(blobRecord(number, { storedAt: number }));
  }
  await store.close();
}

function execute(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

async function temporaryFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-names-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'names.sqlite');
}
