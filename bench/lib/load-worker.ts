import type { Load } from './clients.ts';
import { Connections } from './connections.ts';

/** A load generator for machines without wrk. It is given its job as JSON and prints requests per second. */
const { seconds, ...asked } = JSON.parse(process.argv[2] ?? '{}') as Load;
const connections = new Connections(asked);
const began = performance.now();
const answered = await connections.askFor(seconds * 1000);
process.stdout.write(String(answered / ((performance.now() - began) / 1000)));
connections.close();
