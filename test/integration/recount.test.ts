import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { openFilesystemBlobStore } from '../../src/store/index.ts';
import { putBlob } from '../suites/blob-store.ts';
import { startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { memoryDirectory } from '../support/temporary.ts';

// A file of its own: counting rests four times as long as it works, so most of this is waiting, beside which others run.

describe('the names database', () => {
  test('lost with ten thousand blobs keeps no client waiting: ready within two seconds, and all is counted', async () => {
    await using workspace = await Workspace.open(memoryDirectory());
    const dir = workspace.path('cache');
    mkdirSync(dir);
    const store = await openFilesystemBlobStore(dir);
    // One that went through the store for the layout, the others beside it: flushing each would take a minute.
    await putBlob(store, Buffer.from('blob'));
    for (let number = 0; number < 10_000; number += 1) {
      const bytes = Buffer.from(`blob ${number}`);
      const hex = digestOf(bytes).slice(7);
      const shard = join(dir, 'blobs', 'sha256', hex.slice(0, 2));
      if (!existsSync(shard)) mkdirSync(shard);
      writeFileSync(join(shard, hex), bytes);
    }
    const begun = performance.now();
    await using mirror = await startMirror({}, { dir });
    assert.equal((await mirror.get('/readyz')).status, 200);
    const took = performance.now() - begun;
    assert.ok(took < 2000, `${took} ms`);
    const counted = await mirror.logged(({ msg }) => msg === 'cache.counted');
    assert.equal(counted['adopted'], 10_001);
  });
});
