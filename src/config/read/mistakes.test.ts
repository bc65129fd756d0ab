import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, formatProblem } from '../problems.ts';
import { loadConfig } from './load.ts';

// Plausible mistakes, each with the whole message: the place, the key, what was found and expected, and the remedy.

async function problemsOf(text: string): Promise<readonly string[]> {
  try {
    await loadConfig({ cwd: '/srv', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text }, checkReferences: false });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(formatProblem);
  }
}

function check(rows: readonly (readonly [text: string, ...problems: string[]])[]): void {
  for (const [text, ...problems] of rows) {
    test(JSON.stringify(text), async () => {
      const found = await problemsOf(text);
      assert.deepEqual(
        found,
        problems.map((problem) => `ENTREPOT_CONFIG:${problem}`),
      );
      assert.doesNotMatch(found.join(), /hush/);
    });
  }
}

describe('the YAML itself is explained', () => {
  const rows: readonly (readonly [text: string, ...problems: string[]])[] = [
    [
      'log:\n  access: on: off',
      '2:11  cannot be read as YAML: found a second ": " where a value ends: a text that holds ": " needs quotes, and the keys of one map begin in one column',
    ],
    ['listen:\n\t- :5000', '2:1  cannot be read as YAML: found a tab, expected spaces: YAML is not indented with tabs'],
    ['\tlisten: :5000', '1:1  cannot be read as YAML: found a tab, expected spaces: YAML is not indented with tabs'],
    [
      'cache:\n dir: /x\n  max_size: 5GB',
      '2:7  cannot be read as YAML: found a second ": " where a value ends: a text that holds ": " needs quotes, and the keys of one map begin in one column',
    ],
    [
      'listen: ":5000\ncache: off',
      '2:11  cannot be read as YAML: a character is missing here: a closing quote or bracket, a comma, or a space after ":"',
    ],
    [
      'listen: :5000\ncache: {dir: /x',
      '2:16  cannot be read as YAML: the indentation is wrong (the keys of one map begin in one column), or a bracket is not closed',
    ],
    [
      '{"listen": ":5000" "cache": "off"}',
      '1:20  cannot be read as YAML: found something that cannot stand here; a text with special characters needs quotes',
      '1:12  cannot be read as YAML: the syntax is wrong here',
    ],
    ['cache: {dir: @x}', '1:14  cannot be read as YAML: a text that begins with @, ` or % needs quotes'],
    ['cache: {dir: `x`}', '1:14  cannot be read as YAML: a text that begins with @, ` or % needs quotes'],
    ['---\nlisten: :1\n---\nlisten: :2', '3:1  cannot be read as YAML: found a second document (---), expected one'],
    [
      'cache: *nope',
      '1:8  cannot be read as YAML: found an alias (*name) whose anchor (&name) does not come before it; a text that begins with * needs quotes',
    ],
    ['cache:\n  <<: [1]', '2:3  found "<<" without a map, expected an alias of one (*name)'],
    [
      'cache: !off x',
      '1:1  found a tag (!name) that means nothing here, expected the value itself; a secret is {env: NAME} or {file: PATH}',
    ],
    [
      'listen: :1\nlisten: :2',
      '2:1  listen: cannot be read as YAML: the same map has this key already; join the two, or remove one',
    ],
    [
      'registries:\n  ghcr.io:\n  ghcr.io: {}',
      '3:3  registries["ghcr.io"]: cannot be read as YAML: the same map has this key already; join the two, or remove one',
    ],
    ['? {listen: a}\n', '1:3  found a list or a map before the ":", expected the name of an option'],
    ['? [listen]\n: a', '1:3  found a list or a map before the ":", expected the name of an option'],
    [
      'cache:\n  dir: /a\n  dir: /b',
      '3:3  cache.dir: cannot be read as YAML: the same map has this key already; join the two, or remove one',
    ],
    ['listen=:5000', '1:1  found a single value, expected a map of options such as listen and cache'],
    ['- listen: :5000', '1:1  found a list, expected a map of options such as listen and cache'],
    ['listen: :5000\r\ncache:\r\n  dirr: /x\r\n', '3:3  cache.dirr: unknown option; did you mean "dir"?'],
    [
      '\ufefflisten: nowhere',
      '1:2  listen: found "nowhere", expected an address such as 127.0.0.1:5000, [::1]:5000, :5000 (every address) or unix:/run/entrepot.sock',
    ],
  ];
  check(rows);
});

