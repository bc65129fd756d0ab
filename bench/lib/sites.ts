import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
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
  const port = await listen(workspace, createHttpsServer({ key, cert }, sender(bytes)));
  return { registryUrl: registry.url, url: `https://localhost:${port}`, caFile: fileURLToPath(new URL('ca.pem', TLS)) };
}

/** A site that is no registry. */
export interface Site {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** How often it has sent the whole blob. */
  bodies(): number;
}

/** Starts a site that sends the blob for any path, with a strong validator; it ends with the workspace. */
export async function startSite(workspace: Workspace, blob: OriginBlob): Promise<Site> {
  let sent = 0;
  const send = sender(await readFile(blob.file), () => (sent += 1));
  const port = await listen(workspace, createServer(send));
  return { url: `http://127.0.0.1:${port}`, bodies: () => sent };
}

function sender(bytes: Buffer, onSent: () => void = () => undefined): RequestListener {
  return (request, response) => {
    const headers = { 'content-type': 'application/octet-stream', 'content-length': bytes.length, etag: '"1"' };
    if (request.headers['if-none-match'] === '"1"') return void response.writeHead(304, { etag: '"1"' }).end();
    response.writeHead(200, headers);
    if (request.method === 'HEAD') return void response.end();
    onSent();
    response.end(bytes);
  };
}

async function listen(workspace: Workspace, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve));
  workspace.defer(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}
