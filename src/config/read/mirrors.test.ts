import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError } from '../problems.ts';
import { loadConfig } from './load.ts';

const load = (text: string) =>
  loadConfig({ cwd: '/srv', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text }, checkReferences: false });

async function problemsOf(text: string): Promise<readonly string[]> {
  try {
    await load(text);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(({ key, message }) => `${key}: ${message}`);
  }
}

describe('mirrors', () => {
  test('need a name, a path and a site; the rest has its defaults', async () => {
    const { config } = await load('mirrors: [{name: gh, prefix: /github/, upstream: github.com}]');
    const [mirror] = config.mirrors;
    assert.deepEqual(mirror, {
      name: 'gh',
      prefix: '/github',
      upstream: 'https://github.com',
      preserveHost: false,
      methods: ['GET', 'HEAD', 'OPTIONS', 'POST'],
      cache: { enabled: true, immutable: [] },
      headers: {},
    });
  });

  test('may keep nothing', async () => {
    const { config } = await load(
      'mirrors: [{name: gh, prefix: /gh, upstream: "http://10.0.0.1:8080/x/", cache: off}]',
    );
    assert.deepEqual(
      [config.mirrors[0]?.cache.enabled, config.mirrors[0]?.upstream],
      [false, 'http://10.0.0.1:8080/x'],
    );
  });

  test('with everything wrong say everything at once, each at its place', async () => {
    const problems = await problemsOf(`
mirrors:
  - {name: one, prefix: /one, upstream: one.example.com}
  - {name: one, prefix: /one, upstream: two.example.com}
  - {name: registry, prefix: /v2/x, upstream: three.example.com}
  - {name: four, prefix: /metrics, upstream: http://four.example.com, tls: {insecure_skip_verify: true}}
  - {name: five, prefix: /five, upstream: five.example.com, credentials: [{username: a, password: b}], tls: {cert_file: c}}
`);
    assert.deepEqual(problems, [
      'mirrors[1].name: found "one" a second time, expected each name once',
      'mirrors[1].prefix: found /one, which the route one has already',
      'mirrors[2].name: found "registry", expected another name: log and metrics use it for other requests',
      'mirrors[2].prefix: found /v2/x, expected another first segment: this server answers /v2 itself',
      'mirrors[3].prefix: found /metrics, expected another first segment: this server answers /metrics itself',
      'mirrors[3].tls: found it with an http:// address, expected https://',
      'mirrors[4].credentials: found a list, expected one credential: only registries take several in turn',
      'mirrors[4].tls: found one of cert_file and key_file, expected both or none',
    ]);
  });

  const reserved: readonly (readonly [text: string, expected: string])[] = [
    ['mirrors: [{name: a, prefix: /api, upstream: a}]', 'mirrors[0].prefix: found /api, '],
    ['mirrors: [{name: a, prefix: /api/, upstream: a}]', 'mirrors[0].prefix: found /api, '],
    ['mirrors: [{name: a, prefix: /api/v3, upstream: a}]', 'mirrors[0].prefix: found /api/v3, '],
    ['mirrors: [{name: a, prefix: /ui, upstream: a}]', 'mirrors[0].prefix: found /ui, '],
    ['mirrors: [{name: a, prefix: /ui/x, upstream: a}]', 'mirrors[0].prefix: found /ui/x, '],
    ['registries: {api: {upstreams: ["https://a"]}}', 'registries.api: found the name "api", '],
    ['registries: {ui: {upstreams: ["https://a"]}}', 'registries.ui: found the name "ui", '],
    ['registries: {ghcr.io: {aliases: [x, api]}}', 'registries["ghcr.io"].aliases[1]: found the name "api", '],
  ];
  for (const [text, expected] of reserved) {
    test(`leave reserved paths alone: ${text}`, async () => {
      const [problem = '', ...more] = await problemsOf(text);
      assert.deepEqual(more, []);
      assert.ok(problem.startsWith(expected), problem);
      assert.match(problem, /expected another .*reserved for this server/);
    });
  }
  for (const prefix of ['/apis', '/api.example.com', '/uix', '/x/api', '/API']) {
    test(`may be under ${prefix}`, async () => {
      assert.deepEqual(await problemsOf(`mirrors: [{name: a, prefix: ${prefix}, upstream: a}]`), []);
    });
  }

  for (const [what, text] of [
    ['prefix', '{name: a, prefix: /, upstream: a.example.com}'],
    ['prefix', '{name: a, prefix: a, upstream: a.example.com}'],
    ['prefix', '{name: a, prefix: /a/../b, upstream: a.example.com}'],
    ['prefix', '{name: a, prefix: /a%2fb, upstream: a.example.com}'],
    ['upstream', '{name: a, prefix: /a, upstream: "ftp://a.example.com"}'],
    ['upstream', '{name: a, prefix: /a, upstream: "https://u:p@a.example.com"}'],
    ['upstream', '{name: a, prefix: /a, upstream: "https://a.example.com/?q"}'],
    ['methods[0]', '{name: a, prefix: /a, upstream: a.example.com, methods: [TRACE]}'],
    ['cache.immutable[0]', '{name: a, prefix: /a, upstream: a.example.com, cache: {immutable: [releases]}}'],
    ['name', '{prefix: /a, upstream: a.example.com}'],
  ] as const) {
    test(`${what} is wrong in ${text}`, async () => {
      const problems = await problemsOf(`mirrors: [${text}]`);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', new RegExp(`^mirrors\\[0\\]\\.${what.replace(/[[\]]/g, '\\$&')}: `));
      assert.doesNotMatch(problems[0] ?? '', /u:p/);
    });
  }
});
