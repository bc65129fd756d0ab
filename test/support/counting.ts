import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Workspace } from './processes.ts';

/** What a started server has read from its upstreams. */
export interface CountedReads {
  /** For {@link startEntrepot}. */
  readonly env: NodeJS.ProcessEnv;
  /**
   * Bytes that it has read up to now from scripted upstreams, heads included. What these have sent is more: on one machine
   * megabytes of it rest in the buffers of a connection that the server closes.
   *
   * @throws {Error} where the server does not say so within ten seconds
   */
  readonly readFrom: (upstreams: readonly { readonly url: string; readonly cdnUrl: string }[]) => Promise<number>;
}

const COUNTER = new URL('counted-reads.ts', import.meta.url).href;

/** Counts what one server reads that is started with `env`. */
export function countReads(workspace: Workspace): CountedReads {
  const file = workspace.path(`reads-${randomUUID()}.json`);
  return {
    env: { NODE_OPTIONS: `--import ${COUNTER}`, FAULTS_READS: file },
    readFrom: (upstreams) => {
      const urls = upstreams.flatMap(({ url, cdnUrl }) => [url, cdnUrl]);
      return readSum(
        file,
        urls.map((url) => new URL(url).port),
      );
    },
  };
}

async function readSum(file: string, ports: readonly string[]): Promise<number> {
  const now = Date.now();
  for (let turn = 0; turn < 500; turn += 1) {
    try {
      const said = JSON.parse(readFileSync(file, 'utf8')) as { at: number; ports: Record<string, number> };
      if (said.at >= now) return ports.reduce((sum, port) => sum + (said.ports[port] ?? 0), 0);
    } catch {
      // Not yet.
    }
    await sleep(20);
  }
  throw new Error('The server does not say what it has read');
}
