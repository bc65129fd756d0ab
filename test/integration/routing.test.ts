import assert from 'node:assert/strict';
import { chmod, readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { RoutingQuestion } from 'entrepot/routing';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { formatImage } from '../../src/cli/commands/pulls/explain-text.ts';
import { buildImage, type Content } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Several upstreams of one registry, and the order in which they are asked.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'routing', architectures: Array.from({ length: 24 }, (_, at) => `cpu${at}`) });
const manifest = image.platforms[0]?.manifest as Content;

const TEXT = { who: undefined, columns: undefined, now: 0 };

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
async function ask(mirror: Mirror, three: Three, what = `manifests/${manifest.digest}`): Promise<string> {
  const { status, body } = await mirror.get(`/up/v2/${REPOSITORY}/${what}`);
  assert.equal(status, 200, body.toString());
  return three.asked().join(' then ');
}

describe('fastest', () => {
  test('each upstream is tried once, the fastest is asked from then on, and status says why', async () => {
    await using three = await startThree();
    three.a.fault({}, { delay: 2000 });
    three.b.fault({}, { delay: 1000 });
    await using mirror = await startMirror({
      cache: 'off',
      registries: { up: { strategy: 'fastest', upstreams: three.upstreams } },
    });
    const order: string[] = [];
    for (let i = 0; i < 8; i += 1) order.push(await ask(mirror, three));
    assert.deepEqual(order, ['a', 'b', 'c', 'c', 'c', 'c', 'c', 'c']);
    const { routes } = await mirror.app.status();
    const [route] = routes ?? [];
    assert.deepEqual([route?.registry, route?.by, route?.tags], ['up', 'fastest', false]);
    assert.deepEqual(
      route?.upstreams.map(({ upstream }) => upstream),
      ['c', 'b', 'a'],
    );
    for (const { why } of route?.upstreams ?? []) assert.match(why, /^answers in \d+(\.\d)? ms$/);
    assert.ok((route?.upstreams[2]?.latencyMs ?? 0) >= 2000, JSON.stringify(route));
  });

  test('the next one takes over where it dies, and hands back once it answers again', async () => {
    await using three = await startThree();
    // Less than the second for which one that fails is not asked.
    three.b.fault({}, { delay: 600 });
    three.c.fault({}, { delay: 1200 });
    await using mirror = await startMirror({
      cache: 'off',
      registries: { up: { strategy: 'fastest', upstreams: three.upstreams } },
    });
    for (const expected of ['a', 'b', 'c', 'a']) assert.equal(await ask(mirror, three), expected);
    const heal = three.a.fault({}, { status: 503 });
    for (let i = 0; i < 3; i += 1) assert.equal(await ask(mirror, three), 'a then b');
    const { routes } = await mirror.app.status();
    assert.deepEqual(
      routes?.[0]?.upstreams.map(({ upstream, state, why }) => [upstream, state, why === 'failing, so last']),
      [
        ['b', 'up', false],
        ['c', 'up', false],
        ['a', 'resting', true],
      ],
    );
    assert.equal(await ask(mirror, three), 'b', 'the first is resting, so it is not even tried');
    heal();
    for (let answer = ''; answer !== 'a'; ) answer = await ask(mirror, three);
    assert.equal(await ask(mirror, three), 'a');
  });

  test('tags and lists are asked in the order of the configuration, unless the operator says otherwise', async () => {
    await using three = await startThree();
    three.a.fault({}, { delay: 500 });
    for (const tags of [false, true]) {
      await using mirror = await startMirror({
        cache: 'off',
        registries: { up: { strategy: { by: 'fastest', tags }, upstreams: three.upstreams } },
      });
      for (let i = 0; i < 4; i += 1) await ask(mirror, three);
      const [tag, list] = [await ask(mirror, three, 'manifests/latest'), await ask(mirror, three, 'tags/list')];
      if (tags) assert.ok(tag !== 'a' && list !== 'a', `${tag}, ${list}`);
      else assert.deepEqual([tag, list], ['a', 'a']);
      assert.notEqual(await ask(mirror, three), 'a', 'by digest');
    }
  });

  test('a reload keeps what was measured of upstreams that stay', async () => {
    await using three = await startThree();
    three.a.fault({}, { delay: 500 });
    const config = { cache: 'off', registries: { up: { strategy: 'fastest', upstreams: three.upstreams } } };
    await using mirror = await startMirror(config);
    for (let i = 0; i < 4; i += 1) await ask(mirror, three);
    const { outcome } = await mirror.reload({ ...config, log: { access: false } });
    assert.equal(outcome, 'changed');
    assert.notEqual(await ask(mirror, three), 'a');
  });
});

