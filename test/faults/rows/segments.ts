import type { RunningEntrepot } from '../../support/app.ts';
import { type CountedReads, countReads } from '../../support/counting.ts';
import { becomesStored, becomesTidy } from '../lib/disk.ts';
import { eachOf } from '../lib/pull.ts';
import { Misses, type Outcome, type Row } from '../lib/row.ts';
import { type Judge, ORDEALS } from '../lib/segment-ordeals.ts';
import {
  chancesFor,
  openGate,
  type SceneOptions,
  SETTINGS,
  SegmentScene,
  SIZE,
  TWICE_AT_MOST,
} from '../lib/segment-scene.ts';
import type { Stage } from '../lib/stage.ts';

/** Bytes that are sent a second time over a SIGKILL and the start after it, as a share of a small blob: most were in sockets. */
const TWICE_OVER_KILL = 0.15;
/** Cases that are played at once, on two cores. */
const AT_ONCE = 3;

interface Case {
  readonly name: string;
  readonly scene?: Partial<Pick<SceneOptions, 'upstream' | 'personality' | 'hasSecond'>>;
  /** What a client gets. `cut`: the bytes were wrong, so that its connection is to be cut, and the next pull is right. @default 'whole' */
  readonly ends?: 'whole' | 'cut';
  /** Whether few bytes are to be asked for twice. @default false */
  readonly isFrugal?: boolean;
  /** Whether what is arranged may strike no request. @default false */
  readonly mayMiss?: boolean;
  readonly arrange: (scene: SegmentScene) => void;
}

const FRUGAL = { isFrugal: true } as const;

/** One of the segments of a blob meets each of these. */
const CASES: readonly Case[] = [
  { name: 'a cut', ...FRUGAL, arrange: (scene) => scene.strike({ cutAfter: scene.anywhere() }) },
  {
    name: 'cuts of several',
    ...FRUGAL,
    arrange: (scene) => scene.strike({ cutAfter: scene.anywhere() }, { times: 2 + scene.chances.below(3) }),
  },
  { name: 'a stall', ...FRUGAL, arrange: (scene) => scene.strike({ stallAfter: scene.anywhere() }) },
  { name: 'a stall at once', ...FRUGAL, arrange: (scene) => scene.strike({ stallAfter: 0 }) },
  { name: 'a wrong byte', ends: 'cut', arrange: (scene) => scene.strike({ flipAfter: scene.anywhere() }) },
  {
    name: 'a wrong Content-Range',
    arrange: (scene) => {
      const said = scene.chances.of([`bytes 0-99/${SIZE}`, 'bytes 5-1/2', `bytes */${SIZE}`, 'all of it', null]);
      scene.strike({ headers: { 'content-range': said } });
    },
  },
  { name: 'another part', arrange: (scene) => scene.strike({ shifted: scene.anywhere() }) },
  {
    name: 'a wrong length',
    arrange: (scene) => scene.strike({ contentLength: scene.chances.of([1000, SIZE]) }),
  },
  { name: 'a short body', ...FRUGAL, arrange: (scene) => scene.strike({ endAfter: scene.anywhere() }) },
  {
    name: 'a long body',
    ...FRUGAL,
    arrange: (scene) => scene.strike({ runsOver: 1 + scene.chances.below(SIZE / 4) }),
  },
  {
    name: '200 to a Range',
    arrange: (scene) => scene.strike({ ignoreRange: true }, { times: scene.chances.of([1, 100]) }),
  },
  { name: '416', arrange: (scene) => scene.strike({ status: 416 }, { times: 1 + scene.chances.below(3) }) },
  {
    name: '429',
    ...FRUGAL,
    arrange: (scene) => {
      const fault = { status: 429, headers: { 'retry-after': '1' }, onStrike: scene.rest.bind(scene) };
      scene.strike(fault, { times: 1 + scene.chances.below(3) });
    },
  },
  { name: '503', ...FRUGAL, arrange: (scene) => scene.strike({ status: 503 }, { times: 1 + scene.chances.below(3) }) },
  {
    name: 'no answer',
    ...FRUGAL,
    arrange: (scene) => scene.strike({ reset: true }, { times: 1 + scene.chances.below(3) }),
  },
  {
    name: 'no second connection at all',
    ...FRUGAL,
    arrange: (scene) => {
      const throttled = { status: 429, headers: { 'retry-after': '120' } };
      scene.strike(scene.chances.of([throttled, { status: 503 }, { reset: true }]), {
        times: 1000,
        after: 0,
      });
    },
  },
  { name: 'refused connections', ...FRUGAL, arrange: refuseConnections },
  {
    name: 'a signed URL that expires on the way',
    ...FRUGAL,
    scene: { personality: 'dockerHub' },
    arrange: (scene) => {
      const { upstream } = scene;
      const onStrike = ({ at }: { readonly at: string }): void => {
        if (at === 'cdn') upstream.expireSignatures();
      };
      scene.strike({ gate: openGate(), onStrike }, { times: 2 + scene.chances.below(3) });
    },
  },
  {
    name: 'signed URLs that are good once',
    ...FRUGAL,
    mayMiss: true,
    scene: { personality: 'dockerHub', upstream: { signatures: { uses: 1 } } },
    arrange: () => {},
  },
  {
    name: 'signed URLs that are good for a second',
    ...FRUGAL,
    mayMiss: true,
    scene: { personality: 'dockerHub', upstream: { signatures: { lasts: 1000 } } },
    arrange: () => {},
  },
  {
    name: 'a second upstream that lies',
    ends: 'cut',
    scene: { hasSecond: true },
    arrange: (scene) => {
      // Whatever the first refuses is asked of the second, which is wrong in each part.
      scene.refuseSegments();
      if (scene.second !== undefined) scene.strike({ flipAfter: 0 }, { times: 100, on: scene.second });
    },
  },
];

