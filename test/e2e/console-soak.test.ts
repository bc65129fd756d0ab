import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { CDPSession } from 'playwright-core';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { ConsolePage } from '../support/console-page.ts';
import { pullImage, requestOf } from '../support/console-stage.ts';
import { Heap, INSPECTED } from '../support/heap.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { Workspace } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { slopeOf } from '../support/slope.ts';

// Many pages over one server, for long: what the server and the pages keep in memory does not grow with what is pulled.

const PAGES = 20;
/** Samples; the first half is not judged, as caches and the lists of the pages fill then. `TEST_ROUNDS` makes it longer. */
const ROUNDS = Number(process.env['TEST_ROUNDS'] ?? 24);
/** Milliseconds for a round, on a busy machine. */
const PER_ROUND = 20_000;
/** Pulls between two samples. */
const PULLS = 40;
/**
 * Images, pulled in turns: more than the cache has room for, so that each is fetched again. What the server remembers of them is bounded,
 * and so small that it is full before the first half is over.
 */
const IMAGES = 160;
/**
 * Bytes that a pull may add to what the server or a page keeps. What a collection leaves differs by some 100 kB, which is less than this
 * over the pulls of a half; 1 kB a pull, kept by a server on purpose, fails.
 */
const MOST_PER_PULL = 512;
/** The same in a short run, in which compiled code and caches still fill: what a pull records and is never let go fails here. */
const MOST_PER_PULL_SHORT = 3072;
/** Elements of the document that a pull may add to a page. */
const MOST_NODES_PER_PULL = 0.5;
/** Elements of any page. */
const MOST_NODES = 4000;
/** The charts of the first view show five minutes, and grow until then: in a short run their slope says nothing. */
const LONG_RUN = 60;

test(`${PAGES} open pages cost a server no memory and no descriptors that stay`, {
  ...needsBrowser(),
  timeout: ROUNDS * PER_ROUND,
}, async (t) => {
  await using workspace = await Workspace.open();
  const upstream = await startScriptedUpstream();
  workspace.defer(() => upstream.stop());
  const entrepot = await startEntrepot(
    workspace,
    {
      registries: { 'docker.io': { upstreams: [upstream.url] } },
      // As few slots as there are pages: each stream that held one would stop the pulls.
      limits: { max_inflight: 4 },
      // Images are evicted all the time.
      cache: { max_size: '40MB' },
      log: { level: 'info', format: 'json', access: false },
    },
    { env: { ...process.env, ...INSPECTED } },
  );
  await using heap = await Heap.of(entrepot.process);
  await using browser = await openBrowser();
  const pages: ConsolePage[] = [];
  for (let at = 0; at < PAGES; at += 1) {
    // Each with a session of its own: of one there are at most eight streams.
    const opened = await ConsolePage.open(browser, entrepot, { place: PLACES[at % PLACES.length] ?? '' });
    await opened.page.locator('.dot-live').first().waitFor({ state: 'attached' });
    pages.push(opened);
  }
  const looked = await Promise.all(pages.slice(0, PLACES.length).map(inspect));
  const images = Array.from({ length: IMAGES }, (_, at) => {
    const image = buildImage({ seed: `soak ${at}`, architectures: ['amd64'], layers: [280_000, 5_000] });
    const [name, tag] = [`soak/app-${at % 50}`, `t${at}`];
    upstream.add(image, name, [tag]);
    return { name, tag, image };
  });
  let pulled = 0;
  const pullOnce = async (): Promise<void> => {
    const wanted = images[pulled % IMAGES];
    assert.ok(wanted !== undefined);
    pulled += 1;
    const { name, image } = wanted;
    await pullImage(entrepot, wanted);
    // A hit.
    const { manifest } = platformOf(image, 'amd64');
    await requestOf(entrepot, `${name}/manifests/${manifest.digest}`);
  };
  const samples: Sample[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let at = 0; at < PULLS; at += 1) await pullOnce();
    const { heap: used, buffers } = await heap.afterCollection();
    const sample = {
      pulled,
      heap: used,
      buffers,
      ...resources(entrepot),
      pages: await Promise.all(looked.map(pageUse)),
    };
    samples.push(sample);
    if (process.env['TEST_ROUNDS'] !== undefined) t.diagnostic(JSON.stringify(sample));
  }
  judge(t, samples);
  // All of them still follow.
  for (const opened of pages) {
    assert.ok((await opened.page.locator('.dot-live').count()) > 0);
    await opened.close();
  }
});