describe('the wrong type is explained', () => {
  const rows: readonly (readonly [text: string, ...problems: string[]])[] = [
    ['log: on', '1:1  log: found "on", expected a map of level, format, access'],
    ['log: {access: on}', '1:7  log.access: found "on", expected true or false; did you mean true?'],
    ['log: {access: "true"}', '1:7  log.access: found "true", expected true or false; did you mean true?'],
    [
      'cache: true',
      '1:1  cache: found true, expected off, or a map such as {dir: ./data, max_size: 50GB}; it is on without this line',
    ],
    ['cache: ""', '1:1  cache: found "", expected off, or a map such as {dir: ./data, max_size: 50GB}'],
    ['cache: [off]', '1:1  cache: found a list, expected off, or a map such as {dir: ./data, max_size: 50GB}'],
    [
      'timeouts: 30s',
      '1:1  timeouts: found "30s", expected a map of read_header_timeout, read_timeout, write_timeout, idle_timeout, drain_delay, shutdown_timeout, client_stall_timeout, max_header_bytes',
    ],
    [
      'forward_proxy: true',
      '1:1  forward_proxy: found true, expected a map of enabled, listen, allowed_hosts, presets, ports, allow_private, user, password, anonymous, max_tunnels, idle_timeout, mitm',
    ],
    [
      'registries: [docker.io]',
      '1:1  registries: found a list, expected a map of registry names, each with nothing or {aliases, upstreams, delivery, library, hosted}; a map has "name:" in each line, and no "- "',
    ],
    [
      'registries: docker.io',
      '1:1  registries: found "docker.io", expected a map of registry names, each with nothing or {aliases, upstreams, delivery, library, hosted}',
    ],
    [
      'registries: {docker.io: https://x}',
      '1:14  registries["docker.io"]: found "https://x", expected a map of aliases, upstreams, strategy, delivery, library, transfer, hosted, push, immutable_tags, quota, sparse, keep_untagged; an address belongs under upstreams: {upstreams: [URL]}',
    ],
    [
      'registries: {docker.io: {upstreams: https://x}}',
      '1:26  registries["docker.io"].upstreams: found "https://x", expected a list, each item an http:// or https:// address such as https://ghcr.io, or a map with a `url`; a list is written [a, b], or with "- " before each item',
    ],
    [
      'registries: {docker.io: {upstreams: {url: "https://x"}}}',
      '1:26  registries["docker.io"].upstreams: found a map, expected a list, each item an http:// or https:// address such as https://ghcr.io, or a map with a `url`; a list has "- " before each item',
    ],
    [
      'mirrors: {a: {prefix: /a, upstream: a}}',
      '1:1  mirrors: found a map, expected a list of {name, prefix, upstream}; a list has "- " before each item',
    ],
    [
      'trusted_proxies: 10.0.0.1',
      '1:1  trusted_proxies: found "10.0.0.1", expected a list, each item an IP address, a block of them such as 10.0.0.0/8, or unix; a list is written [a, b], or with "- " before each item',
    ],
    [
      'cache: {pin: nginx}',
      '1:9  cache.pin: found "nginx", expected a list, each item a pattern such as docker.io/library/*:latest; a list is written [a, b], or with "- " before each item',
    ],
    [
      'cache: {pin: [1.27]}',
      '1:15  cache.pin[0]: found 1.27, expected a pattern such as docker.io/library/*:latest; a text that looks like a number needs quotes',
    ],
    [
      'cache: {platforms: linux/amd64}',
      '1:9  cache.platforms: found "linux/amd64", expected a list, each item a platform such as linux/amd64 or linux/arm/v7; a list is written [a, b], or with "- " before each item',
    ],
    [
      'limits: {max_inflight: "100"}',
      '1:10  limits.max_inflight: found "100", expected a whole number from 0 to 1000000; did you mean 100, without quotes or separators?',
    ],
    [
      'limits: {max_inflight: 1_000}',
      '1:10  limits.max_inflight: found "1_000", expected a whole number from 0 to 1000000; did you mean 1000, without quotes or separators?',
    ],
    [
      'domain_suffix: 12',
      '1:1  domain_suffix: found 12, expected a domain name without scheme or port, such as mirror.example.com; a text that looks like a number needs quotes',
    ],
    [
      'default_registry: [docker.io]',
      '1:1  default_registry: found a list, expected the name of a registry such as docker.io or apps, or its URL such as https://registry-1.docker.io',
    ],
    [
      'transport: {dns: {servers: "https://dns.google/dns-query"}}',
      '1:19  transport.dns.servers: found "https://dns.google/dns-query", expected a list, each item https://host/path for DNS over HTTPS, or tls://host[:port][#name] for DNS over TLS, such as tls://1.1.1.1:853#cloudflare-dns.com; a list is written [a, b], or with "- " before each item',
    ],
    [
      'transport: {dns: 8.8.8.8}',
      '1:13  transport.dns: found "8.8.8.8", expected a map of servers, bootstrap, fallback, hosts',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", credentials: "me:hush"}]}}',
      '1:51  registries["a.b"].upstreams[0].credentials: found "***", expected {username, password} or {helper}, or a list of such',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", credentials: {username: me, password: 12345}}]}}',
      '1:79  registries["a.b"].upstreams[0].credentials.password: found a number, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", credentials: {username: "", password: "  "}}]}}',
      '1:65  registries["a.b"].upstreams[0].credentials.username: the username is empty, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}; or remove credentials, for anonymous requests',
      '1:79  registries["a.b"].upstreams[0].credentials.password: the password is only white space, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}; or remove credentials, for anonymous requests',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", credentials: {username: , password: hush}}]}}',
      '1:65  registries["a.b"].upstreams[0].credentials.username: missing, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", credentials: {username: me}}]}}',
      '1:51  registries["a.b"].upstreams[0].credentials.password: missing, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", credentials: ""}]}}',
      '1:51  registries["a.b"].upstreams[0].credentials: found an empty text, expected {username, password} or {helper}, or a list of such',
    ],
    [
      'forward_proxy: {enabled: true, user: me, password: ""}',
      '1:42  forward_proxy.password: the password is empty, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", token_realms: ["https://y/token"]}]}}',
      '1:66  registries["a.b"].upstreams[0].token_realms[0]: found "https://y/token", expected a host name such as auth.example.com, *.example.com for all below it, or http://auth.example.com for a host that is asked unencrypted',
    ],
  ];
  check(rows);
});

