import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Digest, parseDigest } from '../oci/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { bodiesOf, pingBody } from './envelope.ts';
import { onReports, type Report } from './reports.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`) as Digest;
const before = parseDigest(`sha256:${'b'.repeat(64)}`) as Digest;
const time = Date.parse('2026-03-02T09:14:30.123Z');
const place = { registry: 'apps', repository: 'team/app', by: 'alice', client: '192.0.2.7' };
const source = { addr: 'mirror.example.com', url: 'https://mirror.example.com', instance: 'an-instance' };
const pushed = { ...place, digest, mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 707 };

interface Sent {
  readonly id: string;
  readonly action: string;
  readonly target: Readonly<Record<string, unknown>>;
  readonly request: Readonly<Record<string, unknown>>;
}

/** What was reported by the work, in events as they are sent. */
function sentBy(work: (telemetry: Telemetry) => void, from = source): readonly Sent[][] {
  const telemetry = new Telemetry();
  const reports: Report[] = [];
  const stop = onReports(telemetry, (report) => reports.push(report));
  work(telemetry);
  stop();
  work(telemetry);
  return reports.flatMap((report) =>
    bodiesOf(report, { source: from, time }).map((body) => (JSON.parse(body) as { events: Sent[] }).events),
  );
}

describe('what is reported', () => {
  test('a pushed manifest is an event for each tag, in the form of distribution', () => {
    const [events = []] = sentBy((telemetry) =>
      telemetry.publish('manifest.pushed', { ...pushed, tags: ['1', 'latest'] }),
    );
    assert.deepEqual(
      events.map(({ id: _id, ...event }) => event),
      ['1', 'latest'].map((tag) => ({
        timestamp: '2026-03-02T09:14:30.123Z',
        action: 'push',
        target: {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          size: 707,
          length: 707,
          digest,
          repository: 'apps/team/app',
          url: `https://mirror.example.com/v2/apps/team/app/manifests/${digest}`,
          tag,
          registry: 'apps',
        },
        request: { id: '', addr: '192.0.2.7', host: 'mirror.example.com', method: 'PUT', useragent: '' },
        actor: { name: 'alice' },
        source: { addr: 'mirror.example.com', instanceID: 'an-instance' },
      })),
    );
    const ids = events.map(({ id }) => id);
    assert.equal(new Set(ids).size, 2);
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(ids, [...ids].sort());
  });

  test('one without a tag is one event without a tag', () => {
    const [events = []] = sentBy((telemetry) => telemetry.publish('manifest.pushed', { ...pushed, tags: [] }));
    assert.equal(events.length, 1);
    assert.equal('tag' in (events[0]?.target ?? {}), false);
    assert.equal(events[0]?.target['digest'], digest);
  });

  test('a deleted manifest has its digest, and each tag that went with it an event of its own without one', () => {
    const [events = []] = sentBy((telemetry) =>
      telemetry.publish('manifest.deleted', { ...place, digest, tags: ['1'] }),
    );
    assert.deepEqual(
      events.map(({ action, target }) => ({ action, ...target })),
      [
        {
          action: 'delete',
          digest,
          repository: 'apps/team/app',
          url: `https://mirror.example.com/v2/apps/team/app/manifests/${digest}`,
          registry: 'apps',
        },
        { action: 'delete', tag: '1', from: digest, repository: 'apps/team/app', registry: 'apps' },
      ],
    );
    assert.equal(events[0]?.request['method'], 'DELETE');
  });

  test('a deleted tag has no digest: a receiver must not take its manifest for deleted', () => {
    const [[event] = []] = sentBy((telemetry) => telemetry.publish('tag.deleted', { ...place, tag: 'v1', digest }));
    assert.deepEqual(event?.target, { repository: 'apps/team/app', tag: 'v1', from: digest, registry: 'apps' });
    assert.equal(event?.action, 'delete');
  });

  test('a moved tag has where it points and where it pointed; a new one only the first', () => {
    const [[moved] = [], [added] = []] = sentBy((telemetry) => {
      telemetry.publish('tag.moved', { ...place, tag: 'v1', digest, from: before });
      telemetry.publish('tag.moved', { ...place, tag: 'v2', digest, from: undefined });
    });
    assert.equal(moved?.action, 'tag');
    assert.deepEqual([moved?.target['digest'], moved?.target['from']], [digest, before]);
    assert.equal('from' in (added?.target ?? {}), false);
  });

  test('blobs are not reported', () => {
    const sent = sentBy((telemetry) => {
      telemetry.publish('blob.pushed', { ...place, digest, size: 1, how: 'uploaded' });
      telemetry.publish('blob.deleted', { ...place, digest });
    });
    assert.deepEqual(sent, []);
  });

  test('without public_url there is no address of this server, and its name is that of the machine', () => {
    const [[event] = []] = sentBy((telemetry) => telemetry.publish('manifest.pushed', { ...pushed, tags: [] }), {
      ...source,
      addr: 'host-a',
      url: undefined as unknown as string,
    });
    assert.equal('url' in (event?.target ?? {}), false);
    assert.equal('host' in (event?.request ?? { host: '' }), false);
  });

  test('many tags are several bodies, each of less than 20 KiB', () => {
    const tags = Array.from({ length: 105 }, (_, at) => `${at}`.padStart(128, 't'));
    const telemetry = new Telemetry();
    const bodies: string[] = [];
    onReports(telemetry, (report) => bodies.push(...bodiesOf(report, { source, time })));
    telemetry.publish('manifest.pushed', { ...pushed, repository: 'r'.repeat(200), tags });
    const events = bodies.map((body) => (JSON.parse(body) as { events: Sent[] }).events);
    assert.deepEqual(
      events.map(({ length }) => length),
      [16, 16, 16, 16, 16, 16, 9],
    );
    assert.deepEqual(
      events.flat().map(({ target }) => target['tag']),
      tags,
    );
    for (const body of bodies) assert.ok(body.length < 20 * 1024, `${body.length}`);
  });
});

