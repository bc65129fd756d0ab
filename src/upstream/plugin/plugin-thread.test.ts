import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Workspace } from '../../../test/support/processes.ts';
import type { RoutingQuestion } from './contract.ts';
import { PluginError, PluginThread } from './plugin-thread.ts';

const question: RoutingQuestion = {
  registry: 'docker.io',
  repository: 'library/nginx',
  content: 'blob',
  method: 'GET',
  digest: `sha256:${'0'.repeat(64)}`,
  now: 0,
  upstreams: ['near', 'far'].map((name) => ({ name, host: name, weight: 1, state: 'up' })),
};

let workspace: Workspace;
before(async () => {
  workspace = await Workspace.open();
});
after(() => workspace.close());

let count = 0;

/** A plugin of this text, with deadlines that a busy machine keeps. */
async function threadOf(text: string, options: ConstructorParameters<typeof PluginThread>[1] = {}) {
  count += 1;
  const file = await workspace.file(`plugin-${count}.mjs`, text);
  const thread = new PluginThread(file, { answerWithin: 20_000, loadWithin: 20_000, ...options });
  return Object.assign(thread, { [Symbol.dispose]: () => thread.close() });
}

function fails(failure: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof PluginError, String(error));
    assert.equal(error.failure, failure, error.message);
    assert.match(error.message, message);
    return true;
  };
}

