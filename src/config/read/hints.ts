import * as z from 'zod';
import { faultOfLook, nearest } from '../../lib/index.ts';
import { alternatives, core, FOREIGN_ARCHITECTURES, markOf, parseDuration, parseSize } from '../schema/index.ts';
import type { Tree } from '../tree.ts';

/**
 * What an operator probably meant by a value that is refused, as a whole clause; undefined where there is no good guess.
 * The value must not be secret: it is quoted. Pure.
 */
export function hintFor(found: Tree, schema: z.ZodType): string | undefined {
  const branches = alternatives(schema);
  const type = markOf(schema)?.type ?? '';
  const isList = branches.every((branch) => branch instanceof z.ZodArray);
  const isMap = branches.every((branch) => branch instanceof z.ZodObject || branch instanceof z.ZodRecord);
  if (found.kind === 'map') return isList ? 'a list has "- " before each item' : undefined;
  if (found.kind === 'list') return isMap ? 'a map has "name:" in each line, and no "- "' : undefined;
  const { value } = found;
  if (value === null) return undefined;
  const guess = GUESSES[type];
  const accepts = (proposal: unknown): boolean => schema.safeParse(proposal).success;
  if (type === 'name' && typeof value === 'string') return guessName(value, accepts);
  if (guess !== undefined) return worthwhile(guess(value, accepts), accepts);
  const takesUpstreams = branches.some((branch) => branch instanceof z.ZodObject && 'upstreams' in branch.shape);
  if (takesUpstreams && typeof value === 'string') return 'an address belongs under upstreams: {upstreams: [URL]}';
  if (isList) return 'a list is written [a, b], or with "- " before each item';
  const choices = branches.flatMap((branch) => (branch instanceof z.ZodEnum ? branch.options.map(String) : []));
  if (choices.length > 0) return guessChoice(String(value).trim().toLowerCase(), choices);
  const takesText = branches.some((branch) => core(branch) instanceof z.ZodString);
  if (typeof value !== 'string' && takesText && markOf(schema)?.expected.includes('quotes') !== true) {
    return `a text that looks like a ${typeof value === 'number' ? 'number' : 'truth value'} needs quotes`;
  }
  return undefined;
}

type Guess = (value: string | number | boolean, accepts: Accepts) => string | undefined;

/** Whether the option takes a value. */
type Accepts = (proposal: unknown) => boolean;

/** A hint, unless the value that it proposes would be refused too. */
function worthwhile(hint: string | undefined, accepts: Accepts): string | undefined {
  const [, proposal] = /^did you mean ([^ ?,]+)/.exec(hint ?? '') ?? [];
  if (proposal === undefined) return hint;
  const values: readonly unknown[] = [proposal, Number(proposal), proposal === 'true'];
  return values.some(accepts) ? hint : undefined;
}

/** By the type of the option in the manual. */
const GUESSES: Readonly<Record<string, Guess>> = {
  duration: guessDuration,
  size: (value, accepts) =>
    guessSize(value, (amount) => ['GB', 'MB', 'KiB'].map((unit) => `${amount}${unit}`).find(accepts) ?? ''),
  'size or share': (value) => guessSize(value, (amount) => `${amount}GB or ${amount}%`),
  boolean: guessBoolean,
  'boolean or map': guessBoolean,
  '`off` or map': (value) => (guessBoolean(value) === 'did you mean true?' ? 'it is on without this line' : undefined),
  path: guessPath,
  'path or URL': guessPath,
  platform: guessPlatform,
  URL: guessUrl,
  'URL or map': guessUrl,
  'URL of a receiver': guessReceiver,
  'host or expression': guessHost,
  number: guessNumber,
  address: guessAddress,
  'host or range': guessRange,
  'address or block': guessRange,
};

function guessName(value: string, accepts: Accepts): string | undefined {
  if (value.toLowerCase() === 'anonymous') return accepts('anonymous') ? 'did you mean anonymous?' : undefined;
  return faultOfLook(value);
}