describe('weighted', () => {
  test('digests are spread by weight, each always to the same upstream, and a weight of 0 is asked last', async () => {
    await using three = await startThree();
    const [a, b, c] = three.upstreams;
    const upstreams = [{ ...c, weight: 0 }, { ...a, weight: 3 }, b];
    await using mirror = await startMirror({
      cache: 'off',
      registries: { up: { strategy: 'weighted', upstreams } },
    });
    const digests = [...image.manifests, ...image.blobs].map(({ digest, mediaType }) =>
      mediaType.includes('manifest') || mediaType.includes('index') ? `manifests/${digest}` : `blobs/${digest}`,
    );
    assert.ok(digests.length >= 100, `${digests.length}`);
    const counts = { a: 0, b: 0, c: 0 };
    for (const digest of digests) counts[(await ask(mirror, three, digest)) as 'a' | 'b' | 'c'] += 1;
    // Three quarters, within four standard deviations.
    const off = Math.abs(counts.a - digests.length * 0.75);
    assert.ok(off <= 4 * Math.sqrt(digests.length * 0.75 * 0.25), JSON.stringify(counts));
    assert.equal(counts.c, 0);
    const first = await ask(mirror, three);
    assert.equal(await ask(mirror, three), first);
    for (const each of [three.a, three.b]) each.fault({}, { status: 404 });
    const missing = await ask(mirror, three);
    assert.match(missing, / then c$/, missing);
    const { routes } = await mirror.app.status();
    assert.deepEqual(
      routes?.[0]?.upstreams.map(({ upstream, weight, why }) => [upstream, weight, why]),
      [
        ['a', 3, 'first for 75 % of all digests'],
        ['b', 1, 'first for 25 % of all digests'],
        ['c', 0, 'only after all others'],
      ],
    );
  });
});

describe('under any strategy', () => {
  test('an upstream without resolve is never asked for a tag, nor one without pull for a digest', async () => {
    await using three = await startThree();
    const [a, b, c] = three.upstreams;
    const upstreams = [{ ...a, capabilities: ['resolve'] }, { ...b, capabilities: ['pull'] }, c];
    for (const by of ['fastest', 'weighted']) {
      await using mirror = await startMirror({
        cache: 'off',
        registries: { up: { strategy: { by, tags: true }, upstreams } },
      });
      for (let i = 0; i < 6; i += 1) {
        assert.doesNotMatch(await ask(mirror, three, 'manifests/latest'), /b/, by);
        assert.doesNotMatch(await ask(mirror, three), /a/, by);
      }
    }
  });

  test('one that gave a digest wrongly comes last for it, whatever its weight', async () => {
    await using three = await startThree();
    const [a, ...rest] = three.upstreams;
    const upstreams = [a, ...rest.map((each) => ({ ...each, weight: 0 }))];
    const layer = image.platforms[0]?.layers[0] as Content;
    three.a.fault(layer.digest, { flipAt: 10 });
    await using mirror = await startMirror({ registries: { up: { strategy: 'weighted', upstreams } } });
    const path = `/up/v2/${REPOSITORY}/blobs/${layer.digest}`;
    // Its connection is cut, where no other upstream gives the whole in time.
    await mirror.get(path).catch(() => undefined);
    assert.equal(three.asked()[0], 'a');
    const { status, body } = await mirror.get(path);
    assert.deepEqual([status, body.equals(layer.bytes)], [200, true]);
    assert.doesNotMatch(three.asked().join(), /a/);
    assert.equal(await ask(mirror, three), 'a', 'for all others it is first');
  });
});

