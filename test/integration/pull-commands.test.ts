import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explain } from '../../src/cli/commands/pulls/explain.ts';
import { followPulls } from '../../src/cli/commands/pulls/follow.ts';
import { pulls } from '../../src/cli/commands/pulls/pulls.ts';
import { openConsole } from '../../src/cli/commands/server/console.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The commands on pulls, and the one that opens the page, with a server that has pulled.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'pull-commands', layers: [40_000, 60_000], architectures: ['amd64'] });
const amd64 = platformOf(image, 'amd64');

interface Pair extends AsyncDisposable {
  readonly upstream: ScriptedUpstream;
  readonly mirror: Mirror;
}

async function startPair(): Promise<Pair> {
  const upstream = await startScriptedUpstream();
  upstream.add(image, REPOSITORY, ['1.27']);
  const mirror = await startMirror({ registries: { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } } });
  return {
    upstream,
    mirror,
    async [Symbol.asyncDispose]() {
      upstream.heal();
      await mirror.stop();
      await upstream.stop();
    },
  };
}

/** Pulls the image as a client does, and gives the id of the first request. */
async function pullOnce(mirror: Mirror): Promise<string> {
  const headers = { 'user-agent': 'docker/27.1.1' };
  const first = await mirror.get(`/up/v2/${REPOSITORY}/manifests/1.27`, headers);
  await mirror.get(`/up/v2/${REPOSITORY}/manifests/${amd64.manifest.digest}`, headers);
  for (const { digest } of [amd64.config, ...amd64.layers]) {
    await mirror.get(`/up/v2/${REPOSITORY}/blobs/${digest}`, headers);
  }
  return String(first.headers['x-request-id']);
}

describe('a pull of a client', () => {
  test('is listed, followed to its end, and explained by the id of its response', async () => {
    await using pair = await startPair();
    const { mirror } = pair;
    const flags = { cacheDir: mirror.dir };
    const interrupt = new AbortController();
    const followed = captureOutput();
    const output = {
      out(text: string) {
        followed.output.out(text);
        if (text.includes('team/app')) interrupt.abort();
      },
      err: (text: string) => followed.output.err(text),
    };
    const following = followPulls({ flags, json: true }, { output, interval: 20, interrupt: interrupt.signal });
    const id = await pullOnce(mirror);
    assert.equal(await following, 0);
    const summary = JSON.parse(followed.said.out) as { id: string; outcome: string; requests: number };
    assert.deepEqual([summary.id, summary.outcome], [id, 'miss'], followed.said.err);

    const listed = captureOutput();
    assert.equal(await pulls({ flags, image: 'app' }, { output: listed.output, columns: 80 }), 0);
    assert.match(listed.said.out, new RegExp(`\\n${id} .* miss .* 127\\.0\\.0\\.1 +up/team/app:1\\.27\\n$`));

    const told = captureOutput();
    assert.equal(await explain({ flags, of: id }, { output: told.output }), 0);
    assert.match(told.said.out, new RegExp(`^up/team/app:1\\.27, pull ${id}\\n {2}outcome {4}miss: an upstream sent`));
    assert.match(told.said.out, /named by {3}.*\n(?:.*\n)+.*GET manifest 1\.27: 200 MISS from hub\n {2}why /);
    assert.match(told.said.out, / {2}asked {6}hub api GET http:.*\/v2\/team\/app\/manifests\/1\.27: 200 in /);

    const next = captureOutput();
    assert.equal(await explain({ flags, of: 'up/team/app:1.27' }, { output: next.output, columns: 80 }), 0);
    assert.match(next.said.out, /^up\/team\/app:1\.27\n {2}next pull {2}.*\n(?:.*\n)+Last pulls\n/);
  });

  test('that is not known is no pull, and no image', async () => {
    await using pair = await startPair();
    const { output, said } = captureOutput();
    const code = await explain({ flags: { cacheDir: pair.mirror.dir }, of: 'zzzz-1' }, { output });
    assert.deepEqual([code, said.out], [1, '']);
    assert.match(said.err, /zzzz-1/);
  });
});

describe('entrepot console', () => {
  test('prints an address whose code begins one session that may change things', async () => {
    await using pair = await startPair();
    const { mirror } = pair;
    const { output, said } = captureOutput();
    assert.equal(await openConsole({ flags: { cacheDir: mirror.dir }, print: true }, { output }), 0);
    const address = new URL(said.out.trim());
    assert.deepEqual([address.host, address.pathname], [mirror.host, '/ui/']);
    const body = JSON.stringify({ code: address.hash.replace('#code=', '') });
    const begin = () =>
      rawRequest(mirror.host, {
        method: 'POST',
        path: '/api/v1/session',
        headers: { 'content-type': 'application/json', 'content-length': String(body.length) },
        body,
      });
    const session = await begin();
    assert.equal(session.status, 200, session.body.toString());
    const { principal, canChange } = JSON.parse(session.body.toString()) as { principal: string; canChange: boolean };
    assert.deepEqual([principal, canChange], ['operator', true]);
    assert.equal((await begin()).status, 401);
  });
});