/** Other programs take a bare number for seconds, milliseconds (from 1000 up) or, in Go, nanoseconds (from 10⁹ up). */
function guessDuration(value: string | number | boolean): string | undefined {
  if (typeof value === 'boolean') return undefined;
  const joined = String(value).replace(/\s+/g, '');
  if (joined !== value && parseDuration(joined) !== undefined) return `did you mean ${joined}?`;
  const [, amount = '', word = ''] = /^(\d+(?:\.\d+)?)\s*([a-zµ]*)\.?$/i.exec(String(value)) ?? [];
  if (amount === '') return undefined;
  if (word !== '') {
    const unit = DURATION_WORDS.find(([, words]) => words.test(word))?.[0];
    const text = unit === 'w' ? `${Number(amount) * 7}d` : `${amount}${unit}`;
    return unit === undefined || parseDuration(text) === undefined ? undefined : `did you mean ${text}?`;
  }
  const number = Number(amount);
  if (number === 0) return undefined;
  const [scale] = [1e9, 1000].filter((each) => number >= each && number % each === 0);
  return scale === undefined ? `did you mean ${amount}s?` : `did you mean ${number / scale}s, or ${amount}s?`;
}

const DURATION_WORDS: readonly (readonly [unit: string, words: RegExp])[] = [
  ['ms', /^(?:ms|msecs?|millis|milliseconds?)$/i],
  ['s', /^(?:s|secs?|seconds?)$/i],
  ['m', /^(?:m|mins?|minutes?)$/i],
  ['h', /^(?:h|hrs?|hours?)$/i],
  ['d', /^(?:d|days?)$/i],
  ['w', /^(?:w|wks?|weeks?)$/i],
];

function guessSize(value: string | number | boolean, likely: (amount: string) => string): string | undefined {
  const [, amount = '', word = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(value)) ?? [];
  if (amount === '' || Number(amount) === 0) return undefined;
  const proposal = likely(amount);
  if (word === '' && proposal === '') return undefined;
  if (word === '')
    return `${amount} alone is ${amount} bytes; did you mean ${proposal}? (bytes are written ${amount}B)`;
  const [, letter = ''] = /^([kmgt])(?:i|b|ig|bytes?|egabytes?|igabytes?|ilobytes?|erabytes?|igs?)?$/i.exec(word) ?? [];
  const unit = letter.toUpperCase();
  if (unit === '' || parseSize(`${amount}${unit}B`) === undefined) return undefined;
  return `write ${amount}${unit}B (powers of 1000) or ${amount}${unit}iB (powers of 1024)`;
}

/** Words of other programs for the choices of this one. */
const SYNONYMS: Readonly<Record<string, string>> = {
  trace: 'debug',
  verbose: 'debug',
  notice: 'info',
  warning: 'warn',
  err: 'error',
  fatal: 'error',
  critical: 'error',
  text: 'console',
  pretty: 'console',
  plain: 'console',
  logfmt: 'console',
};

function guessChoice(word: string, choices: readonly string[]): string | undefined {
  const meant = [word, SYNONYMS[word] ?? '', nearest(word, choices) ?? ''].find((each) => choices.includes(each));
  return meant === undefined ? undefined : `did you mean ${meant}?`;
}

function guessPath(value: string | number | boolean, accepts: Accepts): string | undefined {
  if (/^~(?:\/|$)/.test(String(value))) return '~ is not expanded: write the whole path, such as /home/me/cache';
  if (/^[\w.-]+(?:\/[\w.-]+)*$/.test(String(value)) && accepts(`/${value}`)) return `did you mean /${value}?`;
  return /^[A-Za-z]:[\\/]/.test(String(value))
    ? 'a path here begins with / or is relative, as in /var/lib/entrepot'
    : undefined;
}

