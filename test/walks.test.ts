import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { importedFiles } from './support/import-rules.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = globSync('src/**/*.ts', { cwd: root }).filter((path) => !path.endsWith('.test.ts'));
const imports = new Map(sources.map((path) => [path, importedFiles(path, readFileSync(`${root}${path}`, 'utf8'))]));

/** A file that a request passes, as docs/request-flow.md lists it below the file that calls it. */
interface Step {
  readonly file: string;
  readonly caller: string | undefined;
  /** The file that hands this one to its caller, which knows only an interface. */
  readonly by: string | undefined;
}

describe('the files on the way of a request', () => {
  const page = readFileSync(`${root}docs/request-flow.md`, 'utf8');
  const [, section = ''] = /^## The files on the way\n([\s\S]*?)^## /m.exec(page) ?? [];
  const walks = section.split(/^### /m).slice(1);

  test('are listed for a tag and for a cold blob', () => {
    assert.deepEqual(
      walks.map((walk) => walk.split('\n')[0]),
      ['A tag, cached and fresh', 'A cold blob'],
    );
  });

  for (const walk of walks) {
    test(`${walk.split('\n')[0]}: each is imported by its caller, or introduced by the file that is named`, () => {
      const steps = stepsOf(walk);
      assert.ok(steps.length >= 10, `${steps.length} steps`);
      assert.deepEqual(steps.flatMap(complaints), []);
    });
  }

  test('a step that is not there, or not imported, is found', () => {
    const [missing, unrelated, introduced] = stepsOf(
      '- `lib/lru.ts` a\n  - `lib/nothing.ts` b\n  - `net/port.ts` c\n  - `net/port.ts` d (by `net/dial/dial.ts`)\n',
    ).slice(1);
    assert.deepEqual(complaints(missing as Step), ['src/lib/nothing.ts is not there']);
    assert.deepEqual(complaints(unrelated as Step), ['src/lib/lru.ts does not import src/net/port.ts']);
    assert.deepEqual(complaints(introduced as Step), ['src/net/dial/dial.ts does not import src/net/port.ts']);
  });
});

describe('ARCHITECTURE.md', () => {
  const page = readFileSync(`${root}ARCHITECTURE.md`, 'utf8');

  test('names rooms and files that are there', () => {
    const rows = page
      .split('\n')
      .map((line) => Array.from(line.matchAll(/`([a-z/-]+(?:\/|\.ts))`/g), ([, path = '']) => path));
    assert.ok(rows.flat().length > 60, `${rows.flat().length} paths`);
    const missing = rows.flatMap((paths) =>
      paths.filter(
        (path) =>
          ['', ...paths].every((room) => !existsSync(`${root}src/${room}${path}`)) && !existsSync(`${root}${path}`),
      ),
    );
    assert.deepEqual(missing, []);
  });

  test('names every room', () => {
    const rooms = new Set(sources.map((path) => path.split('/')[1] ?? '').filter((room) => !room.endsWith('.ts')));
    assert.deepEqual(
      [...rooms].filter((room) => !page.includes(`\`${room}/`)),
      [],
    );
  });
});

/** The bullets of a list, each with the bullet above it that is indented less. */
function stepsOf(list: string): readonly Step[] {
  const above: string[] = [];
  return Array.from(list.matchAll(/^( *)- `([^`]+)`.*?(?:\(by `([^`]+)`\))?$/gm), ([, indent = '', name = '', by]) => {
    const depth = indent.length / 2;
    above.length = depth;
    const caller = above[depth - 1];
    const file = `src/${name}`;
    above.push(file);
    return { file, caller, by: by === undefined ? undefined : `src/${by}` };
  });
}

function complaints({ file, caller, by }: Step): readonly string[] {
  const absent = [file, caller, by].filter((path) => path !== undefined && !existsSync(`${root}${path}`));
  if (absent.length > 0) return absent.map((path) => `${path} is not there`);
  if (caller === undefined) return [];
  if (by === undefined) return reaches(caller, file) ? [] : [`${caller} does not import ${file}`];
  return reaches(by, file) ? [] : [`${by} does not import ${file}`];
}

/** The files that an import passes through without a word of their own: doors of rooms, and the list of late rooms. */
const PASSAGES = new Set(['index.ts', 'lazy.ts']);

/** Whether a file imports another, itself or through passages. */
function reaches(from: string, to: string): boolean {
  const seen = new Set<string>();
  const next = [...(imports.get(from) ?? [])];
  for (let path = next.pop(); path !== undefined; path = next.pop()) {
    if (path === to) return true;
    if (seen.has(path) || !PASSAGES.has(basename(path))) continue;
    seen.add(path);
    next.push(...(imports.get(path) ?? []));
  }
  return false;
}
