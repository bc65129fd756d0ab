import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { clientNamed, SETUP_CLIENTS, type SetupChoices } from '../clients/index.ts';
import { parseFile } from './edit/index.ts';
import { withSetting } from './edit/settings.ts';
import {
  applyPlan,
  applyUndo,
  inspectClient,
  Machine,
  type MachineClient,
  planSetup,
  planUndo,
  readRecord,
  SetupError,
  type SetupPlan,
} from './index.ts';

const PLAIN = 'http://m.example:5000';
const SECURE = 'https://m.example';
const CA = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----';
const HOME = '/home/me';

/** Text of each file under the root of a machine. */
type Files = Readonly<Record<string, string>>;

class Stage {
  readonly root = mkdtempSync(join(tmpdir(), 'entrepot-setup-'));
  readonly machine = new Machine({ root: this.root, home: HOME });

  constructor(context: TestContext, files: Files = {}) {
    context.after(() => rmSync(this.root, { recursive: true, force: true }));
    for (const directory of ['/etc', `${HOME}/.config`]) mkdirSync(this.path(directory), { recursive: true });
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  path(path: string): string {
    return join(this.root, path);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), text);
  }

  read(path: string): string {
    return readFileSync(this.path(path), 'utf8');
  }

  /** Every file and directory but the record, with its content. */
  tree(): Files {
    const paths = globSync('**/*', { cwd: this.root, exclude: ['**/entrepot/**'] }).filter(
      (path) => !/(^|\/)entrepot(\/|$)/.test(path),
    );
    return Object.fromEntries(
      paths.sort().map((path) => [`/${path}`, lstatSync(this.path(path)).isFile() ? this.read(path) : '(no file)']),
    );
  }

  plan(client: MachineClient, choices: SetupChoices & { readonly url?: string } = {}): SetupPlan {
    const { url = PLAIN, ...rest } = choices;
    const server = { url, host: new URL(url).host, defaultRegistry: 'docker.io' };
    const record = readRecord(this.machine, client, choices.user === true);
    return planSetup(this.machine, client, { request: { server, choices: rest }, record });
  }

  apply(client: MachineClient, choices: SetupChoices & { readonly url?: string } = {}): SetupPlan {
    const plan = this.plan(client, choices);
    assert.deepEqual(plan.refusals, []);
    const user = choices.user === true;
    applyPlan(this.machine, plan, { record: readRecord(this.machine, client, user), user });
    return plan;
  }

  undo(client: MachineClient, user = false): ReturnType<typeof planUndo> {
    const record = readRecord(this.machine, client, user) ?? assert.fail(`no record of ${client}`);
    const plan = planUndo(this.machine, record);
    applyUndo(this.machine, plan, user);
    return plan;
  }

  /** The reason why the client's files are left alone. */
  refusal(client: MachineClient, choices: SetupChoices = {}): string {
    const { refusals } = this.plan(client, choices);
    return refusals
      .map(({ path, reason }) => `${relative(this.root, join('/', path)).replace(/^(\.\.\/)*/, '/')} ${reason}`)
      .join('; ');
  }

  state(client: MachineClient, options: { readonly server?: string; readonly user?: boolean } = {}): string {
    return inspectClient(client, { root: this.root, home: HOME, ...options }).state;
  }
}

interface Row {
  readonly name: string;
  readonly client: MachineClient;
  readonly choices?: SetupChoices & { readonly url?: string };
  readonly files?: Files;
  /** The files that change. */
  readonly after: Files;
  readonly restart?: string;
}

const HOSTS = `[host."${PLAIN}"]\n  capabilities = ["pull", "resolve"]\n`;
const V2 = 'version = 2\n';
const V3 = 'version = 3\n';

