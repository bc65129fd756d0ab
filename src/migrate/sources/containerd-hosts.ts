import { basename, dirname, isAbsolute, join } from 'node:path';
import { isMap } from '../../config/index.ts';
import type { TreeDocument } from '../document.ts';
import type { Draft, Found, Steps } from '../draft.ts';
import { Fields } from '../fields.ts';
import { readUrl, registryAt } from '../known.ts';
import { putDuration, putHeaders, putUpstream } from '../options.ts';
import { type ClientMirror, EVERY_REGISTRY, isPlain, putMirrors, putOwn } from './client-mirrors.ts';
import type { Source } from './source.ts';

/** containerd and Docker's image store: `certs.d/REGISTRY/hosts.toml`. */
export const containerdHosts: Source = {
  program: 'containerd',
  files: 'hosts.toml of containerd, in a directory named as the registry',
  matches(document) {
    if (document.kind !== 'tree' || document.syntax !== 'TOML') return false;
    const host = document.tree.entries.get('host');
    const server = document.tree.entries.get('server');
    return (
      (isMap(host) && [...host.entries.keys()].every((key) => readUrl(key) !== undefined)) ||
      (server?.kind === 'scalar' && typeof server.value === 'string')
    );
  },
  convert(documents, draft) {
    const files = documents.flatMap((document) => (document.kind === 'tree' ? [readFile(document, draft)] : []));
    const named = files.filter((file) => file.registry !== undefined);
    const forAll = files
      .filter((file) => file.registry === undefined)
      .flatMap(({ hosts }) => hosts.map(({ url }) => url.value));
    const mirrors = named.flatMap(({ registry, hosts }) =>
      hosts.map(({ url }): ClientMirror => ({ registry: registry ?? '', url })),
    );
    const placed = putMirrors(draft, mirrors, { sendsNs: true, forAll });
    const stepsOf = new Map([...placed].map(([{ url }, steps]) => [url, steps] as const));
    for (const file of files) convertFile(file, stepsOf, draft);
  },
};

interface HostsFile {
  readonly document: TreeDocument;
  readonly root: Fields;
  readonly server: Found<string> | undefined;
  /** Undefined where the file is for every registry, or does not say for which. */
  readonly registry: string | undefined;
  readonly hosts: readonly { readonly url: Found<string>; readonly fields: Fields }[];
}

function readFile(document: TreeDocument, draft: Draft): HostsFile {
  const root = new Fields(document.tree, draft);
  const server = root.text('server');
  const map = root.map('host');
  const hosts = (map?.keys ?? []).flatMap((key) => {
    const fields = map?.map(key);
    return map === undefined || fields === undefined
      ? []
      : [{ url: { value: key, origin: map.originOf(key) }, fields }];
  });
  return { document, root, server, registry: registryOf(document, server), hosts };
}

function convertFile(
  { document, root, server, registry, hosts }: HostsFile,
  stepsOf: ReadonlyMap<Found<string>, Steps>,
  draft: Draft,
): void {
  if (registry === undefined) {
    draft.lose(
      root.origin,
      document.file.path === undefined
        ? 'the name of its directory says which registry it is for, and standard input has none: give the path of the file'
        : EVERY_REGISTRY,
    );
    return;
  }
  for (const { fields, url } of hosts) {
    const steps = stepsOf.get(url);
    // Of a host that is not carried over, neither are its settings.
    if (steps === undefined) for (const key of fields.keys) fields.take(key);
    else convertHost(fields, { steps, document, draft });
  }
  const { name } = registryAt(registry);
  const own =
    server === undefined
      ? putOwn(draft, registry, root.origin, 'containerd asks the registry itself after its hosts')
      : putUpstream(draft, name, { url: { ...server, value: apiOf(server.value) }, last: true });
  if (own !== undefined) convertHost(root, { steps: own, document, draft });
  root.loseRest();
}

/** `https://docker.io` is no address of the API. */
function apiOf(server: string): string {
  const read = readUrl(server);
  const place = read === undefined ? undefined : registryAt(read.host);
  return place?.isKnown === true && read?.path === '' ? place.url : server;
}

