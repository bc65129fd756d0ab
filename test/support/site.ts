import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request a site was asked. */
export interface SiteVisit {
  readonly method: string;
  /** Path and query, as they came. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

export interface ScriptedSite extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly visits: SiteVisit[];
  stop(): Promise<void>;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** A web site that says what a test tells it to, by path; anything else is 404. On 127.0.0.1, on a free port. */
export async function startSite(pages: Readonly<Record<string, Answer>>): Promise<ScriptedSite> {
  const visits: SiteVisit[] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    visits.push({ method, url, headers });
    const path = url.replace(/\?.*$/, '');
    const answer = pages[path] ?? pages[`${path.replace(/[^/]*$/, '')}*`] ?? pages['*'];
    if (answer === undefined) {
      response.writeHead(404).end('no such page');
      return;
    }
    void answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  let stopped: Promise<unknown> | undefined;
  function stop(): Promise<void> {
    server.closeAllConnections();
    stopped ??= once(server.close(), 'close');
    return stopped.then(() => undefined);
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    visits,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A page that is a file: with an entity tag, its length, and ranges of it (RFC 9110 §14). */
export function file(bytes: Buffer, headers: Readonly<Record<string, string>> = {}): Answer {
  return (request, response) => {
    const own = {
      etag: `"${bytes.length}-${bytes.subarray(0, 4).toString('hex')}"`,
      'accept-ranges': 'bytes',
      ...headers,
    };
    if (request.headers['if-none-match'] === own.etag) {
      response.writeHead(304, own).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const condition = request.headers['if-range'];
    if (range === null || (condition !== undefined && condition !== own.etag)) {
      response.writeHead(200, { ...own, 'content-length': bytes.length });
      response.end(request.method === 'HEAD' ? undefined : bytes);
      return;
    }
    const start = Number(range[1]);
    const end = range[2] === '' ? bytes.length - 1 : Math.min(Number(range[2]), bytes.length - 1);
    response.writeHead(206, {
      ...own,
      'content-length': end - start + 1,
      'content-range': `bytes ${start}-${end}/${bytes.length}`,
    });
    response.end(request.method === 'HEAD' ? undefined : bytes.subarray(start, end + 1));
  };
}

/** A page that leads elsewhere. */
export function redirect(status: number, location: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_request, response) => {
    response.writeHead(status, { location, ...headers }).end('moved');
  };
}
