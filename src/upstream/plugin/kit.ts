import type { RoutingOrder, RoutingQuestion } from './contract.ts';
import { faultOfPluginFile } from './plugin-file.ts';
import { PluginError, PluginThread } from './plugin-thread.ts';
import { type Situation, situationsFor } from './situations.ts';

/** What a plugin did in one situation. */
export interface PluginTrial {
  readonly situation: string;
  /** `note`: it keeps the contract, and probably does not mean this. */
  readonly outcome: 'ok' | 'note' | 'fault';
  /** The order, or what is wrong. */
  readonly said: string;
}

/** Questions that are asked at once in the last situation. */
const AT_ONCE = 200;

interface TryOptions {
  /** Names of upstreams, two at least. @default near, far and spare */
  readonly names?: readonly string[];
  /** Milliseconds for an answer. @default as at a server */
  readonly answerWithin?: number;
  /** Milliseconds to load. @default as at a server */
  readonly loadWithin?: number;
  /** Whether what the plugin prints is shown. @default true */
  readonly prints?: boolean;
}

/**
 * Tries a plugin in every situation that a server may put it in, in a thread as at a server. Where its file cannot be used, or
 * loaded, that is all that is tried.
 */
export async function tryPlugin(file: string, options: TryOptions = {}): Promise<readonly PluginTrial[]> {
  const { names = ['near', 'far', 'spare'], prints = true, ...deadlines } = options;
  const fileFault = await faultOfPluginFile(file);
  if (fileFault !== undefined) return [{ situation: 'its file', outcome: 'fault', said: fileFault }];
  const trials: PluginTrial[] = [
    { situation: 'its file', outcome: 'ok', said: 'neither its group nor others can write it' },
  ];
  const thread = new PluginThread(file, { prints, ...deadlines });
  try {
    await thread.load();
    trials.push({ situation: 'it is loaded', outcome: 'ok', said: 'its default export is a function' });
    const situations = situationsFor(names, Date.now());
    for (const situation of situations) trials.push(await tryOne(thread, situation));
    trials.push(await tryMany(thread, situations));
  } catch (error) {
    trials.push({ situation: 'it is loaded', outcome: 'fault', said: faultOf(error) });
  } finally {
    thread.close();
  }
  return trials;
}

async function tryOne(thread: PluginThread, { name, question }: Situation): Promise<PluginTrial> {
  try {
    // After a failure it starts again, and a server would not wait for that.
    await thread.load();
    const order = await thread.order(question);
    const note = noteOn(order, question);
    const said = order === undefined ? 'the order of the configuration' : shown(order);
    if (note === undefined) return { situation: name, outcome: 'ok', said };
    return { situation: name, outcome: 'note', said: `${said}: ${note}` };
  } catch (error) {
    return { situation: name, outcome: 'fault', said: faultOf(error) };
  }
}

async function tryMany(thread: PluginThread, situations: readonly Situation[]): Promise<PluginTrial> {
  const situation = `${AT_ONCE} questions at once`;
  const asked = Array.from({ length: AT_ONCE }, (_, at) => situations[at % situations.length]);
  const startedAt = performance.now();
  const outcomes = await Promise.allSettled(
    asked.map(async (each) => (each === undefined ? undefined : thread.order(each.question))),
  );
  const failed = outcomes.find((each) => each.status === 'rejected');
  if (failed !== undefined) return { situation, outcome: 'fault', said: faultOf(failed.reason) };
  return { situation, outcome: 'ok', said: `answered within ${Math.ceil(performance.now() - startedAt)} ms` };
}

/** What an order does that its author may not mean. */
function noteOn(order: RoutingOrder, { upstreams }: RoutingQuestion): string | undefined {
  if (order === undefined) return undefined;
  const [first] = order;
  const leader = upstreams.find(({ name }) => name === first);
  if (leader?.state === 'resting' && upstreams.some(({ state }) => state !== 'resting')) {
    return `${JSON.stringify(first)} fails, so each request goes on to the next at once`;
  }
  const omitted = upstreams.filter(({ name }) => !order.includes(name)).map(({ name }) => name);
  return omitted.length === 0 ? undefined : `${shown(omitted)} left out, so they come last`;
}

function shown(names: readonly string[]): string {
  const most = names.slice(0, 5).map((name) => (name.length > 30 ? `${name.slice(0, 29)}…` : name));
  return names.length > most.length ? `${most.join(', ')} and ${names.length - most.length} more` : most.join(', ');
}

function faultOf(error: unknown): string {
  if (error instanceof PluginError) return `it ${error.message}`;
  throw error;
}
