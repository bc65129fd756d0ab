import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Passwords to be guessed. */
export interface GuessJob {
  readonly url: string;
  readonly user: string;
  readonly guesses: number;
  readonly perSecond: number;
}

/** How many guesses were answered by each status. */
export type GuessReport = Readonly<Record<string, number>>;

/** Sends wrong passwords at a steady rate, each another one, and prints how they were answered. It is given its job as JSON. */
const { url, user, guesses, perSecond } = JSON.parse(process.argv[2] ?? '{}') as GuessJob;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const began = performance.now();
const statuses: Record<string, number> = {};
const answered: Promise<void>[] = [];
for (let guess = 0; guess < guesses; guess += 1) {
  const due = began + (guess / perSecond) * 1000;
  if (due > performance.now()) await sleep(due - performance.now());
  answered.push(send(guess));
}
await Promise.all(answered);
agent.destroy();
process.stdout.write(JSON.stringify(statuses));

function send(guess: number): Promise<void> {
  const authorization = `Basic ${Buffer.from(`${user}:guess-${guess}`).toString('base64')}`;
  return new Promise((resolve, reject) => {
    get(url, { agent, headers: { authorization } }, (response) => {
      const status = String(response.statusCode);
      statuses[status] = (statuses[status] ?? 0) + 1;
      response.on('error', reject).on('end', resolve).resume();
    }).on('error', reject);
  });
}
