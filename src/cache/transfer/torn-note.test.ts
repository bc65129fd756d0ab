import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../oci/index.ts';
import { openFilesystemBlobStore } from '../../store/blobs/filesystem.ts';
import { PartialContent } from './partial/index.ts';

test('a file whose note a power cut has emptied is not in the way of the next', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'torn-'));
  t.after(() => rm(directory, { recursive: true }));
  const telemetry = { publish: () => {} } as never;
  const open = async () =>
    new PartialContent({ store: (await openFilesystemBlobStore(directory)).partials, limits: () => ({}), telemetry });
  const digest = digestOf(Buffer.from('x'), 'sha256');
  const first = await (await open()).begin(digest);
  await first.write(Buffer.alloc(1000, 1), 0);
  await first.note('hello');
  first.leave();
  await first.close();
  const [, note = ''] = (await readdir(join(directory, 'partial'))).sort();
  await truncate(join(directory, 'partial', note), 0);
  const content = await open();
  assert.equal(await content.reopen(digest), undefined);
  const next = await content.begin(digest);
  await next.write(Buffer.alloc(1000, 1), 0);
  await next.note('hello');
  await next.close();
});
