import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningEntrepot } from '../../support/app.ts';
import type { CountedReads } from '../../support/counting.ts';
import { Chances } from '../../support/hostile.ts';
import { type Content, content, noise } from '../../support/image.ts';
import type { RecordedRequest } from '../../support/scripted/journal.ts';
import type { PersonalityName } from '../../support/scripted/personality.ts';
import {
  type Fault,
  Gate,
  type ScriptedUpstream,
  type ScriptedUpstreamOptions,
} from '../../support/scripted-upstream.ts';
import { MiB } from './process-figures.ts';
import { type Pulled, type PullOptions, pull } from './pull.ts';
import { REPOSITORY, type Stage } from './stage.ts';

/** Bytes of the blobs: more than one connection is tried for them. */
export const SIZE = 32 * MiB;
/** Bytes a second of one connection: four of them take a second for the whole, and one takes four. */
const RATE = 8 * MiB;
/** Bytes that a segment has at least. A fault within the first half of them meets every segment. */
const LEAST = 2 * MiB;

/** Bytes that are read a second time, as a share of the blob, where a segment breaks or is refused. */
export const TWICE_AT_MOST = 0.02;

/** The server of this row. An upstream that falls silent in a body is left after two seconds. */
export const SETTINGS = {
  transfer: { connections: 4, min_segment: '2MiB' },
  transport: { body_idle_timeout: '2s', response_header_timeout: '10s' },
} as const;

/** Milliseconds. */
const ON_ITS_WAY = 100;

/** An upstream that was left alone for its failures is asked again after seconds. */
const WELL_WITHIN = 15_000;

export interface SceneOptions {
  /** The registry's name at the server. */
  readonly registry: string;
  readonly chances: Chances;
  readonly upstream?: Omit<ScriptedUpstreamOptions, 'personality'>;
  /** @default one that redirects to a storage, or one that does not */
  readonly personality?: PersonalityName;
  /** Whether the registry has a second upstream, which has the same content. @default false */
  readonly hasSecond?: boolean;
}

/** One blob at an upstream of its own, each of whose connections is slow, so that it comes in segments. */
export class SegmentScene {
  readonly registry: string;
  readonly chances: Chances;
  readonly upstream: ScriptedUpstream;
  /** The same, with the same blob; what is asked of it counts as asked of the upstream. */
  readonly second: ScriptedUpstream | undefined;
  /** Requests that a fault has struck. */
  struck = 0;
  /** What was drawn, for people. */
  readonly drawn: string[] = [];
  /** Bytes that were read of earlier blobs. */
  #readBefore = 0;
  #strikesFirst = false;
  #blob: Content | undefined;
  /** When the upstream said that it wants a rest, and what it was asked in that time. */
  #restedFrom: number | undefined;
  #askedDuringRest = 0;

  private constructor({ registry, chances }: SceneOptions, upstreams: readonly ScriptedUpstream[]) {
    const [upstream, second] = upstreams;
    if (upstream === undefined) throw new TypeError('Cannot set a scene without an upstream');
    this.registry = registry;
    this.chances = chances;
    this.upstream = upstream;
    this.second = second;
  }

  static async open(stage: Stage, options: SceneOptions): Promise<SegmentScene> {
    const { chances, personality = chances.of(['dockerHub', 'plain'] as const), hasSecond = false } = options;
    const upstreams = [await stage.upstream({ ...options.upstream, personality })];
    if (hasSecond) upstreams.push(await stage.upstream({ personality: 'plain' }));
    const scene = new SegmentScene(options, upstreams);
    scene.drawn.push(personality);
    return scene;
  }

