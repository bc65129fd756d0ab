import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ConcurrencyLimit } from '../lib/index.ts';

/*
 * Argon2id (RFC 9106) in the thread pool. The parameters are the second recommendation of the OWASP Password Storage Cheat Sheet: 19 MiB, so
 * that a small machine can log in two clients at once. They are stored with each hash, so that later ones may be stronger.
 */

const MEMORY_KIB = 19_456;
const PASSES = 2;
const LANES = 1;
const SALT_BYTES = 16;
const TAG_BYTES = 32;

/** Hashes at once in this process. The pool has four threads, and reads of the cache need some of them. */
const AT_ONCE = 2;
const hashing = new ConcurrencyLimit(AT_ONCE);

/** What a stored hash may ask for: the file is edited by hand at its owner's risk, but must not take the memory of the server. */
const MAX_MEMORY_KIB = 262_144;
const MAX_PASSES = 16;
const MAX_LANES = 16;

const PHC = /^\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

const derive = promisify(argon2);

/** A PHC string: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`. */
export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(SALT_BYTES);
  const tag = await run(password, {
    nonce,
    memory: MEMORY_KIB,
    passes: PASSES,
    parallelism: LANES,
    tagLength: TAG_BYTES,
  });
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${encode(nonce)}$${encode(tag)}`;
}

/** Whether a password has a hash. False for a text that is no hash of a kind and cost that are accepted. */
export async function isPasswordOf(hash: string, password: string): Promise<boolean> {
  const [, memory, passes, lanes, salt, expected] = PHC.exec(hash) ?? [];
  if (salt === undefined || expected === undefined) return false;
  const tag = Buffer.from(expected, 'base64');
  const parameters = {
    nonce: Buffer.from(salt, 'base64'),
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(lanes),
    tagLength: tag.length,
  };
  if (parameters.memory > MAX_MEMORY_KIB || parameters.passes > MAX_PASSES || parameters.parallelism > MAX_LANES)
    return false;
  if (parameters.passes < 1 || parameters.parallelism < 1 || parameters.memory < 8 * parameters.parallelism)
    return false;
  return timingSafeEqual(await run(password, parameters), tag);
}

/** A hash of a password that is not known, of the cost of others. */
export const NO_PASSWORD = `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${encode(Buffer.alloc(SALT_BYTES))}$${encode(Buffer.alloc(TAG_BYTES))}`;

function run(password: string, parameters: Omit<Argon2Parameters, 'message'>): Promise<Buffer> {
  return hashing.run(() => derive('argon2id', { ...parameters, message: password }) as Promise<Buffer>);
}

/** PHC strings have no padding. */
function encode(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
