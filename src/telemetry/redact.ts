/**
 * Decides what a log line may show. Everything logged passes through here: fields are masked by their key, texts by
 * patterns.
 */

/** In place of a secret. */
export const MASK = '***';

/** Query parameters of the registry protocol that are useful and can hold no secret; all others are dropped. */
const SHOWN_PARAMETERS = new Set(['n', 'last', 'ns', 'artifactType', 'digest', 'service', 'scope']);

// A key with one of these endings holds a secret: `authorization`, `proxy-authorization`, `set-cookie`, `identityToken`, `client_secret`.
const SECRET_KEY = /(?:authorization|cookie|password|passwd|token|secret)$/i;

// The scheme's length is bounded, so that a long text of dots and letters takes linear time.
const URL_IN_TEXT = /[a-zA-Z][a-zA-Z0-9+.-]{0,15}:\/\/\S+/g;

// `Bearer realm="…"` is a challenge and "Basic authentication" is prose: a credential does not begin with a parameter, and is
// never all lower case.
const CREDENTIAL_IN_TEXT =
  /\b([Bb]earer|[Bb]asic|BEARER|BASIC)\s+(?![a-z_]+=["A-Za-z0-9])(?=[a-z.]*[A-Z0-9+/=_~-])[A-Za-z0-9._~+/=-]{4,}/g;

const ASSIGNMENT_IN_TEXT = /\b((?:[a-z]+_)?(?:password|passwd|token|secret))=[^\s&"',;]+/gi;

// A token of ours (access/token-text.ts), wherever it stands, also where the text was cut within it.
const TOKEN_IN_TEXT = /\bent_(?:[0-9A-Za-z]{40,}|[0-9A-Za-z]*(?=…$))/g;

// A quick test, since an access line has a dozen texts and most hold no URL and no credential.
const SUSPECT = /:\/\/|=|[Bb](?:earer|EARER|asic|ASIC)|ent_/;

const MAX_TEXT = 8192;
const MAX_DEPTH = 6;
/** Fields of an object that are shown at most. */
export const MAX_ENTRIES = 100;

interface RedactOptions {
  /** Shows the stacks of errors, for debugging. @default false */
  readonly stacks?: boolean;
}

/** A URL without userinfo, without fragment, and with only the query parameters known to be harmless. Never throws. */
export function redactUrl(url: string): string {
  const scheme = url.indexOf('://');
  const start = scheme < 0 ? 0 : scheme + 3;
  let end = start;
  while (end < url.length && !'/?#'.includes(url.charAt(end))) end++;
  const authority = url.slice(start, end);
  const host = scheme < 0 ? authority : authority.slice(authority.lastIndexOf('@') + 1);

  const tail = url.slice(end);
  const hash = tail.indexOf('#');
  const whole = hash < 0 ? tail : tail.slice(0, hash);
  const mark = whole.indexOf('?');
  if (mark < 0) return url.slice(0, start) + host + whole;
  const shown = whole
    .slice(mark + 1)
    .split('&', MAX_ENTRIES)
    .filter((pair) => SHOWN_PARAMETERS.has(pair.split('=', 1)[0] ?? ''));
  return url.slice(0, start) + host + whole.slice(0, mark) + (shown.length === 0 ? '' : `?${shown.join('&')}`);
}

/** A text with its URLs shortened by {@link redactUrl}, its credentials masked, and its length bounded. */
export function redactText(text: string): string {
  let result = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  if (!SUSPECT.test(result)) return result;
  if (result.includes('://')) result = result.replace(URL_IN_TEXT, redactUrlInText);
  return result
    .replace(CREDENTIAL_IN_TEXT, `$1 ${MASK}`)
    .replace(ASSIGNMENT_IN_TEXT, `$1=${MASK}`)
    .replace(TOKEN_IN_TEXT, `ent_${MASK}`);
}

const CLOSING = '"\'`)]>,;:';

/** Keeps the quote, bracket or comma that closes the URL in its sentence. */
function redactUrlInText(found: string): string {
  // A loop from the end: a regular expression would retry at every such character.
  let end = found.length;
  while (end > 0 && CLOSING.includes(found.charAt(end - 1))) end--;
  return redactUrl(found.slice(0, end)) + found.slice(end);
}

/** A value as it may be logged: plain data of bounded depth and size, without secrets. */
export function redact(value: unknown, options: RedactOptions = {}): unknown {
  return redactAt(value, 0, options);
}

function redactAt(value: unknown, depth: number, options: RedactOptions): unknown {
  switch (typeof value) {
    case 'string':
      return redactText(value);
    case 'bigint':
      return value.toString();
    case 'number':
    case 'boolean':
    case 'undefined':
      return value;
    case 'symbol':
    case 'function':
      return undefined;
    case 'object':
      break;
  }
  if (value === null) return null;
  if (value instanceof Error) return redactError(value, depth, options);
  if (value instanceof URL) return redactUrl(value.href);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((each) => redactAt(each, depth + 1, options));
  return redactEntries(value, depth, options);
}

function redactEntries(value: object, depth: number, options: RedactOptions): Record<string, unknown> {
  const result: Record<string, unknown> = Object.create(null);
  let entries = 0;
  for (const key of Object.keys(value)) {
    if (++entries > MAX_ENTRIES) break;
    const each = (value as Record<string, unknown>)[key];
    if (each === undefined) continue;
    result[key] = isSecretKey(key) ? MASK : redactAt(each, depth + 1, options);
  }
  return result;
}

/** Keys already tested. Log lines have few keys; logged data may have any number, hence the limit. */
const verdicts = new Map<string, boolean>();
const MAX_VERDICTS = 500;

/** Whether a field of this name holds a secret. */
export function isSecretKey(key: string): boolean {
  const known = verdicts.get(key);
  if (known !== undefined) return known;
  const verdict = SECRET_KEY.test(key);
  if (verdicts.size < MAX_VERDICTS) verdicts.set(key, verdict);
  return verdict;
}

/** `{type, message, code?, stack?, cause?, errors?}`, with the chain of causes: the last one is often the reason. */
function redactError(error: Error, depth: number, options: RedactOptions): unknown {
  const shown: Record<string, unknown> = { type: error.name, message: redactText(error.message) };
  if ('code' in error && (typeof error.code === 'string' || typeof error.code === 'number')) shown['code'] = error.code;
  if (options.stacks === true && typeof error.stack === 'string') shown['stack'] = redactText(error.stack);
  if (depth >= MAX_DEPTH) return shown;
  if (error.cause !== undefined) shown['cause'] = redactAt(error.cause, depth + 1, options);
  if (error instanceof AggregateError)
    shown['errors'] = error.errors.slice(0, 4).map((each) => redactAt(each, depth + 1, options));
  return shown;
}
