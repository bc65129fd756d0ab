import { isIP } from 'node:net';
import { type Answer, decode, encode, RECURSION_DESIRED, TRUNCATED_RESPONSE } from 'dns-packet';
import { DnsServerError } from './dns-error.ts';

/** A query for the addresses of one family. */
export interface DnsQuestion {
  /** Lower case, without a final dot. */
  readonly name: string;
  readonly type: 'A' | 'AAAA';
}

/** A name server's answer. */
export interface DnsAnswer {
  /** `failed`: the server has no answer (`SERVFAIL`). `NXDOMAIN` is an answer. */
  readonly outcome: 'found' | 'no-such-name' | 'no-such-address' | 'failed';
  /** Empty unless `found`. */
  readonly addresses: readonly string[];
  /** Seconds the answer may be cached: the least TTL of all records that led to it. 0: not at all. */
  readonly ttl: number;
  /** For messages: `NOERROR`, `SERVFAIL`, … */
  readonly rcode: string;
}

/** Queries are padded to a multiple of this, so that their length does not reveal the name (RFC 8467 §4.1). */
const PADDED_TO = 128;
/** Bytes of the code and length before the padding (RFC 7830). */
const PADDING_HEAD = 4;
/** A chain of aliases longer than this is a mistake or an attack. */
const MAX_ALIASES = 16;
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
/** RFC 1035 §2.3.4, in the text form. */
const NAME = /^(?=.{1,253}$)[^.]{1,63}(?:\.[^.]{1,63})*$/;

/** Whether a text is a valid DNS name. */
export function isDnsName(name: string): boolean {
  return NAME.test(name);
}

/** A query with EDNS0 and padding. DoH uses the id 0, for HTTP caches (RFC 8484 §4.1). */
export function encodeQuery({ name, type }: DnsQuestion, { id }: { readonly id: number }): Buffer {
  const encoded = (padding: number): Buffer =>
    encode({
      type: 'query',
      id,
      flags: RECURSION_DESIRED,
      questions: [{ name, type, class: 'IN' }],
      additionals: [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize: 4096,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [{ code: 12, length: padding }],
        },
      ],
    });
  const length = encoded(0).length - PADDING_HEAD;
  return encoded((PADDED_TO - ((length + PADDING_HEAD) % PADDED_TO)) % PADDED_TO);
}

/** The id of an encoded message. */
export function idOf(message: Buffer): number {
  return message.length < 12 ? -1 : message.readUInt16BE(0);
}

/** Decodes the answer to a query. Throws {@link DnsServerError} for any other message. */
export function decodeAnswer(message: Buffer, question: DnsQuestion): DnsAnswer {
  const packet = decoded(message);
  const [asked] = packet.questions ?? [];
  if (packet.type !== 'response' || asked?.type !== question.type || plain(asked.name) !== question.name) {
    throw new DnsServerError('the message is no answer to the query');
  }
  const code = (packet.flags ?? 0) & 0xf;
  const rcode = RCODES[code] ?? `RCODE${code}`;
  const nothing = { addresses: [], rcode };
  // A stream needs no truncation; a truncated answer may lack addresses.
  if (((packet.flags ?? 0) & TRUNCATED_RESPONSE) !== 0) {
    return { ...nothing, outcome: 'failed', ttl: 0, rcode: `${rcode}, cut short` };
  }
  if (code === 3) return { ...nothing, outcome: 'no-such-name', ttl: negativeTtl(packet.authorities ?? []) };
  if (code !== 0) return { ...nothing, outcome: 'failed', ttl: 0 };
  const { addresses, ttl } = resolveAliases(packet.answers ?? [], question);
  if (addresses.length === 0)
    return { ...nothing, outcome: 'no-such-address', ttl: negativeTtl(packet.authorities ?? []) };
  return { outcome: 'found', addresses, ttl, rcode };
}

function decoded(message: Buffer) {
  try {
    return decode(message);
  } catch (cause) {
    throw new DnsServerError('the message is no DNS message', { cause });
  }
}

/** The addresses of a name, and of the names it is an alias of. Records of other names are ignored. */
function resolveAliases(answers: readonly Answer[], { name, type }: DnsQuestion): { addresses: string[]; ttl: number } {
  const names = new Set([name]);
  let ttl = Number.POSITIVE_INFINITY;
  for (let known = 0; known < names.size && names.size <= MAX_ALIASES; ) {
    known = names.size;
    for (const answer of answers) {
      if (answer.type === 'CNAME' && names.has(plain(answer.name))) {
        names.add(plain(answer.data));
        ttl = Math.min(ttl, answer.ttl ?? 0);
      }
    }
  }
  const addresses: string[] = [];
  for (const answer of answers) {
    if (answer.type !== type || !names.has(plain(answer.name)) || typeof answer.data !== 'string') continue;
    // dns-packet reads a record that is too short beyond its end.
    if (isIP(answer.data) !== (type === 'A' ? 4 : 6)) throw new DnsServerError('the message is no DNS message');
    addresses.push(answer.data);
    ttl = Math.min(ttl, answer.ttl ?? 0);
  }
  return { addresses, ttl };
}

/** Seconds a negative answer may be cached (RFC 2308 §5); 0 without an SOA record. */
function negativeTtl(authorities: readonly Answer[]): number {
  for (const record of authorities) {
    if (record.type === 'SOA') return Math.min(record.ttl ?? 0, record.data.minimum ?? 0);
  }
  return 0;
}

function plain(name: string): string {
  return name.replace(/\.$/, '').toLowerCase();
}