describe('a plugin in its thread', () => {
  const orders: readonly (readonly [text: string, order: readonly string[] | undefined])[] = [
    ['export default ({ upstreams }) => upstreams.map(({ name }) => name).reverse()', ['far', 'near']],
    ['export default async () => ["far"]', ['far']],
    ['export default () => []', []],
    ['export default () => undefined', undefined],
    [
      'export default (question) => { question.upstreams.length = 0; question.registry = "x"; return ["far"]; }',
      ['far'],
    ],
    ['console.log("printed"); export default () => { console.error("printed"); return ["far"]; }', ['far']],
  ];
  for (const [text, order] of orders) {
    test(`answers: ${text}`, async () => {
      using thread = await threadOf(text);
      assert.deepEqual(await thread.order(question), order);
    });
  }

  const faults: readonly (readonly [text: string, failure: string, message: RegExp])[] = [
    ['export default function (', 'load', /^cannot be loaded: SyntaxError: .*\(node --check .*\.mjs shows where\)$/],
    ['1;\nnull.x;\nexport default () => []', 'load', /^cannot be loaded: TypeError: .* \(plugin-\d+\.mjs:2\)$/],
    ['import "./absent.mjs"; export default () => []', 'load', /^cannot be loaded: Error: Cannot find module/],
    ['export const order = () => []', 'load', /^has no default export; expected a function/],
    ['export default { order() {} }', 'load', /^has \{ order: \[Function: order\] \} as its default export; expected/],
    ['process.exit(3)', 'load', /^ended its thread, with the exit code 3$/],
    ['export default () => { throw new TypeError("oh"); }', 'threw', /^threw TypeError: oh \(plugin-\d+\.mjs:1\)$/],
    ['export default () => { throw "oh"; }', 'threw', /^threw 'oh'$/],
    ['export default () => Promise.reject(new Error("oh"))', 'threw', /^threw Error: oh/],
    [
      'export default () => "near"',
      'invalid',
      /^returned 'near', expected a list of names of upstreams, or undefined$/,
    ],
    ['export default () => null', 'invalid', /^returned null, expected a list/],
    ['export default () => [1]', 'invalid', /^returned \[ 1 \], expected names of upstreams alone$/],
    ['export default () => Array(1e6).fill("near")', 'invalid', /more items \], expected at most 2 names$/],
    [
      'export default () => ["near", "evil"]',
      'invalid',
      /"evil" is no upstream of the question, which has "near", "far"$/,
    ],
    ['export default () => ["far", "far"]', 'invalid', /"far" is in it twice; name each upstream once$/],
    ['export default () => ["\\u001b[31mred"]', 'invalid', /^\P{Cc}*\\u001b\P{Cc}*$/u],
    [
      'export default () => Object.defineProperty([0], 0, { get() { throw new Error("ha"); } })',
      'invalid',
      /^returned what cannot be read: Error: ha/,
    ],
    ['export default () => process.exit(4)', 'crashed', /^ended its thread, with the exit code 4$/],
    [
      'export default () => new Promise(() => setTimeout(() => { throw new RangeError("later"); }, 0))',
      'crashed',
      /^ended its thread: RangeError: later$/,
    ],
    [
      'export default () => { const all = []; for (;;) all.push(Array(1e5).fill(all.length + 0.5)); }',
      'crashed',
      /^ended its thread: Error: Worker terminated due to reaching memory limit/,
    ],
  ];
  for (const [text, failure, message] of faults) {
    test(`is blamed: ${text.replaceAll('\n', ' ')}`, async () => {
      using thread = await threadOf(text);
      await assert.rejects(thread.order(question), fails(failure, message));
    });
  }

  for (const text of ['export default () => { for (;;); }', 'export default () => new Promise(() => {})']) {
    test(`is ended where it gives no answer in time, and started again: ${text}`, async () => {
      using thread = await threadOf(text, { answerWithin: 50 });
      for (let i = 0; i < 2; i += 1) {
        await thread.load();
        await assert.rejects(thread.order(question), fails('timeout', /^did not answer within 50 ms$/));
      }
    });
  }

  for (const text of ['for (;;);', 'await new Promise(() => {});']) {
    test(`is ended where it is not loaded in time: ${text}`, async () => {
      using thread = await threadOf(text, { loadWithin: 300 });
      await assert.rejects(thread.load(), fails('load', /^was not loaded within 0\.3 s$/));
    });
  }

  test('that takes long to load is not waited for, and is asked later', async () => {
    using thread = await threadOf('await new Promise((go) => setTimeout(go, 400)); export default () => ["far"]', {
      answerWithin: 50,
    });
    assert.equal(await thread.order(question), undefined);
    await thread.load();
    assert.deepEqual(await thread.order(question), ['far']);
  });

  test('starts again as its file is by then', async () => {
    const file = await workspace.file('changing.mjs', 'export default () => process.exit(1)');
    const thread = new PluginThread(file, { answerWithin: 20_000, loadWithin: 20_000 });
    await assert.rejects(thread.order(question), fails('crashed', /exit code 1/));
    await workspace.file('changing.mjs', 'export default () => ["far"]');
    assert.deepEqual(await thread.order(question), ['far']);
    thread.close();
  });

  test('starts again only where its file is still written by its owner alone', async () => {
    const file = await workspace.file('opened.mjs', 'export default () => process.exit(1)');
    const thread = new PluginThread(file, { answerWithin: 20_000, loadWithin: 20_000 });
    await assert.rejects(thread.order(question), fails('crashed', /exit code 1/));
    await chmod(file, 0o666);
    await assert.rejects(thread.order(question), fails('load', /^is not loaded: .*can be written by others/));
    thread.close();
  });

  for (const thrown of ['"text"', 'null', 'undefined', '{}', 'Object.assign(new Error(), { message: 5 })']) {
    test(`that throws ${thrown} while no question waits fails at the next one, and ends nothing else`, async () => {
      using thread = await threadOf(`setTimeout(() => { throw ${thrown}; }, 20); export default () => ["far"]`);
      await thread.load();
      await setTimeout(500);
      await assert.rejects(thread.order(question), fails('crashed', /^ended its thread: /));
    });
  }

  for (const posted of ['null', 'undefined', '"ready"', '5', '{}', '{ kind: "answer", id: 99 }']) {
    test(`may post ${posted} itself`, async () => {
      using thread = await threadOf(
        `import { parentPort } from "node:worker_threads";
        export default () => { parentPort.postMessage(${posted}); return ["far"]; }`,
      );
      assert.deepEqual(await thread.order(question), ['far']);
    });
  }

  test('answers many questions at once, each its own', async () => {
    using thread = await threadOf('export default ({ size }) => size % 2 === 0 ? ["near"] : ["far"]');
    const orders = await Promise.all(Array.from({ length: 500 }, (_, size) => thread.order({ ...question, size })));
    assert.deepEqual(
      orders,
      Array.from({ length: 500 }, (_, size) => (size % 2 === 0 ? ['near'] : ['far'])),
    );
  });

  test('a question that waits fails when it is closed, and so does each later one', async () => {
    using thread = await threadOf('export default () => new Promise(() => {})');
    await thread.load();
    const waiting = assert.rejects(thread.order(question), fails('load', /^was replaced or removed$/));
    // The question has been put by then.
    await setTimeout(0);
    thread.close();
    await waiting;
    await assert.rejects(thread.order(question), fails('load', /^was replaced or removed$/));
  });
});
