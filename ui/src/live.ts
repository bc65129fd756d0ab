import { effect, signal } from '@preact/signals';
import type { LiveEvent } from '../../src/admin/index.ts';
import { session } from './api.ts';
import { holdLead } from './lead.ts';
import { parseShown } from './parse.ts';

// What happens at the server, as it happens. One tab of a browser holds the stream and tells the others: a browser has few
// connections to one server, and each open stream costs the server memory. While every tab is hidden there is no stream.

export type LiveKind = LiveEvent['kind'];
type DataOf<Kind extends LiveKind> = Extract<LiveEvent, { kind: Kind }>['data'];
type Listener = (data: never) => void;

/** By kind of message: typed where it is sent, so that one that is missing here does not compile. */
const KINDS: Readonly<Record<LiveKind, true>> = {
  pull: true,
  transfer: true,
  'transfer.ended': true,
  rates: true,
  tag: true,
  health: true,
  evicted: true,
  cache: true,
  reloaded: true,
  warm: true,
  copy: true,
  gap: true,
};

/** `live`: messages come. `poll`: the server refuses the stream, and views ask every five seconds. `off`: hidden, or not begun. */
export const liveState = signal<'live' | 'connecting' | 'poll' | 'off'>('off');

/** Counts the moments at which a view should read all it shows again: shown again, reconnected, or the next poll. */
export const ticks = signal(0);

const POLL_EVERY = 5000;
/** Milliseconds after which a stream that was refused is asked for again: the server may have been restarting. */
const RETRY_AFTER = 30_000;
const listeners = new Map<LiveKind, Set<Listener>>();

/** Calls the listener with each message of a kind. Returns what ends that. */
export function onLive<Kind extends LiveKind>(kind: Kind, listener: (data: DataOf<Kind>) => void): () => void {
  const all = listeners.get(kind) ?? new Set();
  listeners.set(kind, all.add(listener));
  return () => all.delete(listener);
}

/** What tabs tell each other. */
type Shared =
  | { readonly type: 'event'; readonly kind: LiveKind; readonly data: unknown }
  | { readonly type: 'state'; readonly state: 'live' | 'connecting' | 'poll' }
  /** The tab that sends this has opened the stream: events between the last stream and this one were not sent. */
  | { readonly type: 'opened' }
  | { readonly type: 'hello' };

let channel: BroadcastChannel | undefined;
let stream: EventSource | undefined;
let poll: ReturnType<typeof setInterval> | undefined;

/** Keeps the stream open while a tab of this browser is visible and may read. */
export function startLive(): void {
  channel = new BroadcastChannel('entrepot.live');
  channel.addEventListener('message', ({ data }: MessageEvent<Shared>) => {
    if (data.type === 'event') deliver(data.kind, data.data);
    else if (data.type === 'opened') ticks.value += 1;
    else if (data.type === 'state' && stream === undefined) setState(data.state);
    else if (data.type === 'hello' && stream !== undefined) share({ type: 'state', state: stateOf(stream) });
  });
  onLive('gap', () => (ticks.value += 1));
  let release: (() => void) | undefined;
  let wasHidden = false;
  const update = (): void => {
    const wanted = document.visibilityState === 'visible' && session.value?.canRead === true;
    if (wanted && release === undefined) {
      release = holdLead('entrepot.live', open);
      setState('connecting');
      // The tab that holds the stream says how it is.
      share({ type: 'hello' });
      if (wasHidden) ticks.value += 1;
      wasHidden = false;
    } else if (!wanted && release !== undefined) {
      release();
      release = undefined;
      wasHidden = true;
      setState('off');
    }
  };
  document.addEventListener('visibilitychange', update);
  // A page that is kept for "back" holds no lock and no stream.
  addEventListener('pagehide', () => {
    release?.();
    release = undefined;
  });
  addEventListener('pageshow', update);
  effect(update);
}

/** Called in the tab that leads; the answer ends its lead. */
function open(): () => void {
  let again: ReturnType<typeof setTimeout> | undefined;
  const connect = (): void => {
    stream = connected((state) => {
      setState(state);
      share({ type: 'state', state });
      if (state === 'poll') again ??= setTimeout(reconnect, RETRY_AFTER);
    });
  };
  const reconnect = (): void => {
    again = undefined;
    connect();
  };
  connect();
  return () => {
    clearTimeout(again);
    stream?.close();
    stream = undefined;
  };
}

function connected(tell: (state: 'live' | 'connecting' | 'poll') => void): EventSource {
  const source = new EventSource('/api/v1/events');
  let isFirst = true;
  source.addEventListener('open', () => {
    tell('live');
    // Later the browser says by itself which message was the last: the server sends what came after it, or that there is a gap.
    if (!isFirst) return;
    isFirst = false;
    ticks.value += 1;
    share({ type: 'opened' });
  });
  source.addEventListener('error', () => tell(stateOf(source)));
  for (const kind of Object.keys(KINDS) as LiveKind[]) {
    source.addEventListener(kind, (event) => {
      const data: unknown = parseShown((event as MessageEvent<string>).data);
      deliver(kind, data);
      share({ type: 'event', kind, data });
    });
  }
  return source;
}

/** A stream that the server refused is closed for good; one that was cut connects again by itself. */
function stateOf(source: EventSource): 'live' | 'connecting' | 'poll' {
  if (source.readyState === EventSource.OPEN) return 'live';
  return source.readyState === EventSource.CLOSED ? 'poll' : 'connecting';
}

function setState(state: typeof liveState.value): void {
  liveState.value = state;
  clearInterval(poll);
  poll = undefined;
  if (state === 'poll') poll = setInterval(() => (ticks.value += 1), POLL_EVERY);
}

function share(message: Shared): void {
  // A channel has no target: it reaches the tabs of this origin alone.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  channel?.postMessage(message);
}

function deliver(kind: LiveKind, data: unknown): void {
  for (const listener of listeners.get(kind) ?? []) listener(data as never);
}
