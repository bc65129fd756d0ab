import bcrypt from 'bcryptjs';

/** The least cost that bcrypt has: tests hash many passwords. */
const COST = 4;

/** Lines of an htpasswd file: the password of `alice` is `alice-pw`. */
export function htpasswdOf(...names: readonly string[]): string {
  return names.map((name) => `${name}:${bcrypt.hashSync(passwordOf(name), COST)}\n`).join('');
}

/** The headers of a client that logs in by name and password. @param password `alice-pw` for `alice` */
export function basic(name: string, password = passwordOf(name)): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}

/** The headers of a client that has a token. */
export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

function passwordOf(name: string): string {
  return `${name}-pw`;
}
