import { readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import type { EventData } from 'node:test';
import type { TestEvent } from 'node:test/reporters';
import { inspect, stripVTControlCharacters, styleText } from 'node:util';
import type { TestProcess } from './test-processes.ts';

/** Where a report goes: standard output, or what a test puts in its place. */
export interface ReportOutput {
  readonly write: (text: string) => unknown;
  /** Whether a line can be rewritten in place. */
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ReportOptions {
  /** The root of the repository, absolute: paths are shown from there. */
  readonly root: string;
  /** What runs. */
  readonly processes: readonly TestProcess[];
  readonly output: ReportOutput;
}

interface Timed {
  readonly name: string;
  readonly place: string;
  readonly ms: number;
}

interface Failure {
  readonly name: string;
  readonly place: string;
  /** Asked at the end: what a process wrote to standard error may come after the news that it ended. */
  readonly why: () => string;
  readonly command: string;
}

/** What is known of a test process while it runs. */
interface Running {
  readonly process: TestProcess;
  /** Tests and suites by their number, to tell of which suite a test is. */
  readonly tests: Map<number, { readonly name: string; readonly parent: number | undefined }>;
  /** How many of its files have ended. */
  done: number;
  /** The end of what it wrote to standard error, for the report of a crash. */
  errors: string;
  /** The file whose test ended last. */
  last: string;
  /** Whether it told its result, which one that exits in the middle does not. */
  hasSummary: boolean;
  hasCrashed: boolean;
}

const SLOWEST = 20;

/** Characters of a name in the list of the slowest. */
const NAME_LENGTH = 100;

/** Characters of standard error that are kept for a crash. */
const LAST_WORDS = 4000;

/** Milliseconds between two lines of progress: in place on a terminal, below one another elsewhere. */
const INTERVAL = { terminal: 200, plain: 10_000 };

/**
 * Shows a test run from the events of `run()` of `node:test` (Node's documentation, "Class: TestsStream"): a line of
 * progress while it runs, a line for each failure and each skip with its reason as it comes; at the end the slowest tests, each failure in full with
 * its place and the command that runs it alone, and the numbers.
 */
export class TestReport {
  readonly #options: ReportOptions;
  readonly #running: ReadonlyMap<string, Running>;
  readonly #total: number;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #timed: Timed[] = [];
  readonly #failures: Failure[] = [];
  #passed = 0;
  #skipped = 0;
  #hasEnded = false;

  constructor(options: ReportOptions) {
    this.#options = options;
    this.#running = new Map(
      options.processes.map((process) => [
        process.entry,
        {
          process,
          tests: new Map(),
          done: 0,
          errors: '',
          last: process.files[0] ?? '',
          hasSummary: false,
          hasCrashed: false,
        },
      ]),
    );
    this.#total = options.processes.reduce((sum, { files }) => sum + files.length, 0);
    const interval = options.output.isTTY === true ? INTERVAL.terminal : INTERVAL.plain;
    this.#timer = setInterval(() => this.#showProgress(), interval).unref();
  }

  take({ type, data }: TestEvent): void {
    if (this.#hasEnded) return;
    if (type === 'test:enqueue') this.#running.get(data.entryFile ?? '')?.tests.set(data.testId, parentOf(data));
    if (type === 'test:complete') this.#complete(data);
    if (type === 'test:stdout') this.#print(data.message);
    if (type === 'test:stderr') this.#takeError(data);
    if (type === 'test:diagnostic' && data.entryFile !== undefined) this.#print(`ℹ ${data.message}\n`);
    if (type === 'test:summary') {
      const running = this.#running.get(data.file ?? '');
      if (running !== undefined) running.hasSummary = true;
    }
  }

  /** Prints the end of the report. Returns the exit code: 0 only if a test ran and all of them passed. */
  end(): number {
    this.#stop();
    // Looked at last, as summaries come in the order of the files.
    for (const running of this.#running.values()) {
      if (!running.hasSummary && !running.hasCrashed) this.#crash(running, undefined);
    }
    const slowest = this.#timed.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST);
    if (slowest.length > 0) this.#print(`\nSlowest ${slowest.length} tests:\n${slowest.map(timeLine).join('')}`);
    for (const failure of this.#failures) this.#print(`\n${textOf(failure)}`);
    const ran = this.#passed + this.#failures.length;
    const why = this.#skipped > 0 ? 'all were skipped' : 'none has that name';
    if (ran === 0) this.#print(styled('red', `✖ no test ran: ${why}\n`));
    this.#print(`\n${this.#numbers()}\n`);
    return ran > 0 && this.#failures.length === 0 ? 0 : 1;
  }

  /** Prints how far the run came. */
  interrupted(): void {
    if (this.#hasEnded) return;
    this.#stop();
    for (const failure of this.#failures) this.#print(`\n${textOf(failure)}`);
    this.#print(`\ninterrupted: ${this.#progress()}\n`);
  }

  #complete(data: EventData.TestComplete): void {
    const process = this.#running.get(data.entryFile ?? data.file ?? '');
    if (process === undefined) return;
    if (data.entryFile === undefined) {
      process.done = process.process.files.length;
      const { error } = data.details;
      if (error !== undefined && failureType(error) !== 'subtestsFailed') this.#crash(process, error);
      return;
    }
    const index = process.process.files.indexOf(this.#path(data.file));
    // Files of one process run one after another: where one is at work, those before it have ended.
    if (index >= process.done) {
      process.done = index;
      process.last = process.process.files[index] as string;
    }
    if (data.details.type === 'suite') {
      // A suite fails by itself only if it or one of its hooks threw.
      if (!data.details.passed) this.#fail(process, data);
      // Its tests are not even defined: one skip stands for them all.
      if (data.skip !== undefined) this.#skip(process, data);
      return;
    }
    if (data.skip !== undefined) this.#skip(process, data);
    else if (data.details.passed) this.#passed += 1;
    else this.#fail(process, data);
    const place = this.#place(data);
    this.#timed.push({ name: nameOf(process, data), place, ms: data.details.duration_ms });
  }

  /** A process fails apart from its tests if it crashed, hung, or exited before it told its result. */
  #crash(running: Running, error: EventData.Error | undefined): void {
    running.hasCrashed = true;
    const { files } = running.process;
    this.#addFailure({
      name: `the process of ${files.length === 1 ? files[0] : `${files.length} files`} did not end in order`,
      place: files.join('\n  '),
      why: () => [reasonOf(error), running.errors.trim()].filter((part) => part !== '').join('\n'),
      command: commandFor(running.last),
    });
  }

  /** What was not tested is said aloud, with what would make it run. */
  #skip(running: Running, data: EventData.TestComplete): void {
    this.#skipped += 1;
    const reason = typeof data.skip === 'string' ? `: ${data.skip}` : '';
    this.#print(`${styled('dim', `﹣ ${nameOf(running, data)} is skipped`)}${reason}\n`);
  }

  #fail(running: Running, data: EventData.TestComplete): void {
    const { error } = data.details;
    if (failureType(error) === 'subtestsFailed') return;
    const broken = importedBy(running, data);
    this.#addFailure({
      name: broken === undefined ? nameOf(running, data) : `${broken} cannot be imported`,
      place: broken ?? this.#place(data),
      why: () => reasonOf(error),
      command: broken === undefined ? commandFor(this.#testFile(running, data), data.name) : commandFor(broken),
    });
  }

  #addFailure(failure: Failure): void {
    this.#failures.push(failure);
    this.#print(`${styled('red', `✖ ${failure.name}`)} (${failure.place.split('\n')[0]})\n`);
  }

  #takeError({ message, file }: EventData.TestStderr): void {
    const running = this.#running.get(file);
    if (running !== undefined) running.errors = (running.errors + message).slice(-LAST_WORDS);
    this.#print(message);
  }

  /** The test file a test is of: a conformance suite is defined in a module that test files import. */
  #testFile({ process: { files } }: Running, { file }: EventData.TestComplete): string {
    const path = this.#path(file);
    if (files.length === 1 || files.includes(path)) return files.length === 1 ? (files[0] as string) : path;
    const importer = files.find((each) =>
      readFileSync(join(this.#options.root, each), 'utf8').includes(basename(path)),
    );
    return importer ?? (files[0] as string);
  }

  #place({ file, line, column }: EventData.TestComplete): string {
    return `${this.#path(file)}:${line ?? 1}:${column ?? 1}`;
  }

  #path(file = ''): string {
    return relative(this.#options.root, file);
  }

  #showProgress(): void {
    const { output } = this.#options;
    if (output.isTTY !== true) output.write(`${this.#progress()}\n`);
    else output.write(`\r\x1b[2K${this.#progress().slice(0, (output.columns || 80) - 1)}`);
  }

  /** Prints above the line of progress. */
  #print(text: string): void {
    const { output } = this.#options;
    if (output.isTTY !== true) output.write(stripVTControlCharacters(text));
    else output.write(`\r\x1b[2K${text}`);
  }

  #progress(): string {
    const done = [...this.#running.values()].reduce((sum, each) => sum + each.done, 0);
    return `${done}/${this.#total} files, ${this.#passed} passed, ${this.#failures.length} failed, ${this.#seconds()} s`;
  }

  #numbers(): string {
    const { length: failed } = this.#failures;
    const tests = this.#passed + failed + this.#skipped;
    return [
      `ℹ files ${this.#total}, tests ${tests}`,
      `ℹ pass ${this.#passed}`,
      styled(failed > 0 ? 'red' : 'green', `ℹ fail ${failed}`),
      `ℹ skipped ${this.#skipped}`,
      `ℹ duration ${this.#seconds()} s`,
    ].join('\n');
  }

  #seconds(): number {
    return Math.round((performance.now() - this.#started) / 1000);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#hasEnded = true;
  }
}

