export const LANGUAGES = ['en', 'zh'] as const;
export type Language = (typeof LANGUAGES)[number];

/** As each language calls itself. */
export const NAMES: Readonly<Record<Language, string>> = { en: 'English', zh: '中文' };

/** BCP 47, for `lang` and for Intl. */
export const TAGS: Readonly<Record<Language, string>> = { en: 'en', zh: 'zh-CN' };

/** The first language of the reader's list that there is, else English. `zh`, `zh-CN` and `zh-Hant` all mean Chinese. */
export function languageOf(preferred: readonly string[]): Language {
  for (const tag of preferred) {
    const primary = tag.toLowerCase().split(/[-_]/, 1)[0];
    const found = LANGUAGES.find((language) => language === primary);
    if (found !== undefined) return found;
  }
  return 'en';
}
