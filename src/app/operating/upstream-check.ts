import type { CheckAnswer } from '../../admin/index.ts';
import type { CheckTarget, UpstreamReport } from '../../check/index.ts';
import { ConcurrencyLimit, nearest, SingleFlight } from '../../lib/index.ts';
import { OciError } from '../../oci/index.ts';
import { redactText } from '../../telemetry/index.ts';
import type { RunningServer } from '../running-server.ts';
import { ClientPool, checkTargetsOf, loadCheck } from '../settings/index.ts';

/** Upstreams that are checked at a time. */
const AT_A_TIME = 4;

/** Milliseconds for one upstream, as for `entrepot check`. */
const TIMEOUT = 10_000;

/** Checks upstreams as `entrepot check` does: with connections of their own, and without an effect on their health. */
export class UpstreamChecks {
  readonly #server: RunningServer;
  readonly #flights = new SingleFlight<CheckAnswer>();
  readonly #limit = new ConcurrencyLimit(AT_A_TIME);
  readonly #stop = new AbortController();

  constructor(server: RunningServer) {
    this.#server = server;
    server.parts.cleanups.push(() => this.#stop.abort(new Error('the server is stopping')));
  }

  /**
   * The upstreams that a name means, each step by step. A call made while one of the same name runs joins it.
   *
   * @param name of a registry (host, short name or the operator's own name), an upstream or a mirror route
   * @throws {OciError} NAME_UNKNOWN where nothing has the name; UNSUPPORTED where the server is offline
   */
  async check(name: string): Promise<CheckAnswer> {
    const { config, upstreams } = this.#server.live.current;
    if (config.offline) {
      const message =
        'this server is offline and asks no upstream; `entrepot check` asks from this machine all the same';
      throw new OciError('UNSUPPORTED', message);
    }
    const { targets, unknown, known } = checkTargetsOf(config, upstreams.catalogue, { names: [name] });
    if (unknown.length > 0) throw new OciError('NAME_UNKNOWN', unknownText(name, known));
    return await this.#flights.run(name, async () => ({
      targets: await Promise.all(targets.map((target) => this.#checkOne(target))),
    }));
  }

  async #checkOne(target: CheckTarget): Promise<CheckAnswer['targets'][number]> {
    return await this.#limit.run(async () => {
      const { signal } = this.#stop;
      const { checkUpstreams } = await loadCheck();
      const options = { openTransport: openPool, timeout: TIMEOUT, signal };
      const [report] = await checkUpstreams([target], options);
      if (report === undefined) throw new TypeError('A check of one upstream has one report');
      return describe(report);
    });
  }
}

const openPool = (telemetry: ConstructorParameters<typeof ClientPool>[0]): ClientPool => new ClientPool(telemetry);

function describe({ name, upstream, outcome, steps }: UpstreamReport): CheckAnswer['targets'][number] {
  return {
    registry: name,
    upstream,
    ok: outcome !== 'failed',
    steps: steps.map(({ step, outcome: of, durationMs, summary, remedy }) => ({
      step,
      outcome: of,
      durationMs,
      summary: redactText(summary),
      ...(remedy !== undefined && { remedy: redactText(remedy) }),
    })),
  };
}

function unknownText(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  const hint = near === undefined ? 'the list of registries has the names' : `did you mean ${near}?`;
  return `${JSON.stringify(name.slice(0, 100))} is no registry, upstream or mirror route of this server; ${hint}`;
}
