import { isIP, type OnReadOpts, type Socket } from 'node:net';
import { abortedError, httpErrorOf } from '../error.ts';
import { HeadReader, parseResponseHead } from '../head/index.ts';
import { HttpError } from '../http-types.ts';
import { bytesOfV6, plainHost } from './address-policy.ts';
import { shownOutboundProxy } from './outbound-proxy.ts';
import type { DialTarget } from './target.ts';

/**
 * Opens a tunnel to a host through an outbound proxy, by CONNECT (RFC 9110 §9.3.6) or SOCKS5 (RFC 1928, with RFC 1929 for user
 * and password). Names are sent unresolved: the outbound proxy resolves them.
 */

interface TunnelOptions extends Pick<DialTarget, 'host' | 'port'> {
  readonly proxy: URL;
  /** Milliseconds until the outbound proxy has responded. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

const landing = Buffer.allocUnsafeSlow(16 * 1024);

/** The reads of one socket: collected here while the tunnel is opened, then handed to its user. */
export class TunnelReads {
  #user: OnReadOpts | undefined;
  #kept = Buffer.alloc(0);
  #waiting: { readonly enough: (bytes: Buffer) => boolean; readonly done: PromiseWithResolvers<void> } | undefined;
  #error: HttpError | undefined;
  readonly onread: OnReadOpts = {
    buffer: () => {
      const buffer = this.#user?.buffer ?? landing;
      return typeof buffer === 'function' ? buffer() : buffer;
    },
    callback: (count, bytes) => {
      if (this.#user !== undefined) return this.#user.callback(count, bytes);
      this.#kept = Buffer.concat([this.#kept, bytes.subarray(0, count)]);
      if (this.#kept.length > landing.length)
        this.fail(new HttpError('protocol', 'more than a head of an answer came'));
      this.#look();
      return this.#error === undefined;
    },
  };

  /** Waits until the bytes received are `enough`, and takes all of them. */
  async until(enough: (bytes: Buffer) => boolean): Promise<Buffer> {
    if (this.#error !== undefined) throw this.#error;
    if (!enough(this.#kept)) {
      this.#waiting = { enough, done: Promise.withResolvers() };
      await this.#waiting.done.promise;
    }
    const bytes = this.#kept;
    this.#kept = Buffer.alloc(0);
    return bytes;
  }

  fail(error: HttpError): void {
    this.#error ??= error;
    this.#waiting?.done.reject(this.#error);
    this.#waiting = undefined;
  }

  /** All later bytes go to `user`. */
  handTo(user: OnReadOpts): void {
    this.#user = user;
  }

  #look(): void {
    if (this.#waiting?.enough(this.#kept) !== true) return;
    this.#waiting.done.resolve();
    this.#waiting = undefined;
  }
}

/**
 * Opens a tunnel over a socket connected with `reads.onread`. Rejects with HttpError `refused`, `timeout`, `protocol`, `reset`
 * or `aborted`; the message names the outbound proxy without its credentials.
 */
export async function openTunnel(
  { socket, reads }: { readonly socket: Socket; readonly reads: TunnelReads },
  options: TunnelOptions,
): Promise<void> {
  const { proxy, host, port, timeout, signal } = options;
  const shown = shownOutboundProxy(proxy);
  const authority = `${host}:${port}`;
  const broken = (error?: Error): void => {
    const reason = error ?? new Error('it closed the connection');
    reads.fail(httpErrorOf(reason, { authority: `The outbound proxy ${shown}`, phase: 'head' }));
  };
  const ended = (): void => broken();
  const abort = (): void => reads.fail(abortedError(authority, signal?.reason));
  const timer = setTimeout(() => {
    const message = `${authority} did not answer in time: the outbound proxy ${shown} opened no tunnel to it within ${timeout} ms`;
    reads.fail(new HttpError('timeout', message));
  }, timeout);
  socket.on('error', broken).on('end', ended).on('close', ended);
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  try {
    const request = proxy.protocol.startsWith('socks5') ? requestSocks : requestConnect;
    const refusal = await request({ socket, reads }, options);
    if (refusal !== undefined) {
      const message = `${authority} cannot be reached: the outbound proxy ${shown} ${refusal}`;
      throw new HttpError('refused', message);
    }
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    // The error listener from the dial stays.
    socket.off('error', broken).off('end', ended).off('close', ended);
  }
}

type Tunnel = { readonly socket: Socket; readonly reads: TunnelReads };

/** The outbound proxy's reason for a refusal; undefined where the tunnel is open. */
async function requestConnect(
  { socket, reads }: Tunnel,
  { proxy, host, port }: TunnelOptions,
): Promise<string | undefined> {
  const authority = `${host}:${port}`;
  const { username, password } = credentialsOf(proxy);
  const authorization =
    username === ''
      ? ''
      : `proxy-authorization: Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${authorization}\r\n`, 'latin1');
  const bytes = await reads.until((received) => received.includes('\r\n\r\n'));
  const { used, head } = new HeadReader().push(bytes);
  const { status } = parseResponseHead(head ?? '', 'HEAD');
  if (status === 407) return 'wants another user and password (407)';
  if (status < 200 || status > 299) return `answered ${status}`;
  if (used < bytes.length) throw new HttpError('protocol', `${authority} sent data before the request`);
  return undefined;
}

/** RFC 1928 §6. */
const SOCKS_REPLIES: Readonly<Record<number, string>> = {
  1: 'failed',
  2: 'does not allow it',
  3: 'cannot reach its network',
  4: 'cannot reach it, or does not resolve its name',
  5: 'found no listener there',
  6: 'gave up on it',
  7: 'knows no CONNECT',
  8: 'knows no such kind of address',
};

async function requestSocks(
  { socket, reads }: Tunnel,
  { proxy, host, port }: TunnelOptions,
): Promise<string | undefined> {
  const { username, password } = credentialsOf(proxy);
  const methods = username === '' ? [0] : [0, 2];
  socket.write(Buffer.from([5, methods.length, ...methods]));
  const [version, method] = await reads.until((received) => received.length >= 2);
  if (version !== 5) throw new HttpError('protocol', `${shownOutboundProxy(proxy)} does not speak SOCKS5`);
  if (method === 2 && username !== '') {
    const [user, secret] = [Buffer.from(username, 'utf8'), Buffer.from(password, 'utf8')];
    if (user.length > 255 || secret.length > 255) return 'takes no user name or password longer than 255 bytes';
    socket.write(Buffer.concat([Buffer.from([1, user.length]), user, Buffer.from([secret.length]), secret]));
    const reply = await reads.until((received) => received.length >= 2);
    if (reply[1] !== 0) return 'wants another user and password';
  } else if (method !== 0) {
    return username === '' ? 'wants a user and password' : 'knows no user and password';
  }
  const address = socksAddress(plainHost(host));
  if (address === undefined) return 'takes no name longer than 255 bytes';
  socket.write(Buffer.concat([Buffer.from([5, 1, 0]), address, Buffer.from([port >> 8, port & 0xff])]));
  const reply = await reads.until((received) => received.length >= socksReplyLength(received));
  if (reply[0] !== 5) throw new HttpError('protocol', `${shownOutboundProxy(proxy)} does not speak SOCKS5`);
  if (reply[1] !== 0) return SOCKS_REPLIES[reply[1] ?? 1] ?? `answered ${reply[1]}`;
  if (reply.length > socksReplyLength(reply))
    throw new HttpError('protocol', `${host}:${port} sent data before the request`);
  return undefined;
}

/** The type of an address and the address (RFC 1928 §5). */
function socksAddress(host: string): Buffer | undefined {
  if (isIP(host) === 4) return Buffer.from([1, ...host.split('.').map(Number)]);
  if (isIP(host) === 6) return Buffer.from([4, ...bytesOfV6(host)]);
  const name = Buffer.from(host, 'utf8');
  return name.length > 255 ? undefined : Buffer.concat([Buffer.from([3, name.length]), name]);
}

/** The length of a reply, as far as its first bytes show; of a refusal only the first two bytes are read. */
function socksReplyLength(reply: Buffer): number {
  if (reply.length < 2) return 2;
  if (reply[0] !== 5 || reply[1] !== 0) return 2;
  if (reply.length < 5) return 5;
  if (reply[3] === 3) return 7 + (reply[4] ?? 0);
  return reply[3] === 4 ? 22 : 10;
}

function credentialsOf(proxy: URL): { readonly username: string; readonly password: string } {
  return { username: decoded(proxy.username), password: decoded(proxy.password) };
}

/** Percent-decoded; unchanged where a percent sign encodes nothing, as in some passwords. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
