import { computed, signal } from '@preact/signals';
import { type Place, placeOf, textOf } from './place.ts';

// Where the reader is: the address bar, as a signal.

const current = signal<Place>(placeOf(location.pathname, location.search));

/** The place that the address bar names. */
export const place = computed(() => current.value);

/** Counts navigations to another view or entry: the heading takes the focus after each. */
export const arrivals = signal(0);

addEventListener('popstate', () => {
  current.value = placeOf(location.pathname, location.search);
  arrivals.value += 1;
});

/** The address of a place under /ui/, for `href`: `href('images/docker.io/library/nginx:latest')`. */
export function href(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  return textOf({ path, query });
}

interface NavigateOptions {
  /** True: a part of the same view, so that the focus and the scroll stay. @default false */
  readonly quiet?: boolean;
}

/** Goes to a place, as a link does. */
export function navigate(
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
  { quiet = false }: NavigateOptions = {},
): void {
  history.pushState(null, '', href(path, query));
  current.value = placeOf(location.pathname, location.search);
  if (quiet) return;
  arrivals.value += 1;
  scrollTo(0, 0);
}

/** Changes what stands behind the `?` and keeps the rest: a filter as one types it. Undefined takes a value away. */
export function setQuery(changes: Readonly<Record<string, string | undefined>>): void {
  const { path, query } = current.value;
  history.replaceState(null, '', href(path, { ...query, ...changes }));
  current.value = placeOf(location.pathname, location.search);
}

/** For a click on a link of this page: a modified click, or one on another site, is the browser's. */
export function followLink(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.('a');
  if (link === null || link === undefined || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
  if (!link.pathname.startsWith('/ui/') || link.hash !== '') return;
  event.preventDefault();
  const { path, query } = placeOf(link.pathname, link.search);
  navigate(path, query);
}
