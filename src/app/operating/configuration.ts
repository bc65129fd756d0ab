import type { ClientsAnswer, ConfigurationAnswer } from '../../admin/index.ts';
import { clientSetups, MERGE_NOTES, setupCommand } from '../../clients/index.ts';
import { type ConfigProblem, formatSource, listOptions, printConfig } from '../../config/index.ts';
import type { RunningServer } from '../running-server.ts';
import { forwardHelpOf, loadWeb, ownNamesOf } from '../settings/index.ts';

/** The configuration in effect. Secrets are masked, in values and in the YAML. */
export async function configurationOf({ live }: RunningServer): Promise<ConfigurationAnswer> {
  const { source, notes, config, settings } = live.current;
  const loaded = { config, settings };
  const [options, yaml] = await Promise.all([listOptions(loaded), printConfig(loaded)]);
  return { source, options, problems: notes.map(problemOf), yaml };
}

function problemOf({ source, key, message }: ConfigProblem): ConfigurationAnswer['problems'][number] {
  const place = source === undefined ? undefined : formatSource(source);
  return { text: key === '' ? message : `${key}: ${message}`, ...(place !== undefined && { place }) };
}

/**
 * How each client is set up.
 *
 * @param asked host and port, or the origin, at which clients reach this server @default its first listener
 */
export async function clientsOf(server: RunningServer, asked: string | undefined): Promise<ClientsAnswer> {
  const { config, upstreams } = server.live.current;
  const { serverAddressOf } = await loadWeb();
  const { host, url } = serverAddressOf(ownNamesOf(config), addressOf(server, asked));
  const defaultRegistry = upstreams.catalogue.default.name;
  const setups = clientSetups({ host, url, defaultRegistry, forward: forwardHelpOf(config) });
  return {
    url,
    host,
    defaultRegistry,
    clients: setups.map(({ client, title, setup, instructions }) => {
      const { files = [], commands = [], restart, verify, notes } = instructions;
      const merging = [...new Set(files.map(({ merge }) => MERGE_NOTES[merge]))].flatMap((note) => note ?? []);
      return {
        client,
        title,
        ...(setup !== undefined && { setup: setupCommand(setup, url) }),
        files: files.map(({ path, where, content }) => ({ path, ...(where !== undefined && { where }), content })),
        commands,
        ...(restart !== undefined && { restart }),
        ...(verify !== undefined && { verify }),
        notes: [...notes, ...merging],
      };
    }),
  };
}

/** The host that clients address, and whether they come by HTTPS: as the origin says, or where its port is that of a TLS listener. */
function addressOf(
  { listeners }: RunningServer,
  asked: string | undefined,
): { readonly host: string; readonly secure: boolean } {
  const own = listeners.filter(({ port }) => port !== undefined);
  if (asked === undefined) {
    const [first] = own;
    // No client can address `every address`.
    const host = first?.address.replace(/^(?:0\.0\.0\.0|\[::\])(?=:)/, 'localhost') ?? 'localhost';
    return { host, secure: first?.protocol === 'https' };
  }
  const [, scheme, host = asked] = /^(https?):\/\/(.*)$/.exec(asked) ?? [];
  if (scheme !== undefined) return { host, secure: scheme === 'https' };
  const port = Number(/:([0-9]+)$/.exec(host)?.[1] ?? Number.NaN);
  const listener = own.find((each) => each.port === port) ?? own[0];
  return { host, secure: listener?.protocol === 'https' };
}
