import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readUntilItEnds, type Scope } from '../../../test/support/cache-world.ts';
import { CuedBody } from '../../../test/support/fake-origin.ts';
import type { SiteVersion } from '../../../test/support/fake-site.ts';
import { noise } from '../../../test/support/image.ts';
import { diskFull } from '../../../test/support/strict-store.ts';
import { urlStage } from '../../../test/support/url-stage.ts';

/** What happens next to one URL, its site and those who read it. */
type Step =
  | { readonly kind: 'ask'; readonly range: string | undefined; readonly personal: boolean; readonly head: boolean }
  | { readonly kind: 'leave'; readonly reader: number }
  | { readonly kind: 'piece'; readonly length: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'change' }
  | { readonly kind: 'wait'; readonly turns: number };

interface Circumstances {
  readonly sizes: readonly number[];
  readonly saysLength: boolean;
  readonly doesRanges: boolean;
  readonly doesConditions: boolean;
  /** The disk is full from this write on. */
  readonly fullFrom: number | undefined;
  readonly cacheControl: string;
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      range: fc.option(
        fc.tuple(fc.nat(4000), fc.option(fc.nat(4000))).map(([start, end]) => `bytes=${start}-${end ?? ''}`),
        { nil: undefined, freq: 3 },
      ),
      personal: fc.integer({ min: 0, max: 5 }).map((chance) => chance === 0),
      head: fc.integer({ min: 0, max: 8 }).map((chance) => chance === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), reader: fc.nat(10) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('piece' as const), length: fc.nat(2000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('change' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), turns: fc.nat(4) }) },
);

const circumstances: fc.Arbitrary<Circumstances> = fc.record({
  // The same size for most: nothing but the tag tells the versions apart.
  sizes: fc.oneof(
    { weight: 3, arbitrary: fc.nat(4000).map((size) => [size]) },
    fc.array(fc.nat(4000), { minLength: 1, maxLength: 3 }),
  ),
  saysLength: fc.boolean(),
  doesRanges: fc.boolean(),
  doesConditions: fc.boolean(),
  fullFrom: fc.option(fc.nat(6), { nil: undefined, freq: 4 }),
  cacheControl: fc.constantFrom('', 'public', 'max-age=60', 'no-cache'),
});

/** One reader as the run sees it: all of what it got has to be of the version it was promised. */
interface Reading {
  readonly done: Promise<{ readonly bytes: Buffer; readonly error: Error | undefined }>;
  readonly expected: Buffer;
  readonly close: () => void;
  hasLeft: boolean;
}

test('no client ever gets a mixture of two versions, whatever breaks and whenever it changes', async () => {
  await fc.assert(
    fc.asyncProperty(circumstances, fc.array(step, { maxLength: 60 }), async (world, steps) => {
      const cleanUps: (() => Promise<void>)[] = [];
      const scope: Scope = { after: (cleanUp) => void cleanUps.push(cleanUp) };
      try {
        await run(scope, world, steps);
      } finally {
        for (const cleanUp of cleanUps.toReversed()) await cleanUp();
      }
    }),
    { numRuns: 300 },
  );
});

async function run(scope: Scope, world: Circumstances, steps: readonly Step[]): Promise<void> {
  const versions = new Map<string, SiteVersion>();
  const version = (number: number): SiteVersion => {
    const etag = `"v${number}"`;
    const bytes = noise(etag, world.sizes[number % world.sizes.length] ?? 0);
    const made = { bytes, headers: { etag, 'cache-control': world.cacheControl }, saysLength: world.saysLength };
    versions.set(etag, made);
    return made;
  };
  const stage = await urlStage(scope, version(0));
  const { site, ask, store } = stage;
  site.doesRanges = world.doesRanges;
  site.doesConditions = world.doesConditions;
  let writes = 0;
  store.before = (on) => {
    if (on === 'write' && world.fullFrom !== undefined && (writes += 1) > world.fullFrom) throw diskFull();
  };
  /** Bodies that are open, with what is still to be sent of them. */
  const bodies: { readonly body: CuedBody; readonly bytes: Buffer; sent: number }[] = [];
  let isEnding = false;
  site.deliver = (bytes) => {
    const delivery = { body: new CuedBody(), bytes, sent: 0 };
    bodies.push(delivery);
    if (isEnding) send(delivery, bytes.length);
    return delivery.body;
  };
  const readings: Reading[] = [];
  const asked: Promise<void>[] = [];
  let changes = 0;

  async function begin({ range, personal, head }: Step & { kind: 'ask' }): Promise<void> {
    const answer = await ask({ range, personal, method: head ? 'HEAD' : 'GET' });
    const headers = answer.kind === 'kept' ? answer.headers : answer.response.headers;
    const whole = versions.get(headers['etag'] ?? '')?.bytes;
    assert.ok(whole !== undefined, 'an answer without the tag of a version');
    if (answer.kind === 'through') {
      const { body } = answer.response;
      if (head) return body.cancel();
      const done = readSource(body);
      readings.push({ done, expected: whole, close: () => body.cancel(), hasLeft: false });
      return;
    }
    const { part, reader, size } = answer;
    if (size !== undefined) assert.equal(size, whole.length);
    const isEmpty = head || part === 'unsatisfiable';
    const expected = isEmpty ? Buffer.alloc(0) : part === undefined ? whole : whole.subarray(part.start, part.end + 1);
    readings.push({ done: readUntilItEnds(reader, 700), expected, close: () => reader.close(), hasLeft: false });
  }

  for (const next of steps) {
    if (next.kind === 'ask') asked.push(begin(next));
    else if (next.kind === 'piece') for (const delivery of bodies) send(delivery, next.length);
    else if (next.kind === 'change') site.version = version((changes += 1));
    else if (next.kind === 'cut') for (const { body } of bodies.splice(0)) body.cut();
    else if (next.kind === 'wait') for (let i = 0; i < next.turns; i += 1) await new Promise(setImmediate);
    else leave(readings[next.reader]);
  }
  isEnding = true;
  for (const delivery of bodies) send(delivery, delivery.bytes.length);
  await Promise.all(asked);
  for (const reading of readings) {
    const { bytes, error } = await reading.done;
    const { expected, hasLeft } = reading;
    assert.ok(bytes.equals(expected.subarray(0, bytes.length)), 'bytes of another version');
    if (error === undefined && !hasLeft) assert.equal(bytes.length, expected.length, 'an end before the end');
  }
}

function leave(reading: Reading | undefined): void {
  if (reading === undefined) return;
  reading.hasLeft = true;
  reading.close();
}

function send(delivery: { readonly body: CuedBody; readonly bytes: Buffer; sent: number }, length: number): void {
  const { body, bytes, sent } = delivery;
  if (sent > bytes.length) return;
  body.send(bytes.subarray(sent, sent + length));
  delivery.sent = sent + length;
  if (delivery.sent < bytes.length) return;
  delivery.sent = Number.POSITIVE_INFINITY;
  body.end();
}

async function readSource(body: {
  read(): Promise<Buffer | undefined>;
}): Promise<{ readonly bytes: Buffer; readonly error: Error | undefined }> {
  const parts: Buffer[] = [];
  try {
    for (;;) {
      const chunk = await body.read();
      if (chunk === undefined) return { bytes: Buffer.concat(parts), error: undefined };
      parts.push(Buffer.from(chunk));
    }
  } catch (error) {
    return { bytes: Buffer.concat(parts), error: error as Error };
  }
}
