import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { memberRecord, numbered } from '../../../test/suites/metadata-store.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { type Events, Telemetry } from '../../telemetry/index.ts';
import { openRecoveringMetadataStore } from './recovering.ts';
import { MIGRATIONS } from './schema.ts';
import { openSqliteMetadataStore } from './sqlite.ts';

const APP = { registry: 'docker.io', repository: `team/${'app'.repeat(40)}` };
const MIB = 1024 ** 2;

/** Rows of some 700 bytes. */
const members = (count: number) => Array.from({ length: count }, (_, i) => memberRecord(i + 1));
const digests = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => numbered(from + i));

describe('the file of the metadata database', () => {
  test('shrinks after rows were deleted, in pieces between which the event loop turns', async (t) => {
    const file = await temporaryFile(t);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await store.putMembers(APP, members(20_000));
    await store.giveBack();
    const full = (await store.footprint()).overhead;
    await store.deleteMembers(APP, digests(100, 20_001));
    let turns = 0;
    const giving = store.giveBack().then(() => 'done' as const);
    while ((await Promise.race([giving, nextTurn()])) !== 'done') turns += 1;
    assert.ok(turns > 20, `${turns} turns`);
    assert.ok((await stat(file)).size < MIB, `${(await stat(file)).size} bytes`);
    assert.equal((await stat(`${file}-wal`)).size, 0);
    assert.ok((await store.footprint()).overhead < full / 8);
    assert.deepEqual(await store.getMember(APP, numbered(99)), memberRecord(99));
  });

  test('keeps a few free pages for the next rows, and moves nothing for them', async (t) => {
    const file = await temporaryFile(t);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await store.putMembers(APP, members(600));
    await store.deleteMembers(APP, digests(1, 601));
    const { changes } = store;
    const log = (await stat(`${file}-wal`)).mtimeMs;
    await store.giveBack();
    assert.equal(store.changes, changes);
    assert.equal((await stat(`${file}-wal`)).mtimeMs, log);
  });

  test('has a log of four megabytes at most once a large transaction is over', async (t) => {
    const file = await temporaryFile(t);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await store.putMembers(APP, members(20_000));
    await store.deleteMembers(APP, digests(1, 20_001));
    for (let i = 0; i < 3; i += 1) await store.putMembers(APP, members(1));
    assert.ok((await stat(`${file}-wal`)).size <= 4 * MIB, `${(await stat(`${file}-wal`)).size} bytes`);
  });

  test('is counted with its log and its backup', async (t) => {
    const file = await temporaryFile(t);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    await store.putMembers(APP, members(5000));
    const backup = file.replace(/\.db$/, '.backup.db');
    await writeFile(backup, Buffer.alloc(20 * MIB));
    const sizes = await Promise.all([file, `${file}-wal`, backup].map(async (each) => (await stat(each)).size));
    const sum = sizes.reduce((total, size) => total + size, 0);
    assert.equal((await store.footprint()).overhead, sum);
  });
});

describe('the database of an older release', () => {
  test('is rewritten at its opening where it is small, and loses nothing', async (t) => {
    const file = await temporaryFile(t);
    older(file, 100);
    const store = await openSqliteMetadataStore(file);
    t.after(() => store.close());
    assert.equal(store.isShrinkable, true);
    assert.equal((await store.listMembers(APP, { limit: 1000 })).length, 100);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  test('is not rewritten at a start where it is large, but once at the stop', async (t) => {
    const file = await temporaryFile(t);
    older(file, 16_000);
    const before = await stat(file);
    assert.ok(before.size > 8 * MIB, `${before.size}`);
    const plain = await openSqliteMetadataStore(file);
    assert.equal(plain.isShrinkable, false);
    await plain.close();
    assert.equal((await stat(file)).ino, before.ino);
    const warnings: Events['warning'][] = [];
    const telemetry = new Telemetry();
    telemetry.on('warning', (warning) => warnings.push(warning));
    const store = await openRecoveringMetadataStore({ file, telemetry });
    await store.deleteMembers(APP, digests(5001, 16_001));
    await store.close();
    const after = await stat(file);
    assert.ok(after.size < before.size / 2, `${after.size} of ${before.size} bytes`);
    assert.equal(after.mode & 0o777, 0o600);
    assert.deepEqual(warnings, []);
    assert.deepEqual((await readdir(dirname(file))).sort(), ['names.backup.db', 'names.db']);
    const again = await openSqliteMetadataStore(file);
    t.after(() => again.close());
    assert.equal(again.isShrinkable, true);
    assert.equal((await again.listMembers(APP, { limit: 20_000 })).length, 5000);
    assert.deepEqual(await again.totals(), { blobs: 0, bytes: 0 });
  });

  test('stays as it is while another process has it open, and a warning says why', async (t) => {
    const file = await temporaryFile(t);
    older(file, 16_000);
    const warnings: Events['warning'][] = [];
    const telemetry = new Telemetry();
    telemetry.on('warning', (warning) => warnings.push(warning));
    const store = await openRecoveringMetadataStore({ file, telemetry });
    await store.putMembers(APP, members(1));
    const other = new DatabaseSync(file, { readOnly: true });
    t.after(() => other.close());
    other.prepare('SELECT count(*) FROM members').get();
    const { ino } = await stat(file);
    await store.close();
    assert.equal((await stat(file)).ino, ino);
    assert.match(warnings[0]?.message ?? '', /its file does not shrink: another process uses it/);
  });
});

test('the drafts of a killed process are removed at the next start', async (t) => {
  const file = await temporaryFile(t);
  for (const name of ['names.db.new', 'names.backup.db.new', 'names.db.new-journal']) {
    await writeFile(join(dirname(file), name), 'half');
  }
  await writeFile(join(dirname(file), 'names.db.newer'), 'mine');
  const store = await openRecoveringMetadataStore({ file, telemetry: new Telemetry() });
  t.after(() => store.close());
  const left = (await readdir(dirname(file))).filter((name) => name.includes('.new'));
  assert.deepEqual(left, ['names.db.newer']);
});

/** Makes a database as earlier releases did, whose file never shrinks. */
function older(file: string, count: number): void {
  const database = new DatabaseSync(file);
  database.exec(`BEGIN; ${MIGRATIONS.slice(0, 5).join(';')}; PRAGMA user_version = 5; COMMIT`);
  const insert = database.prepare(
    "INSERT INTO members (registry, repository, digest, kind, media_type, visibility) VALUES (?, ?, ?, 'blob', 'a/b', 'public')",
  );
  database.exec('BEGIN');
  for (let i = 1; i <= count; i += 1) insert.run(APP.registry, APP.repository, numbered(i));
  database.exec('COMMIT');
  database.close();
}

async function temporaryFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-space-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'names.db');
  await writeFile(file, '', { mode: 0o600 });
  return file;
}
