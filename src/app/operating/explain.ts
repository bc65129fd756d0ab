import type {
  AccessExplainAnswer,
  AccessExplainInput,
  Caller,
  ImageAnswer,
  ImageExplanation,
  OperationContext,
  Route,
  RulesAnswer,
} from '../../admin/index.ts';
import { formatKey, formatProblem, formatSource, isReachable, locateProblems } from '../../config/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import {
  type Digest,
  formatReference,
  OciError,
  parseDigest,
  type Reference,
  type RegistrySpec,
  type Repository,
} from '../../oci/index.ts';
import { parseImagePattern, resolveName, withoutOwnHost } from '../../routing/index.ts';
import { redactUrl } from '../../telemetry/index.ts';
import type { RunningServer } from '../running-server.ts';
import { explainAccess, faultOfQuestion, NoRulesError, SettingsError, wordExplanation } from '../settings/index.ts';
import { planNextPull, sayNextPull } from './next-pull.ts';
import { routeOf } from './routes.ts';

/** Pulls of an image that are listed. */
const MAX_PULLS = 10;

/** As this server makes them: four characters of the process, then a count. */
const REQUEST_ID = /^[0-9a-z]{4}-[0-9a-z]{1,12}$/;

/** What an explanation reads besides the server itself. */
type Records = Pick<OperationContext, 'pulls' | 'inventory'>;

/** Why a pull went as it did, how an image would be pulled, and which rule decides. */
export function explainOf(server: RunningServer, records: Records): OperationContext['explain'] {
  return {
    async any({ of, who }, caller) {
      const text = of.trim();
      // Taken from a log line or a header, it may stand in quotes.
      const id = /^"?([^"]*)"?$/.exec(text)?.[1] ?? text;
      const mayBeId = REQUEST_ID.test(id);
      const pull = mayBeId ? await records.pulls.find(id, caller) : undefined;
      if (pull !== undefined) return { pull };
      const image = await new ImageLook(server, records, caller).explain(mayBeId ? id : text, who);
      // `k3f9-1a` could be an image of Docker Hub, and hardly is.
      if (mayBeId && image.cache.state === 'missing' && image.pulls.length === 0) throw unknownId(id);
      return { image };
    },
    access: (input) => explainRules(server, input),
    rules: () => Promise.resolve(rulesOf(server)),
  };
}

function unknownId(id: string): OciError {
  const why = 'the last ten thousand pulls are kept, and of each the first requests';
  return new OciError(
    'NAME_UNKNOWN',
    `no pull is known that has the request id ${id} (${why}), and no image of this name`,
  );
}

/** An image as its name is understood here. */
interface Named {
  readonly spec: RegistrySpec;
  readonly repository: Repository;
  readonly reference: Reference;
  readonly namedBy: string;
}

/** Looks an image up for one caller. Of a repository that the caller may not pull from, it says what it would say of none. */
class ImageLook {
  readonly #server: RunningServer;
  readonly #records: Records;
  readonly #caller: Caller;

  constructor(server: RunningServer, records: Records, caller: Caller) {
    this.#server = server;
    this.#records = records;
    this.#caller = caller;
  }

