import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { callControl, controlSocketPath, OPERATIONS, type Operation } from '../../src/admin/index.ts';
import {
  type Client,
  isAllowed,
  type ModelToken,
  type Place,
  type Visibility,
  type World,
} from '../support/access-rules.ts';
import { Chances } from '../support/hostile.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { basic as basicOf, bearer } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type RawResponse, rawRequest } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Who sees what, against a model that is written from the words of docs/access.md: principals, rules, repositories and kinds of
// requests are drawn, after a client that may see everything has filled the cache. In between users are disabled, tokens
// revoked, and repositories opened and closed at their upstream.

const image = buildImage({ seed: 'access model' });
const layer = platformOf(image, 'amd64').layers[1] as Content;
const CREDENTIALS = { username: 'server', password: 'canary-password' };
const PASSWORD = 'correct horse';
/** Requests under one set of rules. */
const PER_WORLD = 200;

type Random = Chances;

const USERS = ['alice', 'bob', 'carol'];
const REPOSITORIES = ['acme/open', 'acme/closed', 'acme/hidden', 'acme/turns', 'team/tool'];
const PATTERNS = [
  '**',
  'ghcr.io/**',
  'ghcr.io/acme/*',
  'ghcr.io/acme/closed',
  'ghcr.io/acme/hidden',
  'ghcr.io/acme/turns',
  'quay.io/acme/open',
  'quay.io/**',
  '*/team/tool',
  '*/acme/o?en',
  'mirror:own/**',
  'mirror:site/**',
  'mirror:*/v2/**',
];
const ACTIONS = ['pull', 'catalog', 'proxy', 'status'] as const;

