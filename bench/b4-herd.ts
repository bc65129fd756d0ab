import { pullAll } from './lib/clients.ts';
import type { Figure, Peer } from './lib/figures.ts';
import { openLink } from './lib/link.ts';
import type { OriginBlob } from './lib/origin.ts';
import { type Bench, Samples, type Stage } from './lib/stage.ts';
import { type Subject, startEntrepot, startNginx, startRegistryMirror } from './lib/subjects.ts';

const CLIENTS = 100;
/** A line of 40 Mbit/s, so that a hundred copies of what it brings fit through one core. */
const LINK = 5_000_000;
const SIZE = 16 * 1024 * 1024;

/**
 * A hundred clients ask for one blob that is not cached yet, and one more comes when half of it is here: how often is the
 * upstream asked, and how long does the slowest wait?
 */
export const herd: Bench = {
  id: 'B4',
  title: `${CLIENTS} clients, one cold blob`,
  async measure(stage) {
    const { settings, origin, progress, ...place } = stage;
    const link = await openLink(origin.url, { bytesPerSecond: LINK });
    place.workspace.defer(() => link.close());
    const entrepot = await startEntrepot(place, { upstream: link.url });
    const nginx = await startNginx(place, { upstream: link.url, files: origin.files });
    const samples = new Samples();

    for (let run = 0; run <= settings.runs; run++) {
      progress(run === 0 ? 'warming' : `run ${run} of ${settings.runs}, a single pull`);
      const single = await pullOnce(stage, entrepot, run === 0 ? 1024 * 1024 : SIZE);
      if (run === 0) continue;
      progress(`run ${run} of ${settings.runs}, the herd`);
      await measureHerd(stage, { subject: entrepot, samples, single });
    }
    if (nginx !== undefined) {
      progress('nginx, a single pull');
      const single = await pullOnce(stage, nginx.cache, SIZE);
      progress('nginx, the herd');
      await measureHerd(stage, { subject: nginx.cache, samples, single });
    }
    // Without the line: it asks for everything again for each client, and would take minutes.
    const registry = await startRegistryMirror(place, origin.url);
    if (registry !== undefined) {
      progress('docker-registry, the herd');
      await measureHerd(stage, { subject: registry, samples });
    }
    return [entrepot, nginx?.cache, registry]
      .filter((subject) => subject !== undefined)
      .flatMap((subject) => figuresOf(subject, samples));
  },
};

/** One cold pull by one client; milliseconds. */
async function pullOnce({ origin }: Stage, { url }: Subject, size: number): Promise<number> {
  const blob = await origin.addBlob(size);
  const { wall } = await pullAll({ url: `${url}${blob.path}`, expected: blob.file });
  await blob.remove();
  return wall;
}

interface HerdOptions {
  readonly subject: Subject;
  readonly samples: Samples;
  /** Milliseconds of a single pull over the same line; absent: the time is not measured. */
  readonly single?: number;
}

async function measureHerd({ origin }: Stage, { subject, samples, single }: HerdOptions): Promise<void> {
  const blob = await origin.addBlob(SIZE);
  const { wall, lateJoiner } = await pullAll({
    url: `${subject.url}${blob.path}`,
    expected: blob.file,
    clients: CLIENTS,
    lateJoiner: true,
  });
  samples.add(`${subject.name} asks`, upstreamGets(origin.upstream, blob));
  if (single !== undefined) {
    samples.add(`${subject.name} wall`, wall / single);
    if (lateJoiner !== undefined) samples.add(`${subject.name} late`, lateJoiner.firstByte);
  }
  await blob.remove();
}

function upstreamGets(upstream: Stage['origin']['upstream'], { digest }: OriginBlob): number {
  return upstream.blobBodies(digest).length;
}

function figuresOf({ name, peer }: Subject, samples: Samples): readonly Figure[] {
  const common: { bench: string; subject: string; peer?: Peer } = {
    bench: 'B4',
    subject: name,
    ...(peer === undefined ? {} : { peer }),
  };
  const isOurs = peer === undefined;
  const figures: readonly Figure[] = [
    {
      ...common,
      work: 'upstream GETs',
      unit: '',
      samples: samples.of(`${name} asks`),
      ...(isOurs ? { goals: [{ bound: 'exactly', value: 1 }] } : {}),
      ...(peer === 'docker-registry' ? { note: 'asked without the thin line' } : {}),
    },
    {
      ...common,
      work: `last byte to all, over ${LINK / 1e6} MB/s`,
      unit: '× one pull',
      samples: samples.of(`${name} wall`),
      ...(isOurs ? { goals: [{ bound: 'at most', value: 1.2 }] } : {}),
    },
    {
      ...common,
      work: 'first byte of a late joiner',
      unit: 'ms',
      samples: samples.of(`${name} late`),
      ...(isOurs ? { goals: [{ bound: 'at most', value: 20 }] } : {}),
      ...(peer === 'nginx' ? { note: 'sends nothing to those who wait before it has everything' } : {}),
    },
  ];
  return figures.filter((figure) => figure.samples.length > 0);
}
