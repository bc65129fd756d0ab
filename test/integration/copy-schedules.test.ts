import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { OPERATIONS, type ScheduleEntry } from '../../src/admin/index.ts';
import { listSchedules, runSchedule } from '../../src/cli/commands/carry/schedules.ts';
import { digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { ask, operate, operatorSession, problemIn } from '../support/api-stage.ts';
import { captureOutput } from '../support/capture-output.ts';
import { followEvents } from '../support/event-stream.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { PushUpstream, send } from '../support/push-upstream.ts';
import { eventsOf, startReceiver } from '../support/receiver.ts';
import { Gate, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Images that a whole server copies by its schedules: a hot registry gets what only the cold one has, and nothing twice.

const image = buildImage({ seed: 'copy schedules', layers: [40_000, 300_000] });
const second = buildImage({ seed: 'copied by a schedule, too', layers: [1000], architectures: ['amd64'] });
const layer = platformOf(image, 'amd64').layers[1] as Content;
const sizeOf = (...contents: readonly { readonly size: number }[]) => contents.reduce((sum, { size }) => sum + size, 0);
const everything = { from: 'cold/team/app', to: 'hot/team/app', all_tags: true };
const one = { from: 'cold/team/app:1', to: 'hot/team/app' };
const nightly = { name: 'hot-from-cold', images: [everything], schedule: '0 3 * * *', time_zone: 'UTC' };

interface Stage {
  readonly cold: ScriptedUpstream;
  readonly hot: PushUpstream;
  readonly mirror: Mirror;
  readonly registries: Readonly<Record<string, unknown>>;
}

async function stage(t: TestContext, config: Readonly<Record<string, unknown>> = {}, dir?: string): Promise<Stage> {
  const cold = await startScriptedUpstream();
  cold.add(image, 'team/app', ['1']);
  cold.add(second, 'team/app', ['2']);
  const hot = await PushUpstream.start();
  const registries = {
    cold: { upstreams: [{ url: cold.url, name: 'cold' }] },
    hot: { upstreams: [{ url: hot.url, name: 'hot' }], push: ['**'] },
    apps: { hosted: true },
    tiered: {
      upstreams: [
        { url: hot.url, name: 'near' },
        { url: cold.url, name: 'far' },
      ],
      push: ['**'],
    },
  };
  const options = dir === undefined ? {} : { dir };
  const mirror = await startMirror({ registries, copy: [nightly], ...config }, options).catch(
    async (error: unknown) => {
      await Promise.all([cold.stop(), hot.close()]);
      throw error;
    },
  );
  t.after(async () => {
    cold.heal();
    await mirror.stop();
    await Promise.all([cold.stop(), hot.close()]);
  });
  return { cold, hot, mirror, registries };
}

async function scratchOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-copies-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const listed = async (mirror: Pick<Mirror, 'dir'>): Promise<readonly ScheduleEntry[]> =>
  (await operate(mirror, OPERATIONS.schedules)).schedules;
const run = (mirror: Pick<Mirror, 'dir'>, name = 'hot-from-cold') => operate(mirror, OPERATIONS.scheduleRun, { name });
const ended = (mirror: Mirror, count = 1) => mirror.logged((line) => line.msg === 'schedule.ended', { count });
/** Requests that changed something at the hot registry. */
const changes = ({ hot }: Pick<Stage, 'hot'>) => hot.seen.filter(({ method }) => !['GET', 'HEAD'].includes(method));

/** A manifest with one blob that refers to an image. */
function referrerOf({ mediaType, digest, size }: Content): { readonly manifest: Content; readonly blob: Content } {
  const contentOf = (type: string, bytes: Buffer): Content => ({
    mediaType: type,
    digest: digestOf(bytes),
    size: bytes.length,
    bytes,
  });
  const blob = contentOf('application/octet-stream', Buffer.from(`the parts of ${digest}`));
  const pointer = { mediaType: blob.mediaType, digest: blob.digest, size: blob.size };
  const value = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType: 'application/spdx+json',
    config: { ...pointer, mediaType: 'application/spdx+json' },
    layers: [pointer],
    subject: { mediaType, digest, size },
  };
  return { manifest: contentOf(MEDIA_TYPES.ociManifest, Buffer.from(JSON.stringify(value))), blob };
}

describe('a schedule that copies', () => {
  test('brings every tag with its referrers to the hot registry, and the next run sends nothing', async (t) => {
    const here = await stage(t);
    const { cold, hot, mirror } = here;
    const sbom = referrerOf(image.index);
    cold.library.addManifest('team/app', sbom.manifest);
    cold.library.addBlob('team/app', sbom.blob);
    // The hot registry lists referrers, as distribution-spec 1.1 has it.
    hot.script = (_, response, { url }) => {
      const [, digest] = /^\/v2\/team\/app\/referrers\/(.+)$/.exec(url) ?? [];
      if (digest === undefined) return 'usual';
      const manifests = [...hot.manifests.values()]
        .filter(({ bytes }) => JSON.parse(bytes.toString()).subject?.digest === digest)
        .map(({ bytes, mediaType }) => ({ mediaType, digest: digestOf(bytes), size: bytes.length }));
      const list = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests });
      return send(response, 200, { 'content-type': MEDIA_TYPES.ociIndex }, list);
    };
    const [before] = await listed(mirror);
    assert.deepEqual(
      [before?.kind, before?.images, before?.copies, before?.imageCount],
      ['copy', ['cold/team/app'], [{ from: 'cold/team/app', to: 'hot/team/app', allTags: true }], 1],
    );
    assert.equal(new Date(before?.nextAt ?? 0).getUTCHours(), 3);
    assert.equal((await run(mirror)).started, true);
    const line = await ended(mirror);
    const parts = [image, second].flatMap(({ manifests, blobs }) => [...manifests, ...blobs]);
    const sent = sizeOf(...parts, sbom.manifest, sbom.blob);
    assert.deepEqual([line['kind'], line['outcome'], line['done'], line['sent']], ['copy', 'done', 2, sent]);
    assert.equal('label' in line, false);
    assert.deepEqual(
      [hot.tags.get('team/app 1'), hot.tags.get('team/app 2')],
      [image.index.digest, second.index.digest],
    );
    assert.ok(hot.manifests.has(`team/app ${sbom.manifest.digest}`));
    for (const { digest } of [...image.blobs, sbom.blob]) assert.equal(cold.blobBodies(digest).length, 1);

    const [uploads, given] = [changes(here).length, cold.count({ kind: 'blob', method: 'GET' })];
    await run(mirror);
    const again = await ended(mirror, 2);
    assert.deepEqual([again['outcome'], again['done'], again['sent']], ['done', 2, 0]);
    assert.equal(changes(here).length, uploads, 'nothing is sent again');
    assert.equal(cold.count({ kind: 'blob', method: 'GET' }), given, 'nothing is fetched again');

    // What is new in the cold registry alone goes, and nothing besides it.
    const third = buildImage({ seed: 'a third', layers: [500], architectures: ['amd64'] });
    cold.add(third, 'team/app', ['3']);
    await run(mirror);
    const more = await ended(mirror, 3);
    const [new3] = [sizeOf(...third.manifests, ...third.blobs)];
    assert.deepEqual([more['done'], more['sent'], hot.tags.get('team/app 3')], [3, new3, third.index.digest]);
    const { last } = (await listed(mirror))[0] ?? {};
    assert.deepEqual([last?.outcome, last?.sent, last?.fetched, last?.by], ['done', new3, 0, 'operator']);
    const metrics = (await mirror.get('/metrics')).body.toString();
    const labels = 'schedule="hot-from-cold",kind="copy"';
    assert.ok(metrics.includes(`entrepot_schedule_runs_total{${labels},outcome="done"} 3\n`), metrics);
    assert.ok(metrics.includes(`entrepot_schedule_failing{${labels}} 0\n`));
    assert.match(metrics, new RegExp(`entrepot_schedule_(?:last|next)_run_timestamp_seconds\\{${labels}\\} \\d+`));
  });

  test('brings to the first upstream of a registry each tag that only the next one has', async (t) => {
    const name = 'tiered/team/app';
    const here = await stage(t, { copy: [{ ...nightly, images: [{ from: name, to: name, all_tags: true }] }] });
    const { hot, mirror } = here;
    hot.script = (_, response, { url }) => {
      if (!url.startsWith('/v2/team/app/tags/list')) return 'usual';
      const tags = [...hot.tags.keys()].map((key) => key.slice('team/app '.length));
      return send(response, 200, { 'content-type': 'application/json' }, JSON.stringify({ name: 'team/app', tags }));
    };
    await operate(mirror, OPERATIONS.copy, { from: `${name}:1`, to: name, platforms: [], allTags: false });
    await mirror.logged(({ msg, ...line }) => msg === 'manifest.pushed' && String(line['tags']) === '1');
    assert.deepEqual([...hot.tags.keys()], ['team/app 1']);
    await run(mirror);
    const line = await ended(mirror);
    assert.deepEqual(
      [line['outcome'], line['done'], line['sent']],
      ['done', 2, sizeOf(...second.manifests, ...second.blobs)],
    );
    assert.equal(hot.tags.get('team/app 2'), second.index.digest);
    const before = changes(here).length;
    await run(mirror);
    assert.deepEqual([(await ended(mirror, 2))['sent'], changes(here).length], [0, before]);
  });

  test('to a hosted repository needs no other registry, and is known after a restart', async (t) => {
    const dir = await scratchOf(t);
    const copy = [{ name: 'kept', images: [{ from: 'cold/team/app:1', to: 'apps/app' }], schedule: '@daily' }];
    const { mirror, registries } = await stage(t, { copy }, dir);
    await run(mirror, 'kept');
    assert.equal((await ended(mirror))['done'], 1);
    const pulled = await mirror.get('/apps/v2/app/manifests/1');
    assert.equal(pulled.headers['docker-content-digest'], image.index.digest);
    const [before] = await listed(mirror);
    await mirror.stop();
    await using again = await startMirror({ registries, copy }, { dir });
    assert.deepEqual((await listed(again))[0]?.last, before?.last);
  });

  test('joins what runs, and a copy of the same by hand shares it', async (t) => {
    const here = await stage(t, { copy: [{ ...nightly, images: [one] }] });
    const { cold, mirror } = here;
    const stallGate = new Gate();
    cold.fault(layer.digest, { stallAt: 100_000, stallGate });
    const first = await run(mirror);
    assert.ok(first.schedule.running?.job !== undefined);
    await stallGate.arrived();
    const other = await run(mirror);
    assert.deepEqual([other.started, other.schedule.running?.job], [false, first.schedule.running.job]);
    const input = { from: one.from, to: one.to, platforms: [], allTags: false };
    const byHand = await operate(mirror, OPERATIONS.copy, input);
    assert.notEqual(byHand.id, first.schedule.running.job);
    stallGate.open();
    await ended(mirror);
    for (const { digest } of image.blobs) assert.equal(cold.blobBodies(digest).length, 1);
    assert.equal(changes(here).filter(({ method }) => method === 'POST').length, image.blobs.length);
  });

  test('is stopped by the cancellation of its job, and interrupted by a stop of the server', async (t) => {
    const dir = await scratchOf(t);
    const copy = [
      { ...nightly, images: [one] },
      { name: 'other', images: [{ from: 'cold/team/app:2', to: 'hot/other' }], schedule: '@daily' },
    ];
    const { cold, hot, mirror, registries } = await stage(t, { copy }, dir);
    const [stallGate, other] = [new Gate(), new Gate()];
    cold.fault(layer.digest, { stallAt: 100_000, stallGate });
    cold.fault(platformOf(second, 'amd64').layers[0]?.digest ?? '', { stallAt: 100, stallGate: other });
    const { schedule } = await run(mirror);
    await stallGate.arrived();
    await operate(mirror, OPERATIONS.copyCancel, { id: schedule.running?.job ?? '' });
    assert.equal((await ended(mirror))['outcome'], 'stopped');
    await run(mirror, 'other');
    await other.arrived();
    await mirror.stop();
    for (const gate of [stallGate, other]) gate.open();
    assert.equal(hot.tags.size, 0);
    const { schedules } = JSON.parse(await readFile(join(dir, 'schedules.json'), 'utf8'));
    assert.deepEqual([schedules['hot-from-cold'].outcome, schedules.other.outcome], ['stopped', 'interrupted']);
    await using next = await startMirror({ registries, copy }, { dir });
    const nextAt = (await listed(next))[1]?.nextAt ?? Number.POSITIVE_INFINITY;
    assert.ok(nextAt - Date.now() <= 60_000, new Date(nextAt).toISOString());
  });

  test('that fails in part is reported with what failed; the first run that does not has recovered', async (t) => {
    await using receiver = await startReceiver();
    const webhooks = [{ name: 'ops', url: receiver.url, events: ['schedule'] }];
    const images = [
      one,
      { from: 'cold/team/app:2', to: 'cold/elsewhere' },
      { from: 'cold/team/gone:1', to: 'hot/gone' },
    ];
    const { mirror, registries } = await stage(t, { copy: [{ ...nightly, images }], webhooks });
    assert.equal((await run(mirror)).started, true);
    const line = await ended(mirror);
    assert.deepEqual([line['outcome'], line['done'], line['failed']], ['failed', 1, 2]);
    await mirror.reload({ registries, webhooks, copy: [{ ...nightly, images: [one] }] });
    await run(mirror);
    await ended(mirror, 2);
    const events = (await receiver.received(2)).flatMap((request) => eventsOf(request)) as unknown as {
      readonly schedule: Readonly<Record<string, unknown>> & { readonly errors: readonly Record<string, string>[] };
    }[];
    const sent = sizeOf(...image.manifests, ...image.blobs);
    assert.deepEqual(
      events.map(({ schedule: { name, kind, state, done, failed, sent: bytes } }) => [
        name,
        kind,
        state,
        done,
        failed,
        bytes,
      ]),
      [
        ['hot-from-cold', 'copy', 'failed', 1, 2, sent],
        ['hot-from-cold', 'copy', 'recovered', 1, 0, 0],
      ],
    );
    const errors = events[0]?.schedule.errors.map(({ image: name, error }) => `${name}: ${error}`) ?? [];
    assert.match(errors[0] ?? '', /^cold\/elsewhere: cold\/elsewhere takes no copy: it is mirrored\./);
    assert.match(errors[1] ?? '', /^hot\/gone:1: /);
  });

  test('does not run by itself while the server is offline, and is changed by a reload', async (t) => {
    const { mirror, registries } = await stage(t);
    await mirror.reload({
      registries,
      copy: [{ ...nightly, schedule: 'every 6h', time_zone: undefined }],
      offline: true,
    });
    const [offline] = await listed(mirror);
    assert.deepEqual([offline?.schedule, offline?.nextAt], ['every 6h', undefined]);
    await assert.rejects(run(mirror), /offline/);
    const wrong = { ...nightly, images: [{ from: 'nowhere.example/x', to: 'hot/x' }] };
    const refused = await mirror.reload({ registries, copy: [wrong] });
    assert.equal(refused.outcome, 'refused');
    assert.match(refused.problems.join(), /copy\[0\]\.images\[0\]\.from: .*nowhere\.example/);
    await mirror.reload({ registries });
    assert.deepEqual(await listed(mirror), []);
    await assert.rejects(run(mirror), /add one under warm or copy/);
  });

  test('is listed and run by the commands', async (t) => {
    const { mirror } = await stage(t, { warm: [{ name: 'base', images: ['cold/team/app:2'], schedule: 'every 6h' }] });
    const options = { flags: { cacheDir: mirror.dir } };
    const call = async (work: (output: ReturnType<typeof captureOutput>['output']) => Promise<number>) => {
      const { output, said } = captureOutput();
      return { code: await work(output), text: said.out + said.err };
    };
    const begun = await call((output) => runSchedule({ ...options, name: 'hot-from-cold' }, output));
    assert.deepEqual(
      [begun.code, /^hot-from-cold runs now.* `entrepot copy` shows/.test(begun.text)],
      [0, true],
      begun.text,
    );
    await ended(mirror);
    const list = await call((output) => listSchedules(options, output));
    const [head = '', first = '', other = ''] = list.text.split('\n');
    assert.match(head, /^NAME +KIND +SCHEDULE +IMAGES +NEXT RUN +LAST RUN +RESULT$/);
    assert.match(first, /^base +warm +every 6h +1 /);
    assert.match(other, /^hot-from-cold +copy +0 3 \* \* \* UTC +1 .* done/);
  });
});

