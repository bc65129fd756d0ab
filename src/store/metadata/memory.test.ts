import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memberRecord, nameStoreSuite, numbered, tagRecord } from '../../../test/suites/name-store.ts';
import { MemoryMetadataStore } from './memory.ts';

nameStoreSuite('memory', () => Promise.resolve(new MemoryMetadataStore()));

describe('MemoryNameStore', () => {
  test('remembers no more than its limit, and forgets what was used longest ago', async () => {
    const names = new MemoryMetadataStore({ limit: 3 });
    const repository = { registry: 'r', repository: 'a' };
    for (const tag of ['1', '2', '3']) await names.putTag(repository, tag, tagRecord(1));
    await names.getTag(repository, '1');
    await names.putTag(repository, '4', tagRecord(1));
    assert.equal(await names.getTag(repository, '2'), undefined);
    for (const tag of ['1', '3', '4']) assert.notEqual(await names.getTag(repository, tag), undefined, tag);
    await names.putMembers(
      repository,
      [1, 2, 3, 4].map((number) => memberRecord(number)),
    );
    assert.equal(await names.getMember(repository, numbered(1)), undefined);
    assert.notEqual(await names.getMember(repository, numbered(4)), undefined);
  });
});