  /** @throws {OciError} where the text names no image, or one of a registry that is not here */
  async explain(text: string, asked?: string): Promise<ImageExplanation> {
    // The operator is under no rule: what a client without a login gets says more.
    const who = asked ?? (this.#caller.seesAll ? 'anonymous' : this.#caller.name);
    const named = this.#named(text);
    const { spec, repository, reference, namedBy } = named;
    const isSeen = this.#caller.seesAll || (await this.#caller.sees(repository));
    const image = `${repository.registry}/${repository.repository}${reference.kind === 'tag' ? ':' : '@'}${formatReference(reference)}`;
    const home = new HostingRules([spec]).homeOf(repository) === 'here' ? 'hosted' : 'mirrored';
    const upstreams = isSeen && home === 'mirrored' ? await this.#upstreamsOf(named) : [];
    const [access, cache, pulls] = await Promise.all([
      this.#accessOf(who, repository),
      this.#cacheOf({ ...named, image, home, upstreams, isSeen }),
      isSeen ? this.#pullsOf(image, { ...repository, reference: formatReference(reference) }) : [],
    ]);
    const digest = parseDigest(cache.digest ?? '');
    const route = upstreams.length === 0 || digest === undefined ? undefined : await this.#routeOf(named, digest);
    return {
      image,
      ...repository,
      reference: formatReference(reference),
      home,
      namedBy,
      ...(access !== undefined && { access, accessOf: who }),
      cache,
      upstreams,
      ...(route !== undefined && { route }),
      pulls,
    };
  }

  #named(text: string): Named {
    const { catalogue } = this.#server.live.current.upstreams;
    const { repository: qualified, tag, digest } = parseImagePattern(catalogue, text);
    if (qualified === undefined) {
      throw new OciError('NAME_INVALID', `${text} is a digest alone; name the image too, as in nginx@${text}`);
    }
    if (/[*?]/.test(qualified + (tag ?? ''))) {
      throw new OciError(
        'NAME_INVALID',
        `${JSON.stringify(text)} is more than one image; name one, such as nginx:1.27`,
      );
    }
    // As the path of a pull, so that the same rules name the registry.
    const [name = ''] = withoutOwnHost(catalogue, text).split('@', 1);
    const written = tag === undefined ? name : name.slice(0, -tag.length - 1);
    const reference: Reference =
      digest === undefined ? { kind: 'tag', tag: tag ?? 'latest' } : { kind: 'digest', digest };
    const path = `/v2/${written}/manifests/${formatReference(reference)}`;
    const { registry, namedBy } = resolveName(catalogue, { host: undefined, path, ns: undefined });
    const repository = qualified.slice(qualified.indexOf('/') + 1);
    return { spec: registry, repository: { registry: registry.name, repository }, reference, namedBy };
  }

  /** What the rules say; undefined where there are none, or the caller may not know. */
  async #accessOf(who: string, { registry, repository }: Repository): Promise<AccessExplainAnswer | undefined> {
    if (this.#server.live.current.config.access === undefined) return undefined;
    // What rules say of others is for those who may see everything.
    const { seesAll, name } = this.#caller;
    if (!seesAll && who !== name && who !== 'anonymous') return undefined;
    const image = `${registry}/${repository}`;
    const { rule, place, ...answer } = await explainRules(this.#server, { who, action: 'pull', image });
    return seesAll ? { ...answer, ...(rule !== undefined && { rule }), ...(place !== undefined && { place }) } : answer;
  }

  /** The order for what is asked by digest. */
  #routeOf({ spec, repository: { repository } }: Named, digest: Digest): Promise<Route | undefined> {
    return routeOf(spec, { parts: this.#server.parts, repository, digest });
  }

  /** In the order in which they are asked for the reference; those that may not be asked come last. */
  async #upstreamsOf({ spec, repository: { repository }, reference }: Named): Promise<ImageExplanation['upstreams']> {
    const { upstreamSets } = this.#server.parts;
    const healths = new Map(upstreamSets.healthOf(spec).map((each) => [each.upstream, each]));
    const question = { content: 'manifest', method: 'GET', repository, reference } as const;
    // Without a strategy it is known, and the room need not be loaded.
    const order = spec.strategy === undefined ? [] : await upstreamSets.routeOf(spec, question);
    const first = order.flatMap(({ upstream }) => spec.upstreams.filter(({ name }) => name === upstream));
    return [...first, ...spec.upstreams.filter((each) => !first.includes(each))].map(({ name, url }) => {
      const health = healths.get(name);
      return {
        name,
        url: redactUrl(url),
        ...(health !== undefined && { health: { registry: spec.name, ...health } }),
      };
    });
  }

  async #cacheOf({
    repository,
    reference,
    image,
    home,
    upstreams,
    isSeen,
  }: Named & {
    readonly image: string;
    readonly home: ImageExplanation['home'];
    readonly upstreams: ImageExplanation['upstreams'];
    readonly isSeen: boolean;
  }): Promise<ImageExplanation['cache']> {
    const { live, parts } = this.#server;
    const keeps = live.current.config.cache !== 'off';
    const isLookedUp = isSeen && keeps;
    const entry = isLookedUp ? await this.#entryOf(image) : undefined;
    const outlook = isLookedUp && home === 'mirrored' ? await parts.cache.outlook(repository, reference) : undefined;
    const state = home === 'hosted' ? stateOfHosted(entry) : stateOfMirrored(outlook?.parts);
    const { hold, cooling, checkedAt = entry?.checkedAt, freshUntil } = outlook ?? {};
    const digest = outlook?.digest ?? entry?.digest;
    const plan = planNextPull({ home, reference, state, outlook, keeps, upstreams, now: Date.now() });
    return {
      state,
      ...(digest !== undefined && { digest }),
      ...(checkedAt !== undefined && { checkedAt }),
      ...(freshUntil !== undefined && { freshUntil }),
      ...(hold !== undefined && { held: hold.reason }),
      ...(cooling !== undefined && { cooling }),
      pinned: entry?.pinned !== undefined,
      next: sayNextPull(plan, { state, outlook }),
      plan,
    };
  }

  /** Undefined where the image is not here. */
  async #entryOf(image: string): Promise<ImageAnswer['entry'] | undefined> {
    try {
      return (await this.#records.inventory.image(image, this.#caller)).entry;
    } catch (error) {
      if (error instanceof OciError) return undefined;
      throw error;
    }
  }

  /** Those that began with this tag or digest. The search looks for a part of the name, and other images may hold it. */
  async #pullsOf(
    image: string,
    { registry, repository, reference }: Repository & { readonly reference: string },
  ): Promise<ImageExplanation['pulls']> {
    const { pulls } = await this.#records.pulls.list({ image, limit: 10 * MAX_PULLS }, this.#caller);
    const isOfIt = (each: ImageExplanation['pulls'][number]): boolean =>
      each.registry === registry && each.repository === repository && each.reference === reference;
    return pulls.filter(isOfIt).slice(0, MAX_PULLS);
  }
}

