import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type Answer, decode, encode, RECURSION_AVAILABLE } from 'dns-packet';
import { testPem } from './raw-server.ts';

/** What a scripted name server says to one question. */
export interface DnsReply {
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  /** RFC 1035 §4.1.1: 0 all is well, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED. @default 0 */
  readonly rcode?: number;
  /** Waited for before the answer is sent. */
  readonly after?: Promise<unknown>;
  /** Sent instead of an answer. */
  readonly raw?: Buffer;
  /** Instead of an answer: `silence`, or the `end` of the connection. */
  readonly instead?: 'silence' | 'end';
}

export interface DnsQuestionSeen {
  readonly name: string;
  readonly type: string;
  readonly id: number;
  /** Bytes of the query. */
  readonly length: number;
}

export interface ScriptedDnsServer {
  /** As `transport.dns.servers` takes it. */
  readonly address: string;
  readonly port: number;
  readonly questions: readonly DnsQuestionSeen[];
  /** How many connections were made to it. */
  readonly connections: () => number;
  close(): Promise<void>;
}

export type DnsScript = (question: DnsQuestionSeen) => DnsReply;

/** Answers with these addresses of names, each for `ttl` seconds; other names do not exist. */
export function zone(names: Readonly<Record<string, readonly string[]>>, { ttl = 60 } = {}): DnsScript {
  return ({ name, type }) => {
    const addresses = names[name];
    if (addresses === undefined) return { rcode: 3, authorities: [soa(ttl)] };
    const wanted = addresses.filter((address) => address.includes(':') === (type === 'AAAA'));
    const answers = wanted.map((data) => ({ name, type: type as 'A' | 'AAAA', ttl, data }));
    return answers.length === 0 ? { authorities: [soa(ttl)] } : { answers };
  };
}

/** The record that says how long a "no" holds. */
export function soa(minimum: number): Answer {
  const data = { mname: 'ns.test', rname: 'root.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum };
  return { name: 'test', type: 'SOA', ttl: minimum, data };
}

function replyTo(query: Buffer, { answers = [], authorities = [], rcode = 0, raw }: DnsReply): Buffer {
  if (raw !== undefined) return raw;
  const { id = 0, questions = [] } = decode(query);
  const flags = RECURSION_AVAILABLE | rcode;
  return encode({ type: 'response', id, flags, questions, answers: [...answers], authorities: [...authorities] });
}

function seen(query: Buffer): DnsQuestionSeen {
  const { id = 0, questions = [] } = decode(query);
  return { name: questions[0]?.name ?? '', type: questions[0]?.type ?? '', id, length: query.length };
}

const PEM = { key: testPem('server-key'), cert: testPem('server') };

/** A name server over TCP, on 127.0.0.1; `address` is `127.0.0.1:PORT`. */
export async function startTcpDnsServer(script: DnsScript): Promise<Pick<ScriptedDnsServer, 'address' | 'close'>> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)));
    answerFramed(socket, script);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Answers the questions of one connection, each with its length in front (RFC 1035 §4.2.2). */
function answerFramed(socket: Socket, script: DnsScript): void {
  let kept = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    kept = Buffer.concat([kept, bytes]);
    while (kept.length >= 2 && kept.length >= 2 + kept.readUInt16BE(0)) {
      const query = kept.subarray(2, 2 + kept.readUInt16BE(0));
      kept = kept.subarray(2 + query.length);
      const reply = script(seen(query));
      const answer = async (): Promise<void> => {
        await reply.after;
        if (reply.instead === 'end') socket.end();
        if (reply.instead !== undefined) return;
        const message = replyTo(query, reply);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(message.length);
        socket.write(Buffer.concat([length, message]));
      };
      void answer();
    }
  });
  socket.on('error', () => undefined);
}

/** A name server over TLS, on 127.0.0.1. */
export async function startDotServer(script: DnsScript): Promise<ScriptedDnsServer> {
  const questions: DnsQuestionSeen[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createTlsServer({ ...PEM, noDelay: true }, (socket) => {
    connections++;
    answerFramed(socket, (question) => {
      questions.push(question);
      return script(question);
    });
  });
  server.on('connection', (socket: Socket) => sockets.add(socket.on('close', () => sockets.delete(socket))));
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `tls://127.0.0.1:${port}#dns.registry.test`,
    port,
    questions,
    connections: () => connections,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A name server over HTTPS, on 127.0.0.1. */
export async function startDohServer(
  script: DnsScript,
  { status = 200, type = 'application/dns-message' } = {},
): Promise<ScriptedDnsServer> {
  const questions: DnsQuestionSeen[] = [];
  let connections = 0;
  const server = createHttpsServer(PEM, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const query = Buffer.concat(chunks);
      const right = request.method === 'POST' && request.headers['content-type'] === 'application/dns-message';
      if (!right) return void response.writeHead(415).end();
      const question = seen(query);
      questions.push(question);
      const reply = script(question);
      const answer = async (): Promise<void> => {
        await reply.after;
        if (reply.instead === 'end') response.destroy();
        if (reply.instead === undefined)
          response.writeHead(status, { 'content-type': type }).end(replyTo(query, reply));
      };
      void answer();
    });
  });
  server.on('connection', () => connections++);
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `https://127.0.0.1:${port}/dns-query`,
    port,
    questions,
    connections: () => connections,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
