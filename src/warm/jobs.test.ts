import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drain, LIBRARY, settle } from '../../test/support/cache-world.ts';
import { CuedBody, FakeFailure, Gate } from '../../test/support/fake-origin.ts';
import { buildImage } from '../../test/support/image.ts';
import {
  ALL_BYTES,
  AMD64,
  APP,
  endOf,
  everything,
  LAYER,
  named,
  only,
  put,
  sizeOf,
  stage,
} from '../../test/support/warm-stage.ts';
import { OciError } from '../oci/index.ts';
import type { WarmedJob } from './jobs.ts';
import type { ImageView, JobView } from './view.ts';

describe('a job', () => {
  test('fetches every platform of an image, asks for each byte once, and says what it did', async (t) => {
    const { jobs, ended, origin, cache } = await stage(t);
    const image = only(await ended(jobs.start([named()], 'alice')));
    assert.deepEqual(image, {
      image: 'docker.io/library/app:latest',
      state: 'done',
      digest: APP.index.digest,
      bytes: ALL_BYTES,
      size: ALL_BYTES,
      fetched: ALL_BYTES,
      blobs: APP.blobs.length,
      blobCount: APP.blobs.length,
    });
    assert.equal(origin.count('openBlob'), APP.blobs.length);
    for (const { digest } of [...APP.manifests, ...APP.blobs]) assert.ok(await cache.storedSize(digest), digest);
  });

  test('fetches nothing that is stored', async (t) => {
    const { jobs, ended, origin } = await stage(t);
    await ended(jobs.start([named()], 'alice'));
    const before = origin.count();
    const again = only(await ended(jobs.start([named()], 'alice')));
    assert.deepEqual([again.state, again.fetched, again.bytes], ['done', 0, ALL_BYTES]);
    assert.equal(origin.count(), before);
  });

  test('fetches the wanted platforms alone', async (t) => {
    const { jobs, ended, origin } = await stage(t);
    const image = only(await ended(jobs.start([named('latest', { platforms: ['linux/amd64'] })], 'alice')));
    assert.equal(image.size, sizeOf([APP.index, AMD64.manifest, AMD64.config, ...AMD64.layers]));
    assert.equal(origin.count('openBlob'), 1 + AMD64.layers.length);
  });

  test('fails an image that lacks a platform, after it has fetched the others', async (t) => {
    const { jobs, ended } = await stage(t);
    const platforms = ['linux/amd64', 'linux/s390x'];
    const image = only(await ended(jobs.start([named('latest', { platforms, needsEach: true })], 'alice')));
    assert.equal(image.state, 'failed');
    assert.equal(image.error, 'it has no image for linux/s390x; it has linux/amd64, linux/arm64');
    assert.equal(image.blobs, 1 + AMD64.layers.length);
    const fitting = await ended(jobs.start([named('latest', { platforms })], 'alice'));
    assert.equal(only(fitting).state, 'done');
    const none = await ended(jobs.start([named('latest', { platforms: ['linux/s390x'] })], 'alice'));
    assert.equal(only(none).state, 'failed');
  });

  test('goes on with the other images where one fails', async (t) => {
    const { jobs, ended } = await stage(t);
    const { images, counts } = await ended(jobs.start([named('gone'), named()], 'alice'));
    assert.deepEqual(
      images.map(({ state }) => state),
      ['failed', 'done'],
    );
    assert.match(images[0]?.error ?? '', /not-found/);
    assert.deepEqual([counts.failed, counts.done], [1, 1]);
  });

  test('tries an image again, and fetches only what is missing', async (t) => {
    const { jobs, ended, origin } = await stage(t, { retryAfter: (_, failures) => (failures < 3 ? 1 : undefined) });
    let left = 1;
    origin.before = ({ method, what }) => {
      if (method === 'openBlob' && what === LAYER.digest && left-- > 0) throw new FakeFailure('unavailable');
    };
    const image = only(await ended(jobs.start([named()], 'alice')));
    assert.deepEqual([image.state, image.error, image.bytes], ['done', undefined, ALL_BYTES]);
    assert.equal(origin.count('openBlob'), APP.blobs.length + 1);
  });

  test('fails in the end, with the last failure', async (t) => {
    const tried: number[] = [];
    const retryAfter = (_: unknown, failures: number) => (tried.push(failures) < 3 ? 1 : undefined);
    const { jobs, ended, origin } = await stage(t, { retryAfter });
    origin.before = () => {
      throw new FakeFailure('throttled');
    };
    const image = only(await ended(jobs.start([named()], 'alice')));
    assert.deepEqual([image.state, image.error, image.fetched], ['failed', 'fake is throttled', 0]);
    assert.deepEqual(tried, [1, 2, 3]);
  });

  test('fails where its registry is gone', async (t) => {
    const { jobs, ended } = await stage(t, {
      originFor: () => {
        throw new OciError('NAME_UNKNOWN', 'no registry is called docker.io');
      },
    });
    assert.equal(only(await ended(jobs.start([named()], 'alice'))).error, 'no registry is called docker.io');
  });

  test('takes an image that is named twice once', async (t) => {
    const { jobs, ended } = await stage(t);
    assert.equal((await ended(jobs.start([named(), named()], 'alice'))).images.length, 1);
  });
});

