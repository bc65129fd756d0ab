import type { JSX } from 'preact';
import type { IconName } from '../parts/icons.tsx';
import type { Words } from '../words/en.ts';

/** One view of the console. */
export interface ViewEntry {
  /** The first part of the address behind /ui/; empty for the first view. */
  readonly path: string;
  /** Its name, in `words.nav`. */
  readonly title: 'now' | 'images' | 'pulls' | 'registries' | 'clients' | 'configuration' | 'access';
  /** Where there is little room. */
  readonly shortTitle?: keyof Words['nav'];
  readonly icon: IconName;
  readonly View: (props: ViewProps) => JSX.Element;
}

export interface ViewProps {
  /** What stands in the address behind the name of the view, decoded; empty: nothing. */
  readonly rest: string;
}