describe('a routing plugin', () => {
  /** A plugin in a directory of its own. */
  async function plugin(workspace: Workspace, text: string): Promise<string> {
    const file = await workspace.file('routing.mjs', text);
    await chmod(file, 0o600);
    return file;
  }
  const order = (...names: string[]): string => `export default () => ${JSON.stringify(names)};\n`;
  const configOf = (three: Three, file: string, more: object = {}) => ({
    cache: 'off',
    registries: { up: { strategy: { plugin: file, ...more }, upstreams: three.upstreams } },
  });

  test('orders by what it is told, and learns nothing of the client', async () => {
    await using three = await startThree();
    await using workspace = await Workspace.open();
    const file = await plugin(
      workspace,
      `import { appendFileSync } from 'node:fs';
       export default (question) => {
         appendFileSync(${JSON.stringify(workspace.path('asked'))}, JSON.stringify(question) + '\\n');
         return question.tag === undefined ? ['c', 'b'] : ['b'];
       };`,
    );
    await using mirror = await startMirror(configOf(three, file, { tags: true }));
    const secret = {
      authorization: 'Basic Y2FuYXJ5OmNhbmFyeQ==',
      'user-agent': 'canary',
      'x-forwarded-for': '192.0.2.77',
    };
    await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`, secret);
    assert.equal(three.asked()[0], 'b');
    assert.equal(await ask(mirror, three), 'c');
    three.c.fault({}, { status: 404 });
    assert.equal(await ask(mirror, three), 'b then c', 'both of them, in the order of their names here');
    const text = await readFile(workspace.path('asked'), 'utf8');
    assert.doesNotMatch(text, /canary|192\.0\.2\.77|127\.0\.0\.1:\d+"?,"method/);
    const questions = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as RoutingQuestion);
    const [first] = questions;
    assert.deepEqual(
      { ...first, now: 0, upstreams: first?.upstreams.map(({ name, state, weight }) => [name, state, weight]) },
      {
        registry: 'up',
        repository: REPOSITORY,
        content: 'manifest',
        method: first?.method,
        tag: 'latest',
        now: 0,
        upstreams: ['a', 'b', 'c'].map((name) => [name, 'up', 1]),
      },
    );
  });

  const faults: readonly (readonly [what: string, text: string, warning: RegExp])[] = [
    ['lies', order('c', 'evil'), /returned \[ 'c', 'evil' \], and "evil" is no upstream of the question/],
    [
      'throws',
      'export default () => { throw new TypeError("oh dear"); };',
      /threw TypeError: oh dear \(routing\.mjs:1\)/,
    ],
    ['waits for ever', 'export default () => new Promise(() => {});', /did not answer within 250 ms/],
    ['loops for ever', 'export default () => { for (;;); };', /did not answer within 250 ms/],
    ['ends its thread', 'export default () => process.exit(7);', /ended its thread, with the exit code 7/],
  ];
  for (const [what, text, warning] of faults) {
    test(`one that ${what} fails no pull: the order is that of the configuration, and the log blames the plugin`, async () => {
      await using three = await startThree();
      await using workspace = await Workspace.open();
      const file = await plugin(workspace, text);
      await using mirror = await startMirror(configOf(three, file));
      const blamed = () => mirror.log.filter(({ level, msg }) => level === 'warn' && msg.includes('routing plugin'));
      // A question that finds the plugin still starting is no failure of it.
      while (blamed().length < 2) assert.equal(await ask(mirror, three), 'a');
      for (let i = 0; i < 2; i += 1) assert.equal(await ask(mirror, three), 'a');
      const warnings = blamed();
      assert.equal(warnings.length, 2, 'the first failure, and the pause after three in a row');
      for (const { msg } of warnings) {
        assert.match(msg, warning);
        assert.ok(msg.includes(file) && msg.includes('asked for up') && msg.includes('entrepot plugin test'), msg);
      }
      assert.match(warnings[1]?.msg ?? '', /has failed 3 times in a row, so it is not asked for 60 s/);
      const { routes } = await mirror.app.status();
      const { state, failures } = routes?.[0]?.plugin ?? {};
      assert.deepEqual([state, failures], ['paused', 3], 'the last two questions were not asked');
      const { body } = await mirror.get('/metrics');
      assert.match(body.toString(), /entrepot_routing_plugin_failures_total\{registry="up",failure="\w+"\} 3/);
    });
  }

  test('explain asks it, and tells the order for tags and for digests apart', async () => {
    await using three = await startThree();
    await using workspace = await Workspace.open();
    const file = await plugin(workspace, order('c', 'b'));
    await using mirror = await startMirror({ ...configOf(three, file), cache: {} });
    await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`);
    const { image: explained } = await callControl(controlSocketPath(mirror.dir), OPERATIONS.explain, {
      input: { of: `up/${REPOSITORY}:latest` },
    });
    assert.deepEqual(
      explained?.upstreams.map(({ name }) => name),
      ['a', 'b', 'c'],
    );
    assert.deepEqual(
      explained?.route?.upstreams.map(({ upstream, why }) => [upstream, why]),
      ['c', 'b', 'a'].map((name) => [name, 'as the plugin says']),
    );
    assert.equal(explained?.route?.plugin?.file, file);
    assert.match(formatImage(explained, TEXT), /\n +by digest +up, .*routing\.mjs: c \(as the plugin says\), b/);
  });

  test('a reload takes up a changed file, and refuses one that cannot be loaded', async () => {
    await using three = await startThree();
    await using workspace = await Workspace.open();
    const file = await plugin(workspace, order('c'));
    await using mirror = await startMirror(configOf(three, file));
    assert.equal(await ask(mirror, three), 'c');
    await plugin(workspace, 'export default 5;');
    const refused = await mirror.reload();
    assert.equal(refused.outcome, 'refused');
    assert.match(
      refused.problems.join(),
      /registries\.up\.strategy\.plugin: .*routing\.mjs has 5 as its default export; expected a function/,
    );
    assert.equal(await ask(mirror, three), 'c', 'the one before stays');
    await plugin(workspace, order('b', 'c'));
    assert.equal(await ask(mirror, three), 'c', 'until a reload');
    const { outcome, problems } = await mirror.reload();
    assert.deepEqual(problems, []);
    assert.equal(outcome, 'unchanged', 'of the configuration nothing has changed');
    assert.equal(await ask(mirror, three), 'b');
  });

  test('a start refuses a plugin that others can write', async () => {
    await using three = await startThree();
    await using workspace = await Workspace.open();
    const file = await plugin(workspace, order('c'));
    await chmod(file, 0o664);
    await assert.rejects(startMirror(configOf(three, file)), (error: Error) => {
      assert.match(
        String((error as Error & { problems?: unknown }).problems),
        /can be written by others \(its mode is 0664\).*chmod go-w/,
      );
      return true;
    });
  });
});
