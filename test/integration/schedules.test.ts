import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { callControl, controlSocketPath, OPERATIONS, type ScheduleEntry } from '../../src/admin/index.ts';
import { listSchedules, runSchedule } from '../../src/cli/commands/carry/schedules.ts';
import { ask, problemIn } from '../support/api-stage.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { startPairOf } from '../support/pair.ts';
import { eventsOf, startReceiver } from '../support/receiver.ts';
import { Gate } from '../support/scripted-upstream.ts';

// Images that a whole server fetches by its schedules, as an operator configures, starts and watches them.

const REPOSITORY = 'team/app';
const IMAGE = `up/${REPOSITORY}`;
const image = buildImage({ seed: 'schedules', layers: [40_000, 300_000] });
const layer = platformOf(image, 'amd64').layers[1] as Content;
const nightly = { name: 'nightly', images: [IMAGE], schedule: '0 3 * * *', time_zone: 'UTC' };

const startPair = (config: Readonly<Record<string, unknown>>) => startPairOf({ image, repository: REPOSITORY, config });

async function scratchOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-schedules-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function listed({ dir }: Pick<Mirror, 'dir'>): Promise<readonly ScheduleEntry[]> {
  return (await callControl(controlSocketPath(dir), OPERATIONS.schedules, { input: {} })).schedules;
}
const run = ({ dir }: Pick<Mirror, 'dir'>, name: string) =>
  callControl(controlSocketPath(dir), OPERATIONS.scheduleRun, { input: { name } });
const ended = (mirror: Mirror, count = 1) => mirror.logged((line) => line.msg === 'schedule.ended', { count });

