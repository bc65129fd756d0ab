import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HttpError } from '../http-types.ts';
import { HeadReader, MAX_HEAD_BYTES, MAX_HEADERS, parseResponseHead } from './response.ts';

const OK = 'HTTP/1.1 200 OK';

function head(...lines: readonly string[]): string {
  return [OK, ...lines].join('\r\n');
}

function isProtocolError(error: unknown): boolean {
  return error instanceof HttpError && error.code === 'protocol';
}

describe('parseResponseHead()', () => {
  test('gives the status and the headers under lower-case names, repetitions joined', () => {
    const parsed = parseResponseHead(
      head('Content-Length: 5', 'X-One:  a \t', 'x-one:b', 'Set-Cookie: ', 'x-high: caf\xe9'),
      'GET',
    );
    assert.equal(parsed.status, 200);
    assert.deepEqual(
      { ...parsed.headers },
      { 'content-length': '5', 'x-one': 'a, b', 'set-cookie': '', 'x-high': 'caf\xe9' },
    );
    assert.equal(Object.getPrototypeOf(parsed.headers), null);
  });

  test('takes a header named __proto__ for a header', () => {
    const { headers } = parseResponseHead(head('__proto__: x', 'constructor: y'), 'GET');
    assert.deepEqual(Object.keys(headers), ['__proto__', 'constructor']);
  });

  const accepted: readonly (readonly [string, string])[] = [
    ['an empty reason', 'HTTP/1.1 200 '],
    ['no reason at all', 'HTTP/1.1 404'],
    ['a reason beyond ASCII', 'HTTP/1.1 200 D\xe9j\xe0'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK'],
    ['Chunked in any case', head('Transfer-Encoding: Chunked')],
    ['a name of every token character', head("!#$%&'*+-.^_`|~09azAZ: x")],
    ['as many headers as may be', head(...Array.from({ length: MAX_HEADERS }, (_, i) => `x-${i}: y`))],
  ];
  for (const [what, text] of accepted) {
    test(`accepts ${what}`, () => assert.ok(parseResponseHead(text, 'GET').status > 0));
  }

  const refused: readonly (readonly [string, string])[] = [
    ['equal repeated lengths', head('Content-Length: 5', 'Content-Length: 5')],
    ['equal lengths in one line', head('Content-Length: 5, 5')],
    ['a no-break space behind a length', head('Content-Length: 5\xa0')],
    ['a no-break space behind a coding', head('Transfer-Encoding: chunked\xa0')],
    ['no status line', ''],
    ['HTTP/2.0', 'HTTP/2.0 200 OK'],
    ['HTTP/1.2', 'HTTP/1.2 200 OK'],
    ['lower-case http', 'http/1.1 200 OK'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2'],
    ['a status of two digits', 'HTTP/1.1 20 OK'],
    ['a status of four digits', 'HTTP/1.1 2000 OK'],
    ['a status of no class', 'HTTP/1.1 600 No'],
    ['two spaces before the status', 'HTTP/1.1  200 OK'],
    ['white space before the status line', ' HTTP/1.1 200 OK'],
    ['a bare LF in the status line', 'HTTP/1.1 200 OK\nX: y'],
    ['a NUL in the reason', 'HTTP/1.1 200 O\0K'],
    ['a folded line', head('X: a', ' b')],
    ['a line folded by tab', head('X: a', '\tb')],
    ['a space before the colon', head('Content-Length : 5')],
    ['a tab before the colon', head('Content-Length\t: 5')],
    ['a line without a colon', head('Content-Length')],
    ['an empty name', head(': x')],
    ['a name with a space', head('Content Length: 5')],
    ['a name beyond ASCII', head('Caf\xe9: x')],
    ['a bare LF in a value', head('X: a\nY: b')],
    ['a bare CR in a value', head('X: a\rY: b')],
    ['a NUL in a value', head('X: a\0b')],
    ['a control character in a value', head('X: a\x07b')],
    ['DEL in a value', head('X: a\x7fb')],
    ['one header too many', head(...Array.from({ length: MAX_HEADERS + 1 }, (_, i) => `x-${i}: y`))],
    ['a length with a sign', head('Content-Length: +5')],
    ['a negative length', head('Content-Length: -5')],
    ['a hexadecimal length', head('Content-Length: 0x5')],
    ['an empty length', head('Content-Length: ')],
    ['a length with a space', head('Content-Length: 5 5')],
    ['a length with a fraction', head('Content-Length: 5.0')],
    ['a length beyond exact integers', head('Content-Length: 9007199254740993')],
    ['a length of too many digits', head(`Content-Length: ${'9'.repeat(30)}`)],
    ['two lengths', head('Content-Length: 5', 'Content-Length: 6')],
    ['two lengths in one line', head('Content-Length: 5, 6')],
    ['a length and chunks', head('Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['a bad length and chunks', head('Content-Length: x', 'Transfer-Encoding: chunked')],
    ['another transfer coding', head('Transfer-Encoding: gzip')],
    ['a transfer coding before chunked', head('Transfer-Encoding: gzip, chunked')],
    ['chunked twice', head('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
    ['identity as a transfer coding', head('Transfer-Encoding: identity')],
    ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked'],
  ];
  for (const [what, text] of refused) {
    test(`refuses ${what}`, () => assert.throws(() => parseResponseHead(text, 'GET'), isProtocolError));
  }

  test('refuses a long run of white space before a wrong character in no time', () => {
    const text = head(`X-Padded:${' '.repeat(MAX_HEAD_BYTES)}\0`);
    const before = process.cpuUsage();
    assert.throws(() => parseResponseHead(text, 'GET'), isProtocolError);
    const { user } = process.cpuUsage(before);
    assert.ok(user < 500_000, `it took ${user / 1000} ms, which blocks every other request`);
  });

  test('never shows the value of a header in the message', () => {
    assert.throws(
      () => parseResponseHead(head('Set-Cookie: secret\0'), 'GET'),
      (error: Error) => !error.message.includes('secret'),
    );
  });

  const shapes: readonly (readonly [string, string, string, object])[] = [
    ['a length', head('Content-Length: 5'), 'GET', { kind: 'length', length: 5 }],
    ['chunks', head('Transfer-Encoding: chunked'), 'GET', { kind: 'chunked' }],
    ['neither', head(), 'GET', { kind: 'until-close' }],
    ['HEAD with a length', head('Content-Length: 5'), 'HEAD', { kind: 'length', length: 0 }],
    ['HEAD with chunks', head('Transfer-Encoding: chunked'), 'HEAD', { kind: 'length', length: 0 }],
    ['204', 'HTTP/1.1 204 No Content', 'GET', { kind: 'length', length: 0 }],
    ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5', 'GET', { kind: 'length', length: 0 }],
  ];
  for (const [what, text, method, expected] of shapes) {
    test(`knows how the body ends: ${what}`, () => assert.deepEqual(parseResponseHead(text, method).body, expected));
  }

  const persistence: readonly (readonly [string, string, boolean])[] = [
    ['HTTP/1.1', OK, true],
    ['HTTP/1.0', 'HTTP/1.0 200 OK', false],
    ['HTTP/1.0 with keep-alive', 'HTTP/1.0 200 OK\r\nConnection: keep-alive', false],
    ['Connection: close', head('Connection: close'), false],
    ['Connection: X, Close', head('Connection: X, Close'), false],
    ['Connection: keep-alive', head('Connection: keep-alive'), true],
  ];
  for (const [what, text, expected] of persistence) {
    test(`${expected ? 'keeps' : 'does not keep'} the connection: ${what}`, () => {
      assert.equal(parseResponseHead(text, 'GET').keepAlive, expected);
    });
  }
});

describe('HeadReader', () => {
  test('refuses lines that end without CR at once, since the end of such a head never comes', () => {
    const lines = ['HTTP/1.1 200 OK\n', 'HTTP/1.1 200 OK\r\na: b\n', 'HTTP/1.1 200 OK\r\na: b\n\n'];
    for (const text of lines) {
      for (const cut of [9, text.length - 1, text.length]) {
        const reader = new HeadReader();
        const push = (): void => {
          for (const part of [text.slice(0, cut), text.slice(cut)]) if (part !== '') reader.push(Buffer.from(part));
        };
        assert.throws(push, /a line ends without a CR/, JSON.stringify([text, cut]));
      }
    }
  });

  const text = 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n';

  test('finds the end of a head wherever it was cut', () => {
    for (let cut = 1; cut < text.length; cut++) {
      const reader = new HeadReader();
      const first = reader.push(Buffer.from(text.slice(0, cut)));
      assert.deepEqual(first, { used: cut, head: undefined });
      const second = reader.push(Buffer.from(`${text.slice(cut)}body`));
      assert.deepEqual(second, { used: text.length - cut, head: text.slice(0, -4) });
    }
  });

  test('finds it when it comes byte by byte, and reads the next head as well', () => {
    const reader = new HeadReader();
    const heads: string[] = [];
    for (const byte of Buffer.from(text + text)) {
      const { head: complete } = reader.push(Buffer.from([byte]));
      if (complete !== undefined) heads.push(complete);
    }
    assert.deepEqual(heads, [text.slice(0, -4), text.slice(0, -4)]);
  });

  test('keeps no view of the bytes it is given', () => {
    const reader = new HeadReader();
    const memory = Buffer.from(text);
    reader.push(memory.subarray(0, 10));
    memory.fill(0, 0, 10);
    assert.equal(reader.push(memory.subarray(10)).head, text.slice(0, -4));
  });

  const exact = `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(MAX_HEAD_BYTES - 24)}\r\n\r\n`;
  test('takes a head of the greatest size, in one piece and in two', () => {
    assert.equal(exact.length, MAX_HEAD_BYTES);
    assert.equal(new HeadReader().push(Buffer.from(exact)).used, MAX_HEAD_BYTES);
    const reader = new HeadReader();
    reader.push(Buffer.from(exact.slice(0, 9)));
    assert.ok(reader.push(Buffer.from(exact.slice(9))).head);
  });

  test('refuses a larger one, in one piece and in two', () => {
    const large = Buffer.from(exact.replace('A:', 'AA:'));
    assert.throws(() => new HeadReader().push(large), isProtocolError);
    const reader = new HeadReader();
    reader.push(large.subarray(0, 9));
    assert.throws(() => reader.push(large.subarray(9)), isProtocolError);
  });
});

describe('HeadReader says that a server speaks HTTP/2 alone', () => {
  const frames: readonly (readonly [string, readonly number[]])[] = [
    ['SETTINGS', [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]],
    ['SETTINGS of three values', [0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]],
    ['GOAWAY', [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
  ];
  for (const [name, bytes] of frames) {
    test(`by ${name}`, () => {
      assert.throws(
        () => new HeadReader().push(Buffer.from(bytes)),
        (error: unknown) => {
          assert.ok(error instanceof HttpError);
          assert.match(error.explanation, /speaks HTTP\/2 alone.*accept HTTP\/1\.1/);
          return true;
        },
      );
    });
  }

  test('and nothing of the kind of other bytes', () => {
    for (const bytes of [
      [0, 0, 6, 4, 0, 0, 0, 0, 1],
      [0, 0, 6, 1, 0, 0, 0, 0, 0],
      [1, 0, 6, 4, 0, 0, 0, 0, 0],
    ]) {
      assert.throws(() => new HeadReader().push(Buffer.from(bytes)), /no HTTP\/1\.1 status line/);
    }
  });
});
