import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import type { RegistrySpec, UpstreamSpec } from '../oci/index.ts';
import { createHelpDescription, describeHelp, type HelpOptions, type HelpRequest } from './help.ts';

function upstream(url: string): UpstreamSpec {
  const credentials = { username: 'robot', password: 'c4nary' };
  return upstreamSpec({ url, credentials, headers: { authorization: 'c4nary' } });
}

function registry(name: string, options: Partial<RegistrySpec> = {}): RegistrySpec {
  const upstreams = [upstream(name.includes('.') ? `https://${name}` : 'https://registry.example.com')];
  return { name, hosts: [], aliases: [], pathNames: [], library: false, delivery: 'stream', upstreams, ...options };
}

const hub = registry('docker.io', { aliases: ['docker'], library: true });
const ghcr = registry('ghcr.io', { aliases: ['ghcr'] });
const apps = registry('apps', {
  pathNames: ['apps'],
  delivery: 'redirect',
  upstreams: [upstream('https://u:c4nary@apps.example/?sig=c4nary')],
});

function optionsFor(domainSuffix?: string, publicUrls: readonly string[] = []): HelpOptions {
  return { catalogue: { default: hub, domainSuffix, list: () => [ghcr, apps, hub] }, publicUrls, version: '1.2.3' };
}

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

function ask(request: Partial<HelpRequest>, options = optionsFor()) {
  return describeHelp(options, { host: 'mirror.example.com:5000', accept: undefined, ...request });
}

describe('describeHelp: who gets what', () => {
  const rows: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['application/json', 'application/json'],
    [BROWSER, 'text/html; charset=utf-8'],
  ];
  for (const [accept, contentType] of rows) {
    test(`${accept ?? 'no Accept'}: ${contentType}`, () => assert.equal(ask({ accept }).contentType, contentType));
  }
});

describe('describeHelp: JSON', () => {
  const help = JSON.parse(ask({}, optionsFor('mirror.example.com')).body);

  test('says what the server is, and the default registry', () => {
    const { name, version, url, host, default: byDefault, domain_suffix } = help;
    assert.deepEqual(
      { name, version, url, host, byDefault, domain_suffix },
      {
        name: 'entrepot',
        version: '1.2.3',
        url: 'http://mirror.example.com:5000',
        host: 'mirror.example.com:5000',
        byDefault: 'docker.io',
        domain_suffix: 'mirror.example.com',
      },
    );
  });

  test('names each registry in every way it has, the default first', () => {
    assert.deepEqual(Object.keys(help.registries), ['docker.io', 'ghcr.io', 'apps']);
    assert.deepEqual(help.registries['docker.io'], {
      aliases: ['docker'],
      upstreams: ['https://docker.io'],
      delivery: 'stream',
      examples: {
        bare: 'mirror.example.com:5000/alpine',
        path: 'mirror.example.com:5000/docker.io/alpine',
        prefix: 'http://mirror.example.com:5000/docker/v2/',
        ns: 'http://mirror.example.com:5000/v2/library/alpine/manifests/TAG?ns=docker.io',
        host_name: 'docker.mirror.example.com:5000/alpine',
      },
    });
    assert.equal(help.registries.apps.examples.path, 'mirror.example.com:5000/apps/OWNER/IMAGE');
    assert.equal(help.registries.apps.examples.prefix, undefined);
  });

  test('a dotless name the operator did not write is not shown as a path', () => {
    const quiet = registry('quiet', { aliases: ['q'] });
    const options = { ...optionsFor(), catalogue: { default: hub, domainSuffix: undefined, list: () => [quiet] } };
    assert.deepEqual(
      Object.keys(createHelpDescription(options, { host: 'a', accept: undefined }).registries[0]?.examples ?? {}),
      ['prefix', 'ns'],
    );
  });

  test('has a snippet for each client', () => {
    assert.deepEqual(Object.keys(help.clients), [
      'docker pull',
      'docker daemon',
      'containerd',
      'kubernetes nodes',
      'k3s',
      'CRI-O',
      'podman',
      'buildkit',
      'skopeo',
    ]);
    assert.deepEqual(JSON.parse(help.clients['docker daemon'].text), {
      'registry-mirrors': ['http://mirror.example.com:5000'],
      'insecure-registries': ['mirror.example.com:5000'],
    });
    assert.match(help.clients.containerd.text, /^\[host\."http:\/\/mirror\.example\.com:5000"\]\n {2}capabilities/);
    assert.match(help.clients.podman.text, /location = "mirror\.example\.com:5000\/ghcr\.io"\ninsecure = true/);
  });
});

