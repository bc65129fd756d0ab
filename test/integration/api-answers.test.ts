import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { methodOf, OPERATIONS, type Operation } from '../../src/admin/index.ts';
import { ask, operatorSession, type PageSession } from '../support/api-stage.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// What each operation answers is what it declares: the page and other programs read it by that.

type AnyOperation = Operation<unknown, unknown, never>;

const image = buildImage({ seed: 'answers' });
const IMAGE = 'plain/acme/app:latest';
let upstream: ScriptedUpstream;
let mirror: Mirror;
let operator: PageSession;
let document: { readonly paths: Record<string, Record<string, { responses: Record<string, unknown> }>> };

before(async () => {
  upstream = await startScriptedUpstream();
  for (const name of ['acme/app', 'acme/other']) upstream.add(image, name, ['latest', 'v1']);
  mirror = await startMirror({
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
    access: { rules: [{ who: 'anonymous', may: ['pull', 'catalog'], on: ['plain/**'] }] },
  });
  const { digest } = platformOf(image, 'amd64').manifest;
  for (const reference of ['latest', 'v1', image.index.digest, digest]) {
    assert.equal((await mirror.get(`/v2/acme/app/manifests/${reference}`)).status, 200);
  }
  for (const blob of image.blobs) assert.equal((await mirror.get(`/v2/acme/app/blobs/${blob.digest}`)).status, 200);
  assert.equal((await mirror.get('/v2/acme/missing/manifests/latest')).status, 404);
  operator = await operatorSession(mirror);
  const answer = await ask(mirror, 'GET', '/api/openapi.json', { headers: operator.reading });
  assert.equal(answer.status, 200);
  document = answer.value as typeof document;
});
after(async () => {
  await mirror.stop();
  await upstream.stop();
});

/** Inputs by name and method: what needs one, or has more than one kind of answer. */
const INPUTS: Readonly<Record<string, readonly object[]>> = {
  'GET history': [{ image: IMAGE }, { image: 'plain/acme/nothing' }],
  'GET tags': [{ image: 'plain/acme/app' }, { image: 'plain/acme/nothing' }],
  'GET image': [
    { image: IMAGE },
    { image: `plain/acme/app@${image.index.digest}` },
    { image: 'plain/acme/app:nothing' },
  ],
  'GET explain': [{ of: IMAGE }, { of: 'plain/acme/other:v1', who: 'anonymous' }, { of: 'zzzz-1' }],
  'GET access/explain': [
    { who: 'anonymous', action: 'pull', image: IMAGE },
    { who: 'anonymous', action: 'admin' },
  ],
  'GET pulls': [{}, { limit: 1 }, { image: 'acme', outcome: 'miss' }, { running: true }],
  'GET figures': [{}, { step: 'day', image: 'plain/acme/app' }, { from: 0, to: Date.now() }],
  'GET repositories': [{}, { search: 'app', limit: 1 }, { registry: 'plain' }],
  'GET suggest': [{}],
  'GET clients': [{}, { host: 'mirror.example.com:5000' }],
  'POST gc': [{ dryRun: true }],
  'POST purge': [
    { patterns: ['plain/acme/other'], dryRun: true },
    { patterns: ['plain/acme/**'], dryRun: true },
  ],
  'POST refresh': [{ patterns: ['plain/acme/app'] }, { patterns: ['plain/acme/nothing:v1'] }],
  'POST rollback': [{ image: `${IMAGE}@${image.index.digest}`, reason: 'test' }],
  'POST unhold': [{ image: IMAGE }],
  'POST users/add': [
    { name: 'zoe', password: 'correct horse' },
    { name: 'zoe', password: 'correct horse' },
  ],
  'POST users/passwd': [{ name: 'zoe', password: 'another horse' }],
  'POST users/disable': [{ name: 'zoe' }],
  'POST users/enable': [{ name: 'zoe' }],
  'POST tokens/create': [{ name: 'ci', owner: 'zoe', may: ['pull'], on: ['plain/**'] }],
  'POST tokens/revoke': [{ name: 'ci' }, { name: 'nothing' }],
  'POST users/remove': [{ name: 'zoe' }, { name: 'zoe' }],
  'POST webhooks/test': [{}],
  'POST pin': [{ image: IMAGE }],
  'POST unpin': [{ image: IMAGE }],
  'POST registries/check': [{ name: 'plain' }, { name: 'nothing' }],
  'POST warm': [{ images: ['plain/acme/other:v1'] }, { images: ['plain/acme/nothing:v1'] }],
  'POST warm/cancel': [{ id: 'nothing' }],
  'POST scrub': [{}, { stop: true }],
};

/** Where an operation needs what another one makes. */
const LATER = [
  'users/passwd',
  'users/disable',
  'users/enable',
  'tokens/create',
  'tokens/revoke',
  'users/remove',
  'unpin',
  'unhold',
];

const inOrder = (Object.values(OPERATIONS) as readonly AnyOperation[])
  .filter(({ socketOnly = false }) => !socketOnly)
  .toSorted((one, other) => LATER.indexOf(one.name) - LATER.indexOf(other.name));

describe('an operation', () => {
  for (const operation of inOrder) {
    const method = methodOf(operation);
    const inputs = INPUTS[`${method} ${operation.name}`] ?? [{}];
    test(`${method} ${operation.name} answers what it declares`, async () => {
      const statuses: number[] = [];
      for (const input of inputs) {
        const path = `/api/v1/${operation.name}`;
        const answer =
          method === 'POST'
            ? await ask(mirror, method, path, { headers: operator.changing, body: input })
            : await ask(mirror, method, `${path}?${queryOf(input)}`, { headers: operator.reading });
        statuses.push(answer.status);
        const declared = document.paths[path]?.[method.toLowerCase()]?.responses ?? {};
        assert.ok(Object.hasOwn(declared, String(answer.status)), `${answer.status}: ${answer.body.toString()}`);
        if (answer.status !== 200) continue;
        const { data, error } = operation.answer.safeParse(answer.value);
        assert.equal(error, undefined);
        // Nothing that is not declared, either.
        assert.deepEqual(answer.value, data);
      }
      assert.equal(statuses[0], operation.name === 'webhooks/test' ? 422 : 200, statuses.join(' '));
      for (const status of statuses) assert.ok(status < 500, statuses.join(' '));
    });
  }
});

function queryOf(input: object): string {
  return new URLSearchParams(Object.entries(input).map(([name, value]) => [name, String(value)])).toString();
}
