import { computed, effect, signal } from '@preact/signals';
import { type Formats, formatsIn } from '../format.ts';
import { remember, remembered } from '../storage.ts';
import { EN, type Words } from './en.ts';
import { LANGUAGES, type Language, languageOf, TAGS } from './language.ts';
import { ZH } from './zh.ts';

const WORDS: Readonly<Record<Language, Words>> = { en: EN, zh: ZH };
const stored = remembered('language');

/** The language of the page: the reader's choice, else that of the browser. */
export const language = signal<Language>(LANGUAGES.find((each) => each === stored) ?? languageOf(navigator.languages));

/** The texts of the page: `words.value.nav.images`. A component that reads them is drawn again in another language. */
export const words = computed(() => WORDS[language.value]);

/** Numbers, bytes and times in the language of the page: `formats.value.bytes(1024)`. */
export const formats = computed<Formats>(() => formatsIn(language.value));

export function chooseLanguage(chosen: Language): void {
  language.value = chosen;
  remember('language', chosen);
}

/** Keeps `<html lang>` right. */
export function applyLanguage(): void {
  effect(() => {
    document.documentElement.lang = TAGS[language.value];
  });
}
