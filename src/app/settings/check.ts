import type { CheckOptions, CheckTarget } from '../../check/index.ts';
import type { Config } from '../../config/index.ts';
import type { RegistrySpec } from '../../oci/index.ts';
import { type Catalogue, KNOWN_REGISTRIES } from '../../routing/index.ts';
import { loadUpstream } from './lazy.ts';
import { mirrorSpecOf } from './sites.ts';
import { clientOptionsOf, resolverOf } from './transport.ts';

// What is configured, as what is to be checked.

/** Docker says what is left of its pulls on a HEAD of this one's manifest, and counts none for it. */
const DOCKER_HUB_QUOTA = 'ratelimitpreview/test';
const DOCKER_HUB = 'https://registry-1.docker.io';

/** What is to be checked, and what is left out. */
export interface CheckSelection {
  readonly targets: readonly CheckTarget[];
  /** Registries known without any configuration that were left out, since others are configured. */
  readonly leftOut: number;
  /** Nothing is configured: these are the registries that are known. */
  readonly onlyKnown: boolean;
  /** Names that were asked for and mean nothing here. */
  readonly unknown: readonly string[];
}

/**
 * The upstreams to check: those that were named; else those of everything the configuration speaks of; else, where it
 * speaks of none, those of the registries that are known.
 *
 * @param names of registries (host, short name or the operator's word), upstreams or mirror routes
 */
export async function checkTargetsOf(
  config: Config,
  catalogue: Catalogue,
  { names = [], all = false }: { readonly names?: readonly string[]; readonly all?: boolean } = {},
): Promise<CheckSelection> {
  const registries = catalogue.list();
  const routes = await routesOf(config);
  const every = [...registries.flatMap(targetsOf), ...routes];
  if (names.length > 0) {
    const found = names.map((name) => named(name, { every, catalogue }));
    return {
      targets: [
        ...new Map(
          found.flat().map((target) => [`${target.kind} ${target.name} ${target.spec.name}`, target]),
        ).values(),
      ],
      leftOut: 0,
      onlyKnown: false,
      unknown: names.filter((_, index) => found[index]?.length === 0),
    };
  }
  const configured = configuredIn(config, catalogue);
  const onlyKnown = configured.length + routes.length === 0;
  if (all || onlyKnown) return { targets: every, leftOut: 0, onlyKnown, unknown: [] };
  return {
    targets: [...configured.flatMap(targetsOf), ...routes],
    leftOut: registries.length - configured.length,
    onlyKnown: false,
    unknown: [],
  };
}

/** Registries that are in the configuration or the registry map, or differ from what is known. */
function configuredIn(config: Config, catalogue: Catalogue): readonly RegistrySpec[] {
  const written = new Set(
    Object.keys(config.registries).map((name) => catalogue.byName(name) ?? catalogue.byAlias(name)),
  );
  if (config.default_registry !== undefined) written.add(catalogue.default);
  return catalogue.list().filter((registry) => written.has(registry) || !isAsKnown(registry));
}

function isAsKnown({ name, upstreams }: RegistrySpec): boolean {
  const known = KNOWN_REGISTRIES.find((each) => each.name === name);
  return known !== undefined && upstreams.length === 1 && upstreams[0]?.url === known.url;
}

function named(
  name: string,
  { every, catalogue }: { readonly every: readonly CheckTarget[]; readonly catalogue: Catalogue },
): readonly CheckTarget[] {
  const own = every.filter((target) => target.name === name || target.spec.name === name);
  if (own.length > 0) return own;
  const registry = catalogue.byName(name) ?? catalogue.byAlias(name);
  return registry === undefined ? [] : targetsOf(registry);
}

function targetsOf({ name, upstreams }: RegistrySpec): readonly CheckTarget[] {
  return upstreams.map((spec) => ({
    kind: 'registry',
    name,
    spec,
    path: '/v2/',
    ...(spec.url === DOCKER_HUB ? { quotaRepository: DOCKER_HUB_QUOTA } : {}),
  }));
}

async function routesOf({ mirrors }: Config): Promise<readonly CheckTarget[]> {
  if (mirrors.length === 0) return [];
  const { asUpstream } = await loadUpstream();
  return mirrors.map((mirror) => ({
    kind: 'mirror',
    name: mirror.name,
    spec: asUpstream(mirrorSpecOf(mirror)),
    path: '',
  }));
}

/** The way a pull takes; opening it throws SettingsError for a bad PEM file. */
export function checkTransportOf(config: Config): Pick<CheckOptions, 'openTransport' | 'allowPrivate'> {
  return {
    allowPrivate: config.transport.allow_private,
    async openTransport(telemetry) {
      // One for each upstream: none finds the answer that another was given, and each waits for its own.
      const resolver = await resolverOf(config, telemetry);
      const shared = { telemetry, ...(resolver === undefined ? {} : { resolver }) };
      return {
        optionsFor: (tls, own) => clientOptionsOf(config, { tls, own, shared }),
        close: () => resolver?.close(),
      };
    },
  };
}
