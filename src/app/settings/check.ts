import type { CheckTarget } from '../../check/index.ts';
import type { Config } from '../../config/index.ts';
import type { RegistrySpec } from '../../oci/index.ts';
import { type Catalogue, KNOWN_REGISTRIES } from '../../routing/index.ts';
import { mirrorSpecOf } from './sites.ts';
import { transportOf } from './transport.ts';

/** A HEAD of this repository's manifest returns the remaining pulls of Docker Hub without counting as one. */
const DOCKER_HUB_QUOTA = 'ratelimitpreview/test';
const DOCKER_HUB = 'https://registry-1.docker.io';

/** The upstreams to check. */
interface CheckSelection {
  readonly targets: readonly CheckTarget[];
  /** Known registries that are not checked, because others are configured. */
  readonly leftOut: number;
  /** No registry is configured: the targets are the known registries. */
  readonly onlyKnown: boolean;
  /** Registries without an upstream, of those that were asked for: what they have is pushed to this server. */
  readonly hosted: readonly string[];
  /** Given names that match nothing. */
  readonly unknown: readonly string[];
  /** Every name that could have been given. */
  readonly known: readonly string[];
}

/**
 * Selects the upstreams to check: those named; else those of all configured registries and mirror routes; else those of
 * the known registries.
 *
 * @param names of registries (host, short name or the operator's own name), upstreams or mirror routes
 */
export function checkTargetsOf(
  config: Config,
  catalogue: Catalogue,
  { names = [], all = false }: { readonly names?: readonly string[]; readonly all?: boolean } = {},
): CheckSelection {
  const registries = catalogue.list();
  const routes = routesOf(config);
  const every = [...registries.flatMap(targetsOf), ...routes];
  const known = [
    ...new Set([...every.flatMap(({ name, spec }) => [name, spec.name]), ...registries.map(({ name }) => name)]),
  ];
  if (names.length > 0) {
    const found = names.map((name) => named(name, { every, catalogue }));
    const hosted = names.flatMap((name) => catalogue.byName(name) ?? catalogue.byAlias(name) ?? []).filter(isHosted);
    const isUnknown = (name: string, index: number): boolean =>
      found[index]?.length === 0 &&
      !hosted.some((each) => each === catalogue.byName(name) || each === catalogue.byAlias(name));
    return {
      targets: [
        ...new Map(
          found.flat().map((target) => [`${target.kind} ${target.name} ${target.spec.name}`, target]),
        ).values(),
      ],
      leftOut: 0,
      onlyKnown: false,
      hosted: hosted.map(({ name }) => name),
      unknown: names.filter(isUnknown),
      known,
    };
  }
  const configured = configuredIn(config, catalogue);
  const onlyKnown = configured.length + routes.length === 0;
  const hosted = configured.filter(isHosted).map(({ name }) => name);
  if (all || onlyKnown) return { targets: every, leftOut: 0, onlyKnown, hosted, unknown: [], known };
  return {
    targets: [...configured.flatMap(targetsOf), ...routes],
    leftOut: registries.length - configured.length,
    onlyKnown: false,
    hosted,
    unknown: [],
    known,
  };
}

/** Registries in the configuration or the registry map; all others are built in. */
export function configuredIn(config: Config, catalogue: Catalogue): readonly RegistrySpec[] {
  const written = new Set(
    Object.keys(config.registries).map((name) => catalogue.byName(name) ?? catalogue.byAlias(name)),
  );
  if (config.defaultRegistry !== undefined) written.add(catalogue.default);
  return catalogue.list().filter((registry) => written.has(registry) || !isAsKnown(registry));
}

/** Whether a registry has no upstream that could be checked. */
function isHosted({ upstreams }: RegistrySpec): boolean {
  return upstreams.length === 0;
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

function routesOf(config: Config): readonly CheckTarget[] {
  const transport = transportOf(config);
  return config.mirrors.map((mirror) => {
    const { name, upstream } = mirrorSpecOf(mirror, transport);
    return { kind: 'mirror', name, spec: upstream, path: '' };
  });
}
