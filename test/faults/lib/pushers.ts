import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Content, content, noise } from '../../support/image.ts';
import type { RawResponse } from '../../support/raw-request.ts';
import { type SmallImage, smallImage } from '../../support/small-image.ts';
import type { HostedServer } from './hosted-server.ts';
import {
  ask,
  askHowFar,
  type Destination,
  finishBlob,
  type KnownUpload,
  Lost,
  type PushRequest,
  sendBlob,
  sendManifest,
  WAYS,
  Wire,
} from './push.ts';
import type { Misses } from './row.ts';

/** What pushers and pullers share. */
export interface World {
  readonly server: HostedServer;
  readonly misses: Misses;
  readonly counts: Record<Counted, number>;
  readonly isOver: () => boolean;
  /** Milliseconds of this machine that a day of the server takes, and an hour. */
  readonly graceMs: number;
  readonly hourMs: number;
}

type Counted = 'pushes' | 'moves' | 'deletes' | 'mounts' | 'heads' | 'abandoned' | 'pulls' | 'again';

const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const SHARED = Array.from({ length: 12 }, (_, at) => content(LAYER, noise(`shared ${at}`, 20_000)));
const TAGS = ['t0', 't1', 't2', 't3'];
const MAX_IMAGES = 12;
const MAX_LOOSE = 4;

/** An image that was answered 201. */
interface Held {
  readonly image: SmallImage;
  /** Its deletion was asked for. */
  isGoing: boolean;
}

/** A client that asks again when the server was killed under it, and says so when anything else goes wrong. */
class Client {
  protected readonly world: World;
  protected readonly user: string;

  constructor(world: World, user: string) {
    this.world = world;
    this.user = user;
  }

  protected to(repository: string, wire = new Wire()): Destination {
    const { server } = this.world;
    return { host: () => server.host, repository, headers: server.login(this.user), wire };
  }

  protected async ask(request: PushRequest): Promise<RawResponse> {
    return this.seen(request, await ask(this.to(''), request));
  }

  protected seen({ method, path }: Pick<PushRequest, 'method' | 'path'>, answer: RawResponse): RawResponse {
    const { status, body } = answer;
    if (status >= 500) this.world.misses.add(`${method} ${path}: ${status} ${body.toString().slice(0, 200)}`);
    return answer;
  }

  /** Works until it was not interrupted by a kill. */
  protected async insist<Result>(work: (turn: number) => Promise<Result>): Promise<Result> {
    const { server, misses, counts } = this.world;
    for (let turn = 0; ; turn += 1) {
      const { kills } = server;
      try {
        return await work(turn);
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        misses.expect(server.kills !== kills || !server.isUp, `a connection was lost: ${error.message}`);
        counts.again += 1;
        await server.becomesUp();
      }
    }
  }
}

/** One client that pushes to a repository of its own, so that it knows what has to be there. */
export class Pusher extends Client {
  readonly repository: string;
  readonly #isBrief: boolean;
  readonly #held = new Map<string, Held>();
  readonly #tags = new Map<string, string>();
  /** Blobs without a manifest. */
  readonly #loose: Content[] = [];
  #moving: string | undefined;
  #others: readonly Pusher[] = [];
  #made = 0;

  /** @param who its number: every third one pushes where manifests without a tag go */
  constructor(world: World, { at, user }: { readonly at: number; readonly user: string }) {
    super(world, user);
    this.#isBrief = at % 3 === 2;
    this.repository = `${this.#isBrief ? 'brief' : 'apps'}/team/r${at}`;
  }

  knows(pushers: readonly Pusher[]): void {
    this.#others = pushers.filter((each) => each !== this);
  }

