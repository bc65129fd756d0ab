import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../src/cli/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Texts that name commands to a reader: the pages, the page of the console, messages and help. */
const FILES = globSync(['*.md', 'docs/**/*.md', 'ui/src/**/*.{ts,tsx}', 'src/**/*.ts'], { cwd: root }).filter(
  (path) => !path.endsWith('.test.ts') && path !== 'CHANGELOG.md',
);

/** `entrepot needs Node 26` is a message of bin/entrepot. */
const NAMED = /`(?:bin\/)?entrepot (?!needs )([a-z][a-z-]*)(?: ([a-z][a-z-]*))?(?=[ `\\])/g;

const helps = new Map<string, Promise<string | undefined>>();

/** The help of a command; undefined where there is no such command. */
function helpOf(words: readonly string[]): Promise<string | undefined> {
  const key = words.join(' ');
  const known = helps.get(key) ?? ask(words);
  helps.set(key, known);
  return known;
}

async function ask(words: readonly string[]): Promise<string | undefined> {
  const texts: string[] = [];
  const output = { out: (text: string) => void texts.push(text), err: () => {} };
  return (await run([...words, '--help'], { output })) === 0 ? texts.join('') : undefined;
}

/** What is wrong with `entrepot FIRST SECOND`; the second word may be an argument. */
async function faultOf(first: string, second: string | undefined): Promise<string | undefined> {
  const help = await helpOf([first]);
  if (help === undefined) return `there is no command ${first}`;
  if (second === undefined || !/^Commands:/m.test(help)) return undefined;
  return (await helpOf([first, second])) === undefined ? `there is no command ${first} ${second}` : undefined;
}

describe('commands that a text names', () => {
  test('are commands of the program', async () => {
    const named = FILES.flatMap((path) =>
      Array.from(readFileSync(root + path, 'utf8').matchAll(NAMED), ([, first = '', second]) => ({
        path,
        first,
        second,
      })),
    );
    assert.ok(named.length > 200, `${named.length} are named`);
    const faults: string[] = [];
    for (const { path, first, second } of named) {
      const fault = await faultOf(first, second);
      if (fault !== undefined) faults.push(`${path}: ${fault}`);
    }
    assert.deepEqual([...new Set(faults)], []);
  });

  test('of which one that is not there is found', async () => {
    assert.equal(await faultOf('config', 'access'), 'there is no command config access');
    assert.equal(await faultOf('nothing', undefined), 'there is no command nothing');
    assert.equal(await faultOf('pin', 'nginx'), undefined);
  });
});
