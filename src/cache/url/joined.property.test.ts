import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readUntilItEnds, type Scope } from '../../../test/support/cache-world.ts';
import { FakeFailure } from '../../../test/support/fake-origin.ts';
import { plainResponse } from '../../../test/support/fake-site.ts';
import { noise } from '../../../test/support/image.ts';
import { type UrlStage, urlStage } from '../../../test/support/url-stage.ts';
import type { ByteSource } from '../../lib/index.ts';
import type { UrlAnswer, UrlOpen, UrlResponse } from './request.ts';

/** More than the buffers on the way hold. */
const BYTES = noise('joined', 300_000);

/** What the site says to each question, by any client. */
const SAYINGS = {
  shared: { 'cache-control': 'max-age=0' },
  private: { 'cache-control': 'private' },
  varying: { vary: 'accept' },
  cookie: { 'set-cookie': 'a=b' },
  unavailable: 503,
  refused: 403,
  missing: 404,
  dead: 'unavailable',
  invalid: 'invalid',
} as const;

type Saying = keyof typeof SAYINGS;

type Step =
  | { readonly kind: 'ask'; readonly head: boolean; readonly range: boolean; readonly personal: boolean }
  | { readonly kind: 'leave'; readonly who: number }
  | { readonly kind: 'answer' }
  | { readonly kind: 'say'; readonly saying: Saying }
  | { readonly kind: 'wait'; readonly turns: number };

const saying = fc.constantFrom(...(Object.keys(SAYINGS) as Saying[]));
const rarely = (n: number) => fc.integer({ min: 0, max: n }).map((chance) => chance === 0);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('ask' as const), head: rarely(5), range: rarely(5), personal: rarely(7) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('leave' as const), who: fc.nat(12) }) },
  { weight: 4, arbitrary: fc.constant({ kind: 'answer' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('say' as const), saying }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), turns: fc.integer({ min: 1, max: 6 }) }) },
);

/** A body that tells whether it was dealt with. */
interface Opened {
  readonly by: number;
  state: 'open' | 'ended' | 'cancelled';
}

test('every request that stays gets an answer of its own or a shared one, and no body stays open', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    await fc.assert(
      fc.asyncProperty(saying, fc.boolean(), fc.array(step, { maxLength: 50 }), async (first, isStored, steps) => {
        const cleanUps: (() => Promise<void>)[] = [];
        const scope: Scope = { after: (cleanUp) => void cleanUps.push(cleanUp) };
        try {
          await run(await urlStage(scope, { bytes: BYTES, headers: { etag: '"v0"' } }), { first, isStored, steps });
        } finally {
          for (const cleanUp of cleanUps.toReversed()) await cleanUp();
        }
      }),
      { numRuns: 150 },
    );
    await turns(5);
    assert.deepEqual(unhandled, []);
  } finally {
    process.off('unhandledRejection', note);
  }
});

interface Run {
  readonly first: Saying;
  readonly isStored: boolean;
  readonly steps: readonly Step[];
}

async function run(stage: UrlStage, { first, isStored, steps }: Run): Promise<void> {
  const { site, ask, cache, fill } = stage;
  if (isStored) await fill();
  const opened: Opened[] = [];
  const pending: (() => void)[] = [];
  const leaves: AbortController[] = [];
  const asked: Promise<void>[] = [];
  let isOver = false;
  let said: Saying = first;
  let version = 0;

  /** Asks the site for one client, whose number every answer has. */
  async function openFor(by: number, asking: UrlOpen): Promise<UrlResponse> {
    if (!isOver) await Promise.race([new Promise<void>((answer) => pending.push(answer)), aborted(asking.signal)]);
    asking.signal.throwIfAborted();
    const what = SAYINGS[said];
    if (typeof what === 'string') throw new FakeFailure(what);
    if (typeof what === 'number') return watched(plainResponse(what), { by, asking });
    version += 1;
    site.version = { bytes: BYTES, headers: { etag: `"v${version}"`, ...what } };
    return watched(await site.open(asking), { by, asking });
  }

  function watched(response: UrlResponse, { by, asking }: { by: number; asking: UrlOpen }): UrlResponse {
    const body: Opened = { by, state: asking.method === 'HEAD' || response.status === 304 ? 'ended' : 'open' };
    opened.push(body);
    return { ...response, headers: { ...response.headers, 'x-for': String(by) }, body: watch(response.body, body) };
  }

  async function begin({ head, range, personal }: Step & { kind: 'ask' }): Promise<void> {
    const who = leaves.length;
    const left = new AbortController();
    leaves.push(left);
    let answer: UrlAnswer;
    try {
      answer = await ask({
        open: (asking) => openFor(who, asking),
        method: head ? 'HEAD' : 'GET',
        range: range ? 'bytes=5-9' : undefined,
        personal,
        signal: left.signal,
      });
    } catch (error) {
      assert.ok(left.signal.aborted || error instanceof FakeFailure, `a stranger's failure: ${String(error)}`);
      return;
    }
    if (answer.kind === 'through') {
      assert.equal(answer.response.headers['x-for'], String(who), "another's answer");
      if (left.signal.aborted || head) answer.response.body.cancel();
      else await readWhole(answer.response.body);
      return;
    }
    const rest = answer.headers['cache-control'] ?? '';
    assert.ok(!rest.includes('private') && answer.headers['set-cookie'] === undefined, 'a private answer is shared');
    if (left.signal.aborted) answer.reader.close();
    else await readUntilItEnds(answer.reader, 64 * 1024);
  }

  for (const next of steps) {
    if (next.kind === 'ask') asked.push(begin(next));
    else if (next.kind === 'leave') leaves[next.who]?.abort(new Error('left'));
    else if (next.kind === 'answer') pending.shift()?.();
    else if (next.kind === 'say') said = next.saying;
    else await turns(next.turns);
  }
  isOver = true;
  for (const answer of pending.splice(0)) answer();
  await Promise.all(asked);
  while ([...cache.urls.transfers].length > 0) await turns(1);
  await turns(3);
  const open = opened.filter(({ state }) => state === 'open');
  assert.deepEqual(open, [], 'bodies that are neither read nor cancelled');
  // No question of before is left for a later request to join.
  cache.urls.clearFailures();
  said = 'private';
  const before = opened.length;
  await begin({ kind: 'ask', head: false, range: false, personal: false });
  assert.ok(opened.slice(before).every(({ by }) => by === leaves.length - 1));
  assert.ok(opened.length > before, 'the site was not asked');
}

function watch(source: ByteSource, body: Opened): ByteSource {
  return {
    async read() {
      const piece = await source.read();
      if (piece === undefined && body.state === 'open') body.state = 'ended';
      return piece;
    },
    cancel(reason) {
      if (body.state === 'open') body.state = 'cancelled';
      source.cancel(reason);
    },
  };
}

async function readWhole(body: ByteSource): Promise<void> {
  while ((await body.read()) !== undefined);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise(setImmediate);
}