const ROWS: readonly Row[] = [
  {
    name: 'docker without a file',
    client: 'docker',
    after: {
      '/etc/docker/daemon.json': `{\n  "registry-mirrors": [\n    "${PLAIN}"\n  ],\n  "insecure-registries": [\n    "m.example:5000"\n  ]\n}\n`,
    },
    restart: 'systemctl reload docker',
  },
  {
    name: 'docker with TLS and a private authority',
    client: 'docker',
    choices: { url: SECURE, ca: CA },
    files: { '/etc/docker/daemon.json': '{"dns": []}' },
    after: {
      '/etc/docker/daemon.json': `{"dns": [], "registry-mirrors": ["${SECURE}"]}`,
      '/etc/docker/certs.d/m.example/ca.crt': `${CA}\n`,
    },
    restart: 'systemctl reload docker',
  },
  {
    name: 'docker with the containerd image store: every registry',
    client: 'docker',
    choices: { url: 'http://127.0.0.1:5000' },
    files: { '/etc/docker/daemon.json': '{"features": {"containerd-snapshotter": true}}\n' },
    after: {
      '/etc/docker/daemon.json':
        '{"features": {"containerd-snapshotter": true}, "registry-mirrors": ["http://127.0.0.1:5000"]}\n',
      '/etc/docker/certs.d/_default/hosts.toml':
        '[host."http://127.0.0.1:5000"]\n  capabilities = ["pull", "resolve"]\n',
    },
    restart: 'systemctl reload docker',
  },
  {
    name: 'docker with registries, one of which has hosts',
    client: 'docker',
    choices: { registries: ['ghcr.io', 'quay.io'], url: SECURE, ca: CA },
    files: {
      '/etc/docker/daemon.json': `{"registry-mirrors": ["${SECURE}"]}`,
      '/etc/docker/certs.d/ghcr.io/hosts.toml': 'server = "https://ghcr.io"\n\n[host."https://a.example"]\n',
    },
    after: {
      '/etc/docker/certs.d/ghcr.io/hosts.toml': `server = "https://ghcr.io"\n\n[host."${SECURE}"]\n  capabilities = ["pull", "resolve"]\n  ca = "/etc/docker/certs.d/m.example/ca.crt"\n\n[host."https://a.example"]\n`,
      '/etc/docker/certs.d/quay.io/hosts.toml': `[host."${SECURE}"]\n  capabilities = ["pull", "resolve"]\n  ca = "/etc/docker/certs.d/m.example/ca.crt"\n`,
      '/etc/docker/certs.d/m.example/ca.crt': `${CA}\n`,
    },
  },
  {
    name: 'rootless docker',
    client: 'docker',
    choices: { user: true, url: SECURE },
    after: { [`${HOME}/.config/docker/daemon.json`]: `{\n  "registry-mirrors": [\n    "${SECURE}"\n  ]\n}\n` },
    restart: 'systemctl --user reload docker',
  },
  {
    name: 'docker whose unit names another file',
    client: 'docker',
    choices: { url: SECURE },
    files: {
      '/etc/systemd/system/docker.service.d/a.conf':
        '[Service]\nExecStart=/usr/bin/dockerd --config-file=/srv/d.json\n',
      '/srv/d.json': '{}',
    },
    after: { '/srv/d.json': `{\n  "registry-mirrors": ["${SECURE}"]\n}` },
    restart: 'systemctl reload docker',
  },
  {
    name: 'containerd without a file',
    client: 'containerd',
    after: {
      '/etc/containerd/certs.d/_default/hosts.toml': HOSTS,
      '/etc/containerd/config.toml': `${V2}\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n`,
    },
    restart: 'systemctl restart containerd',
  },
  {
    name: 'containerd that reads another directory: no restart',
    client: 'containerd',
    choices: { url: SECURE, ca: CA },
    files: {
      '/etc/containerd/config.toml': `${V3}[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/srv/certs:/etc/docker/certs.d'\n`,
    },
    after: {
      '/srv/certs/_default/hosts.toml': `[host."${SECURE}"]\n  capabilities = ["pull", "resolve"]\n  ca = "/srv/certs/entrepot-ca.crt"\n`,
      '/srv/certs/entrepot-ca.crt': `${CA}\n`,
    },
  },
  {
    name: 'containerd 2 with a directory of imports: a file of its own there',
    client: 'containerd',
    files: {
      '/etc/containerd/config.toml': `${V3}imports = ["/etc/containerd/conf.d/*.toml"]\n`,
      '/etc/containerd/conf.d/10-gpu.toml': `${V3}[plugins.'io.containerd.cri.v1.runtime']\nx = 1\n`,
    },
    after: {
      '/etc/containerd/certs.d/_default/hosts.toml': HOSTS,
      '/etc/containerd/conf.d/50-entrepot.toml': `${V3}\n[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "/etc/containerd/certs.d"\n`,
    },
    restart: 'systemctl restart containerd',
  },
  {
    name: 'containerd 1 whose import has the plugin: there',
    client: 'containerd',
    files: {
      '/etc/containerd/config.toml': `${V2}imports = ["conf.d/*.toml"]\n[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "a"\n`,
      '/etc/containerd/conf.d/gpu.toml': `${V2}[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "b"\n`,
    },
    after: {
      '/etc/containerd/certs.d/_default/hosts.toml': HOSTS,
      '/etc/containerd/conf.d/gpu.toml': `${V2}[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "b"\n\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n`,
    },
    restart: 'systemctl restart containerd',
  },
  {
    name: 'containerd 1 whose import takes the place of the table that has a config_path: there',
    client: 'containerd',
    files: {
      '/etc/containerd/config.toml': `${V2}imports = ["/x.toml"]\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/lost"\n`,
      '/x.toml': `${V2}[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "b"\n`,
    },
    after: {
      '/etc/containerd/certs.d/_default/hosts.toml': HOSTS,
      '/x.toml': `${V2}[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "b"\n\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n`,
    },
    restart: 'systemctl restart containerd',
  },
  {
    name: 'containerd as Docker installs it, without the CRI plugin',
    client: 'containerd',
    files: { '/etc/containerd/config.toml': 'disabled_plugins = ["cri"]\n' },
    after: { '/etc/containerd/certs.d/_default/hosts.toml': HOSTS },
  },
  {
    name: 'podman beside other tables: they stay, behind this server',
    client: 'podman',
    choices: { registries: ['docker.io', 'ghcr.io'] },
    files: {
      '/etc/containers/registries.conf':
        'unqualified-search-registries = ["docker.io"]\n[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "a.example"\npull-from-mirror = "digest-only"\n',
    },
    after: {
      '/etc/containers/registries.conf.d/50-entrepot.conf': `# Written by \`entrepot setup podman\`; \`entrepot setup podman --undo\` removes it.

# As in /etc/containers/registries.conf, which this table replaces, with this server in front.
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "m.example:5000/docker.io"
insecure = true
[[registry.mirror]]
location = "a.example"
pull-from-mirror = "digest-only"

[[registry]]
prefix = "ghcr.io"
location = "ghcr.io"
[[registry.mirror]]
location = "m.example:5000/ghcr.io"
insecure = true
`,
    },
  },
  {
    name: 'rootless podman with a private authority',
    client: 'podman',
    choices: { registries: ['ghcr.io'], user: true, url: SECURE, ca: CA },
    after: {
      [`${HOME}/.config/containers/registries.conf.d/50-entrepot.conf`]: `# Written by \`entrepot setup podman\`; \`entrepot setup podman --undo\` removes it.

[[registry]]
prefix = "ghcr.io"
location = "ghcr.io"
[[registry.mirror]]
location = "m.example/ghcr.io"
`,
      [`${HOME}/.config/containers/certs.d/m.example/ca.crt`]: `${CA}\n`,
    },
  },
  {
    name: 'CRI-O',
    client: 'cri-o',
    choices: { registries: ['registry.k8s.io'] },
    after: {
      '/etc/containers/registries.conf.d/50-entrepot.conf': `# Written by \`entrepot setup cri-o\`; \`entrepot setup cri-o --undo\` removes it.

[[registry]]
prefix = "registry.k8s.io"
location = "registry.k8s.io"
[[registry.mirror]]
location = "m.example:5000/registry.k8s.io"
insecure = true
`,
    },
  },
  {
    name: 'buildkit without root, with a private authority',
    client: 'buildkit',
    choices: { registries: ['docker.io'], user: true, url: SECURE, ca: CA },
    after: {
      [`${HOME}/.config/buildkit/buildkitd.toml`]: `[registry."docker.io"]\n  mirrors = ["m.example/docker.io"]\n\n[registry."m.example"]\n  ca = ["${HOME}/.config/buildkit/entrepot-ca.crt"]\n`,
      [`${HOME}/.config/buildkit/entrepot-ca.crt`]: `${CA}\n`,
    },
    restart: 'docker buildx create --use --name entrepot --buildkitd-config ~/.config/buildkit/buildkitd.toml',
  },
  {
    name: 'buildkit with a file',
    client: 'buildkit',
    choices: { registries: ['docker.io'] },
    files: { '/etc/buildkit/buildkitd.toml': 'debug = true\n' },
    after: {
      '/etc/buildkit/buildkitd.toml':
        'debug = true\n\n[registry."docker.io"]\n  mirrors = ["m.example:5000/docker.io"]\n\n[registry."m.example:5000"]\n  http = true\n',
    },
    restart: 'docker buildx create --use --name entrepot --buildkitd-config /etc/buildkit/buildkitd.toml',
  },
  {
    name: 'a k3s agent with a private authority',
    client: 'k3s',
    choices: { url: SECURE, ca: CA },
    files: { '/etc/systemd/system/k3s-agent.service': '' },
    after: {
      '/etc/rancher/k3s/registries.yaml': `mirrors:\n  "*":\n    endpoint:\n      - "${SECURE}"\nconfigs:\n  "m.example":\n    tls:\n      ca_file: "/etc/rancher/k3s/entrepot-ca.crt"\n`,
      '/etc/rancher/k3s/entrepot-ca.crt': `${CA}\n`,
    },
    restart: 'systemctl restart k3s-agent',
  },
  {
    name: 'RKE2, with another mirror',
    client: 'k3s',
    files: { '/etc/rancher/rke2/registries.yaml': 'mirrors:\n  "*":\n    endpoint:\n      - "https://a.example"\n' },
    after: {
      '/etc/rancher/rke2/registries.yaml': `mirrors:\n  "*":\n    endpoint:\n      - "${PLAIN}"\n      - "https://a.example"\n`,
    },
    restart: 'systemctl restart rke2-server',
  },
];

