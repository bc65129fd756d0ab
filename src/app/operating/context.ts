import { AccountError } from '../../access/index.ts';
import type { OperationContext, SuggestInput } from '../../admin/index.ts';
import { ownVia } from '../../lib/index.ts';
import { OciError } from '../../oci/index.ts';
import type { RunningServer } from '../running-server.ts';
import { accountRulesOf } from '../settings/index.ts';
import { suggestAccess } from '../suggestion.ts';
import { carryOf } from './carry.ts';
import { clientsOf, configurationOf } from './configuration.ts';
import { openConsole } from './console.ts';
import { copyOf } from './copy.ts';
import { explainOf } from './explain.ts';
import { inventoryOf } from './inventory.ts';
import { overviewOf } from './overview.ts';
import { pullsOf } from './pulls.ts';
import { registriesOf } from './registries.ts';
import { schedulesOf } from './schedules.ts';
import { statusOf } from './status.ts';
import { warmOf } from './warm.ts';

const contexts = new WeakMap<RunningServer, OperationContext>();

/** One for each server: the control socket and the API share its state. */
export function operationContextOf(server: RunningServer): OperationContext {
  const known = contexts.get(server) ?? createContext(server);
  contexts.set(server, known);
  return known;
}

function createContext(server: RunningServer): OperationContext {
  const { live, parts, reloader, processContext } = server;
  const { cache, hosted, storage, upstreamSets } = parts;
  const { accounts } = processContext;
  const pulls = pullsOf(server);
  const inventory = inventoryOf(server);
  const warm = warmOf(server);
  const copy = copyOf(server);
  return {
    cache,
    hosted,
    metadata: storage.metadata,
    originFor(name: string) {
      const registry = live.current.upstreams.catalogue.byName(name);
      if (registry === undefined) throw new OciError('NAME_UNKNOWN', `no registry is called ${name}`);
      return upstreamSets.originOf(registry, ownVia(processContext.pseudonym));
    },
    get catalogue() {
      return live.current.upstreams.catalogue;
    },
    status: () => statusOf(server),
    reload: () => reloader.reload(),
    accounts:
      accounts ??
      (() =>
        Promise.reject(new AccountError('users and tokens are stored in the cache directory, and the cache is off'))),
    webhooks: {
      get status() {
        return parts.webhooks.status;
      },
      test: (wanted?: string) => parts.webhooks.test(wanted),
    },
    accountRules() {
      const { config, upstreams, guard } = live.current;
      const { catalogue } = upstreams;
      return accountRulesOf(config, { catalogue, others: guard?.configuredUsers ?? [] });
    },
    async suggest(input: SuggestInput) {
      const { config, upstreams } = live.current;
      const observations = await (await parts.observations.recorder)?.read();
      const { metadata } = storage;
      return suggestAccess(input, { config, catalogue: upstreams.catalogue, metadata, observations });
    },
    pulls,
    overview: (caller) => overviewOf(server, caller),
    inventory,
    registries: registriesOf(server),
    configuration: () => configurationOf(server),
    clients: (host) => clientsOf(server, host),
    explain: explainOf(server, { pulls, inventory }),
    warm,
    schedules: schedulesOf(server, { warm, copy }),
    carry: carryOf(server),
    copy,
    openConsole: () => openConsole(server),
  };
}
