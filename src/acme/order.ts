import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AcmeObject, AcmeServer } from './acme-server.ts';
import { certificateRequest } from './certificate-request.ts';
import type { Challenges } from './challenges.ts';
import { namesOf } from './files.ts';
import { AcmeError, isRecord, readProblem } from './problem.ts';
import { hasNames } from './schedule.ts';

export interface OrderOptions {
  readonly server: AcmeServer;
  readonly domains: readonly string[];
  readonly challenges: Challenges;
  /** SHA-256 of the account's key. */
  readonly thumbprint: string;
  /** The identifier of the certificate that is renewed (RFC 9773 §5). */
  readonly replaces: string | undefined;
  /** Ends the order; also its deadline. */
  readonly signal: AbortSignal;
}

/** Milliseconds between two looks at an object, where the server does not say. */
const POLL = 1000;
const LONGEST_POLL = 15_000;
/** Looks at one object; with the wait between them about ten minutes. */
const MAX_POLLS = 60;

/** Orders a certificate with a new key (RFC 8555 §7.4). @returns the key and the chain as one PEM text @throws {Error} */
export async function orderCertificate(options: OrderOptions): Promise<string> {
  const { server, domains, replaces, signal } = options;
  const order = await newOrder(server, { domains, replaces });
  const url = order.location;
  if (url === undefined) throw new AcmeError('the ACME server took the order and did not say where it is');
  // One after the other: each proof needs only seconds, and the first fault names its domain.
  for (const authorization of urlsIn(order, domains.length)) await prove(authorization, options);
  const ready = await poll(server, { url, signal, until: ['ready', 'valid'] });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = certificateRequest(privateKey, domains).toString('base64url');
  await server.post(textOf(ready, 'finalize'), { csr });
  const issued = await poll(server, { url, signal, until: ['valid'] });
  const chain = await server.download(textOf(issued, 'certificate'));
  requireOrdered(chain, { privateKey, domains });
  return `${privateKey.export({ type: 'pkcs8', format: 'pem' })}${chain.trimEnd()}\n`;
}

/** @throws {AcmeError} where a certificate is not the one that was ordered: used, it would be ordered again at once */
function requireOrdered(
  chain: string,
  { privateKey, domains }: { readonly privateKey: KeyObject; readonly domains: readonly string[] },
): void {
  const certificate = readable(chain);
  if (certificate === undefined) throw new AcmeError('the ACME server sent no certificate that can be read');
  const names = namesOf(certificate);
  if (certificate.checkPrivateKey(privateKey) && hasNames(names, domains)) return;
  throw new AcmeError(
    `the ACME server sent a certificate for ${names.join(', ').slice(0, 500)}, expected one for ${domains.join(', ')} with the key of the order`,
  );
}

function readable(chain: string): X509Certificate | undefined {
  try {
    return new X509Certificate(chain);
  } catch {
    return undefined;
  }
}

async function newOrder(
  server: AcmeServer,
  { domains, replaces }: Pick<OrderOptions, 'domains' | 'replaces'>,
): Promise<AcmeObject> {
  const identifiers = domains.map((value) => ({ type: 'dns', value }));
  if (replaces === undefined || (await server.find('renewalInfo')) === undefined) {
    return server.newOrder({ identifiers });
  }
  try {
    return await server.newOrder({ identifiers, replaces });
  } catch (error) {
    // The certificate was replaced before, or the server does not know it: that is no reason not to renew.
    const isOnlyReplaces =
      error instanceof AcmeError && ['alreadyReplaced', 'malformed', 'unauthorized'].includes(error.type ?? '');
    if (!isOnlyReplaces) throw error;
    return server.newOrder({ identifiers });
  }
}

/** Proves the control of one domain; nothing is left to do for one that the server has seen proved before. */
async function prove(url: string, { server, challenges, thumbprint, signal }: OrderOptions): Promise<void> {
  const authorization = await server.post(url);
  const domain = domainOf(authorization);
  if (authorization.fields['status'] === 'valid') return;
  const offered = Array.isArray(authorization.fields['challenges']) ? authorization.fields['challenges'] : [];
  const challenge = offered.find((each) => isRecord(each) && each['type'] === 'http-01');
  if (!isRecord(challenge)) {
    const types = offered.flatMap((each) =>
      isRecord(each) && typeof each['type'] === 'string' ? [each['type'].slice(0, 40)] : [],
    );
    throw new AcmeError(
      `the ACME server proves ${domain} by ${types.join(', ') || 'no challenge'} only, and this server answers http-01`,
    );
  }
  const { token, url: challengeUrl } = challenge;
  if (typeof token !== 'string' || typeof challengeUrl !== 'string') {
    throw new AcmeError(`the ACME server’s challenge for ${domain} has no token or no url`);
  }
  const withdraw = challenges.offer(token, `${token}.${thumbprint}`);
  try {
    await server.post(challengeUrl, {});
    await poll(server, { url, signal, until: ['valid'], subject: domain });
  } finally {
    withdraw();
  }
}

interface PollOptions {
  readonly url: string;
  readonly signal: AbortSignal;
  readonly until: readonly string[];
  /** What is waited for, for messages. @default the order */
  readonly subject?: string;
}

/** Reads an object until it has one of the states. @throws {AcmeError} where it fails, or does not get there */
async function poll(
  server: AcmeServer,
  { url, signal, until, subject = 'the order' }: PollOptions,
): Promise<AcmeObject> {
  for (let look = 0; look < MAX_POLLS; look++) {
    const found = await server.post(url);
    const { status } = found.fields;
    if (typeof status === 'string' && until.includes(status)) return found;
    if (status !== 'pending' && status !== 'processing' && status !== 'ready') {
      throw new AcmeError(
        `the ACME server did not accept ${subject}: ${reasonOf(found) ?? `its state is ${String(status).slice(0, 40)}`}`,
        typeOf(found),
      );
    }
    const own = Math.min(LONGEST_POLL, POLL * 1.3 ** look);
    await sleep(Math.min(LONGEST_POLL, found.retryAfter ?? own), undefined, { signal });
  }
  throw new AcmeError(`the ACME server did not come to an end with ${subject}`);
}

/** Why an order or an authorization failed: its own error, or that of its failed challenge. */
function reasonOf({ fields }: AcmeObject): string | undefined {
  return errorsOf(fields)[0]?.text;
}

function typeOf({ fields }: AcmeObject): { readonly type?: string } {
  const type = errorsOf(fields)[0]?.type;
  return type === undefined ? {} : { type };
}

function errorsOf(fields: AcmeObject['fields']) {
  const challenges = Array.isArray(fields['challenges']) ? fields['challenges'] : [];
  return [fields, ...challenges].flatMap((each) => (isRecord(each) ? (readProblem(each['error']) ?? []) : []));
}

function domainOf({ fields: { identifier } }: AcmeObject): string {
  const value = isRecord(identifier) ? identifier['value'] : undefined;
  return typeof value === 'string' ? value.slice(0, 253) : 'a domain';
}

/** The authorizations of an order: at most one for each domain. */
function urlsIn({ fields: { authorizations } }: AcmeObject, most: number): readonly string[] {
  const urls = Array.isArray(authorizations) ? authorizations.filter((each) => typeof each === 'string') : [];
  if (urls.length > 0 && urls.length <= most) return urls;
  throw new AcmeError(`the ACME server’s order has ${urls.length} authorizations for ${most} domains`);
}

function textOf({ fields }: AcmeObject, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw new AcmeError(`the ACME server’s order has no ${name}`);
}
