import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, describe, test } from 'node:test';
import * as z from 'zod';
import type { Operation, UploadOperation } from '../operation.ts';
import { ControlError, callControl, sendControl } from './client.ts';
import { type Control, createControl } from './socket.ts';
import { controlSocketPath } from './socket-path.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-control-'));
const controls: Control[] = [];
after(async () => {
  await Promise.all(controls.map((control) => control.close()));
  rmSync(directory, { recursive: true, force: true });
});

type AnyOperation = Operation<unknown, unknown, unknown>;

function looking(name: string, handle: AnyOperation['handle'] = () => null): AnyOperation {
  return {
    name,
    summary: 'For tests',
    action: 'admin',
    changes: false,
    input: z.unknown(),
    answer: z.unknown(),
    handle,
  };
}

function changing(name: string, handle?: AnyOperation['handle']): AnyOperation {
  return { ...looking(name, handle), changes: true };
}

let count = 0;
async function open(
  operations: readonly AnyOperation[],
  more: Partial<Parameters<typeof createControl<undefined>>[0]> = {},
): Promise<{ path: string; control: Control }> {
  const path = join(directory, `${++count}.sock`);
  const control = createControl({ path, operations, context: undefined, ...more });
  controls.push(control);
  await control.start();
  return { path, control };
}

describe('controlSocketPath', () => {
  test('is control.sock in the cache directory', () => {
    assert.equal(controlSocketPath('/var/cache/entrepot'), '/var/cache/entrepot/control.sock');
    assert.equal(controlSocketPath('data'), join(process.cwd(), 'data/control.sock'));
  });

  test('is a short path of its own where that is too long for a socket, and always the same one', () => {
    const long = `/srv/${'deep/'.repeat(30)}cache`;
    const path = controlSocketPath(long);
    assert.equal(path, controlSocketPath(`${long}/`));
    assert.notEqual(path, controlSocketPath(`${long}2`));
    assert.match(path, /entrepot-[0-9a-f]{32}\.sock$/);
    assert.equal(path.startsWith(tmpdir()), true);
    assert.ok(Buffer.byteLength(path) <= 100);
  });

  test('counts bytes, not characters', () => {
    assert.match(controlSocketPath(`/srv/${'é'.repeat(45)}`), /entrepot-[0-9a-f]{32}\.sock$/);
  });
});

