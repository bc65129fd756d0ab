import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'oxc-parser';
import {
  brokenImportRules,
  findCircles,
  importedFiles,
  lineAt,
  loadedWith,
  readImports,
} from './support/import-rules.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = globSync('{src,test}/**/*.ts', { cwd: root }).sort();
const shipped = sources.filter((path) => path.startsWith('src/') && !path.endsWith('.test.ts'));

/** A file that may say where things are on a machine: tests, which need example paths. */
const MAY_NAME_PATHS = /^test\/|\.test\.ts$/;
// Put together, so that this file does not find itself.
const MACHINE_PATHS = ['work', 'tmp'].map((name) => new RegExp(`(?<![\\w.~$}-])/${name}/`));
const LINES = 500;
const FILES = 26;
const LOOSE = 4;

/** The shipped files of each room. */
const filesOf = Map.groupBy(
  shipped.filter((path) => path.split('/').length > 2),
  (path) => dirname(path),
);
const loose = shipped.filter((path) => path.split('/').length === 2);

describe('the source', () => {
  test('rooms import only what stands above them, and only through index.ts', () => {
    nothing(sources.flatMap((path) => brokenImportRules(path, read(path))));
  });

  test('no file imports itself by way of others, types included', () => {
    const imports = new Map(shipped.map((path) => [path, importedFiles(path, read(path))]));
    nothing(
      findCircles(imports).map((circle) => `${circle.join(' → ')} → ${circle[0]}: a circle; move what is shared`),
    );
  });

  test('every room opens with what it does and what it never does', () => {
    nothing(
      [...filesOf.keys()].flatMap((room) => {
        const path = `${room}/index.ts`;
        if (!existsSync(`${root}${path}`)) return [`${path}:1: is missing; say there what ${room} does, and export it`];
        const [opening = ''] = /^\/\*\*[\s\S]{60,}?\*\//.exec(read(path)) ?? [];
        return /\b(?:never|nothing)\b/i.test(opening)
          ? []
          : [`${path}:1: does not open with a paragraph on what ${room} does and what it never does`];
      }),
    );
  });

  test(`no room has more than ${FILES} files, and at most ${LOOSE} lie beside the rooms`, () => {
    nothing([
      ...[...filesOf].flatMap(([room, files]) =>
        files.length > FILES ? [`${room}: has ${files.length} files; give a part of them a room of its own`] : [],
      ),
      ...(loose.length > LOOSE ? [`src: has ${loose.length} loose files (${loose.join(', ')}); give them a room`] : []),
    ]);
  });

  test(`no file has more than ${LINES} lines`, () => {
    nothing(
      shipped.flatMap((path) => {
        const lines = read(path).split('\n').length - 1;
        return lines > LINES
          ? [`${path}:${LINES}: goes on to line ${lines}; it has two subjects, give each a file`]
          : [];
      }),
    );
  });

  test('a start loads nothing that only a question to another server needs', () => {
    const setEntryPoint = new Map<string, string>([['src/cli/commands/server/serve.ts', '']]);
    for (const [path] of setEntryPoint) {
      if (!path.startsWith('src/')) continue;
      for (const each of loadedWith(path, read(path))) if (!setEntryPoint.has(each)) setEntryPoint.set(each, path);
    }
    assert.ok(setEntryPoint.size > 100, `${setEntryPoint.size} files`);
    // What is below costs 100 ms; node:http is taken in server/exchange/node-http.ts, which says why.
    const late = ['src/net/index.ts', 'src/upstream/index.ts', 'dns-packet', 'tldts', 'prom-client', 'node:http'];
    // Of use to who opens the console alone.
    late.push('src/web/index.ts', '#console-assets');
    // Of use with rules alone.
    late.push('src/access/guarded.ts', 'src/access/guard.ts', 'src/registry/token-door.ts', 'bcryptjs');
    late.push('src/access/accounts.ts', 'src/store/access/index.ts');
    // Of use to operators alone.
    late.push('src/api/serving.ts', 'src/admin/operations.ts', 'src/app/operating/index.ts');
    // Of use with hosted repositories alone.
    late.push('src/store/blobs/hosted.ts', 'src/hosting/layout/index.ts');
    nothing(
      late
        .filter((each) => setEntryPoint.has(each))
        .map((each) => `${setEntryPoint.get(each)}:1: loads ${each} at every start; import it where it is used`),
    );
  });

  test('only the command line writes to the console', () => {
    nothing(
      shipped
        .filter((path) => !path.startsWith('src/cli/'))
        .flatMap((path) =>
          consoleUses(path, read(path)).map(
            (line) => `${path}:${line}: uses console; publish an event, telemetry logs it`,
          ),
        ),
    );
  });
});

describe('the repository', () => {
  test('names no path of the machine it was written on', () => {
    nothing(
      trackedFiles().flatMap((path) => {
        const patterns = MAY_NAME_PATHS.test(path) ? MACHINE_PATHS.slice(0, 1) : MACHINE_PATHS;
        return read(path)
          .split('\n')
          .flatMap((line, i) =>
            patterns.some((pattern) => pattern.test(line))
              ? [
                  `${path}:${i + 1}: names a path of one machine (${line.trim().slice(0, 80)}); take it from the environment`,
                ]
              : [],
          );
      }),
    );
  });

  test('its lock file names no package registry', () => {
    nothing(
      read('package-lock.json')
        .split('\n')
        .flatMap((line, i) =>
          line.includes('"resolved"')
            ? [`package-lock.json:${i + 1}: has "resolved"; run npm install --omit-lockfile-registry-resolved`]
            : [],
        ),
    );
  });
});

