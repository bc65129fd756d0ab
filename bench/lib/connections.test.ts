import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { Connections } from './connections.ts';

async function open(t: TestContext, answer: RequestListener): Promise<Connections> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connections = new Connections({ url: `http://127.0.0.1:${port}/v2/`, accept: 'text/plain', connections: 4 });
  t.after(() => {
    connections.close();
    server.closeAllConnections();
    server.close();
  });
  return connections;
}

describe('Connections', () => {
  test('asks as often as it is told, on kept connections, and again after a pause', async (t) => {
    const ports = new Set<number | undefined>();
    let asked = 0;
    const connections = await open(t, (request, response) => {
      asked += 1;
      ports.add(request.socket.remotePort);
      // In two pieces, so that an answer is not one chunk.
      response.writeHead(200, { 'content-length': 10 });
      response.write('hello');
      setImmediate(() => response.end('world'));
    });
    await connections.ask(50);
    assert.equal(asked, 50);
    await connections.ask(2);
    assert.equal(asked, 52);
    assert.equal(ports.size, 4);
  });

  test('counts what is answered in a time', async (t) => {
    let asked = 0;
    const connections = await open(t, (_, response) => {
      asked += 1;
      response.end('hello');
    });
    assert.equal(await connections.askFor(0), 4);
    assert.equal(await connections.askFor(20), asked - 4);
  });

  test('rejects once an answer is not 200, then and afterwards', async (t) => {
    let asked = 0;
    const connections = await open(t, (_, response) => {
      asked += 1;
      response.writeHead(asked > 10 ? 503 : 200, { 'content-length': 5 }).end('hello');
    });
    await assert.rejects(connections.ask(100), /answered HTTP\/1\.1 503/);
    await assert.rejects(connections.ask(1), /answered HTTP\/1\.1 503/);
  });

  test('rejects where the server closes a connection that was to be kept', async (t) => {
    const connections = await open(t, (request) => request.socket.end());
    await assert.rejects(connections.ask(10), /closed a connection/);
  });
});
