import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';

/** What a pulling process is told, as JSON in its first argument. */
export interface TlsPullJob {
  /** On `localhost`. */
  readonly port: number;
  readonly path: string;
  /** Path of the PEM by which the server is trusted. */
  readonly caFile: string;
  /** The only one that is offered, of TLS 1.3. */
  readonly cipher: string;
  /** A file with the bytes of the blob. */
  readonly expected: string;
  /** How often it is pulled, on one connection. */
  readonly rounds: number;
}

/** What it says at the end, as JSON on standard output. */
export interface TlsPullReport {
  readonly bytes: number;
}

const END_OF_HEAD = '\r\n\r\n';

const job = JSON.parse(process.argv[2] ?? '{}') as TlsPullJob;
process.stdout.write(JSON.stringify({ bytes: await work(job) } satisfies TlsPullReport));

/** Pulls and compares every byte as it comes; throws where anything is not as it should be. */
async function work({ port, path, caFile, cipher, expected: file, rounds }: TlsPullJob): Promise<number> {
  const expected = readFileSync(file);
  const ca = readFileSync(caFile);
  const common = { host: '127.0.0.1', port, servername: 'localhost', ca };
  const socket = connect({ ...common, minVersion: 'TLSv1.3', ciphers: cipher, ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  if (socket.getCipher().name !== cipher) throw new Error(`It chose ${socket.getCipher().name}, not ${cipher}`);
  const request = `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAccept: */*\r\n\r\n`;
  let head: string | undefined = '';
  let received = 0;
  let done = 0;

  /** Takes what belongs to the head; returns what is left. */
  function takeHead(chunk: Buffer): Buffer {
    const before = head?.length ?? 0;
    head += chunk.toString('latin1');
    const end = head?.indexOf(END_OF_HEAD) ?? -1;
    if (end < 0) return chunk.subarray(chunk.length);
    const found = head?.slice(0, end) ?? '';
    const length = /^content-length: *(\d+)$/im.exec(found)?.[1];
    if (!found.startsWith('HTTP/1.1 200 ') || Number(length) !== expected.length)
      throw new Error(`It answered ${found}`);
    head = undefined;
    return chunk.subarray(end + END_OF_HEAD.length - before);
  }

  socket.write(request);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    const body = head === undefined ? chunk : takeHead(chunk);
    const end = received + body.length;
    if (end > expected.length || expected.compare(body, 0, body.length, received, end) !== 0) {
      throw new Error(`A byte between ${received} and ${end} is wrong`);
    }
    received = end;
    if (head !== undefined || received < expected.length) continue;
    done += 1;
    if (done === rounds) return done * expected.length;
    head = '';
    received = 0;
    socket.write(request);
  }
  throw new Error(`It ended after ${received} of ${expected.length} bytes`);
}
