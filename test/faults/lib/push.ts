import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Content } from '../../support/image.ts';
import { parseResponse, type RawResponse } from '../../support/raw-request.ts';

/** A connection that ended before a whole answer came. */
export class Lost extends Error {
  override readonly name = 'Lost';
}

export interface PushRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Buffer | undefined;
  /** Sent in pieces without a length (RFC 9112, section 7.1). */
  readonly isChunked?: boolean | undefined;
}

/**
 * One client's bytes on their way to the server, over all requests of a push, each on a connection of its own. After so many bytes it is
 * gone, in the middle of whatever it sends: a head, a chunk, the bytes of a layer.
 */
export class Wire {
  readonly #onBytes: ((sent: number) => void) | undefined;
  #left: number;
  #sent = 0;

  /** @param options `cutAfter`: bytes after which the client is gone; `onBytes` hears how many were sent */
  constructor({
    cutAfter = Number.POSITIVE_INFINITY,
    onBytes,
  }: { readonly cutAfter?: number; readonly onBytes?: (sent: number) => void } = {}) {
    this.#left = cutAfter;
    this.#onBytes = onBytes;
  }

  get sent(): number {
    return this.#sent;
  }

  get isCut(): boolean {
    return this.#left <= 0;
  }

  /** @throws {Lost} where the client is gone, or the connection ends before a whole answer came */
  ask(host: string, request: PushRequest): Promise<RawResponse> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = new URL(`http://${host}`);
      const received: Buffer[] = [];
      let failure = 'the connection ended';
      const socket = connect({ host: hostname, port: Number(port) });
      const timer = setTimeout(() => {
        failure = `no answer to ${request.method} ${request.path} within ${ANSWER_WITHIN} ms`;
        socket.destroy();
      }, ANSWER_WITHIN);
      socket.on('connect', () => void this.#send(socket, bytesOf(host, request)));
      socket.on('data', (chunk: Buffer) => received.push(chunk));
      socket.on('error', (error: NodeJS.ErrnoException) => (failure = error.code ?? error.message));
      socket.on('close', () => {
        clearTimeout(timer);
        if (this.isCut) return reject(new Lost('the client is gone'));
        try {
          const answer = parseResponse(Buffer.concat(received), { head: request.method === 'HEAD' });
          if (answer.whole || request.method === 'HEAD') return resolve(answer);
        } catch {}
        reject(new Lost(failure));
      });
    });
  }

  async #send(socket: Socket, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !socket.destroyed; ) {
      const size = Math.min(PIECE, bytes.length - at, this.#left);
      const piece = bytes.subarray(at, at + size);
      // What was written is out before the next, so that a cut or a kill is where it was meant to be.
      if (size > 0) await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
      at += size;
      this.#left -= size;
      this.#sent += size;
      this.#onBytes?.(this.#sent);
      if (!this.isCut) continue;
      // As an end, and as a reset.
      if (randomInt(2) === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}

const ANSWER_WITHIN = 60_000;
const PIECE = 16 * 1024;

function bytesOf(host: string, { method, path, headers = {}, body = Buffer.alloc(0), isChunked }: PushRequest): Buffer {
  const framing = isChunked === true ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(body.length) };
  const needsFraming = method !== 'GET' && method !== 'HEAD';
  const all = { host, connection: 'close', ...(needsFraming ? framing : {}), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  const head = Buffer.from([`${method} ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
  return Buffer.concat([head, isChunked === true ? chunked(body) : body]);
}

function chunked(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += PIECE) {
    const piece = body.subarray(at, at + PIECE);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

/** Where a push goes, and as whom. */
export interface Destination {
  /** The server of this moment: it may be another after a restart. */
  readonly host: () => string;
  readonly repository: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly wire: Wire;
}

/** An upload as far as its client has heard of it. */
export interface KnownUpload {
  /** The latest location. */
  location: string | undefined;
  /** Bytes that an answer has acknowledged. */
  acknowledged: number;
}

/**
 * The ways in which clients send a blob.
 *
 * - `one request`: `POST ?digest=` with the bytes.
 * - `post, put`: containerd, crane, oras, regctl.
 * - `stream`: `PATCH` in chunks of HTTP, without a length, then an empty `PUT`: docker, podman.
 * - `chunks`: the .NET SDK in its chunked mode, `DOTNET_CONTAINER_DEBUG_REGISTRY_FORCE_CHUNKED_UPLOAD=true`, 64 KiB a chunk
 *   (dotnet/sdk, src/Containers/Microsoft.NET.Build.Containers/Registry: `Registry.UploadBlobChunkedAsync` and
 *   `DefaultBlobUploadOperations`):
 *
 *       POST  /v2/NAME/blobs/uploads/                 Content-Length: 0
 *       PATCH LOCATION                                Content-Length: N, Content-Range: 0-(N-1), no Content-Type
 *       PATCH LOCATION of the answer before           Content-Length: N, Content-Range: N-(2N-1)
 *       …
 *       PUT   LOCATION?…&digest=sha256%3A…            Content-Length: 0
 *
 *   The range has no unit, the last chunk is shorter, the colon of the digest is escaped, and `&digest=` is put behind whatever query the
 *   location has: where it has none, `UriBuilder` makes that `?&digest=`. Each answer to a `PATCH` has to be 202 with a `Location`.
 */
export const WAYS = ['one request', 'post, put', 'stream', 'chunks'] as const;
export type Way = (typeof WAYS)[number];

export const CHUNK = 64 * 1024;

/**
 * Sends a blob in one of the ways.
 *
 * @param upload hears what was acknowledged
 * @returns the first answer that is no success, or the last
 * @throws {Lost}
 */
export async function sendBlob(
  to: Destination,
  blob: Content,
  { way, upload = { location: undefined, acknowledged: 0 } }: { readonly way: Way; readonly upload?: KnownUpload },
): Promise<RawResponse> {
  const { digest, bytes } = blob;
  const uploads = `/v2/${to.repository}/blobs/uploads/`;
  if (way === 'one request') return ask(to, { method: 'POST', path: `${uploads}?digest=${digest}`, body: bytes });
  const begun = await ask(to, { method: 'POST', path: uploads });
  if (begun.status !== 202) return begun;
  upload.location = begun.headers['location'];
  return finishBlob(to, blob, { way, upload });
}

/** Goes on with an upload from where it is. */
export async function finishBlob(
  to: Destination,
  { digest, bytes }: Content,
  { way, upload }: { readonly way: Way; readonly upload: KnownUpload },
): Promise<RawResponse> {
  if (way === 'stream' && upload.acknowledged < bytes.length) {
    const body = bytes.subarray(upload.acknowledged);
    const answer = await ask(to, { method: 'PATCH', path: upload.location ?? '', body, isChunked: true });
    if (answer.status !== 202) return answer;
    note(upload, answer, bytes.length);
  }
  const chunkedUntil = way === 'chunks' ? bytes.length : 0;
  while (upload.acknowledged < chunkedUntil) {
    const first = upload.acknowledged;
    const body = bytes.subarray(first, first + CHUNK);
    const end = first + body.length;
    const headers = { 'content-range': `${first}-${end - 1}` };
    const answer = await ask(to, { method: 'PATCH', path: upload.location ?? '', headers, body });
    if (answer.status !== 202) return answer;
    note(upload, answer, end);
  }
  const rest = bytes.subarray(upload.acknowledged);
  const location = upload.location ?? '';
  const query =
    way === 'chunks'
      ? `${location.includes('?') ? '' : '?'}&digest=${encodeURIComponent(digest)}`
      : `${location.includes('?') ? '&' : '?'}digest=${digest}`;
  return ask(to, { method: 'PUT', path: `${location}${query}`, body: rest });
}

function note(upload: KnownUpload, { headers }: RawResponse, size: number): void {
  upload.location = headers['location'] ?? upload.location;
  upload.acknowledged = size;
}

/** Asks how far an upload is. @returns the answer, and the bytes that are there; undefined where it is unknown */
export async function askHowFar(
  to: Destination,
  upload: KnownUpload,
): Promise<{ readonly answer: RawResponse; readonly size: number | undefined }> {
  const answer = await ask(to, { method: 'GET', path: upload.location ?? '' });
  const last = /^0-(\d+)$/.exec(answer.headers['range'] ?? '')?.[1];
  // `0-0` is one byte or none (distribution-spec, "Pushing a blob in chunks"): this server never keeps a single one.
  const size = last === undefined ? undefined : last === '0' ? 0 : Number(last) + 1;
  return { answer, size: answer.status === 204 ? size : undefined };
}

export function ask({ host, headers, wire }: Destination, request: PushRequest): Promise<RawResponse> {
  return wire.ask(host(), { ...request, headers: { ...headers, ...request.headers } });
}

export function sendManifest(to: Destination, { mediaType, bytes }: Content, reference: string): Promise<RawResponse> {
  const path = `/v2/${to.repository}/manifests/${reference}`;
  return ask(to, { method: 'PUT', path, headers: { 'content-type': mediaType }, body: bytes });
}
