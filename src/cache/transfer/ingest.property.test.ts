import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type CacheWorld,
  cacheWorld,
  LIBRARY,
  readUntilItEnds,
  type Scope,
} from '../../../test/support/cache-world.ts';
import { CuedBody } from '../../../test/support/fake-origin.ts';
import { content, noise } from '../../../test/support/image.ts';
import { diskFull } from '../../../test/support/strict-store.ts';
import { OciError } from '../../oci/index.ts';

/** What happens next to one transfer and those who read it. */
type Step =
  | { readonly kind: 'join'; readonly targetSize: number; readonly range: readonly [number, number | null] | undefined }
  | { readonly kind: 'leave'; readonly reader: number }
  | { readonly kind: 'piece'; readonly length: number; readonly flip: boolean }
  | { readonly kind: 'cut' }
  | { readonly kind: 'wait'; readonly turns: number };

/** How the world is, for the whole of a run. */
interface Circumstances {
  readonly size: number;
  /** How many times larger everything is: large bodies that are only passed on do not stay in memory. */
  readonly scale: number;
  readonly says: boolean;
  /** Another upstream could be asked instead. */
  readonly hasOthers: boolean;
  readonly keep: boolean;
  /** The disk is full from this write on. */
  readonly fullFrom: number | undefined;
  readonly on: 'memory' | 'filesystem';
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('join' as const),
      targetSize: fc.integer({ min: 1, max: 3000 }),
      range: fc.option(fc.tuple(fc.nat(5000), fc.option(fc.nat(5000))), { nil: undefined, freq: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), reader: fc.nat(10) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('piece' as const),
      length: fc.nat(2000),
      flip: fc.integer({ min: 0, max: 30 }).map((chance) => chance === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), turns: fc.nat(4) }) },
);

const circumstances: fc.Arbitrary<Circumstances> = fc.record({
  size: fc.nat(6000),
  scale: fc.constantFrom(1, 1, 600),
  says: fc.boolean(),
  hasOthers: fc.boolean(),
  keep: fc.boolean(),
  fullFrom: fc.option(fc.nat(6), { nil: undefined, freq: 3 }),
  on: fc.constantFrom('memory' as const, 'memory' as const, 'filesystem' as const),
});

/** One reader as the run sees it. */
interface Reading {
  readonly expected: Buffer;
  readonly promised: number | undefined;
  readonly done: Promise<{ readonly bytes: Buffer; readonly error: Error | undefined }>;
  readonly close: () => void;
  hasLeft: boolean;
}

/** Delivers the blob in pieces as the steps say, continues where it is asked to, and remembers whether it lied. */
class Upstream {
  hasLied = false;
  cuts = 0;
  #sent = 0;
  #body: CuedBody | undefined;
  readonly #blob: Buffer;

  constructor(blob: Buffer) {
    this.#blob = blob;
  }

