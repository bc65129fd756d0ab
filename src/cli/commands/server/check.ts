import { catalogueOf, checkTargetsOf, checkTransportOf, SettingsError } from '../../../app/index.ts';
import { checkUpstreams, type UpstreamReport } from '../../../check/index.ts';
import {
  ConfigError,
  type ConfigFlags,
  type LoadedConfig,
  loadConfig,
  locateProblems,
  parseDuration,
} from '../../../config/index.ts';
import { reportConfigError } from '../../config-error.ts';
import { EXIT } from '../../exit-code.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatReport, summarizeReports } from './check-table.ts';

/** What `entrepot check` was asked for. */
export interface CheckCommandOptions {
  readonly flags: ConfigFlags;
  readonly json: boolean;
  /** Of registries, upstreams or routes; empty: all that are configured. */
  readonly names: readonly string[];
  /** Those that are known without configuration too. */
  readonly all: boolean;
  /** For one upstream, as it was written. */
  readonly timeout?: string;
}

/** Long enough for a server on the other side of the world with two tokens to give, short enough to watch. */
export const CHECK_TIMEOUT = 10_000;

/** What a shell says of a program that SIGINT ended. */
const INTERRUPTED = 130;

export interface CheckSurroundings {
  /** @default the process's own streams */
  readonly output?: Output;
  /** True: how many are done is drawn on standard error. @default whether that is a terminal */
  readonly isTerminal?: boolean;
  /** The operator has had enough. @default SIGINT */
  readonly interrupt?: AbortSignal;
}

/**
 * `entrepot check`: asks every upstream whether it can be reached from here, and says where it ends and what would do.
 * It takes no cache directory, and runs beside a server.
 *
 * @returns the exit code: failure where one cannot be reached
 */
export async function check(options: CheckCommandOptions, surroundings: CheckSurroundings = {}): Promise<number> {
  const { output = processOutput, isTerminal = process.stderr.isTTY, interrupt } = surroundings;
  const { flags, json, names, all } = options;
  const timeout = options.timeout === undefined ? CHECK_TIMEOUT : parseDuration(options.timeout);
  if (timeout === undefined || timeout === 0 || timeout > 2 ** 31 - 1) {
    output.err(`error: --timeout ${options.timeout} is no length of time; expected one such as 10s or 500ms\n`);
    return EXIT.usage;
  }
  let loaded: LoadedConfig | undefined;
  const interrupted = new AbortController();
  const onSignal = (): void => interrupted.abort(new Error('interrupted'));
  process.on('SIGINT', onSignal);
  const signal = interrupt === undefined ? interrupted.signal : AbortSignal.any([interrupt, interrupted.signal]);
  const progress = new Progress(output, isTerminal && !json);
  try {
    loaded = await loadConfig({ flags });
    const { config, source } = loaded;
    const { targets, leftOut, onlyKnown, unknown } = await checkTargetsOf(config, await catalogueOf(config), {
      names,
      all,
    });
    if (unknown.length > 0) {
      const what = unknown.map((name) => JSON.stringify(name)).join(', ');
      output.err(
        `error: ${what} is no registry, upstream or route of the configuration; without names all are checked\n`,
      );
      return EXIT.usage;
    }
    if (!json && onlyKnown) {
      output.out(
        `${source === 'defaults' ? 'No configuration file was found' : `${source} names no registry`}: checking those that are known.\n\n`,
      );
    }
    progress.show(0, targets.length);
    let done = 0;
    const reports = await checkUpstreams(targets, {
      ...checkTransportOf(config),
      timeout,
      signal,
      onReport: () => progress.show(++done, targets.length),
    });
    progress.end();
    output.out(
      json ? `${JSON.stringify(jsonOf(reports, { source, onlyKnown }), null, 2)}\n` : textOf(reports, leftOut),
    );
    return reports.every(({ reachable }) => reachable) ? EXIT.ok : EXIT.failure;
  } catch (error) {
    progress.end();
    if (signal.aborted) return INTERRUPTED;
    if (!(error instanceof ConfigError) && !(error instanceof SettingsError)) throw error;
    const found = error instanceof ConfigError || loaded === undefined ? error : locateProblems(loaded, error.problems);
    if (found instanceof ConfigError) reportConfigError(found, output);
    else output.err(`${error.message}\n`);
    return EXIT.config;
  } finally {
    process.off('SIGINT', onSignal);
  }
}

function textOf(reports: readonly UpstreamReport[], leftOut: number): string {
  const left =
    leftOut === 0
      ? ''
      : `${leftOut} registries that are known without configuration were left out; --all checks them too.\n`;
  return `${reports.map(formatReport).join('\n')}\n${summarizeReports(reports)}\n${left}`;
}

interface Circumstances {
  readonly source: string;
  readonly onlyKnown: boolean;
}

/** What `--json` prints; docs/check.md has it. */
function jsonOf(reports: readonly UpstreamReport[], { source, onlyKnown }: Circumstances): object {
  const reachable = reports.filter((report) => report.reachable).length;
  return {
    checkedAt: new Date().toISOString(),
    config: source,
    onlyKnown,
    reachable,
    unreachable: reports.length - reachable,
    upstreams: reports,
  };
}

/** How many are done, in place, on a terminal. */
class Progress {
  readonly #output: Output;
  readonly #isShown: boolean;
  #isDrawn = false;

  constructor(output: Output, isShown: boolean) {
    this.#output = output;
    this.#isShown = isShown;
  }

  show(done: number, all: number): void {
    if (!this.#isShown) return;
    this.#output.err(`\r\u001b[K${done} of ${all} checked`);
    this.#isDrawn = true;
  }

  end(): void {
    if (this.#isDrawn) this.#output.err('\r\u001b[K');
    this.#isDrawn = false;
  }
}
