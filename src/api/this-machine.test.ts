import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { RequestContext } from '../server/index.ts';
import type { ownerOfPeer } from './peer-owner.ts';
import { type ThisMachineOptions, thisMachine } from './this-machine.ts';

const NONE = { hasFront: false, mayHaveFront: false, uid: 1000 };

/** Asks over one connection, once with each set of headers; what was found of each. */
async function found(
  t: TestContext,
  options: ThisMachineOptions,
  ...requests: readonly Readonly<Record<string, string>>[]
): Promise<readonly boolean[]> {
  const isOnThisMachine = thisMachine(options);
  const server = createServer((request, response) => {
    const context = { request, host: request.headers.host, scheme: 'http' } as unknown as RequestContext;
    void isOnThisMachine(context).then((found) => response.end(String(found)));
  }).listen(0, '127.0.0.1');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => {
    agent.destroy();
    server.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const all: boolean[] = [];
  for (const headers of requests) {
    const asked = get({ port, host: '127.0.0.1', agent, headers: { host: 'localhost', ...headers } });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    all.push(Buffer.concat(await answer.toArray()).toString() === 'true');
  }
  return all;
}

const owners =
  (owner: Awaited<ReturnType<typeof ownerOfPeer>>, asked: unknown[] = []): typeof ownerOfPeer =>
  (ends) => {
    asked.push(ends);
    return Promise.resolve(owner);
  };

describe('a request of this machine', () => {
  test('is one of the user of the server, or of root', async (t) => {
    assert.deepEqual(await found(t, { ...NONE, ownerOf: owners(1000) }, {}), [true]);
    assert.deepEqual(await found(t, { ...NONE, ownerOf: owners(0) }, {}), [true]);
  });

  test('is none of another user, such as that of a server in front, nor of a connection that is let go of', async (t) => {
    assert.deepEqual(await found(t, { ...NONE, ownerOf: owners(99) }, {}), [false]);
    assert.deepEqual(await found(t, { ...NONE, ownerOf: owners('none') }, {}), [false]);
  });

  test('is looked up once for each connection', async (t) => {
    const asked: unknown[] = [];
    assert.deepEqual(await found(t, { ...NONE, ownerOf: owners(1000, asked) }, {}, {}, {}), [true, true, true]);
    assert.equal(asked.length, 1);
  });

  test('is none where a server in front is configured', async (t) => {
    assert.deepEqual(await found(t, { ...NONE, hasFront: true, ownerOf: owners(1000) }, {}), [false]);
  });

  test('where the system does not tell, is one only while nothing speaks for a server in front', async (t) => {
    assert.deepEqual(await found(t, { ...NONE, ownerOf: owners(undefined) }, {}), [true]);
    assert.deepEqual(await found(t, { ...NONE, mayHaveFront: true, ownerOf: owners(undefined) }, {}), [false]);
    assert.deepEqual(await found(t, { ...NONE, mayHaveFront: true, ownerOf: owners(1000) }, {}), [true]);
    const later = await found(t, { ...NONE, ownerOf: owners(undefined) }, {}, { 'x-real-ip': '192.0.2.1' }, {});
    assert.deepEqual(later, [true, false, false]);
  });

  test('is none with a header that a server in front adds', async (t) => {
    const names = ['x-envoy-external-address', 'cdn-loop', 'x-arr-ssl', 'akamai-origin-hop', 'x-vercel-id', 'via'];
    const requests = names.map((name) => ({ [name]: 'x' }));
    assert.ok(!(await found(t, { ...NONE, ownerOf: owners(1000) }, ...requests)).includes(true));
  });
});