describe('what is reported of the server', () => {
  const ended = {
    schedule: 'nightly',
    label: 'nightly',
    kind: 'warm',
    outcome: 'failed',
    recovered: false,
    by: 'schedule',
    startedAt: time,
    endedAt: time + 1500,
    done: 1,
    failed: 1,
    fetched: 7,
    errors: [{ image: 'docker.io/library/nginx:1', error: 'it is not there' }],
  } as const;

  test('a failed run and the first after it that is not; nothing of other runs', () => {
    const sent = sentBy((telemetry) => {
      for (const outcome of ['done', 'stopped', 'interrupted'] as const) {
        telemetry.publish('schedule.ended', { ...ended, outcome, errors: [] });
      }
      telemetry.publish('schedule.ended', ended);
      telemetry.publish('schedule.ended', { ...ended, outcome: 'done', recovered: true, failed: 0, errors: [] });
    }) as unknown as readonly { readonly action: string; readonly target: object; readonly schedule: object }[][];
    const times = { startedAt: '2026-03-02T09:14:30.123Z', endedAt: '2026-03-02T09:14:31.623Z' };
    const run = { name: 'nightly', kind: 'warm', ...times, done: 1, fetched: 7 };
    assert.deepEqual(
      sent.flat().map(({ action, target, schedule }) => ({ action, target, schedule })),
      [
        { state: 'failed', failed: 1, errors: ended.errors },
        { state: 'recovered', failed: 0, errors: [] },
      ].map((more) => ({ action: 'schedule', target: { repository: '' }, schedule: { ...run, ...more } })),
    );
  });

  test('a copy that failed, with what it sent', () => {
    const [[event] = []] = sentBy((telemetry) =>
      telemetry.publish('schedule.ended', { ...ended, kind: 'copy', fetched: 0, sent: 9 }),
    ) as unknown as readonly { readonly schedule: Readonly<Record<string, unknown>> }[][];
    assert.deepEqual([event?.schedule['kind'], event?.schedule['sent'], event?.schedule['fetched']], ['copy', 9, 0]);
  });

  test('that caching is paused, why, and that it is resumed', () => {
    const sent = sentBy((telemetry) => {
      telemetry.publish('cache.paused', { reason: 'the disk is full' });
      telemetry.publish('cache.resumed', {});
    }) as unknown as readonly { readonly action: string; readonly disk: object }[][];
    assert.deepEqual(
      sent.flat().map(({ action, disk }) => [action, disk]),
      [
        ['disk', { state: 'low', reason: 'the disk is full' }],
        ['disk', { state: 'resumed' }],
      ],
    );
  });

  test('stays below 20 KiB, whatever the errors are', () => {
    const telemetry = new Telemetry();
    const bodies: string[] = [];
    onReports(telemetry, (report) => bodies.push(...bodiesOf(report, { source, time })));
    const errors = Array.from({ length: 5 }, () => ({ image: '镜'.repeat(500), error: '像'.repeat(500) }));
    telemetry.publish('schedule.ended', { ...ended, errors });
    assert.ok(Buffer.byteLength(bodies[0] ?? '') < 20 * 1024);
  });
});

test('a ping has the form of an event, and is about no repository', () => {
  const { events } = JSON.parse(pingBody({ source, time })) as { events: Sent[] };
  assert.deepEqual(
    events.map(({ action, target }) => ({ action, target })),
    [{ action: 'ping', target: { repository: '' } }],
  );
});
