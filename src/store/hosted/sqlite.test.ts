import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { hostedStoreSuite } from '../../../test/suites/hosted-store.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { openHostedStore } from './open.ts';

hostedStoreSuite('sqlite', async (t) => {
  const store = await openHostedStore(await temporaryFile(t));
  t.after(() => store.close());
  return store;
});

async function temporaryFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-hosted-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'hosted.db');
}
