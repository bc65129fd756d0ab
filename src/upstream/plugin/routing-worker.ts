import { basename } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import type { RoutingPlugin, RoutingQuestion } from './contract.ts';
import type { PluginAnswer } from './judge.ts';
import { faultOfPluginFile } from './plugin-file.ts';

// Runs in the thread of plugin-thread.ts: loads the plugin, then answers one question after another.

/** Handed over at the start. */
export interface WorkerData {
  readonly file: string;
}

export interface PostedQuestion {
  readonly id: number;
  readonly question: RoutingQuestion;
}

/** First whether the plugin was loaded, then an answer to each question. */
export type Posted =
  | { readonly kind: 'loaded' }
  | { readonly kind: 'not-loaded'; readonly fault: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: PluginAnswer };

/** Characters of what is quoted from a plugin. */
const MOST_QUOTED = 300;

const { file } = workerData as WorkerData;

function post(message: Posted): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
  parentPort?.postMessage(message);
}

async function load(): Promise<RoutingPlugin> {
  // At each start: after a failure the file may be another than the one that was checked.
  const fault = await faultOfPluginFile(file);
  if (fault !== undefined) throw new ContractError(`is not loaded: ${fault}`);
  const module: unknown = await import(pathToFileURL(file).href);
  const plugin: unknown = Object(module).default;
  if (typeof plugin === 'function') return plugin as RoutingPlugin;
  const found = plugin === undefined ? 'has no default export' : `has ${show(plugin)} as its default export`;
  throw new ContractError(`${found}; expected a function: export default function order(question) { … }`);
}

/** A fault that is said as it stands. */
class ContractError extends Error {}

/** Never rejects. */
async function answerTo(plugin: RoutingPlugin, question: RoutingQuestion): Promise<PluginAnswer> {
  let order: unknown;
  // Counted before: the question is the plugin's to change.
  const most = question.upstreams.length;
  try {
    order = await plugin(question);
  } catch (error) {
    return { kind: 'fault', failure: 'threw', fault: `threw ${describe(error)}` };
  }
  try {
    return judge(order, most);
  } catch (error) {
    return { kind: 'fault', failure: 'invalid', fault: `returned what cannot be read: ${describe(error)}` };
  }
}

/** @throws whatever a Proxy or a getter throws */
function judge(order: unknown, most: number): PluginAnswer {
  if (order === undefined) return { kind: 'names', names: undefined, said: 'undefined' };
  const said = show(order);
  const invalid = (why: string): PluginAnswer => ({
    kind: 'fault',
    failure: 'invalid',
    fault: `returned ${said}, expected ${why}`,
  });
  if (!Array.isArray(order)) return invalid('a list of names of upstreams, or undefined');
  if (order.length > most) return invalid(`at most ${most} names`);
  // Copied: what is read once here is what is posted, whatever a getter does the next time.
  const names: readonly unknown[] = Array.from(order);
  const isNames = (list: readonly unknown[]): list is readonly string[] =>
    list.every((name) => typeof name === 'string');
  return isNames(names) ? { kind: 'names', names, said } : invalid('names of upstreams alone');
}

/** A value in one bounded line. */
function show(value: unknown): string {
  return inspect(value, {
    depth: 1,
    compact: true,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 10,
    maxStringLength: 100,
    customInspect: false,
  }).slice(0, MOST_QUOTED);
}

/** An error with its place in the plugin, where that is known. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return show(error);
  // Node tells the line of such an error only where it prints it.
  if (error instanceof SyntaxError) return `SyntaxError: ${error.message} (node --check ${file} shows where)`;
  const [, url = '', line] = /(file:\/\/[^\s():]+):(\d+)/.exec(error.stack ?? '') ?? [];
  const place =
    line === undefined || url.includes('routing-worker') ? '' : ` (${basename(fileURLToPath(url))}:${line})`;
  const message = error.message.replace(/ imported from \S*routing-worker\S*$/, '').slice(0, MOST_QUOTED);
  return `${error.name}: ${message}${place}`;
}

/** Loads the plugin, and answers questions from then on. No await at the top: a single executable carries this as CommonJS. */
async function run(): Promise<void> {
  // A module that waits for what never comes would end the thread before it says anything.
  const alive = setInterval(() => {}, 60_000);
  try {
    const plugin = await load();
    parentPort?.on('message', ({ id, question }: PostedQuestion) => {
      void answerTo(plugin, question).then((answer) => post({ kind: 'answer', id, answer }));
    });
    post({ kind: 'loaded' });
  } catch (error) {
    post({
      kind: 'not-loaded',
      fault: error instanceof ContractError ? error.message : `cannot be loaded: ${describe(error)}`,
    });
  } finally {
    clearInterval(alive);
  }
}

void run();