describe('a plan: before, after, and after undo', () => {
  for (const { name, client, choices = {}, files = {}, after, restart } of ROWS) {
    test(name, (context) => {
      const stage = new Stage(context, files);
      const before = stage.tree();
      const user = choices.user === true;
      const server = choices.url ?? PLAIN;
      if (!JSON.stringify(files).includes(server))
        assert.equal(stage.state(client, { server, user }), 'not-configured');

      const plan = stage.apply(client, choices);
      for (const [path, text] of Object.entries(after)) assert.equal(stage.read(path), text, path);
      assert.deepEqual(plan.files.map(({ path }) => stage.machine.absolute(path)).sort(), Object.keys(after).sort());
      assert.equal(plan.restart, restart);
      const others = Object.entries(files).filter(([path]) => after[path] === undefined);
      for (const [path, text] of others) assert.equal(stage.read(path), text, path);

      const again = stage.plan(client, choices);
      assert.deepEqual([again.files, again.refusals], [[], []], 'a second time changes nothing');
      assert.equal(stage.state(client, { server, user }), 'configured');
      assert.equal(stage.state(client, { server: 'https://other.example', user }), 'not-configured');

      stage.undo(client, user);
      assert.deepEqual(stage.tree(), before);
      assert.equal(readRecord(stage.machine, client, user), undefined);
    });
  }
});