const PLACES = ['', 'pulls', 'images', 'registries'] as const;

interface Sample {
  /** Images so far. */
  readonly pulled: number;
  /** Bytes of the server's heap after a collection. */
  readonly heap: number;
  readonly buffers: number;
  readonly descriptors: number;
  /** MB, with what the allocator keeps: to be read, not judged. */
  readonly resident: number;
  /** Of one page of each of {@link PLACES}. */
  readonly pages: readonly PageUse[];
}

interface PageUse {
  readonly heap: number;
  readonly nodes: number;
}

/** Of the server, which the shell that started it has become. */
function resources({ process: { pid } }: RunningEntrepot): Pick<Sample, 'resident' | 'descriptors'> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const resident = Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
  return { resident, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

async function inspect({ context, page }: ConsolePage): Promise<CDPSession> {
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable');
  return session;
}

async function pageUse(session: CDPSession): Promise<PageUse> {
  for (let round = 0; round < 2; round += 1) await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const read = (wanted: string): number => metrics.find(({ name }) => name === wanted)?.value ?? Number.NaN;
  return { heap: read('JSHeapUsedSize'), nodes: read('Nodes') };
}

/** Judges the second half by its slope. */
function judge(t: TestContext, samples: readonly Sample[]): void {
  const half = samples.slice(Math.floor(samples.length / 2));
  const growth = (value: (sample: Sample) => number): number =>
    slopeOf(half.map((sample) => ({ at: sample.pulled, value: value(sample) })));
  const first = samples.length < LONG_RUN ? 1 : 0;
  const grown = {
    heap: growth(({ heap }) => heap),
    // A pool of buffers grows in steps, once: what leaks grows from nearly every sample to the next.
    buffers: medianStep(half),
    ...Object.fromEntries(
      PLACES.slice(first).map((place, at) => [
        `heap of /ui/${place}`,
        growth(({ pages }) => pages[at + first]?.heap ?? Number.NaN),
      ]),
    ),
  };
  const nodes = PLACES.map((_, at) => growth(({ pages }) => pages[at]?.nodes ?? Number.NaN));
  const descriptors = growth((sample) => sample.descriptors) * PULLS * half.length;
  t.diagnostic(`bytes a pull, in the second half of ${samples.at(-1)?.pulled} pulls: ${JSON.stringify(grown)}`);
  t.diagnostic(`nodes a pull: ${nodes.map((each) => each.toFixed(3)).join(', ')}; descriptors: ${descriptors}`);
  const most = samples.length < LONG_RUN ? MOST_PER_PULL_SHORT : MOST_PER_PULL;
  for (const [what, bytes] of Object.entries(grown)) {
    assert.ok(bytes <= most, `${what} grows by ${Math.round(bytes)} bytes a pull`);
  }
  for (const { pages } of half) for (const page of pages) assert.ok(page.nodes <= MOST_NODES, `${page.nodes} nodes`);
  for (const each of nodes.slice(first)) assert.ok(each <= MOST_NODES_PER_PULL, `a page grows by ${each} nodes a pull`);
  assert.ok(descriptors <= 8, `descriptors grow by ${descriptors}`);
}

/** Bytes of buffers a pull that come between two samples, in the middle of all. */
function medianStep(samples: readonly Sample[]): number {
  const steps = samples.slice(1).map(({ buffers }, at) => (buffers - (samples[at]?.buffers ?? Number.NaN)) / PULLS);
  return steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? Number.NaN;
}
