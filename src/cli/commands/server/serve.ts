import { type App, catalogueOf, loadLateParts, logFormatOf, SettingsError, startApp } from '../../../app/index.ts';
import { describeClients } from '../../../clients/index.ts';
import { ConfigError, type ConfigFlags, type LoadedConfig, loadConfig, locateProblems } from '../../../config/index.ts';
import { createLog, type Log, type LogFormat } from '../../../telemetry/index.ts';
import { EXIT } from '../../exit-code.ts';
import { processOutput } from '../../output.ts';
import { readVersion } from '../../version.ts';
import type { CheckAtStart } from './check-at-start.ts';

/** What `entrepot serve` was asked for. It loads the configuration itself, since it does so again on a reload. */
export interface ServeOptions {
  readonly flags: ConfigFlags;
  /** Whether upstreams are checked at the start, and what is done about one that cannot be reached. */
  readonly checkUpstreams?: CheckAtStart;
}

/** Long enough for whoever restarts a server to have had the first answer from it. */
const LOAD_AFTER_MS = 2000;

/**
 * Runs the server until it is told to stop.
 *
 * SIGTERM and SIGINT drain it: after `timeouts.drain_delay` new connections are refused, running pulls finish within `timeouts.shutdown_timeout`. A second
 * signal cuts them. SIGHUP reloads the configuration.
 *
 * @returns the exit code
 */
export async function serve({ flags, checkUpstreams }: ServeOptions): Promise<number> {
  // A signal that comes before there is a server asks for one reload after its start.
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
    return refuse(error);
  }
  const { config } = loaded;
  const format = logFormatOf(config);
  const log = createLog({ level: config.log.level, format });
  for (const note of loaded.notes) log.warn(note);

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
    // Told to stop before there was anything to stop.
    if (signal.aborted) return EXIT.ok;
    if (error instanceof SettingsError) return refuse(locateProblems(loaded, error.problems));
    processOutput.err(`${(error as Error).message}\n`);
    return EXIT.failure;
  }
  started.resolve(app);
  reload = () => void app.reload();
  announce(app, loaded, { log, format });
  loadLater(log);
  if (checkUpstreams === 'warn') {
    void import('./check-at-start.ts')
      .then(({ checkAtStart }) => checkAtStart(config, { catalogue: app.catalogue, log, signal }))
      .catch((error) => {
        if (!signal.aborted) log.warn('the upstreams could not be checked', { error });
      });
  }

  try {
    const signal = await Promise.race([stop.promise, failure.promise]);
    log.info('stopping: running pulls may finish', { signal, limit: config.timeouts.shutdown_timeout });
    await stopOnce(app, log);
    return EXIT.ok;
  } catch (error) {
    // The state is unknown: nothing new is begun, what runs may end, and a supervisor starts afresh.
    log.error('an error nobody expected: stopping', { error });
    await stopOnce(app, log);
    return EXIT.failure;
  } finally {
    await log.flush();
  }
}

/** Loads the rest when whoever waited for the start has had an answer. */
function loadLater(log: Log): void {
  const load = async (): Promise<void> => {
    try {
      await loadLateParts();
      log.debug('everything is loaded');
    } catch (error) {
      log.warn('a part of the program cannot be loaded: was it replaced? Start it again', { error });
    }
  };
  setTimeout(() => void load(), LOAD_AFTER_MS).unref();
}

async function refuse(error: ConfigError): Promise<number> {
  const { reportConfigError } = await import('../../config-error.ts');
  reportConfigError(error, processOutput);
  return EXIT.config;
}

/** Drains; another signal meanwhile cuts what still runs. */
async function stopOnce(app: App, log: Log): Promise<void> {
  const hurry = () => void app.stop();
  process.on('SIGTERM', hurry);
  process.on('SIGINT', hurry);
  const { cut } = await app.stop();
  if (cut > 0) log.warn('pulls were cut', { count: cut });
  log.info('stopped');
}

/** Says where the server is, what it serves, and how each client is pointed at it. */
function announce(app: App, { config, source }: LoadedConfig, { log, format }: { log: Log; format: LogFormat }): void {
  for (const { address, protocol, redirectToHttps } of app.listeners) {
    log.info('listening', { address, protocol, ...(redirectToHttps ? { redirectToHttps } : {}) });
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
  const clients = describeClients(app.listeners, config.public_url);
  if (clients === undefined) return;
  if (format === 'json') log.info('point clients at it', { clients: clients.examples, help: clients.help });
  else processOutput.out(clients.text);
}
