import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { blobRecord, metadataStoreSuite, numbered, tagRecord } from '../../../test/suites/metadata-store.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { type Events, Telemetry } from '../../telemetry/index.ts';
import { backupOf } from './files.ts';
import type { MetadataStore } from './metadata-store.ts';
import { openRecoveringMetadataStore } from './recovering.ts';
import { MIGRATIONS } from './schema.ts';
import { openSqliteMetadataStore } from './sqlite.ts';

const NGINX = { registry: 'docker.io', repository: 'library/nginx' };

metadataStoreSuite('recovering', async (t) => {
  const store = await openRecoveringMetadataStore({ file: await temporaryFile(t), telemetry: new Telemetry() });
  t.after(() => store.close());
  return store;
});

const LOSSES: Record<string, (file: string) => Promise<void>> = {
  'it is missing': (file) => rm(file),
  'it is empty': (file) => truncate(file, 0),
  'its first page is cut': (file) => truncate(file, 3000),
  'it is garbage': (file) => writeFile(file, 'this is no database'.repeat(1000)),
  'it is of another program': async (file) => {
    await rm(file);
    execute(file, 'CREATE TABLE songs (title TEXT)');
  },
  'its log is garbage as well': async (file) => {
    await writeFile(file, 'this is no database'.repeat(1000));
    await writeFile(`${file}-wal`, 'nor is this a log'.repeat(1000));
    await writeFile(`${file}-shm`, '');
  },
  'it is missing, and its log is left': async (file) => {
    await copyFile(file, `${file}-wal`);
    await rm(file);
  },
};