/** Images name platforms as Go does: `linux/amd64`. */
function guessPlatform(value: string | number | boolean): string | undefined {
  const words = String(value).trim().toLowerCase().split('/');
  const [os = '', architecture = '', variant = ''] = words.length === 1 ? ['linux', ...words] : words;
  const own = Object.hasOwn(FOREIGN_ARCHITECTURES, architecture) ? FOREIGN_ARCHITECTURES[architecture] : architecture;
  const isComplete = variant === '' || own?.includes('/') === true;
  return `did you mean ${isComplete ? `${os}/${own}` : `${os}/${own}/${variant}`}?`;
}

/** A host without a scheme; nothing else is quoted, since a URL may hold a password. */
function guessUrl(value: string | number | boolean, accepts: Accepts): string | undefined {
  const text = String(value);
  // A name server over HTTPS is an address with a path, mostly this one (RFC 8484).
  const [, host] = /^(?:https:\/\/)?([\w.:[\]-]+)$/i.exec(text) ?? [];
  const asServer = `https://${host}/dns-query`;
  if (host !== undefined && accepts(asServer) && !accepts(`https://${host}`)) return `did you mean ${asServer}?`;
  if (/^https?:\/\/[^/]*@/i.test(text)) return 'user and password go under credentials: {username, password}';
  return /^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::\d+)?$/.test(text) && /[.:]|^localhost$/.test(text)
    ? `did you mean https://${text}?`
    : undefined;
}

function guessReceiver(value: string | number | boolean, accepts: Accepts): string | undefined {
  return /^[a-z]+:\/\/[^/]*@/i.test(String(value))
    ? 'a credential goes under headers, as in {Authorization: {file: PATH}}, and what signs under secret'
    : guessUrl(value, accepts);
}

function guessHost(value: string | number | boolean): string | undefined {
  const [, suffix = ''] = /^\*\.([\w.-]+)$/.exec(String(value)) ?? [];
  if (suffix !== '') return `hosts below ${suffix} are \\.${suffix.replaceAll('.', '\\.')}$`;
  const [, host] = /^https?:\/\/([\w.-]+)\/?$/.exec(String(value)) ?? [];
  return host === undefined ? undefined : `did you mean ${host}?`;
}

function guessBoolean(value: string | number | boolean): string | undefined {
  const text = String(value).trim().toLowerCase();
  if (['on', 'yes', 'y', '1', 'true', 'enabled', 'enable'].includes(text)) return 'did you mean true?';
  return ['off', 'no', 'n', '0', 'false', 'disabled', 'disable'].includes(text) ? 'did you mean false?' : undefined;
}

function guessNumber(value: string | number | boolean): string | undefined {
  if (typeof value !== 'string' || !/^\d[\d_, ]*$/.test(value)) return undefined;
  return `did you mean ${value.replace(/[_, ]/g, '')}, without quotes or separators?`;
}

function guessAddress(value: string | number | boolean): string | undefined {
  if (typeof value !== 'string') return undefined;
  const bare = /^(?:https?|tcp):\/\/([^/]+)\/?$/i.exec(value)?.[1];
  if (bare !== undefined) return `write ${bare} without the scheme; tls belongs to {address, tls: {…}}`;
  if (/^\/[^\0]+$/.test(value)) return `did you mean unix:${value}?`;
  if (/^[0-9a-f]*:[0-9a-f:.]*:\d+$/i.test(value) && value.split(':').length > 2)
    return 'an IPv6 address needs brackets, as in [::1]:5000';
  return /^(?:localhost|[A-Za-z0-9-]*\.[A-Za-z0-9.-]+)$/.test(value) ? `did you mean ${value}:5000?` : undefined;
}

function guessRange(value: string | number | boolean): string | undefined {
  const [, network = '', bits = ''] = /^([^/]+)\/(\d+)$/.exec(String(value)) ?? [];
  if (bits === '') return undefined;
  const most = network.includes(':') ? 128 : 32;
  return Number(bits) > most ? `a prefix of this family has at most ${most} bits` : undefined;
}
