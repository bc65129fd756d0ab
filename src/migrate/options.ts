import type { Draft, Found, Steps } from './draft.ts';
import type { Fields } from './fields.ts';
import { formatDuration } from './go-duration.ts';
import { type ReadUrl, readUrl, registryAt } from './known.ts';

/* What several sources carry over in the same way. */

/** Sets where to listen. Certificate and key come together, or not at all. */
export function putListen(
  draft: Draft,
  address: Found<string>,
  more: {
    readonly cert?: Found<string> | undefined;
    readonly key?: Found<string> | undefined;
    /** Why it redirects to HTTPS. */
    readonly redirect?: string;
    /** The program whose default the address is. */
    readonly defaultOf?: string;
    /** Why the address is not the one in the file. */
    readonly reason?: string;
  } = {},
): void {
  const { cert, key, redirect, defaultOf, reason } = more;
  const because = defaultOf === undefined ? reason : `the default of ${defaultOf}`;
  const why = {
    origin: address.origin,
    isDefault: defaultOf !== undefined,
    ...(because === undefined ? {} : { reason: because }),
  };
  const given = cert ?? key;
  if (given === undefined && redirect === undefined) {
    draft.assume(['listen'], address.value, why);
    return;
  }
  if (redirect === undefined && (cert === undefined || key === undefined)) {
    draft.lose(
      given?.origin ?? address.origin,
      'found one of certificate and key, and both are needed; nothing listens there. Add the other under listen',
    );
    return;
  }
  const steps: Steps = ['listen', { item: address.value }];
  draft.assume([...steps, 'address'], address.value, why);
  draft.put([...steps, 'tls', 'cert_file'], cert);
  draft.put([...steps, 'tls', 'key_file'], key);
  if (redirect !== undefined) {
    draft.assume([...steps, 'redirect_to_https'], true, { origin: address.origin, reason: redirect });
  }
}

/** `:5000` from a port. */
export function portAddress({ value, origin }: Found<number>, host = ''): Found<string> {
  return { value: `${host}:${value}`, origin };
}

export interface UpstreamParts {
  /** As written in the file. */
  readonly url: Found<string>;
  /** After all others: the registry itself, which clients ask after its mirrors. */
  readonly last?: true;
  /** What repositories have in front of their name there. */
  readonly prefix?: string | undefined;
  readonly reason?: string;
}

/** Adds an upstream to a registry. @returns its path; undefined where the URL is none, which is reported */
export function putUpstream(draft: Draft, registry: string, parts: UpstreamParts): Steps | undefined {
  const { origin } = parts.url;
  const read = expectUrl(draft, parts.url);
  if (read === undefined) return undefined;
  // The API is at <url>/v2/: what follows it is a part of the repository's name.
  const [, front = read.path, behind] = /^(.*?)\/v2\/(.+)$/.exec(read.path) ?? [];
  const base = read.url.slice(0, read.url.length - read.path.length) + front;
  const prefix = [behind, parts.prefix].filter((part) => part !== undefined && part !== '').join('/');
  const last = parts.last === true ? { last: true as const } : {};
  const steps: Steps = ['registries', registry, 'upstreams', { item: `${base} ${prefix}`, ...last }];
  const why = { origin, ...(parts.reason === undefined ? {} : { reason: parts.reason }) };
  draft.assume([...steps, 'url'], base, why);
  if (prefix !== '') draft.assume([...steps, 'repository_prefix'], prefix, { origin });
  if (read.username !== undefined || read.password !== undefined) {
    putCredentials(draft, steps, {
      username: read.username === undefined ? undefined : { value: read.username, origin },
      password: read.password === undefined ? undefined : { value: read.password, origin },
    });
  }
  return steps;
}

/** Reports a text that is no address of a registry. */
export function expectUrl(draft: Draft, { value, origin }: Found<string>): ReadUrl | undefined {
  const read = readUrl(value);
  if (read === undefined) {
    draft.problem(
      origin,
      'found another text, expected an http:// or https:// address of a registry without a query, e.g. https://ghcr.io',
    );
  }
  return read;
}

/**
 * Sets the registry for names without one, from its URL. A registry that is not known is listed by the name of its host.
 *
 * @param options.isDefault gives way to any other value
 */
export function putDefaultRegistry(
  draft: Draft,
  url: Found<string>,
  { isDefault = false }: { readonly isDefault?: boolean } = {},
): void {
  const read = expectUrl(draft, url);
  if (read === undefined) return;
  const place = registryAt(read.host);
  if (!place.isKnown || read.path !== '' || read.username !== undefined) putUpstream(draft, place.name, { url });
  draft.assume(['default_registry'], place.name, { origin: url.origin, isDefault });
}