describe('a metadata database that is lost', () => {
  for (const [what, lose] of Object.entries(LOSSES)) {
    test(`is replaced by its backup at the next start: ${what}`, async (t) => {
      const file = await temporaryFile(t);
      await (await filled(t, file)).store.close();
      await lose(file);
      const { store, recovered } = await opened(t, file);
      assert.deepEqual(await store.getTag(NGINX, 'tag'), tagRecord(1));
      assert.deepEqual(await store.totals(), { blobs: 1, bytes: 10 });
      assert.equal(recovered.length, 1);
      assert.equal(recovered[0]?.source, 'backup');
      const at = recovered[0]?.backupAt ?? 0;
      assert.ok(Math.abs(Date.now() - at) < 60_000, `${at}`);
      assert.equal((await stat(file)).mode & 0o777, 0o600);
    });

    test(`is replaced by an empty one without a backup: ${what}`, async (t) => {
      const file = await temporaryFile(t);
      await (await filled(t, file)).store.close();
      await rm(backupOf(file));
      await lose(file);
      const { store, recovered } = await opened(t, file);
      assert.equal(await store.getTag(NGINX, 'tag'), undefined);
      await store.putTag(NGINX, 'tag', tagRecord(2));
      assert.deepEqual(await store.getTag(NGINX, 'tag'), tagRecord(2));
      // A missing database looks like one that never existed.
      const isSaid = !what.startsWith('it is missing');
      assert.deepEqual(
        recovered.map(({ source }) => source),
        isSaid ? ['nothing'] : [],
      );
    });
  }

  const useless: Record<string, (backup: string) => Promise<void>> = {
    garbage: (backup) => writeFile(backup, 'this is no database'.repeat(1000)),
    empty: (backup) => truncate(backup, 0),
    'damaged deep down': async (backup) => {
      const bytes = await readFile(backup);
      await writeFile(backup, bytes.fill(0xff, bytes.length - 4096));
    },
    'of another program': async (backup) => {
      await rm(backup);
      execute(backup, 'CREATE TABLE songs (title TEXT)');
    },
  };
  for (const [what, spoil] of Object.entries(useless)) {
    test(`is replaced by an empty one where the backup is ${what}`, async (t) => {
      const file = await temporaryFile(t);
      await (await filled(t, file)).store.close();
      await writeFile(file, 'garbage');
      await spoil(backupOf(file));
      const { store, recovered, warnings } = await opened(t, file);
      assert.equal(await store.getTag(NGINX, 'tag'), undefined);
      await store.putBlob(blobRecord(3));
      assert.equal(recovered[0]?.source, 'nothing');
      assert.ok(warnings.length <= 1);
    });
  }

  test('is set aside for inspection, the latest two times', async (t) => {
    const file = await temporaryFile(t);
    const directory = join(file, '..');
    const own = `${basename(file)}.corrupt-by-me`;
    await writeFile(join(directory, own), 'mine');
    for (let time = 0; time < 4; time += 1) {
      const { store } = await opened(t, file);
      await store.close();
      await writeFile(file, `garbage ${time}`);
    }
    await (await opened(t, file)).store.close();
    const aside = (await readdir(directory)).filter((name) => name.includes('corrupt') && name !== own).sort();
    const contents = await Promise.all(aside.map((name) => readFile(join(directory, name), 'utf8')));
    assert.deepEqual(contents, ['garbage 2', 'garbage 3']);
    assert.equal(await readFile(join(directory, own), 'utf8'), 'mine');
  });

  test('is left alone where a newer release wrote it', async (t) => {
    const file = await temporaryFile(t);
    await (await filled(t, file)).store.close();
    execute(file, `PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    const before = await readFile(file);
    await assert.rejects(openRecoveringMetadataStore({ file, telemetry: new Telemetry() }), {
      name: 'MetadataVersionError',
    });
    assert.deepEqual(await readFile(file), before);
  });

  test('is no loss where it never was', async (t) => {
    const { recovered } = await opened(t, await temporaryFile(t));
    assert.deepEqual(recovered, []);
  });
});

describe('a metadata database that is damaged while it is used', () => {
  /** Overwrites the file and removes its log, so that the next reads meet the damage. */
  async function damaged(file: string): Promise<void> {
    const bytes = await readFile(file);
    await writeFile(file, bytes.fill(0xa5));
    await rm(`${file}-wal`, { force: true });
  }

  test('is replaced by its backup, and pending operations get their results', async (t) => {
    const file = await temporaryFile(t);
    const before = await filled(t, file, 3000);
    await before.store.close();
    const { store, recovered } = await opened(t, file);
    await damaged(file);
    const answers = await Promise.all(
      Array.from({ length: 3000 }, (_, number) => store.getMember(NGINX, numbered(number))),
    );
    assert.equal(answers.filter((member) => member !== undefined).length, 3000);
    assert.deepEqual(
      recovered.map(({ source }) => source),
      ['backup'],
    );
    await store.putTag(NGINX, 'later', tagRecord(7));
    await store.close();
    const next = await opened(t, file);
    assert.deepEqual(await next.store.getTag(NGINX, 'later'), tagRecord(7));
    assert.deepEqual(next.recovered, []);
  });

  test('fails where the one that took its place is damaged as soon: then it is the disk', async (t) => {
    const file = await temporaryFile(t);
    await (await filled(t, file, 3000)).store.close();
    const { store, recovered } = await opened(t, file);
    const askAll = async () => {
      for (let number = 0; number < 3000; number += 1) await store.getMember(NGINX, numbered(number));
    };
    await damaged(file);
    // It reads few pages, so that the others are not cached yet.
    await store.getMember(NGINX, numbered(1));
    await damaged(file);
    await assert.rejects(askAll(), { name: 'MetadataCorruptError' });
    assert.equal(recovered.length, 1);
  });

  test('does not take its sound backup with it', async (t) => {
    const file = await temporaryFile(t);
    await (await filled(t, file, 3000)).store.close();
    const sound = await readFile(backupOf(file));
    const { store, warnings } = await opened(t, file);
    await damaged(file);
    // This change may not read a damaged page.
    await store.putTag(NGINX, 'later', tagRecord(7)).catch(() => {});
    await store.close();
    const after = await readFile(backupOf(file));
    const check = new DatabaseSync(backupOf(file), { readOnly: true });
    t.after(() => check.close());
    assert.equal(check.prepare('PRAGMA quick_check').get()?.['quick_check'], 'ok');
    assert.ok(after.length >= sound.length, `${warnings.length} warnings`);
  });
});

describe('the backup of a metadata database', () => {
  test('is made while the store is in use, and is readable by this user alone', async (t) => {
    const file = await temporaryFile(t);
    const { store } = await opened(t, file, { backupEvery: 5 });
    for (let number = 0; number < 50; number += 1) {
      await store.putBlob(blobRecord(number));
      await new Promise(setImmediate);
    }
    const copy = await eventually(async () => {
      const { mode } = await stat(backupOf(file));
      assert.equal(mode & 0o777, 0o600);
      const aside = `${file}-copy.db`;
      await copyFile(backupOf(file), aside);
      const backup = await openSqliteMetadataStore(aside);
      try {
        assert.equal((await backup.totals()).blobs, 50);
      } finally {
        await backup.close();
      }
      return true;
    });
    assert.ok(copy);
    await store.close();
    const left = (await readdir(join(file, '..'))).filter((name) => !name.includes('copy')).sort();
    assert.deepEqual(left, ['names.backup.db', 'names.db']);
  });

  test('is not made where nothing has changed', async (t) => {
    const file = await temporaryFile(t);
    const first = await filled(t, file);
    await first.store.close();
    assert.deepEqual(first.backups, ['made']);
    const before = await stat(backupOf(file));
    const { store, backups } = await opened(t, file);
    await store.getTag(NGINX, 'tag');
    await store.close();
    assert.deepEqual(backups, []);
    assert.equal((await stat(backupOf(file))).ino, before.ino);
  });

  test('that cannot be made is said, and costs nothing else', async (t) => {
    const file = await temporaryFile(t);
    const { store, warnings, backups } = await filled(t, file);
    // A rename cannot replace a directory.
    await mkdir(join(backupOf(file), 'in the way'), { recursive: true });
    await store.close();
    assert.match(String(warnings[0]?.message), /Cannot back up/);
    assert.deepEqual(backups, ['failed']);
    assert.deepEqual(await (await opened(t, file)).store.getTag(NGINX, 'tag'), tagRecord(1));
  });
});

interface Opened {
  readonly store: MetadataStore;
  readonly recovered: Events['names.recovered'][];
  readonly warnings: Events['warning'][];
  readonly backups: Events['names.backup']['outcome'][];
}

async function opened(t: TestContext, file: string, options: { backupEvery?: number } = {}): Promise<Opened> {
  const telemetry = new Telemetry();
  const recovered: Events['names.recovered'][] = [];
  const warnings: Events['warning'][] = [];
  const backups: Opened['backups'] = [];
  telemetry.on('names.recovered', (event) => recovered.push(event));
  telemetry.on('names.backup', ({ outcome }) => backups.push(outcome));
  telemetry.on('warning', (event) => warnings.push(event));
  const store = await openRecoveringMetadataStore({ file, telemetry, ...options });
  t.after(() => store.close());
  return { store, recovered, warnings, backups };
}

/** An open store with a tag, a blob and `members` members. */
async function filled(t: TestContext, file: string, members = 1): Promise<Opened> {
  const made = await opened(t, file);
  await made.store.putTag(NGINX, 'tag', tagRecord(1));
  await made.store.putBlob(blobRecord(1));
  await made.store.putMembers(
    NGINX,
    Array.from({ length: members }, (_, number) => ({
      digest: numbered(number),
      kind: 'blob',
      mediaType: 'x/y',
      size: number,
      visibility: 'public',
    })),
  );
  return made;
}

/** Tries until it succeeds, for at most ten seconds. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const end = Date.now() + 10_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

function execute(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

async function temporaryFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-resilient-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'names.db');
}
