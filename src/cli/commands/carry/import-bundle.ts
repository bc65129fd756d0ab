import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { controlSocketPath, type ImportedBundle, OPERATIONS, sendControl, UPLOADS } from '../../../admin/index.ts';
import { isTar } from '../../../bundle/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson, formatProgress } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput } from '../../output.ts';
import { progressDisplay } from '../../progress-display.ts';
import { runServerCommand } from '../../server-command.ts';
import { clean } from './image-bars.ts';

/** The options of `entrepot import`, where the files are bundles. */
export interface ImportBundlesOptions extends CommandOptions {
  readonly files: readonly string[];
  /** An option was given that only an imported configuration has. */
  readonly isForConfiguration?: boolean;
}

interface Places {
  /** @default that of the process */
  readonly stdin?: Readable;
  /** @default that of the process */
  readonly cwd?: string;
}

interface ImportSurroundings extends Surroundings, Places {}

/** What tells a bundle from a configuration: the first block of a tar archive. */
const FIRST_BLOCK = 512;
const CHUNK = 256 * 1024;
/** Images that are shown. */
const MAX_SHOWN = 100;

/** What files are, and standard input, of which the first bytes may have been looked at. */
export interface LookedAt {
  /** Whether one of the files is a bundle. */
  readonly areBundles: boolean;
  /** To be read in place of standard input. */
  readonly stdin: Readable;
}

/** Looks at files, of which `-` is standard input. */
export async function lookAtFiles(
  files: readonly string[],
  { stdin = process.stdin, cwd = process.cwd() }: Places = {},
): Promise<LookedAt> {
  const peeked = files.includes('-') ? await peek(stdin, FIRST_BLOCK) : { start: Buffer.alloc(0), stream: stdin };
  let areBundles = isTar(peeked.start);
  for (const file of files) areBundles ||= file !== '-' && (await isBundle(file, cwd));
  return { areBundles, stdin: peeked.stream };
}

/** False where it cannot be read, or is a pipe: its other reader says why. */
async function isBundle(file: string, cwd: string): Promise<boolean> {
  try {
    const handle = await open(resolve(cwd, file));
    try {
      if (!(await handle.stat()).isFile()) return false;
      const start = Buffer.alloc(FIRST_BLOCK);
      const { bytesRead } = await handle.read(start, 0, FIRST_BLOCK, 0);
      return isTar(start.subarray(0, bytesRead));
    } finally {
      await handle.close();
    }
  } catch {
    return false;
  }
}

/**
 * `entrepot import` of bundles, in their order: into the running server, or into a cache directory without one.
 *
 * @returns the exit code: failure where an image was refused; later bundles are then left out
 */
export async function importBundles(
  { files, isForConfiguration = false, ...options }: ImportBundlesOptions,
  surroundings: ImportSurroundings = {},
): Promise<number> {
  const { output = processOutput, cwd = process.cwd() } = surroundings;
  let stdin = surroundings.stdin ?? process.stdin;
  if (isForConfiguration) {
    output.err('error: --output and --force are for configurations; a bundle goes into the cache directory\n');
    return EXIT.usage;
  }
  if (files.filter((file) => file === '-').length > 1) {
    output.err('error: found - a second time, and standard input can be read once\n');
    return EXIT.usage;
  }
  for (const file of files) {
    if (file === '-') {
      const { start, stream } = await peek(stdin, FIRST_BLOCK);
      stdin = stream;
      if (isTar(start)) continue;
    } else if (await isBundle(file, cwd)) continue;
    output.err(`error: found bundles and files of other kinds (${clean(file)}); import them apart\n`);
    return EXIT.usage;
  }
  for (const file of files) {
    const code = await importBundle({ ...options, file }, { ...surroundings, stdin });
    if (code !== EXIT.ok) return code;
  }
  return EXIT.ok;
}

/** The first bytes of a stream, fewer only where it has no more, and a stream that begins with them. */
async function peek(stream: Readable, count: number): Promise<{ readonly start: Buffer; readonly stream: Readable }> {
  const chunks: Buffer[] = [];
  let size = 0;
  while (size < count && !stream.readableEnded) {
    const chunk = stream.read() as Buffer | string | null;
    if (chunk === null) await more(stream);
    else {
      chunks.push(Buffer.from(chunk));
      size += chunk.length;
    }
  }
  const start = Buffer.concat(chunks);
  if (stream.readableEnded) return { start, stream: Readable.from([start]) };
  stream.unshift(start);
  return { start, stream };
}

