import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatBytes, formatConsoleLine } from './console-format.ts';

const PLAIN = { colour: false };
const TS = '2026-03-04T05:06:07.089Z';

/** Without the time of day, which is local. */
function format(fields: object): string {
  return formatConsoleLine(JSON.stringify({ ts: TS, ...fields }), PLAIN).slice(13);
}

describe('formatConsoleLine', () => {
  test('begins with the local time of day', () => {
    const date = new Date(TS);
    const expected = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) =>
      String(part).padStart(2, '0'),
    );
    assert.equal(
      formatConsoleLine(JSON.stringify({ ts: TS, level: 'info', msg: 'x' }), PLAIN),
      `${expected.join(':')}.089 INFO  x\n`,
    );
  });

  const rows: readonly (readonly [string, object, string])[] = [
    ['a message alone', { level: 'warn', msg: 'low on space' }, 'WARN  low on space\n'],
    [
      'fields after the message',
      { level: 'info', msg: 'listening', address: '127.0.0.1:5000', tls: false },
      'INFO  listening                address=127.0.0.1:5000 tls=false\n',
    ],
    [
      'a value with a space',
      { level: 'info', msg: 'a', why: 'b "c"', none: '' },
      `INFO  a${' '.repeat(24)}why="b \\"c\\"" none=""\n`,
    ],
    [
      'an error as its chain of causes',
      {
        level: 'error',
        msg: 'a',
        error: { type: 'HttpError', message: 'no', cause: { type: 'Error', message: 'refused' } },
      },
      `ERROR a${' '.repeat(24)}error="HttpError: no: refused"\n`,
    ],
    [
      'a request in columns',
      {
        level: 'info',
        id: 'a-1',
        method: 'GET',
        path: '/v2/library/nginx/blobs/sha256:1',
        status: 200,
        bytes: 12_900_000,
        duration: 41.7,
        cache: 'HIT',
        repository: 'library/nginx',
        upstream: 'hub',
        msg: 'request',
      },
      'INFO  GET  200  12.3 MiB      42 ms HIT         /v2/library/nginx/blobs/sha256:1 id=a-1 upstream=hub\n',
    ],
    [
      'a request without a cache outcome',
      { level: 'info', method: 'HEAD', path: '/healthz', status: 200, bytes: 0, duration: 0.34, msg: 'request' },
      'INFO  HEAD 200       0 B     0.3 ms -           /healthz\n',
    ],
  ];
  for (const [name, fields, expected] of rows) test(name, () => assert.equal(format(fields), expected));

  test('nothing a client chose moves the cursor or forges a line', () => {
    const line = format({
      level: 'info',
      msg: 'request',
      method: 'GET',
      path: '/\u001b[2J\n12:00 ERROR \u202e\u009b',
      status: 404,
    });
    // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
    assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u0080-\u009f\u202e]/);
    assert.ok(line.includes('/\\u001b[2J\\u000a12:00'));
  });

  test('colours the level, and a request’s status, only when asked', () => {
    const line = JSON.stringify({ ts: TS, level: 'info', msg: 'request', status: 502 });
    assert.ok(formatConsoleLine(line, { colour: true }).includes('\u001b[32mINFO \u001b[0m'));
    assert.ok(formatConsoleLine(line, { colour: true }).includes('\u001b[31m502\u001b[0m'));
    assert.ok(!formatConsoleLine(line, PLAIN).includes('\u001b'));
  });

  test('what is no JSON object passes as it is', () => {
    for (const line of ['plain\n', '3\n', 'null\n', '']) assert.equal(formatConsoleLine(line, PLAIN), line);
  });
});

describe('formatBytes', () => {
  const rows: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [50 * 1024 ** 3, '50.0 GiB'],
    [Number.NaN, '-'],
  ];
  for (const [bytes, expected] of rows)
    test(`${bytes} → ${expected}`, () => assert.equal(formatBytes(bytes), expected));
});
