import type { Digest } from '../src/oci/index.ts';
import { PullRecorder } from '../src/pulls/index.ts';
import { type PullUnderWay, type RequestFinished, Telemetry } from '../src/telemetry/index.ts';
import type { Figure } from './lib/figures.ts';
import type { Bench } from './lib/stage.ts';
import { costOfOption } from './lib/turns.ts';

const CONNECTIONS = 32;
/** Requests that the recorder alone is told of. */
const TOLD = 1_000_000;

/** What the record of pulls costs: CPU per warm manifest, with `admin.record_pulls` and without; and the recorder alone. */
export const recording: Bench = {
  id: 'B14',
  title: 'the record of pulls',
  async measure(stage) {
    const { settings, progress } = stage;
    const { size, without, within, ratios } = await costOfOption(stage, {
      name: 'recorded',
      without: { config: { admin: { record_pulls: false } } },
      within: { config: { admin: { record_pulls: true } } },
      connections: CONNECTIONS,
    });
    const alone: number[] = [];
    for (let run = 1; run <= settings.runs; run++) {
      progress(`run ${run} of ${settings.runs}, the recorder alone`);
      alone.push(await costOfRecorder());
    }
    const common = { bench: 'B14', work: `warm manifest, ${size} bytes, CPU` };
    return [
      { ...common, subject: 'not recording', unit: 'µs', samples: without },
      { ...common, subject: 'recording', unit: 'µs', samples: within },
      {
        ...common,
        subject: 'recording',
        unit: '× without',
        samples: ratios,
        goals: [{ bound: 'at most', value: 1.05 }],
      },
      {
        ...common,
        work: 'recording one request',
        subject: 'the recorder alone',
        unit: 'µs',
        samples: alone,
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
