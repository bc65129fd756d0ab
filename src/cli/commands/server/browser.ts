import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A program that shows a file or an address in the browser of the user. */
export interface Opener {
  /** The path of the program. */
  readonly command: string;
  /** In front of the address. */
  readonly arguments: readonly string[];
}

/** By the platform, the first that is there is taken. Windows has `start` in its shell alone, and this in its place. */
const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly (readonly [string, ...string[]])[]>>> = {
  darwin: [['open']],
  win32: [['rundll32.exe', 'url.dll,FileProtocolHandler']],
};
const ELSEWHERE = [['xdg-open'], ['sensible-browser'], ['wslview']] as const;

/** Finds what opens a browser here. Undefined where there is no display, where the display is of another machine, or where no program is found. */
export async function findOpener({
  env,
  platform,
}: {
  readonly env: NodeJS.ProcessEnv;
  readonly platform: NodeJS.Platform;
}): Promise<Opener | undefined> {
  const isDesktop = platform === 'darwin' || platform === 'win32';
  if ((env['SSH_CONNECTION'] ?? '') !== '') return undefined;
  if (!isDesktop && !env['DISPLAY'] && !env['WAYLAND_DISPLAY']) return undefined;
  for (const [name, ...before] of OPENERS[platform] ?? ELSEWHERE) {
    for (const directory of (env['PATH'] ?? '').split(delimiter)) {
      if (directory === '') continue;
      const command = join(directory, name);
      const isThere = await access(command, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (isThere) return { command, arguments: before };
    }
  }
  return undefined;
}

/** Milliseconds in which a program that opens browsers says that it cannot. Some stay as long as the browser. */
const SAYS_SO_MS = 1500;

/**
 * A file that leads a browser to an address, for its owner alone to read: every user of this machine can read the arguments of
 * a program, and the address holds a secret.
 */
export class BrowserPage implements AsyncDisposable {
  readonly #directory: string;
  readonly #file: string;

  private constructor(directory: string, file: string) {
    this.#directory = directory;
    this.#file = file;
  }

  static async write(url: string): Promise<BrowserPage> {
    // mkdtemp makes it 0700.
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-console-'));
    const file = join(directory, 'console.html');
    const address = JSON.stringify(url).replaceAll('<', '\\u003c');
    const html = `<!doctype html><meta charset="utf-8"><title>entrepot</title><script>location.replace(${address})</script>\n`;
    await writeFile(file, html, { mode: 0o600, flag: 'wx' });
    return new BrowserPage(directory, file);
  }

  /** Why the browser cannot be opened; undefined where it was. */
  async open({ command, arguments: before }: Opener): Promise<string | undefined> {
    const child = spawn(command, [...before, pathToFileURL(this.#file).href], { stdio: 'ignore', detached: true });
    const silence = AbortSignal.timeout(SAYS_SO_MS);
    try {
      const [code, signal] = await once(child, 'exit', { signal: silence });
      return code === 0 ? undefined : `it ended with ${signal ?? code}`;
    } catch (error) {
      return silence.aborted ? undefined : String(error instanceof Error ? error.message : error);
    } finally {
      child.on('error', () => {});
      child.unref();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
