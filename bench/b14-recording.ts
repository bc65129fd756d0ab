import type { Digest } from '../src/oci/index.ts';
import { PullRecorder } from '../src/pulls/index.ts';
import { type PullUnderWay, type RequestFinished, Telemetry } from '../src/telemetry/index.ts';
import { Connections } from './lib/connections.ts';
import type { Figure } from './lib/figures.ts';
import { checkManifest } from './lib/origin.ts';
import { cpuSeconds, untilIdle } from './lib/process-cpu.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { type Subject, startEntrepot } from './lib/subjects.ts';

const CONNECTIONS = 32;
/** Requests of a turn, a tenth of a second or so: the machine is the same for all who take theirs one after another. */
const ASKED_IN_TURN = 2000;
/**
 * Turns of each server until its code is compiled for good, and those that are measured. By requests, not by time: on a busy
 * machine it would be measured how long code takes to compile, and recording is code.
 */
const WARMING_TURNS = 20;
const TURNS = 20;
/** Servers of each kind that are compared at a time: two processes of one program differ by more than what is measured. */
const OF_A_KIND = 2;
/** Comparisons for each run. */
const COMPARED_IN_RUN = 3;
/** Requests that the recorder alone is told of. */
const TOLD = 1_000_000;

/** What the record of pulls costs: CPU per warm manifest, with `admin.record_pulls` and without; and the recorder alone. */
export const recording: Bench = {
  id: 'B14',
  title: 'the record of pulls',
  async measure({ settings, origin, progress, ...place }) {
    const { image, path } = await origin.addImage();
    const accept = image.index.mediaType;
    const start = (recordsPulls: boolean) =>
      startEntrepot(place, {
        upstream: origin.url,
        name: recordsPulls ? 'recording' : 'not recording',
        config: { admin: { record_pulls: recordsPulls } },
      });
    const costs = new Samples();
    // Two with the orders of the kinds exchanged are one sample.
    const comparisons = 2 * settings.runs * COMPARED_IN_RUN;
    for (let number = 1; number <= comparisons; number++) {
      progress(`comparison ${number} of ${comparisons}`);
      const subjects: Subject[] = [];
      // In turns of kinds, and each comparison begins with the other one: a server that starts later costs up to a quarter more,
      // whatever its kind.
      for (let at = 0; at < 2 * OF_A_KIND; at++) {
        const subject = await start((at + number) % 2 === 0);
        await checkManifest(subject.url + path, image);
        subjects.push(subject);
      }
      const runners: readonly Runner[] = subjects.map((subject) => ({
        subject,
        load: new Connections({ url: subject.url + path, accept, connections: CONNECTIONS }),
        cpu: 0,
      }));
      // At once: a server waits ten seconds for the first request of a connection, and longer for further ones.
      for (const { load } of runners) await load.ask(CONNECTIONS);
      await takeTurns(runners, WARMING_TURNS);
      for (const runner of runners) {
        await untilIdle(runner.subject.process.pid);
        runner.cpu = -(await cpuSeconds(runner.subject.process.pid));
      }
      await takeTurns(runners, TURNS);
      for (const runner of runners) {
        await untilIdle(runner.subject.process.pid);
        runner.cpu += await cpuSeconds(runner.subject.process.pid);
      }
      for (const kind of ['recording', 'not recording']) {
        const own = runners.filter(({ subject }) => subject.name === kind);
        const each = own.map(({ cpu }) => (cpu / (TURNS * ASKED_IN_TURN)) * 1e6);
        costs.add(kind, each.reduce((sum, cost) => sum + cost, 0) / each.length);
      }
      for (const { subject, load } of runners) {
        load.close();
        await subject.process.stop();
      }
    }
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
        samples: exchanged(within.map((value, at) => value / (without[at] ?? Number.NaN))),
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

/** The geometric means of each two neighbours, in which what the order did cancels out. */
function exchanged(ratios: readonly number[]): readonly number[] {
  return ratios.flatMap((ratio, at) => (at % 2 === 0 ? Math.sqrt(ratio * (ratios[at + 1] ?? Number.NaN)) : []));
}

interface Runner {
  readonly subject: Subject;
  readonly load: Connections;
  /** CPU seconds, between the turns too: what is written from time to time counts. */
  cpu: number;
}

/** One server after another answers, each round in the opposite order. */
async function takeTurns(runners: readonly Runner[], turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    for (const { load } of turn % 2 === 0 ? runners : runners.toReversed()) await load.ask(ASKED_IN_TURN);
  }
}

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
