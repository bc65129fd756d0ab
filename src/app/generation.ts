import { type Accounts, type Guard, openGate, type Tokens } from '../access/index.ts';
import type { AcmeCertificates } from '../acme/index.ts';
import type { UpstreamStatus } from '../admin/index.ts';
import { type ApiHost, createApiDoor, isOnThisMachine } from '../api/index.ts';
import { CANARY_REPOSITORY, type Canary, createCanaryDoor } from '../canary/index.ts';
import {
  type Config,
  type ConfigProblem,
  formatProblem,
  isReachable,
  type LoadedConfig,
  locateProblems,
} from '../config/index.ts';
import type { Authority, OpenTunnels } from '../forward/index.ts';
import { createRegistryDoor } from '../registry/index.ts';
import type { Catalogue } from '../routing/index.ts';
import {
  anonymousToken,
  createDispatch,
  createHealthDoor,
  createPageDoor,
  type Forward,
  type Page,
  type PageRow,
  type RequestHandler,
} from '../server/index.ts';
import { consoleDoor } from './console-door.ts';
import { pushedRowsOf } from './hosting.ts';
import type { ServerParts } from './parts.ts';
import { reservedDoor } from './reserved-door.ts';
import {
  forwardHelpOf,
  forwardOf,
  guardOf,
  loadTokenDoor,
  loadWeb,
  notesOf,
  ownHostsOf,
  ownNamesOf,
  siteDoorsOf,
} from './settings/index.ts';
import type { UpstreamSet, UpstreamSets } from './upstream-set.ts';

/** What follows from one configuration; a reload replaces it as a whole. */
export interface Generation {
  readonly config: Config;
  /** Where the configuration came from. */
  readonly source: string;
  /** The values as written, with their places. */
  readonly settings: LoadedConfig['settings'];
  /** Warnings about the configuration in effect, and the users there are now. */
  readonly notes: readonly ConfigProblem[];
  /** Undefined without `access:`. */
  readonly guard: Guard | undefined;
  readonly upstreams: UpstreamSet;
  /** Handles every request to this server. */
  readonly handle: RequestHandler;
  /** Handles the requests of the listeners of the administration alone; undefined where there are none. */
  readonly handleAdmin: RequestHandler | undefined;
  /** Handles requests to other servers, where the forward proxy is enabled. */
  readonly forward: Forward | undefined;
  /** The names of all configured and known registries and of the mirror routes. */
  readonly registries: ReadonlySet<string>;
}

/** What a generation needs of the process. */
export interface ProcessContext
  extends Pick<ServerParts, 'telemetry' | 'cache' | 'hosted' | 'admission' | 'log' | 'upstreamSets' | 'observations'> {
  /** Undefined where no certificate is ordered. */
  readonly acme: AcmeCertificates | undefined;
  readonly authority: Authority | undefined;
  readonly version: string;
  readonly ready: () => boolean;
  readonly metrics: () => Promise<Page>;
  readonly ownPorts: () => ReadonlySet<number>;
  readonly openTunnels: OpenTunnels;
  /** Stored users and tokens, opened at the first use. Undefined where the cache is off. */
  readonly accounts: (() => Promise<Accounts>) | undefined;
  /** The signed tokens of clients; made at the first use, and kept over reloads. */
  readonly tokens: () => Promise<Tokens>;
  /** The name of this process in `Via`. */
  readonly pseudonym: string;
  readonly canary: Canary;
  readonly api: ApiHost;
}