describe('to users', () => {
  const rules = [
    { who: ['alice', 'bob', 'root'], may: ['pull', 'status'], on: ['cold/**', 'hot/team/**'] },
    { who: 'carol', may: ['pull', 'status'], on: ['cold/**'] },
    { who: ['bob', 'root', 'carol'], may: ['admin'] },
    { who: 'root', may: ['push'], on: ['hot/team/**'] },
  ];

  async function guarded(t: TestContext): Promise<Stage> {
    const directory = await scratchOf(t);
    const htpasswd = join(directory, 'htpasswd');
    await writeFile(htpasswd, htpasswdOf('alice', 'bob', 'carol', 'root'));
    const images = [one, { from: 'cold/team/app:2', to: 'hot/team/other' }];
    // Without a name of its own, it has that of its first image.
    const mixed = { schedule: '@daily', images: [{ from: 'cold/team/app:2', to: 'hot/secret' }, one] };
    return stage(t, { access: { htpasswd, rules }, copy: [{ ...nightly, images }, mixed] });
  }

  test('a schedule is shown with the copies of which they see both ends, and run for who may push there', async (t) => {
    const { mirror, hot } = await guarded(t);
    const read = async (user: string) => {
      const { value } = await ask(mirror, 'GET', '/api/v1/schedules', { headers: basic(user) });
      return (value as { schedules: ScheduleEntry[] }).schedules.map(({ name, imageCount }) => [name, imageCount]);
    };
    assert.deepEqual(await read('alice'), [
      ['hot-from-cold', 2],
      ['copy[1]', 1],
    ]);
    assert.deepEqual(await read('carol'), []);
    const runAs = (user: string, name = 'hot-from-cold') =>
      ask(mirror, 'POST', '/api/v1/schedules/run', { headers: basic(user), body: { name } });
    problemIn(await runAs('alice'), 403);
    const bob = problemIn(await runAs('bob'), 403);
    assert.match(bob.detail, /bob may not push to hot\/team\/app, .*may: \[push\]/);
    const unseen = problemIn(await runAs('root', 'copy[1]'), 403);
    assert.match(unseen.detail, /may not pull every image of copy\[1\]/);
    assert.ok(!unseen.detail.includes('secret'), unseen.detail);
    const guessed = problemIn(await runAs('root', 'hot/secret'), 422);
    assert.match(guessed.detail, /no schedule has this name; there are hot-from-cold, copy\[1\]/);
    assert.match(problemIn(await runAs('carol'), 422).detail, /has no schedules|no schedule has this name/);
    assert.deepEqual(hot.asked(), []);
    assert.equal((await runAs('root')).status, 200);
    assert.deepEqual([(await ended(mirror))['outcome'], hot.tags.size], ['done', 2]);
  });

  test('a copy by HTTP takes the right to push to where it goes', async (t) => {
    const { mirror, hot } = await guarded(t);
    const body = { from: one.from, to: one.to, platforms: [], allTags: false };
    const copyAs = (user: string) => ask(mirror, 'POST', '/api/v1/copy', { headers: basic(user), body });
    assert.match(problemIn(await copyAs('bob'), 403).detail, /bob may not push to hot\/team\/app, .*may: \[push\]/);
    assert.match(problemIn(await copyAs('carol'), 403).detail, /carol may not pull hot\/team\/app:1/);
    assert.deepEqual(hot.asked(), []);
    assert.equal((await copyAs('root')).status, 200);
  });

  test('its progress is told to those who see both ends', async (t) => {
    const { mirror } = await guarded(t);
    const [alice, carol, operator] = [
      await followEvents(mirror.url, { headers: basic('alice') }),
      await followEvents(mirror.url, { headers: basic('carol') }),
      await followEvents(mirror.url, { headers: (await operatorSession(mirror)).reading }),
    ];
    t.after(() => [alice, carol, operator].map((stream) => stream.close()));
    await run(mirror);
    const isOver = ({ event, data }: { readonly event: string; readonly data: unknown }): boolean =>
      event === 'copy' && (data as { readonly endedAt?: number }).endedAt !== undefined;
    for (const stream of [alice, operator]) {
      const { data } = await stream.next(isOver);
      assert.equal((data as { readonly counts: { readonly done: number } }).counts.done, 2);
    }
    await operate(mirror, OPERATIONS.warm, { images: ['cold/team/app:1'] });
    await carol.next(({ event }) => event === 'warm');
    assert.deepEqual(
      carol.messages.filter(({ event }) => event === 'copy'),
      [],
    );
  });
});
