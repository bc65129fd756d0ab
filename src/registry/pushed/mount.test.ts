import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type UploadStage, uploadStage } from '../../../test/support/upload-stage.ts';
import type { AccessRequest, Decision } from '../../access/index.ts';
import { digestOf } from '../../oci/index.ts';

const BLOB = Buffer.from('a layer');
const DIGEST = digestOf(BLOB);
const TARGET = '/v2/team/app/blobs/uploads/';
const APP = { registry: 'apps', repository: 'team/app' };

/** Puts the blob into a hosted repository. */
async function push(stage: UploadStage, path: string): Promise<void> {
  assert.equal((await stage.send('POST', `${path}?digest=${DIGEST}`, { body: BLOB })).status, 201);
}

async function mount(stage: UploadStage, query: string, path = TARGET) {
  const { status, headers } = await stage.send('POST', `${path}?mount=${DIGEST}${query}`);
  return { status, location: headers.location, digest: headers['docker-content-digest'], stage };
}

async function assertMounted(answer: Awaited<ReturnType<typeof mount>>): Promise<void> {
  const { stage, ...shown } = answer;
  assert.deepEqual(shown, { status: 201, location: `/v2/team/app/blobs/${DIGEST}`, digest: DIGEST });
  assert.deepEqual(await stage.contentOf(APP, DIGEST), BLOB);
  assert.equal(stage.uploads.count, 0);
}

async function assertSession(answer: Awaited<ReturnType<typeof mount>>): Promise<void> {
  const { status, location = '', stage } = answer;
  assert.equal(status, 202);
  assert.equal(await stage.records.getBlob(APP, DIGEST), undefined);
  // The client goes on with an upload.
  assert.equal((await stage.send('PUT', `${location}?digest=${DIGEST}`, { body: BLOB })).status, 201);
}

const nameOf = ({ repository }: AccessRequest): string => `${repository?.registry}/${repository?.repository}`;

/** Refuses to show one repository. */
const hiding =
  (hidden: string, decision: Decision = { allowed: false, reason: 'hidden' }) =>
  (request: AccessRequest): Decision =>
    request.action === 'pull' && nameOf(request) === hidden ? decision : { allowed: true };

const ONLY_PUBLIC: Decision = { allowed: true, onlyPublic: true, reason: 'not public' };

describe('from a hosted repository', () => {
  for (const from of ['team/base', 'apps/team/base']) {
    test(`as the client names it: ${from}`, async (t) => {
      const stage = await uploadStage(t);
      await push(stage, '/v2/team/base/blobs/uploads/');
      await assertMounted(await mount(stage, `&from=${from}`));
      assert.equal(stage.pushed.at(-1)?.how, 'mounted');
    });
  }

  for (const [path, from] of [
    ['/v2/docker.io/acme/app/blobs/uploads/', 'docker.io/acme/base'],
    ['/v2/docker.io/acme/app/blobs/uploads/', 'acme/base'],
    ['/hub/v2/acme/app/blobs/uploads/', 'acme/base'],
    ['/v2/acme/app/blobs/uploads/', 'acme/base'],
  ] as const) {
    test(`in the addressing of the client: ${path} from ${from}`, async (t) => {
      const stage = await uploadStage(t);
      const query = path.startsWith('/v2/acme') ? '&ns=docker.io' : '';
      await push(stage, '/v2/docker.io/acme/base/blobs/uploads/');
      const { status } = await mount(stage, `&from=${from}${query}`, path);
      assert.equal(status, 201);
      assert.deepEqual(await stage.contentOf({ registry: 'docker.io', repository: 'acme/app' }, DIGEST), BLOB);
    });
  }

  test('of another registry', async (t) => {
    const stage = await uploadStage(t);
    await push(stage, '/v2/docker.io/acme/base/blobs/uploads/');
    await assertMounted(await mount(stage, '&from=docker.io/acme/base'));
  });

  for (const [why, from, authorize] of [
    ['it does not have the blob', 'team/none', undefined],
    ['no repository has that name', 'Team/Base', undefined],
    ['the name climbs', '../team/base', undefined],
    ['the name is encoded', 'team%252Fbase', undefined],
    ['no registry has that name', 'ghcr.io/team/base', undefined],
    ['the client may not pull it', 'team/base', hiding('apps/team/base')],
    ['the client may pull only what is public', 'team/base', hiding('apps/team/base', ONLY_PUBLIC)],
  ] as const) {
    test(`a session where ${why}`, async (t) => {
      const stage = await uploadStage(t, authorize === undefined ? {} : { authorize });
      await push(stage, '/v2/team/base/blobs/uploads/');
      await assertSession(await mount(stage, `&from=${from}`));
    });
  }

  test('a session where the file is lost', async (t) => {
    const stage = await uploadStage(t);
    await push(stage, '/v2/team/base/blobs/uploads/');
    await stage.store.delete(DIGEST);
    await assertSession(await mount(stage, '&from=team/base'));
  });
});

describe('without a source', () => {
  for (const from of ['', '&from=']) {
    test(`from what the client may pull: "${from}"`, async (t) => {
      const stage = await uploadStage(t, { authorize: hiding('apps/team/hidden') });
      await push(stage, '/v2/team/hidden/blobs/uploads/');
      await assertSession(await mount(stage, from));
    });
  }

  test('from the one that the client may pull', async (t) => {
    const stage = await uploadStage(t, { authorize: hiding('apps/team/hidden') });
    for (const name of ['hidden', 'shown']) await push(stage, `/v2/team/${name}/blobs/uploads/`);
    await assertMounted(await mount(stage, ''));
  });
});

describe('from a mirrored repository', () => {
  for (const [why, says, isPlanted, authorize, isMounted] of [
    ['it is a member, and stored', true, true, undefined, true],
    ['it is no member', false, true, undefined, false],
    ['it is not stored', true, false, undefined, false],
    ['the client may not pull it', true, true, hiding('docker.io/library/nginx'), false],
  ] as const) {
    test(why, async (t) => {
      const asked: unknown[] = [];
      const stage = await uploadStage(t, {
        ...(authorize === undefined ? {} : { authorize }),
        mirroredBlob: async (from, digest, how) => {
          asked.push([from.registry, from.repository, digest, how.onlyPublic]);
          return says;
        },
      });
      if (isPlanted) stage.cacheStore.plant(DIGEST, BLOB);
      const answer = await mount(stage, '&from=docker.io/nginx');
      await (isMounted ? assertMounted(answer) : assertSession(answer));
      assert.deepEqual(asked, authorize === undefined ? [['docker.io', 'library/nginx', DIGEST, false]] : []);
    });
  }

  test('asks whether it is public where that is the condition', async (t) => {
    const stage = await uploadStage(t, {
      authorize: hiding('docker.io/library/nginx', ONLY_PUBLIC),
      mirroredBlob: async (_from, _digest, { onlyPublic }) => !onlyPublic,
    });
    stage.cacheStore.plant(DIGEST, BLOB);
    await assertSession(await mount(stage, '&from=docker.io/library/nginx'));
  });
});
