import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Test files that run in one process, in this order. */
export interface TestProcess {
  /** What Node starts: a test file itself, or a module that imports several. Absolute. */
  readonly entry: string;
  /** Paths from the root of the repository. */
  readonly files: readonly string[];
}

/** Files of one process at most: starting costs little by then, and the processes end at about the same time. */
const FILES_OF_A_PROCESS = 16;

/** Files that wait long for what they test, whatever their size. */
const LONGEST = ['test/integration/recount.test.ts', 'test/integration/crash.test.ts'];

/**
 * Deals test files out to processes.
 *
 * Node gives each file a process, which costs about a second of CPU: the start, the runner, and the modules under test
 * with everything they import. Files that may share one run one after another in it. A file runs alone nevertheless if
 * it has hooks outside a suite, which would run for the tests of every file beside it, or awaits at its top level.
 * Files that run alone come first, those that last longest before the others, as one that is left at the end runs by itself.
 */
export function planProcesses(
  chosen: readonly { readonly file: string; readonly shared: boolean }[],
  { root, directory }: { readonly root: string; readonly directory: string },
): readonly TestProcess[] {
  const isSharing = ({ file, shared }: { file: string; shared: boolean }): boolean =>
    shared && !/^(?:(?:before|after)(?:Each)?\(|(?:const .* = )?await )/m.test(readFileSync(join(root, file), 'utf8'));
  const sharing = chosen.filter(isSharing).map(({ file }) => file);
  const alone = chosen.filter((each) => !sharing.includes(each.file)).sort((a, b) => size(b.file) - size(a.file));
  const groups = slices(
    sharing.sort(),
    Math.max(Math.ceil(sharing.length / FILES_OF_A_PROCESS), Math.min(availableParallelism(), sharing.length)),
  );
  return [
    ...alone.map(({ file }) => ({ entry: join(root, file), files: [file] })),
    ...groups.map((files, i) => ({ entry: entryOf(files, i), files })),
  ];

  function size(file: string): number {
    return LONGEST.includes(file) ? Number.MAX_SAFE_INTEGER : statSync(join(root, file)).size;
  }

  function entryOf(files: readonly string[], number: number): string {
    if (files.length === 1) return join(root, files[0] as string);
    const entry = join(directory, `group-${number + 1}.mjs`);
    writeFileSync(entry, files.map((file) => `import ${JSON.stringify(pathToFileURL(join(root, file)))};\n`).join(''));
    return entry;
  }
}

/** The same list in this many parts of about the same length; neighbours, which import the same, stay together. */
function slices(list: readonly string[], count: number): string[][] {
  return Array.from({ length: count }, (_, i) =>
    list.slice(Math.round((i * list.length) / count), Math.round(((i + 1) * list.length) / count)),
  );
}