  async run(): Promise<void> {
    while (!this.world.isOver()) {
      const dice = randomInt(100);
      if (this.#held.size > MAX_IMAGES || dice < 14) await this.#deleteImage();
      else if (dice < 22) await this.#deleteTag();
      else if (dice < 32) await this.#moveTag();
      else if (dice < 40) await this.#leaveBlob();
      else if (dice < 46) await this.#abandon();
      else if (dice < 56) await this.#deleteBlob();
      else await this.#pushImage();
    }
  }

  /** Whether an image has to be there now. */
  keeps({ image, isGoing }: Held): boolean {
    if (isGoing || this.#held.get(image.manifest.digest)?.image !== image) return false;
    return !this.#isBrief || [...this.#tags.values()].includes(image.manifest.digest);
  }

  /** One that has to be there, and a tag that points to it, where one does. */
  pick(): { readonly held: Held; readonly tag: string | undefined } | undefined {
    const kept = [...this.#held.values()].filter((each) => this.keeps(each));
    const held = kept[randomInt(Math.max(1, kept.length))];
    if (held === undefined) return undefined;
    return { held, tag: [...this.#tags].find(([, digest]) => digest === held.image.manifest.digest)?.[0] };
  }

  /** Whether a request that moves it is on its way. */
  isMoving(tag: string): boolean {
    return this.#moving === tag;
  }

  pointsTo(tag: string, { image }: Held): boolean {
    return this.#tags.get(tag) === image.manifest.digest;
  }

  /** `apps/web sha256:…` of all that has to be there. */
  expected(): readonly string[] {
    const kept = [...this.#held.values()].filter((each) => this.keeps(each));
    return kept.flatMap(({ image }) => image.parts.map(({ digest }) => `${this.repository} ${digest}`));
  }

  /** Looks at all that has to be there. */
  async expectAll(): Promise<void> {
    const puller = new Puller(this.world, { user: this.user, pushers: [this] });
    for (const held of this.#held.values()) if (this.keeps(held)) await puller.expectImage(this, held, undefined);
    for (const [tag, digest] of this.#tags) {
      const held = this.#held.get(digest);
      if (held !== undefined) await puller.expectImage(this, held, tag);
      else this.world.misses.add(`the test knows nothing of ${tag}`);
    }
  }

  async #pushImage(): Promise<void> {
    const { world } = this;
    const own = content(LAYER, noise(this.#seed(), randomInt(2000, 60_000)));
    const loose = randomInt(2) === 0 ? this.#loose.shift() : undefined;
    const shared = SHARED.filter(() => randomInt(8) === 0);
    const image = smallImage(this.#seed(), [...shared, ...(loose === undefined ? [] : [loose]), own]);
    const tag = this.#isBrief || randomInt(4) > 0 ? (TAGS[randomInt(TAGS.length)] as string) : undefined;
    const isStored = await this.insist(async () => {
      for (;;) {
        const began = performance.now();
        for (const blob of [...image.layers, image.config]) await this.#ensure(blob, blob === loose);
        // A client may be slow: what it was told holds for hours.
        if (loose !== undefined) await sleep(randomInt(2000));
        const answer = await this.#putManifest(image, tag ?? image.manifest.digest);
        if (answer.status === 201) return true;
        // A use is written to the hour, and another hour is for the requests themselves.
        const isLate = performance.now() - began > world.graceMs - 2 * world.hourMs;
        const said = answer.body.toString().slice(0, 300);
        this.#moving = undefined;
        if (isLate && said.includes('MANIFEST_BLOB_UNKNOWN')) continue;
        world.misses.add(`a manifest whose blobs are there: ${answer.status} ${said}`);
        return false;
      }
    });
    if (!isStored) return;
    this.#held.set(image.manifest.digest, { image, isGoing: false });
    if (tag !== undefined) this.#tags.set(tag, image.manifest.digest);
    this.#moving = undefined;
    this.#forgetUntagged();
    world.counts.pushes += 1;
  }

  async #moveTag(): Promise<void> {
    const picked = this.pick();
    if (picked === undefined) return;
    const { image } = picked.held;
    const tag = TAGS[randomInt(TAGS.length)] as string;
    await this.insist(async () => {
      const { status, body } = await this.#putManifest(image, tag);
      this.world.misses.expect(status === 201, `a manifest that is there, again: ${status} ${body.toString()}`);
    });
    this.#tags.set(tag, image.manifest.digest);
    this.#moving = undefined;
    this.#forgetUntagged();
    this.world.counts.moves += 1;
  }

  async #deleteTag(): Promise<void> {
    const tag = [...this.#tags.keys()][randomInt(TAGS.length)];
    if (tag === undefined) return;
    this.#tags.delete(tag);
    await this.#delete(`manifests/${tag}`);
    this.#forgetUntagged();
  }

  async #deleteImage(): Promise<void> {
    const held = this.pick()?.held;
    if (held === undefined) return;
    held.isGoing = true;
    const { digest } = held.image.manifest;
    for (const [tag, each] of this.#tags) if (each === digest) this.#tags.delete(tag);
    await this.#delete(`manifests/${digest}`);
    this.#held.delete(digest);
  }

  /** Other repositories may have it, or be about to push or mount it. */
  async #deleteBlob(): Promise<void> {
    const blob = SHARED[randomInt(SHARED.length)] as Content;
    const path = `/v2/${this.repository}/blobs/${blob.digest}`;
    await this.insist(async () => {
      const { status, body } = await this.ask({ method: 'DELETE', path });
      // Gone, not there, or named by a manifest.
      this.world.misses.expect([202, 404, 405].includes(status), `DELETE ${path}: ${status} ${body.toString()}`);
    });
    this.world.counts.deletes += 1;
  }

  async #delete(what: string): Promise<void> {
    await this.insist(async (turn) => {
      const path = `/v2/${this.repository}/${what}`;
      const { status, body } = await this.ask({ method: 'DELETE', path });
      // The answer to the first may be lost.
      const isGone = status === 202 || (turn > 0 && status === 404);
      this.world.misses.expect(isGone, `DELETE ${path}: ${status} ${body.toString().slice(0, 200)}`);
    });
    this.world.counts.deletes += 1;
  }

  /** Where untagged manifests go, nothing is promised of them. */
  #forgetUntagged(): void {
    if (!this.#isBrief) return;
    for (const [digest, held] of this.#held) if (!this.keeps(held)) this.#held.delete(digest);
  }

  /** A blob that no manifest names: a later image may, or it is collected. */
  async #leaveBlob(): Promise<void> {
    const blob = content(LAYER, noise(this.#seed(), 5000));
    await this.insist(() => this.#send(blob));
    this.#loose.push(blob);
    if (this.#loose.length > MAX_LOOSE) this.#loose.shift();
    this.world.counts.abandoned += 1;
  }

  /** A client that is gone in the midst of an upload. */
  async #abandon(): Promise<void> {
    const blob = content(LAYER, noise(this.#seed(), 40_000));
    const wire = new Wire({ cutAfter: randomInt(1, 41_000) });
    const way = WAYS[randomInt(WAYS.length)] ?? 'stream';
    try {
      await sendBlob(this.to(this.repository, wire), blob, { way });
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      await this.world.server.becomesUp();
    }
    this.world.counts.abandoned += 1;
  }

  async #ensure(blob: Content, mustLook: boolean): Promise<void> {
    const { counts } = this.world;
    const { digest } = blob;
    if (mustLook || randomInt(2) === 0) {
      const { status } = await this.ask({ method: 'HEAD', path: `/v2/${this.repository}/blobs/${digest}` });
      counts.heads += 1;
      if (status === 200) return;
    }
    if (randomInt(2) === 0) {
      const from = this.#others[randomInt(Math.max(1, this.#others.length))]?.repository;
      const source = from === undefined || randomInt(3) === 0 ? '' : `&from=${encodeURIComponent(from)}`;
      const path = `/v2/${this.repository}/blobs/uploads/?mount=${digest}${source}`;
      const { status, headers } = await this.ask({ method: 'POST', path });
      if (status === 201) {
        counts.mounts += 1;
        return;
      }
      const upload: KnownUpload = { location: headers['location'], acknowledged: 0 };
      const answer = await finishBlob(this.to(this.repository), blob, { way: 'post, put', upload });
      this.#expectStored(answer, 'where it could not be mounted');
      return;
    }
    await this.#send(blob);
  }

  /** Sends a blob; where the server is killed over it, it goes on where the next one says. */
  async #send(blob: Content): Promise<void> {
    const { world } = this;
    const way = WAYS[randomInt(WAYS.length)] ?? 'stream';
    const upload: KnownUpload = { location: undefined, acknowledged: 0 };
    const to = this.to(this.repository);
    const { kills } = world.server;
    try {
      this.#expectStored(await sendBlob(to, blob, { way, upload }), way);
    } catch (error) {
      if (!(error instanceof Lost) || upload.location === undefined || world.server.kills === kills) throw error;
      await world.server.becomesUp();
      const { size } = await askHowFar(to, upload);
      if (size === undefined) throw error;
      upload.acknowledged = size;
      this.#expectStored(await finishBlob(to, blob, { way, upload }), `${way}, gone on at ${size}`);
    }
  }

  #expectStored(answer: RawResponse, how: string): void {
    this.seen({ method: 'upload', path: how }, answer);
    const { status, body } = answer;
    this.world.misses.expect(status === 201, `an upload, ${how}: ${status} ${body.toString().slice(0, 200)}`);
  }

  async #putManifest({ manifest }: SmallImage, reference: string): Promise<RawResponse> {
    // Until it has been answered, and longer where the answer is lost.
    this.#moving = reference;
    const answer = await sendManifest(this.to(this.repository), manifest, reference);
    return this.seen({ method: 'PUT', path: reference }, answer);
  }

  #seed(): string {
    this.#made += 1;
    return `${this.repository} ${this.#made}`;
  }
}

/** A client that pulls what has to be there, of any repository. */
export class Puller extends Client {
  readonly #pushers: readonly Pusher[];

  constructor(world: World, { user, pushers }: { readonly user: string; readonly pushers: readonly Pusher[] }) {
    super(world, user);
    this.#pushers = pushers;
  }

  async run(): Promise<void> {
    while (!this.world.isOver()) {
      const pusher = this.#pushers[randomInt(this.#pushers.length)];
      const picked = pusher?.pick();
      if (pusher === undefined || picked === undefined) {
        await sleep(20);
        continue;
      }
      const tag = randomInt(2) === 0 ? picked.tag : undefined;
      await this.insist(() => this.expectImage(pusher, picked.held, tag));
      this.world.counts.pulls += 1;
    }
  }

  /** Pulls an image whole. Where it is deleted meanwhile, or its tag moves, nothing is expected. */
  async expectImage(pusher: Pusher, held: Held, tag: string | undefined): Promise<void> {
    const { manifest, config, layers } = held.image;
    const isThere = (): boolean => pusher.keeps(held) && (tag === undefined || pusher.pointsTo(tag, held));
    const base = `/v2/${pusher.repository}`;
    const wanted: readonly (readonly [string, Content])[] = [
      [`${base}/manifests/${tag ?? manifest.digest}`, manifest],
      ...[config, ...layers].map((blob) => [`${base}/blobs/${blob.digest}`, blob] as const),
    ];
    for (const [path, { bytes }] of wanted) {
      const { status, body } = await this.ask({ method: 'GET', path });
      if (status === 200 && body.equals(bytes)) continue;
      // A move that is on its way is not known here before its answer.
      if (!isThere() || (tag !== undefined && pusher.isMoving(tag))) return;
      this.world.misses.add(`GET ${path}: ${status}${status === 200 ? ', WRONG' : ''}, of an image that is there`);
      return;
    }
  }
}
