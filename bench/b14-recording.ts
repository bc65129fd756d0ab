import type { Digest } from '../src/oci/index.ts';
import { PullRecorder } from '../src/pulls/index.ts';
import { type PullUnderWay, type RequestFinished, Telemetry } from '../src/telemetry/index.ts';
import { check, freePort } from '../test/support/processes.ts';
import { Connections } from './lib/connections.ts';
import type { Figure } from './lib/figures.ts';
import { checkManifest } from './lib/origin.ts';
import { cpuSeconds, untilIdle } from './lib/process-cpu.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { BIN, entrepotCommand, startEntrepot } from './lib/subjects.ts';

const CONNECTIONS = 32;
/** Requests before anything is measured: until its code is compiled for good, a server costs twice as much. */
const WARMING = 40_000;
/** Requests of a turn: a second or two, as the kernel counts CPU in hundredths. */
const ASKED_IN_TURN = 60_000;
/** Pairs of turns for each run. */
const PAIRS_IN_RUN = 3;
/** Requests that the recorder alone is told of. */
const TOLD = 1_000_000;

/**
 * What the record of pulls costs: CPU per warm manifest, with `admin.record_pulls` and without; and the recorder alone.
 *
 * One server takes turns, with a reload between them: two processes of one program differ by up to a quarter, which is far more than what
 * is measured.
 */
export const recording: Bench = {
  id: 'B14',
  title: 'the record of pulls',
  async measure({ settings, origin, progress, ...place }) {
    const { image, path } = await origin.addImage();
    const accept = image.index.mediaType;
    const [port, dir] = [await freePort(), place.workspace.path('recorded')];
    const withRecord = (isOn: boolean) => ({
      upstream: origin.url,
      port,
      dir,
      config: { admin: { record_pulls: isOn } },
    });
    const server = await startEntrepot(place, withRecord(true));
    await checkManifest(server.url + path, image);
    const load = new Connections({ url: server.url + path, accept, connections: CONNECTIONS });
    const record = async (isOn: boolean): Promise<void> => {
      // Writes the configuration, which has its place by the port.
      await entrepotCommand(place.workspace, withRecord(isOn));
      await check(['sh', BIN, 'reload', '--cache-dir', dir]);
    };
    /** Microseconds of CPU for a request, with what is written from time to time. */
    const turn = async (isOn: boolean): Promise<number> => {
      await record(isOn);
      await load.ask(ASKED_IN_TURN / 10);
      await untilIdle(server.process.pid);
      const before = await cpuSeconds(server.process.pid);
      await load.ask(ASKED_IN_TURN);
      await untilIdle(server.process.pid);
      return (((await cpuSeconds(server.process.pid)) - before) / ASKED_IN_TURN) * 1e6;
    };
    const costs = new Samples();
    progress('warming');
    for (const isOn of [false, true]) {
      await record(isOn);
      await load.ask(WARMING);
    }
    const pairs = settings.runs * PAIRS_IN_RUN;
    for (let number = 1; number <= pairs; number++) {
      progress(`pair ${number} of ${pairs}`);
      // Each pair begins with the other one.
      for (const isOn of number % 2 === 0 ? [true, false] : [false, true]) {
        costs.add(isOn ? 'recording' : 'not recording', await turn(isOn));
      }
    }
    load.close();
    await server.process.stop();
    for (let run = 1; run <= settings.runs; run++) {
      progress(`run ${run} of ${settings.runs}, the recorder alone`);
      costs.add('the recorder alone', await costOfRecorder());
    }
    const common = { bench: 'B14', work: `warm manifest, ${image.index.size} bytes, CPU` };
    const [without, within] = [costs.of('not recording'), costs.of('recording')];
    return [
      { ...common, subject: 'not recording', unit: 'µs', samples: without },
      { ...common, subject: 'recording', unit: 'µs', samples: within },
      {
        ...common,
        subject: 'recording',
        unit: '× without',
        // Those of one pair belong together.
        samples: within.map((value, at) => value / (without[at] ?? Number.NaN)),
        goals: [{ bound: 'at most', value: 1.05 }],
      },
      {
        ...common,
        work: 'recording one request',
        subject: 'the recorder alone',
        unit: 'µs',
        samples: costs.of('the recorder alone'),
        goals: [{ bound: 'at most', value: 1 }],
      },
    ] satisfies readonly Figure[];
  },
};

/** Microseconds of CPU that the recorder takes for one request of 32 that run at a time. */
async function costOfRecorder(): Promise<number> {
  const telemetry = new Telemetry();
  const recorder = new PullRecorder({ telemetry });
  recorder.isOn = true;
  const digest = `sha256:${'0'.repeat(64)}` as Digest;
  const views: PullUnderWay[] = [];
  const begin = (number: number): void => {
    const view: PullUnderWay = {
      id: `mz6c-${number.toString(36)}`,
      method: 'GET',
      client: '192.0.2.1',
      user: undefined,
      userAgent: 'containerd/2.1.4',
      registry: 'docker.io',
      repository: 'library/nginx',
      target:
        number % 2 === 0
          ? { kind: 'manifest', reference: { kind: 'tag', tag: 'latest' } }
          : { kind: 'manifest', reference: { kind: 'digest', digest } },
      namedBy: 'ns',
      rule: undefined,
      access: undefined,
      bytes: 9000,
      size: 9000,
      cache: 'HIT',
      reason: 'the tag is fresh',
      upstream: undefined,
      startedAt: performance.now(),
      slotAt: 1,
      passedAt: 2,
      answeredAt: 3,
      recorded: undefined,
    };
    views.push(view);
  };
  for (let number = 0; number < 1024; number += 1) begin(number);
  const finished: readonly RequestFinished[] = views.map((view) => {
    const { id, method, client, user, userAgent, registry, repository, upstream, bytes, cache } = view;
    return {
      id,
      method,
      path: '/v2/',
      status: 200,
      bytes,
      durationMs: 1,
      client,
      user,
      userAgent,
      route: 'registry',
      registry,
      repository,
      upstream,
      cache,
      error: undefined,
      pull: view,
    };
  });
  const told = (requests: number): void => {
    for (let number = 0; number < requests + CONNECTIONS; number += 1) {
      if (number < requests) telemetry.publish('pull.started', views[number % 1024] as PullUnderWay);
      const ended = number - CONNECTIONS;
      if (ended >= 0) telemetry.publish('request.finished', finished[ended % 1024] as RequestFinished);
    }
  };
  told(TOLD / 10);
  const before = process.cpuUsage();
  told(TOLD);
  const { user, system } = process.cpuUsage(before);
  await recorder.close();
  return (user + system) / TOLD;
}
