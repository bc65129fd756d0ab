import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { type Answer, ApiError, type Asked, type OperationKey, read } from './api.ts';
import { type LiveKind, onLive, ticks } from './live.ts';

/** What a view reads. Old data stays while new data comes, so that nothing flickers. */
export interface Resource<Data> {
  readonly data: Data | undefined;
  readonly error: ApiError | undefined;
  readonly loading: boolean;
  /** Reads again. */
  readonly reload: () => void;
  /** Changes the data in place, as a live message says. */
  readonly mend: (change: (data: Data) => Data) => void;
}

export interface ReadOptions {
  /** Reads again at these live messages, a second later at the earliest, so that many cost one. */
  readonly on?: readonly LiveKind[];
  /** Reads again when the tab is shown again, after a reconnect, and at each poll where there is no stream. @default true */
  readonly fresh?: boolean;
  /** Milliseconds after which it is read again while the tab is visible. @default never */
  readonly every?: number;
  /** False: nothing is read. @default true */
  readonly when?: boolean;
}

const SETTLE = 1000;

type Outcome<Key extends OperationKey> = readonly [Answer<Key>, undefined] | readonly [undefined, ApiError];

/** Never rejects. */
async function answerOf<Key extends OperationKey>(
  key: Key,
  input: Asked<Key>,
  signal: AbortSignal,
): Promise<Outcome<Key>> {
  try {
    return [await read(key, input, signal), undefined];
  } catch (reason) {
    return [undefined, reason instanceof ApiError ? reason : new ApiError(String(reason), { status: 0 })];
  }
}

/**
 * Reads an operation, again whenever its input changes. A component that calls it is drawn again with each answer.
 *
 * `const tags = useRead('tagList', { image });  tags.data?.tags`
 */
export function useRead<Key extends OperationKey>(
  key: Key,
  input: Asked<Key>,
  { on = [], fresh = true, every, when = true }: ReadOptions = {},
): Resource<Answer<Key>> {
  const data = useSignal<Answer<Key> | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const loading = useSignal(when);
  const asked = JSON.stringify(input);
  const answered = useRef('');
  const running = useRef<AbortController | undefined>(undefined);

  const load = useRef(() => {});
  load.current = (): void => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    loading.value = true;
    void answerOf(key, input, own.signal).then(([answer, failure]) => {
      if (own.signal.aborted) return undefined;
      if (failure === undefined) {
        answered.current = asked;
        data.value = answer;
      } else if (answered.current !== asked) data.value = undefined;
      error.value = failure;
      loading.value = false;
      return undefined;
    });
  };

  useEffect(() => {
    if (when) load.current();
    return () => running.current?.abort();
  }, [key, asked, when]);

  useEffect(() => {
    if (!when) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined;
        load.current();
      }, SETTLE);
    };
    const ends = on.map((kind) => onLive(kind, later));
    return () => {
      clearTimeout(timer);
      for (const end of ends) end();
    };
  }, [on.join(), when]);

  useEffect(() => {
    if (!when || every === undefined) return;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') load.current();
    }, every);
    return () => clearInterval(timer);
  }, [every, when]);

  const seen = useRef(ticks.peek());
  useSignalEffect(() => {
    if (ticks.value === seen.current) return;
    seen.current = ticks.value;
    if (when && fresh) load.current();
  });

  return {
    data: data.value,
    error: error.value,
    loading: loading.value,
    reload: () => load.current(),
    mend: (change) => {
      if (data.value !== undefined) data.value = change(data.value);
    },
  };
}

/** A list that is read by cursor, page after page: see `usePages`. */
export interface Pages<Entry> {
  readonly entries: readonly Entry[];
  /** Whether all pages are here. */
  readonly complete: boolean;
  readonly error: ApiError | undefined;
  readonly loading: boolean;
  /** Reads the next page, where there is one and none is being read. */
  readonly more: () => void;
  /** Begins again at the first page. */
  readonly reload: () => void;
  /** Changes the entries that are here. */
  readonly mend: (change: (entries: readonly Entry[]) => readonly Entry[]) => void;
}

/**
 * Reads a list by cursor, and begins again whenever its input changes.
 *
 * `const list = usePages('repositories', { search }, ({ repositories }) => repositories)`
 */
export function usePages<Key extends OperationKey & ('pulls' | 'repositories' | 'tagList'), Entry>(
  key: Key,
  input: Omit<Asked<Key>, 'after'>,
  entriesOf: (answer: Answer<Key>) => readonly Entry[],
): Pages<Entry> {
  const entries = useSignal<readonly Entry[]>([]);
  const next = useSignal<string | undefined>(undefined);
  const error = useSignal<ApiError | undefined>(undefined);
  const loading = useSignal(true);
  const complete = useSignal(false);
  const asked = JSON.stringify(input);
  const running = useRef<AbortController | undefined>(undefined);

  const load = useRef((_after: string | undefined) => {});
  load.current = (after): void => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    loading.value = true;
    void answerOf(key, { ...input, after } as unknown as Asked<Key>, own.signal).then(([answer, failure]) => {
      if (own.signal.aborted) return undefined;
      if (answer !== undefined) {
        const page = entriesOf(answer);
        entries.value = after === undefined ? page : [...entries.value, ...page];
        next.value = (answer as { readonly next?: string }).next;
        complete.value = next.value === undefined;
      }
      error.value = failure;
      loading.value = false;
      return undefined;
    });
  };

  useEffect(() => {
    load.current(undefined);
    return () => running.current?.abort();
  }, [key, asked]);

  return {
    entries: entries.value,
    complete: complete.value,
    error: error.value,
    loading: loading.value,
    more: () => {
      if (!loading.value && !complete.value && error.value === undefined) load.current(next.value);
    },
    reload: () => load.current(undefined),
    mend: (change) => {
      entries.value = change(entries.value);
    },
  };
}