describe('createControl and callControl', () => {
  test('an operation is answered with what its handler returns', async () => {
    const { path } = await open([
      looking('status', async () => ({ version: '1', transfers: [] })),
      changing('purge', (input) => ({ purged: input })),
      changing('nothing', () => undefined),
    ]);
    assert.deepEqual(await callControl(path, looking('status')), { version: '1', transfers: [] });
    assert.deepEqual(await callControl(path, changing('purge'), { input: { repository: 'a' } }), {
      purged: { repository: 'a' },
    });
    assert.equal(await callControl(path, changing('nothing')), null);
  });

  test('only the owner may connect', async () => {
    const { path } = await open([]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test('the socket goes away with the server, waiting clients included', async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const handle = () => {
      resolve();
      return new Promise(() => {});
    };
    const { path, control } = await open([looking('long', handle)]);
    const call = callControl(path, looking('long'));
    call.catch(() => {});
    await asked;
    await control.close();
    await assert.rejects(call);
    assert.ok(!existsSync(path));
  });

  test('no server: said so, whether or not a socket is left over', async () => {
    const absent = join(directory, 'absent.sock');
    await assert.rejects(callControl(absent, looking('status')), (error: ControlError) => {
      assert.equal(error.code, 'not-running');
      assert.equal(error.message, `No server listens on ${absent}.`);
      return error instanceof ControlError;
    });
  });

  test('a server that ends before it has answered is told of', async () => {
    const handle = () => {
      setImmediate(() => void control.close());
      return new Promise(() => {});
    };
    const { path, control } = await open([changing('purge', handle)]);
    await assert.rejects(callControl(path, changing('purge')), {
      name: 'ControlError',
      code: 'failed',
      message: /^The server ended before/,
    });

    const half = join(directory, 'half.sock');
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('{');
      setImmediate(() => response.destroy());
    });
    await once(server.listen(half), 'listening');
    after(() => server.close());
    await assert.rejects(callControl(half, looking('status')), {
      name: 'ControlError',
      message: /^The server ended before/,
    });
  });

  test('a second server is refused, and the first goes on', async () => {
    const { path } = await open([looking('status', () => 'first')]);
    const second = createControl({ path, operations: [], context: undefined });
    await assert.rejects(second.start(), { code: 'EADDRINUSE' });
    assert.equal(await callControl(path, looking('status')), 'first');
  });

  test('an operation of another version is explained', async () => {
    const { path } = await open([changing('purge', () => 1)]);
    for (const name of ['gc', 'purge', '../status'])
      await assert.rejects(callControl(path, looking(name)), {
        code: 'unknown-operation',
        message: /another version.*Restart it/,
      });
    await assert.rejects(callControl(path, looking('users/add')), { message: /no operation `users add`/ });
  });

  test('a failure comes back with its message, without secrets', async () => {
    const { path } = await open([
      changing('gc', () => {
        throw new Error('Cannot reach https://u:c4nary@cache/?sig=c4nary');
      }),
    ]);
    await assert.rejects(callControl(path, changing('gc')), {
      code: 'failed',
      message: 'The server could not do `gc`: Cannot reach https://cache/',
    });
  });

  test('a failure names the command as it is typed', async () => {
    const { path } = await open([
      changing('users/add', () => {
        throw new Error('the disk is full');
      }),
    ]);
    await assert.rejects(callControl(path, changing('users/add')), {
      message: 'The server could not do `users add`: the disk is full',
    });
  });

  test('what is sent is bounded and must be JSON', async () => {
    const { path } = await open([changing('purge', () => 1)]);
    await assert.rejects(
      callControl(path, changing('purge'), { input: 'x'.repeat(1_100_000) }),
      /more than 1048576 bytes/,
    );
    const socket = connect({ path });
    socket.write('POST /purge HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{');
    const [data] = (await once(socket, 'data')) as [Buffer];
    assert.match(data.toString(), /^HTTP\/1\.1 400 [\s\S]*not JSON/);
    socket.destroy();
  });

  test('an input of the wrong shape is refused, and the message says where', async () => {
    const { path } = await open([
      { ...changing('gc', () => 1), input: z.object({ dryRun: z.boolean({ error: 'expected true or false' }) }) },
    ]);
    await assert.rejects(callControl(path, changing('gc'), { input: { dryRun: 'no' } }), {
      message: 'The server could not do `gc`: dryRun: expected true or false',
    });
  });

  test('an answer of another version is taken where it has the shape, with its unknown fields', async () => {
    const status = { ...looking('status'), answer: z.object({ version: z.string(), pid: z.number().optional() }) };
    const { path } = await open([looking('status', () => ({ version: '2', added: [1] }))]);
    assert.deepEqual(await callControl(path, status), { version: '2', added: [1] });
    const { path: other } = await open([looking('status', () => ({ version: 2 }))]);
    await assert.rejects(callControl(other, status), {
      code: 'failed',
      message: 'The server answered in a form this version does not know; restart it.',
    });
  });

  test('garbage disturbs no other call', async () => {
    const { path } = await open([looking('status', () => 'well')]);
    const socket = connect({ path });
    socket.on('error', () => {});
    socket.write(Buffer.alloc(1000, 0xfe));
    await once(socket, 'close');
    assert.equal(await callControl(path, looking('status')), 'well');
  });

  test('a server that does not answer is given up, in time or when told', async () => {
    const { path } = await open([looking('long', () => new Promise(() => {}))]);
    await assert.rejects(callControl(path, looking('long'), { timeoutMs: 50 }), {
      code: 'timeout',
      message: /within 0\.05 s\. It is busy or stuck: repeat the command/,
    });
    const abort = new AbortController();
    const call = callControl(path, looking('long'), { signal: abort.signal });
    abort.abort();
    await assert.rejects(call, { name: 'AbortError' });
  });

  test('a request needs no Host, and an unknown one is answered with a body', async () => {
    const { path } = await open([looking('status')]);
    for (const [target, expected] of [
      ['/status', /^HTTP\/1\.1 200 [^]*\r\n\r\nnull$/],
      ['/other', /^HTTP\/1\.1 404 [^]*\r\n\r\n\{"error":"this server has no such operation"\}$/],
    ] as const) {
      const socket = connect(path).setEncoding('utf8');
      socket.write(`GET ${target} HTTP/1.1\r\nConnection: close\r\n\r\n`);
      let received = '';
      for await (const chunk of socket) received += chunk;
      assert.match(received, expected);
    }
  });

  test('another program behind the socket is not believed', async () => {
    const path = join(directory, 'other.sock');
    const other = createServer((_request, response) => response.end('<html>')).listen(path);
    await once(other, 'listening');
    await assert.rejects(callControl(path, looking('status')), {
      code: 'failed',
      message: /not JSON; does another program listen/,
    });
    other.close();
  });

  test('a directory that may not be entered is explained', {
    skip: process.getuid?.() === 0 && 'root may enter',
  }, async () => {
    const closed = join(directory, 'closed');
    mkdirSync(closed);
    chmodSync(closed, 0o000);
    await assert.rejects(callControl(join(closed, 'control.sock'), looking('status')), { code: 'denied' });
    chmodSync(closed, 0o700);
  });
});

