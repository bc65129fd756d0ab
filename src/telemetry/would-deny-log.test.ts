import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Events } from './events.ts';
import { createLog } from './log.ts';
import { createWouldDenyLog } from './would-deny-log.ts';

function stage() {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (text: string) => void lines.push(JSON.parse(text) as Record<string, unknown>) };
  const clock = { now: 60_000 };
  const write = createWouldDenyLog(createLog({ level: 'info', stream }), { now: () => clock.now });
  const pull = (over: Partial<Events['access.would_deny']> = {}): void =>
    write({
      id: 'x-1',
      principal: 'alice',
      action: 'pull',
      registry: 'ghcr.io',
      repository: 'ours/app',
      client: '10.0.0.1',
      ...over,
    });
  return { lines, clock, pull };
}

describe('createWouldDenyLog()', () => {
  test('says who would be refused what, as a warning', () => {
    const { lines, pull } = stage();
    pull();
    const [{ ts: _, ...line } = {}] = lines;
    assert.deepEqual(line, {
      level: 'warn',
      msg: 'access.would_deny',
      id: 'x-1',
      principal: 'alice',
      action: 'pull',
      registry: 'ghcr.io',
      repository: 'ours/app',
      client: '10.0.0.1',
    });
  });

  test('says the same once in ten minutes, and then how often it was left out', () => {
    const { lines, clock, pull } = stage();
    for (let at = 0; at < 10_000; at += 1) pull();
    assert.equal(lines.length, 1);
    for (const over of [{ client: '10.0.0.2' }, { principal: 'bob' }, { repository: 'ours/app2' }]) pull(over);
    assert.deepEqual(
      lines.map(({ unlogged }) => unlogged),
      [undefined, 9999, undefined, undefined],
    );
    clock.now += 600_000;
    pull();
    assert.equal(lines.length, 5);
  });

  test('writes at most sixty lines in a minute, whatever the names', () => {
    const { lines, clock, pull } = stage();
    for (let at = 0; at < 200_000; at += 1) pull({ repository: `x/${at}` });
    assert.equal(lines.length, 60);
    clock.now += 60_000;
    pull({ repository: 'y' });
    assert.deepEqual([lines.length, lines.at(-1)?.['unlogged']], [61, 199_940]);
  });
});