function stateOfHosted(entry: ImageAnswer['entry'] | undefined): ImageExplanation['cache']['state'] {
  if (entry === undefined) return 'missing';
  return entry.complete ? 'stored' : 'partial';
}

function stateOfMirrored(
  parts: { readonly manifest: boolean; readonly stored: number; readonly named: number } | undefined,
): ImageExplanation['cache']['state'] {
  if (parts === undefined || (!parts.manifest && parts.stored === 0)) return 'missing';
  return parts.manifest && parts.stored === parts.named ? 'stored' : 'partial';
}

/** @throws {OciError} where it is no question, or the name is none of an image */
async function explainRules(
  { live }: RunningServer,
  { who, action, image }: AccessExplainInput,
): Promise<AccessExplainAnswer> {
  const question = { who, action, image };
  const fault = faultOfQuestion(question);
  if (fault !== undefined) throw new OciError('NAME_INVALID', fault);
  const { config, settings, upstreams } = live.current;
  try {
    const explanation = await explainAccess(config, upstreams.catalogue, question);
    const { said, rule, why, audit, notes } = wordExplanation(explanation, { config, settings, action });
    const reasons = [rule === undefined ? why : `${rule.key} ${rule.message}`, audit, ...notes];
    return {
      verdict: explanation.verdict,
      text: [said, ...reasons.flatMap((each) => each ?? [])].join('; '),
      ...(rule !== undefined && { rule: rule.key }),
      ...(rule?.source !== undefined && { place: formatSource(rule.source) }),
    };
  } catch (error) {
    if (error instanceof SettingsError) {
      throw new OciError(
        'UNAVAILABLE',
        locateProblems({ settings }, error.problems).problems.map(formatProblem).join('; '),
      );
    }
    if (!(error instanceof NoRulesError)) throw error;
    const isWriting = action === 'push' || action === 'delete';
    const open = isReachable(config) && (action === 'pull' || action === 'catalog') ? 'if-public' : 'allowed';
    return { verdict: isWriting ? 'refused' : open, text: error.message };
  }
}

function rulesOf({ live }: RunningServer): RulesAnswer {
  const { config, settings } = live.current;
  const { access } = config;
  if (access === undefined) return { configured: false, audit: false, groups: [], rules: [] };
  const { audit, groups, rules } = access;
  return {
    configured: true,
    audit,
    groups: Object.entries(groups).map(([name, members]) => ({ name, members })),
    rules: rules.map(({ who, may, on, private: isPrivate }, index) => {
      const [located] = locateProblems({ settings }, [`${formatKey(['access', 'rules', index])}: rule`]).problems;
      const place = located?.source && formatSource(located.source);
      return { who, may, on, private: isPrivate, ...(place !== undefined && { place }) };
    }),
  };
}
