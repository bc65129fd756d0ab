import { LANGUAGES, type Language } from '../clients/index.ts';

/** Characters of an Accept-Language that are read: browsers send a tenth of it. */
const MAX_LENGTH = 1024;

/**
 * The language of the help: `?lang=`, else the one that the client likes best of those there are (RFC 9110 §12.5.4), else
 * English. `zh`, `zh-CN` and `zh-Hant` all mean Chinese.
 */
export function languageOf({
  query = '',
  acceptLanguage = '',
}: {
  readonly query?: string | undefined;
  readonly acceptLanguage?: string | undefined;
}): Language {
  const named = query === '' ? undefined : languageNamed(new URLSearchParams(query).get('lang') ?? '');
  if (named !== undefined) return named;
  let best: { readonly language: Language; readonly weight: number } | undefined;
  for (const range of acceptLanguage.slice(0, MAX_LENGTH).split(',')) {
    const [tag = '', ...parameters] = range.split(';');
    const language = tag.trim() === '*' ? 'en' : languageNamed(tag.trim());
    const weight = weightOf(parameters);
    // On a tie the first wins: browsers list what they like best first.
    if (language !== undefined && weight > (best?.weight ?? 0)) best = { language, weight };
  }
  return best?.language ?? 'en';
}

function languageNamed(tag: string): Language | undefined {
  const primary = tag.toLowerCase().split(/[-_]/, 1)[0];
  return LANGUAGES.find((language) => language === primary);
}

/** From 0, not wanted, to 1, which is also what a range without a weight has; 0 where it is malformed. */
function weightOf(parameters: readonly string[]): number {
  const weight = parameters.map((each) => each.trim().toLowerCase()).find((each) => each.startsWith('q='));
  if (weight === undefined) return 1;
  return /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(weight) ? Number(weight.slice(2)) : 0;
}
