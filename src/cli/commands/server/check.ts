import { ClientPool, catalogueOf, checkTargetsOf, SettingsError } from '../../../app/index.ts';
import { checkUpstreams, type UpstreamReport } from '../../../check/index.ts';
import { loadConfig, locateProblems, parseDuration } from '../../../config/index.ts';
import { nearest } from '../../../lib/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput, StatusLine } from '../../output.ts';
import { formatReport, summarizeReports } from './check-table.ts';

/** The options of `entrepot check`. */
export interface CheckCommandOptions extends CommandOptions {
  /** Names of registries, upstreams or routes; empty: all that are configured. */
  readonly names: readonly string[];
  /** Checks the built-in registries too. @default false */
  readonly all?: boolean;
  /** For one upstream, as written: `10s`. */
  readonly timeout?: string;
}

/** Milliseconds for one upstream: enough for a distant server and two tokens, and short enough to watch. */
export const CHECK_TIMEOUT = 10_000;

/**
 * `entrepot check`: checks whether every upstream can be reached from here, and shows where it fails and the remedy. It
 * opens no cache directory, and runs beside a server.
 *
 * @returns the exit code: failure where an upstream cannot be reached, or refuses a login
 */
export async function check(options: CheckCommandOptions, surroundings: Surroundings = {}): Promise<number> {
  const { output = processOutput, isTerminal = process.stderr.isTTY, interrupt } = surroundings;
  const { flags, json = false, names, all = false } = options;
  const timeout = options.timeout === undefined ? CHECK_TIMEOUT : parseDuration(options.timeout);
  if (timeout === undefined || timeout === 0 || timeout > 2 ** 31 - 1) {
    output.err(`error: --timeout ${options.timeout} is not a length of time; expected one such as 10s or 500ms\n`);
    return EXIT.usage;
  }
  const line = new StatusLine((text, how) => output.err(text, how));
  const isDrawn = isTerminal && !json;

  const run = async (signal: AbortSignal): Promise<number> => {
    const loaded = await loadConfig({ flags });
    const { config, source } = loaded;
    try {
      const { targets, leftOut, onlyKnown, hosted, unknown, known } = checkTargetsOf(
        config,
        await catalogueOf(config),
        {
          names,
          all,
        },
      );
      if (unknown.length > 0) {
        for (const name of unknown) {
          const near = nearest(name, known);
          const hint = near === undefined ? 'without names, all are checked' : `did you mean ${near}?`;
          output.err(`error: "${name}" is no registry, upstream or route of the configuration; ${hint}\n`);
        }
        return EXIT.usage;
      }
      if (!json && onlyKnown) {
        const why = source === 'defaults' ? 'No configuration file was found' : `${source} names no registry`;
        output.out(`${why}: checking the built-in registries.\n\n`);
      }
      let done = 0;
      const showProgress = (): void => {
        if (isDrawn) line.draw(`${done} of ${targets.length} checked`);
      };
      showProgress();
      const reports = await checkUpstreams(targets, {
        openTransport: (telemetry) => new ClientPool(telemetry),
        timeout,
        signal,
        onReport() {
          done += 1;
          showProgress();
        },
      });
      line.clear();
      output.out(json ? formatJson(jsonOf(reports, { source, onlyKnown })) : textOf(reports, { leftOut, hosted }));
      return reports.some(({ outcome }) => outcome === 'failed') ? EXIT.failure : EXIT.ok;
    } catch (error) {
      line.clear();
      if (signal.aborted) return EXIT.interrupted;
      throw error instanceof SettingsError ? locateProblems(loaded, error.problems) : error;
    }
  };

  return await reportErrors(output, () => withInterrupt(interrupt, run));
}

function textOf(
  reports: readonly UpstreamReport[],
  { leftOut, hosted }: { readonly leftOut: number; readonly hosted: readonly string[] },
): string {
  const own = hosted
    .map((name) => `${name} has no upstream to check: its images are pushed to this server.\n`)
    .join('');
  if (reports.length === 0 && own !== '') return own;
  const left = leftOut === 0 ? '' : `${leftOut} built-in registries were left out; --all checks them too.\n`;
  return `${reports.map(formatReport).join('\n')}\n${summarizeReports(reports)}\n${own}${left}`;
}

interface Circumstances {
  readonly source: string;
  readonly onlyKnown: boolean;
}

/** The answer of `--json`; docs/check.md describes it. */
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