describe('two jobs for one image', () => {
  test('share its work: each byte is asked for once, and the first one says that it was joined', async (t) => {
    const { jobs, ended, origin } = await stage(t);
    const gate = new Gate();
    origin.before = ({ what }) => (what === LAYER.digest ? gate.pass() : undefined);
    const first = jobs.start([named()], 'alice');
    await gate.reached;
    const second = jobs.start([named()], 'bob');
    gate.open();
    const [one, two] = await Promise.all([ended(first), ended(second)]);
    assert.deepEqual([one.joined, two.joined, two.by], [1, 0, 'bob']);
    assert.deepEqual(only(one), only(two));
    assert.equal(origin.count('openBlob'), APP.blobs.length);
  });

  test('end apart: one is cancelled, and the other one goes on', async (t) => {
    const { jobs, ended, origin } = await stage(t);
    const gate = new Gate();
    origin.before = ({ what }) => (what === LAYER.digest ? gate.pass() : undefined);
    const first = jobs.start([named()], 'alice');
    await gate.reached;
    const second = jobs.start([named()], 'bob');
    jobs.cancel(first);
    gate.open();
    assert.equal(only(await ended(second)).state, 'done');
    assert.equal(only((await first.view(everything)) as JobView).state, 'cancelled');
  });

  test('an image that waits for its turn goes to the job that is left', async (t) => {
    const { jobs, ended, origin } = await stage(t);
    const gate = new Gate();
    origin.before = ({ what }) => (what.startsWith('held') ? gate.pass() : undefined);
    jobs.start(
      ['held1', 'held2', 'held3', 'held4'].map((tag) => named(tag)),
      'carol',
    );
    const first = jobs.start([named()], 'alice');
    const second = jobs.start([named()], 'bob');
    jobs.cancel(first);
    gate.open();
    assert.equal(only(await ended(second)).state, 'done');
  });
});

describe('a job and a client', () => {
  test('share a transfer, and what a client began does not count as fetched for the job', async (t) => {
    const { jobs, ended, origin, cache } = await stage(t);
    const body = new CuedBody();
    origin.deliver = ({ what }) => (what === LAYER.digest ? { body } : undefined);
    await cache.manifest(LIBRARY, { kind: 'digest', digest: AMD64.manifest.digest }, {});
    const pulled = await cache.blob(LIBRARY, LAYER.digest, {});
    body.send(LAYER.bytes.subarray(0, 1000));
    await body.hungry();
    const job = jobs.start([named('latest', { platforms: ['linux/amd64'] })], 'alice');
    for (let joined = false; !joined; ) {
      await settle();
      const image = only((await job.view(everything)) as JobView);
      joined = image.blobs === AMD64.layers.length && image.bytes < image.size && cache.transfers !== undefined;
    }
    body.send(LAYER.bytes.subarray(1000)).end();
    const image = only(await ended(job));
    assert.ok((await drain(pulled.reader)).equals(LAYER.bytes));
    assert.equal(image.state, 'done');
    assert.equal(image.bytes, image.size);
    assert.equal(image.fetched, image.size - LAYER.size - AMD64.manifest.size);
    assert.equal(origin.calls.filter(({ method, what }) => method === 'openBlob' && what === LAYER.digest).length, 1);
  });
});

