import type { Draft, Found, Item, Origin, Steps } from '../draft.ts';
import type { Fields } from '../fields.ts';
import { readUrl, registryAt } from '../known.ts';
import { expectUrl, putCredentials, putUpstream } from '../options.ts';

/*
 * Clients list mirrors for a registry, try them in order, and then the registry itself. This server does so in their place:
 * the mirrors become upstreams, the registry itself the last one.
 */

/** A mirror of a registry in the configuration of a client. */
export interface ClientMirror {
  /** The registry: `docker.io`, `registry.example.com:5000`. */
  readonly registry: string;
  readonly url: Found<string>;
  readonly prefix?: string | undefined;
}

export const EVERY_REGISTRY =
  'it stands for every registry, and upstreams here belong to one. List the registries it has under registries, each with upstreams: [{url: …}]; if it takes the registry in the path, with repository_prefix: NAME';

/**
 * Adds mirrors. containerd tells a mirror by `?ns=` which registry it wants, and this server sends no such query: of a mirror
 * for several registries only docker.io is carried over, which such mirrors serve by default. Otherwise its tags would lead to
 * images of another registry.
 *
 * @param options.sendsNs whether the client does so
 * @param options.forAll addresses that the client uses for every registry
 * @returns the path of each upstream
 */
export function putMirrors(
  draft: Draft,
  mirrors: readonly ClientMirror[],
  { sendsNs, forAll = [] }: { readonly sendsNs: boolean; readonly forAll?: readonly string[] },
): ReadonlyMap<ClientMirror, Steps> {
  const placed = new Map<ClientMirror, Steps>();
  const everywhere = new Set(forAll.map((text) => readUrl(text)?.url));
  const byUrl = Map.groupBy(mirrors, ({ url }) => readUrl(url.value)?.url);
  const namesAt = new Map(
    [...byUrl].map(([url, found]) => [url, new Set(found.map(({ registry }) => registryAt(registry).name))] as const),
  );
  for (const mirror of mirrors) {
    const read = expectUrl(draft, mirror.url);
    if (read === undefined) continue;
    const { name } = registryAt(mirror.registry);
    const isShared = everywhere.has(read.url) || (namesAt.get(read.url)?.size ?? 0) > 1;
    const needsNs = sendsNs && mirror.prefix === undefined && name !== 'docker.io' && !isOwnHost(read.host, name);
    if (needsNs && isShared) {
      draft.lose(
        mirror.url.origin,
        `containerd tells this mirror by ?ns= which registry it wants, and this server does not. If the mirror takes the registry in the path too, write upstreams: [{url: ${JSON.stringify(read.url)}, repository_prefix: ${name}}] under registries: {${name}: …}`,
      );
      continue;
    }
    if (needsNs) {
      draft.note(
        `containerd sends ?ns=${name} to its mirrors, and this server does not: each mirror must serve ${name} without it`,
      );
    }
    const steps = putUpstream(draft, name, mirror);
    if (steps !== undefined) placed.set(mirror, steps);
  }
  return placed;
}

/** Whether a mirror is the registry itself, at another port or below its domain. */
function isOwnHost(host: string, registry: string): boolean {
  const bare = (text: string) => text.replace(/:\d+$/, '');
  return bare(host) === bare(registry);
}

/** Adds the registry itself after its mirrors. */
export function putOwn(draft: Draft, registry: string, origin: Origin, reason: string): Steps | undefined {
  const { name, url } = registryAt(registry);
  return putUpstream(draft, name, { url: { value: url, origin }, last: true, reason });
}

/** Adds the settings of `configs` (k3s, containerd) to an upstream. */
export function putConfig(
  draft: Draft,
  steps: Steps,
  { auth, tls }: { auth: Auth | undefined; tls: Tls | undefined },
): void {
  if (auth !== undefined) putCredentials(draft, steps, auth);
  if (tls === undefined || isPlain(steps)) return;
  draft.put([...steps, 'tls', 'ca_file'], tls.ca);
  draft.put([...steps, 'tls', 'cert_file'], tls.cert);
  draft.put([...steps, 'tls', 'key_file'], tls.key);
  if (tls.skipVerify?.value === true) draft.put([...steps, 'tls', 'insecure_skip_verify'], tls.skipVerify);
}

/** Whether an upstream is reached without TLS, by the item of its path. */
export function isPlain(steps: Steps): boolean {
  return steps.some((step): step is Item => typeof step !== 'string' && step.item.startsWith('http:'));
}

export interface Auth {
  readonly username: Found<string> | undefined;
  readonly password: Found<string> | undefined;
}

export interface Tls {
  readonly ca?: Found<string> | undefined;
  readonly cert?: Found<string> | undefined;
  readonly key?: Found<string> | undefined;
  readonly skipVerify?: Found<boolean> | undefined;
}

/** Reads `auth` of a registry: user and password, or both in Base64. */
export function readAuth(auth: Fields | undefined, draft: Draft): Auth | undefined {
  if (auth === undefined) return undefined;
  const username = auth.text('username');
  const password = auth.text('password');
  const joined = auth.text('auth');
  auth.lose(
    ['token', 'identity_token', 'identitytoken', 'registry_token', 'registrytoken'],
    'a token of the client cannot be used; write credentials: {username: …, password: …}, with a token as the password',
  );
  if (username !== undefined || password !== undefined || joined === undefined) return { username, password };
  const text = Buffer.from(joined.value, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) {
    draft.lose(joined.origin, 'it is not Base64 of user:password');
    return undefined;
  }
  const { origin } = joined;
  return { username: { value: text.slice(0, colon), origin }, password: { value: text.slice(colon + 1), origin } };
}

/** Reads `tls` of a registry. */
export function readTls(tls: Fields | undefined): Tls | undefined {
  if (tls === undefined) return undefined;
  return {
    ca: tls.text('ca_file'),
    cert: tls.text('cert_file'),
    key: tls.text('key_file'),
    skipVerify: tls.flag('insecure_skip_verify'),
  };
}