describe('the rules bite', () => {
  for (const [path, source, complaint] of [
    ['src/cache/a.ts', `import { x } from '../upstream/index.ts';`, /cache imports upstream, but may import lib, oci/],
    ['src/cache/a.ts', `import type { x } from '../upstream/index.ts';`, /cache imports upstream/],
    ['src/cache/a.ts', `export * from '../server/index.ts';`, /cache imports server/],
    ['src/lib/a.ts', `const x = await import('../oci/index.ts');`, /lib imports oci, but may import nothing/],
    ['src/cache/a.ts', `import { x } from '../store/metadata/sqlite.ts';`, /through src\/store\/index\.ts/],
    ['src/cache/a.ts', `import { x } from '../store/metadata/index.ts';`, /through src\/store\/index\.ts/],
    ['src/cache/url/a.ts', `import { x } from '../transfer/ingest.ts';`, /through src\/cache\/transfer\/index\.ts/],
    ['src/cache/a.ts', `import { x } from './transfer/ingest.ts';`, /through src\/cache\/transfer\/index\.ts/],
    ['src/cache/url/a.ts', `import { x } from '../registry/index.ts';`, /cache\/url imports registry, but may import/],
    ['src/cache/attic/a.ts', `import { x } from '../url/index.ts';`, /cache\/attic, which has no place in the order/],
    ['src/cache/a.ts', `import { x } from './attic/index.ts';`, /cache\/attic, which has no place in the order/],
    ['src/cli/commands/cache/a.ts', `import { x } from '../config/index.ts';`, /may import nothing/],
    ['src/cli/a.ts', `import { x } from '../store/sqlite.ts';`, /through src\/store\/index\.ts/],
    ['src/cache/a.ts', `import { x } from 'tldts';`, /tldts, which belongs to upstream/],
    ['src/cache/a.ts', `import { x } from 'node:sqlite';`, /node:sqlite, which belongs to store/],
    ['src/cache/a.ts', `import { x } from '@scope/x/y';`, /@scope\/x, which has no room/],
    ['src/cache/a.ts', 'const x = await import(`../${name}.ts`);', /computed path/],
    ['src/cache/a.ts', `import { x } from './a.test.ts';`, /cannot depend on tests/],
    ['src/cache/a.ts', `import { x } from '../../test/support/image.ts';`, /cannot depend on tests/],
    ['src/cache/a.ts', `import { x } from '../../scripts/test.ts';`, /not under src/],
    ['src/attic/a.ts', `import { x } from '../lib/index.ts';`, /no place in the order/],
    ['src/main.ts', `import { x } from './store/index.ts';`, /main imports store/],
    ['src/cache/a.test.ts', `import { x } from '../../dist/cache.js';`, /which is built/],
  ] as const) {
    test(`${path}: ${source}`, () => {
      const found = brokenImportRules(path, `\n${source}`);
      assert.equal(found.length, 1);
      assert.match(found[0] as string, complaint);
      assert.match(found[0] as string, new RegExp(`^${path}:2: `));
    });
  }

  for (const [path, source] of [
    ['src/cache/a.ts', `import { x } from '../store/index.ts'; import y from './b.ts'; import 'node:fs';`],
    ['src/upstream/a.ts', `import { x } from 'tldts';`],
    ['src/app/app.ts', `import { x } from '../upstream/index.ts';`],
    ['src/cache/url/a.ts', `import { x } from '../origin.ts'; import { y } from '../transfer/index.ts';`],
    ['src/cache/url/a.ts', `import { x } from '../../store/index.ts';`],
    ['src/cache/a.ts', `import { x } from './transfer/index.ts';`],
    ['src/main.ts', `const x = await import('./cli/index.ts');`],
    ['src/cache/a.test.ts', `import { x } from '../upstream/origin.ts'; import y from 'tldts';`],
    ['src/cli/version.ts', `import x from '../../package.json' with { type: 'json' };`],
  ] as const) {
    test(`but not ${path}: ${source}`, () => assert.deepEqual(brokenImportRules(path, source), []));
  }

  test('a circle is found, whichever way leads into it', () => {
    const imports = new Map([
      ['a', ['b']],
      ['b', ['c', 'd']],
      ['c', ['b']],
      ['d', []],
    ]);
    assert.deepEqual(findCircles(imports), [['b', 'c']]);
    assert.deepEqual(
      findCircles(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', []],
        ]),
      ),
      [],
    );
  });

  test('an import in a comment or a string is none', () => {
    assert.deepEqual(readImports('a.ts', `// import 'x';\nconst y = "import 'x'";`), []);
  });

  test('console is found by what it is, not by its name in a text', () => {
    assert.deepEqual(consoleUses('a.ts', `// console.log\nconst x = 'console.log';\nconsole.log(x);`), [3]);
  });
});

/** Asserts that no rule is broken, and shows every place where one is. */
function nothing(broken: readonly string[]): void {
  assert.ok(broken.length === 0, `\n${broken.join('\n')}\n`);
}

function read(path: string): string {
  return readFileSync(`${root}${path}`, 'utf8');
}

function trackedFiles(): string[] {
  // A checkout without git (an unpacked archive) has nothing that could be committed by mistake.
  if (!existsSync(`${root}.git`)) return [];
  const listed = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  return listed.split('\0').filter((path) => path !== '' && existsSync(`${root}${path}`));
}

function consoleUses(path: string, source: string): number[] {
  const lines: number[] = [];
  new Visitor({
    MemberExpression(node) {
      if (node.object.type === 'Identifier' && node.object.name === 'console') lines.push(lineAt(source, node.start));
    },
  }).visit(parseSync(path, source).program);
  return lines;
}