describe('a cancelled job', () => {
  test('stops what no client follows, also where little is missing', async (t) => {
    const { jobs, ended, origin, cache } = await stage(t);
    const body = new CuedBody();
    origin.deliver = ({ what }) => (what === LAYER.digest ? { body } : undefined);
    const job = jobs.start([named()], 'alice');
    body.send(LAYER.bytes.subarray(0, 2000));
    await body.hungry();
    jobs.cancel(job);
    await body.cancelled;
    const image = only(await ended(job));
    assert.equal(image.state, 'cancelled');
    for (let running = true; running; running = [...cache.transfers].length > 0) await settle();
  });

  test('stops a transfer that has no answer yet', async (t) => {
    const { jobs, origin, cache } = await stage(t);
    const gate = new Gate();
    origin.before = ({ what }) => (what === LAYER.digest ? gate.pass() : undefined);
    const job = jobs.start([named()], 'alice');
    await gate.reached;
    jobs.cancel(job);
    for (let running = true; running; running = [...cache.transfers].length > 0) await settle();
    gate.open();
  });

  test('leaves a transfer to the client that follows it', async (t) => {
    const { jobs, origin, cache } = await stage(t);
    const body = new CuedBody();
    origin.deliver = ({ what }) => (what === LAYER.digest ? { body } : undefined);
    const job = jobs.start([named()], 'alice');
    body.send(LAYER.bytes.subarray(0, 2000));
    await body.hungry();
    const pulled = await cache.blob(LIBRARY, LAYER.digest, {});
    assert.equal(pulled.outcome, 'JOIN');
    jobs.cancel(job);
    body.send(LAYER.bytes.subarray(2000)).end();
    assert.ok((await drain(pulled.reader)).equals(LAYER.bytes));
  });

  test('can be begun again at once', async (t) => {
    const { jobs, ended, origin } = await stage(t);
    const gate = new Gate();
    origin.before = ({ what }) => (what === LAYER.digest ? gate.pass() : undefined);
    const job = jobs.start([named()], 'alice');
    await gate.reached;
    jobs.cancel(job);
    const again = jobs.start([named()], 'alice');
    gate.open();
    assert.equal(only(await ended(again)).state, 'done');
  });

  test('ends a wait for another attempt', async (t) => {
    const { jobs, ended, origin } = await stage(t, { retryAfter: () => 3_600_000 });
    origin.before = () => {
      throw new FakeFailure('unavailable');
    };
    const job = jobs.start([named()], 'alice');
    let image: ImageView;
    do {
      await settle();
      image = only((await job.view(everything)) as JobView);
    } while (image.error === undefined);
    assert.deepEqual([image.state, image.error], ['waiting', 'fake is unavailable']);
    jobs.cancel(job);
    jobs.cancel(job);
    assert.equal(only(await ended(job)).state, 'cancelled');
  });
});

