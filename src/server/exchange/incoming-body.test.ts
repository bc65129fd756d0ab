import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { Telemetry } from '../../telemetry/index.ts';
import { createDispatch } from '../dispatch.ts';
import { FrontDoor } from '../listener/index.ts';
import { bodyOf, discardBody } from './incoming-body.ts';
import { type RequestContext, replyEmpty } from './index.ts';

const EMPTY = { 'content-length': 0 };

/** Sends requests one behind the other on one connection; gives all that was answered until it ended. */
async function exchange(
  t: TestContext,
  answer: (context: RequestContext) => Promise<void>,
  ...requests: readonly string[]
): Promise<string> {
  const frontDoor = new FrontDoor({
    listeners: [{ address: { host: '127.0.0.1', port: 0 } }],
    handler: createDispatch({
      doors: [
        {
          open: (context) => ({
            takesSlot: false,
            parse: () => ({ access: undefined, answer: () => answer(context) }),
          }),
        },
      ],
      telemetry: new Telemetry(),
      pseudonym: 'entrepot-0123456789abcdef',
    }),
  });
  const [listener] = await frontDoor.start();
  t.after(() => frontDoor.stop({ timeoutMs: 0 }));
  const socket = connect({ host: '127.0.0.1', port: listener?.port ?? 0 });
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk)).on('error', () => {});
  socket.write(requests.join(''));
  await once(socket, 'close');
  return Buffer.concat(received).toString();
}

const request = (method: string, body: string, last = false): string =>
  `${method} / HTTP/1.1\r\nhost: a.test\r\n${last ? 'connection: close\r\n' : ''}content-length: ${body.length}\r\n\r\n${body}`;

async function readAll(context: RequestContext): Promise<void> {
  const body = bodyOf(context);
  while ((await body?.source.read()) !== undefined) {}
  replyEmpty(context, 204, {});
}

const countOf = (answers: string, status: number): number => answers.split(`HTTP/1.1 ${status} `).length - 1;

describe('a connection', () => {
  test('is kept behind a body that was read', async (t) => {
    const answers = await exchange(t, readAll, request('PUT', 'one'), request('PUT', 'two', true));
    assert.equal(countOf(answers, 204), 2);
  });

  test('ends with the answer that comes before the end of the body', async (t) => {
    const answers = await exchange(
      t,
      async (context) => replyEmpty(context, 200, EMPTY),
      request('PUT', 'one'),
      request('PUT', 'two', true),
    );
    assert.match(answers, /connection: close/i);
    assert.equal(countOf(answers, 200), 1);
  });
});

test('a body that is not read stays in the socket, whatever its size', async (t) => {
  const size = 32 * 1024 * 1024;
  let held = 0;
  const answers = await exchange(
    t,
    async (context) => {
      const { request: incoming } = context;
      const body = bodyOf(context);
      await body?.source.read();
      // The reader rests until nothing more comes.
      while (!incoming.isPaused()) await new Promise(setImmediate);
      for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
      held = incoming.socket.bytesRead;
      while ((await body?.source.read()) !== undefined) {}
      replyEmpty(context, 204, {});
    },
    request('PUT', 'x'.repeat(size), true),
  );
  assert.equal(countOf(answers, 204), 1);
  assert.ok(held < 1024 * 1024, `${held} bytes were read from the socket`);
});

describe('discardBody()', () => {
  for (const [when, read] of [
    ['before the first byte', async () => {}],
    ['after a piece', async (context: RequestContext) => void (await bodyOf(context)?.source.read())],
    ['after it was cancelled', async (context: RequestContext) => bodyOf(context)?.source.cancel()],
  ] as const) {
    test(`drops the rest, so that the connection is kept: ${when}`, async (t) => {
      const refuse = async (context: RequestContext): Promise<void> => {
        await read(context);
        await discardBody(context);
        replyEmpty(context, 400, EMPTY);
      };
      const body = 'x'.repeat(300_000);
      const answers = await exchange(t, refuse, request('PUT', body), request('PUT', body, true));
      assert.equal(countOf(answers, 400), 2);
    });
  }

  for (const [what, options, sent] of [
    ['announced as too large', { limit: 1000 }, request('PUT', 'x'.repeat(2000))],
    ['that does not come', { quiet: 5 }, request('PUT', 'x'.repeat(2000)).slice(0, -1)],
    ['that does not end', { deadline: 5 }, request('PUT', 'x'.repeat(2000)).slice(0, -1)],
    [
      'that is too large',
      { limit: 1000 },
      `PUT / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n${'x'.repeat(2000)}\r\n`,
    ],
    ['that waits for 100', {}, 'PUT / HTTP/1.1\r\nhost: a.test\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n'],
  ] as const) {
    test(`does not wait for a body ${what}`, { timeout: 5000 }, async (t) => {
      const answers = await exchange(
        t,
        async (context) => {
          await discardBody(context, options);
          replyEmpty(context, 400, EMPTY);
        },
        sent,
      );
      assert.equal(countOf(answers, 400), 1);
      assert.match(answers, /connection: close/i);
    });
  }
});
