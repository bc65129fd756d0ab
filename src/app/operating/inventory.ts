import { actorShownTo, type Caller, type OperationContext } from '../../admin/index.ts';
import { compilePolicy } from '../../cache/index.ts';
import type { Config } from '../../config/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { Inventory, type InventoryOptions, type LastPulls } from '../../inventory/index.ts';
import { loadPullReading } from '../../pulls/index.ts';
import { type Catalogue, parseImagePattern, withoutOwnHost } from '../../routing/index.ts';
import type { RunningServer } from '../running-server.ts';
import { cacheOptionsOf } from '../settings/index.ts';

/** What an inventory reads besides the configuration. */
type InventoryParts = Pick<InventoryOptions, 'metadata' | 'store' | 'hosted' | 'pins' | 'lastPulls'>;

/** The configuration in effect. */
interface InEffect {
  readonly config: Config;
  readonly catalogue: Catalogue;
}

export function inventoryOf({ live, parts }: RunningServer): OperationContext['inventory'] {
  const { storage, cache, hosted, recording } = parts;
  const { recorder } = recording;
  const lastPulls: LastPulls = {
    ofEach: async (repositories) => (await loadPullReading()).lastPullOfEach(recorder, repositories),
    ofTags: async (repository) => (await loadPullReading()).lastPullsOf(recorder, repository),
  };
  return composeInventory(() => ({ config: live.current.config, catalogue: live.current.upstreams.catalogue }), {
    ...storage,
    pins: cache.pins,
    hosted: () => hosted.current,
    lastPulls,
  });
}

/** An inventory of a server or of a directory without one. @param current what a reload replaces; compiled once for each */
export function composeInventory(current: () => InEffect, parts: InventoryParts): OperationContext['inventory'] {
  let compiled: (ReturnType<typeof compile> & InEffect) | undefined;
  const rules = () => {
    const inEffect = current();
    const { config, catalogue } = inEffect;
    if (compiled?.config !== config || compiled.catalogue !== catalogue)
      compiled = { ...inEffect, ...compile(inEffect) };
    return compiled;
  };
  const inventory = new Inventory({
    ...parts,
    homeOf: (repository) => rules().hosting.homeOf(repository),
    mirrors: () => current().config.cache !== 'off',
    policy: () => rules().policy,
    parse: (text) => parseImagePattern(rules().catalogue, text),
    withoutHost: (text) => withoutOwnHost(rules().catalogue, text),
  });
  return {
    async repositories(input, caller) {
      const { repositories, ...rest } = await inventory.repositories(input, caller);
      return { ...rest, repositories: repositories.map((each) => lastPullShownTo(caller, each)) };
    },
    async tags(input, caller) {
      const { tags, ...rest } = await inventory.tags(input, caller);
      return { ...rest, tags: tags.map((each) => lastPullShownTo(caller, each)) };
    },
    async image(text, caller) {
      const { entry, ...rest } = await inventory.image(text, caller);
      return { ...rest, entry: lastPullShownTo(caller, entry) };
    },
    pin: (text, pinned) => inventory.pin(text, pinned),
  };
}

function lastPullShownTo<Entry extends { readonly pulledBy?: string }>(caller: Caller, entry: Entry): Entry {
  const { pulledBy, ...others } = entry;
  if (pulledBy === undefined || actorShownTo(caller, pulledBy) !== undefined) return entry;
  return others as Entry;
}

function compile({ config, catalogue }: InEffect) {
  return { hosting: new HostingRules(catalogue.list()), policy: compilePolicy(cacheOptionsOf(config, catalogue)) };
}
