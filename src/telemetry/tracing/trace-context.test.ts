import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { childOf, isSampled, newTrace, readTraceContext } from './trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('readTraceContext()', () => {
  test('reads what W3C Trace Context has', () => {
    const expected = { traceId: TRACE, spanId: SPAN, sampled: true, state: 'a=1' };
    assert.deepEqual(readTraceContext(`00-${TRACE}-${SPAN}-01`, 'a=1'), expected);
    assert.equal(readTraceContext(`00-${TRACE}-${SPAN}-00`)?.sampled, false);
    assert.equal(readTraceContext(`00-${TRACE}-${SPAN}-03`)?.sampled, true);
    assert.equal(readTraceContext(`cc-${TRACE}-${SPAN}-01-what-comes-later`)?.sampled, true, 'a later version');
  });

  const malformed: readonly (string | undefined)[] = [
    undefined,
    '',
    TRACE,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    `cc-${TRACE}-${SPAN}-01-${'x'.repeat(9000)}`,
  ];
  for (const text of malformed)
    test(`ignores ${String(text).slice(0, 70)}`, () => assert.equal(readTraceContext(text), undefined));

  test('drops a state that is too long, or is no header', () => {
    assert.equal(readTraceContext(`00-${TRACE}-${SPAN}-01`, 'x'.repeat(513))?.state, '');
    assert.equal(readTraceContext(`00-${TRACE}-${SPAN}-01`, 'a=\u0001')?.state, '');
  });
});

describe('a new trace', () => {
  test('is sampled always, never, or by its id', () => {
    assert.equal(newTrace(1).sampled, true);
    assert.equal(newTrace(0).sampled, false);
    assert.equal(isSampled(`${'f'.repeat(18)}7ffffffffff000`, 0.5), true);
    assert.equal(isSampled(`${'0'.repeat(18)}80000000000000`, 0.5), false);
    const sampled = Array.from({ length: 2000 }, () => newTrace(0.25)).filter((each) => each.sampled).length;
    assert.ok(sampled > 350 && sampled < 650, `${sampled} of 2000`);
  });

  test('has ids of the right form, and children in it', () => {
    const trace = newTrace(1);
    assert.match(trace.traceId, /^[0-9a-f]{32}$/);
    assert.match(trace.spanId, /^[0-9a-f]{16}$/);
    const child = childOf(trace);
    assert.equal(child.traceId, trace.traceId);
    assert.notEqual(child.spanId, trace.spanId);
  });
});
