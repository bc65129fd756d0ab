import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MOST_SPANS, SpanSources } from './span-sources.ts';

describe('SpanSources', () => {
  test('joins neighbours of one upstream', () => {
    const sources = new SpanSources();
    sources.note(0, 10, 'hub');
    sources.note(20, 30, 'mirror');
    sources.note(10, 20, 'mirror');
    sources.note(30, 40, 'mirror');
    sources.note(40, 50, 'hub');
    assert.deepEqual(sources.besides('hub'), [{ start: 10, end: 40, upstream: 'mirror' }]);
    assert.deepEqual(sources.besides('mirror'), [
      { start: 0, end: 10, upstream: 'hub' },
      { start: 40, end: 50, upstream: 'hub' },
    ]);
  });

  test('knows nothing any more where there were too many spans', () => {
    const sources = new SpanSources();
    for (let at = 0; at < MOST_SPANS; at += 1) sources.note(at * 10, at * 10 + 1, 'mirror');
    assert.equal(sources.besides('hub')?.length, MOST_SPANS);
    // One that is longer takes no room.
    sources.note(1, 2, 'mirror');
    assert.equal(sources.besides('hub')?.length, MOST_SPANS);
    sources.note(5, 6, 'mirror');
    assert.equal(sources.besides('hub'), undefined);
    sources.note(0, 100_000, 'hub');
    assert.equal(sources.besides('hub'), undefined);
  });

  test('knows of each byte who delivered it last', () => {
    const note = fc.record({
      start: fc.nat(60),
      length: fc.nat(12),
      upstream: fc.constantFrom('hub', 'mirror', 'third'),
    });
    fc.assert(
      fc.property(fc.array(note, { maxLength: 40 }), (notes) => {
        const sources = new SpanSources();
        const bytes: (string | undefined)[] = Array.from({ length: 80 });
        for (const { start, length, upstream } of notes) {
          sources.note(start, start + length, upstream);
          bytes.fill(upstream, start, start + length);
        }
        const found: (string | undefined)[] = Array.from({ length: 80 });
        const spans = sources.besides('none') ?? [];
        for (const { start, end, upstream } of spans) found.fill(upstream, start, end);
        assert.deepEqual(found, bytes);
        for (const [at, { start, end, upstream }] of spans.entries()) {
          const next = spans[at + 1];
          assert.ok(end > start && (next === undefined || next.start > end || next.upstream !== upstream));
        }
      }),
    );
  });
});