/** Draws requests and compares each answer with the model. @param options.cases how many requests */
export function accessModelSuite({ cases }: { readonly cases: number }): void {
  describe('a server with rules, compared with a model', () => {
    let upstream: ScriptedUpstream;
    let site: ScriptedUpstream;
    let mirror: Mirror;
    let places: Map<string, Place>;
    const tokens = new Map<string, ModelToken>();
    const disabled = new Set<string>();
    /** Texts of revoked tokens, and signed tokens of users who were disabled since. */
    const invalid: string[] = ['ent_0000000000000000000000000000000000000000000000000', 'no-token'];
    const signed = new Map<string, string>();

    const operate = <Input, Answer>(operation: Operation<Input, Answer, never>, input: object): Promise<Answer> =>
      callControl(controlSocketPath(mirror.dir), operation as unknown as Operation<object, Answer, never>, { input });

    const configOf = (rules: readonly object[], groups: World['groups'] = {}) => ({
      registries: {
        'ghcr.io': {
          upstreams: [{ url: upstream.url, credentials: CREDENTIALS, token_realms: [new URL(upstream.realm).host] }],
        },
        'quay.io': { upstreams: [site.url] },
      },
      mirrors: [
        { name: 'own', prefix: '/own', upstream: site.url, credentials: CREDENTIALS },
        { name: 'site', prefix: '/site', upstream: site.url },
      ],
      cache: { tags: { fresh_for: '0s' } },
      forward_proxy: { enabled: true, allowed_hosts: ['ghcr.io', 'quay.io'], ports: [80] },
      access: { rules, groups },
    });

    before(async () => {
      site = await startScriptedUpstream();
      upstream = await startScriptedUpstream({ personality: 'quay', credentials: CREDENTIALS, anonymous: true });
      for (const name of REPOSITORIES) for (const each of [upstream, site]) each.add(image, name, ['latest']);
      places = new Map(
        ['ghcr.io', 'quay.io'].flatMap((registry) =>
          REPOSITORIES.map((name) => [`${registry}/${name}`, { name: `${registry}/${name}`, visibility: 'public' }]),
        ),
      );
      for (const [name, visibility] of [
        ['mirror:own/v2/', 'refused'],
        ['mirror:site/v2/', 'public'],
      ] as const) {
        places.set(name, { name, visibility });
      }
      const everything = { who: ['warm'], may: ['pull', 'catalog', 'proxy'], on: ['**', 'mirror:*/**'] };
      mirror = await startMirror(configOf([everything]));
      for (const name of [...USERS, 'warm']) await operate(OPERATIONS.userAdd, { name, password: PASSWORD });
      for (const registry of ['ghcr.io', 'quay.io']) {
        for (const name of REPOSITORIES) {
          for (const path of pathsOf(registry, name)) {
            const { status } = await mirror.get(path, basic('warm'));
            assert.equal(status, 200, path);
          }
        }
      }
      setVisibility('acme/closed', 'refused');
      setVisibility('acme/hidden', 'absent');
    });
    after(async () => {
      await mirror.stop();
      await Promise.all([upstream.stop(), site.stop()]);
    });

    function setVisibility(repository: string, visibility: Visibility): void {
      upstream.setVisibility(repository, visibility);
      const place = places.get(`ghcr.io/${repository}`);
      assert.ok(place !== undefined);
      place.visibility = visibility;
    }

    async function drawToken(random: Random): Promise<void> {
      const name = `t${random.below(4)}`;
      const known = tokens.get(name);
      if (known !== undefined) {
        await operate(OPERATIONS.tokenRevoke, { name });
        tokens.delete(name);
        invalid.push(known.text);
        return;
      }
      const owner = random.below(2) === 0 ? undefined : random.of(USERS);
      if (owner !== undefined && disabled.has(owner)) return;
      const may = ACTIONS.filter(() => random.below(3) > 0);
      if (may.length === 0) may.push('pull');
      const concernsRepositories = may.some((action) => action === 'pull' || action === 'catalog');
      const isNarrow = concernsRepositories && random.below(2) === 0;
      const on = isNarrow ? PATTERNS.filter(() => random.below(4) === 0) : [];
      const given = { name, may, on, ...(owner === undefined ? {} : { owner }) };
      const { token: text } = await operate(OPERATIONS.tokenCreate, given);
      tokens.set(name, { name, text, owner, may, on });
    }

    /** Changes something between two requests. */
    async function drawEvent(random: Random): Promise<void> {
      const kind = random.below(3);
      if (kind === 0) return drawToken(random);
      if (kind === 1) {
        return setVisibility('acme/turns', random.of(['public', 'refused', 'absent'] as const));
      }
      const name = random.of(USERS);
      const isDisabled = disabled.has(name);
      if (!isDisabled) await credentialOf({ kind: 'user', name }, 1);
      await operate(isDisabled ? OPERATIONS.userEnable : OPERATIONS.userDisable, { name });
      if (isDisabled) disabled.delete(name);
      else disabled.add(name);
    }

    function drawRules(random: Random): Pick<World, 'rules' | 'groups'> {
      const who = [...USERS, '@team', '@robots', 'token:t0', 'token:t1', 'anonymous', 'anonymous'];
      const rules = Array.from({ length: 1 + random.below(5) }, () => {
        const drawn = ACTIONS.filter(() => random.below(2) === 0);
        const may = drawn.length === 0 ? (['pull'] as const) : drawn;
        const on = PATTERNS.filter(() => random.below(4) === 0);
        // Patterns beside actions that concern no repository alone are refused.
        const concernsRepositories = may.some((action) => action === 'pull' || action === 'catalog');
        return {
          who: [random.of(who), ...(random.below(3) === 0 ? [random.of(who)] : [])],
          may,
          on: concernsRepositories ? (on.length === 0 ? [random.of(PATTERNS)] : on) : [],
          private: random.below(3) === 0,
        };
      });
      return { rules, groups: { team: ['alice', 'token:t2'], robots: ['token:t0', 'token:t3', 'bob'] } };
    }

    function drawClient(random: Random): Client {
      const kind = random.below(10);
      if (kind < 3) return { kind: 'anonymous' };
      if (kind < 6) return { kind: 'user', name: random.of(USERS) };
      if (kind === 9) return { kind: 'invalid' };
      const token = random.of([...tokens.values(), undefined]);
      return token === undefined ? { kind: 'anonymous' } : { kind: 'token', token };
    }

    /** The headers by which a client shows itself, in one of several ways; undefined where it shows nothing. */
    async function credentialOf(client: Client, way: number): Promise<Record<string, string> | undefined> {
      if (client.kind === 'invalid') {
        const text = invalid[way % invalid.length] ?? '';
        return way % 2 === 0 ? bearer(text) : basic('robot', text);
      }
      if (client.kind === 'anonymous' && way % 2 === 0) return undefined;
      if (client.kind === 'user' && way % 2 === 0) return basic(client.name);
      if (client.kind === 'token' && way % 3 === 0) return basic(client.token.name, client.token.text);
      if (client.kind === 'token' && way % 3 === 1) return bearer(client.token.text);
      // A signed token, which may be older than a change that makes it invalid.
      const { key, shown } = signedKeyOf(client);
      const known = signed.get(key);
      if (known !== undefined) return bearer(known);
      const { status, body } = await mirror.get('/token', shown);
      if (status !== 200) return shown;
      const { token } = JSON.parse(body.toString()) as { token: string };
      signed.set(key, token);
      return bearer(token);
    }

    /** The client as the model sees it: a disabled user, and a token of such a user, are refused like a wrong password. */
    function effective(client: Client): Client {
      const owner = client.kind === 'user' ? client.name : client.kind === 'token' ? client.token.owner : undefined;
      return owner !== undefined && disabled.has(owner) ? { kind: 'invalid' } : client;
    }

    for (let at = 0; at * PER_WORLD < cases; at += 1) {
      test(`requests ${at * PER_WORLD + 1} to ${Math.min(cases, (at + 1) * PER_WORLD)}`, async () => {
        const random = new Chances(at);
        const { rules, groups } = drawRules(random);
        const { outcome, problems } = await mirror.reload(configOf(rules, groups));
        assert.notEqual(outcome, 'refused', problems.join('\n'));
        const world = { rules, groups, disabled };
        for (let n = 0; n < PER_WORLD; n += 1) {
          if (random.below(20) === 0) await drawEvent(random);
          const client = drawClient(random);
          const way = random.below(12);
          const shown = await credentialOf(client, way);
          await compare({ world, client: effective(client), shown, random });
        }
      });
    }

    interface Compared {
      readonly world: World;
      readonly client: Client;
      readonly shown: Record<string, string> | undefined;
      readonly random: Random;
    }

    async function compare({ world, client, shown, random }: Compared): Promise<void> {
      const kind = random.below(10);
      const describe = (path: string): string =>
        `${path} as ${JSON.stringify(client)} with ${JSON.stringify(shown)} under ${JSON.stringify(world.rules)}; turns is ${places.get('ghcr.io/acme/turns')?.visibility}`;
      if (kind === 0) {
        const registry = random.of(['ghcr.io', 'quay.io']);
        const path = `/v2/${registry}/_catalog`;
        return compareCatalogue(await mirror.get(path, shown), { registry, world, client, text: describe(path) });
      }
      if (kind === 1) {
        const route = random.of(['own', 'site']);
        const path = `/${route}/v2/`;
        const place = places.get(`mirror:${route}${path.slice(route.length + 1)}`);
        const isAllowedHere = isAllowed(world, client, 'pull', place);
        return check(await mirror.get(path, shown), { isAllowed: isAllowedHere, client, text: describe(path) });
      }
      const registry = random.of(['ghcr.io', 'ghcr.io', 'quay.io']);
      const name = random.of(REPOSITORIES);
      const place = places.get(`${registry}/${name}`);
      const path = random.of(pathsOf(registry, name));
      const mayPull = isAllowed(world, client, 'pull', place);
      if (kind === 2) {
        const inside = path.replace(`/v2/${registry}/`, '/v2/');
        const headers = { host: registry, ...(shown && { 'proxy-authorization': shown['authorization'] ?? '' }) };
        const response = await rawRequest(mirror.host, { path: `http://${registry}${inside}`, headers });
        return checkProxied(response, {
          mayProxy: isAllowed(world, client, 'proxy', undefined),
          mayPull,
          shown,
          client,
          text: describe(`proxy ${path}`),
        });
      }
      const isHead = random.below(4) === 0;
      const more: Record<string, string> = random.below(4) === 0 ? { range: 'bytes=0-9' } : {};
      const spelled = random.below(4) === 0 ? `${path.replace(`/v2/${registry}/`, '/v2/')}?ns=${registry}` : path;
      const response = await mirror[isHead ? 'head' : 'get'](spelled, { ...shown, ...more });
      check(response, { isAllowed: mayPull, client, text: describe(`${isHead ? 'HEAD' : 'GET'} ${spelled}`) });
    }

    function compareCatalogue(
      response: RawResponse,
      { registry, world, client, text }: { registry: string; world: World; client: Client; text: string },
    ): void {
      const shown = REPOSITORIES.filter((name) =>
        isAllowed(world, client, 'catalog', places.get(`${registry}/${name}`)),
      );
      if (response.status !== 200) {
        assert.deepEqual(
          [response.status, shown],
          [client.kind === 'user' || client.kind === 'token' ? 403 : 401, []],
          text,
        );
        return;
      }
      const { repositories } = JSON.parse(response.body.toString()) as { repositories: string[] };
      // What an upstream has closed is closed here at the next question, and the catalogue asks none.
      const wasOpen = (name: string): boolean => {
        const place = places.get(`${registry}/${name}`);
        const isTurning = name === 'acme/turns' && registry === 'ghcr.io' && place !== undefined;
        return isTurning && isAllowed(world, client, 'catalog', { ...place, visibility: 'public' });
      };
      assert.deepEqual(
        repositories.filter((name) => !shown.includes(name) && !wasOpen(name)),
        [],
        `a leak: ${text}`,
      );
      // One that is public is named once it has been found to be.
      const certain = shown.filter((name) => {
        const place = places.get(`${registry}/${name}`);
        return place !== undefined && isAllowed(world, client, 'catalog', { ...place, visibility: 'refused' });
      });
      assert.deepEqual(
        certain.filter((name) => !repositories.includes(name)),
        [],
        `a wrong refusal: ${text}`,
      );
    }
  });
}

