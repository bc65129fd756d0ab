import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { HeadReader, parseResponseHead, type ResponseHead } from '../head/index.ts';
import { HttpError } from '../http-types.ts';
import { framingFor } from './body-framing.ts';

/**
 * A differential test: the parser of responses against Node's, llhttp in its strict mode, over mutated responses.
 *
 * What llhttp refuses is refused here. What both accept has the same status, headers and body. Where this parser alone refuses,
 * its message is one of {@link STRICTER}.
 */
const CASES = 12_000;
const SEED = 0x5eed;

/** Where this parser is stricter than llhttp on purpose: the message, and why. */
const STRICTER: readonly (readonly [message: RegExp, why: string])[] = [
  [/first line is no HTTP\/1\.1 status line/, 'other versions, classes of status and control characters in a reason'],
  [/Transfer-Encoding other than chunked/, 'no other coding was asked for'],
  [/Transfer-Encoding in an HTTP\/1\.0 response/, 'HTTP/1.0 has none (RFC 9112 §6.1)'],
  [/both Content-Length and Transfer-Encoding/, 'a sign of smuggling, also where the response has no body'],
  [/more than one Content-Length/, 'also where the response has no body'],
  [/Content-Length is not a number of bytes/, 'sizes beyond exact integers'],
  [/Connection lists what is no header name/, 'another parser may read `close`'],
  [/it continues the line before/, 'obsolete line folding (RFC 9112 §5.2)'],
  [/a malformed chunk extension/, 'an extension has a name, and a value behind its equals sign'],
  [/chunk size that is too large/, 'sizes beyond exact integers, also with zeros in front'],
  [/among the trailers/, 'framing fields behind the body (RFC 9110 §6.5.1)'],
  [/a trailer is malformed/, 'trailers are held to the grammar of headers'],
  [/switched to another protocol/, 'no switch was asked for'],
];

