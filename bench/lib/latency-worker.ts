import { Agent, get } from 'node:http';
import { percentile } from './statistics.ts';

/** What latencies are measured of. */
export interface LatencyJob {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Each with one request at a time. */
  readonly connections: number;
  readonly seconds: number;
}

/** Milliseconds. */
export interface Latencies {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

/** Asks for one thing over and over, and prints how long the answers took. It is given its job as JSON. */
const { url, headers, connections, seconds } = JSON.parse(process.argv[2] ?? '{}') as LatencyJob;
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const stopAt = performance.now() + seconds * 1000;
const taken: number[] = [];

await Promise.all(Array.from({ length: connections }, askAgainAndAgain));
agent.destroy();
const latencies: Latencies = { count: taken.length, p50: percentile(taken, 0.5), p99: percentile(taken, 0.99) };
process.stdout.write(JSON.stringify(latencies));

async function askAgainAndAgain(): Promise<void> {
  while (performance.now() < stopAt) {
    const began = performance.now();
    await ask();
    taken.push(performance.now() - began);
  }
}

function ask(): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent, headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}`));
      response.on('error', reject).on('end', resolve).resume();
    }).on('error', reject);
  });
}
