import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { blobRecord, nameStoreSuite, numbered, tagRecord } from '../../../test/suites/name-store.ts';
import { type Events, Telemetry } from '../../telemetry/index.ts';
import { backupOf } from './backup.ts';
import type { MetadataStore } from './metadata-store.ts';
import { openRecoveringMetadataStore } from './recovering.ts';
import { MIGRATIONS } from './schema.ts';
import { openSqliteMetadataStore } from './sqlite.ts';

const NGINX = { registry: 'docker.io', repository: 'library/nginx' };

nameStoreSuite('resilient', async (t) => {
  const names = await openRecoveringMetadataStore({ file: await temporaryFile(t), telemetry: new Telemetry() });
  t.after(() => names.close());
  return names;
});

const LOSSES: Record<string, (file: string) => Promise<void>> = {
  'it is gone': (file) => rm(file),
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
  'it is gone, and a log was left': async (file) => {
    await copyFile(file, `${file}-wal`);
    await rm(file);
  },
};

describe('a names database that is lost', () => {
  for (const [what, lose] of Object.entries(LOSSES)) {
    test(`is replaced by its backup at the next start: ${what}`, async (t) => {
      const file = await temporaryFile(t);
      await (await filled(t, file)).names.close();
      await lose(file);
      const { names, recovered } = await opened(t, file);
      assert.deepEqual(await names.getTag(NGINX, 'tag'), tagRecord(1));
      assert.deepEqual(await names.totals(), { blobs: 1, bytes: 10 });
      assert.equal(recovered.length, 1);
      assert.equal(recovered[0]?.source, 'backup');
      const at = recovered[0]?.backupAt ?? 0;
      assert.ok(Math.abs(Date.now() - at) < 60_000, `${at}`);
      assert.equal((await stat(file)).mode & 0o777, 0o600);
    });

    test(`is replaced by an empty one without a backup: ${what}`, async (t) => {
      const file = await temporaryFile(t);
      await (await filled(t, file)).names.close();
      await rm(backupOf(file));
      await lose(file);
      const { names, recovered } = await opened(t, file);
      assert.equal(await names.getTag(NGINX, 'tag'), undefined);
      await names.putTag(NGINX, 'tag', tagRecord(2));
      assert.deepEqual(await names.getTag(NGINX, 'tag'), tagRecord(2));
      // Nobody can tell a database that is gone from one that never was.
      const isSaid = !what.startsWith('it is gone');
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
      await (await filled(t, file)).names.close();
      await writeFile(file, 'garbage');
      await spoil(backupOf(file));
      const { names, recovered, warnings } = await opened(t, file);
      assert.equal(await names.getTag(NGINX, 'tag'), undefined);
      await names.putBlob(blobRecord(3));
      assert.equal(recovered[0]?.source, 'nothing');
      assert.ok(warnings.length <= 1);
    });
  }

  test('is set aside for whoever looks into it, the latest two times', async (t) => {
    const file = await temporaryFile(t);
    for (let time = 0; time < 4; time += 1) {
      const { names } = await opened(t, file);
      await names.close();
      await writeFile(file, `garbage ${time}`);
    }
    await (await opened(t, file)).names.close();
    const directory = join(file, '..');
    const aside = (await readdir(directory)).filter((name) => name.includes('corrupt')).sort();
    const contents = await Promise.all(aside.map((name) => readFile(join(directory, name), 'utf8')));
    assert.deepEqual(contents, ['garbage 2', 'garbage 3']);
  });

  test('is left alone where a newer release wrote it', async (t) => {
    const file = await temporaryFile(t);
    await (await filled(t, file)).names.close();
    execute(file, `PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    const before = await readFile(file);
    await assert.rejects(openRecoveringMetadataStore({ file, telemetry: new Telemetry() }), {
      name: 'NamesVersionError',
    });
    assert.deepEqual(await readFile(file), before);
  });

  test('is no loss where it never was', async (t) => {
    const { recovered } = await opened(t, await temporaryFile(t));
    assert.deepEqual(recovered, []);
  });
});

describe('a names database that is damaged while it is used', () => {
  /** Everything in the file and nothing in memory, so that damage is met. */
  async function damaged(file: string): Promise<void> {
    const bytes = await readFile(file);
    await writeFile(file, bytes.fill(0xa5));
    await rm(`${file}-wal`, { force: true });
  }

  test('is replaced by its backup, and whoever asked gets an answer', async (t) => {
    const file = await temporaryFile(t);
    const before = await filled(t, file, 3000);
    await before.names.close();
    const { names, recovered } = await opened(t, file);
    await damaged(file);
    const answers = await Promise.all(
      Array.from({ length: 3000 }, (_, number) => names.getMember(NGINX, numbered(number))),
    );
    assert.equal(answers.filter((member) => member !== undefined).length, 3000);
    assert.deepEqual(
      recovered.map(({ source }) => source),
      ['backup'],
    );
    await names.putTag(NGINX, 'later', tagRecord(7));
    await names.close();
    const next = await opened(t, file);
    assert.deepEqual(await next.names.getTag(NGINX, 'later'), tagRecord(7));
    assert.deepEqual(next.recovered, []);
  });

  test('fails where the one that took its place is damaged as soon: then it is the disk', async (t) => {
    const file = await temporaryFile(t);
    await (await filled(t, file, 3000)).names.close();
    const { names, recovered } = await opened(t, file);
    const askAll = async () => {
      for (let number = 0; number < 3000; number += 1) await names.getMember(NGINX, numbered(number));
    };
    await damaged(file);
    // One that needs few pages, so that the others are not in memory yet.
    await names.getMember(NGINX, numbered(1));
    await damaged(file);
    await assert.rejects(askAll(), { name: 'NamesCorruptError' });
    assert.equal(recovered.length, 1);
  });

  test('does not take its sound backup with it', async (t) => {
    const file = await temporaryFile(t);
    await (await filled(t, file, 3000)).names.close();
    const sound = await readFile(backupOf(file));
    const { names, warnings } = await opened(t, file);
    await damaged(file);
    // A row that is changed without a look at what is damaged.
    await names.putTag(NGINX, 'later', tagRecord(7)).catch(() => {});
    await names.close();
    const after = await readFile(backupOf(file));
    const check = new DatabaseSync(backupOf(file), { readOnly: true });
    t.after(() => check.close());
    assert.equal(check.prepare('PRAGMA quick_check').get()?.['quick_check'], 'ok');
    assert.ok(after.length >= sound.length, `${warnings.length} warnings`);
  });
});

describe('the backup of a names database', () => {
  test('is made now and then, while names are read and written, and is for this user alone', async (t) => {
    const file = await temporaryFile(t);
    const { names } = await opened(t, file, { backupEvery: 5 });
    for (let number = 0; number < 50; number += 1) {
      await names.putBlob(blobRecord(number));
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
    await names.close();
    const left = (await readdir(join(file, '..'))).filter((name) => !name.includes('copy')).sort();
    assert.deepEqual(left, ['names.backup.db', 'names.db']);
  });

  test('is not made where nothing has changed', async (t) => {
    const file = await temporaryFile(t);
    await (await filled(t, file)).names.close();
    const before = await stat(backupOf(file));
    const { names } = await opened(t, file);
    await names.getTag(NGINX, 'tag');
    await names.close();
    assert.equal((await stat(backupOf(file))).ino, before.ino);
  });

  test('that cannot be made is said, and costs nothing else', async (t) => {
    const file = await temporaryFile(t);
    const { names, warnings } = await filled(t, file);
    // A directory in its place cannot be replaced by a rename.
    await mkdir(join(backupOf(file), 'in the way'), { recursive: true });
    await names.close();
    assert.match(String(warnings[0]?.message), /Cannot back up/);
    assert.deepEqual(await (await opened(t, file)).names.getTag(NGINX, 'tag'), tagRecord(1));
  });
});

interface Opened {
  readonly names: MetadataStore;
  readonly recovered: Events['names.recovered'][];
  readonly warnings: Events['warning'][];
}

async function opened(t: TestContext, file: string, options: { backupEvery?: number } = {}): Promise<Opened> {
  const telemetry = new Telemetry();
  const recovered: Events['names.recovered'][] = [];
  const warnings: Events['warning'][] = [];
  telemetry.on('names.recovered', (event) => recovered.push(event));
  telemetry.on('warning', (event) => warnings.push(event));
  const names = await openRecoveringMetadataStore({ file, telemetry, ...options });
  t.after(() => names.close());
  return { names, recovered, warnings };
}

/** An open one with a tag, a blob and as many members as wanted. */
async function filled(t: TestContext, file: string, members = 1): Promise<Opened> {
  const made = await opened(t, file);
  await made.names.putTag(NGINX, 'tag', tagRecord(1));
  await made.names.putBlob(blobRecord(1));
  await made.names.putMembers(
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
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-resilient-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'names.db');
}
