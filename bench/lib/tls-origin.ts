import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { content } from '../../test/support/image.ts';
import type { Workspace } from '../../test/support/processes.ts';
import { startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { type OriginBlob, REPOSITORY } from './origin.ts';

const TLS = new URL('../../test/support/tls/', import.meta.url);

/** The origin's blob behind TLS, in the process of the bench. */
export interface TlsOrigin {
  /** `https://localhost:PORT`, of a registry. */
  readonly registryUrl: string;
  /** `https://localhost:PORT`, of a site that is no registry and sends the blob for any path. */
  readonly url: string;
  /** Path of the PEM by which both are to be trusted. */
  readonly caFile: string;
}

/** Starts both; they end with the workspace. */
export async function startTlsOrigin(workspace: Workspace, blob: OriginBlob): Promise<TlsOrigin> {
  const [key, cert, bytes] = await Promise.all([
    readFile(new URL('server-key.pem', TLS), 'utf8'),
    readFile(new URL('server.pem', TLS), 'utf8'),
    readFile(blob.file),
  ]);
  const registry = await startScriptedUpstream({ tls: { key, cert }, host: 'localhost' });
  workspace.defer(() => registry.stop());
  registry.addBlob(REPOSITORY, content('application/octet-stream', bytes));
  const site = createServer({ key, cert }, (request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.length });
    if (request.method === 'HEAD') response.end();
    else response.end(bytes);
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  workspace.defer(async () => {
    const closed = new Promise((resolve) => site.close(resolve));
    site.closeAllConnections();
    await closed;
  });
  const { port } = site.address() as AddressInfo;
  return { registryUrl: registry.url, url: `https://localhost:${port}`, caFile: fileURLToPath(new URL('ca.pem', TLS)) };
}