function parentOf({ name, parentId }: EventData.TestEnqueue): { name: string; parent: number | undefined } {
  return { name, parent: parentId };
}

/** The file whose suite this is, where it has one: each line of the entry of several files imports one of them. */
function importedBy(
  { process: { entry, files } }: Running,
  { file, line }: EventData.TestComplete,
): string | undefined {
  return files.length > 1 && file === entry ? files[(line ?? 1) - 1] : undefined;
}

/** The name with those of the suites it is in, outermost first; the suite of a whole file has none. */
function nameOf({ tests }: Running, { name, parentId }: EventData.TestComplete): string {
  const names = [name];
  for (let suite = tests.get(parentId ?? 0); suite !== undefined; suite = tests.get(suite.parent ?? 0)) {
    names.unshift(suite.name);
  }
  return names.filter((each) => each.trim() !== '').join(' › ');
}

/** Why a test failed, in the words of node:test: `testCodeFailure`, `subtestsFailed`, `testTimeoutFailure`, … */
function failureType(error: Error | undefined): unknown {
  return error !== undefined && 'failureType' in error ? error.failureType : undefined;
}

/** What the error of a process says besides. */
interface ProcessError {
  readonly cause?: unknown;
  readonly exitCode?: number | null;
  readonly signal?: string | null;
}

