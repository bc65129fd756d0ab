import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { status } from '../../src/cli/commands/server/status.ts';
import { listWebhooks, testWebhooks } from '../../src/cli/commands/webhooks/webhooks.ts';
import { captureOutput } from '../support/capture-output.ts';
import { makeCertificate } from '../support/certificates.ts';
import { buildImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { pushImage, send } from '../support/push.ts';
import { eventsOf, type Received, startReceiver } from '../support/receiver.ts';

// The webhooks of a running server, as an operator configures, tests and watches them.

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

function start(webhooks: readonly object[]): Promise<Mirror> {
  return startMirror({ registries: { up: { upstreams: ['http://127.0.0.1:9'] } }, webhooks });
}

async function list(mirror: Mirror): Promise<Record<string, unknown>[]> {
  const { output, said } = captureOutput();
  assert.equal(await listWebhooks({ flags: { cacheDir: mirror.dir }, json: true }, output), 0, said.err);
  return (JSON.parse(said.out) as { webhooks: Record<string, unknown>[] }).webhooks;
}

async function ping(mirror: Mirror, webhook?: string) {
  const { output, said } = captureOutput();
  const code = await testWebhooks({ flags: { cacheDir: mirror.dir }, webhook }, output);
  return { code, text: said.out + said.err };
}

function isSigned({ headers, body }: Received): boolean {
  const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64');
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  return headers['webhook-signature'] === `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
}

describe('what happens in hosted repositories', () => {
  const image = buildImage({ seed: 'webhooks' });
  const later = buildImage({ seed: 'webhooks later' });
  const alice = basic('alice');
  let scratch: string;
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'entrepot-webhooks-'));
    await writeFile(join(scratch, 'htpasswd'), htpasswdOf('alice'));
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  const configOf = (webhooks: readonly object[]) => ({
    public_url: 'https://mirror.example.com',
    registries: { apps: { hosted: true } },
    access: {
      htpasswd: join(scratch, 'htpasswd'),
      rules: [{ who: 'alice', may: ['pull', 'push', 'delete'], on: ['apps/**'] }],
    },
    webhooks,
  });
  const isAbout =
    (event: string) =>
    ({ headers }: Received): boolean =>
      headers['x-entrepot-event'] === event;

  test('is reported: a push with its tag, the tag moved, the tag and the manifest deleted', async () => {
    await using receiver = await startReceiver();
    await using mirror = await startMirror(configOf([{ name: 'ci', url: receiver.url, secret: SECRET }]));
    const place = { host: mirror.host, repository: 'apps/team/app', headers: alice };
    await pushImage(place, image, 'v1');
    await pushImage(place, later, 'v1');
    const [first, second] = await receiver.received(2, isAbout('tag'));
    assert.ok(first !== undefined && second !== undefined && isSigned(first) && isSigned(second));
    assert.deepEqual(
      [first, second].map((request) => eventsOf(request)[0]?.target),
      [
        {
          digest: image.index.digest,
          repository: 'apps/team/app',
          url: `https://mirror.example.com/v2/apps/team/app/manifests/${image.index.digest}`,
          tag: 'v1',
          registry: 'apps',
        },
        {
          digest: later.index.digest,
          repository: 'apps/team/app',
          url: `https://mirror.example.com/v2/apps/team/app/manifests/${later.index.digest}`,
          tag: 'v1',
          from: image.index.digest,
          registry: 'apps',
        },
      ],
    );
    const pushes = receiver.requests.filter(isAbout('push')).flatMap(eventsOf);
    const tagged = pushes.filter(({ target }) => target['tag'] === 'v1');
    assert.deepEqual(
      tagged.map(({ target, actor }) => [target['digest'], target['size'], actor.name]),
      [
        [image.index.digest, image.index.bytes.length, 'alice'],
        [later.index.digest, later.index.bytes.length, 'alice'],
      ],
    );
    assert.equal(pushes.length, 2 * (1 + image.platforms.length));
    for (const what of ['v1', image.index.digest]) {
      const path = `/v2/apps/team/app/manifests/${what}`;
      assert.equal((await send(mirror.host, 'DELETE', path, { headers: alice })).status, 202);
    }
    const deleted = (await receiver.received(2, isAbout('delete'))).flatMap(eventsOf).map(({ target }) => target);
    assert.deepEqual(
      deleted.map((target) => [target['tag'], target['digest'], target['from']]),
      [
        ['v1', undefined, later.index.digest],
        [undefined, image.index.digest, undefined],
      ],
    );
    const events = receiver.requests.flatMap(eventsOf).map(({ id }) => id);
    assert.deepEqual(
      events,
      events.toSorted((one, other) => (one < other ? -1 : 1)),
    );
  });

  test('is not held up by a receiver that hangs, and is sent after the restart', async () => {
    await using receiver = await startReceiver();
    receiver.mood = 'hang';
    const dir = join(scratch, 'cache');
    const webhooks = [{ name: 'ci', url: receiver.url, events: ['tag'] }];
    {
      await using mirror = await startMirror(configOf(webhooks), { dir });
      for (const tag of ['v1', 'v2', 'v3']) {
        await pushImage({ host: mirror.host, repository: 'apps/team/app', headers: alice }, image, tag);
      }
      await receiver.received(1);
      assert.deepEqual(
        (await list(mirror)).map(({ queued, delivered }) => [queued, delivered]),
        [[3, 0]],
      );
    }
    receiver.mood = 200;
    await using _ = await startMirror(configOf(webhooks), { dir });
    const sent = (await receiver.received(4)).map((request) => eventsOf(request)[0]?.target['tag']);
    assert.deepEqual(sent, ['v1', 'v1', 'v2', 'v3']);
  });
});

