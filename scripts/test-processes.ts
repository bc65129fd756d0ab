import { statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Test files that run in one process, in this order. */
export interface TestProcess {
  /** What Node starts: a test file itself, or a module that imports several, each in a line of its own. Absolute. */
  readonly entry: string;
  /** Paths from the root of the repository. */
  readonly files: readonly string[];
}

/**
 * Which files share a process: none; neighbours, which import the same; or any, dealt out so that the processes last
 * about the same.
 */
export type Sharing = 'none' | 'neighbours' | 'any';

export interface ChosenFile {
  /** From the root of the repository. */
  readonly file: string;
  readonly sharing: Sharing;
}

export interface PlanOptions {
  /** The root of the repository, absolute. */
  readonly root: string;
  /** Where modules that import several files are written. Absolute. */
  readonly directory: string;
  /** There are at least as many processes, where there are as many files. @default those of this machine */
  readonly processors?: number;
}

/** Files of one process at most: starting costs little by then, and the processes end at about the same time. */
const FILES_OF_A_PROCESS = { neighbours: 16, any: 4 };

/** Files that last as long as others of so many bytes: they work much or wait long for their size. */
const LASTS_LIKE: Readonly<Record<string, number>> = {
  'test/integration/crash.test.ts': 55_000,
  'test/integration/recount.test.ts': 45_000,
  'test/integration/integrity.test.ts': 35_000,
  'test/integration/cache.test.ts': 30_000,
  'test/integration/limits.test.ts': 25_000,
  'test/integration/database-size.test.ts': 20_000,
  'test/integration/direct.test.ts': 18_000,
  'test/integration/tracing.test.ts': 16_000,
  'test/integration/faults.test.ts': 14_000,
};

/**
 * Deals test files out to processes.
 *
 * Node gives each file a process, which costs up to a second of CPU: the start, the runner, and the modules under test
 * with everything they import. Files that share one run one after another in it.
 *
 * Processes that are dealt files of any kind come first, those that last longest before the others, as one that is left
 * at the end runs by itself.
 */
export function planProcesses(
  chosen: readonly ChosenFile[],
  { root, directory, processors = availableParallelism() }: PlanOptions,
): readonly TestProcess[] {
  const of = (wanted: Sharing): string[] => chosen.filter(({ sharing }) => sharing === wanted).map(({ file }) => file);
  const groups = [
    ...of('none').map((file) => [file]),
    ...deal(of('any'), { count: countFor('any'), weight }),
    ...slices(of('neighbours').sort(), countFor('neighbours')),
  ];
  return groups.map((files, i) => ({ entry: entryOf(files, i), files }));

  function countFor(sharing: keyof typeof FILES_OF_A_PROCESS): number {
    const { length } = of(sharing);
    return Math.max(Math.ceil(length / FILES_OF_A_PROCESS[sharing]), Math.min(processors, length));
  }

  function weight(file: string): number {
    return LASTS_LIKE[file] ?? statSync(join(root, file)).size;
  }

  function entryOf(files: readonly string[], number: number): string {
    if (files.length === 1) return join(root, files[0] as string);
    const entry = join(directory, `group-${number + 1}.mjs`);
    writeFileSync(entry, files.map((file) => `${suiteOf(join(root, file))}\n`).join('') + IMPORTS);
    return entry;
  }
}

const IMPORTS = "import { describe } from 'node:test';\n";

/**
 * A file among others is a suite: its hooks outside a suite run for its own tests alone, and where it cannot be imported
 * the others run. The suite has no name, as a `--test-name-pattern` that its name matched would choose all its tests;
 * the report knows the file by the line.
 */
function suiteOf(path: string): string {
  return `describe(' ', () => import(${JSON.stringify(pathToFileURL(path))}));`;
}

/** The same list in this many parts of about the same length; neighbours, which import the same, stay together. */
function slices(list: readonly string[], count: number): string[][] {
  return Array.from({ length: count }, (_, i) =>
    list.slice(Math.round((i * list.length) / count), Math.round(((i + 1) * list.length) / count)),
  );
}

/** The same list in this many parts of about the same weight, the heaviest first; so are the files of each. */
function deal(
  list: readonly string[],
  { count, weight }: { readonly count: number; readonly weight: (file: string) => number },
): string[][] {
  const parts = Array.from({ length: count }, () => ({ files: [] as string[], weight: 0 }));
  for (const file of list.toSorted((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1))) {
    const lightest = parts.reduce((least, part) => (part.weight < least.weight ? part : least));
    lightest.files.push(file);
    lightest.weight += weight(file);
  }
  return parts.sort((a, b) => b.weight - a.weight).map(({ files }) => files);
}
