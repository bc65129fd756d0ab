import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { methodOf, OPERATIONS, type Operation } from '../../src/admin/index.ts';
import { ask, operate, operatorSession } from '../support/api-stage.ts';
import { followEvents } from '../support/event-stream.ts';
import { buildImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// No answer of the API names a repository that its client may not pull from, whatever the rules are. Who may pull what is found out by
// pulling.

const image = buildImage({ seed: 'visibility' });
const USERS = ['alice', 'bob'] as const;
/** Words that stand in no answer for another reason. */
const REPOSITORIES = ['redwood/oak', 'redwood/elm', 'bluewater/oak', 'bluewater/fen/deep'];
/** Never pulled by anyone. */
const MISSING = 'greenland/none';

let dir: string;
let upstream: ScriptedUpstream;
let mirror: Mirror;
let htpasswd: string;

const withRules = (rules: readonly object[]) => ({
  default_registry: 'plain',
  registries: { plain: { upstreams: [upstream.url] } },
  access: { htpasswd, rules },
});

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'entrepot-visibility-'));
  htpasswd = join(dir, 'htpasswd');
  await writeFile(htpasswd, htpasswdOf(...USERS));
  upstream = await startScriptedUpstream();
  for (const name of REPOSITORIES) upstream.add(image, name, ['latest']);
  mirror = await startMirror(withRules([{ who: 'alice', may: ['pull'], on: ['plain/**'] }]));
  for (const name of REPOSITORIES) {
    assert.equal((await mirror.get(`/v2/${name}/manifests/latest`, basic('alice'))).status, 200);
    for (const { digest } of image.blobs) {
      assert.equal((await mirror.get(`/v2/${name}/blobs/${digest}`, basic('alice'))).status, 200);
    }
    await operate(mirror, OPERATIONS.pin, { image: `plain/${name}:latest` });
  }
  await operate(mirror, OPERATIONS.warm, { images: REPOSITORIES.map((name) => `plain/${name}:latest`) });
});
after(async () => {
  await mirror.stop();
  await upstream.stop();
  await rm(dir, { recursive: true, force: true });
});

const mayRead: readonly Operation<unknown, unknown, never>[] = (
  Object.values(OPERATIONS) as readonly Operation<unknown, unknown, never>[]
).filter((operation) => operation.action === 'status' && methodOf(operation) === 'GET');

/** Queries that ask for what a repository has. */
const questions = (name: string): readonly string[] => [
  `tags?image=plain/${name}`,
  `image?image=plain/${name}:latest`,
  `explain?of=plain/${name}:latest`,
  `pulls?image=${name}`,
  `figures?image=plain/${name}`,
  `repositories?search=${name.split('/')[0]}`,
];

const lists = (): readonly string[] => [
  ...mayRead.filter(({ input }) => input.safeParse({}).success).map(({ name }) => name),
  'repositories?limit=1',
  'pulls?limit=1',
  'figures?step=day',
];

const patterns = fc.subarray(
  ['plain/**', 'plain/redwood/**', 'plain/bluewater/*', 'plain/*/oak', 'plain/bluewater/fen/deep'],
  { minLength: 1 },
);
const rules = fc.array(
  fc.record({
    who: fc.constantFrom('alice', 'bob', 'anonymous'),
    may: fc.constantFrom(['pull'], ['pull', 'catalog'], ['catalog']),
    on: patterns,
    private: fc.boolean(),
  }),
  { maxLength: 4 },
);

