import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memberRecord, metadataStoreSuite, numbered, tagRecord } from '../../../test/suites/metadata-store.ts';
import { MemoryMetadataStore } from './memory.ts';

metadataStoreSuite('memory', () => Promise.resolve(new MemoryMetadataStore()));

describe('MemoryMetadataStore', () => {
  test('keeps no more than its limit, and drops the least recently used', async () => {
    const store = new MemoryMetadataStore({ limit: 3 });
    const repository = { registry: 'r', repository: 'a' };
    for (const tag of ['1', '2', '3']) await store.putTag(repository, tag, tagRecord(1));
    await store.getTag(repository, '1');
    await store.putTag(repository, '4', tagRecord(1));
    assert.equal(await store.getTag(repository, '2'), undefined);
    for (const tag of ['1', '3', '4']) assert.notEqual(await store.getTag(repository, tag), undefined, tag);
    await store.putMembers(
      repository,
      [1, 2, 3, 4].map((number) => memberRecord(number)),
    );
    assert.equal(await store.getMember(repository, numbered(1)), undefined);
    assert.notEqual(await store.getMember(repository, numbered(4)), undefined);
  });
});
