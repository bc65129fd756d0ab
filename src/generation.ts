import type { PullThrough } from './cache/index.ts';
import type { Config } from './config/index.ts';
import { forwardHelpOf, forwardOf } from './forward-settings.ts';
import { loadMirrorSettings } from './late-parts.ts';
import type { Authority } from './net/index.ts';
import type { Reach } from './reach.ts';
import {
  type Admission,
  createDispatch,
  describeHelp,
  type Forward,
  type Mirrors,
  type OpenTunnels,
  type Page,
  type RequestHandler,
} from './server/index.ts';
import type { Telemetry } from './telemetry/index.ts';
import type { SiteOptions } from './upstream/index.ts';

/** What follows from one configuration: replaced as a whole when another is taken up. */
export interface Generation {
  readonly config: Config;
  /** Where the configuration came from. */
  readonly source: string;
  readonly reach: Reach;
  /** Answers every request to this server. */
  readonly handle: RequestHandler;
  /** Answers what is for others, where there is a forward proxy. */
  readonly forward: Forward | undefined;
  /** The names of the registries that are configured or known, and of the mirror routes. */
  readonly registries: ReadonlySet<string>;
}

/** What stands for the life of the process, whatever the configuration. */
export interface Standing {
  readonly telemetry: Telemetry;
  readonly cache: PullThrough;
  readonly authority: Authority | undefined;
  readonly version: string;
  readonly ready: () => boolean;
  readonly admission: Admission;
  readonly metrics: () => Promise<Page>;
  readonly ownPorts: () => ReadonlySet<number>;
  readonly openTunnels: OpenTunnels;
}

/** @throws {SettingsError} */
export async function createGeneration(
  { config, source, reach }: Pick<Generation, 'config' | 'source' | 'reach'>,
  standing: Standing,
): Promise<Generation> {
  const { telemetry, cache, authority, version, ready, admission, metrics, ownPorts, openTunnels } = standing;
  const { catalogue, transport } = reach;
  const mirrors = await mirrorRoutesOf(config, {
    httpClientFor: (tls, key, own) => transport.clients.get(key, { tls, own }),
    telemetry,
    allowPrivate: config.transport.allow_private,
  });
  const help = { catalogue, publicUrl: config.public_url, version, forward: forwardHelpOf(config) };
  const handle = createDispatch({
    catalogue,
    cache,
    mirrors,
    telemetry,
    ready,
    admission,
    metrics,
    help: (request) => describeHelp(help, request),
    authority: authority?.cert,
  });
  const { shared } = transport;
  const parts = { catalogue, telemetry, shared, authority, dispatch: handle, admission, ownPorts, openTunnels };
  const forward = await forwardOf(config, parts);
  const registries = new Set([...catalogue.list(), ...config.mirrors].map(({ name }) => name));
  return { config, source, reach, handle, forward, registries };
}

/** The mirror routes. Most have none, and nothing to load for them. */
async function mirrorRoutesOf(
  config: Config,
  options: Omit<SiteOptions, 'spec'>,
): Promise<Omit<Mirrors, 'urls'> | undefined> {
  if (config.mirrors.length === 0) return undefined;
  const { mirrorsOf } = await loadMirrorSettings();
  return mirrorsOf(config, options);
}
