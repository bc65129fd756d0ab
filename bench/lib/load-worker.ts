import { connect } from 'node:net';
import type { Load } from './clients.ts';

/**
 * A load generator for machines without wrk: raw sockets, one request at a time on each, answers told apart by their
 * Content-Length. It is given its job as JSON and prints requests per second.
 */
const { url, accept, authorization, connections, seconds } = JSON.parse(process.argv[2] ?? '{}') as Load;
const target = new URL(url);
const login = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
const request = `GET ${target.pathname} HTTP/1.1\r\nHost: ${target.host}\r\nAccept: ${accept}\r\n${login}\r\n`;
const END_OF_HEAD = '\r\n\r\n';

const stopAt = performance.now() + seconds * 1000;
const began = performance.now();
const counts = await Promise.all(Array.from({ length: connections }, askAgainAndAgain));
const answered = counts.reduce((sum, count) => sum + count, 0);
process.stdout.write(String(answered / ((performance.now() - began) / 1000)));

function askAgainAndAgain(): Promise<number> {
  return new Promise((resolve, reject) => {
    let count = 0;
    let text = '';
    /** Bytes of the answer that are still to come; undefined before its head is here. */
    let missing: number | undefined;
    const socket = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    // Every byte is one character, so that lengths are the same.
    socket.setEncoding('latin1');
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`${target.host} closed a connection that was to be kept`)));
    socket.on('data', (chunk: string) => {
      if (missing === undefined) {
        text += chunk;
        const end = text.indexOf(END_OF_HEAD);
        if (end < 0) return;
        const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
        if (!text.startsWith('HTTP/1.1 200 ') || length === undefined) {
          reject(new Error(`${url} answered ${text.slice(0, 200)}`));
          socket.destroy();
          return;
        }
        missing = Number(length) - (text.length - end - END_OF_HEAD.length);
      } else missing -= chunk.length;
      if (missing > 0) return;
      count += 1;
      text = '';
      missing = undefined;
      if (performance.now() < stopAt) socket.write(request);
      else {
        socket.destroy();
        resolve(count);
      }
    });
    socket.write(request);
  });
}
