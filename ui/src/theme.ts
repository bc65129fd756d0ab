import { effect, signal } from '@preact/signals';
import { remember, remembered } from './storage.ts';

export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const stored = remembered('theme');

/** `auto` follows the system. */
export const theme = signal<Theme>(THEMES.find((each) => each === stored) ?? 'auto');

/** Keeps the document in the chosen theme. */
export function applyTheme(): void {
  effect(() => {
    const { documentElement: root } = document;
    if (theme.value === 'auto') delete root.dataset['theme'];
    else root.dataset['theme'] = theme.value;
    remember('theme', theme.value === 'auto' ? undefined : theme.value);
  });
}