describe('jobs', () => {
  test('take turns: a short one does not wait for the end of a long one', async (t) => {
    const { jobs, ended, origin } = await stage(t);
    const order: string[] = [];
    origin.before = ({ what }) => void order.push(what);
    const long = jobs.start(
      Array.from({ length: 50 }, (_, at) => named(`gone-${at}`)),
      'alice',
    );
    const short = jobs.start([named()], 'bob');
    await Promise.all([ended(long), ended(short)]);
    assert.ok(order.indexOf('latest') < 10, order.slice(0, 12).join(' '));
  });

  test('fetch four images at once, and from a registry as much as it takes', async (t) => {
    const { jobs, ended, origin } = await stage(t, { transfersFrom: () => 2 });
    let running = 0;
    let most = 0;
    origin.before = async ({ method }) => {
      if (method !== 'openBlob') return;
      running += 1;
      most = Math.max(most, running);
      await settle();
      running -= 1;
    };
    const images = ['a', 'b', 'c'].map((seed) => buildImage({ seed, layers: [100, 200, 300] }));
    for (const [at, image] of images.entries()) put(origin, image, `v${at}`);
    const { counts } = await ended(
      jobs.start(
        images.map((_, at) => named(`v${at}`)),
        'alice',
      ),
    );
    assert.deepEqual([counts.done, most], [3, 2]);
  });

  test('are bounded, and say what to do', async (t) => {
    const { jobs, origin } = await stage(t);
    const gate = new Gate();
    origin.before = () => gate.pass();
    for (let at = 0; at < 100; at += 1) jobs.start([named(`t${at}`)], 'alice');
    assert.throws(() => jobs.start([named()], 'alice'), { code: 'TOOMANYREQUESTS', message: /100 jobs .* cancel one/ });
    gate.open();
  });

  test('hold twenty thousand images together', async (t) => {
    const { jobs, origin } = await stage(t);
    const gate = new Gate();
    origin.before = () => gate.pass();
    const thousand = (prefix: string) => Array.from({ length: 1000 }, (_, at) => named(`${prefix}-${at}`));
    for (let at = 0; at < 20; at += 1) jobs.start(thousand(`job${at}`), 'alice');
    assert.throws(() => jobs.start([named()], 'alice'), { code: 'TOOMANYREQUESTS' });
    // What runs already needs no room.
    assert.equal(jobs.start(thousand('job3'), 'alice').left, 1000);
    const listed = await jobs.list(everything);
    assert.equal(listed.length, 21);
    assert.ok(listed.every(({ images, omitted }) => images.length + omitted === 1000));
    gate.open();
  });

  test('stay listed for an hour after their end, two hundred at most, the newest first', async (t) => {
    let now = 1_000_000;
    const { jobs, ended } = await stage(t, { now: () => now });
    for (let at = 0; at < 210; at += 1) await ended(jobs.start([named(`gone-${at}`)], 'alice'));
    const listed = await jobs.list(everything);
    assert.equal(listed.length, 200);
    assert.equal(listed[0]?.images[0]?.image, 'docker.io/library/app:gone-209');
    now += 3_600_001;
    assert.deepEqual(await jobs.list(everything), []);
  });

  test('show a caller only the images that it may see', async (t) => {
    const { jobs, ended } = await stage(t);
    const hidden = { registry: 'ghcr.io', repository: 'secret/app' };
    const job = jobs.start([named(), named('gone', { text: 'ghcr.io/secret/app:gone', repository: hidden })], 'alice');
    await ended(job);
    const seen = await jobs.list(({ registry }) => registry === 'docker.io');
    assert.deepEqual([seen[0]?.images.length, seen[0]?.counts.failed], [1, 0]);
    assert.deepEqual(await jobs.list(() => false), []);
    assert.equal(await job.view(() => Promise.resolve(false)), undefined);
  });

  test('end when the server stops, and begin no more', async (t) => {
    const { jobs, origin } = await stage(t);
    const gate = new Gate();
    origin.before = ({ what }) => (what === LAYER.digest ? gate.pass() : undefined);
    const job = jobs.start([named()], 'alice');
    await gate.reached;
    const closed = jobs.close();
    await closed;
    assert.equal(only((await job.view(everything)) as JobView).state, 'cancelled');
    assert.throws(() => jobs.start([named()], 'alice'), { code: 'UNAVAILABLE' });
    gate.open();
  });
});

describe('a hearer', () => {
  test('hears of a job that changes once in a while, of its end, and then no more', async (t) => {
    const { jobs, origin } = await stage(t, { hearEvery: 5 });
    const body = new CuedBody();
    origin.deliver = ({ what }) => (what === LAYER.digest ? { body } : undefined);
    const heard: JobView[] = [];
    let next = Promise.withResolvers<void>();
    const note = async (view: WarmedJob['view']): Promise<void> => {
      heard.push((await view(everything)) as JobView);
      next.resolve();
      next = Promise.withResolvers();
    };
    const stop = jobs.onChange(({ view }) => void note(view));
    jobs.start([named()], 'alice');
    while (heard.at(-1)?.images[0]?.blobs !== APP.blobs.length - 1) await next.promise;
    const { length } = heard;
    body.send(LAYER.bytes.subarray(0, 1000));
    await next.promise;
    assert.equal(heard.at(-1)?.bytes, ALL_BYTES - LAYER.size + 1000);
    assert.ok(heard.length > length);
    body.send(LAYER.bytes.subarray(1000)).end();
    while (heard.at(-1)?.endedAt === undefined) await next.promise;
    assert.equal(heard.at(-1)?.counts.done, 1);
    stop();
    const told = heard.length;
    await endOf(jobs, jobs.start([named()], 'bob'));
    assert.equal(heard.length, told);
  });
});