describe('what a client reads of the API', () => {
  test('has operations to ask, and finds what may be seen', async () => {
    await mirror.reload(
      withRules([
        { who: 'alice', may: ['status'] },
        { who: 'alice', may: ['pull'], on: ['plain/**'] },
      ]),
    );
    const told = await Promise.all(
      lists().map((path) => ask(mirror, 'GET', `/api/v1/${path}`, { headers: basic('alice') })),
    );
    for (const { status, body } of told) assert.equal(status, 200, body.toString());
    const text = told.map(({ body }) => body.toString()).join('\n');
    for (const name of REPOSITORIES) assert.ok(text.includes(name), name);
    assert.ok(lists().length >= 8, lists().join(' '));
  });

  test('names no repository that it may not pull from', async () => {
    await fc.assert(
      fc.asyncProperty(rules, fc.constantFrom(...USERS, undefined), async (given, user) => {
        const reading = [{ who: 'anonymous', may: ['status'] }];
        const { outcome } = await mirror.reload(withRules([...reading, ...given]));
        assert.notEqual(outcome, 'refused');
        const headers = user === undefined ? {} : basic(user);
        const hidden: string[] = [];
        for (const name of REPOSITORIES) {
          const { status } = await mirror.head(`/v2/${name}/manifests/latest`, headers);
          if (status !== 200) hidden.push(name);
        }
        for (const path of lists()) {
          const { status, body } = await ask(mirror, 'GET', `/api/v1/${path}`, { headers });
          assert.equal(status, 200, body.toString());
          for (const name of hidden) assert.ok(!body.includes(name), `${path} names ${name}: ${body.toString()}`);
        }
        // What is hidden is answered like what is not there.
        for (const name of hidden) {
          for (const [at, path] of questions(name).entries()) {
            const asked = await ask(mirror, 'GET', `/api/v1/${path}`, { headers });
            const missing = await ask(mirror, 'GET', `/api/v1/${questions(MISSING)[at]}`, { headers });
            assert.equal(asked.status, missing.status, `${path}: ${asked.body.toString()} ${missing.body.toString()}`);
            const told = asked.body.toString().replaceAll(name, MISSING);
            for (const other of hidden) assert.ok(!told.includes(other), `${path} names ${other}: ${told}`);
            for (const { digest } of image.blobs)
              assert.ok(!told.includes(digest), `${path} tells of ${digest}: ${told}`);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  test('and what it follows does not, either', async () => {
    await mirror.reload(
      withRules([
        { who: USERS, may: ['status'] },
        { who: 'alice', may: ['pull'], on: ['plain/**'] },
        { who: 'bob', may: ['pull'], on: ['plain/redwood/**'] },
      ]),
    );
    const [alice, bob, operator] = [
      await followEvents(mirror.url, { headers: basic('alice') }),
      await followEvents(mirror.url, { headers: basic('bob') }),
      await followEvents(mirror.url, { headers: (await operatorSession(mirror)).reading }),
    ];
    // The last is seen by all.
    await operate(mirror, OPERATIONS.purge, { patterns: ['plain/**'] });
    for (const name of REPOSITORIES.toReversed()) {
      assert.equal((await mirror.get(`/v2/${name}/manifests/latest`, basic('alice'))).status, 200);
      for (const { digest } of image.blobs) await mirror.get(`/v2/${name}/blobs/${digest}`, basic('alice'));
    }
    await operate(mirror, OPERATIONS.warm, { images: REPOSITORIES.map((name) => `plain/${name}:latest`) });
    const isOver = ({ event, data }: { readonly event: string; readonly data: unknown }): boolean =>
      event === 'warm' && (data as { endedAt?: number }).endedAt !== undefined;
    for (const stream of [alice, bob, operator]) await stream.next(isOver);
    for (const stream of [alice, bob, operator]) stream.close();
    const told = (messages: typeof alice.messages): string => JSON.stringify(messages);
    assert.ok(told(alice.messages).includes('bluewater') && told(operator.messages).includes('bluewater'));
    assert.ok(told(bob.messages).includes('redwood'));
    assert.ok(!told(bob.messages).includes('bluewater'), told(bob.messages));
    const kinds = new Set(operator.messages.map(({ event }) => event));
    for (const kind of ['pull', 'transfer.ended', 'warm']) assert.ok(kinds.has(kind), [...kinds].join(' '));
  });
});