/** @throws {SettingsError} */
export async function createGeneration(
  {
    config,
    source,
    settings,
    layerNotes,
    upstreams,
  }: Pick<LoadedConfig, 'config' | 'source' | 'settings' | 'layerNotes'> & Pick<Generation, 'upstreams'>,
  processContext: ProcessContext,
): Promise<Generation> {
  const { telemetry, cache, authority, version, ready, admission, metrics, ownPorts, openTunnels } = processContext;
  const { upstreamSets, pseudonym, canary, acme, hosted } = processContext;
  const { clients, context } = upstreamSets;
  const { catalogue, transport } = upstreams;
  const names = ownNamesOf(config);
  const guard = await guardOf(config, {
    catalogue,
    accounts: processContext.accounts,
    tokens: processContext.tokens,
    onWarning: (message) => telemetry.publish('warning', { message, error: undefined }),
  });
  if (guard !== undefined) await processContext.observations.begin();
  const pushed = await pushedRowsOf(catalogue, { hosted, cache, upstreamSets, telemetry });
  const health = createHealthDoor({ ready, overloaded: () => admission.overloaded });
  const admin = config.admin.enabled
    ? [
        createApiDoor({
          guard,
          isReachable: isReachable(config),
          hosts: ownHostsOf(config),
          api: processContext.api,
          telemetry,
        }),
        consoleDoor,
      ]
    : [];
  const isAdminApart = config.admin.listen.length > 0;
  const pagesOf = (options: Pick<HelpPageOptions, 'withConsole'>): readonly PageRow[] => [
    { route: 'metrics', paths: ['/metrics'], action: 'status', page: metrics },
    helpPage(config, { catalogue, version, ...options }),
  ];
  const doors = [
    // First: a mirror route may not take a challenge away.
    ...(acme === undefined ? [] : [acme.door]),
    // Before all others: a path under a prefix is that of its route.
    ...(await siteDoorsOf(upstreams.mirrors, { context, publicUrls: config.publicUrl, urls: cache.urls })),
    health,
    createPageDoor([
      ...pagesOf({ withConsole: config.admin.enabled && !isAdminApart }),
      ...(authority === undefined ? [] : [authorityPage(authority)]),
      ...(guard === undefined ? [{ route: 'token', paths: ['/token', '/auth/token'], page: anonymousToken }] : []),
    ]),
    ...(guard === undefined
      ? []
      : [(await loadTokenDoor()).createTokenDoor({ guard, catalogue, names, openRepository: CANARY_REPOSITORY })]),
    ...(isAdminApart ? [] : admin),
    reservedDoor,
    createCanaryDoor({ canary, catalogue, version }),
    createRegistryDoor({
      catalogue,
      cache,
      telemetry,
      pushed,
      originFor: (registry, via) => upstreamSets.originOf(registry, via),
      anonymousFor: (registry, via) => upstreamSets.anonymousOf(registry, via),
    }),
  ];
  const common = {
    telemetry,
    admission,
    pseudonym,
    open: openGate({ isReachable: isReachable(config) }),
    guarded: guard === undefined ? undefined : { guard, names },
  };
  const handle = createDispatch({ ...common, doors });
  const handleAdmin =
    isAdminApart && config.admin.enabled
      ? createDispatch({ ...common, doors: [health, createPageDoor(pagesOf({ withConsole: true })), ...admin] })
      : undefined;
  const forwardParts = { guard, dispatch: handle, admission, ownPorts, openTunnels, pseudonym };
  const forward = await forwardOf(config, { catalogue, clients, transport, telemetry, authority, ...forwardParts });
  const notesNow = () => {
    const { note } = hosted;
    const located = note === undefined ? [] : locateProblems({ settings }, [note]).problems;
    return [...notesOf({ config, settings, layerNotes }, catalogue, guard?.known), ...located];
  };
  for (const note of notesNow()) processContext.log.warn(formatProblem(note));
  const registries = new Set([...catalogue.list(), ...config.mirrors].map(({ name }) => name));
  return {
    config,
    source,
    settings,
    get notes() {
      return notesNow();
    },
    guard,
    upstreams,
    handle,
    handleAdmin,
    forward,
    registries,
  };
}

interface HelpPageOptions {
  readonly catalogue: Catalogue;
  readonly version: string;
  /** Whether the listener serves the console: `/` then leads browsers to it, where they may read it. */
  readonly withConsole: boolean;
}

function helpPage(config: Config, { catalogue, version, withConsole }: HelpPageOptions): PageRow {
  const { access, publicUrl: publicUrls } = config;
  const hasRules = access !== undefined;
  const help = { catalogue, publicUrls, hasRules, version, forward: forwardHelpOf(config) };
  return {
    route: 'help',
    paths: ['/', '/help'],
    async page(context) {
      const { host = 'localhost', scheme, query, request, path } = context;
      const { accept, 'accept-language': acceptLanguage } = request.headers;
      const { describeHelp, wantsPage } = await loadWeb();
      if (withConsole && path === '/' && wantsPage(accept) && (hasRules || isOnThisMachine(context))) {
        return { status: 302, contentType: 'text/plain; charset=utf-8', headers: { location: '/ui/' }, body: '' };
      }
      return describeHelp(help, { host, accept, acceptLanguage, query, secure: scheme === 'https' });
    },
  };
}

/** The certificate that clients must trust where tunnels are decrypted. */
function authorityPage({ cert }: Authority): PageRow {
  return {
    route: 'ca',
    paths: ['/ca.crt'],
    page: () => ({ contentType: 'application/x-x509-ca-cert', body: cert }),
  };
}

/** The health of those upstreams of configured or known registries that were asked so far. */
export function describeUpstreams(
  { upstreams: { catalogue } }: Pick<Generation, 'upstreams'>,
  upstreamSets: UpstreamSets,
): readonly UpstreamStatus[] {
  return catalogue
    .list()
    .flatMap((registry) => upstreamSets.healthOf(registry).map((each) => ({ registry: registry.name, ...each })));
}
