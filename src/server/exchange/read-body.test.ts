import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { OciError } from '../../oci/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { RequestContext } from './context.ts';
import { readBody } from './read-body.ts';
import { replyBytes, replyError } from './reply.ts';

/** A server that sends back what it has read. */
async function open(t: TestContext, { deadline }: { readonly deadline?: number } = {}) {
  const failures: unknown[] = [];
  const server = createServer((request, response) => {
    const context = new RequestContext(request, response, new Telemetry());
    const options = { limit: 100, what: 'a thing', ...(deadline === undefined ? {} : { deadline }) };
    readBody(context, options).then(
      (bytes) => replyBytes(context, 200, {}, bytes),
      (error: unknown) => {
        failures.push(error);
        if (error instanceof OciError) replyError(context, error);
        else response.destroy();
      },
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const put = (body: Buffer | ReadableStream | undefined) =>
    fetch(`http://127.0.0.1:${port}/`, { method: 'PUT', body: body ?? null, duplex: 'half' });
  return { put, port, failures };
}

describe('readBody', () => {
  test('reads a body of a known length, in chunks, or none', async (t) => {
    const { put } = await open(t);
    const bytes = Buffer.alloc(100, 7);
    for (const [body, expected] of [
      [bytes, bytes],
      [new Blob([bytes.subarray(0, 60), bytes.subarray(60)]).stream(), bytes],
      [undefined, Buffer.alloc(0)],
    ] as const) {
      const answer = await put(body);
      assert.deepEqual(Buffer.from(await answer.arrayBuffer()), expected);
    }
  });

  test('refuses what is too large, by its length and by what comes', async (t) => {
    const { put } = await open(t);
    for (const body of [Buffer.alloc(101), new Blob([Buffer.alloc(101)]).stream()]) {
      const answer = await put(body);
      assert.equal(answer.status, 413);
      assert.match(await answer.text(), /SIZE_INVALID.*a thing has at most 100 bytes/);
      assert.equal(answer.headers.get('connection'), 'close');
    }
  });

  test('does not wait for good for a client that sends nothing', async (t) => {
    const { port } = await open(t, { deadline: 20 });
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write('PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc');
    let text = '';
    for await (const piece of socket.setEncoding('utf8')) text += String(piece);
    assert.match(text, /^HTTP\/1\.1 408 /);
    assert.match(text, /a thing did not come within 0\.02 s/);
  });

  test('rejects where the client leaves', async (t) => {
    const { port, failures } = await open(t);
    const socket = connect(port, '127.0.0.1');
    socket.write('PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc');
    socket.destroySoon();
    await t.waitFor(() => assert.equal(failures.length, 1));
    assert.ok(!(failures[0] instanceof OciError));
  });
});