describe('describeHelp: the host it was asked under', () => {
  const rows: readonly (readonly [
    string,
    string | undefined,
    string | readonly string[] | undefined,
    boolean,
    string,
  ])[] = [
    ['mirror.example.com', undefined, undefined, false, 'http://mirror.example.com'],
    ['mirror.example.com', undefined, undefined, true, 'https://mirror.example.com'],
    ['MIRROR.example.com', undefined, 'https://mirror.example.com', false, 'https://mirror.example.com'],
    ['10.0.0.5:5000', undefined, undefined, false, 'http://10.0.0.5:5000'],
    ['10.0.0.5:5000', undefined, 'https://mirror.example.com', false, 'https://mirror.example.com'],
    ['evil.example.com', undefined, 'https://mirror.example.com', false, 'https://mirror.example.com'],
    ['localhost:5000', undefined, 'https://mirror.example.com', false, 'http://localhost:5000'],
    ['b.example:5000', undefined, ['https://a.example', 'http://b.example:5000'], true, 'http://b.example:5000'],
    ['c.example', undefined, ['https://a.example', 'http://b.example:5000'], true, 'https://a.example'],
    ['[::1]:5000', undefined, undefined, false, 'http://[::1]:5000'],
    ['ghcr.mirror.example.com:8080', 'mirror.example.com', undefined, false, 'http://mirror.example.com:8080'],
    [
      'ghcr.mirror.example.com',
      'mirror.example.com',
      'https://mirror.example.com',
      false,
      'https://mirror.example.com',
    ],
    ['"><script>', undefined, undefined, false, 'http://localhost'],
    ['a;rm -rf /', undefined, 'https://mirror.example.com', false, 'https://mirror.example.com'],
    ['x$(id)', undefined, undefined, false, 'http://localhost'],
    ['', undefined, undefined, false, 'http://localhost'],
    ['a:99999', undefined, undefined, false, 'http://localhost'],
    ['1.2.3.999', undefined, undefined, false, 'http://localhost'],
    ['[1::2::3]:80', 'mirror.example.com', 'https://m.example.com', false, 'https://m.example.com'],
  ];
  for (const [host, suffix, publicUrl, secure, url] of rows) {
    test(`${host} (public URL ${String(publicUrl ?? 'none')}): ${url}`, () => {
      const description = createHelpDescription(optionsFor(suffix, [publicUrl ?? []].flat()), {
        host,
        accept: undefined,
        secure,
      });
      assert.equal(description.url, url);
      assert.equal(description.host, new URL(url).host);
    });
  }

  test('docker needs no exception on loopback or with TLS', () => {
    for (const host of ['127.0.0.1:5000', 'localhost:5000', '[::1]:5000'])
      assert.doesNotMatch(ask({ host }).body, /insecure-registries/);
    assert.doesNotMatch(ask({ secure: true }).body, /insecure-registries|tls-verify|insecure = true/);
    assert.match(ask({}).body, /insecure-registries/);
  });
});