describe('a client of the control socket', () => {
  test('that takes none of its answer is cut, and one that waits for its operation is kept', async () => {
    const path = join(directory, `${++count}.sock`);
    const large = looking('large', () => 'x'.repeat(32 << 20));
    const slow = looking('slow', () => new Promise((resolve) => setTimeout(() => resolve('done'), 2000)));
    const control = createControl({ path, operations: [large, slow], context: undefined, clientStall: 200 });
    controls.push(control);
    await control.start();
    const waiting = connect(path);
    waiting.write('GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const greedy = connect(path).pause();
    greedy.on('error', () => undefined);
    greedy.write('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    let answer = '';
    waiting.on('data', (chunk) => (answer += String(chunk)));
    await once(waiting, 'end');
    assert.match(answer, /"done"$/);
    let taken = 0;
    greedy.on('data', (chunk: Buffer) => (taken += chunk.length));
    await once(greedy.resume(), 'close');
    assert.ok(taken < 32 << 20, 'it got the whole answer though it took nothing for long');
  });
});

describe('streams to an operation', () => {
  const { signal } = new AbortController();
  const upload = (receive: UploadOperation<unknown, undefined>['receive']): UploadOperation<unknown, undefined> => ({
    name: 'take',
    answer: z.unknown(),
    receive,
  });
  const chunks = (count: number): Readable =>
    Readable.from(Array.from({ length: count }, () => Buffer.alloc(64 * 1024, 7)));

  test('are received whole, whatever their length', async () => {
    const take = upload(async (body) => {
      let bytes = 0;
      for await (const chunk of body) bytes += chunk.length;
      return { bytes };
    });
    const { path } = await open([], { uploads: [take] });
    assert.deepEqual(await sendControl(path, take, { body: chunks(500), signal }), { bytes: 500 * 64 * 1024 });
    assert.deepEqual(await sendControl(path, take, { body: Readable.from([]), signal }), { bytes: 0 });
  });

  test('that are given up before their end are answered', async () => {
    const take = upload(async (body) => {
      for await (const _ of body) throw new Error('the first piece is wrong');
      return {};
    });
    const { path } = await open([], { uploads: [take] });
    await assert.rejects(
      sendControl(path, take, { body: chunks(500), signal }),
      /The server could not do `take`: the first piece is wrong/,
    );
  });

  test('that are cut or stop are an error for their receiver', async () => {
    const failures: string[] = [];
    const failed = Promise.withResolvers<void>();
    const take = upload(async (body) => {
      try {
        for await (const _ of body);
      } catch (error) {
        failures.push((error as Error).message);
        failed.resolve();
        throw error;
      }
      return {};
    });
    const { path } = await open([], { uploads: [take], streamStall: 50 });
    const endless = new Readable({ read() {} });
    endless.push(Buffer.alloc(10));
    await assert.rejects(sendControl(path, take, { body: endless, signal }), /ended before it answered|could not do/);
    await failed.promise;
    assert.equal(failures.length, 1);
    const broken = Readable.from(
      (async function* () {
        yield Buffer.alloc(10);
        throw new Error('the file cannot be read');
      })(),
    );
    await assert.rejects(sendControl(path, take, { body: broken, signal }), /the file cannot be read/);
  });

  test('are taken by no operation of another kind, and inputs have a deadline', async () => {
    const { path } = await open([changing('purge')], { inputDeadline: 50 });
    await assert.rejects(
      sendControl(
        path,
        upload(async () => ({})),
        { body: chunks(1), signal },
      ),
      /has no operation `take`/,
    );
    const socket = connect(path);
    socket.write('POST /purge HTTP/1.1\r\ncontent-length: 100\r\n\r\n{');
    await once(socket, 'close');
  });
});
