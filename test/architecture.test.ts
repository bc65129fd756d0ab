import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'oxc-parser';
import { brokenImportRules, lineAt, loadedWith, ROOMS, readImports } from './support/import-rules.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = globSync('{src,test}/**/*.ts', { cwd: root }).sort();
const shipped = sources.filter((path) => path.startsWith('src/') && !path.endsWith('.test.ts'));

/** A file that may say where things are on a machine: tests, which need example paths. */
const MAY_NAME_PATHS = /^test\/|\.test\.ts$/;
// Put together, so that this file does not find itself.
const MACHINE_PATHS = ['work', 'tmp'].map((name) => new RegExp(`(?<![\\w.~$}-])/${name}/`));
const LINES = 500;

describe('the source', () => {
  test('rooms import only what stands above them, and only through index.ts', () => {
    nothing(sources.flatMap((path) => brokenImportRules(path, read(path))));
  });

  test('every room opens with what it does and what it never does', () => {
    const rooms = [...new Set(shipped.map((path) => path.split('/')).filter((parts) => parts.length > 2))];
    const names = [...new Set(rooms.map((parts) => parts[1] as string))].filter((name) => name in ROOMS);
    nothing(
      names.flatMap((name) => {
        const path = `src/${name}/index.ts`;
        if (!existsSync(`${root}${path}`)) return [`${path}:1: is missing; say there what ${name} does, and export it`];
        return /^\/\*\*[\s\S]{60,}?\*\//.test(read(path))
          ? []
          : [`${path}:1: does not open with a paragraph on ${name}`];
      }),
    );
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
    const cameBy = new Map<string, string>([['src/cli/serve.ts', '']]);
    for (const [path] of cameBy) {
      if (!path.startsWith('src/')) continue;
      for (const each of loadedWith(path, read(path))) if (!cameBy.has(each)) cameBy.set(each, path);
    }
    assert.ok(cameBy.size > 100, `${cameBy.size} files`);
    // What is below costs 100 ms; node:http is taken in server/node-http.ts, which says why.
    const late = ['src/net/index.ts', 'src/upstream/index.ts', 'dns-packet', 'tldts', 'prom-client', 'node:http'];
    nothing(
      late
        .filter((each) => cameBy.has(each))
        .map((each) => `${cameBy.get(each)}:1: loads ${each} at every start; import it where it is used`),
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
    ['src/cache/a.ts', `import { x } from '../store/sqlite.ts';`, /through src\/store\/index\.ts/],
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
    ['src/app.ts', `import { x } from './upstream/index.ts';`],
    ['src/main.ts', `const x = await import('./cli/program.ts');`],
    ['src/cache/a.test.ts', `import { x } from '../upstream/origin.ts'; import y from 'tldts';`],
    ['src/cli/version.ts', `import x from '../../package.json' with { type: 'json' };`],
  ] as const) {
    test(`but not ${path}: ${source}`, () => assert.deepEqual(brokenImportRules(path, source), []));
  }

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
