import { computed, effect, signal } from '@preact/signals';
import { type Formats, formatsIn } from '../format.ts';
import { remember, remembered } from '../storage.ts';
import type { Words } from './en.ts';
import { LANGUAGES, type Language, languageOf, TAGS } from './language.ts';
import { LOADERS } from './load.ts';

interface Spoken {
  readonly language: Language;
  readonly words: Words;
}

/** Set before the first drawing. */
const spoken = signal<Spoken | undefined>(undefined);

/** @throws before {@link loadLanguage} has ended */
function known(): Spoken {
  if (spoken.value === undefined) throw new Error('the texts of the page are not loaded yet');
  return spoken.value;
}

/** The language of the page: the reader's choice, else that of the browser. */
export const language = computed(() => known().language);

/** The texts of the page: `words.value.nav.images`. A component that reads them is drawn again in another language. */
export const words = computed(() => known().words);

/** Numbers, bytes and times in the language of the page: `formats.value.bytes(1024)`. */
export const formats = computed<Formats>(() => formatsIn(language.value));

/** Loads the texts in the language of the reader. */
export async function loadLanguage(): Promise<void> {
  const stored = remembered('language');
  await speak(LANGUAGES.find((each) => each === stored) ?? languageOf(navigator.languages));
}

/** Rejects where the texts cannot be loaded; the page then keeps its language. */
export async function chooseLanguage(chosen: Language): Promise<void> {
  await speak(chosen);
  remember('language', chosen);
}

async function speak(chosen: Language): Promise<void> {
  spoken.value = { language: chosen, words: await LOADERS[chosen]() };
}

/** Keeps `<html lang>` right. */
export function applyLanguage(): void {
  effect(() => {
    document.documentElement.lang = TAGS[language.value];
  });
}
