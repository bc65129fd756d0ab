import { request } from 'node:http';
import { pullAll } from './lib/clients.ts';
import type { Figure } from './lib/figures.ts';
import { openLink } from './lib/link.ts';
import { type Bench, Samples, type Stage } from './lib/stage.ts';
import { startEntrepot } from './lib/subjects.ts';

const MiB = 1024 * 1024;

/** Of each connection. */
const RATE = 4 * MiB;
const SIZE = 128 * MiB;
/** Of all connections together, where one fills the line. */
const LINE = 20 * MiB;

/** Of all connections to the first of two upstreams, and to the second, where each fills its own line. */
const NARROW = 8 * MiB;

const LAZY_SIZE = 512 * MiB;
const LAZY_READS = 200;
const LAZY_BYTES = 64 * 1024;
const LAZY_AT_ONCE = 8;

/**
 * One blob over several connections: how long does a cold pull take where each connection has a rate of its own, and what does
 * it cost where one fills the line? And what is asked of the upstream where clients read here and there?
 */
export const segments: Bench = {
  id: 'B16',
  title: 'one blob over several connections',
  measure: async (stage) => [
    ...(await measureSplit(stage)),
    ...(await measureTwo(stage)),
    ...(await measureFullLine(stage)),
    ...(await measureLazy(stage)),
  ],
};

async function measureSplit({ settings, origin, progress, ...place }: Stage): Promise<readonly Figure[]> {
  const link = await openLink(origin.url, { bytesPerSecond: RATE, perConnection: true });
  place.workspace.defer(() => link.close());
  const entrepot = await startEntrepot(place, { upstream: link.url });
  const eight = await startEntrepot(place, {
    upstream: link.url,
    name: 'entrepot, connections: 8',
    config: { transfer: { connections: 8 } },
  });
  const one = await startEntrepot(place, {
    upstream: link.url,
    name: 'entrepot, connections: 1',
    config: { transfer: { connections: 1 } },
  });
  const samples = new Samples();
  for (let run = 1; run <= settings.runs; run++) {
    const blob = await origin.addBlob(SIZE);
    progress(`run ${run} of ${settings.runs}, straight`);
    const straight = await pullAll({ url: `${link.url}${blob.path}`, expected: blob.file });
    samples.add('straight', straight.wall / 1000);
    for (const subject of [entrepot, eight, one]) {
      progress(`run ${run} of ${settings.runs}, ${subject.name}`);
      origin.upstream.forget();
      const before = link.carried;
      const { wall } = await pullAll({ url: `${subject.url}${blob.path}`, expected: blob.file, lateJoiner: true });
      samples.add(subject.name, wall / 1000);
      samples.add(`${subject.name} ratio`, wall / straight.wall);
      samples.add(`${subject.name} asked`, (link.carried - before) / blob.size);
      samples.add(`${subject.name} requests`, origin.upstream.blobBodies(blob.digest).length);
    }
    await blob.remove();
  }
  const work = `cold ${SIZE / MiB} MiB, ${RATE / MiB} MiB/s a connection`;
  const common = { bench: 'B16' };
  return [
    {
      ...common,
      work: `${work}, wall`,
      subject: 'straight from the upstream',
      unit: 's',
      samples: samples.of('straight'),
    },
    ...[entrepot, eight, one].flatMap(({ name }): Figure[] => [
      { ...common, work: `${work}, wall`, subject: name, unit: 's', samples: samples.of(name) },
      {
        ...common,
        work,
        subject: name,
        unit: '× straight',
        samples: samples.of(`${name} ratio`),
        ...(name === entrepot.name ? { goals: [{ bound: 'at most', value: 9 / 32 }] } : {}),
      },
      {
        ...common,
        work: 'carried by the line',
        subject: name,
        unit: '× blob',
        samples: samples.of(`${name} asked`),
        goals: [{ bound: 'at most', value: 1.02 }],
      },
      { ...common, work: 'requests', subject: name, unit: '', samples: samples.of(`${name} requests`) },
    ]),
  ];
}

