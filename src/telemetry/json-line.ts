import { printableLines } from '../lib/index.ts';
import { isSecretKey, MASK, MAX_ENTRIES, redact, redactText } from './redact.ts';

/**
 * The JSON format of the log: one line for each call. There is one for each request, so it is made in one pass: a text that has
 * nothing to escape and nothing to mask is taken as it is.
 */

// What JSON escapes, what is not ASCII (and may move a terminal's cursor), and all that `redactText` looks for.
const NOT_PLAIN = /[^ !#-<>-[\]-~]|:\/\/|ent_|[Bb](?:earer|EARER|asic|ASIC)/;

/** Characters of the longest text that is looked at in one pass; `redactText` looks at longer ones, and cuts them. */
const MAX_PLAIN = 1024;

interface LineOptions {
  readonly level: string;
  /** As `timestamp()` has it. */
  readonly ts: string;
  readonly message: string;
  /** Undefined ones are left out; the others are redacted. */
  readonly fields?: { readonly [key: string]: unknown } | undefined;
  /** Shows the stacks of errors. */
  readonly stacks: boolean;
}

/** `{"level":"info","ts":"…", fields, "msg":"…"}`, with a newline. Secrets are masked, as `redact` does. */
export function formatJsonLine({ level, ts, message, fields, stacks }: LineOptions): string {
  let line = `{"level":"${level}","ts":"${ts}"`;
  if (fields !== undefined) {
    let entries = 0;
    for (const key of Object.keys(fields)) {
      if (++entries > MAX_ENTRIES) break;
      const value = fields[key];
      if (value === undefined) continue;
      const { prefix, isSecret } = keyOf(key);
      const text = isSecret ? `"${MASK}"` : valueText(value, stacks);
      if (text !== undefined) line += prefix + text;
    }
  }
  return `${line},"msg":${stringText(message)}}\n`;
}

/** A value in JSON; undefined for one that JSON does not have. */
function valueText(value: unknown, stacks: boolean): string | undefined {
  if (typeof value === 'string') return stringText(value);
  // NaN and the infinities are null in JSON.
  if (typeof value === 'number') return Number.isFinite(value) ? `${value}` : 'null';
  const text = JSON.stringify(redact(value, { stacks })) as string | undefined;
  return text === undefined ? undefined : printableLines(text);
}

function stringText(text: string): string {
  if (text.length <= MAX_PLAIN && !NOT_PLAIN.test(text)) return `"${text}"`;
  return printableLines(JSON.stringify(redactText(text)));
}

interface Key {
  /** `,"key":` */
  readonly prefix: string;
  readonly isSecret: boolean;
}

/** Keys that were met. Lines have few; logged data may have any number, hence the limit. */
const keys = new Map<string, Key>();
const MAX_KEYS = 500;

function keyOf(name: string): Key {
  const known = keys.get(name);
  if (known !== undefined) return known;
  const key = { prefix: `,${printableLines(JSON.stringify(name))}:`, isSecret: isSecretKey(name) };
  if (keys.size < MAX_KEYS) keys.set(name, key);
  return key;
}

let lastMs = Number.NaN;
let lastTimestamp = '';

/** The time now, in ISO 8601 with milliseconds, UTC. A busy server logs many lines in one of them. */
export function timestamp(): string {
  const now = Date.now();
  if (now !== lastMs) {
    lastMs = now;
    lastTimestamp = new Date(now).toISOString();
  }
  return lastTimestamp;
}