describe('describeHelp: the page', () => {
  test('is one whole document that loads nothing, and runs its own script only', () => {
    const { body, headers } = ask({ accept: BROWSER }, optionsFor('mirror.example.com'));
    assert.match(body, /^<!doctype html>\n<html lang="en">/);
    assert.doesNotMatch(body, /<link|<img|src=|@import|url\(|style=|\son[a-z]+=/i);
    const policy = headers?.['content-security-policy'] ?? '';
    assert.match(policy, /^default-src 'none'; /);
    for (const element of ['style', 'script']) {
      const found = [...body.matchAll(new RegExp(`<${element}>([^]*?)</${element}>`, 'g'))];
      assert.equal(found.length, 1);
      const hash = createHash('sha256')
        .update(found[0]?.[1] ?? '')
        .digest('base64');
      assert.ok(policy.includes(`; ${element}-src 'sha256-${hash}';`), policy);
    }
    assert.match(body, /prefers-color-scheme: dark/);
    for (const shown of [
      'mirror.example.com:5000/ghcr.io/OWNER/IMAGE',
      'ghcr.mirror.example.com:5000/OWNER/IMAGE',
      'daemon.json',
      'hosts.toml',
      'config_path',
      '/etc/rancher/k3s/registries.yaml',
      'buildkitd.toml',
      'kind: DaemonSet',
      'systemctl reload crio',
    ])
      assert.ok(body.includes(shown), `missing: ${shown}`);
    assert.equal(
      body.match(/<(table|section|pre|tr|td|div|p|nav)[ >]/g)?.length,
      body.match(/<\/(table|section|pre|tr|td|div|p|nav)>/g)?.length,
    );
  });

  for (const [request, language] of [
    [{}, 'en'],
    [{ acceptLanguage: 'zh-CN,zh;q=0.9,en;q=0.8' }, 'zh-CN'],
    [{ acceptLanguage: 'zh', query: 'lang=en' }, 'en'],
    [{ query: 'lang=zh' }, 'zh-CN'],
  ] as const) {
    test(`speaks ${language} to ${JSON.stringify(request)}`, () => {
      const { body, headers } = ask({ accept: BROWSER, ...request });
      assert.ok(body.includes(`<html lang="${language}">`));
      assert.equal(headers?.['content-language'], language);
      assert.equal(headers?.['vary'], 'accept, accept-language');
      assert.equal(/\p{Script=Han}/u.test(body.replace('中文', '')), language === 'zh-CN');
    });
  }

  test('has the same snippets and anchors in both languages', () => {
    const [english, chinese] = ['en', 'zh'].map((language) => {
      const { body } = ask({ accept: BROWSER, query: `lang=${language}` }, optionsFor('mirror.example.com'));
      return body.match(/<pre[^]*?<\/pre>| id="[^"]*"| href="#[^"]*"/g);
    });
    assert.ok((english?.length ?? 0) > 40, `${english?.length} parts`);
    assert.deepEqual(chinese, english);
  });

  test('says how to log in where rules decide, and shows no upstream then', () => {
    const page = ask({ accept: BROWSER }, { ...optionsFor(), hasRules: true }).body;
    assert.match(page, /Rules decide who may pull what\..*\n.*docker login mirror\.example\.com:5000/);
    assert.doesNotMatch(page, /https:\/\/ghcr\.io/);
    const chinese = { accept: BROWSER, query: 'lang=zh' };
    assert.match(ask(chinese, { ...optionsFor(), hasRules: true }).body, /由规则决定.*\n.*docker login/);
    assert.doesNotMatch(ask({ accept: BROWSER }).body, /Rules decide|docker login/);
  });

  test('says that an address of this machine serves no other', () => {
    const page = (host: string) => ask({ accept: BROWSER, host }).body;
    for (const host of ['127.0.0.1:5000', 'localhost:5000', '[::1]:5000'])
      assert.match(page(host), /of this machine alone/);
    assert.doesNotMatch(page('mirror.example.com'), /of this machine alone/);
  });

  test('stays small', () => {
    const forward = { credential: true, mitm: true };
    for (const query of ['lang=en', 'lang=zh']) {
      const { body } = ask({ accept: BROWSER, query }, { ...optionsFor('mirror.example.com'), forward });
      assert.ok(Buffer.byteLength(body) < 60_000, `${Buffer.byteLength(body)} bytes`);
    }
  });

  test('escapes whatever the configuration holds', () => {
    const nasty = registry('<b>&"\'', { aliases: ['<i>'], upstreams: [] });
    const options = {
      ...optionsFor(),
      version: '<u>',
      catalogue: { default: nasty, domainSuffix: undefined, list: () => [nasty] },
    };
    const { body } = ask({ accept: BROWSER }, options);
    assert.doesNotMatch(body, /<b>|<i>|<u>/);
    assert.ok(body.includes('&lt;b&gt;&amp;&quot;&#39;'));
  });

  test('no credential is shown, in either form', () => {
    for (const accept of [BROWSER, undefined]) assert.doesNotMatch(ask({ accept }).body, /c4nary|robot/);
    assert.match(ask({}).body, /https:\/\/apps\.example\//);
  });
});
