import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { unifiedDiff } from './diff.ts';

/** What `patch` does with a diff of one file. */
function patched(before: string, diff: string): string {
  const lines = before.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const result: string[] = [];
  let at = 0;
  let open = false;
  for (const line of diff.match(/[^\n]*\n/g)?.slice(2) ?? []) {
    const range = /^@@ -(\d+),(\d+) /.exec(line);
    if (range !== null) {
      const start = Number(range[2]) === 0 ? Number(range[1]) : Number(range[1]) - 1;
      result.push(...lines.slice(at, start));
      at = start;
    } else if (line.startsWith('\\')) {
      if (open) result[result.length - 1] = (result.at(-1) ?? '').replace(/\n$/, '');
    } else {
      open = line[0] !== '-';
      if (open) result.push(line.slice(1));
      if (line[0] !== '+') at++;
    }
  }
  return [...result, ...lines.slice(at)].join('');
}

describe('unifiedDiff()', () => {
  test('shows three lines around a change, and the end of a file without a newline', () => {
    assert.equal(
      unifiedDiff('/etc/x', '1\n2\n3\n4\n5\n6\n7\n8\n9', '1\n2\n3\n4\nfive\n6\n7\n8\n9'),
      '--- /etc/x\n+++ /etc/x\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n',
    );
    assert.equal(unifiedDiff('x', 'a', 'a\n'), '--- x\n+++ x\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n');
    assert.equal(unifiedDiff('x', 'a\n', 'a\n'), '');
  });

  test('names /dev/null for a file that is not there before or after', () => {
    assert.equal(unifiedDiff('/x', undefined, 'a\n'), '--- /dev/null\n+++ /x\n@@ -0,0 +1,1 @@\n+a\n');
    assert.equal(unifiedDiff('/x', 'a\n', undefined), '--- /x\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n');
  });

  test('patches the old text into the new one, whatever they are', () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', 'c', '', 'd\r'), { maxLength: 30 })
      .chain((lines) => fc.constantFrom('\n', '').map((end) => (lines.length === 0 ? '' : lines.join('\n') + end)));
    fc.assert(
      fc.property(text, text, (before, after) => {
        if (before !== after) assert.equal(patched(before, unifiedDiff('x', before, after)), after);
      }),
      { numRuns: 500 },
    );
  });
});
