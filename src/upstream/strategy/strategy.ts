import type { Reference, StrategySpec } from '../../oci/index.ts';
import type { RoutingCandidate, RoutingOrder, RoutingQuestion } from '../plugin/index.ts';
import { Fastest, type FastestOptions } from './fastest.ts';
import type { Measured, Pace, PaceView } from './pace.ts';
import { byWeight } from './weighted.ts';

/** A request to the upstreams of a registry. */
export interface Question {
  readonly content: RoutingQuestion['content'];
  readonly method: RoutingQuestion['method'];
  /** Empty for the catalogue. */
  readonly repository: string;
  /** Of a manifest or blob. */
  readonly reference?: Reference | undefined;
  /** Bytes of the blob or of its part; undefined where that is not known. */
  readonly size?: number | undefined;
}

/** An upstream that may be asked. */
export interface Candidate {
  readonly name: string;
  readonly url: URL;
  readonly pace: Pace;
  /** `resting`: requests of this kind fail at once; `trying`: the next one tries whether it is back. */
  stateFor(question: Pick<Question, 'content' | 'method'>): RoutingCandidate['state'];
}

/** What orders by a plugin. It never rejects: where the plugin fails, the order is undefined. */
export interface RoutingPort {
  order(question: RoutingQuestion): Promise<RoutingOrder>;
}

/** Options of {@link Strategy}. */
export interface StrategyOptions extends FastestOptions {
  readonly registry: string;
  /** Of a strategy by a plugin. @default none: the order is that of the configuration */
  readonly plugin?: RoutingPort | undefined;
}

/** Bytes that a slow upstream sends soon too: a request for more never tries one. */
const SMALL = 8 * 1024 * 1024;

/**
 * In which order the upstreams of one registry are asked. It orders what it is given: it adds none and leaves none out.
 *
 * What a tag leads to, and a list, differ between upstreams, so there the order stays that of the configuration unless the
 * operator says that the strategy is for tags too.
 */
export class Strategy {
  readonly #spec: StrategySpec;
  readonly #options: StrategyOptions;
  readonly #fastest: Fastest;

  constructor(spec: StrategySpec, options: StrategyOptions) {
    this.#spec = spec;
    this.#options = options;
    this.#fastest = new Fastest(options);
  }

  /** The order for a request: at once, unless a plugin is asked. */
  order<C extends Candidate>(candidates: readonly C[], question: Question): readonly C[] | Promise<readonly C[]> {
    return this.#ordered(candidates, question, true);
  }

  /** The order that a request would have now, without a trial of an upstream; a plugin is asked. */
  preview<C extends Candidate>(candidates: readonly C[], question: Question): readonly C[] | Promise<readonly C[]> {
    return this.#ordered(candidates, question, false);
  }

  weightOf(name: string): number {
    return this.#spec.weights.get(name) ?? 1;
  }

  #ordered<C extends Candidate>(
    candidates: readonly C[],
    question: Question,
    isRequest: boolean,
  ): readonly C[] | Promise<readonly C[]> {
    const { by, tags } = this.#spec;
    if (candidates.length < 2 || (!tags && question.reference?.kind !== 'digest')) return candidates;
    if (by === 'fastest') return this.#byPace(candidates, question, isRequest);
    if (by === 'weighted') return this.#byWeight(candidates, question);
    if (by === 'plugin') return this.#byPlugin(candidates, question);
    return candidates;
  }

  #byPace<C extends Candidate>(candidates: readonly C[], question: Question, isRequest: boolean): readonly C[] {
    const { size } = question;
    const content = measuredOf(question);
    const runners = candidates.map((candidate) => {
      candidate.pace.isRated = true;
      const isResting = candidate.stateFor(question) === 'resting';
      return { name: candidate.name, pace: candidate.pace.view(content), isResting, candidate };
    });
    const isSmall = content === 'manifest' || question.method === 'HEAD' || (size !== undefined && size <= SMALL);
    const errand = { content, size: question.method === 'HEAD' ? 0 : size, isSmall };
    const ordered = isRequest ? this.#fastest.order(runners, errand) : this.#fastest.preview(runners, errand);
    return ordered.map(({ candidate }) => candidate);
  }

  #byWeight<C extends Candidate>(candidates: readonly C[], question: Question): readonly C[] {
    const { reference, repository } = question;
    // What a tag leads to is asked of one upstream for all of a repository, while that answers.
    const key = reference?.kind === 'digest' ? reference.digest : repository;
    const weighted = candidates.map((candidate) => ({
      name: candidate.name,
      weight: this.weightOf(candidate.name),
      candidate,
    }));
    const ordered = byWeight(weighted, key).map(({ candidate }) => candidate);
    const isAwake = (each: C): boolean => each.stateFor(question) !== 'resting';
    return [...ordered.filter(isAwake), ...ordered.filter((each) => !isAwake(each))];
  }

  async #byPlugin<C extends Candidate>(candidates: readonly C[], question: Question): Promise<readonly C[]> {
    const { plugin, registry, now } = this.#options;
    const { reference, size, content, method, repository } = question;
    const names = await plugin?.order({
      registry,
      repository,
      content,
      method,
      ...(reference?.kind === 'tag' && { tag: reference.tag }),
      ...(reference?.kind === 'digest' && { digest: reference.digest }),
      ...(size !== undefined && { size }),
      now: now(),
      upstreams: candidates.map((each) => this.#described(each, question)),
    });
    if (names === undefined) return candidates;
    const first = names.flatMap((name) => candidates.filter((each) => each.name === name));
    return [...first, ...candidates.filter((each) => !first.includes(each))];
  }

  #described(candidate: Candidate, question: Question): RoutingCandidate {
    const { name, url, pace } = candidate;
    pace.isRated = true;
    const { latencyMs, bytesPerSecond }: PaceView = pace.view(measuredOf(question));
    return {
      name,
      host: url.host,
      weight: this.weightOf(name),
      state: candidate.stateFor(question),
      ...(latencyMs !== undefined && { latencyMs }),
      ...(bytesPerSecond !== undefined && { bytesPerSecond }),
    };
  }
}

/** A list is as soon there as a manifest. */
function measuredOf({ content }: Pick<Question, 'content'>): Measured {
  return content === 'blob' ? 'blob' : 'manifest';
}
