import { type App, catalogueOf, loadLateParts, logFormatOf, SettingsError, startApp } from '../../../app/index.ts';
import { describeClients } from '../../../clients/index.ts';
import { ConfigError, type ConfigFlags, type LoadedConfig, loadConfig, locateProblems } from '../../../config/index.ts';
import { createLog, type Log, type LogFormat } from '../../../telemetry/index.ts';
import { reportConfigError } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { processOutput } from '../../output.ts';
import { readVersion } from '../../version.ts';
import type { CheckAtStart } from './check-at-start.ts';

/** The options of `entrepot serve`, which reads the configuration itself and does so again for each reload. */
export interface ServeOptions {
  readonly flags: ConfigFlags;
  /** Checks the upstreams at the start, and warns of one that cannot be reached, or refuses to start. */
  readonly checkUpstreams?: CheckAtStart;
}

/** Time for the first answers after a restart, before the rest of the program is loaded. */
const LOAD_AFTER_MS = 2000;

/**
 * Runs the server until a signal stops it.
 *
 * SIGTERM and SIGINT drain it: after `timeouts.drain_delay` it refuses new connections, and running pulls finish within
 * `timeouts.shutdown_timeout`. A second signal cuts them. SIGHUP reloads the configuration.
 *
 * @returns the exit code
 */
export async function serve({ flags, checkUpstreams }: ServeOptions): Promise<number> {
  // A SIGHUP before the server has started causes one reload after the start.
  let reload = (): void => {
    reload = () => undefined;
    void started.promise.then((made) => made.reload());
  };
  const started = Promise.withResolvers<App>();
  process.on('SIGHUP', () => reload());
  let loaded: LoadedConfig;
  try {
    loaded = await loadConfig({ flags });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return reportConfigError(error, processOutput);
  }
  const { config } = loaded;
  const format = logFormatOf(config);
  const log = createLog({ level: config.log.level, format });

  const stop = Promise.withResolvers<string>();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  process.on('uncaughtException', failure.reject);
  process.on('unhandledRejection', failure.reject);
  process.on('SIGTERM', () => stop.resolve('SIGTERM'));
  process.on('SIGINT', () => stop.resolve('SIGINT'));

  const ending = new AbortController();
  void stop.promise.then(() => ending.abort());
  const { signal } = ending;
  let app: App;
  try {
    if (checkUpstreams === 'refuse') {
      const { checkAtStart } = await import('./check-at-start.ts');
      const lost = await checkAtStart(config, { catalogue: await catalogueOf(config), log, signal });
      if (lost.length > 0) {
        const { formatReport } = await import('./check-table.ts');
        await log.flush();
        processOutput.err(`${lost.map(formatReport).join('\n')}\nNot started, as --check-upstreams=refuse says.\n`);
        return EXIT.failure;
      }
    }
    app = await startApp(loaded, { log, version: readVersion().version, load: () => loadConfig({ flags }) });
  } catch (error) {
    log.debug('could not start', { error });
    await log.flush();
    // A signal stopped the start.
    if (signal.aborted) return EXIT.ok;
    if (error instanceof SettingsError) return reportConfigError(locateProblems(loaded, error.problems), processOutput);
    processOutput.err(`${(error as Error).message}\n`);
    return EXIT.failure;
  }
  started.resolve(app);
  reload = () => void app.reload();
  announce(app, loaded, { log, format });
  loadLater(config, log);
  if (checkUpstreams === 'warn') {
    void import('./check-at-start.ts')
      .then(({ checkAtStart }) => checkAtStart(config, { catalogue: app.catalogue, log, signal }))
      .catch((error) => {
        if (!signal.aborted) log.warn('the upstreams could not be checked', { error });
      });
  }

  try {
    const signal = await Promise.race([stop.promise, failure.promise]);
    log.info('stopping: running pulls may finish', { signal, limit: config.timeouts.shutdownTimeout });
    await stopOnce(app, log);
    return EXIT.ok;
  } catch (error) {
    // The state is unknown: drain, and let a supervisor start the program again.
    log.error('unexpected error: stopping', { error });
    await stopOnce(app, log);
    return EXIT.failure;
  } finally {
    await log.flush();
  }
}

/** Loads the parts that a start does not need. */
function loadLater(config: LoadedConfig['config'], log: Log): void {
  const load = async (): Promise<void> => {
    try {
      await loadLateParts(config);
      log.debug('everything is loaded');
    } catch (error) {
      log.warn('a part of the program cannot be loaded: was it replaced? Start it again', { error });
    }
  };
  setTimeout(() => void load(), LOAD_AFTER_MS).unref();
}

/** Drains; another signal cuts the pulls that still run. */
async function stopOnce(app: App, log: Log): Promise<void> {
  const hurry = () => void app.stop();
  process.on('SIGTERM', hurry);
  process.on('SIGINT', hurry);
  const { cut } = await app.stop();
  if (cut > 0) log.warn('pulls were cut', { count: cut });
  log.info('stopped');
}

/** Logs the addresses and the registries, and shows how each client is pointed at the server. */
function announce(app: App, { config, source }: LoadedConfig, { log, format }: { log: Log; format: LogFormat }): void {
  for (const { address, protocol, redirectToHttps, admin } of app.listeners) {
    const serves = { ...(redirectToHttps && { redirectToHttps }), ...(admin === true && { admin }) };
    log.info('listening', { address, protocol, ...serves });
  }
  log.info('ready', {
    config: source,
    cache: config.cache === 'off' ? 'off' : config.cache.dir,
    default: app.catalogue.default.name,
    registries: app.catalogue
      .list()
      .map(({ name }) => name)
      .join(' '),
  });
  const clients = describeClients(app.listeners, config.publicUrl[0]);
  if (clients === undefined) return;
  if (format === 'json') log.info('point clients at it', { clients: clients.examples, help: clients.help });
  else processOutput.out(clients.text);
}
