import { randomBytes } from 'node:crypto';

/** The counter has 12 bits; it begins low, so that a millisecond has room for some thousands. */
const MOST = 0xfff;
const FIRST = 0xff;

let last = { time: 0, count: 0 };

/**
 * A UUID of version 7 whose text sorts after all that this process made before, also within a millisecond and when the clock
 * was set back: crypto.randomUUIDv7() promises neither.
 *
 * Source: RFC 9562 §5.7 and §6.2, method 1 (a counter in `rand_a`).
 */
export function orderedId(now: number = Date.now()): string {
  const random = randomBytes(9);
  if (now > last.time) last = { time: now, count: random.readUInt8(8) & FIRST };
  else if (last.count < MOST) last = { ...last, count: last.count + 1 };
  else last = { time: last.time + 1, count: 0 };
  const time = last.time.toString(16).padStart(12, '0');
  const count = last.count.toString(16).padStart(3, '0');
  // The variant is the two bits 10.
  random[0] = (random.readUInt8(0) & 0x3f) | 0x80;
  const rest = random.subarray(0, 8).toString('hex');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${count}-${rest.slice(0, 4)}-${rest.slice(4)}`;
}
