import type { OperationContext, RegistriesAnswer, UpstreamStatus } from '../../admin/index.ts';
import type { CredentialSource, RegistrySpec, Secret, UpstreamSpec } from '../../oci/index.ts';
import { redactUrl } from '../../telemetry/index.ts';
import type { RunningServer } from '../running-server.ts';
import { configuredIn } from '../settings/index.ts';
import { UpstreamChecks } from './upstream-check.ts';
import { UpstreamCounters, type UpstreamFigures } from './upstream-figures.ts';

type Registry = RegistriesAnswer['registries'][number];
type Upstream = Registry['upstreams'][number];

/** The registries and mirror routes with their upstreams. Counting begins with the call. */
export function registriesOf(server: RunningServer): OperationContext['registries'] {
  const { parts, live } = server;
  const counters = new UpstreamCounters(parts.telemetry);
  parts.cleanups.push(() => counters.close());
  const checks = new UpstreamChecks(server);

  function describeRegistry(registry: RegistrySpec, about: Pick<Registry, 'configured' | 'isDefault'>): Registry {
    const { name, aliases, upstreams, hosting } = registry;
    const healths = new Map(parts.upstreamSets.healthOf(registry).map((each) => [each.upstream, each]));
    return {
      name,
      kind: 'registry',
      ...about,
      aliases,
      hosted: hostedOf(hosting?.hosted ?? []),
      upstreams: upstreams.map((spec) => {
        const health = healths.get(spec.name);
        const figures = counters.of(name, spec.name);
        return describeUpstream(spec, figures, health && { registry: name, ...health });
      }),
    };
  }

  return {
    list() {
      const { config, upstreams } = live.current;
      const { catalogue, mirrors } = upstreams;
      const configured = new Set(configuredIn(config, catalogue));
      const registries = catalogue.list().map((registry) =>
        describeRegistry(registry, {
          configured: configured.has(registry),
          isDefault: registry === catalogue.default,
        }),
      );
      const routes = mirrors.map(({ name, upstream }): Registry => {
        // Requests of a route name its host as the upstream, and its transfers have a registry of their own.
        const { host } = new URL(upstream.url);
        const { bytes } = counters.of(`mirror:${name}`, host);
        const figures = { ...counters.of(name, host), bytes };
        const own = { configured: true, isDefault: false, aliases: [], hosted: 'none' } as const;
        return { name, kind: 'mirror', ...own, upstreams: [describeUpstream(upstream, figures, undefined)] };
      });
      return Promise.resolve({ registries: [...registries, ...routes] });
    },
    check: (name) => checks.check(name),
  };
}

function describeUpstream(
  spec: UpstreamSpec,
  { latencyMs, requests, failures, bytes }: UpstreamFigures,
  health: UpstreamStatus | undefined,
): Upstream {
  const { name, url, transport } = spec;
  const credential = credentialOf(spec);
  return {
    name,
    url: redactUrl(url),
    ...(health !== undefined && { health }),
    ...(latencyMs !== undefined && { latencyMs: Math.round(latencyMs * 10) / 10 }),
    requests,
    failures,
    bytes,
    ...(credential !== undefined && { credential }),
    maxConnections: transport.upstream.maxConnsPerHost,
  };
}

/** Patterns of hosted repositories: `**` is every repository. */
function hostedOf(patterns: readonly string[]): Registry['hosted'] {
  if (patterns.length === 0) return 'none';
  return patterns.includes('**') ? 'all' : 'some';
}

/** Who an upstream is asked as; several user names are joined by commas. Never a password, a token or the value of a header. */
export function credentialOf({ credentials, headers }: Pick<UpstreamSpec, 'credentials' | 'headers'>) {
  // The operator's own header replaces every credential.
  if (Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')) return 'the authorization header';
  const sources: readonly CredentialSource[] = credentials === undefined ? [] : [credentials].flat();
  if (sources.length === 0) return undefined;
  return sources
    .map((each) => ('helper' in each ? `docker-credential-${each.helper}` : userOf(each.username)))
    .join(', ');
}

/** A user name as written. What follows a colon may be a misplaced password. */
function userOf(username: Secret): string {
  if (typeof username === 'string') return username.replace(/:.*/s, ':***');
  return 'env' in username ? `$${username.env}` : username.file;
}