/** One of several segments of a blob meets what an upstream, a disk or a kill can do to it. */
export const segments: Row = {
  id: 'segments',
  what: 'one of several segments of a blob: cut, stalled, wrong, refused, expired; SIGKILL; a full disk',
  reach: `0 wrong bytes, 0 failed pulls, ≤ ${100 * TWICE_AT_MOST} % fetched twice`,
  within: 180,
  async run(stage) {
    const rounds = stage.amount({ short: 1, long: 100 });
    const play = new Play(stage);
    for (let round = 0; round < rounds && !stage.signal.aborted; round += 1) await play.round(round);
    return play.outcome();
  },
};

/** Everything of one round, and what was found in all of them. */
class Play {
  readonly #stage: Stage;
  readonly #misses = new Misses();
  readonly #counts = { cases: 0, pulls: 0, failed: 0, cut: 0 };
  /** The largest share of a blob that was asked for twice. */
  #twice = 0;
  #twiceOverKill = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  outcome(): Outcome {
    const { seed } = this.#stage;
    const { cases, pulls, failed, cut } = this.#counts;
    const twice = percent(this.#twice);
    return {
      figure: `${cases} cases, ${pulls} pulls, ${failed} failed, ${cut} cut for wrong bytes, ≤ ${twice} fetched twice`,
      misses: this.#misses.list(),
      figures: { ...this.#counts, twice: this.#twice, twiceOverKill: this.#twiceOverKill, seed },
      notes: [
        `seed ${seed}: npm run test:faults -- --only segments --seed ${seed}`,
        `over a SIGKILL ${percent(this.#twiceOverKill)} of the blob were fetched twice (bound: ${percent(TWICE_OVER_KILL)})`,
      ],
    };
  }

  async round(round: number): Promise<void> {
    const stage = this.#stage;
    const scenes = await Promise.all(
      CASES.map(({ name, scene }, i) =>
        SegmentScene.open(stage, { ...scene, registry: `case-${i}`, chances: chancesFor(stage.seed, name, round) }),
      ),
    );
    const registries = Object.fromEntries(scenes.map((scene) => [scene.registry, scene.config]));
    const reads = countReads(stage.workspace);
    const server = await stage.server({ url: '' }, { registries, ...SETTINGS }, { env: reads.env });
    await eachOf(CASES, {
      atOnce: AT_ONCE,
      work: async (each, i) => {
        stage.progress(`round ${round + 1}: ${each.name}`);
        const scene = scenes[i] as SegmentScene;
        await this.#play(each, { scene, server, reads, round });
        await scene.close();
      },
    });
    this.#misses.expect(await becomesTidy(server.dir), 'something is left in ingest/');
    this.#misses.expect((await server.stop()) === 0, 'it did not stop cleanly');
    for (const { name, play } of ORDEALS) {
      if (stage.signal.aborted) return;
      stage.progress(`round ${round + 1}: ${name}`);
      const scene = await SegmentScene.open(stage, { registry: 'up', chances: chancesFor(stage.seed, name, round) });
      await play(scene, { stage, judge: this.#judge(name, { scene, round }) });
      await scene.close();
    }
  }

  async #play(
    { name, ends = 'whole', isFrugal = false, mayMiss = false, arrange }: Case,
    {
      scene,
      server,
      reads,
      round,
    }: {
      readonly scene: SegmentScene;
      readonly server: RunningEntrepot;
      readonly reads: CountedReads;
      readonly round: number;
    },
  ): Promise<void> {
    const judge = this.#judge(name, { scene, round });
    scene.slowDown();
    arrange(scene);
    let pulled = await scene.pull(server);
    let twice = await scene.fetchedTwice(reads);
    // On a busy machine there may be no segment to strike, and bytes that the server has read and not used.
    const isTelling = (scene.struck > 0 || mayMiss) && (twice <= TWICE_AT_MOST || !isFrugal);
    if (pulled.ok && !isTelling) {
      await scene.renew(reads);
      arrange(scene);
      pulled = await scene.pull(server);
      twice = await scene.fetchedTwice(reads);
    }
    judge.expect(mayMiss ? scene.requests > 1 : scene.struck > 0, 'there was no segment to strike');
    const late = scene.askedDuringRest;
    judge.expect(late === 0, `${late} requests in the second for which no more were wanted`);
    if (ends === 'cut' && !pulled.ok) judge.wasCut(pulled);
    else judge.expectWhole(pulled);
    if (isFrugal) judge.expectFrugal(twice);
    scene.heal();
    judge.expectWhole(await scene.pullUntilWell(server), 'when all is well again');
    judge.expect(await becomesStored(server.dir, scene.blob), 'it is not stored');
    for (const each of scene.upstreams) judge.expect(each.leaks().length === 0, `${each.leaks()[0]}`);
  }

  #judge(name: string, { scene, round }: { readonly scene: SegmentScene; readonly round: number }): Judge {
    const misses = this.#misses;
    const counts = this.#counts;
    counts.cases += 1;
    const add = (miss: string): void => misses.add(`${name}, round ${round + 1} (${scene.drawn.join('; ')}): ${miss}`);
    return {
      expect: (holds, miss) => {
        if (!holds) add(miss);
      },
      expectWhole: (pulled, when = 'the pull') => {
        counts.pulls += 1;
        if (pulled.ok) return;
        counts.failed += 1;
        add(`${when}: ${pulled.ending}`);
      },
      wasCut: (pulled) => {
        counts.pulls += 1;
        counts.cut += 1;
        if (pulled.wrong) add(`a complete wrong body: ${pulled.ending}`);
      },
      expectFrugal: (twice) => {
        this.#twice = Math.max(this.#twice, twice);
        if (twice > TWICE_AT_MOST) add(`${percent(twice)} were fetched twice: ${scene.told}`);
      },
      expectFrugalOverKill: () => {
        const twice = scene.sent / SIZE - 1;
        this.#twiceOverKill = Math.max(this.#twiceOverKill, twice);
        if (twice > TWICE_OVER_KILL) add(`${percent(twice)} were fetched twice`);
      },
    };
  }
}

/** The storage, or the registry where it has none, takes no connection for a second, while those that are open go on. */
function refuseConnections(scene: SegmentScene): void {
  const { upstream } = scene;
  const role = upstream.personality.blobs === 'here' ? 'registry' : 'cdn';
  // The first segment is the last that is answered.
  const onStrike = (): void => {
    const accept = upstream.refuseConnections(role);
    setTimeout(() => void accept(), 1000);
  };
  scene.strike({ gate: openGate(), onStrike });
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}
