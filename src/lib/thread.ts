import { extname } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { embeddedText } from './embedded.ts';

/**
 * Starts a thread whose program is a file beside the caller's: TypeScript in a checkout, JavaScript in a published package,
 * and text in a single executable, which has no files beside it.
 *
 * @param name of the file, without its ending; `scripts/bundle.ts` lists it
 * @param caller `import.meta` of the file beside it
 */
export function startThread(
  name: string,
  caller: Pick<ImportMeta, 'filename' | 'url'>,
  options: WorkerOptions = {},
): Worker {
  const embedded = embeddedText(`${name}.cjs`);
  if (embedded !== undefined) return new Worker(embedded, { ...options, eval: true });
  return new Worker(new URL(`./${name}${extname(caller.filename)}`, caller.url), options);
}