export interface Credentials {
  readonly username: Found<string> | undefined;
  readonly password: Found<string> | undefined;
}

/** Sets the credentials of an upstream. One without the other is reported. */
export function putCredentials(draft: Draft, steps: Steps, { username, password }: Credentials): void {
  const given = username ?? password;
  if (given === undefined) return;
  if (username === undefined || password === undefined) {
    draft.lose(given.origin, 'found one of user name and password, and credentials take both');
    return;
  }
  draft.put([...steps, 'credentials', 'username'], username);
  draft.put([...steps, 'credentials', 'password'], password);
}

/**
 * Shows every client what the credentials of a registry read, as the other program did: without the rule, other machines would
 * see only what is public.
 */
export function putOpenRules(draft: Draft, registry: string, { origin }: Found<unknown>): void {
  const rules = [
    { item: 'open', may: ['pull', 'catalog'], on: '**', isPrivate: false },
    { item: `open ${registry}`, may: ['pull', 'catalog'], on: `${registry}/**`, isPrivate: true },
  ];
  for (const { item, may, on, isPrivate } of rules) {
    const steps: Steps = ['access', 'rules', { item }];
    const reason = isPrivate
      ? 'private images too, for every client, as before; name users to restrict it'
      : 'as before';
    draft.assume([...steps, 'who'], 'anonymous', { origin, reason });
    for (const action of may) draft.assume([...steps, 'may', { item: action }], action, { origin });
    draft.assume([...steps, 'on', { item: on }], on, { origin });
    if (isPrivate) draft.assume([...steps, 'private'], true, { origin });
  }
}

/** Puts each header under `headers` of an upstream. */
export function putHeaders(draft: Draft, steps: Steps, headers: Fields | undefined): void {
  for (const name of headers?.keys ?? []) {
    const values = headers?.texts(name, { one: true }) ?? [];
    const [first] = values;
    if (first === undefined) continue;
    draft.assume([...steps, 'headers', name], values.map(({ value }) => value).join(', '), { origin: first.origin });
  }
}

/** The address of this program that clients use: a URL without a path. */
export function putPublicUrl(draft: Draft, found: Found<string> | undefined): void {
  if (found === undefined) return;
  const read = readUrl(found.value);
  if (read === undefined) {
    draft.problem(found.origin, 'found another text, expected an address such as https://mirror.example.com');
  } else if (read.path !== '') {
    draft.lose(
      found.origin,
      'the address has a path, and public_url has none: clients can only find /v2/ at the root of a host',
    );
  } else draft.assume(['public_url'], read.url, { origin: found.origin });
}

/** Puts a length of time. @param zero what 0 means there, where it cannot be carried over */
export function putDuration(draft: Draft, path: Steps, found: Found<number> | undefined, zero?: string): void {
  if (found === undefined) return;
  if (found.value === 0 && zero !== undefined) {
    draft.lose(found.origin, zero);
    return;
  }
  // Shorter than a millisecond is not nothing.
  const value = found.value === 0 ? 0 : formatDuration(Math.max(found.value, 1));
  draft.assume(path, value, { origin: found.origin });
}

/** The level of the log by its name elsewhere. */
export function putLogLevel(draft: Draft, found: Found<string> | undefined): void {
  if (found === undefined) return;
  const word = found.value.toLowerCase();
  const level = { trace: 'debug', warning: 'warn', fatal: 'error', panic: 'error', err: 'error' }[word] ?? word;
  draft.assume(['log', 'level'], level, { origin: found.origin });
}

/** A directory of the cache inside that of the other program, whose files are not read. */
export function putCacheDir(draft: Draft, { value, origin }: Found<string>): void {
  const dir = `${value.replace(/\/+$/, '')}/entrepot`;
  draft.assume(['cache', 'dir'], dir, { origin });
  draft.note(
    `the cache starts empty, in ${JSON.stringify(dir)}: the files that ${draft.program} has in ${JSON.stringify(value)} are not read. Remove them when nothing needs them any more`,
    origin,
  );
}

/** For programs that keep nothing: what is different now. */
export function noteNewCache(draft: Draft): void {
  draft.note(
    `${draft.program} stores nothing; this server keeps what is pulled, in ./data unless cache.dir names another directory. Set cache.max_size to bound it, or cache: off to store nothing as before`,
  );
}