  /** Made with its first use: all of them at once would take much memory. */
  get blob(): Content {
    if (this.#blob !== undefined) return this.#blob;
    const seed = `${this.registry} ${this.chances.below(2 ** 32)} of ${process.pid}`;
    this.#blob = content('application/octet-stream', noise(seed, SIZE));
    for (const each of this.upstreams) each.addBlob(REPOSITORY, this.#blob);
    return this.#blob;
  }

  get upstreams(): readonly ScriptedUpstream[] {
    return [this.upstream, ...(this.second === undefined ? [] : [this.second])];
  }

  /** The registry, for a configuration. */
  get config(): object {
    return { upstreams: this.upstreams.map(({ url }) => url) };
  }

  /** Each connection to each upstream has a rate of its own. */
  slowDown(): void {
    for (const each of this.upstreams) each.fault(this.blob.digest, { bytesPerSecond: RATE });
  }

  /** Goes on with another blob, of which the first segment is struck: there is one, however slow this machine is. */
  async renew({ readFrom }: CountedReads): Promise<void> {
    this.#release();
    this.#readBefore = await readFrom(this.upstreams);
    for (const each of this.upstreams) {
      each.heal();
      each.forget();
    }
    this.drawn.push('again');
    this.#strikesFirst = true;
    this.slowDown();
  }

  /** Everything goes right again, as slowly as before. */
  heal(): void {
    for (const each of this.upstreams) each.heal();
    this.slowDown();
  }

  url(server: RunningEntrepot): string {
    return `${server.url}/${this.registry}/v2/${REPOSITORY}/blobs/${this.blob.digest}`;
  }

  pull(server: RunningEntrepot, options: PullOptions = {}): Promise<Pulled> {
    return pull(this.url(server), { expected: this.blob.bytes, timeout: 40_000, ...options });
  }

  /** Pulls until it comes whole, as a client does that asks again. */
  async pullUntilWell(server: RunningEntrepot): Promise<Pulled> {
    const deadline = performance.now() + WELL_WITHIN;
    for (;;) {
      const pulled = await this.pull(server);
      if (pulled.ok || pulled.wrong || performance.now() > deadline) return pulled;
      await sleep(200);
    }
  }

  /** Reads a part. @returns what is wrong with it; undefined where it is right */
  async readPart(server: RunningEntrepot, start: number, length: number): Promise<string | undefined> {
    const end = Math.min(start + length, SIZE) - 1;
    const range = `bytes=${start}-${end}`;
    try {
      const response = await fetch(this.url(server), { headers: { range }, signal: AbortSignal.timeout(40_000) });
      const body = Buffer.from(await response.arrayBuffer());
      const isRight = response.status === 206 && body.equals(this.blob.bytes.subarray(start, end + 1));
      return isRight ? undefined : `${range}: ${response.status}, ${body.length} bytes, not those of the blob`;
    } catch (error) {
      return `${range}: ${(error as Error).message}`;
    }
  }

  /** Lets something strike one request for a segment, or so many, beginning with one of the first two, or with the first. */
  strike(
    fault: Fault,
    {
      times = 1,
      after = this.#strikesFirst ? 0 : this.chances.below(2),
      on = this.upstream,
    }: { readonly times?: number; readonly after?: number; readonly on?: ScriptedUpstream } = {},
  ): void {
    const { onStrike } = fault;
    this.drawn.push(`${times} after ${after}: ${JSON.stringify({ ...fault, gate: undefined })}`);
    on.fault(isSegment, {
      ...fault,
      times,
      after,
      onStrike: (request) => {
        this.struck += 1;
        onStrike?.(request);
      },
    });
  }

  /** The first upstream refuses each request for a segment. */
  refuseSegments(): void {
    this.upstream.fault(isSegment, { status: 503 });
  }

  /** The upstream wants no request for a second after it has refused one. What was on its way then does not count. */
  rest(refused: RecordedRequest): void {
    if (this.#restedFrom !== undefined) return;
    const from = performance.now();
    this.#restedFrom = from;
    this.upstream.fault(this.blob.digest, {
      gate: openGate(),
      onStrike: (request) => {
        const since = performance.now() - from;
        if (request === refused) return;
        const isAgain = startOf(request.range) === startOf(refused.range);
        if (since < 1000 - ON_ITS_WAY && (isAgain || since > ON_ITS_WAY)) this.#askedDuringRest += 1;
      },
    });
  }

  /** Requests that came although the upstream wanted a {@link rest}. */
  get askedDuringRest(): number {
    return this.#askedDuringRest;
  }

  /** Resolves when so many requests for segments have arrived; those to a registry that redirects count too. */
  asked(count: number): Promise<void> {
    const gate = openGate();
    this.upstream.fault(isSegment, { gate });
    return gate.arrived(count);
  }

  /** A place within every segment. */
  anywhere(): number {
    return 1 + this.chances.below(LEAST / 2 - 1);
  }

  /** Requests that were answered with bytes of the blob, so far. */
  get requests(): number {
    return this.#bodies.length;
  }

  /** Bytes of the blob that were sent so far, those among them that a closed connection had in its buffers. */
  get sent(): number {
    return this.#bodies.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Bytes that a server has read of the blob beyond its size, as a share of that. */
  async fetchedTwice({ readFrom }: CountedReads): Promise<number> {
    return ((await readFrom(this.upstreams)) - this.#readBefore) / SIZE - 1;
  }

  get #bodies(): readonly RecordedRequest[] {
    return this.upstreams.flatMap((each) => each.blobBodies(this.blob.digest));
  }

  /** What was asked for, and what of it was sent, for people. */
  get told(): string {
    return this.#bodies
      .map(({ range = 'all', bytes, end }) => `${range.replace('bytes=', '')} ${bytes} ${end}`)
      .join(', ');
  }

  /** Stops its upstreams and frees the blob. */
  async close(): Promise<void> {
    this.#release();
    for (const each of this.upstreams) await each.stop();
  }

  #release(): void {
    if (this.#blob === undefined) return;
    for (const each of this.upstreams) each.library.remove(REPOSITORY, this.#blob.digest);
    this.#blob = undefined;
  }
}

/** Counts who passes. */
export function openGate(): Gate {
  const gate = new Gate();
  gate.open();
  return gate;
}

/** A request for a part behind the first byte: at the registry, and where that redirects, at its storage. */
export function isSegment(request: RecordedRequest): boolean {
  return request.method === 'GET' && request.kind === 'blob' && /^bytes=[1-9]\d*-\d+$/.test(request.range ?? '');
}

function startOf(range: string | undefined): string | undefined {
  return /^bytes=(\d+)-/.exec(range ?? '')?.[1];
}

/** Chances of a case, the same for the same seed. */
export function chancesFor(seed: number, name: string, round: number): Chances {
  let hash = seed;
  for (const letter of `${name} ${round}`)
    hash = (Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0) + 1;
  return new Chances(hash);
}