describe('what the pages show', () => {
  for (const client of SETUP_CLIENTS) {
    for (const choices of [{}, { registries: ['ghcr.io', 'quay.io'] }, { ca: CA }]) {
      test(`${client} with ${JSON.stringify(Object.keys(choices))} is what its settings say`, () => {
        for (const url of [PLAIN, SECURE]) {
          const server = { url, host: new URL(url).host, defaultRegistry: 'docker.io' };
          for (const file of clientNamed(client).instructions(server, choices)?.files ?? []) {
            if (!('settings' in file)) continue;
            const said = file.settings.reduce<unknown>((data, setting) => withSetting(data, setting), {});
            assert.deepEqual(structuredClone(parseFile(file.format, file.content)), said, file.path);
          }
        }
      });
    }
  }
});

describe('traps', () => {
  const REFUSED: readonly (readonly [
    name: string,
    client: MachineClient,
    files: Files,
    reason: RegExp,
    choices?: SetupChoices,
  ])[] = [
    [
      'dockerd with the flag too',
      'docker',
      { '/etc/default/docker': '# --registry-mirror=x\nDOCKER_OPTS="--registry-mirror=https://a.example"\n' },
      /^\/etc\/default\/docker starts dockerd with --registry-mirror/,
    ],
    ['a daemon.json with comments', 'docker', { '/etc/docker/daemon.json': '{\n# mine\n}' }, /is not valid JSON/],
    [
      'registry.mirrors beside config_path',
      'containerd',
      {
        '/etc/containerd/config.toml': `${V2}[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["https://a.example"]\n`,
      },
      /config\.toml has registry\.mirrors, which containerd does not accept/,
    ],
    [
      'containerd, version 1',
      'containerd',
      { '/etc/containerd/config.toml': '[plugins.cri]\n' },
      /containerd config migrate/,
    ],
    [
      'an import that cannot be parsed',
      'containerd',
      { '/etc/containerd/config.toml': `${V3}imports = ["/x.toml"]\n`, '/x.toml': '[' },
      /x\.toml is not valid TOML/,
    ],
    [
      'a drop-in of version 1',
      'podman',
      { '/etc/containers/registries.conf.d/1.conf': '[registries.search]\nregistries = ["docker.io"]\n' },
      /1\.conf is in version 1 of the format/,
    ],
    [
      'a registries.conf of version 1 that blocks a registry',
      'podman',
      { '/etc/containers/registries.conf': '[registries.block]\nregistries = ["ghcr.io"]\n' },
      /blocks ghcr\.io/,
    ],
    [
      'a later file with the same table',
      'podman',
      { '/etc/containers/registries.conf.d/99.conf': '[[registry]]\nprefix = "ghcr.io"\nlocation = "x"\n' },
      /99\.conf is read after 50-entrepot\.conf and has a table for ghcr\.io/,
    ],
    [
      'a registry that is blocked',
      'podman',
      { '/etc/containers/registries.conf': '[[registry]]\nlocation = "docker.io"\nblocked = true\n' },
      /blocks docker\.io/,
    ],
    [
      'a certificate of another authority',
      'podman',
      { '/etc/containers/certs.d/m.example:5000/ca.crt': 'another' },
      /holds another certificate/,
      { ca: CA },
    ],
    [
      'a registries.yaml that cannot be parsed',
      'k3s',
      { '/etc/rancher/k3s/registries.yaml': 'mirrors: [\n' },
      /not valid YAML/,
    ],
  ];
  for (const [name, client, files, reason, choices] of REFUSED) {
    test(`${client} leaves alone ${name}`, (context) => {
      assert.match(new Stage(context, files).refusal(client, choices), reason);
    });
  }

  test('podman: what version 1 says of a registry stays', (context) => {
    const stage = new Stage(context, {
      '/etc/containers/registries.conf':
        '[registries.search]\nregistries = ["docker.io"]\n[registries.insecure]\nregistries = ["r.example"]\n',
    });
    stage.apply('podman', { registries: ['r.example'] });
    const written = stage.read('/etc/containers/registries.conf.d/50-entrepot.conf');
    assert.match(written, /^location = "r\.example"\ninsecure = true\n\[\[registry\.mirror\]\]/m);
  });

  test('docker: the flag --insecure-registry is in the way only where the file needs the key', (context) => {
    const stage = new Stage(context, {
      '/etc/default/docker': 'DOCKER_OPTS="--insecure-registry x:5"',
    });
    assert.match(stage.refusal('docker'), /starts dockerd with --insecure-registry/);
    assert.deepEqual(stage.plan('docker', { url: SECURE }).refusals, []);
  });

  test('tells of registries that have a place of their own', (context) => {
    const stage = new Stage(context, {
      '/etc/containerd/config.toml': 'disabled_plugins = ["cri"]',
      '/etc/containerd/certs.d/ghcr.io/hosts.toml': 'server = "https://ghcr.io"\n',
      '/etc/rancher/k3s/registries.yaml': 'mirrors:\n  quay.io:\n    endpoint: [https://a.example]\n',
      '/etc/docker/certs.d/docker.io/hosts.toml': '[host."https://a.example"]\n',
    });
    assert.match(
      stage.plan('containerd').notes.join('\n'),
      /ghcr\.io has a directory .*--registries _default,ghcr\.io/,
    );
    assert.match(stage.plan('k3s').notes.join('\n'), /quay\.io has an entry .*--registries '\*',quay\.io/);
    assert.match(
      stage.plan('docker').notes.join('\n'),
      /registry-mirrors then do not count\. Add --registries docker\.io/,
    );
  });

  test('tells that config_path with several directories is read wrongly by some versions', (context) => {
    const stage = new Stage(context, {
      '/etc/containerd/config.toml': `${V3}[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/a:/b'\n`,
    });
    assert.match(stage.plan('containerd').notes.join('\n'), /containerd issue 12415/);
  });
});

