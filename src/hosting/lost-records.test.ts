import assert from 'node:assert/strict';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { putBlob } from '../../test/suites/blob-store.ts';
import { buildImage } from '../../test/support/image.ts';
import { memoryDirectory } from '../../test/support/temporary.ts';
import type { Digest, Reference, Repository } from '../oci/index.ts';
import { loadHostedStore, openHostedBlobStore } from '../store/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { HostingRules, loadHosting, loadLayouts } from './index.ts';

const { openHostedStore } = await loadHostedStore();
const { Hosting } = await loadHosting();
const { LayoutWriter, rebuildRecords, watchRecords } = await loadLayouts();

const APP: Repository = { registry: 'apps', repository: 'team/web' };
const BY = { by: 'alice', client: '127.0.0.1' };

test('what was pushed is served again after the records are lost, and pushed on to', async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, 'hosted.db');
  const image = buildImage({ layers: [5000] });
  const first = await openServer(t, directory);
  await first.push(
    image.platforms.map(({ manifest }) => manifest),
    image.blobs,
  );
  await first.push([image.index], [], ['v1', 'latest']);
  await first.close();
  await rename(file, join(directory, '..', `${Date.now()}.lost`));
  await assert.rejects(openHostedStore(file), /it is missing, and repositories\/ beside it is not empty/);

  const records = await openHostedStore(file, { isRebuild: true });
  const store = await openHostedBlobStore(directory);
  const report = await rebuildRecords({ directory, records, store });
  assert.deepEqual(report, { repositories: 1, manifests: 3, blobs: 4, tags: 2, problems: 0 });
  await records.close();

  const second = await openServer(t, directory);
  assert.deepEqual(await second.read({ kind: 'tag', tag: 'latest' }), image.index.bytes);
  for (const { digest, bytes } of image.manifests)
    assert.deepEqual(await second.read({ kind: 'digest', digest }), bytes);
  const next = buildImage({ seed: 'next', layers: [100] });
  await second.push(
    next.platforms.map(({ manifest }) => manifest),
    next.blobs,
  );
  await second.push([next.index], [], ['latest']);
  assert.deepEqual(await second.read({ kind: 'tag', tag: 'latest' }), next.index.bytes);
  assert.deepEqual(await second.read({ kind: 'tag', tag: 'v1' }), image.index.bytes);
  await second.close();
});

interface Content {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** All that a server with hosted repositories has below its doors, put together as it does. */
async function openServer(t: TestContext, directory: string) {
  const store = await openHostedBlobStore(directory);
  const records = await openHostedStore(join(directory, 'hosted.db'));
  const telemetry = new Telemetry();
  const warnings: string[] = [];
  const layouts = new LayoutWriter({ directory, records, store, warn: (message) => warnings.push(message) });
  const watched = watchRecords(records, (repository) => layouts.changed(repository));
  const rules = new HostingRules([
    {
      name: 'apps',
      hosting: {
        hosted: ['**'],
        push: [],
        immutableTags: [],
        quota: undefined,
        sparse: false,
        keepUntagged: undefined,
      },
    },
  ]);
  const hosting = await Hosting.open({ store, records: watched, rules: () => rules, telemetry });
  await layouts.start();
  const close = async (): Promise<void> => {
    await hosting.close();
    await layouts.close();
    await records.close();
    assert.deepEqual(warnings, []);
  };
  t.after(() => layouts.close());
  return {
    close,
    async push(manifests: readonly Content[], blobs: readonly Content[], tags: readonly string[] = []) {
      for (const { digest, size, bytes } of blobs) {
        await putBlob(store, bytes, digest);
        await watched.putBlob(APP, { digest, size }, { at: Date.now() });
      }
      for (const { digest, bytes, mediaType } of manifests) {
        const push = {
          ...BY,
          reference: { kind: 'digest', digest } as const,
          bytes,
          contentType: mediaType,
          tags,
          condition: { ifMatch: undefined, ifNoneMatch: undefined },
        };
        await hosting.manifests.put(APP, push);
      }
    },
    async read(reference: Reference): Promise<Buffer | undefined> {
      return (await hosting.manifests.read(APP, reference, { head: false })).bytes;
    },
  };
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-lost-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'hosted');
}
