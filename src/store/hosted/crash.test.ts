import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { APP, digestOf, how, image, push, temporaryFile } from '../../../test/support/hosted-records.ts';
import type { Digest } from '../../oci/index.ts';
import type { HostedStore } from './hosted-store.ts';
import { openHostedStore } from './open.ts';

// A process that changes records is killed at a random moment (SIGKILL: no handler, no flush), again and again on one file.

const ROUNDS = Number(process.env['TEST_ROUNDS'] ?? 6);

/** What the process was answered: `+` and an image that is stored, `-` and one that is deleted. */
type Answer = readonly ['+' | '-', string];

if (process.argv[2] === 'change on') await changeOn(process.argv[3] ?? '', process.argv[4] ?? '');
else runTests();

/** Stores and deletes images, four at a time, until it is killed. */
async function changeOn(file: string, round: string): Promise<void> {
  const store = await openHostedStore(file);
  const answer = (...each: Answer): void => void process.send?.(each);
  process.send?.('begun');
  async function writer(name: string): Promise<void> {
    for (let i = 0; ; i += 1) {
      const text = `${round}-${name}-${i}`;
      const { manifest } = await push(store, text, how([text, 'latest'], { at: i }));
      answer('+', text);
      if (isToBeDeleted(i)) {
        await store.deleteManifest(APP, manifest.digest, { at: i, by: 'alice', immutable: () => false });
        answer('-', text);
      }
      // Blobs that are stored, and not named yet, are of now.
      if (i % 5 === 0) await store.collect({ unusedSince: i - 50, limit: 3 });
    }
  }
  await Promise.all(['a', 'b', 'c', 'd'].map(writer));
}

function isToBeDeleted(i: number): boolean {
  return i % 3 === 0;
}

function runTests(): void {
  test(`kill -9 in the middle of many changes, ${ROUNDS} times over on one file`, {
    timeout: 10_000 + ROUNDS * 5000,
  }, async (t) => {
    const file = await temporaryFile(t);
    const stored = new Set<string>();
    const deleted = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const child = start(t, file, `${round}`);
      child.on('message', (message: Answer | 'begun') => {
        if (message === 'begun') return;
        (message[0] === '+' ? stored : deleted).add(message[1]);
      });
      await once(child, 'message');
      const closed = once(child, 'close');
      // The kill may come at any moment: there is no event to wait for.
      setTimeout(() => child.kill('SIGKILL'), 20 + Math.random() * 200);
      await closed;
      const store = await openHostedStore(file);
      await assertSound(store);
      for (const text of stored) {
        if (text.split('-')[0] !== `${round}` && round < ROUNDS - 1) continue;
        await assertAnswered(store, text, deleted.has(text));
      }
      await store.close();
    }
    assert.ok(stored.size > ROUNDS && deleted.size > 0, `${stored.size} stored, ${deleted.size} deleted`);
  });
}

/** What was answered is there, and what follows from it. */
async function assertAnswered(store: HostedStore, text: string, isDeleted: boolean): Promise<void> {
  const { blobs, manifest } = image(text);
  const moves = await store.listTagMoves(APP, text);
  const found = await store.getManifest(APP, manifest.digest);
  // The answer to a deletion may have been on its way.
  const isGone = isDeleted || found === undefined;
  assert.equal(moves.length, isGone ? 2 : 1, text);
  assert.equal(found === undefined, isGone, text);
  if (isGone) assert.equal(isToBeDeleted(Number(text.split('-')[2])), true, `${text} is lost`);
  assert.equal((await store.getTag(APP, text))?.digest, isGone ? undefined : manifest.digest, text);
  if (isGone) return;
  for (const { digest } of blobs) assert.ok(await store.getBlob(APP, digest), `${text} lacks a blob`);
}

/** Nothing is half there: a tag has its manifest, a manifest its blobs, and the sums are those of what is there. */
async function assertSound(store: HostedStore): Promise<void> {
  for (const { tag, digest } of await store.listTags(APP, { limit: 1_000_000 })) {
    assert.ok(await store.getManifest(APP, digest), tag);
    if (tag === 'latest') continue;
    assert.equal(digest, digestOf(tag));
    for (const each of image(tag).blobs) assert.ok(await store.getBlob(APP, each.digest), `${tag} lacks a blob`);
    assert.equal(await store.deleteBlob(APP, image(tag).blobs[0]?.digest as Digest), 'in use');
  }
  const listed = await store.listDigests({ limit: 1_000_000 });
  const usage = { digests: listed.length, bytes: listed.reduce((sum, { size }) => sum + size, 0) };
  assert.deepEqual(await store.usage(APP), usage);
  const repositories = (await store.listRepositories({ limit: 9 })).length;
  assert.deepEqual(await store.totals(), { ...usage, repositories });
}

function start(t: TestContext, file: string, round: string): ChildProcess {
  const argv = ['--disable-warning=ExperimentalWarning', import.meta.filename, 'change on', file, round];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}