describe('files that are not as usual', () => {
  test('a symbolic link stays one: the file behind it changes, with its owner and mode', (context) => {
    const stage = new Stage(context, { '/srv/daemon.json': '{}' });
    mkdirSync(stage.path('/etc/docker'), { recursive: true });
    symlinkSync('../../srv/daemon.json', stage.path('/etc/docker/daemon.json'));
    chmodSync(stage.path('/srv/daemon.json'), 0o640);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(stage.path('/srv/daemon.json'), 12, 34);
    stage.apply('docker');
    assert.ok(lstatSync(stage.path('/etc/docker/daemon.json')).isSymbolicLink());
    assert.match(stage.read('/srv/daemon.json'), /registry-mirrors/);
    const { mode, uid, gid } = statSync(stage.path('/srv/daemon.json'));
    assert.equal(mode & 0o777, 0o640);
    if (isRoot) assert.deepEqual([uid, gid], [12, 34]);
    stage.undo('docker');
    assert.equal(stage.read('/srv/daemon.json'), '{}');
    assert.ok(lstatSync(stage.path('/etc/docker/daemon.json')).isSymbolicLink());
  });

  test('a link out of the root, a broken one, a directory and a binary file are left alone', (context) => {
    const stage = new Stage(context);
    mkdirSync(stage.path('/etc/docker'), { recursive: true });
    const file = stage.path('/etc/docker/daemon.json');
    const refusals: string[] = [];
    for (const make of [
      () => symlinkSync('/etc/hostname', file),
      () => symlinkSync('nothing', file),
      () => mkdirSync(file),
      () => writeFileSync(file, Buffer.from([0xff, 0xfe, 0x7b, 0])),
    ]) {
      make();
      refusals.push(stage.refusal('docker'));
      rmSync(file, { recursive: true });
    }
    const [outside, broken, directory, binary] = refusals;
    assert.match(outside ?? '', /leads outside of/);
    assert.match(broken ?? '', /a symbolic link to a file that is not there/);
    assert.match(directory ?? '', /is a directory/);
    assert.match(binary ?? '', /is not UTF-8/);
  });

  test('where one file cannot be written, none is, and nothing is recorded', (context) => {
    const stage = new Stage(context, { '/etc/containerd/config.toml': `${V2}x = 1\n` });
    const before = stage.tree();
    const plan = stage.plan('containerd');
    // Something else makes it a directory in between.
    const [first, second] = plan.files;
    assert.ok(first !== undefined && second !== undefined);
    rmSync(stage.path(second.path));
    mkdirSync(stage.path(second.path));
    assert.throws(
      () => applyPlan(stage.machine, plan, { record: undefined, user: false }),
      (error) => error instanceof SetupError && /config\.toml .*Nothing was changed/.test(error.message),
    );
    assert.equal(stage.tree()[first.path], undefined);
    assert.equal(readRecord(stage.machine, 'containerd', false), undefined);
    assert.deepEqual(Object.keys(stage.tree()), Object.keys(before));
  });
});