/** The error a test threw; of a process, how it ended. */
function reasonOf(error: EventData.Error | undefined): string {
  if (error === undefined) return 'it exited with 0 before its tests had ended';
  const { cause, exitCode, signal }: ProcessError = error;
  if (typeof signal === 'string') return `it was ended by ${signal}`;
  if (typeof exitCode === 'number') return `it exited with ${exitCode}`;
  return cause instanceof Error ? inspect(cause, { depth: 8 }) : (inspectPlain(cause) ?? error.message);
}

function inspectPlain(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'string' ? value : inspect(value);
}

function textOf({ name, place, why, command }: Failure): string {
  const indented = why().replaceAll(/^(?=.)/gm, '  ');
  return `${styled('red', `✖ ${name}`)}\n  ${place}\n${indented}\n  ${styled('dim', 'alone:')} ${command}\n`;
}

function timeLine({ name, place, ms }: Timed): string {
  const short = name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH)}…` : name;
  return `${(ms / 1000).toFixed(1).padStart(6)} s  ${short} (${place})\n`;
}

/** The command that runs one test file, or the tests of this name in it. */
function commandFor(file: string, name?: string): string {
  const ring = /^test\/(integration|e2e)\//.exec(file)?.[1] ?? 'unit';
  if (name === undefined) return `bin/pinned-node scripts/test.ts ${ring} ${file}`;
  const pattern = name.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replaceAll("'", `'\\''`);
  return `bin/pinned-node scripts/test.ts ${ring} ${file} --test-name-pattern='${pattern}'`;
}

function styled(format: 'red' | 'green' | 'dim', text: string): string {
  return styleText(format, text, { validateStream: false });
}