/** Resolves when a stream has more bytes, or has ended. */
function more(stream: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      for (const event of ['readable', 'end', 'close']) stream.off(event, onMore);
      stream.off('error', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onMore = (): void => settle();
    if (stream.errored !== null) return reject(stream.errored);
    if (stream.destroyed) return reject(new Error('Cannot read standard input: it is closed'));
    for (const event of ['readable', 'end', 'close']) stream.on(event, onMore);
    stream.on('error', settle);
  });
}

function importBundle(
  { file, flags, json = false }: CommandOptions & { readonly file: string },
  surroundings: ImportSurroundings,
): Promise<number> {
  const { output = processOutput, isTerminal = process.stderr.isTTY, interrupt, cwd = process.cwd() } = surroundings;
  const { stdin = process.stdin } = surroundings;
  return withInterrupt(interrupt, async (signal) => {
    const path = file === '-' ? undefined : resolve(cwd, file);
    const size = path === undefined ? undefined : (await statOf(path)).size;
    const display = progressDisplay(output, json ? 'quiet' : isTerminal ? 'in place' : 'by line', (bytes: number) =>
      formatProgress({ bytes, ...(size === undefined ? {} : { size }) }),
    );
    let bytes = 0;
    const read = (): Readable =>
      // Begun by its reader, so that nothing of it fails before.
      Readable.from(
        chunksOf(path === undefined ? stdin : createReadStream(path, { highWaterMark: CHUNK }), {
          signal,
          onBytes: (count) => {
            bytes += count;
            display.show(bytes);
          },
        }),
        { highWaterMark: 2 },
      );
    let report: ImportedBundle | undefined;
    try {
      return await runServerCommand(
        {
          flags,
          // Whether a server runs; the stream goes to it apart.
          operation: OPERATIONS.warmJobs,
          input: {},
          create: true,
          alone: async (owned) => {
            const { importAlone } = await import('./own-carry.ts');
            report = await importAlone(owned, read());
            return { jobs: [] };
          },
          show: async (_, dir) => {
            const done =
              report ?? (await sendControl(controlSocketPath(dir), UPLOADS.bundleImport, { body: read(), signal }));
            display.end();
            output.out(json ? formatJson(done) : formatImported(file === '-' ? 'standard input' : file, done));
            return done.images.every(({ outcome }) => outcome !== 'refused') ? EXIT.ok : EXIT.failure;
          },
        },
        output,
      );
    } catch (error) {
      if (!signal.aborted) throw error;
      display.end();
      output.err(
        'Interrupted. An image is recorded whole or not at all; the same command goes on with the blobs that are stored.\n',
      );
      return EXIT.interrupted;
    } finally {
      display.end();
      // Else the process waits for what nothing reads.
      if (path === undefined) stdin.destroy();
    }
  });
}

async function* chunksOf(
  source: Readable,
  { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes: (count: number) => void },
): AsyncGenerator<Buffer, void> {
  // A pipe may have nothing to read for long, and would keep the command from ending.
  const stop = (): void => void source.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of source) {
      signal.throwIfAborted();
      onBytes((chunk as Buffer).length);
      yield chunk as Buffer;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    source.destroy();
  }
}

async function statOf(path: string): Promise<{ readonly size: number }> {
  const handle = await open(path);
  try {
    return await handle.stat();
  } finally {
    await handle.close();
  }
}

export function formatImported(file: string, { images, blobs, bytes, present }: ImportedBundle): string {
  const of = (wanted: ImportedBundle['images'][number]['outcome']) =>
    images.filter(({ outcome }) => outcome === wanted);
  const [refused, newer, unchanged] = [of('refused'), of('newer'), of('unchanged')];
  const lines = refused
    .slice(0, MAX_SHOWN)
    .map(({ image, reason }) => `${clean(image)}: ${clean(reason ?? 'refused')}`);
  if (refused.length > MAX_SHOWN) lines.push(`and ${refused.length - MAX_SHOWN} more`);
  const rest = [
    ...(unchanged.length > 0 ? [`${unchanged.length} were there`] : []),
    ...(newer.length > 0
      ? [`${newer.length} left as they are, since an upstream confirmed them later than the bundle`]
      : []),
  ];
  const beside = rest.length === 0 ? '' : `, ${rest.join(', ')}`;
  lines.push(`Imported ${count(of('imported').length, 'image')} from ${file}${beside}.`);
  lines.push(`${count(blobs, 'blob')} stored (${formatBytes(bytes)}), ${present} were there.`);
  if (refused.length > 0)
    lines.push(
      `${count(refused.length, 'image')} refused: nothing of ${refused.length === 1 ? 'it' : 'them'} was recorded.`,
    );
  return `${lines.join('\n')}\n`;
}