/** The registry that a file is for, which is the name of its directory; without one, a known registry that it names as server. */
function registryOf({ file }: TreeDocument, server: Found<string> | undefined): string | undefined {
  const directory = file.path === undefined ? '' : basename(dirname(file.path));
  if (directory === '_default') return undefined;
  const name = directory.replace(/_(\d+)_$/, ':$1').toLowerCase();
  if (/[.:]/.test(name) || name === 'localhost') return registryAt(name).name;
  const host = server === undefined ? undefined : readUrl(server.value)?.host;
  return host === undefined ? undefined : registryAt(host).name;
}

interface Place {
  readonly steps: Steps;
  readonly document: TreeDocument;
  readonly draft: Draft;
}

function convertHost(fields: Fields, { steps, document, draft }: Place): void {
  convertCapabilities(fields, steps, draft);
  const [ca, ...others] = fields.texts('ca', { one: true });
  const client = readClient(fields, draft);
  const skip = fields.flag('skip_verify');
  const files = [ca, client.cert, client.key].filter((file) => file !== undefined);
  if (isPlain(steps)) {
    const unused = [...files, ...(skip?.value === true ? [skip] : [])];
    for (const { origin } of unused) draft.lose(origin, 'has no meaning for an http:// address');
  } else {
    const absolute = (file: Found<string> | undefined) => (file === undefined ? undefined : resolved(file, document));
    draft.put([...steps, 'tls', 'ca_file'], absolute(ca));
    draft.put([...steps, 'tls', 'cert_file'], absolute(client.cert));
    draft.put([...steps, 'tls', 'key_file'], absolute(client.key));
    if (skip?.value === true) draft.put([...steps, 'tls', 'insecure_skip_verify'], skip);
  }
  for (const { origin } of others) draft.lose(origin, 'ca_file takes one file; join the authorities in one');
  putHeaders(draft, steps, fields.map('header'));
  putDuration(draft, [...steps, 'transport', 'dial_timeout'], fields.duration('dial_timeout'));
  draft.put([...steps, 'transport', 'outbound_proxy'], fields.text('proxy'));
  // The path of the address says it: see putUpstream.
  fields.flag('override_path');
}

function convertCapabilities(fields: Fields, steps: Steps, draft: Draft): void {
  const written = fields.texts('capabilities');
  const kept = written.filter(({ value }) => value === 'pull' || value === 'resolve');
  const push = written.find(({ value }) => value === 'push');
  if (push !== undefined) draft.lose(push.origin, 'nothing is pushed to an upstream');
  if (kept.length === 2) return;
  for (const { value, origin } of kept) draft.assume([...steps, 'capabilities', { item: value }], value, { origin });
}

/** A path, a list of paths, or a list of pairs of certificate and key. */
function readClient(
  fields: Fields,
  draft: Draft,
): { readonly cert?: Found<string> | undefined; readonly key?: Found<string> | undefined } {
  const tree = fields.take('client');
  if (tree === undefined) return {};
  const origin = fields.originOf('client');
  const items = tree.kind === 'list' ? tree.items : [tree];
  const [first, ...others] = items.map((item) => (item.kind === 'list' ? item.items : [item]));
  if (others.length > 0) draft.lose(origin, 'one client certificate is used, the first');
  const [cert, key] = (first ?? []).map((each) => (each.kind === 'scalar' ? each.value : undefined));
  if (typeof cert !== 'string' || (key !== undefined && typeof key !== 'string')) {
    draft.problem(origin, 'found another value, expected a path, or pairs of certificate and key');
    return {};
  }
  // A file alone has both.
  return { cert: { value: cert, origin }, key: { value: key === undefined || key === '' ? cert : key, origin } };
}

/** Paths are relative to the file. */
function resolved({ value, origin }: Found<string>, { file }: TreeDocument): Found<string> {
  const isRelative = !isAbsolute(value) && file.path !== undefined;
  return { value: isRelative ? join(dirname(file.path), value) : value, origin };
}