describe('a second time', () => {
  test('another server takes the place of the first; undo brings back what was before both', (context) => {
    const stage = new Stage(context, { '/etc/docker/daemon.json': '{"dns": []}' });
    stage.apply('docker');
    stage.apply('docker', { url: SECURE });
    assert.equal(stage.read('/etc/docker/daemon.json'), `{"dns": [], "registry-mirrors": ["${SECURE}"]}`);
    stage.undo('docker');
    assert.equal(stage.read('/etc/docker/daemon.json'), '{"dns": []}');
  });

  test('a file that is no longer wanted is as it was before', (context) => {
    const stage = new Stage(context);
    stage.apply('docker', { registries: ['ghcr.io', 'quay.io'] });
    stage.apply('docker', { registries: ['quay.io'] });
    assert.equal(stage.machine.has('/etc/docker/certs.d/ghcr.io/hosts.toml'), false);
    assert.equal(stage.machine.has('/etc/docker/certs.d/quay.io/hosts.toml'), true);
    stage.undo('docker');
    assert.deepEqual(Object.keys(stage.tree()), ['/etc', '/home', HOME]);
  });

  test('a change by someone else is kept by the next change, and told by undo', (context) => {
    const stage = new Stage(context, { '/etc/docker/daemon.json': '{"dns": []}' });
    stage.apply('docker');
    stage.write('/etc/docker/daemon.json', stage.read('/etc/docker/daemon.json').replace('[]', '["1.1.1.1"]'));
    stage.apply('docker', { url: SECURE });
    assert.match(stage.read('/etc/docker/daemon.json'), /1\.1\.1\.1.*https:\/\/m\.example"/);
    const record = readRecord(stage.machine, 'docker', false) ?? assert.fail();
    assert.deepEqual(
      planUndo(stage.machine, record).files.map(({ changedSince }) => changedSince),
      [true],
    );
  });

  test('undo is told of changes, and passes over what is back already', (context) => {
    const stage = new Stage(context, { '/etc/docker/daemon.json': '{}' });
    stage.apply('docker', { registries: ['ghcr.io'] });
    stage.write('/etc/docker/certs.d/ghcr.io/hosts.toml', 'server = "https://ghcr.io"\n');
    stage.write('/etc/docker/daemon.json', '{}');
    const { files } = stage.undo('docker');
    assert.deepEqual(
      files.map(({ path, changedSince }) => [path, changedSince]),
      [['/etc/docker/certs.d/ghcr.io/hosts.toml', true]],
    );
  });

  test('the record and the backups are readable by their owner alone', (context) => {
    const stage = new Stage(context, { '/etc/docker/daemon.json': '{"secret": 1}' });
    stage.apply('docker');
    const directory = stage.path('/etc/entrepot/setup/docker');
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.equal(readFileSync(join(directory, '0-daemon.json.before'), 'utf8'), '{"secret": 1}');
    for (const file of globSync('*', { cwd: directory }))
      assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600);
    writeFileSync(
      join(directory, 'record.json'),
      '{"version": 1, "server": "x", "files": [{"path": "/x", "written": "", "mixed": false, "backup": "../../passwd"}], "directories": []}',
    );
    assert.throws(() => readRecord(stage.machine, 'docker', false), /is not a file name.*Restore the files by hand/);
  });
});

