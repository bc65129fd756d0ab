import { useSignal } from '@preact/signals';
import type { Choice } from '../../parts/table.tsx';

/** One change takes so many at most: see `purge` and `refresh` of the API. */
export const MOST_CHOSEN = 100;

/** What the reader has chosen of a list. What has gone from the list is not chosen any more. */
export function useChoice<Entry>(
  entries: readonly Entry[],
  { keyOf, ...labels }: { readonly keyOf: (entry: Entry) => string } & Pick<Choice<Entry>, 'labelOf' | 'labelOfAll'>,
): { readonly choice: Choice<Entry>; readonly entries: readonly Entry[]; readonly clear: () => void } {
  const keys = useSignal<ReadonlySet<string>>(new Set());
  const listed = entries.filter((entry) => keys.value.has(keyOf(entry)));
  const chosen = new Set(listed.map(keyOf));
  const clear = (): void => {
    keys.value = new Set();
  };
  return {
    entries: listed,
    clear,
    choice: {
      ...labels,
      chosen,
      toggle(key) {
        const next = new Set(chosen);
        if (!next.delete(key) && next.size < MOST_CHOSEN) next.add(key);
        keys.value = next;
      },
      toggleAll() {
        keys.value = chosen.size > 0 ? new Set() : new Set(entries.slice(0, MOST_CHOSEN).map(keyOf));
      },
    },
  };
}
