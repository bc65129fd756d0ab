import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startSite } from '../support/site.ts';

// What operators ask of a running server about its registries, its configuration and its rules.

const CANARY = 'c4n4ry';
const IMAGE = buildImage({ seed: 'operator views', layers: [30_000] });
const { layers } = platformOf(IMAGE, 'amd64');

let upstream: ScriptedUpstream;
let mirror: Mirror;

before(async () => {
  upstream = await startScriptedUpstream({
    personality: 'dockerHub',
    credentials: { username: 'ada', password: CANARY },
  });
  upstream.add(IMAGE, 'team/app', ['latest']);
  mirror = await startMirror({
    registries: {
      up: {
        aliases: ['u'],
        upstreams: [
          {
            url: upstream.url,
            name: 'hub',
            credentials: { username: 'ada', password: CANARY },
            headers: { 'X-Api-Key': CANARY },
          },
        ],
      },
      apps: { hosted: true },
    },
    default_registry: 'up',
    mirrors: [{ name: 'files', prefix: '/files', upstream: upstream.url }],
    webhooks: [{ url: `https://ci.example/hook?key=${CANARY}`, name: 'ci', secret: CANARY }],
    access: {
      groups: { team: ['alice'] },
      rules: [
        { who: 'anonymous', may: ['pull'], on: ['up/**'] },
        { who: '@team', may: ['pull', 'push'], on: ['apps/**'] },
      ],
    },
  });
});
after(async () => {
  await mirror?.stop();
  await upstream?.stop();
});

const ask = <Input, Answer>(
  operation: Parameters<typeof callControl<Input, Answer>>[1],
  input?: Input,
): Promise<Answer> => callControl(controlSocketPath(mirror.dir), operation, input === undefined ? {} : { input });

const pull = async (): Promise<void> => {
  assert.equal((await mirror.get('/up/v2/team/app/manifests/latest')).status, 200);
  for (const { digest } of layers) assert.equal((await mirror.get(`/up/v2/team/app/blobs/${digest}`)).status, 200);
};

describe('the registries', () => {
  test('are all there, in whose order, how asked, and without a secret', async () => {
    const answer = await ask(OPERATIONS.registries);
    const up = answer.registries.find(({ name }) => name === 'up');
    assert.ok(up !== undefined);
    const { kind, configured, isDefault, aliases, hosted } = up;
    assert.deepEqual([kind, configured, isDefault, aliases, hosted], ['registry', true, true, ['u'], 'none']);
    assert.deepEqual(
      up.upstreams.map(({ name, url, credential }) => [name, url, credential]),
      [['hub', upstream.url, 'ada']],
    );
    assert.equal(answer.registries.find(({ name }) => name === 'apps')?.hosted, 'all');
    assert.equal(answer.registries.find(({ name }) => name === 'ghcr.io')?.configured, false);
    assert.equal(answer.registries.find(({ kind: of }) => of === 'mirror')?.name, 'files');
    assert.ok(!JSON.stringify(answer).includes(CANARY));
  });

  test('count what was asked of them since the start', async () => {
    const upstreamOf = async () =>
      (await ask(OPERATIONS.registries)).registries.find(({ name }) => name === 'up')?.upstreams[0];
    await pull();
    await mirror.logged(({ msg, outcome }) => msg === 'ingest.finished' && outcome === 'committed');
    const found = await upstreamOf();
    assert.ok(found !== undefined && found.requests > 0 && found.latencyMs !== undefined && found.latencyMs > 0);
    assert.equal(found.failures, 0);
    assert.equal(
      found.bytes,
      layers.reduce((sum, { bytes }) => sum + bytes.length, 0),
    );
    assert.equal(found.health?.state, 'closed');
    await pull();
    assert.equal((await upstreamOf())?.bytes, found.bytes, 'what is cached is not fetched again');
  });

  test('are checked step by step, by each of their names', async () => {
    for (const name of ['up', 'u', 'hub']) {
      const { targets } = await ask(OPERATIONS.registryCheck, { name });
      assert.deepEqual(
        targets.map(({ registry, upstream: of, ok }) => [registry, of, ok]),
        [['up', 'hub', true]],
      );
      const steps = targets[0]?.steps.map(({ step, outcome }) => `${step}:${outcome}`) ?? [];
      assert.deepEqual(steps.slice(0, 3), ['tcp:ok', 'http:ok', 'token:ok']);
      assert.ok(!JSON.stringify(targets).includes(CANARY));
    }
    assert.deepEqual((await ask(OPERATIONS.registryCheck, { name: 'apps' })).targets, []);
    await assert.rejects(
      ask(OPERATIONS.registryCheck, { name: 'hubb' }),
      /"hubb" is no registry, .*did you mean hub\?/,
    );
  });

  test('are checked once for all who ask at the same time', async () => {
    const before = upstream.requests.length;
    await ask(OPERATIONS.registryCheck, { name: 'up' });
    const once = upstream.requests.length - before;
    await Promise.all([1, 2, 3].map(() => ask(OPERATIONS.registryCheck, { name: 'up' })));
    assert.ok(upstream.requests.length - before - once < 3 * once, 'three checks ran');
  });
});

