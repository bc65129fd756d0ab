import { readFile } from 'node:fs/promises';

/** The two ends of a connection of this machine, as this server sees it. */
export interface Ends {
  /** The client's: an address of the loopback network, and its port. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** A table of sockets, as Linux shows it; rejects where there is none. */
export type ReadTable = (family: 'tcp' | 'tcp6') => Promise<string>;

const readProc: ReadTable = (family) => readFile(`/proc/self/net/${family}`, 'latin1');

/**
 * The user whose process holds the client's end of a connection of this machine.
 *
 * @returns its uid; undefined where the system does not tell, as outside of Linux; `none` where no process holds it any more
 * @see proc_pid_net(5), `/proc/pid/net/tcp`
 */
export async function ownerOfPeer(ends: Ends, read: ReadTable = readProc): Promise<number | 'none' | undefined> {
  let isTold = false;
  for (const family of ['tcp', 'tcp6'] as const) {
    let table: string;
    try {
      table = await read(family);
    } catch {
      // Without IPv6 there is no tcp6.
      continue;
    }
    isTold = true;
    const local = formatEnd(ends.remoteAddress, ends.remotePort, family);
    const remote = formatEnd(ends.localAddress, ends.localPort, family);
    if (local === undefined || remote === undefined) continue;
    const at = table.indexOf(`: ${local} ${remote} `);
    if (at === -1) continue;
    const end = table.indexOf('\n', at);
    // local, remote, state, queues, timer, retransmits, uid, timeout, inode
    const [, , , , , , , uid, , inode] = table.slice(at, end === -1 ? undefined : end).split(/\s+/);
    // What no process holds any more counts as the root's.
    if (uid === undefined || inode === undefined || !/^\d+$/.test(uid) || !/^[1-9]\d*$/.test(inode)) return 'none';
    return Number(uid);
  }
  return isTold ? 'none' : undefined;
}

/** `0100007F:1388`: each four bytes of an address as a number of the machine, and the port. */
function formatEnd(address: string, port: number, family: 'tcp' | 'tcp6'): string | undefined {
  const bytes = bytesOf(address, family);
  if (bytes === undefined) return undefined;
  const words = Array.from({ length: bytes.length / 4 }, (_, at) =>
    new DataView(bytes.buffer).getUint32(4 * at, isLittle),
  );
  const text = words.map((word) => word.toString(16).padStart(8, '0')).join('');
  return `${text}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

const isLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Of an address of the loopback network: IPv4, IPv4 within IPv6, and `::1`. */
function bytesOf(address: string, family: 'tcp' | 'tcp6'): Uint8Array<ArrayBuffer> | undefined {
  const plain = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(address)?.slice(1).map(Number);
  if (family === 'tcp') return plain === undefined ? undefined : Uint8Array.from(plain);
  const bytes = new Uint8Array(16);
  if (plain !== undefined) bytes.set([0xff, 0xff, ...plain], 10);
  else if (address === '::1') bytes[15] = 1;
  else return undefined;
  return bytes;
}
