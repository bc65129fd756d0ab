import { createHash } from 'node:crypto';

const GiB = 2 ** 30;
const PIECE = 256 * 1024;

/** CPU seconds that SHA-256 of a GiB takes in this process, found by hashing `bytes` in pieces, the way a transfer does. */
export function sha256SecondsPerGiB(bytes: number): number {
  const piece = Buffer.alloc(PIECE, 'entrepot');
  const pieces = Math.max(1, Math.round(bytes / PIECE));
  const hash = createHash('sha256');
  const before = process.cpuUsage();
  for (let i = 0; i < pieces; i++) hash.update(piece);
  hash.digest();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6 / ((pieces * PIECE) / GiB);
}
