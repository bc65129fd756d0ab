import { digestHex, digestOf, type Repository } from '../../oci/index.ts';

/** Bytes of a file's name on every common file system. */
const MAX_BYTES = 255;

/** Before the hash of a name that is too long: no escape begins like this. */
const CUT = '+h';

/** What stands for itself in a file's name on every file system, also where case makes no difference. */
const PLAIN = /^[a-z0-9_-]$/;

/**
 * The name of the directory of a repository's layout: `team/web` of `apps` is `apps+2Fteam+2Fweb`. All are beside each other, so that a
 * repository `a/blobs` never meets the `blobs/` of `a`, and no two repositories have one directory.
 *
 * Every byte but `a-z`, `0-9`, `_`, `-` and a dot that is not the first is escaped, as in a URL but with a plus sign: regctl takes no
 * percent sign in a path. A name that is too long for a file
 * ends in its hash; the true one is in the `index.json`.
 */
export function layoutName({ registry, repository }: Repository): string {
  const name = Buffer.from(`${registry}/${repository}`);
  const escaped = Array.from(name, escape);
  const whole = escaped.join('');
  if (whole.length <= MAX_BYTES) return whole;
  const tail = `${CUT}${digestHex(digestOf(name))}`;
  let head = '';
  for (const each of escaped) {
    if (head.length + each.length + tail.length > MAX_BYTES) break;
    head += each;
  }
  return head + tail;
}

function escape(byte: number, at: number): string {
  const character = String.fromCharCode(byte);
  if (PLAIN.test(character) || (character === '.' && at > 0)) return character;
  return `+${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
