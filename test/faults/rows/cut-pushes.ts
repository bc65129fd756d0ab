import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Content, content, noise } from '../../support/image.ts';
import type { RawResponse } from '../../support/raw-request.ts';
import { smallImage } from '../../support/small-image.ts';
import { hastyEnvironment } from '../lib/hasty-time.ts';
import { HostedServer, inventoryOf, onlyIn } from '../lib/hosted-server.ts';
import { eachOf } from '../lib/pull.ts';
import {
  ask,
  askHowFar,
  CHUNK,
  type Destination,
  finishBlob,
  type KnownUpload,
  Lost,
  sendBlob,
  sendManifest,
  WAYS,
  type Way,
  Wire,
} from '../lib/push.ts';
import { Misses, type Row } from '../lib/row.ts';
import type { Stage } from '../lib/stage.ts';
import { pushPoints } from './kills.ts';

const USERS = Array.from({ length: 10 }, (_, at) => `user${at}`);
const LAYER = 900_000;
/** Pushes that one kill hits. */
const AT_ONCE = 5;
/** Two hours a second: a grace is over in twelve. */
const FACTOR = 7200;
const GRACE_SECONDS = (24 * 3600) / FACTOR;

interface CutCounts {
  /** Pushes whose client was gone in their midst. */
  readonly cuts: number;
  /** Pushes that a kill of the server hit. */
  readonly kills: number;
  /** Where the server is told to die besides. */
  readonly points?: readonly string[];
  /** Whether it is looked at what is left once a day has passed, which takes some seconds. @default true */
  readonly waitsForGraces?: boolean;
}

/** A push that did not come to its end, as far as its client heard of it. */
interface Interrupted {
  readonly to: Destination;
  readonly layer: Content;
  readonly way: Way;
  readonly upload: KnownUpload;
  /** Digests that were answered with 201. */
  readonly stored: Content[];
  isManifestStored: boolean;
  /** Whether the server is another since. */
  readonly isKilled: boolean;
}

/** Clients that are gone and servers that are killed at random bytes of pushes, in each way of pushing. */
export const cutPushes: Row = {
  id: 'cut-pushes',
  what: 'pushes cut at random bytes, and SIGKILL during pushes',
  reach: 'what was answered 201 is there; what was not goes on, or leaves nothing',
  within: 150,
  run: (stage) =>
    playCutPushes(stage, {
      cuts: stage.amount({ short: 100, long: 2000 }),
      kills: stage.amount({ short: 100, long: 2000 }),
      points: pushPoints(),
    }),
};

export async function playCutPushes(stage: Stage, { cuts, kills, points = [], waitsForGraces = true }: CutCounts) {
  const misses = new Misses();
  const server = new HostedServer(stage, { users: USERS });
  const player = new Player(server, misses);
  await server.start();

  await eachOf(
    Array.from({ length: cuts }, (_, at) => at),
    {
      atOnce: AT_ONCE,
      async work(at) {
        if (at % 20 === 0) stage.progress(`cut ${at + 1} of ${cuts}`);
        await player.recover(await player.push(at, { cutAfter: randomInt(player.length(at)) }), at);
      },
    },
  );
  let hit = 0;
  let killed = 0;
  for (let at = 0; hit < kills && at < kills * 4; at += AT_ONCE) {
    stage.progress(`kill after ${hit} of ${kills} pushes`);
    const turns = Array.from({ length: Math.min(AT_ONCE, kills - hit) }, (_, each) => cuts + at + each);
    const interrupted = await player.pushUntilKilled(turns);
    hit += interrupted.filter(({ isManifestStored }) => !isManifestStored).length;
    killed += 1;
    await server.start();
    await eachOf(interrupted, { atOnce: AT_ONCE, work: (each, index) => player.recover(each, at + index) });
  }

  for (const [index, point] of points.entries()) {
    stage.progress(`at ${point}`);
    const at = cuts + 5 * kills + index;
    misses.expect(await player.dieAt(at, point), `${point} was never reached`);
  }
  if (waitsForGraces) {
    stage.progress('waiting for the graces');
    for (const miss of await leftBehind(server, player)) misses.add(miss);
  } else await player.expectAll();
  const { resumed, pushed, between, unheard } = player.counts;
  return {
    figure: `${cuts} cuts, ${hit} hit by ${killed} kills, ${points.length} points: ${misses.count} misses, ${resumed} went on where GET said`,
    misses: misses.list(),
    figures: { cuts, hit, kills: killed, points: points.length, resumed, pushed, between, unheard },
  };
}

