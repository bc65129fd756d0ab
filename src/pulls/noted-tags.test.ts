import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '../oci/index.ts';
import type { PullUnderWay } from '../telemetry/index.ts';
import { NotedTags } from './noted-tags.ts';

const digest = `sha256:${'0'.repeat(64)}` as Digest;
const byTag = { target: { kind: 'manifest', reference: { kind: 'tag', tag: 'latest' } } } as PullUnderWay;
const byDigest = { target: { kind: 'manifest', reference: { kind: 'digest', digest } } } as PullUnderWay;
const byBlob = { target: { kind: 'blob', digest } } as PullUnderWay;

function pullOf(client: string) {
  const noted = { notedTag: undefined, notedDigest: undefined };
  return { registry: 'docker.io', repository: 'library/app', client, user: undefined, tag: 'latest', ...noted };
}

function read(tags: NotedTags): readonly string[] {
  return tags.unwritten().map(({ tag, by, at }) => `${tag} ${by} ${at}`);
}

describe('NotedTags', () => {
  test('notes the last time of a tag, and of what is asked for by digest, however they alternate', () => {
    const tags = new NotedTags();
    const pull = pullOf('a');
    for (const [now, view] of [byTag, byDigest, byBlob, byTag, byDigest, byTag].entries()) tags.note(pull, view, now);
    assert.deepEqual(read(tags), ['latest a 5', ' a 4']);
  });

  test('notes the client that was the last of several, in turns too', () => {
    const tags = new NotedTags();
    const [a, b] = [pullOf('a'), pullOf('b')];
    tags.note(a, byTag, 1);
    tags.note(b, byTag, 2);
    assert.deepEqual(read(tags), ['latest b 2']);
    tags.note(a, byTag, 3);
    assert.deepEqual(read(tags), ['latest a 3']);
    tags.note(b, byTag, 4);
    tags.note(b, byTag, 5);
    assert.deepEqual(read(tags), ['latest b 5']);
  });

  test('notes again what was taken to be written, and takes back what was not written only where nothing newer is noted', () => {
    const tags = new NotedTags();
    const pull = pullOf('a');
    tags.note(pull, byTag, 1);
    tags.note(pull, byDigest, 1);
    const taken = tags.take();
    assert.deepEqual(read(tags), []);
    tags.note(pull, byTag, 2);
    tags.putBack(taken);
    assert.deepEqual(read(tags), ['latest a 2', ' a 1']);
    tags.note(pull, byDigest, 3);
    assert.deepEqual(read(tags), ['latest a 2', ' a 3']);
  });
});
