/** Lines around a change that a diff shows. */
const CONTEXT = 3;
/** Larger changes are shown as all old lines and all new ones, which is never wrong. */
const MAX_CELLS = 4_000_000;

interface Line {
  readonly kind: ' ' | '-' | '+';
  readonly text: string;
}

/**
 * The change of a file as a unified diff, which `patch` takes; empty where nothing changed.
 *
 * @param before undefined where the file does not exist yet
 * @param after undefined where the file is removed
 */
export function unifiedDiff(path: string, before: string | undefined, after: string | undefined): string {
  if (before === after) return '';
  const lines = compare(linesOf(before ?? ''), linesOf(after ?? ''));
  const from = before === undefined ? '/dev/null' : path;
  const to = after === undefined ? '/dev/null' : path;
  return `--- ${from}\n+++ ${to}\n${hunksOf(lines).join('')}`;
}

/** Lines with their ends, so that a change of a line's end is a change. */
function linesOf(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function compare(before: readonly string[], after: readonly string[]): readonly Line[] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const same = (text: string): Line => ({ kind: ' ', text });
  return [
    ...before.slice(0, head).map(same),
    ...compareMiddle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

/** By the longest common subsequence. */
function compareMiddle(before: readonly string[], after: readonly string[]): readonly Line[] {
  const removed = before.map((text): Line => ({ kind: '-', text }));
  const added = after.map((text): Line => ({ kind: '+', text }));
  const width = after.length + 1;
  if (before.length * after.length > MAX_CELLS || before.length === 0 || after.length === 0)
    return [...removed, ...added];
  const common = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push({ kind: ' ', text: before[i] ?? '' });
      i++;
      j++;
    } else if (i < before.length && (j === after.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: '-', text: before[i] ?? '' });
      i++;
    } else {
      lines.push({ kind: '+', text: after[j] ?? '' });
      j++;
    }
  }
  return lines;
}

function hunksOf(lines: readonly Line[]): readonly string[] {
  const shown = lines.map((_, at) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(({ kind }) => kind !== ' '),
  );
  const hunks: string[] = [];
  let oldLine = 1;
  let newLine = 1;
  for (let at = 0; at < lines.length; ) {
    if (shown[at] !== true) {
      oldLine++;
      newLine++;
      at++;
      continue;
    }
    const end = shown.indexOf(false, at);
    const part = lines.slice(at, end === -1 ? lines.length : end);
    const oldCount = part.filter(({ kind }) => kind !== '+').length;
    const newCount = part.filter(({ kind }) => kind !== '-').length;
    const range = (start: number, count: number): string => `${count === 0 ? start - 1 : start},${count}`;
    const text = part.map(
      (line) => `${line.kind}${line.text.endsWith('\n') ? line.text : `${line.text}\n${NO_NEWLINE}`}`,
    );
    hunks.push(`@@ -${range(oldLine, oldCount)} +${range(newLine, newCount)} @@\n${text.join('')}`);
    oldLine += oldCount;
    newLine += newCount;
    at += part.length;
  }
  return hunks;
}

const NO_NEWLINE = '\\ No newline at end of file\n';
