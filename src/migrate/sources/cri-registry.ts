import { isList, isMap } from '../../config/index.ts';
import type { Draft, Found } from '../draft.ts';
import { Fields } from '../fields.ts';
import { readUrl, registryAt } from '../known.ts';
import {
  type ClientMirror,
  EVERY_REGISTRY,
  putConfig,
  putMirrors,
  putOwn,
  readAuth,
  readTls,
} from './client-mirrors.ts';
import { treeSource } from './source.ts';

/* `mirrors` and `configs` by registry: k3s and RKE2 in a file of their own, containerd in its config.toml. */

/** k3s and RKE2: `registries.yaml`. */
export const k3s = treeSource(
  { program: 'k3s', files: 'registries.yaml of k3s and RKE2' },
  ({ syntax, tree }) => {
    if (syntax === 'TOML') return false;
    const [mirrors, configs] = ['mirrors', 'configs'].map((key) => tree.entries.get(key));
    const others = [...tree.entries.keys()].filter((key) => key !== 'mirrors' && key !== 'configs' && key !== 'auths');
    return others.length === 0 && !isList(mirrors) && (isMap(mirrors) || isMap(configs));
  },
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    convertRegistry(root, draft);
    root.loseRest();
  },
);

/** The plugins of containerd 1 and 2 that have a `registry`. */
const PLUGINS = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'cri'];

/** containerd: `config.toml` with mirrors, as before `config_path`. */
export const containerdConfig = treeSource(
  { program: 'containerd', files: 'config.toml of containerd with registry.mirrors' },
  ({ syntax, tree }) => syntax === 'TOML' && isMap(tree.entries.get('plugins')),
  ({ tree }, draft) => {
    const root = new Fields(tree, draft);
    const plugins = root.map('plugins');
    let found = false;
    for (const name of PLUGINS) {
      const plugin = plugins?.map(name);
      const registry = plugin?.map('registry');
      if (registry === undefined) continue;
      found = true;
      const path = registry.text('config_path');
      if (path !== undefined)
        draft.note(`import the files below it too: entrepot import ${shown(path.value)}/*/hosts.toml`, path.origin);
      convertRegistry(registry, draft);
      registry.loseRest();
    }
    if (!found) draft.lose(root.origin, 'it has no registry: nothing in it is about mirrors');
    draft.note('everything in it but registry is for containerd itself, and stays there');
  },
);

function shown(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : JSON.stringify(path);
}

const FALLBACK = 'containerd asks the registry itself after its mirrors';

interface HostConfig {
  readonly fields: Fields;
  readonly auth: ReturnType<typeof readAuth>;
  readonly tls: ReturnType<typeof readTls>;
  used: boolean;
}

function convertRegistry(registry: Fields, draft: Draft): void {
  const configs = readConfigs(registry.map('configs'), draft);
  const configFor = (host: string): HostConfig | undefined => configs.get(host) ?? configs.get('*');
  const forAll: string[] = [];
  const mirrors = readMirrors(registry.map('mirrors'), { draft, forAll });
  const placed = putMirrors(draft, mirrors, { sendsNs: true, forAll });
  for (const [{ url }, steps] of placed) {
    const config = configFor(readUrl(url.value)?.host ?? '');
    if (config === undefined) continue;
    putConfig(draft, steps, config);
    config.used = true;
  }
  for (const [name, [first]] of Map.groupBy(placed.keys(), (mirror) => mirror.registry)) {
    const steps = first === undefined ? undefined : putOwn(draft, name, first.url.origin, FALLBACK);
    const host = readUrl(registryAt(name).url)?.host ?? name;
    const config = configs.get(name) ?? configFor(host);
    if (steps === undefined || config === undefined) continue;
    putConfig(draft, steps, config);
    config.used = true;
  }
  // Credentials of a registry that has no mirror: they are for the registry itself.
  for (const [host, config] of configs) {
    if (config.used || host === '*') continue;
    const steps = putOwn(draft, host, config.fields.origin, 'the registry that the settings are for');
    if (steps !== undefined) putConfig(draft, steps, config);
  }
  const rest = configs.get('*');
  if (rest !== undefined && !rest.used) draft.lose(rest.fields.origin, EVERY_REGISTRY);
}

function readConfigs(configs: Fields | undefined, draft: Draft): Map<string, HostConfig> {
  const found = new Map<string, HostConfig>();
  for (const host of configs?.keys ?? []) {
    const fields = configs?.map(host);
    if (fields === undefined) continue;
    found.set(host, {
      fields,
      auth: readAuth(fields.map('auth'), draft),
      tls: readTls(fields.map('tls')),
      used: false,
    });
  }
  return found;
}

/** @param about.forAll takes the endpoints of `*` */
function readMirrors(
  mirrors: Fields | undefined,
  { draft, forAll }: { readonly draft: Draft; readonly forAll: string[] },
): readonly ClientMirror[] {
  return (mirrors?.keys ?? []).flatMap((registry): readonly ClientMirror[] => {
    const mirror = mirrors?.map(registry);
    const endpoints = mirror?.texts('endpoint') ?? [];
    const rewrites = mirror?.map('rewrite');
    if (registry === '*') {
      for (const { value, origin } of endpoints) {
        draft.lose(origin, EVERY_REGISTRY);
        forAll.push(value);
      }
      for (const pattern of rewrites?.keys ?? []) rewrites?.lose([pattern], EVERY_REGISTRY);
      return [];
    }
    const prefix = rewrites === undefined ? undefined : readRewrites(rewrites, draft);
    // An endpoint that is the registry itself is asked last in any case.
    const isOwn = ({ value }: Found<string>) => readUrl(value)?.url === registryAt(registry).url;
    return endpoints.filter((url) => !isOwn(url)).map((url) => ({ registry, url, prefix }));
  });
}

/** A rewrite that puts a prefix before every name; others are reported. */
function readRewrites(rewrites: Fields, draft: Draft): string | undefined {
  let prefix: string | undefined;
  for (const pattern of rewrites.keys) {
    const found = rewrites.text(pattern);
    const isWhole = /^\^?\(\.[*+]\)\$?$/.test(pattern);
    const front = /^([a-z0-9._/-]+)\/\$(?:1|\{1\})$/.exec(found?.value ?? '')?.[1];
    if (isWhole && front !== undefined && rewrites.keys.length === 1) prefix = front;
    else if (found !== undefined) {
      draft.lose(
        found.origin,
        'only a rewrite of every name, "(.*)": "prefix/$1", can be carried over, as repository_prefix. Names of this pattern are asked for as they are',
      );
    }
  }
  return prefix;
}
