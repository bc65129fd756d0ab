import type { OnReadOpts, Socket } from 'node:net';

/**
 * Makes a socket that was created without `onread` read into given buffers: a TLS socket of `tls.connect({ socket })`, where
 * Node ignores the option (nodejs/node#63956), or one accepted by a server.
 *
 * It does through private symbols what Node's own constructor does with `onread`, after a check that they are as expected.
 * Otherwise it copies the bytes of `data` events, for twice the processor time.
 *
 * To be called before any byte arrives, or when all received bytes are read. Returns the method used.
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

/** The method with Node's public API. Exported for its test. */
export function copyEvents(socket: Socket, onread: OnReadOpts): void {
  const next = (): Uint8Array => (typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer);
  let room = next();
  socket.on('data', (chunk: Buffer) => {
    let goOn = true;
    // The whole chunk is handed over even where the reader asks to pause, as TLS itself does.
    for (let from = 0; from < chunk.length && !socket.destroyed; ) {
      const count = chunk.copy(room, 0, from);
      from += count;
      goOn = onread.callback(count, room);
      room = next();
    }
    if (!goOn) socket.pause();
  });
}
