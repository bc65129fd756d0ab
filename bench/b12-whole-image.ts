import type { Figure } from './lib/figures.ts';
import { type ImageClient, startImageClients } from './lib/image-clients.ts';
import { type Link, openLink } from './lib/link.ts';
import type { OriginImage } from './lib/origin.ts';
import { untilIdle } from './lib/process-cpu.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { type Subject, startEntrepot, startRegistryMirror } from './lib/subjects.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Of each connection. */
const RATE = 4 * MiB;
/** Milliseconds that a request takes to be heard and answered. */
const ROUND_TRIP = 40;

/** The layers of an image of 512 MiB, as images for machine learning have them: a system, its packages, one large library, many small files. */
const LAYERS: readonly number[] = [
  30 * MiB,
  3 * KiB,
  18 * MiB,
  64 * MiB,
  4 * KiB,
  22 * MiB,
  1 * MiB,
  6 * MiB,
  200 * MiB,
  3 * KiB,
  90 * MiB,
  12 * KiB,
  40 * MiB,
  5 * KiB,
  2.5 * MiB,
  20 * MiB,
  300 * KiB,
  8 * MiB,
  9 * KiB,
  10 * MiB,
];
const WHOLE = 512 * MiB;

/** A run takes five minutes and seconds over a line vary little: there is one for so many runs of other benches. */
const RUNS_OF_OTHERS = 3;

/**
 * A whole image of twenty layers, pulled by skopeo and by containerd over a long line on which each connection has a rate of
 * its own: straight from the upstream, and through mirrors that have nothing of it, then all.
 */
export const wholeImage: Bench = {
  id: 'B12',
  title: 'a whole image over a long line',
  async measure({ settings, origin, progress, ...place }) {
    const link = await openLink(origin.url, { bytesPerSecond: RATE, perConnection: true, roundTrip: ROUND_TRIP });
    place.workspace.defer(() => link.close());
    const mirrors = [
      await startEntrepot(place, { upstream: link.url }),
      await startRegistryMirror(place, link.url),
    ].filter((mirror) => mirror !== undefined);
    const clients = await startImageClients(place);
    const samples = new Samples();
    const runs = Math.ceil(settings.runs / RUNS_OF_OTHERS);
    // Twice the size that other benches give to one blob.
    const layers = LAYERS.map((size) => Math.max(3 * KiB, Math.round((size * 2 * settings.size) / WHOLE)));
    // Compiling the code, and a client's first start, are no part of a pull.
    const small = origin.addWholeImage(LAYERS.map(() => 3 * KiB));
    for (const client of clients) {
      for (const { name, url } of [{ name: 'straight', url: link.url }, ...mirrors]) {
        progress(`warming ${client.name}, ${name}`);
        await client.pull(`${new URL(url).host}/${small.name}`);
      }
    }
    for (let run = 1; run <= runs; run++) {
      for (const client of clients) {
        const image = origin.addWholeImage(layers);
        const pulls = new Pulls({ client, image, link, samples });
        progress(`run ${run} of ${runs}, ${client.name}, straight`);
        const straight = await pulls.measure(link.url, 'straight');
        for (const mirror of run % 2 === 1 ? mirrors : mirrors.toReversed()) {
          for (const state of ['cold', 'warm'] as const) {
            progress(`run ${run} of ${runs}, ${client.name}, ${mirror.name}, ${state}`);
            const seconds = await pulls.measure(mirror.url, nameOf(mirror, state));
            samples.add(`${client.name} ${nameOf(mirror, state)} ratio`, seconds / straight);
            // Some store what they passed on only after the answer.
            await untilIdle(mirror.process.pid);
          }
        }
        image.remove();
      }
    }
    const size = layers.reduce((sum, each) => sum + each, 0);
    return clients.flatMap((client) => figuresOf({ client, mirrors, samples, size }));
  },
};

type State = 'cold' | 'warm';

function nameOf({ name }: Subject, state: State): string {
  return `${name}, ${state}`;
}

interface PullsOptions {
  readonly client: ImageClient;
  readonly image: OriginImage;
  readonly link: Link;
  readonly samples: Samples;
}

/** The pulls of one image by one client. */
class Pulls {
  readonly #options: PullsOptions;

  constructor(options: PullsOptions) {
    this.#options = options;
  }

  /** Pulls from a server, and notes the seconds and what the line carried. Returns the seconds. */
  async measure(url: string, subject: string): Promise<number> {
    const { client, image, link, samples } = this.#options;
    const before = link.carried;
    const seconds = await client.pull(`${new URL(url).host}/${image.name}`);
    samples.add(`${client.name} ${subject} wall`, seconds);
    samples.add(`${client.name} ${subject} carried`, (link.carried - before) / image.size);
    return seconds;
  }
}

interface FiguresOptions {
  readonly client: ImageClient;
  readonly mirrors: readonly Subject[];
  readonly samples: Samples;
  /** Bytes of the image's layers. */
  readonly size: number;
}

function figuresOf({ client, mirrors, samples, size }: FiguresOptions): readonly Figure[] {
  const work = `${client.name}, ${LAYERS.length} layers, ${Math.round(size / MiB)} MiB, ${RATE / MiB} MiB/s a connection, ${ROUND_TRIP} ms`;
  const of = (subject: string, what: string) => samples.of(`${client.name} ${subject} ${what}`);
  const common = { bench: 'B12', ...(client.note === undefined ? {} : { note: client.note }) };
  // Of a smaller image fewer layers are worth splitting.
  const isLarge = size >= WHOLE * 0.95;
  const states = mirrors.flatMap((mirror) =>
    (['cold', 'warm'] as const).map((state) => ({
      state,
      subject: nameOf(mirror, state),
      isOurs: mirror.peer === undefined,
    })),
  );
  return [
    { ...common, work, subject: 'straight from the upstream', unit: 's', samples: of('straight', 'wall') },
    ...states.map(({ subject }): Figure => ({ ...common, work, subject, unit: 's', samples: of(subject, 'wall') })),
    ...states.map(
      ({ state, subject, isOurs }): Figure => ({
        ...common,
        work,
        subject,
        unit: '× straight',
        samples: of(subject, 'ratio'),
        ...(isOurs && isLarge && state === 'cold' ? { goals: [{ bound: 'at most', value: 0.5 }] } : {}),
      }),
    ),
    ...states.map(
      ({ state, subject, isOurs }): Figure => ({
        ...common,
        work: `${client.name}, carried by the line`,
        subject,
        unit: '× image',
        samples: of(subject, 'carried'),
        ...(isOurs ? { goals: [{ bound: 'at most', value: state === 'cold' ? 1.02 : 0.001 }] } : {}),
      }),
    ),
  ];
}