/** Lets a day pass, and looks for what lies there for no reason. */
async function leftBehind(server: HostedServer, player: Player): Promise<readonly string[]> {
  await server.stop();
  // From the start of the clock on, the uploads were idle for a day; from its end on, nothing else is within its grace.
  const epoch = Date.now() - (GRACE_SECONDS + 2) * 1000;
  await server.start(hastyEnvironment(`${epoch}*${FACTOR}`));
  await player.countUnheard();
  await player.expectAll();
  await sleep((GRACE_SECONDS + 4) * 1000);
  await player.expectAll();
  const code = await server.stop();
  const { files, records, links, unfinished } = await inventoryOf(server.dir);
  const expected = player.expected();
  const digests = new Set([...expected].map((each) => each.split(' ')[1] ?? ''));
  return [
    onlyIn('files that nothing names', files, digests),
    onlyIn('files that are lost', digests, files),
    onlyIn('records that nothing names', records, expected),
    onlyIn('records that are lost', expected, records),
    onlyIn('links that nothing names', links, expected),
    unfinished.length === 0 ? undefined : `${unfinished.length} unfinished, such as ${unfinished[0]}`,
    code === 0 ? undefined : `it stopped with ${code}`,
  ].filter((each) => each !== undefined);
}

class Player {
  readonly counts = { pushed: 0, resumed: 0, between: 0, unheard: 0 };
  readonly #server: HostedServer;
  readonly #misses: Misses;
  /** What was pushed in the end, by repository. */
  readonly #pushed: { readonly repository: string; readonly parts: readonly Content[] }[] = [];
  /** Pushes whose clients never came back, and did not hear that their manifest was stored. */
  readonly #abandoned: Destination[] = [];

  constructor(server: HostedServer, misses: Misses) {
    this.#server = server;
    this.#misses = misses;
  }

  /** About how many bytes a push sends. */
  length(at: number): number {
    return this.#imageOf(at).parts.reduce((sum, { size }) => sum + size, 0) + 1500;
  }

