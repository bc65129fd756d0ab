/** Header names are in lower case. */
type Headers = Readonly<Record<string, string>>;

const STRONG_ETAG = /^"[\x21\x23-\x7e\x80-\xff]*"$/;

/** Milliseconds that a change must be older than the answer, so that a second change cannot have the same date. */
const SURELY_PAST = 60_000;

/** The longest entity tag that a record holds. */
const MAX_ETAG = 512;

/**
 * What tells that two answers of one URL have the same bytes: a strong entity tag, or a date that is strong because the
 * answer is sufficiently younger (RFC 9110, section 8.8.2.2). Undefined where there is none.
 */
export function strongValidator(headers: Headers): string | undefined {
  const etag = strongEtag(headers);
  if (etag !== undefined || headers['etag'] !== undefined) return etag;
  const modified = httpDate(headers['last-modified']);
  const date = httpDate(headers['date']);
  if (modified === undefined || date === undefined || date - modified < SURELY_PAST) return undefined;
  return headers['last-modified'];
}

/** The entity tag, where it is a strong one. */
function strongEtag(headers: Headers): string | undefined {
  const etag = headers['etag'];
  return etag !== undefined && etag.length <= MAX_ETAG && STRONG_ETAG.test(etag) ? etag : undefined;
}

/** Whether an answer has the bytes that belong to a validator of {@link strongValidator}. */
export function hasValidator(headers: Headers, validator: string): boolean {
  if (validator.startsWith('"')) return headers['etag'] === validator;
  // An entity tag beside the date may tell versions apart that the date cannot.
  return headers['etag'] === undefined && headers['last-modified'] === validator;
}

/** Compares entity tags (RFC 9110, section 8.8.3.2). */
export function etagsMatch(a: string, b: string | undefined, { weakly }: { readonly weakly: boolean }): boolean {
  if (b === undefined) return false;
  if (weakly) return a.replace(/^W\//, '') === b.replace(/^W\//, '');
  return a === b && !a.startsWith('W/');
}

const IMF_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** A date of HTTP in milliseconds since the epoch; undefined where it is missing, malformed or of an obsolete form. */
export function httpDate(text: string | undefined): number | undefined {
  if (text === undefined || !IMF_DATE.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}