/** Two upstreams that have the blob: a long line for each connection, and two full lines. */
async function measureTwo({ settings, origin, progress, ...place }: Stage): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  const cases = [
    {
      work: `two upstreams, ${RATE / MiB} MiB/s a connection`,
      goal: 5 / 32,
      link: { bytesPerSecond: RATE, perConnection: true },
      transfer: { connections: 8 },
    },
    { work: `two upstreams, ${NARROW / MiB} MiB/s each`, goal: 0.6, link: { bytesPerSecond: NARROW }, transfer: {} },
  ] as const;
  for (const { work, goal, link, transfer } of cases) {
    const links = await Promise.all([openLink(origin.url, link), openLink(origin.url, link)]);
    for (const each of links) place.workspace.defer(() => each.close());
    const [first, second] = links;
    const upstreams = [
      { url: first.url, name: 'first' },
      { url: second.url, name: 'second' },
    ];
    const config = { registries: { origin: { upstreams } }, transfer };
    const entrepot = await startEntrepot(place, { upstream: first.url, config });
    const carried = (): number => first.carried + second.carried;
    const samples = new Samples();
    for (let run = 1; run <= settings.runs; run++) {
      const blob = await origin.addBlob(SIZE);
      progress(`run ${run} of ${settings.runs}, ${work}, straight`);
      const straight = await pullAll({ url: `${first.url}${blob.path}`, expected: blob.file });
      progress(`run ${run} of ${settings.runs}, ${work}`);
      const before = carried();
      const { wall } = await pullAll({ url: `${entrepot.url}${blob.path}`, expected: blob.file });
      samples.add('wall', wall / 1000);
      samples.add('ratio', wall / straight.wall);
      samples.add('asked', (carried() - before) / blob.size);
      await blob.remove();
    }
    const common = { bench: 'B16', subject: 'entrepot', work: `cold ${SIZE / MiB} MiB, ${work}` };
    figures.push(
      { ...common, work: `${common.work}, wall`, unit: 's', samples: samples.of('wall') },
      { ...common, unit: '× straight', samples: samples.of('ratio'), goals: [{ bound: 'at most', value: goal }] },
      {
        ...common,
        work: `${common.work}: carried by the lines`,
        unit: '× blob',
        samples: samples.of('asked'),
        goals: [{ bound: 'at most', value: 1.02 }],
      },
    );
  }
  return figures;
}

async function measureFullLine({ settings, origin, progress, ...place }: Stage): Promise<readonly Figure[]> {
  const link = await openLink(origin.url, { bytesPerSecond: LINE });
  place.workspace.defer(() => link.close());
  const entrepot = await startEntrepot(place, { upstream: link.url });
  const samples = new Samples();
  for (let run = 1; run <= settings.runs; run++) {
    const blob = await origin.addBlob(SIZE);
    progress(`run ${run} of ${settings.runs}, a line that one connection fills`);
    const straight = await pullAll({ url: `${link.url}${blob.path}`, expected: blob.file });
    origin.upstream.forget();
    const { wall } = await pullAll({ url: `${entrepot.url}${blob.path}`, expected: blob.file });
    samples.add('ratio', wall / straight.wall);
    samples.add('extra', origin.upstream.blobBodies(blob.digest).length - 1);
    await blob.remove();
  }
  const common = { bench: 'B16', subject: 'entrepot' };
  const work = `cold ${SIZE / MiB} MiB, ${LINE / MiB} MiB/s for all`;
  return [
    {
      ...common,
      work,
      unit: '× straight',
      samples: samples.of('ratio'),
      goals: [{ bound: 'at most', value: 1.05 }],
    },
    {
      ...common,
      work: `${work}: more requests than one`,
      unit: '',
      samples: samples.of('extra'),
      goals: [{ bound: 'at most', value: 2 }],
    },
  ];
}

async function measureLazy({ origin, progress, ...place }: Stage): Promise<readonly Figure[]> {
  const link = await openLink(origin.url, { bytesPerSecond: 4 * LINE });
  place.workspace.defer(() => link.close());
  const entrepot = await startEntrepot(place, { upstream: link.url });
  const blob = await origin.addBlob(LAZY_SIZE);
  progress('reads here and there');
  const before = link.carried;
  // The whole is under way: its head says how large it is, as a manifest would.
  const whole = pullAll({ url: `${entrepot.url}${blob.path}`, expected: blob.file });
  const times: number[] = [];
  const places = Array.from({ length: LAZY_READS }, (_, at) => ((at * 104_729) % 9973) / 9973);
  await Promise.all(
    Array.from({ length: LAZY_AT_ONCE }, async () => {
      for (let place = places.pop(); place !== undefined; place = places.pop()) {
        const start = Math.floor(place * (LAZY_SIZE - LAZY_BYTES));
        times.push(await readPart(`${entrepot.url}${blob.path}`, start));
      }
    }),
  );
  await whole;
  const asked = (link.carried - before) / blob.size;
  await blob.remove();
  const common = { bench: 'B16', subject: 'entrepot' };
  const sorted = times.toSorted((one, other) => one - other);
  return [
    {
      ...common,
      work: `${LAZY_READS} ranges of ${LAZY_BYTES / 1024} KiB in a cold ${LAZY_SIZE / MiB} MiB: carried by the line`,
      unit: '× blob',
      samples: [asked],
      goals: [{ bound: 'at most', value: 1.02 }],
    },
    { ...common, work: 'a range of them, median', unit: 'ms', samples: [sorted[Math.floor(sorted.length / 2)] ?? 0] },
  ];
}

/** Milliseconds until a part is there. */
function readPart(url: string, start: number): Promise<number> {
  const began = performance.now();
  const headers = { range: `bytes=${start}-${start + LAZY_BYTES - 1}` };
  return new Promise((resolve, reject) => {
    request(url, { headers }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => (bytes += chunk.length));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 206 && bytes === LAZY_BYTES) resolve(performance.now() - began);
        else reject(new Error(`a range was answered ${response.statusCode} with ${bytes} bytes`));
      });
    })
      .on('error', reject)
      .end();
  });
}