  /** Pushes an image: its layer, its config, its manifest. */
  async push(
    at: number,
    { isKilled = false, ...wire }: ConstructorParameters<typeof Wire>[0] & { readonly isKilled?: boolean },
  ): Promise<Interrupted> {
    const { manifest, config, layers } = this.#imageOf(at);
    const [layer = config] = layers;
    const way = WAYS[at % WAYS.length] ?? 'stream';
    const upload: KnownUpload = { location: undefined, acknowledged: 0 };
    const push: Interrupted = {
      to: { ...this.#destination(at), wire: new Wire(wire) },
      layer,
      way,
      upload,
      stored: [],
      isManifestStored: false,
      isKilled,
    };
    try {
      this.#expect(await sendBlob(push.to, layer, { way, upload }), 201, `${way}, layer`);
      push.stored.push(layer);
      this.#expect(await sendBlob(push.to, config, { way: 'post, put' }), 201, `${way}, config`);
      push.stored.push(config);
      this.#expect(await sendManifest(push.to, manifest, `v${at}`), 201, `${way}, manifest`);
      push.isManifestStored = true;
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
    }
    return push;
  }

  /** Pushes some at once, and kills the server at a random byte of one, or a moment later. */
  async pushUntilKilled(turns: readonly number[]): Promise<readonly Interrupted[]> {
    const total = turns.reduce((sum, at) => sum + this.length(at), 0);
    const fatal = randomInt(total);
    const late = randomInt(3) === 0 ? randomInt(10) : 0;
    const sent = new Map<number, number>();
    let isOver = false;
    const pushes = turns.map((at) =>
      this.push(at, {
        isKilled: true,
        onBytes: (bytes) => {
          sent.set(at, bytes);
          if (isOver || [...sent.values()].reduce((sum, each) => sum + each, 0) < fatal) return;
          isOver = true;
          setTimeout(() => this.#server.killNow(), late);
        },
      }),
    );
    const interrupted = await Promise.all(pushes);
    await this.#server.kill();
    return interrupted;
  }

  /** Pushes while the server is told to die at a point; false where it did not. */
  async dieAt(at: number, point: string): Promise<boolean> {
    // What the life before left to do is done: it is this push that passes the point.
    await this.#server.stop();
    try {
      await this.#server.start({ ENTREPOT_CRASH_AT: point });
    } catch {
      // A layout that was not written before the stop is written at the start.
      await this.#server.start();
      return true;
    }
    await this.#cancelUpload(at);
    const push = await this.push(at, { isKilled: true });
    const hasDied = await this.#server.dies(5000);
    await this.#server.kill();
    await this.#server.start();
    // Not one of the third that never come back.
    await this.recover(push, 1);
    return hasDied;
  }

  /** An upload that its client ends with DELETE. */
  async #cancelUpload(at: number): Promise<void> {
    const to = { ...this.#destination(at), wire: new Wire() };
    try {
      const begun = await ask(to, { method: 'POST', path: `/v2/${to.repository}/blobs/uploads/` });
      const ended = await ask(to, { method: 'DELETE', path: begun.headers['location'] ?? '' });
      this.#expect(ended, 204, 'the end of an upload');
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
    }
  }

  /** Looks whether what was answered is there, goes on with what was not, and completes the push as its client would. */
  async recover(push: Interrupted, at: number): Promise<void> {
    const { to, layer, way, stored, isManifestStored } = push;
    const whole: Destination = { ...to, wire: new Wire() };
    const tag = `v${numberOf(to)}`;
    const { manifest, config, parts } = this.#imageOf(numberOf(to));
    for (const blob of stored) await this.#expectBlob(whole, blob, `${way}: it was answered 201`);
    if (isManifestStored) await this.#expectManifest(whole, manifest, tag);
    // A third of the clients never come back: what they left has to go by itself.
    if (!isManifestStored && at % 3 === 0) {
      this.#abandoned.push(whole);
      return;
    }
    if (!stored.includes(layer)) await this.#goOn({ ...push, to: whole });
    if (!stored.includes(config)) {
      this.#expect(await sendBlob(whole, config, { way: 'one request' }), 201, 'config again');
    }
    this.#expect(await sendManifest(whole, manifest, tag), 201, 'manifest again');
    this.#pushed.push({ repository: to.repository, parts });
    this.counts.pushed += 1;
  }

  async #goOn({ to, layer, way, upload, isKilled }: Interrupted): Promise<void> {
    if (upload.location !== undefined) {
      const { answer, size } = await askHowFar(to, upload);
      if (size !== undefined) {
        const heard = upload.acknowledged;
        this.#misses.expect(size >= heard, `${way}: ${heard} bytes were acknowledged, and ${size} are there`);
        this.#misses.expect(size <= layer.size, `${way}: ${size} of ${layer.size} bytes are there`);
        // The chunk of a Content-Range and the body of a PUT are taken whole or not at all, but where the server was killed over them.
        const isWhole = isKilled || way === 'stream' || size === heard || size === layer.size || size === heard + CHUNK;
        this.#misses.expect(isWhole, `${way}: ${size} bytes are there of what is all or nothing, after ${heard}`);
        upload.acknowledged = size;
        this.#expect(await finishBlob(to, layer, { way, upload }), 201, `${way}, gone on at ${size}`);
        if (size > 0) this.counts.resumed += 1;
        return;
      }
      // Its last request came to its end, and the answer was lost.
      const { status } = await ask(to, { method: 'HEAD', path: `/v2/${to.repository}/blobs/${layer.digest}` });
      if (answer.status === 404 && status === 200) return;
      // Or the server was killed between the file and its record: then it is as if nothing had been sent.
      const isBetween = isKilled && answer.status === 404 && status === 404;
      this.#misses.expect(isBetween, `${way}: the upload is unknown (${answer.status}), and the blob ${status}`);
      this.counts.between += 1;
    }
    this.#expect(await sendBlob(to, layer, { way }), 201, `${way}, from the start`);
  }

  /**
   * Counts the abandoned pushes that came to their end all the same: the server was killed, or the connection was cut,
   * between the record of the manifest and its answer. The server keeps what it recorded, and all of it. Call it before
   * the graces are over, on a server that was started since: a request in flight could still store a manifest.
   */
  async countUnheard(): Promise<void> {
    await eachOf(this.#abandoned.splice(0), {
      atOnce: AT_ONCE,
      work: async (to) => {
        const at = numberOf(to);
        const answer = await ask(to, { method: 'HEAD', path: `/v2/${to.repository}/manifests/v${at}` });
        if (answer.status === 404) return;
        this.#expect(answer, 200, 'the manifest of an abandoned push');
        this.#pushed.push({ repository: to.repository, parts: this.#imageOf(at).parts });
        this.counts.unheard += 1;
      },
    });
  }

