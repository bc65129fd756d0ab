import type { OnReadOpts, Socket } from 'node:net';

/**
 * Lets a socket read into given buffers that was not made with `onread`: a TLS socket of `tls.connect({ socket })`, where
 * Node ignores the option (nodejs/node#63956), or one that a server accepted.
 *
 * It does what Node's own constructor does with `onread`, through private symbols, so it first looks whether everything is
 * as expected. Where it is not, bytes are copied out of `data` events: twice the processor time, the same bytes.
 *
 * To be called before anything arrived, or when all that did was read. Returns which way was taken.
 */
export function readInto(socket: Socket, onread: OnReadOpts): 'buffers' | 'events' {
  const internals = internalsOf(socket);
  if (internals === undefined || typeof onread.buffer !== 'function') {
    copyEvents(socket, onread);
    return 'events';
  }
  const first = onread.buffer();
  internals.fields[internals.buffer] = first;
  internals.fields[internals.generate] = onread.buffer;
  internals.fields[internals.callback] = (count: number, bytes: Uint8Array) => onread.callback(count, bytes);
  internals.handle.useUserBuffer(first);
  return 'buffers';
}

interface Internals {
  readonly fields: Record<symbol, unknown>;
  readonly buffer: symbol;
  readonly generate: symbol;
  readonly callback: symbol;
  readonly handle: { useUserBuffer(buffer: Uint8Array): void };
}

function internalsOf(socket: Socket): Internals | undefined {
  const fields = socket as unknown as Record<symbol, unknown>;
  const { _handle: handle } = socket as unknown as { readonly _handle?: Partial<Internals['handle']> | null };
  function unset(description: string): symbol | undefined {
    const found = Object.getOwnPropertySymbols(socket).filter((each) => each.description === description);
    return found.length === 1 && found[0] !== undefined && fields[found[0]] === null ? found[0] : undefined;
  }
  const [buffer, generate, callback] = [unset('kBuffer'), unset('kBufferGen'), unset('kBufferCb')];
  if (buffer === undefined || generate === undefined || callback === undefined) return undefined;
  if (typeof handle?.useUserBuffer !== 'function') return undefined;
  return { fields, buffer, generate, callback, handle: handle as Internals['handle'] };
}

/** The public way. Exported for its test. */
export function copyEvents(socket: Socket, onread: OnReadOpts): void {
  const next = (): Uint8Array => (typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer);
  let room = next();
  socket.on('data', (chunk: Buffer) => {
    let goOn = true;
    // What came is handed over whole, also where the reader has had enough: TLS itself does no less.
    for (let from = 0; from < chunk.length && !socket.destroyed; ) {
      const count = chunk.copy(room, 0, from);
      from += count;
      goOn = onread.callback(count, room);
      room = next();
    }
    if (!goOn) socket.pause();
  });
}
