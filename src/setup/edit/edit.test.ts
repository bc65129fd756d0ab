import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EditedFile, Setting } from '../../clients/index.ts';
import { editFile, parseFile } from './edit.ts';

type Format = EditedFile['format'];

interface Row {
  readonly name: string;
  readonly format: Format;
  readonly settings: readonly Setting[];
  readonly before: string;
  /** Undefined: nothing has to change. */
  readonly after?: string;
}

const URL = 'http://m:5000';
const MIRROR: Setting = { at: ['registry-mirrors'], first: URL };
const INSECURE: Setting = { at: ['insecure-registries'], first: 'm:5000' };
const HOST: Setting = { at: ['host', URL, 'capabilities'], set: ['pull', 'resolve'], ahead: 'host' };
const HOST_CA: Setting = { at: ['host', URL, 'ca'], set: '/ca.crt', ahead: 'host' };
const HUB: Setting = { at: ['registry', 'docker.io', 'mirrors'], first: 'm:5000/docker.io' };
const PLAIN: Setting = { at: ['registry', 'm:5000', 'http'], set: true };
const CRI = 'io.containerd.grpc.v1.cri';
const CONFIG_PATH: Setting = { at: ['plugins', CRI, 'registry', 'config_path'], set: '/certs.d' };
const ALL: Setting = { at: ['mirrors', '*', 'endpoint'], first: URL };
const CA: Setting = { at: ['configs', 'm:5000', 'tls', 'ca_file'], set: '/ca.crt' };

const json = { format: 'json', settings: [MIRROR, INSECURE] } as const;
const toml = { format: 'toml', settings: [HUB, PLAIN] } as const;
const yaml = { format: 'yaml', settings: [ALL, CA] } as const;