interface Outcome {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

interface Llhttp {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  finish(): Error | undefined;
  [callback: number]: (...given: never[]) => unknown;
}

interface LlhttpClass {
  new (): Llhttp;
  readonly RESPONSE: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

// Node has no public interface of its parser alone, and an exchange over a socket takes a hundred times as long.
const { HTTPParser } = createRequire(import.meta.url)('_http_common') as { readonly HTTPParser: LlhttpClass };

function byLlhttp(bytes: Buffer): Outcome | Error {
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.RESPONSE, {});
  const early: string[] = [];
  const body: Buffer[] = [];
  let head: Pick<Outcome, 'status' | 'headers'> | undefined;
  let done = false;
  parser[HTTPParser.kOnHeaders] = (headers: string[]) => void early.push(...headers);
  parser[HTTPParser.kOnHeadersComplete] = (
    _major: number,
    _minor: number,
    headers: string[] | undefined,
    _method: number,
    _url: string,
    status: number,
  ) => {
    if (!done) head = { status, headers: [...early, ...(headers ?? [])] };
  };
  parser[HTTPParser.kOnBody] = (piece: Buffer) => void (done || body.push(Buffer.from(piece)));
  parser[HTTPParser.kOnMessageComplete] = () => void (done = true);
  const executed = parser.execute(bytes);
  // Bytes behind the first response are no part of it.
  if (!done && executed instanceof Error) return executed;
  if (!done) {
    const ended = parser.finish();
    if (ended instanceof Error) return ended;
  }
  if (!done || head === undefined) return new Error('incomplete');
  return { ...head, body: Buffer.concat(body).toString('latin1') };
}

function byOurs(bytes: Buffer): Outcome | Error {
  try {
    const { used, head: text } = new HeadReader().push(bytes);
    if (text === undefined) return new Error('incomplete');
    const head = parseResponseHead(text, 'GET');
    const framing = framingFor(head.body);
    const rest = Buffer.from(bytes.subarray(used));
    const length = rest.length === 0 || framing.done ? 0 : framing.accept(rest, rest.length);
    return framing.done || head.body.kind === 'until-close' ? outcomeOf(head, rest, length) : new Error('incomplete');
  } catch (error) {
    if (error instanceof HttpError) return error;
    throw error;
  }
}

function outcomeOf({ status, rawHeaders }: ResponseHead, rest: Buffer, length: number): Outcome {
  return { status, headers: rawHeaders, body: rest.toString('latin1', 0, length) };
}

/** Numbers below a limit, always the same ones (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const LINES = [
  'HTTP/1.1 200 OK',
  'HTTP/1.1 404',
  'HTTP/1.1 206 ',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 204 No Content',
  'HTTP/1.1 304 x',
];
const FIELDS = [
  'Content-Length: 3',
  'Content-Length: 3',
  'Content-Length:5',
  'content-length: 3, 3',
  'Content-Length: +3',
  'Content-Length: 3\xa0',
  'Content-Length:',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked',
  'transfer-encoding:\tChunked ',
  'Transfer-Encoding: chunked\xa0',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding : chunked',
  'Connection: close',
  'Connection: close\xa0',
  'Connection: keep-alive, x',
  'X-Plain: a b',
  'X-Empty:',
  'X-Tabs:\t a\tb \t',
  'X-High: caf\xe9',
  ' X-Fold: a',
  'X-Space : a',
  'X(Bad): a',
  ': nameless',
  'NoColon',
  'Set-Cookie: a=1; b',
];
const SIZES = [
  '3',
  '03',
  '3;x',
  '3;x=y',
  '3;x="a;b"',
  '3;x="a\\"b"',
  '3 ',
  '3 4',
  '3 garbage',
  '3\t',
  ' 3',
  '+3',
  '0x3',
  '3;',
  '3;=y',
  '3; x',
  '3;x ;y',
  '3;;x',
  '3;x="',
  '3;x="a"b',
  'g',
  '',
  '3\xa0',
  '3,3',
];
const TRAILERS = [
  '',
  '',
  'A: b\r\n',
  'GARBAGE\r\n',
  'A : b\r\n',
  ' A: b\r\n',
  'A: b\r\n c\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  ': x\r\n',
  'A: \0\r\n',
  'A: b\n',
  'A\xa0: b\r\n',
];
const BYTES = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  '\xa0',
  '\x7f',
  '\x0b',
  '\x85',
  ',',
  '"',
  '0',
  'a',
  '\x01',
  '=',
];

function responseFrom(random: (below: number) => number): string {
  const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
  const fields = Array.from({ length: random(4) }, () => pick(FIELDS));
  // Half of the responses are in chunks, well-formed but for what is drawn.
  const chunked = random(2) === 0;
  if (chunked) fields.push('Transfer-Encoding: chunked');
  const size = random(3) === 0 ? '3' : pick(SIZES);
  const last = random(8) === 0 ? pick(['00', '0;x', '0 ', '0 x', '']) : '0';
  const body = chunked || random(3) === 0 ? `${size}\r\nabc\r\n${last}\r\n${pick(TRAILERS)}\r\n` : 'abc';
  let text = `${[random(3) === 0 ? pick(LINES) : 'HTTP/1.1 200 OK', ...fields].join('\r\n')}\r\n\r\n${body}`;
  for (let left = random(3); left > 0; left--) {
    const at = random(text.length + 1);
    const mutations = [
      () => text.slice(0, at) + pick(BYTES) + text.slice(at),
      () => text.slice(0, at) + text.slice(at + 1),
      () => text.slice(0, at) + pick(BYTES) + text.slice(at + 1),
      () => text.replace('\r\n', pick(['\n', '\r', '\r\r\n', ' \r\n', '\r\n '])),
    ];
    text = mutations[random(mutations.length)]?.() ?? text;
  }
  return text;
}

test(`refuses what llhttp refuses, and reads the rest as it does: ${CASES} mutated responses`, () => {
  const random = randomFrom(SEED);
  const counts = { accepted: 0, refused: 0, stricter: 0 };
  for (let i = 0; i < CASES; i++) {
    const text = responseFrom(random);
    const bytes = Buffer.from(text, 'latin1');
    const [ours, theirs] = [byOurs(Buffer.from(bytes)), byLlhttp(bytes)];
    const shown = JSON.stringify(text);
    if (theirs instanceof Error) {
      assert.ok(ours instanceof Error, `accepted, though llhttp says "${theirs.message}": ${shown}`);
      counts.refused += 1;
    } else if (ours instanceof Error) {
      const { message } = ours;
      assert.ok(
        STRICTER.some(([known]) => known.test(message)),
        `refused (${message}), though llhttp accepts: ${shown}`,
      );
      counts.stricter += 1;
    } else {
      assert.deepEqual(ours, theirs, shown);
      counts.accepted += 1;
    }
  }
  // A corpus that one side always refuses would prove nothing.
  for (const [kind, count] of Object.entries(counts)) assert.ok(count > CASES / 100, `${kind}: ${count}`);
});
