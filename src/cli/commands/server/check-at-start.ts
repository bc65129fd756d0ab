import { ClientPool, checkTargetsOf } from '../../../app/index.ts';
import { checkUpstreams, type UpstreamReport } from '../../../check/index.ts';
import type { Config } from '../../../config/index.ts';
import type { Catalogue } from '../../../routing/index.ts';
import type { Log } from '../../../telemetry/index.ts';
import { CHECK_TIMEOUT } from './check.ts';

/**
 * The effect of `serve --check-upstreams` where an upstream cannot be reached: `warn` logs it while serving, `refuse` does
 * not start. The default is `warn`, because a mirror is most useful while an upstream is down.
 */
export type CheckAtStart = 'warn' | 'refuse';

interface Start {
  readonly catalogue: Catalogue;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Checks the configured upstreams, and logs each with a problem.
 *
 * @returns the reports of the upstreams that cannot be reached, or refuse a login
 * @throws {SettingsError} for a bad PEM file, and the signal's reason
 */
export async function checkAtStart(
  config: Config,
  { catalogue, log, signal }: Start,
): Promise<readonly UpstreamReport[]> {
  if (config.offline) {
    log.info('upstreams are not checked, as the server is offline');
    return [];
  }
  const { targets } = checkTargetsOf(config, catalogue);
  const reports = await checkUpstreams(targets, {
    openTransport: (telemetry) => new ClientPool(telemetry),
    timeout: CHECK_TIMEOUT,
    signal,
    onReport: (report) => logReport(log, report),
  });
  const unreachable = reports.filter(({ reachable }) => !reachable).length;
  log.info('upstreams checked', { reachable: reports.length - unreachable, unreachable });
  return reports.filter(({ outcome }) => outcome === 'failed');
}

function logReport(log: Log, { kind, name, upstream, reachable, outcome, durationMs, steps }: UpstreamReport): void {
  const of = kind === 'registry' ? { registry: name } : { route: name };
  const trouble = steps.filter((step) => step.outcome !== 'ok').at(-1);
  const fields = { ...of, upstream, duration: durationMs, step: trouble?.step, reason: trouble?.summary };
  if (!reachable) log.warn('upstream cannot be reached', { ...fields, remedy: trouble?.remedy });
  else if (outcome === 'failed') log.warn('upstream refuses the login', { ...fields, remedy: trouble?.remedy });
  else if (outcome !== 'ok')
    log.warn('upstream can be reached, with a reservation', { ...fields, remedy: trouble?.remedy });
  else log.debug('upstream can be reached', fields);
}
