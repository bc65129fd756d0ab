import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { printableLines } from '../lib/index.ts';
import { formatJsonLine, timestamp } from './json-line.ts';
import { redact } from './redact.ts';

const common = { level: 'info', ts: '2026-01-02T03:04:05.678Z', message: 'request', stacks: false } as const;

const NAMES_OF_THE_LOG = new Set(['level', 'ts', 'msg']);
const someFields = fc
  .dictionary(fc.string(), fc.anything({ maxDepth: 2, withBigInt: true, withDate: true }), { maxKeys: 8 })
  .map((fields) => Object.fromEntries(Object.entries(fields).filter(([key]) => !NAMES_OF_THE_LOG.has(key))));

describe('formatJsonLine()', () => {
  test('has level, time, the fields in their order, and the message at the end', () => {
    const fields = {
      method: 'GET',
      path: '/v2/a/blobs/sha256:0a',
      status: 200,
      duration: 0.1,
      user: undefined,
      ok: true,
    };
    assert.equal(
      formatJsonLine({ ...common, fields }),
      '{"level":"info","ts":"2026-01-02T03:04:05.678Z","method":"GET","path":"/v2/a/blobs/sha256:0a",' +
        '"status":200,"duration":0.1,"ok":true,"msg":"request"}\n',
    );
  });

  for (const character of ['"', '\\', '\n', '\t', '\u007f', '=', '镜', '\u2028', '\ud800'])
    test(`escapes where JSON or a terminal needs it: ${JSON.stringify(character)}`, () => {
      const text = `a ${character}b`;
      const line = formatJsonLine({ ...common, message: text, fields: { [text]: text } });
      const { msg, [text]: field } = JSON.parse(line) as Record<string, unknown>;
      assert.deepEqual([msg, field], [text, text]);
      assert.equal(printableLines(line), line);
    });

  test('is what JSON makes of the redacted fields, whatever they are', () => {
    fc.assert(
      fc.property(someFields, fc.string({ unit: 'binary' }), (fields, message) => {
        const line = formatJsonLine({ ...common, message, fields });
        const shown = JSON.parse(JSON.stringify(redact(fields))) as object;
        const expected = { level: common.level, ts: common.ts, ...shown, msg: redact(message) };
        assert.deepEqual(JSON.parse(line), JSON.parse(JSON.stringify(expected)));
      }),
    );
  });

  test('is one line without a control character', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, text, (key, value, message) => {
        const line = formatJsonLine({ ...common, message, fields: { [key]: value, nested: { [key]: [value] } } });
        assert.equal(line.indexOf('\n'), line.length - 1);
        assert.equal(printableLines(line), line);
        assert.doesNotMatch(line, /\t/);
      }),
    );
  });

  test('no secret survives, in a plain text or beside one that is escaped', () => {
    const canary = 'C4NARY7';
    const secrets = fc.constantFrom<(secret: string) => unknown>(
      (secret) => `https://user:${secret}@ghcr.io/v2/`,
      (secret) => `Bearer ${secret}`,
      (secret) => `BASIC ${secret}`,
      (secret) => `a token=${secret}`,
      (secret) => `ent_${secret}${'0'.repeat(40)}`,
      (secret) => ({ headers: { authorization: secret } }),
      (secret) => new Error('a', { cause: new Error(`password=${secret}`) }),
    );
    fc.assert(
      fc.property(secrets, someFields, fc.string(), (place, around, before) => {
        const value = place(canary);
        const message = typeof value === 'string' ? `${before} ${value}` : before;
        for (const stacks of [false, true]) {
          const line = formatJsonLine({ ...common, stacks, message, fields: { ...around, place: value } });
          assert.ok(!line.includes(canary), line);
        }
      }),
    );
    assert.match(formatJsonLine({ ...common, fields: { clientSecret: canary } }), /"clientSecret":"\*\*\*"/);
  });

  test('bounds what it shows', () => {
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`k${index}`, index]));
    assert.equal(Object.keys(JSON.parse(formatJsonLine({ ...common, fields: wide })) as object).length, 103);
    assert.ok(formatJsonLine({ ...common, message: 'x'.repeat(100_000) }).length < 9000);
  });
});

describe('timestamp()', () => {
  test('is the time, also when it is asked again', (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_123 });
    assert.equal(timestamp(), '2023-11-14T22:13:20.123Z');
    assert.equal(timestamp(), '2023-11-14T22:13:20.123Z');
    t.mock.timers.tick(1);
    assert.equal(timestamp(), '2023-11-14T22:13:20.124Z');
    t.mock.timers.setTime(1_600_000_000_000);
    assert.equal(timestamp(), '2020-09-13T12:26:40.000Z');
  });
});