describe('the wrong place is explained', () => {
  const rows: readonly (readonly [text: string, ...problems: string[]])[] = [
    ['cache:\ndir: /x', '2:1  dir: unknown option; "dir" belongs under cache'],
    ['max_size: 5GB', '1:1  max_size: unknown option; "max_size" belongs under cache'],
    [
      'registries: {docker.io: {url: "https://x"}}',
      '1:26  registries["docker.io"].url: unknown option; "url" belongs under registries.<name>.upstreams[]',
    ],
    [
      'registries: {docker.io: {credentials: {username: me, password: hush}}}',
      '1:26  registries["docker.io"].credentials: unknown option; "credentials" belongs under registries.<name>.upstreams[]',
    ],
    ['cache: {fresh_for: 10m}', '1:9  cache.fresh_for: unknown option; "fresh_for" belongs under cache.tags'],
    [
      'transport: {upstreams: []}',
      '1:13  transport.upstreams: unknown option; "upstreams" belongs under registries.<name>',
    ],
    ['cache: {tag: {fresh_for: 1h}}', '1:9  cache.tag: unknown option; did you mean "tags"?'],
  ];
  check(rows);
});

describe('the wrong unit or value is explained', () => {
  const rows: readonly (readonly [text: string, ...problems: string[]])[] = [
    [
      'cache: {max_size: 50}',
      '1:9  cache.max_size: found 50, expected an amount of bytes from 1: a number with its unit, such as 50GB or 512MiB; 50 alone is 50 bytes; did you mean 50GB? (bytes are written 50B)',
    ],
    [
      'cache: {max_size: 50G}',
      '1:9  cache.max_size: found "50G", expected an amount of bytes from 1: a number with its unit, such as 50GB or 512MiB; write 50GB (powers of 1000) or 50GiB (powers of 1024)',
    ],
    [
      'timeouts: {idle_timeout: 30}',
      '1:12  timeouts.idle_timeout: found 30, expected a length of time above 0 and below 24d with its unit, such as 500ms, 30s or 10m; did you mean 30s?',
    ],
    [
      'timeouts: {idle_timeout: 1h 30m}',
      '1:12  timeouts.idle_timeout: found "1h 30m", expected a length of time above 0 and below 24d with its unit, such as 500ms, 30s or 10m; did you mean 1h30m?',
    ],
    [
      'timeouts: {idle_timeout: -5s}',
      '1:12  timeouts.idle_timeout: found "-5s", expected a length of time above 0 and below 24d with its unit, such as 500ms, 30s or 10m',
    ],
    [
      'cache: {min_free: 110%}',
      '1:9  cache.min_free: found "110%", expected an amount of bytes such as 5GB, or a share of the disk below 100% such as 5%',
    ],
    [
      'log: {level: DEBUG}',
      '1:7  log.level: found "DEBUG", expected debug or info or warn or error; did you mean debug?',
    ],
    [
      'log: {level: warning}',
      '1:7  log.level: found "warning", expected debug or info or warn or error; did you mean warn?',
    ],
    ['log: {format: text}', '1:7  log.format: found "text", expected auto or json or console; did you mean console?'],
    ['limits: {overload_status: 500}', '1:10  limits.overload_status: found 500, expected 429 or 503'],
    ['limits: {max_inflight: -1}', '1:10  limits.max_inflight: found -1, expected a whole number from 0 to 1000000'],
    [
      'listen: 1:30',
      '1:1  listen: found "1:30", expected an address such as 127.0.0.1:5000, [::1]:5000, :5000 (every address) or unix:/run/entrepot.sock',
    ],
    [
      'listen: 070000',
      '1:1  listen: found 70000, expected an address such as 127.0.0.1:5000, [::1]:5000, :5000 (every address) or unix:/run/entrepot.sock',
    ],
    [
      'listen: ""',
      '1:1  listen: found "", expected an address such as 127.0.0.1:5000, [::1]:5000, :5000 (every address) or unix:/run/entrepot.sock',
    ],
    ['listen: [":1", ":1"]', '1:16  listen[1]: found :1 a second time, expected each address once'],
    [
      'cache: {dir: C:\\data}',
      '1:9  cache.dir: found "C:\\\\data", expected the path of the directory of the cache; a path here begins with / or is relative, as in /var/lib/entrepot',
    ],
    [
      'registries: {docker.io: {upstreams: [registry-1.docker.io]}}',
      '1:38  registries["docker.io"].upstreams[0]: found "registry-1.docker.io", expected an http:// or https:// address without a query or a password in it, e.g. https://ghcr.io; did you mean https://registry-1.docker.io?',
    ],
    [
      'registries: {docker.io: {upstreams: ["https://me:hush@x"]}}',
      '1:38  registries["docker.io"].upstreams[0]: found "https://***@x", expected an http:// or https:// address without a query or a password in it, e.g. https://ghcr.io; user and password go under credentials: {username, password}',
    ],
    [
      'registries: {Docker.io: }',
      '1:14  registries: found the name "Docker.io", expected a registry name in lower case: a host such as ghcr.io or localhost:5001, or a word such as apps',
    ],
    [
      'registries: {"https://ghcr.io": }',
      '1:14  registries: found the name "https://ghcr.io", expected a registry name in lower case: a host such as ghcr.io or localhost:5001, or a word such as apps',
    ],
    [
      'registries: {a.b: {upstreams: []}}',
      '1:20  registries["a.b"].upstreams: found an empty list, expected a list, each item an http:// or https:// address such as https://ghcr.io, or a map with a `url`',
    ],
    [
      'domain_suffix: "*.example.com"',
      '1:1  domain_suffix: found "*.example.com", expected a domain name without scheme or port, such as mirror.example.com',
    ],
    [
      'public_url: mirror.example.com',
      '1:1  public_url: found "mirror.example.com", expected an http:// or https:// address without a path, e.g. https://mirror.example.com; did you mean https://mirror.example.com?',
    ],
    [
      'allow_any: yes',
      '1:1  allow_any: found "yes", expected false, true, or {deny: [patterns of host names]}; did you mean true?',
    ],
    [
      'forward_proxy: {allowed_hosts: ["*.docker.io"]}',
      '1:33  forward_proxy.allowed_hosts[0]: found "*.docker.io", expected a host name such as ghcr.io, or a regular expression such as ^cdn[0-9]+\\.quay\\.io$; hosts below docker.io are \\.docker\\.io$',
    ],
    [
      'forward_proxy: {allowed_hosts: ["https://ghcr.io"]}',
      '1:33  forward_proxy.allowed_hosts[0]: found "https://ghcr.io", expected a host name such as ghcr.io, or a regular expression such as ^cdn[0-9]+\\.quay\\.io$; did you mean ghcr.io?',
    ],
    [
      'transport: {outbound_proxy: ""}',
      '1:13  transport.outbound_proxy: found "", expected environment, none, or an http://, https:// or socks5:// address such as http://proxy.example.com:3128',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", credentials: {username: me}}]}}',
      '1:51  registries["a.b"].upstreams[0].credentials.password: missing, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
    ],
  ];
  check(rows);
});

describe('what looks odd and is valid is taken', () => {
  for (const text of [
    'listen: 0800',
    'listen:',
    'listen: ~',
    'cache: ~',
    'log: {level: }',
    'registries:\n  docker.io:\n  ghcr.io: ~',
    '{"listen": ":5000",}',
    'cache: {dir: "./C:"}',
    'limits: {max_inflight: 1e3}',
    'cache: off',
    '# nothing',
    'listen: :5000\r\nlog: {level: warn}\r\n',
    '\ufefflisten: :5000',
    'registries:\n  a.b: &a {aliases: [x]}\n  c.d: {<<: *a, aliases: [y]}',
  ]) {
    test(JSON.stringify(text), async () => assert.deepEqual(await problemsOf(text), []));
  }
});