const ROWS: readonly Row[] = [
  {
    ...json,
    name: 'other keys, their order and four spaces',
    before: '{\n    "log-driver": "json-file",\n    "dns": ["1.1.1.1"]\n}\n',
    after:
      '{\n    "log-driver": "json-file",\n    "dns": ["1.1.1.1"],\n    "registry-mirrors": ["http://m:5000"],\n    "insecure-registries": ["m:5000"]\n}\n',
  },
  {
    ...json,
    name: 'other mirrors, one a line, with tabs',
    before:
      '{\n\t"registry-mirrors": [\n\t\t"https://a.example",\n\t\t"https://b.example"\n\t],\n\t"insecure-registries": []\n}',
    after:
      '{\n\t"registry-mirrors": [\n\t\t"http://m:5000",\n\t\t"https://a.example",\n\t\t"https://b.example"\n\t],\n\t"insecure-registries": ["m:5000"]\n}',
  },
  {
    ...json,
    name: 'one line, braces and escapes within strings',
    before: '{"data-root": "/a\\"}{,[", "registry-mirrors": ["https://a.example"]}',
    after:
      '{"data-root": "/a\\"}{,[", "registry-mirrors": ["http://m:5000", "https://a.example"], "insecure-registries": ["m:5000"]}',
  },
  {
    ...json,
    name: 'an empty object',
    before: '{}\n',
    after: '{\n  "registry-mirrors": ["http://m:5000"],\n  "insecure-registries": ["m:5000"]\n}\n',
  },
  {
    ...json,
    name: 'CRLF and a byte order mark',
    before: '\ufeff{\r\n  "debug": true\r\n}\r\n',
    after:
      '\ufeff{\r\n  "debug": true,\r\n  "registry-mirrors": ["http://m:5000"],\r\n  "insecure-registries": ["m:5000"]\r\n}\r\n',
  },
  {
    ...json,
    name: 'what is there already, with a slash at its end and not in front',
    before: '{"registry-mirrors": ["https://a.example", "http://m:5000/"], "insecure-registries": ["m:5000"]}',
  },
  {
    ...toml,
    name: 'comments, another table, and a table that has the key',
    before:
      '# mine\ndebug = true # yes\n\n[registry."docker.io"]\n  # ours\n  mirrors = [ "a.example" ]\n\n[worker.oci]\n  gc = true\n',
    after:
      '# mine\ndebug = true # yes\n\n[registry."docker.io"]\n  # ours\n  mirrors = [ "m:5000/docker.io", "a.example" ]\n\n[worker.oci]\n  gc = true\n\n[registry."m:5000"]\n  http = true\n',
  },
  {
    ...toml,
    name: 'a list over several lines with comments, and no newline at the end',
    before: "[registry.'docker.io']\nmirrors = [\n    'a.example', # ] not the end\n    'b.example',\n]",
    after:
      "[registry.'docker.io']\nmirrors = [\n    \"m:5000/docker.io\",\n    'a.example', # ] not the end\n    'b.example',\n]\n\n[registry.\"m:5000\"]\n  http = true\n",
  },
  {
    ...toml,
    name: 'a table without the key, in front of another',
    before: '[registry."docker.io"]\n    http = false\n[debug]\n',
    after:
      '[registry."docker.io"]\n    http = false\n    mirrors = ["m:5000/docker.io"]\n[debug]\n\n[registry."m:5000"]\n  http = true\n',
  },
  {
    ...toml,
    name: 'a string of several lines that looks like a table',
    before: 'x = """\n[registry."docker.io"]\nmirrors = ["no"]\n""""\n',
    after:
      'x = """\n[registry."docker.io"]\nmirrors = ["no"]\n""""\n\n[registry."docker.io"]\n  mirrors = ["m:5000/docker.io"]\n\n[registry."m:5000"]\n  http = true\n',
  },
  {
    name: 'hosts.toml: in front of the other host and its comment, behind the server',
    format: 'toml',
    settings: [HOST, HOST_CA],
    before:
      'server = "https://docker.io"\r\n\r\n# the old one\r\n[host."https://a.example"]\r\n  capabilities = ["pull"]\r\n',
    after:
      'server = "https://docker.io"\r\n\r\n[host."http://m:5000"]\r\n  capabilities = ["pull", "resolve"]\r\n  ca = "/ca.crt"\r\n\r\n# the old one\r\n[host."https://a.example"]\r\n  capabilities = ["pull"]\r\n',
  },
  {
    name: 'an empty value, as `containerd config default` prints it',
    format: 'toml',
    settings: [CONFIG_PATH],
    before: `version = 2\n[plugins]\n  [plugins."${CRI}"]\n    x = 1\n    [plugins."${CRI}".registry]\n      config_path = "" # none\n      [plugins."${CRI}".registry.auths]\n`,
    after: `version = 2\n[plugins]\n  [plugins."${CRI}"]\n    x = 1\n    [plugins."${CRI}".registry]\n      config_path = "/certs.d" # none\n      [plugins."${CRI}".registry.auths]\n`,
  },
  {
    name: 'a table whose sub-table alone is there',
    format: 'toml',
    settings: [CONFIG_PATH],
    before: `[plugins."${CRI}".registry.auths]\n`,
    after: `[plugins."${CRI}".registry.auths]\n\n[plugins."${CRI}".registry]\n  config_path = "/certs.d"\n`,
  },
  {
    ...yaml,
    name: 'comments, another registry, and four spaces',
    before:
      '# mine\nmirrors:\n    docker.io:\n        endpoint:\n            - "https://a.example" # first\n\n# the end\n',
    after:
      '# mine\nmirrors:\n    docker.io:\n        endpoint:\n            - "https://a.example" # first\n    "*":\n      endpoint:\n        - "http://m:5000"\nconfigs:\n  "m:5000":\n    tls:\n      ca_file: "/ca.crt"\n\n# the end\n',
  },
  {
    ...yaml,
    name: 'an entry with other endpoints, lists at the level of their key',
    before:
      'mirrors:\n  "*":\n    endpoint:\n    - https://a.example\n    - https://b.example\nconfigs:\n  "m:5000":\n    tls:\n      ca_file: /ca.crt\n',
    after:
      'mirrors:\n  "*":\n    endpoint:\n    - "http://m:5000"\n    - https://a.example\n    - https://b.example\nconfigs:\n  "m:5000":\n    tls:\n      ca_file: /ca.crt\n',
  },
  {
    ...yaml,
    name: 'a list in brackets, another authority, CRLF and no newline at the end',
    before:
      'mirrors:\r\n  "*":\r\n    endpoint: ["https://a.example"]\r\nconfigs:\r\n  "m:5000":\r\n    tls:\r\n      ca_file: /old.crt',
    after:
      'mirrors:\r\n  "*":\r\n    endpoint: ["http://m:5000", "https://a.example"]\r\nconfigs:\r\n  "m:5000":\r\n    tls:\r\n      ca_file: "/ca.crt"',
  },
  {
    name: 'a key with nothing behind it, and a comment',
    format: 'yaml',
    settings: [ALL],
    before: 'mirrors: # none yet\nother: |\n  text\n',
    after: 'mirrors: # none yet\n  "*":\n    endpoint:\n      - "http://m:5000"\nother: |\n  text\n',
  },
  {
    name: 'a block of text at the end',
    format: 'yaml',
    settings: [ALL],
    before: 'other: |\n  text\n',
    after: 'other: |\n  text\nmirrors:\n  "*":\n    endpoint:\n      - "http://m:5000"\n',
  },
  {
    name: 'comments alone',
    format: 'yaml',
    settings: [ALL],
    before: '# nothing yet',
    after: '# nothing yet\nmirrors:\n  "*":\n    endpoint:\n      - "http://m:5000"\n',
  },
];