interface Expected {
  readonly isAllowed: boolean;
  readonly client: Client;
  readonly text: string;
}

function check({ status, body }: RawResponse, { isAllowed, client, text }: Expected): void {
  const isShown = status < 400 || status === 416;
  if (isShown && !isAllowed) assert.fail(`a leak: ${status} for ${text}`);
  if (!isAllowed) {
    assert.equal(status, client.kind === 'user' || client.kind === 'token' ? 403 : 401, text);
    return;
  }
  assert.ok(isShown, `a wrong refusal: ${status} ${body.toString().slice(0, 200)} for ${text}`);
}

function checkProxied(
  response: RawResponse,
  {
    mayProxy,
    mayPull,
    shown,
    client,
    text,
  }: Omit<Expected, 'isAllowed'> & {
    readonly mayProxy: boolean;
    readonly mayPull: boolean;
    readonly shown: Record<string, string> | undefined;
  },
): void {
  const { status } = response;
  // Tokens are signed for a host, and a proxy is none: it takes passwords.
  const isSigned = shown?.['authorization']?.startsWith('Bearer ey') === true;
  if (client.kind === 'invalid' || isSigned) return assert.equal(status, 407, text);
  if (!mayProxy) return assert.equal(status, shown === undefined || client.kind === 'anonymous' ? 407 : 403, text);
  if (!mayPull) return assert.equal(status, 403, text);
  assert.ok(status < 400, `a wrong refusal: ${status} for ${text}`);
}

/** Everything of a repository that a client can read. */
function pathsOf(registry: string, repository: string): readonly string[] {
  const base = `/v2/${registry}/${repository}`;
  return [
    `${base}/manifests/latest`,
    `${base}/manifests/${image.index.digest}`,
    `${base}/blobs/${layer.digest}`,
    `${base}/tags/list`,
    `${base}/referrers/${image.index.digest}`,
  ];
}

function signedKeyOf(client: Client): { readonly key: string; readonly shown: Record<string, string> } {
  if (client.kind === 'user') return { key: client.name, shown: basic(client.name) };
  if (client.kind === 'token') return { key: client.token.text, shown: basic('robot', client.token.text) };
  return { key: '', shown: {} };
}

function basic(name: string, password = PASSWORD): Record<string, string> {
  return basicOf(name, password);
}
