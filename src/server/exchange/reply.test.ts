import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { Telemetry } from '../../telemetry/index.ts';
import { RequestContext } from './context.ts';
import { replyBytes } from './reply.ts';

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

describe('an answer that is in memory', () => {
  for (const [what, body] of [
    ['every byte there is', everyByte],
    ['nothing', Buffer.alloc(0)],
    ['what looks like UTF-8 and is none', Buffer.from([0xc3, 0x28, 0xef, 0xbb, 0xbf, 0x00, 0x0d, 0x0a, 0xff])],
    ['the most that goes with its head', randomBytes(16_384)],
    ['more than that', randomBytes(16_385)],
    ['text', 'Größe: 1 €'],
  ] as const) {
    test(`arrives as it is: ${what}`, async () => {
      await using server = createServer();
      server.on('request', (request: IncomingMessage, response: ServerResponse) => {
        replyBytes(new RequestContext(request, response, new Telemetry()), 200, { etag: '"a"' }, body);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const port = (server.address() as { port: number }).port;
      const [answer] = (await once(get({ port, agent: false }), 'response')) as [IncomingMessage];
      const received = Buffer.concat(await answer.toArray());
      assert.deepEqual(received, Buffer.from(body));
      assert.equal(answer.headers['content-length'], String(received.length));
      assert.equal(answer.headers['etag'], '"a"');
    });
  }
});