describe('the configuration', () => {
  test('says where each value comes from, and shows no secret', async () => {
    const answer = await ask(OPERATIONS.configuration);
    assert.equal(answer.source, 'ENTREPOT_CONFIG');
    const options = new Map(answer.options.map((each) => [each.name, each]));
    assert.match(options.get('registries.up.upstreams[0].name')?.from ?? '', /^ENTREPOT_CONFIG:1:\d+$/);
    assert.deepEqual(options.get('timeouts.idle_timeout'), {
      name: 'timeouts.idle_timeout',
      value: '65s',
      from: 'default',
    });
    assert.equal(options.get('registries.up.upstreams[0].credentials.password')?.value, '"***"');
    assert.match(answer.yaml, /^ {10}password: "\*\*\*" # ENTREPOT_CONFIG:1:\d+$/m);
    assert.ok(!JSON.stringify(answer).includes(CANARY));
  });

  test('has its problems, with their places', async () => {
    const { problems } = await ask(OPERATIONS.configuration);
    const problem = problems.find(({ text }) => text.includes('alice'));
    assert.ok(problem !== undefined, JSON.stringify(problems));
    assert.match(problem.place ?? '', /^ENTREPOT_CONFIG:1:\d+$/);
  });
});

describe('the settings of clients', () => {
  test('have the address that was asked for, in both languages', async () => {
    const { url, host, defaultRegistry, clients } = await ask(OPERATIONS.clients, { host: 'https://m.example' });
    assert.deepEqual([url, host, defaultRegistry], ['https://m.example', 'm.example', 'up']);
    const docker = clients.find(({ client }) => client === 'docker daemon');
    assert.ok(docker !== undefined && docker.files.some(({ content }) => content.includes('https://m.example')));
    for (const { title, notes } of clients) {
      for (const text of [title, ...notes]) assert.ok(text.en !== '' && text.zh !== '', JSON.stringify(text));
    }
  });

  test('have the address of the server by default', async () => {
    assert.equal((await ask(OPERATIONS.clients, {})).url, mirror.url);
  });

  for (const host of ['a b', 'm.example/path', 'http://', '"><script>', 'user@m.example', 'm.example:99999']) {
    test(`are refused for ${host}`, async () => {
      await assert.rejects(ask(OPERATIONS.clients, { host }), /host: expected a host and port/);
    });
  }
});

describe('the rules', () => {
  test('are shown with their places', async () => {
    const { configured, audit, groups, rules } = await ask(OPERATIONS.accessRules);
    assert.deepEqual([configured, audit, groups], [true, false, [{ name: 'team', members: ['alice'] }]]);
    assert.deepEqual(
      rules.map(({ who, may, on }) => [who, may, on]),
      [
        [['anonymous'], ['pull'], ['up/**']],
        [['@team'], ['pull', 'push'], ['apps/**']],
      ],
    );
    for (const { place } of rules) assert.match(place ?? '', /^ENTREPOT_CONFIG:1:\d+$/);
  });

  test('say which of them decides', async () => {
    const allowed = await ask(OPERATIONS.accessExplain, { who: 'alice', action: 'push', image: 'apps/web' });
    assert.deepEqual([allowed.verdict, allowed.rule], ['allowed', 'access.rules[1]']);
    assert.match(allowed.place ?? '', /^ENTREPOT_CONFIG:1:\d+$/);
    assert.match(allowed.text, /^allowed: push on apps\/web by alice; access\.rules\[1\] decides$/);
    const refused = await ask(OPERATIONS.accessExplain, { who: 'bob', action: 'push', image: 'apps/web' });
    assert.deepEqual([refused.verdict, refused.rule], ['refused', undefined]);
    assert.match(refused.text, /no rule allows it; add one under access\.rules$/);
  });

  for (const [who, action, image, says] of [
    ['@team', 'pull', 'nginx', /is a group, and no client/],
    ['alice', 'pull', undefined, /concerns an image; name one/],
    ['alice', 'pull', 'UPPER/Case', /in lower case/],
    ['alice', 'status', 'nginx', /concerns no image/],
  ] as const) {
    test(`are not asked ${action} ${image ?? ''} by ${who}`, async () => {
      await assert.rejects(ask(OPERATIONS.accessExplain, { who, action, image }), says);
    });
  }
});

test('a server without rules says so', async () => {
  await using open = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
  const path = controlSocketPath(open.dir);
  assert.deepEqual(await callControl(path, OPERATIONS.accessRules), {
    configured: false,
    audit: false,
    groups: [],
    rules: [],
  });
  const question = { who: 'bob', action: 'pull', image: 'nginx' } as const;
  const { verdict, text } = await callControl(path, OPERATIONS.accessExplain, { input: question });
  assert.equal(verdict, 'allowed');
  assert.match(text, /has no access:, so no rule decides/);
});

test('a mirror route is counted with its site', async () => {
  await using site = await startSite({ '/some/file': (_, response) => void response.end('here') });
  await using own = await startMirror({ mirrors: [{ name: 'files', prefix: '/files', upstream: site.url }] });
  const { status } = await own.get('/files/some/file');
  const { registries } = await callControl(controlSocketPath(own.dir), OPERATIONS.registries);
  const [found] = registries.find(({ name }) => name === 'files')?.upstreams ?? [];
  assert.ok(status === 200 && found !== undefined);
  assert.equal(found.requests, 1);
});