  /** Everything that was pushed to its end, byte for byte. */
  async expectAll(): Promise<void> {
    const to = this.#destination(0);
    await eachOf(this.#pushed, {
      atOnce: AT_ONCE,
      work: async ({ repository, parts: [manifest, ...blobs] }) => {
        const whole = { ...to, repository, wire: new Wire() };
        if (manifest !== undefined) await this.#expectManifest(whole, manifest, manifest.digest);
        for (const blob of blobs) await this.#expectBlob(whole, blob, 'at the end');
      },
    });
  }

  /** `apps/web sha256:…` of everything that is to stay. */
  expected(): ReadonlySet<string> {
    return new Set(
      this.#pushed.flatMap(({ repository, parts }) => parts.map(({ digest }) => `${repository} ${digest}`)),
    );
  }

  #imageOf(at: number) {
    return smallImage(`cut ${at}`, [content(LAYER_TYPE, noise(`cut ${at}`, LAYER + (at % 7)))]);
  }

  #destination(at: number): Omit<Destination, 'wire'> {
    const user = USERS[at % USERS.length] ?? '';
    return { host: () => this.#server.host, repository: `apps/team/r${at}`, headers: this.#server.login(user) };
  }

  #expect({ status, body }: RawResponse, expected: number, what: string): void {
    this.#misses.expect(status === expected, `${what}: ${status} ${body.toString().slice(0, 200)}`);
  }

  async #expectBlob(to: Destination, { digest, bytes }: Content, what: string): Promise<void> {
    const { status, body } = await ask(to, { method: 'GET', path: `/v2/${to.repository}/blobs/${digest}` });
    this.#misses.expect(status === 200 && body.equals(bytes), `${what}, and the blob is ${status}`);
  }

  async #expectManifest(to: Destination, { bytes }: Content, reference: string): Promise<void> {
    const { status, body } = await ask(to, { method: 'GET', path: `/v2/${to.repository}/manifests/${reference}` });
    this.#misses.expect(status === 200 && body.equals(bytes), `it was answered 201, and the manifest is ${status}`);
  }
}

const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';

/** The number of a push, by its repository. */
function numberOf({ repository }: Destination): number {
  return Number(repository.slice(repository.lastIndexOf('r') + 1));
}
