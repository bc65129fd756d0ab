import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import type { RawResponse } from '../support/raw-request.ts';
import { Gate, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Several ranges of a blob in one request (RFC 9110 §14.6, §15.3.7.2), as lazy pullers send them.

const REPOSITORY = 'team/app';
const MIB = 1024 * 1024;

let upstream: ScriptedUpstream;
let mirror: Mirror;
before(async () => {
  upstream = await startScriptedUpstream();
  mirror = await startMirror({
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
    cache: { on_range: 'pass' },
  });
});
after(async () => {
  await mirror.stop();
  await upstream.stop();
});

/** An image whose manifest the mirror knows; the path of its layer, and its bytes. */
async function pulled(seed: string, bytes: number): Promise<{ readonly path: string; readonly layer: Content }> {
  const image = buildImage({ seed, architectures: ['amd64'], layers: [bytes] });
  const { manifest, layers } = platformOf(image, 'amd64');
  const layer = layers[0] as Content;
  upstream.add(image, REPOSITORY, [seed]);
  await mirror.get(`/v2/${REPOSITORY}/manifests/${manifest.digest}`);
  return { path: `/v2/${REPOSITORY}/blobs/${layer.digest}`, layer };
}

/** The parts of a body, read strictly. */
function partsOf({ headers, body }: RawResponse): readonly (readonly [range: string, bytes: Buffer])[] {
  const boundary = /^multipart\/byteranges; boundary=([\w-]+)$/.exec(String(headers['content-type']))?.[1];
  assert.ok(boundary !== undefined, String(headers['content-type']));
  const [preamble, ...pieces] = body.toString('latin1').split(`\r\n--${boundary}`);
  assert.equal(preamble, '');
  assert.equal(pieces.pop(), '--\r\n');
  return pieces.map((piece) => {
    const match = /^\r\ncontent-type: application\/octet-stream\r\ncontent-range: bytes (\S+)\r\n\r\n([^]*)$/.exec(
      piece,
    );
    assert.ok(match !== null, piece.slice(0, 100));
    return [match[1] ?? '', Buffer.from(match[2] ?? '', 'latin1')];
  });
}

function assertParts(
  answer: RawResponse,
  { bytes, size }: Content,
  spans: readonly (readonly [number, number])[],
): void {
  assert.equal(answer.status, 206);
  assert.equal(answer.headers['content-range'], undefined);
  assert.equal(Number(answer.headers['content-length']), answer.body.length);
  assert.deepEqual(
    partsOf(answer).map(([range]) => range),
    spans.map(([start, end]) => `${start}-${end}/${size}`),
  );
  for (const [i, [start, end]] of spans.entries()) {
    assert.ok(partsOf(answer)[i]?.[1].equals(bytes.subarray(start, end + 1)), `part ${i}`);
  }
}

describe('several ranges in one request', () => {
  test('of a stored blob are its parts', async () => {
    const { path, layer } = await pulled('stored', 300_000);
    await mirror.get(path);
    const last = layer.size - 1;
    const answer = await mirror.get(path, { range: 'bytes=200000-299999,0-9,-5' });
    assertParts(answer, layer, [
      [200_000, 299_999],
      [0, 9],
      [last - 4, last],
    ]);
    const small = await mirror.get(path, { range: 'bytes=0-0,1000-1000' });
    assertParts(small, layer, [
      [0, 0],
      [1000, 1000],
    ]);
  });

  test('that become one are one part, and of none 416', async () => {
    const { path, layer } = await pulled('merged', 300_000);
    const one = await mirror.get(path, { range: 'bytes=0-9,5-19' });
    assert.deepEqual([one.status, one.headers['content-range']], [206, `bytes 0-19/${layer.size}`]);
    assert.ok(one.body.equals(layer.bytes.subarray(0, 20)));
    const none = await mirror.get(path, { range: `bytes=${layer.size}-,-0` });
    assert.deepEqual([none.status, none.headers['content-range']], [416, `bytes */${layer.size}`]);
  });

  for (const range of [
    'bytes=0-9,9-0',
    `bytes=${Array.from({ length: 201 }, (_, i) => `${i * 200}-${i * 200}`).join()}`,
  ]) {
    test(`${range.slice(0, 20)} is answered with the whole`, async () => {
      const { path, layer } = await pulled('whole', 300_000);
      const answer = await mirror.get(path, { range });
      assert.equal(answer.status, 200);
      assert.ok(answer.body.equals(layer.bytes));
    });
  }

  test('of a cold blob fetch what was asked for, not the blob', async () => {
    const { path, layer } = await pulled('cold', 24 * MIB);
    const from = upstream.requests.length;
    const spans = [
      [10 * MIB, 10 * MIB + 99],
      [16 * MIB, 16 * MIB + 99],
      [20 * MIB, 20 * MIB + 9],
    ] as const;
    const answer = await mirror.get(path, { range: `bytes=${spans.map(([a, b]) => `${a}-${b}`).join(', ')}` });
    assert.equal(answer.headers['x-cache'], 'PASS');
    assertParts(answer, layer, spans);
    assert.deepEqual(
      upstream.requests.slice(from).map(({ method, status }) => `${method} ${status}`),
      ['GET 206', 'GET 206', 'GET 206'],
    );
  });

  test('at the start of a cold blob are one download', async () => {
    const { path, layer } = await pulled('growing', 24 * MIB);
    const from = upstream.requests.length;
    const spans = [
      [0, 99],
      [MIB, MIB + 99],
      [2 * MIB, 2 * MIB + 99],
    ] as const;
    const answer = await mirror.get(path, { range: `bytes=${spans.map(([a, b]) => `${a}-${b}`).join()}` });
    assertParts(answer, layer, spans);
    assert.deepEqual(
      upstream.requests.slice(from).map(({ method }) => method),
      ['GET'],
    );
  });

  test('of what is not kept are each asked for up to 64, and more are the whole', async () => {
    for (const count of [64, 65]) {
      const { path, layer } = await pulled(`passed-${count}`, 24 * MIB);
      const spans = Array.from({ length: count }, (_, at) => [12 * MIB + at * 1000, 12 * MIB + at * 1000 + 9] as const);
      const from = upstream.requests.length;
      const answer = await mirror.get(path, { range: `bytes=${spans.map(([a, b]) => `${a}-${b}`).join()}` });
      if (count === 64) assertParts(answer, layer, spans);
      else {
        assert.equal(answer.status, 200);
        assert.ok(answer.body.equals(layer.bytes));
        assert.ok(upstream.requests.length - from < 4, 'no part after the first was asked for');
      }
    }
  });

  for (const [how, fault] of [
    ['is cut', { reset: true }],
    ['is answered 502', { status: 502 }],
    ['is never answered', { gate: new Gate() }],
  ] as const) {
    test(`of a blob whose HEAD ${how} are its parts: a manifest has told the size`, async () => {
      const { path, layer } = await pulled(how, 300_000);
      const heal = upstream.fault({ method: 'HEAD', reference: layer.digest }, fault);
      const answer = await mirror.get(path, { range: 'bytes=0-9,200000-200009' });
      heal();
      assertParts(answer, layer, [
        [0, 9],
        [200_000, 200_009],
      ]);
    });
  }

  test('of a blob that is nowhere are 404', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const answer = await mirror.get(`/v2/${REPOSITORY}/blobs/${digest}`, { range: 'bytes=0-9,20-29' });
    assert.equal(answer.status, 404);
  });
});
