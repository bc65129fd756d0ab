import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A registry to clients: what reads goes to one server, what writes to another. */
export interface SplitFront extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
}

/**
 * Puts a mirror, which serves reads alone, in front of the registry that is its upstream, for programs that push before
 * they pull. GET and HEAD go to the mirror. Every other method goes to the registry, and so does each request of an
 * upload session (distribution-spec, end-5, end-13), which exists at the registry only.
 *
 * @param reads  origin of the mirror, `http://127.0.0.1:PORT`
 * @param writes origin of the registry
 */
export async function startSplitFront({ reads, writes }: { reads: string; writes: string }): Promise<SplitFront> {
  const server = createServer((incoming, outgoing) => {
    const { method, url: path = '' } = incoming;
    const isRead = (method === 'GET' || method === 'HEAD') && !path.includes('/blobs/uploads/');
    pass(incoming, outgoing, isRead ? reads : writes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Passes a request on as it came, `Host` included: the registry makes its `Location` of it. */
function pass(incoming: IncomingMessage, outgoing: ServerResponse, target: string): void {
  const { hostname, port } = new URL(target);
  const { method, url: path, rawHeaders: headers } = incoming;
  const passed = request({ hostname, port, agent: false, method, path, headers }, (answer) => {
    answer.on('error', () => outgoing.destroy());
    outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders);
    answer.pipe(outgoing);
  });
  passed.on('error', () => outgoing.destroy());
  outgoing.on('close', () => passed.destroy());
  incoming.pipe(passed);
}