describe('entrepot webhooks', () => {
  test('list and test, also after a reload, and status and metrics know them', async () => {
    await using receiver = await startReceiver();
    await using other = await startReceiver();
    await using mirror = await start([{ name: 'ci', url: `${receiver.url}/hooks?token=hush`, secret: SECRET }]);
    assert.deepEqual(
      (await list(mirror)).map(({ hook, url, state, queued }) => ({ hook, url, state, queued })),
      [{ hook: 'ci', url: `${receiver.url}/hooks`, state: 'unused', queued: 0 }],
    );
    receiver.mood = { status: 202, body: 'thanks' };
    const taken = await ping(mirror, 'ci');
    assert.equal(taken.code, 0);
    assert.match(
      taken.text,
      /^ci \(http:\/\/127\.0\.0\.1:\d+\/hooks\): took the event: 202, after \d+ ms\n {2}thanks\n$/,
    );
    const [request] = receiver.requests;
    assert.ok(request !== undefined && isSigned(request));
    assert.equal(request.path, '/hooks?token=hush');
    assert.equal(request.headers['x-entrepot-event'], 'ping');
    assert.equal(eventsOf(request)[0]?.action, 'ping');

    const { outcome, restart } = await mirror.reload({
      registries: { up: { upstreams: ['http://127.0.0.1:9'] } },
      webhooks: [{ name: 'ci', url: receiver.url }, { url: other.url }],
    });
    assert.deepEqual([outcome, restart], ['changed', []]);
    other.mood = 404;
    const both = await ping(mirror);
    assert.equal(both.code, 1);
    assert.match(both.text, /ci \(.*\): took the event: 202[^]*127\.0\.0\.1:\d+ \(.*\): it answered 404/);

    const { output, said: shown } = captureOutput();
    assert.equal(await status({ flags: { cacheDir: mirror.dir } }, output), 0);
    assert.match(shown.out, /webhook {8}ci: unused, 0 queued/);
    const metrics = (await mirror.get('/metrics')).body.toString();
    assert.match(metrics, /entrepot_webhook_queue_length\{hook="ci"\} 0/);
    assert.doesNotMatch(JSON.stringify([mirror.log, metrics, shown.out]), /hush|MfKQ9r8/);
  });

  test('say which webhooks there are where none has the name, and how to begin where there is none', async () => {
    await using receiver = await startReceiver();
    await using mirror = await start([{ name: 'ci', url: receiver.url }]);
    const unknown = await ping(mirror, 'cd');
    assert.equal(unknown.code, 1);
    assert.match(unknown.text, /no webhook has this name or URL; there are ci/);
    await mirror.reload({});
    assert.deepEqual(await list(mirror), []);
    assert.match((await ping(mirror)).text, /has no webhooks; add one under webhooks/);
  });

  test('are noted at the start where nothing can be pushed', async () => {
    await using receiver = await startReceiver();
    await using mirror = await start([{ url: receiver.url }]);
    await mirror.logged(({ msg }) => msg.includes('nothing can be pushed to this server'));
  });

  test('keep their settings where a reload is refused', async () => {
    await using receiver = await startReceiver();
    await using mirror = await start([{ name: 'ci', url: receiver.url }]);
    const { outcome, problems } = await mirror.reload({ webhooks: [{ name: 'ci', url: 'ftp://a.example' }] });
    assert.equal(outcome, 'refused');
    assert.match(problems.join(), /webhooks\[0\]\.url: found "ftp:\/\/a\.example"/);
    assert.equal((await ping(mirror)).code, 0);
  });

  test('check the certificate of a receiver, whatever is said of upstreams', async () => {
    await using workspace = await Workspace.open();
    const { cert, key, caFile } = await makeCertificate(workspace, 'receiver');
    await using receiver = await startReceiver({ cert, key });
    const webhooks = [{ name: 'ci', url: receiver.url }];
    await using mirror = await startMirror({ transport: { insecure_skip_verify: true }, webhooks });
    const refused = await ping(mirror);
    assert.equal(refused.code, 1);
    assert.match(refused.text, /certificate/);
    assert.equal(receiver.requests.length, 0);
    await mirror.reload({ transport: { ca_file: caFile }, webhooks });
    assert.equal((await ping(mirror)).code, 0);
  });
});