describe('inspectClient()', () => {
  test('containerd: hosts.toml files that nothing reads are half of it', (context) => {
    const stage = new Stage(context, {
      '/etc/containerd/certs.d/_default/hosts.toml': HOSTS,
      '/etc/containerd/config.toml': V2,
    });
    assert.equal(stage.state('containerd', { server: PLAIN }), 'partly');
    assert.equal(stage.state('containerd'), 'partly');
    stage.apply('containerd');
    assert.equal(stage.state('containerd'), 'configured');
  });

  test('tells which server each file names, and what cannot be read', (context) => {
    const stage = new Stage(context, {
      '/etc/docker/daemon.json': '{"registry-mirrors": ["https://a.example"]}',
      '/etc/docker/certs.d/_default/hosts.toml': HOSTS,
      '/etc/rancher/k3s/registries.yaml': 'mirrors: [',
    });
    const options = { root: stage.root, home: HOME, server: PLAIN };
    const docker = inspectClient('docker', options);
    assert.equal(docker.isInstalled, true);
    assert.equal(docker.state, 'partly');
    assert.deepEqual(docker.files, [
      { path: '/etc/docker/daemon.json', mirrors: [{ registry: 'docker.io', server: 'https://a.example' }] },
      { path: '/etc/docker/certs.d/_default/hosts.toml', mirrors: [{ registry: '*', server: PLAIN }] },
    ]);
    const k3s = inspectClient('k3s', options);
    assert.equal(k3s.state, 'unparseable');
    assert.match(k3s.files[0]?.problem ?? '', /not valid YAML/);
    assert.equal(inspectClient('podman', options).isInstalled, false);
  });
});
