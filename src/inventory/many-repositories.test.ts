import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ALL, inventoryWorld, onlyFor } from '../../test/support/inventory-world.ts';
import { memoryDirectory } from '../../test/support/temporary.ts';
import { type MetadataStore, openSqliteMetadataStore } from '../store/index.ts';

/** Rows that the answer at hand has read of the database. */
let rows = 0;

/** Names `docker.io/team-NN/application-NNNNN`. */
const MANY = 100_000;

let directory: string;
let metadata: MetadataStore;
let inventory: ReturnType<typeof inventoryWorld>['inventory'];
before(async () => {
  directory = await mkdtemp(join(memoryDirectory(), 'entrepot-inventory-'));
  const file = join(directory, 'names.db');
  await (await openSqliteMetadataStore(file)).close();
  const database = new DatabaseSync(file);
  database.exec(`
    BEGIN;
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${MANY - 1})
    INSERT INTO members (registry, repository, digest, kind, media_type, size, visibility)
      SELECT 'docker.io', printf('team-%02d/application-%05d', n % 100, n), 'sha256:' || printf('%064x', n), 'manifest',
        'application/vnd.oci.image.manifest.v1+json', 500, 'public' FROM numbers;
    INSERT INTO tags SELECT registry, repository, 'latest', digest, media_type, size, 1, 'hub', 'public' FROM members;
    COMMIT;
  `);
  database.close();
  metadata = await openSqliteMetadataStore(file);
  const counted: MetadataStore = Object.create(metadata, {
    searchRepositories: {
      value: async (search: Parameters<MetadataStore['searchRepositories']>[0]) => {
        const found = await metadata.searchRepositories(search);
        rows += found.repositories.length;
        return found;
      },
    },
    countTags: {
      value: (...all: Parameters<MetadataStore['countTags']>) => {
        rows += all[0].length;
        return metadata.countTags(...all);
      },
    },
  });
  for (const name of ['listTags', 'listMembers', 'listHolds', 'listRepositories'] as const) {
    Object.defineProperty(counted, name, { value: () => assert.fail(`${name} reads more than a page needs`) });
  }
  ({ inventory } = inventoryWorld({ metadata: counted }));
});
after(async () => {
  await metadata.close();
  await rm(directory, { recursive: true, force: true });
});

describe('an inventory of a hundred thousand repositories', () => {
  /** The names of one page, how many were read of the database, and how often the event loop turned meanwhile. */
  async function page(more: object, caller = ALL) {
    rows = 0;
    let turns = 0;
    const answering = inventory.repositories({ limit: 100, ...more }, caller);
    const done = answering.then(() => 'done' as const);
    while ((await Promise.race([done, nextTurn()])) !== 'done') turns += 1;
    const { repositories, next } = await answering;
    return { names: repositories.map(({ repository }) => repository), tags: repositories[0]?.tags, next, rows, turns };
  }

  test('reads for a page little more than the page', async () => {
    const { names, tags, next, rows } = await page({});
    assert.deepEqual([names.length, names[0], tags], [100, 'team-00/application-00000', 1]);
    assert.ok(next !== undefined);
    assert.ok(rows <= 400, `${rows} rows`);
  });

  test('finds few names among all, and lets the event loop turn meanwhile', async () => {
    const { names, next, rows, turns } = await page({ search: '9999 TEAM-99' });
    assert.deepEqual(
      names.toSorted(),
      Array.from({ length: 10 }, (_, n) => `team-99/application-${n}9999`),
    );
    assert.equal(next, undefined);
    assert.ok(rows <= 20, `${rows} rows`);
    assert.ok(turns >= 20, `${turns} turns`);
  });

  test('finds nothing among all, and says that there is no more', async () => {
    const { names, next, rows, turns } = await page({ search: 'no-such-name' });
    assert.deepEqual([names, next, rows], [[], undefined, 0]);
    assert.ok(turns >= 20, `${turns} turns`);
  });

  test('stops after a bounded number of names where the caller sees hardly any, and goes on at the cursor', async () => {
    let asked = 0;
    const caller = onlyFor((name) => {
      asked += 1;
      return name.endsWith('-99999');
    });
    const names: string[] = [];
    let pages = 0;
    for (let after: string | undefined; ; ) {
      asked = 0;
      const answer = await page({ after }, caller);
      assert.ok(asked <= 5000, `${asked} names asked`);
      names.push(...answer.names);
      pages += 1;
      after = answer.next;
      if (after === undefined) break;
    }
    assert.deepEqual(names, ['team-99/application-99999']);
    assert.ok(pages >= MANY / 5000);
  });
});