describe('a schedule', () => {
  test('is run by its name, and what became of it is known after a restart', async (t) => {
    const dir = await scratchOf(t);
    await using pair = await startPair({ warm: [nightly], cache: { dir } });
    const { mirror, upstream } = pair;
    const [before] = await listed({ dir });
    assert.deepEqual(
      [before?.name, before?.images, before?.timeZone, before?.last],
      ['nightly', [IMAGE], 'UTC', undefined],
    );
    const due = new Date(before?.nextAt ?? 0);
    assert.deepEqual([due.getUTCHours(), due.getUTCMinutes()], [3, 0]);
    const begun = await run({ dir }, 'nightly');
    assert.deepEqual([begun.started, begun.schedule.running?.by], [true, 'operator']);
    const line = await ended(mirror);
    assert.deepEqual([line['schedule'], line['outcome'], line['done']], ['nightly', 'done', 1]);
    upstream.forget();
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/blobs/${layer.digest}`)).headers['x-cache'], 'HIT');
    assert.equal(upstream.count(), 0, upstream.journal());
    const [after] = await listed({ dir });
    assert.deepEqual([after?.last?.outcome, after?.last?.by, after?.running], ['done', 'operator', undefined]);
    await mirror.stop();
    const registries = { up: { upstreams: [upstream.url] } };
    await using again = await startMirror({ registries, warm: [nightly] }, { dir });
    assert.deepEqual((await listed(again))[0]?.last, after?.last);
  });

  test('joins what runs: two calls are one run, and each byte is asked for once', async () => {
    await using pair = await startPair({ warm: [nightly] });
    const { mirror, upstream } = pair;
    const stallGate = new Gate();
    upstream.fault(layer.digest, { stallAt: 100_000, stallGate });
    const first = await run(mirror, 'nightly');
    await stallGate.arrived();
    const second = await run(mirror, 'nightly');
    assert.deepEqual([second.started, second.schedule.running?.job], [false, first.schedule.running?.job]);
    stallGate.open();
    await ended(mirror);
    for (const { digest } of image.blobs) assert.equal(upstream.blobBodies(digest).length, 1, upstream.journal());
  });

  test('that was interrupted by a stop goes on after the start, and fetches the rest', async (t) => {
    const dir = await scratchOf(t);
    await using pair = await startPair({ warm: [nightly], cache: { dir } });
    const { mirror, upstream } = pair;
    const stallGate = new Gate();
    upstream.fault(layer.digest, { stallAt: 100_000, stallGate });
    await run({ dir }, 'nightly');
    await stallGate.arrived();
    await mirror.stop();
    stallGate.open();
    const stored = JSON.parse(await readFile(join(dir, 'schedules.json'), 'utf8'));
    assert.equal(stored.schedules.nightly.outcome, 'interrupted');
    const registries = { up: { upstreams: [upstream.url] } };
    await using again = await startMirror({ registries, warm: [nightly] }, { dir });
    // Within the minute over which servers are spread; the run itself is that of the test with a clock.
    const next = (await listed(again))[0]?.nextAt ?? Number.POSITIVE_INFINITY;
    assert.ok(next - Date.now() <= 60_000, new Date(next).toISOString());
  });

  test('is taken up, changed and dropped by a reload', async () => {
    await using pair = await startPair({});
    const { mirror, upstream } = pair;
    const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } };
    assert.deepEqual(await listed(mirror), []);
    assert.equal((await mirror.reload({ registries, warm: [nightly] })).outcome, 'changed');
    assert.equal((await listed(mirror)).length, 1);
    await run(mirror, 'nightly');
    await ended(mirror);
    await mirror.reload({
      registries,
      warm: [{ ...nightly, schedule: 'every 6h', time_zone: undefined }],
      offline: true,
    });
    const [offline] = await listed(mirror);
    assert.deepEqual([offline?.schedule, offline?.nextAt, offline?.last?.outcome], ['every 6h', undefined, 'done']);
    await assert.rejects(run(mirror, 'nightly'), /offline/);
    const refused = await mirror.reload({ registries, warm: [{ ...nightly, images: ['nowhere.example/x'] }] });
    assert.equal(refused.outcome, 'refused');
    assert.match(refused.problems.join(), /warm\[0\]\.images\[0\]: .*nowhere\.example/);
    await mirror.reload({ registries });
    assert.deepEqual(await listed(mirror), []);
    await assert.rejects(run(mirror, 'nightly'), /add one under warm or copy/);
  });
});

test('a run that fails is reported, and so is the first that does not', async () => {
  await using receiver = await startReceiver();
  const webhooks = [{ name: 'ops', url: receiver.url, events: ['schedule'] }];
  await using pair = await startPair({ warm: [{ ...nightly, images: [IMAGE, `${IMAGE}:gone`] }], webhooks });
  const { mirror, upstream } = pair;
  await run(mirror, 'nightly');
  await ended(mirror);
  upstream.add(image, REPOSITORY, ['gone']);
  await mirror.reload({
    registries: { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } },
    warm: [{ ...nightly, images: [IMAGE] }],
    webhooks,
  });
  await run(mirror, 'nightly');
  await ended(mirror, 2);
  const events = (await receiver.received(2)).flatMap((request) => eventsOf(request)) as unknown as {
    readonly action: string;
    readonly schedule: Readonly<Record<string, unknown>> & { readonly errors: readonly { readonly image: string }[] };
  }[];
  assert.deepEqual(
    events.map(({ action, schedule: { name, state, done, failed } }) => [action, name, state, done, failed]),
    [
      ['schedule', 'nightly', 'failed', 1, 1],
      ['schedule', 'nightly', 'recovered', 1, 0],
    ],
  );
  assert.match(events[0]?.schedule.errors[0]?.image ?? '', /team\/app:gone$/);
});

test('a client sees the schedules of what it may pull, and starts none', async (t) => {
  const directory = await scratchOf(t);
  await writeFile(join(directory, 'htpasswd'), htpasswdOf('alice', 'root'));
  const access = {
    htpasswd: join(directory, 'htpasswd'),
    rules: [
      { who: 'alice', may: ['pull', 'status'], on: [IMAGE] },
      { who: 'root', may: ['pull', 'status', 'admin'], on: ['**'] },
    ],
  };
  const other = { name: 'other', images: ['up/team/secret'], schedule: '@daily' };
  const mixed = { name: 'mixed', images: [IMAGE, 'up/team/secret'], schedule: '@daily' };
  await using pair = await startPair({ access, warm: [nightly, other, mixed] });
  const { mirror } = pair;
  const read = async (user: string) => {
    const { value } = await ask(mirror, 'GET', '/api/v1/schedules', {
      headers: basic(user),
    });
    return (value as { schedules: ScheduleEntry[] }).schedules.map(({ name, images }) => [name, images]);
  };
  assert.deepEqual(await read('alice'), [
    ['nightly', [IMAGE]],
    ['mixed', [IMAGE]],
  ]);
  assert.equal((await read('root')).length, 3);
  const options = { headers: basic('alice'), body: { name: 'nightly' } };
  problemIn(await ask(mirror, 'POST', '/api/v1/schedules/run', options), 403);
});

test('the commands list the schedules and run one', async () => {
  await using pair = await startPair({ warm: [nightly, { images: ['up/team/gone:1'], schedule: 'every 6h' }] });
  const { mirror } = pair;
  const options = { flags: { cacheDir: mirror.dir } };
  const call = async (work: (output: ReturnType<typeof captureOutput>['output']) => Promise<number>) => {
    const { output, said } = captureOutput();
    return { code: await work(output), text: said.out + said.err };
  };
  const begun = await call((output) => runSchedule({ ...options, name: 'up/team/gone:1' }, output));
  assert.deepEqual([begun.code, /^up\/team\/gone:1 runs now, job \w+\./.test(begun.text)], [0, true], begun.text);
  await ended(mirror);
  const list = await call((output) => listSchedules(options, output));
  const [head = '', first = '', second = '', error = ''] = list.text.split('\n');
  assert.match(head, /^NAME +KIND +SCHEDULE +IMAGES +NEXT RUN +LAST RUN +RESULT$/);
  assert.match(first, /^nightly +warm +0 3 \* \* \* UTC +1 +\d{4}-\d\d-\d\d 03:00:\d\d +- *$/);
  assert.match(second, /^up\/team\/gone:1 +warm +every 6h +1 .* failed: 1 of 1 image$/);
  assert.match(error, /^up\/team\/gone:1: up\/team\/gone:1: /);
  const unknown = await call((output) => runSchedule({ ...options, name: 'x' }, output));
  assert.deepEqual([unknown.code, /no schedule has this name; there are nightly, /.test(unknown.text)], [1, true]);
});
