import { type Finding, failed, ok } from './finding.ts';
import { isOnThisMachine, type Login, type ServerClient } from './server-client.ts';

/**
 * Logs in at the server as clients do: with a password, or without one for an anonymous token. What is asked afterwards is
 * asked with that token.
 *
 * @param login undefined: as a client without a login
 * @returns no finding where the server asks for no login and none is given
 */
export async function loginFindings(server: ServerClient, login: Login | undefined): Promise<readonly Finding[]> {
  const about = { id: 'server.login', what: server.url } as const;
  const answer = await server.ask('GET', '/v2/');
  // Other findings say why.
  if (typeof answer === 'string') return [];
  if (answer.status === 200) return login === undefined ? [] : [ok({ ...about, found: 'it asks for no login' })];
  if (answer.status !== 401) return [];
  if (!/^bearer\b/i.test(answer.headers['www-authenticate'] ?? '')) {
    const found = 'it offers no tokens at this address, so Docker pulls nothing without a login';
    return [failed({ ...about, found }, 'Add the address to `public_url`, and run `entrepot reload`.')];
  }
  if (login !== undefined && !server.url.startsWith('https:') && !isOnThisMachine(server.url)) {
    const found = `the password of ${login.user} was not sent: plain HTTP can be read on the way`;
    return [failed({ ...about, found }, 'Name the https:// address of the server with --server.')];
  }
  const given = await server.takeToken(login);
  if (given === 200) {
    const found = login === undefined ? 'it gives anonymous tokens' : `${login.user} is logged in`;
    return [ok({ ...about, found })];
  }
  const who = login === undefined ? 'without a login' : `for ${login.user}`;
  const found = `no token ${who}: ${typeof given === 'string' ? given : `it answered ${given}`}`;
  const fallback =
    typeof given === 'string' && login !== undefined ? UNTRUSTED : 'See the message, and the log of the server.';
  return [failed({ ...about, found }, REMEDIES[String(given)] ?? fallback)];
}

const UNTRUSTED =
  'See the message. A password is sent only to a server whose certificate this machine trusts: a finding on the certificate says more.';

const REMEDIES: Readonly<Record<string, string>> = {
  401: 'Correct the user or the password; removed and disabled users are refused too.',
  429: 'Wait for a minute: too many wrong passwords came from this address or for this user.',
};
