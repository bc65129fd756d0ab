import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildImage, type Content } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Several upstreams of one registry, and the order in which they are asked.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'routing', architectures: Array.from({ length: 24 }, (_, at) => `cpu${at}`) });
const manifest = image.platforms[0]?.manifest as Content;

interface Three extends AsyncDisposable {
  readonly a: ScriptedUpstream;
  readonly b: ScriptedUpstream;
  readonly c: ScriptedUpstream;
  /** In that order, under their names. */
  readonly upstreams: readonly { readonly name: string; readonly url: string }[];
  /** Which of them were asked since the last call, in the order of the requests. */
  asked(): string[];
}

async function startThree(): Promise<Three> {
  const [a, b, c] = await Promise.all([startScriptedUpstream(), startScriptedUpstream(), startScriptedUpstream()]);
  const all = { a, b, c };
  for (const each of Object.values(all)) each.add(image, REPOSITORY, ['latest']);
  return {
    ...all,
    upstreams: Object.entries(all).map(([name, { url }]) => ({ name, url })),
    asked() {
      const names = Object.entries(all).flatMap(([name, upstream]) =>
        upstream.requests.filter(({ kind }) => kind !== 'ping').map(() => name),
      );
      for (const each of Object.values(all)) each.forget();
      return names;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(Object.values(all).map((each) => each[Symbol.asyncDispose]()));
    },
  };
}

/** Asks for content, and says which upstream gave it. */
async function ask(mirror: Mirror, { asked }: Three, what = `manifests/${manifest.digest}`): Promise<string> {
  const { status, body } = await mirror.get(`/up/v2/${REPOSITORY}/${what}`);
  assert.equal(status, 200, body.toString());
  return asked().join(' then ');
}

describe('fastest', () => {
  test('each upstream is tried once, the fastest is asked from then on, and status says why', async () => {
    await using three = await startThree();
    three.a.fault({}, { delay: 300 });
    three.b.fault({}, { delay: 150 });
    await using mirror = await startMirror({
      cache: 'off',
      registries: { up: { strategy: 'fastest', upstreams: three.upstreams } },
    });
    const order: string[] = [];
    for (let i = 0; i < 8; i += 1) order.push(await ask(mirror, three));
    assert.deepEqual(order, ['a', 'b', 'c', 'c', 'c', 'c', 'c', 'c']);
    const { routes } = await mirror.app.status();
    assert.equal(routes?.length, 1);
    const [route] = routes ?? [];
    assert.deepEqual([route?.registry, route?.by, route?.tags], ['up', 'fastest', false]);
    assert.deepEqual(
      route?.upstreams.map(({ upstream }) => upstream),
      ['c', 'b', 'a'],
    );
    for (const { why } of route?.upstreams ?? []) assert.match(why, /^answers in \d+(\.\d)? ms$/);
    assert.ok((route?.upstreams[2]?.latencyMs ?? 0) >= 300, JSON.stringify(route));
  });
});
