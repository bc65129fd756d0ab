import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { noise } from '../../test/support/image.ts';
import { openLink } from './link.ts';
import { pull } from './pull.ts';

describe('openLink()', () => {
  test('carries every byte, no faster than it may', async (t) => {
    const body = noise('link', 512 * 1024);
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': body.length });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const link = await openLink(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      bytesPerSecond: 2 * 1024 * 1024,
    });
    t.after(() => link.close());

    const { lastByte } = await pull(new URL('/blob', link.url), { expected: body, buffer: Buffer.alloc(64 * 1024) });
    // 250 ms on the line, less the 50 it may make up for.
    assert.ok(lastByte >= 195, `took ${lastByte} ms`);
  });
});

describe('pull()', () => {
  const answers = [
    {
      name: 'a wrong byte',
      status: 200,
      change: (body: Buffer) => body.fill(0, 700, 701),
      problem: /byte .* is wrong/,
    },
    {
      name: 'another length',
      status: 200,
      change: (body: Buffer) => body.subarray(1),
      problem: /announced 999, not 1000/,
    },
    { name: 'another status', status: 404, change: (body: Buffer) => body, problem: /answered "HTTP\/1.1 404/ },
  ];
  for (const { name, status, change, problem } of answers) {
    test(`rejects ${name}`, async (t) => {
      const expected = noise('pull', 1000);
      const server = createServer((_request, response) => {
        const body = change(Buffer.from(expected));
        response.writeHead(status, { 'content-length': body.length });
        response.end(body);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      t.after(() => server.close());
      const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/blob`);
      await assert.rejects(pull(url, { expected, buffer: Buffer.alloc(4096) }), problem);
    });
  }

  test('rejects a body that ends early', async (t) => {
    const expected = noise('pull', 1000);
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': expected.length });
      response.write(expected.subarray(0, 500), () => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/blob`);
    await assert.rejects(pull(url, { expected, buffer: Buffer.alloc(4096) }), /ended after|ECONNRESET/);
  });
});
