import { hostname, userInfo } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { type ConsoleAnswer, OPERATIONS } from '../../../admin/index.ts';
import { isLoopback } from '../../../server/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { BrowserPage, findOpener } from './browser.ts';

/** The options of `console`. */
export interface ConsoleOptions extends CommandOptions {
  /** Prints the address, and opens nothing. @default false */
  readonly print?: boolean;
}

/** What a test gives of its own. */
interface ConsoleSurroundings extends Pick<Surroundings, 'output' | 'interrupt'> {
  /** @default that of the process */
  readonly env?: NodeJS.ProcessEnv;
  /** @default that of the process */
  readonly platform?: NodeJS.Platform;
  /** Milliseconds in which a browser has read the page that leads on. @default 10_000 */
  readonly patience?: number;
}

/** A browser that starts cold on a slow disk takes some seconds. */
const PATIENCE_MS = 10_000;

/**
 * `entrepot console`: opens the page of the running server in a browser, with a code for a session that may change things, or
 * prints its address.
 *
 * @returns the exit code: failure where no server answers, or where it has no page that a browser reaches
 */
export function openConsole(
  { flags, json, signal, print = false }: ConsoleOptions,
  surroundings: ConsoleSurroundings = {},
): Promise<number> {
  const { output = processOutput, env = process.env, platform = process.platform } = surroundings;
  const { interrupt, patience = PATIENCE_MS } = surroundings;
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.console,
      input: {},
      signal,
      whereOff:
        'A server without a cache directory has no control socket, so nothing gives a right to change things. ' +
        'For a server with a cache elsewhere, name the directory with --cache-dir.',
      async show(answer) {
        const [first] = answer.urls;
        if (first === undefined) {
          output.err(
            'The server has no listener that a browser reaches; add an address under listen, and restart it.\n',
          );
          return EXIT.failure;
        }
        const url = addressOf(first, answer);
        if (json === true) {
          output.out(formatJson({ url, ...answer }));
          return EXIT.ok;
        }
        const opener = print ? undefined : await findOpener({ env, platform });
        if (opener === undefined) {
          output.out(`${url}\n`);
          output.err(describe(answer, { env, isPrint: print }));
          return EXIT.ok;
        }
        await using page = await BrowserPage.write(url);
        const failure = await page.open(opener);
        if (failure !== undefined) {
          output.out(`${url}\n`);
          output.err(
            `${opener.command} cannot open a browser: ${failure}\n${describe(answer, { env, isPrint: print })}`,
          );
          return EXIT.ok;
        }
        output.out(`${url}\n`);
        output.err(
          'The browser opens. If it does not, open this address within a minute; it lets one browser in, once.\n',
        );
        await withInterrupt(interrupt, (stop) => wait(patience, undefined, { signal: stop }).catch(() => {}));
        return EXIT.ok;
      },
    },
    output,
  );
}

function addressOf(url: string, { code }: ConsoleAnswer): string {
  const address = new URL(url);
  // What follows the # is sent to no server, and so is in no log.
  address.hash = `code=${code}`;
  return address.href;
}

/** Until when the address holds, and how it is reached from elsewhere. */
function describe(
  { urls, expiresAt }: ConsoleAnswer,
  { env, isPrint }: { readonly env: NodeJS.ProcessEnv; readonly isPrint: boolean },
): string {
  const until = `${new Date(expiresAt).toISOString().slice(11, 19)}Z`;
  const lines = [
    `Open this address until ${until}. It lets one browser in, once, and lets it change things: keep it secret.`,
  ];
  const [first = ''] = urls;
  const { hostname: host, port, protocol } = new URL(first);
  const isOwn = host === 'localhost' || isLoopback(host.replace(/^\[|\]$/g, ''));
  const isRemote = (env['SSH_CONNECTION'] ?? '') !== '' || !isPrint;
  if (isOwn && isRemote) {
    const number = port === '' ? (protocol === 'https:' ? '443' : '80') : port;
    const target = `${userInfo().username}@${hostname()}`;
    lines.push(
      'It is an address of this machine. To open it on another one, run this there first, and leave it running:',
      `  ssh -N -L ${number}:${host}:${number} ${target}`,
    );
  }
  const others = urls.slice(1);
  if (others.length > 0)
    lines.push(`The page is also at ${others.join(', ')}: there, put the part from # on behind it.`);
  return `${lines.join('\n')}\n`;
}
