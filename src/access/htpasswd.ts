import { faultOfName } from './names.ts';

/** A line that cannot be used. The message quotes neither the hash nor the password. */
export interface HtpasswdProblem {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export interface Htpasswd {
  /** The bcrypt hash of each user. */
  readonly users: ReadonlyMap<string, string>;
  readonly problems: readonly HtpasswdProblem[];
}

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** 2¹⁴ rounds take seconds of a core, for each password that a client sends. */
const MAX_COST = 14;
const REMEDY = 'make the line with `htpasswd -B FILE USER`';

/** Reads the contents of an htpasswd file with bcrypt hashes (Apache `htpasswd -B`). Pure. */
export function parseHtpasswd(text: string): Htpasswd {
  const users = new Map<string, string>();
  const problems: HtpasswdProblem[] = [];
  for (const [at, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '');
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const name = colon === -1 ? '' : line.slice(0, colon);
    const hash = line.slice(colon + 1).trim();
    const fault = colon === -1 ? `found no colon, expected USER:HASH; ${REMEDY}` : faultOf(name, hash, users);
    if (fault === undefined) users.set(name, hash);
    else problems.push({ line: at + 1, message: fault });
  }
  return { users, problems };
}

function faultOf(name: string, hash: string, users: ReadonlyMap<string, string>): string | undefined {
  const fault = faultOfName(name, 'user');
  if (fault !== undefined) return fault;
  if (users.has(name)) return `${name} has a line already; remove one of the two`;
  const cost = BCRYPT.exec(hash)?.[1];
  if (cost === undefined) return `${kindOf(hash)}, and only bcrypt is accepted; ${REMEDY}`;
  if (Number(cost) > MAX_COST)
    return `a cost of ${cost} takes seconds to check, at most ${MAX_COST} is accepted; ${REMEDY}`;
  return undefined;
}

function kindOf(hash: string): string {
  if (hash.startsWith('$apr1$')) return 'the password is hashed by MD5 ($apr1$)';
  if (hash.startsWith('{SHA}')) return 'the password is hashed by SHA-1 without a salt';
  if (/^\$[56]\$/.test(hash)) return 'the password is hashed by SHA-crypt';
  if (hash.startsWith('$2')) return 'the bcrypt hash is not complete';
  if (/^[./A-Za-z0-9]{13}$/.test(hash)) return 'the password is hashed by crypt, or is plain text';
  return 'the password is plain text or in an unknown form';
}
