import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildImage, platformOf } from './image.ts';
import { parseResponse, rawRequest } from './raw-request.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';

describe('parseResponse()', () => {
  for (const [name, text, whole, body] of [
    ['a whole body', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', true, 'hi'],
    ['a body cut short', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi', false, 'hi'],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n', true, 'hi!'],
    ['chunks without an end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n', false, 'hi'],
    ['a chunk cut short', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi', false, 'hi'],
    ['no length', 'HTTP/1.1 200 OK\r\n\r\nhi', true, 'hi'],
  ] as const) {
    test(name, () => {
      const response = parseResponse(Buffer.from(text));
      assert.equal(response.whole, whole);
      assert.equal(response.body.toString(), body);
    });
  }

  test('a HEAD with a body is not whole', () => {
    assert.equal(parseResponse(Buffer.from('HTTP/1.1 200 OK\r\n\r\nhi'), { head: true }).whole, false);
  });
});

test('rawRequest() tells a body that was cut', async () => {
  await using upstream = await startScriptedUpstream();
  const image = buildImage();
  upstream.add(image, 'library/app');
  const digest = platformOf(image, 'amd64').layers[0]?.digest as string;
  const path = `/v2/library/app/blobs/${digest}`;
  assert.equal((await rawRequest(upstream.host, { path })).whole, true);
  upstream.fault(digest, { cutAt: 100 });
  const cut = await rawRequest(upstream.host, { path });
  assert.equal(cut.whole, false);
  assert.equal(cut.body.length, 100);
});
