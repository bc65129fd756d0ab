import type { Words } from './en.ts';
import type { Language } from './language.ts';

/** Each language is in a file of its own: a reader loads one. The build puts its own in the place of this module. */
export const LOADERS: Readonly<Record<Language, () => Promise<Words>>> = {
  en: async () => (await import('./en.ts')).EN,
  zh: async () => (await import('./zh.ts')).ZH,
};