  open(offset: number): CuedBody {
    this.#sent = offset;
    this.#body = new CuedBody();
    if (offset === this.#blob.length) this.#body.end();
    return this.#body;
  }

  piece(length: number, flip: boolean): void {
    const piece = Buffer.from(this.#blob.subarray(this.#sent, this.#sent + length));
    if (this.#body === undefined || (piece.length === 0 && this.#sent === this.#blob.length)) return;
    if (flip && piece.length > 0) {
      piece[0] = (piece[0] ?? 0) ^ 1;
      this.hasLied = true;
    }
    this.#sent += piece.length;
    this.#body.send(piece);
    if (this.#sent === this.#blob.length) this.#body.end();
  }

  cut(): void {
    if (this.#body === undefined) return;
    this.cuts += 1;
    this.#body.cut();
  }
}

/** Closes a reader as soon as there is one. */
function leave(joining: Promise<Reading | undefined> | undefined): void {
  joining?.then(
    (reading) => {
      if (reading !== undefined) reading.hasLeft = true;
      return reading?.close();
    },
    () => undefined,
  );
}

/** How a reader asks, in a world that is so many times larger. */
function scaled({ targetSize, range }: Extract<Step, { kind: 'join' }>, scale: number) {
  const [start, end] = range ?? [];
  return {
    targetSize: targetSize * scale,
    range: start === undefined ? undefined : `bytes=${start * scale}-${typeof end === 'number' ? end * scale : ''}`,
  };
}

async function join(
  world: CacheWorld,
  blob: ReturnType<typeof content>,
  how: { readonly targetSize: number; readonly range: string | undefined },
): Promise<Reading | undefined> {
  const answer = await world.cache.blob(LIBRARY, blob.digest, { range: how.range }).catch((error: unknown) => {
    if (error instanceof OciError && error.status === 416) return undefined;
    throw error;
  });
  if (answer === undefined) return undefined;
  const { reader, part, size } = answer;
  return {
    expected: part === undefined ? blob.bytes : blob.bytes.subarray(part.start, part.end + 1),
    promised: part === undefined ? size : part.end - part.start + 1,
    done: readUntilItEnds(reader, how.targetSize),
    close: () => reader.close(),
    hasLeft: false,
  };
}

test('no interleaving of joins, leaves, cuts, lies and full disks completes a wrong body or loses a right one', async () => {
  await fc.assert(
    fc.asyncProperty(circumstances, fc.array(step, { maxLength: 40 }), async (given, steps) => {
      let cleanUp = (): Promise<void> => Promise.resolve();
      const scope = { after: (clean: typeof cleanUp): void => void (cleanUp = clean) };
      try {
        await run(scope, given, steps);
      } finally {
        // What was left behind is found here.
        await cleanUp();
      }
    }),
    { numRuns: 200, interruptAfterTimeLimit: 20_000 },
  );
});

async function run(scope: Scope, given: Circumstances, steps: readonly Step[]): Promise<void> {
  const { scale, says, hasOthers, keep, fullFrom, on } = given;
  const size = given.size * scale;
  const blob = content('layer', noise('property', size));
  const world = await cacheWorld(scope, { on, keep });
  const upstream = new Upstream(blob.bytes);
  // What the disk no longer takes comes straight from the upstream, whole and at once.
  let writes = 0;
  let isFull = false;
  world.store.before = (taken) => {
    if (taken === 'write' && fullFrom !== undefined && writes++ >= fullFrom) isFull = true;
    if (taken === 'write' && isFull) throw diskFull();
  };
  world.origin.addBlobs(LIBRARY, blob);
  world.origin.deliver = ({ offset, end }) =>
    isFull
      ? end === undefined || end >= offset
        ? undefined
        : { body: new CuedBody().end() }
      : { body: upstream.open(offset), size: says ? size : null, ...(hasOthers ? { giveUp: () => {} } : {}) };
  const readings: Promise<Reading | undefined>[] = [];

  for (const each of steps) {
    if (each.kind === 'join') readings.push(join(world, blob, scaled(each, scale)));
    else if (each.kind === 'piece') upstream.piece(each.length * scale, each.flip);
    else if (each.kind === 'cut' && upstream.cuts < 2) upstream.cut();
    else if (each.kind === 'leave') {
      leave(readings[each.reader]);
    } else if (each.kind === 'wait') {
      for (let turn = 0; turn < each.turns; turn += 1) await new Promise(setImmediate);
    }
  }

  // Now the upstream behaves: a reader that still waits gets the rest.
  const state = { isOver: false };
  const over = Promise.all(readings.map(async (reading) => (await reading)?.done)).finally(() => {
    state.isOver = true;
  });
  for (let turn = 0; !state.isOver; turn += 1) {
    assert.ok(turn < 3000, 'a reader was left waiting');
    upstream.piece(1500 * scale, false);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await over;

  for (const reading of await Promise.all(readings)) {
    if (reading === undefined) continue;
    const { bytes, error } = await reading.done;
    const isRight = bytes.equals(reading.expected);
    if (error === undefined) {
      assert.ok(isRight || (upstream.hasLied && reading.expected.length < size), 'a wrong body was completed');
    }
    if (bytes.length === size && reading.promised === size) assert.ok(isRight, 'a wrong body was as long as promised');
    if (!upstream.hasLied && !reading.hasLeft)
      assert.ok(error === undefined && isRight, `a right one was lost: ${error}`);
  }
  if (upstream.hasLied) {
    const stored = await world.store.open(blob.digest);
    if (stored !== undefined) {
      const held = Buffer.alloc(stored.size);
      if (held.length > 0) await stored.read(held, 0);
      await stored.close();
      assert.ok(held.equals(blob.bytes), 'a wrong blob was stored');
    }
  }
}