describe('editFile()', () => {
  for (const { name, format, settings, before, after } of ROWS) {
    test(`${format}: ${name}`, () => {
      const edited = editFile({ format, settings, content: 'unused' }, before);
      if (after === undefined) assert.deepEqual(edited, { kind: 'same' });
      else assert.deepEqual(edited, { kind: 'changed', text: after });
      const again = editFile({ format, settings, content: 'unused' }, after ?? before);
      assert.deepEqual(again, { kind: 'same' }, 'a second time changes nothing');
    });
  }

  test('writes the whole content into an empty file, with its byte order mark and line ends', () => {
    const content = 'a:\n  b: c';
    assert.deepEqual(editFile({ format: 'yaml', settings: [ALL], content }, '\ufeff\r\n'), {
      kind: 'changed',
      text: '\ufeffa:\r\n  b: c\r\n',
    });
  });

  const REFUSED: readonly (readonly [format: Format, setting: Setting, text: string, reason: RegExp])[] = [
    ['json', MIRROR, '{\n  // mine\n  "debug": true\n}', /not valid JSON: .*has a comment, which JSON has not/],
    ['json', MIRROR, '{"debug": true,}', /not valid JSON/],
    ['json', MIRROR, '[]', /left alone; by hand, add "http:\/\/m:5000" to "registry-mirrors"/],
    ['json', MIRROR, '{"registry-mirrors": "https://a.example"}', /has a registry-mirrors that is not a list/],
    ['json', MIRROR, '{"registry-mirrors": ["https://a"], "registry-mirrors": []}', /has registry-mirrors twice/],
    ['toml', HUB, '[registry\n', /not valid TOML/],
    ['toml', HUB, 'registry = {"docker.io" = {http = true}}\n', /unusual way, and is left alone/],
    ['toml', HUB, 'registry."docker.io".http = true\n', /left alone/],
    ['toml', HUB, '[[registry]]\nprefix = "docker.io"\n', /has a list of tables|would have to be a key/],
    ['toml', HUB, '[registry."docker.io"]\nmirrors = "a.example"\n', /not a list/],
    ['yaml', ALL, 'mirrors: {a: [b}', /not valid YAML/],
    ['yaml', ALL, 'mirrors: {docker.io: {endpoint: [a]}}\n', /within braces, and is left alone; by hand, add/],
    ['yaml', ALL, 'mirrors:\n  "*": &x\n    endpoint: &l [a]\n  b:\n    endpoint: *l\n', /unusual way/],
    ['yaml', ALL, '- a\n', /is not a map/],
    ['yaml', ALL, 'a: 1\n---\nb: 2\n', /not valid YAML/],
    ['yaml', ALL, 'mirrors:\n  "*": text\n', /has a "\*" that is not a map/],
    ['yaml', ALL, 'mirrors: ~\n', /has an empty value that is written out/],
  ];
  for (const [format, setting, text, reason] of REFUSED) {
    test(`leaves alone ${format} ${JSON.stringify(text)}`, () => {
      const edited = editFile({ format, settings: [setting], content: 'unused' }, text);
      assert.equal(edited.kind, 'refused');
      assert.match(edited.kind === 'refused' ? edited.reason : '', reason);
    });
  }

  test('reads what it edits', () => {
    assert.deepEqual(parseFile('json', '\ufeff{"a": 1}'), { a: 1 });
    assert.deepEqual(parseFile('toml', ' \n'), {});
  });
});
