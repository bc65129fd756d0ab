import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FakeFailure } from '../support/fake-origin.ts';

/** What is asked through the code under test, once for all that wait. */
type Origin = () => Promise<void>;

/** A question that several requests share; its answer is the same for all of them. */
export interface JoinedQuestion {
  /** Asks, and rejects with the signal's reason where it leaves. */
  ask(signal: AbortSignal): Promise<unknown>;
  /** Forgets answers and failures, so that the next request has to ask. */
  forget?(): void;
  close?(): Promise<void>;
}

type Step =
  | { readonly kind: 'ask' }
  | { readonly kind: 'answer' }
  | { readonly kind: 'fail' }
  | { readonly kind: 'turn' }
  | { readonly kind: 'leave'; readonly who: number };

interface Client {
  readonly left: AbortController;
  done: Promise<void>;
  isDone: boolean;
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'ask' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('leave' as const), who: fc.nat(10) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'answer' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'fail' as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'turn' as const }) },
);

/**
 * A property of questions that are joined: whichever requests leave, and at any time, each that stays gets the answer or the origin's
 * failure, each that leaves is free at once, and nothing is left behind.
 */
export function joinedQuestions(name: string, open: (origin: Origin) => Promise<JoinedQuestion>): void {
  test(`${name}: each request that stays gets an answer, and nothing is left behind`, async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => run(steps, open)),
        { numRuns: 100 },
      );
      await turn();
      assert.deepEqual(unhandled, []);
    } finally {
      process.off('unhandledRejection', note);
    }
  });
}

async function run(steps: readonly Step[], open: (origin: Origin) => Promise<JoinedQuestion>): Promise<void> {
  const pending: PromiseWithResolvers<void>[] = [];
  let isOver = false;
  let questions = 0;
  const question = await open(() => {
    questions += 1;
    const answer = Promise.withResolvers<void>();
    if (isOver) answer.resolve();
    else pending.push(answer);
    return answer.promise;
  });
  const clients: Client[] = [];
  function ask(): void {
    const left = new AbortController();
    const client: Client = { left, isDone: false, done: Promise.resolve() };
    client.done = question.ask(left.signal).then(
      () => void (client.isDone = true),
      (error: unknown) => {
        client.isDone = true;
        assert.ok(left.signal.aborted || error instanceof FakeFailure, `a stranger's failure: ${String(error)}`);
      },
    );
    clients.push(client);
  }
  for (const next of steps) {
    if (next.kind === 'ask') ask();
    else if (next.kind === 'answer') pending.shift()?.resolve();
    else if (next.kind === 'fail') pending.shift()?.reject(new FakeFailure('unavailable'));
    else if (next.kind === 'leave') await leave(clients[next.who]);
    else await turn();
  }
  isOver = true;
  for (const answer of pending.splice(0)) answer.resolve();
  await Promise.all(clients.map(({ done }) => done));
  await turn();
  question.forget?.();
  const before = questions;
  await question.ask(new AbortController().signal);
  assert.ok(questions > before, 'a question of before is left');
  await question.close?.();
}

async function leave(client: Client | undefined): Promise<void> {
  if (client === undefined) return;
  client.left.abort(new Error('left'));
  await Promise.race([client.done, turn().then(turn).then(turn)]);
  assert.equal(client.isDone, true, 'a request that leaves has to wait');
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
