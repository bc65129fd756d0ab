import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { startEntrepot } from '../support/app.ts';
import { type DockerRegistry, skopeo, startDockerRegistry } from '../support/engines.ts';
import { type GoToolName, goTool, needsGoTools } from '../support/go-tools.ts';
import { buildImage, buildReferrer, platformOf } from '../support/image.ts';
import { check, needs, type RunResult, run, Workspace } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

/** Where a command is pointed: a registry itself, or the mirror of it. */
interface Place {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** An empty directory of its own, for what the command writes. */
  readonly out: string;
  /** Another registry to copy to, and a repository there of its own. */
  readonly target: string;
}

/** What a mirror says besides (docs/cache.md), and what any server words in its own way. */
const MIRROR_HEADERS = /^(?:Cache-Control|Connection|Date|Keep-Alive|X-Cache|X-Request-Id): .*\n/gm;

type Row = readonly [title: string, command: (place: Place) => readonly string[]];

const image = buildImage({ seed: 'go clients', layers: [64 * 1024, 300 * 1024] });
const child = platformOf(image, 'arm64');
const absent = digestOf(Buffer.from('what no registry has'));
const app = (host: string): string => `${host}/team/app:1.0`;
const byDigest = (host: string): string => `${host}/team/app@${image.index.digest}`;
const childOf = (host: string): string => `${host}/team/app@${child.manifest.digest}`;

const CRANE: readonly Row[] = [
  ['the manifest of a tag', ({ host }) => ['manifest', app(host)]],
  ['the manifest of a Docker list', ({ host }) => ['manifest', `${host}/team/legacy:1.0`]],
  ['the manifest of a digest', ({ host }) => ['manifest', byDigest(host)]],
  ['the manifest of one platform', ({ host }) => ['manifest', '--platform=linux/arm64', app(host)]],
  ['the manifest of a child by digest', ({ host }) => ['manifest', childOf(host)]],
  ['a digest', ({ host }) => ['digest', app(host)]],
  ['the digest of one platform', ({ host }) => ['digest', '--platform=linux/amd64', app(host)]],
  ['the digest with its repository', ({ host }) => ['digest', '--full-ref', app(host)]],
  ['a configuration', ({ host }) => ['config', '--platform=linux/amd64', app(host)]],
  ['a blob', ({ host }) => ['blob', `${host}/team/app@${child.config.digest}`]],
  ['a layer', ({ host }) => ['blob', `${host}/team/app@${child.layers[0]?.digest}`]],
  ['tags', ({ host }) => ['ls', `${host}/team/app`]],
  ['tags with their names', ({ host }) => ['ls', '--full-ref', `${host}/team/app`]],
  ['the catalog', ({ host }) => ['catalog', host]],
  ['a pull into a tarball', ({ host, out }) => ['pull', '--platform=linux/amd64', app(host), `${out}/image.tar`]],
  ['a pull into a layout', ({ host, out }) => ['pull', '--format=oci', app(host), `${out}/layout`]],
  ['an export', ({ host, out }) => ['export', '--platform=linux/amd64', app(host), `${out}/files.tar`]],
  ['a validation', ({ host }) => ['validate', '--remote', app(host)]],
  ['a copy to another registry', ({ host, target }) => ['copy', app(host), `${target}/crane:1.0`]],
  ['a copy of a child', ({ host, target }) => ['copy', childOf(host), `${target}/crane:child`]],
  ['a tag that is missing', ({ host }) => ['manifest', `${host}/team/app:none`]],
  ['a digest that is missing', ({ host }) => ['manifest', `${host}/team/app@${absent}`]],
  ['a repository that is missing', ({ host }) => ['digest', `${host}/team/none:1.0`]],
  ['a blob that is missing', ({ host }) => ['blob', `${host}/team/app@${absent}`]],
  ['a blob of another repository', ({ host }) => ['blob', `${host}/charts/none@${child.layers[0]?.digest}`]],
  ['tags of a repository that is missing', ({ host }) => ['ls', `${host}/team/none`]],
  ['a platform that is missing', ({ host }) => ['manifest', '--platform=linux/s390x', app(host)]],
];

const REGCTL: readonly Row[] = [
  ['a manifest as it is', ({ host }) => ['manifest', 'get', '--format=raw-body', app(host)]],
  ['a manifest by digest', ({ host }) => ['manifest', 'get', '--format=raw-body', byDigest(host)]],
  [
    'a manifest of one platform',
    ({ host }) => ['manifest', 'get', '-p', 'linux/arm64', '--format=raw-body', app(host)],
  ],
  ['the head of a manifest', ({ host }) => ['manifest', 'head', app(host)]],
  ['the head of a manifest of one platform', ({ host }) => ['manifest', 'head', '-p', 'linux/amd64', app(host)]],
  ['a digest', ({ host }) => ['image', 'digest', app(host)]],
  ['an image, inspected', ({ host }) => ['image', 'inspect', '-p', 'linux/amd64', app(host)]],
  ['the head of a blob', ({ host }) => ['blob', 'head', `${host}/team/app`, child.config.digest]],
  ['a blob', ({ host }) => ['blob', 'get', `${host}/team/app`, child.config.digest]],
  [
    'a file of an image',
    ({ host }) => ['image', 'get-file', '-p', 'linux/amd64', app(host), '/usr/share/layer-0/payload'],
  ],
  ['tags', ({ host }) => ['tag', 'ls', `${host}/team/app`]],
  ['tags that match', ({ host }) => ['tag', 'ls', '--include', '1.*', `${host}/team/app`]],
  ['repositories', ({ host }) => ['repo', 'ls', host]],
  ['a copy into a layout', ({ host, out }) => ['image', 'copy', app(host), `ocidir://${out}/layout:1.0`]],
  ['an export', ({ host, out }) => ['image', 'export', app(host), `${out}/image.tar`]],
  ['a copy to another registry', ({ host, target }) => ['image', 'copy', app(host), `${target}/regctl:1.0`]],
  ['a copy by digest', ({ host, target }) => ['image', 'copy', byDigest(host), `${target}/regctl:digest`]],
  ['a copy with referrers', ({ host, target }) => ['image', 'copy', '--referrers', app(host), `${target}/regctl:more`]],
  ['referrers', ({ host }) => ['artifact', 'list', app(host)]],
  ['a tree of referrers', ({ host }) => ['artifact', 'tree', app(host)]],
  ['a tag that is missing', ({ host }) => ['manifest', 'get', `${host}/team/app:none`]],
  ['the head of a tag that is missing', ({ host }) => ['manifest', 'head', `${host}/team/app:none`]],
  ['a digest that is missing', ({ host }) => ['manifest', 'get', `${host}/team/app@${absent}`]],
  ['a blob that is missing', ({ host }) => ['blob', 'get', `${host}/team/app`, absent]],
  ['tags of a repository that is missing', ({ host }) => ['tag', 'ls', `${host}/team/none`]],
];

/** oras copies an image into a layout. */
function intoLayout(from: string, out: string, ...options: readonly string[]): readonly string[] {
  return ['cp', ...options, '--no-tty', '--from-plain-http', '--to-oci-layout', from, `${out}/layout:1.0`];
}

const ORAS: readonly Row[] = [
  ['a manifest', ({ host }) => ['manifest', 'fetch', '--plain-http', app(host)]],
  ['a manifest by digest', ({ host }) => ['manifest', 'fetch', '--plain-http', byDigest(host)]],
  [
    'a manifest of one platform',
    ({ host }) => ['manifest', 'fetch', '--plain-http', '--platform=linux/arm64', app(host)],
  ],
  ['a descriptor', ({ host }) => ['manifest', 'fetch', '--plain-http', '--descriptor', app(host)]],
  ['a configuration', ({ host }) => ['manifest', 'fetch-config', '--plain-http', '--platform=linux/amd64', app(host)]],
  ['a blob', ({ host }) => ['blob', 'fetch', '--plain-http', '--output=-', `${host}/team/app@${child.config.digest}`]],
  [
    'the descriptor of a blob',
    ({ host }) => ['blob', 'fetch', '--plain-http', '--descriptor', `${host}/team/app@${child.config.digest}`],
  ],
  ['a digest', ({ host }) => ['resolve', '--plain-http', app(host)]],
  ['tags', ({ host }) => ['repo', 'tags', '--plain-http', `${host}/team/app`]],
  ['repositories', ({ host }) => ['repo', 'ls', '--plain-http', host]],
  [
    'a pull of an artifact',
    ({ host, out }) => ['pull', '--plain-http', '--no-tty', `--output=${out}`, `${host}/team/artifact:1.0`],
  ],
  ['a discovery', ({ host }) => ['discover', '--plain-http', '--format=json', `${host}/team/artifact:1.0`]],
  [
    'a discovery of one type',
    ({ host }) => [
      'discover',
      '--plain-http',
      '--format=json',
      '--artifact-type=application/vnd.example.note',
      `${host}/team/artifact:1.0`,
    ],
  ],
  ['a discovery without result', ({ host }) => ['discover', '--plain-http', '--format=json', app(host)]],
  ['a copy into a layout', ({ host, out }) => intoLayout(app(host), out)],
  ['a copy of one platform', ({ host, out }) => intoLayout(app(host), out, '--platform=linux/amd64')],
  ['a copy with referrers', ({ host, out }) => intoLayout(`${host}/team/artifact:1.0`, out, '-r')],
  [
    'a copy to another registry',
    ({ host, target }) => ['cp', '--no-tty', '--from-plain-http', '--to-plain-http', app(host), `${target}/oras:1.0`],
  ],
  [
    'a backup with referrers',
    ({ host, out }) => [
      'backup',
      '--no-tty',
      '--plain-http',
      '--include-referrers',
      `--output=${out}/backup`,
      `${host}/team/artifact:1.0`,
    ],
  ],
  ['a tag that is missing', ({ host }) => ['manifest', 'fetch', '--plain-http', `${host}/team/app:none`]],
  ['a digest that is missing', ({ host }) => ['manifest', 'fetch', '--plain-http', `${host}/team/app@${absent}`]],
  [
    'an artifact that is missing',
    ({ host, out }) => ['pull', '--plain-http', '--no-tty', `--output=${out}`, `${host}/team/none:1.0`],
  ],
  [
    'a blob that is missing',
    ({ host }) => ['blob', 'fetch', '--plain-http', '--output=-', `${host}/team/app@${absent}`],
  ],
  ['tags of a repository that is missing', ({ host }) => ['repo', 'tags', '--plain-http', `${host}/team/none`]],
];

const signed = (host: string): string => `${host}/team/signed:1.0`;
/** Where cosign keeps what belongs to an image: tags of its own, which no list of referrers has. */
const cosignTag = (suffix: string): string => `${image.index.digest.replace(':', '-')}.${suffix}`;
const COSIGN_TAGS = {
  sig: 'application/vnd.dev.cosign.simplesigning.v1+json',
  att: 'application/vnd.dsse.envelope.v1+json',
  sbom: 'text/spdx+json',
};

const SIGNED: readonly Row[] = [
  ['a discovery', ({ host }) => ['discover', '--plain-http', '--format=json', signed(host)]],
  ['tags', ({ host }) => ['repo', 'tags', '--plain-http', `${host}/team/signed`]],
  [
    'tags without those of digests',
    ({ host }) => ['repo', 'tags', '--plain-http', '--exclude-digest-tags', `${host}/team/signed`],
  ],
  ...Object.keys(COSIGN_TAGS).map(
    (suffix): Row => [
      `the manifest under .${suffix}`,
      ({ host }) => ['manifest', 'fetch', '--plain-http', `${host}/team/signed:${cosignTag(suffix)}`],
    ],
  ),
  [
    'a signature',
    ({ host, out }) => [
      'pull',
      '--plain-http',
      '--no-tty',
      `--output=${out}`,
      `${host}/team/signed:${cosignTag('sig')}`,
    ],
  ],
  ['a copy with referrers into a layout', ({ host, out }) => intoLayout(signed(host), out, '-r')],
  [
    'a copy with referrers to another registry',
    ({ host, target }) => [
      'cp',
      '-r',
      '--no-tty',
      '--from-plain-http',
      '--to-plain-http',
      signed(host),
      `${target}/signed:1.0`,
    ],
  ],
  [
    'a backup of a tag',
    ({ host, out }) => [
      'backup',
      '--no-tty',
      '--plain-http',
      '--include-referrers',
      `--output=${out}/backup`,
      signed(host),
    ],
  ],
  [
    'a backup of the repository',
    ({ host, out }) => [
      'backup',
      '--no-tty',
      '--plain-http',
      '--include-referrers',
      `--output=${out}/backup`,
      `${host}/team/signed`,
    ],
  ],
];

const HELM: readonly Row[] = [
  [
    'a chart',
    ({ host, out }) => ['pull', '--plain-http', '--version=0.1.0', `--destination=${out}`, `oci://${host}/charts/demo`],
  ],
  [
    'the newest chart',
    ({ host, out }) => ['pull', '--plain-http', `--destination=${out}`, `oci://${host}/charts/demo`],
  ],
  ['what a chart says of itself', ({ host }) => ['show', 'chart', '--plain-http', `oci://${host}/charts/demo`]],
  ['a chart, rendered', ({ host }) => ['template', 'demo', '--plain-http', `oci://${host}/charts/demo`]],
  [
    'a version that is missing',
    ({ host, out }) => ['pull', '--plain-http', '--version=9.9.9', `--destination=${out}`, `oci://${host}/charts/demo`],
  ],
  [
    'a chart that is missing',
    ({ host, out }) => ['pull', '--plain-http', '--version=0.1.0', `--destination=${out}`, `oci://${host}/charts/none`],
  ],
];

/**
 * Each command runs twice, against a registry and against the mirror of it. Exit code, standard output, files written, what arrives
 * at a registry it copies to, and the kind of error must be the same.
 */
describe('clients written in Go', needs('docker-registry', 'skopeo'), () => {
  let workspace: Workspace;
  let registry: DockerRegistry;
  let target: DockerRegistry;
  let mirror: string;

  before(async () => {
    workspace = await Workspace.open();
    registry = await startDockerRegistry(workspace);
    target = await startDockerRegistry(workspace);
    mirror = await mirrorOf(registry.url);
    await registry.push(image, 'team/app:1.0');
    await registry.push(image, 'team/app:1.1');
    // An OCI layout holds no Docker manifests: skopeo makes them on the way.
    const [from, to] = [`docker://${app(registry.host)}`, `docker://${registry.host}/team/legacy:1.0`];
    await skopeo('copy', '--all', '--format=v2s2', '--src-tls-verify=false', '--dest-tls-verify=false', from, to);
  });
  after(() => workspace.close());

  async function mirrorOf(url: string): Promise<string> {
    const entrepot = await startEntrepot(workspace, {
      known_registries: false,
      default_registry: 'apps',
      registries: { apps: { upstreams: [url] } },
    });
    return entrepot.host;
  }

  /** Tools keep logins and caches in the home directory: they get an empty one. */
  function environment(): NodeJS.ProcessEnv {
    return { ...process.env, HOME: workspace.path('home'), NO_COLOR: '1' };
  }

  async function outcome(
    tool: GoToolName,
    [, command]: Row,
    { host, id }: { host: string; id: string },
  ): Promise<Outcome> {
    const out = workspace.path('out', id);
    await mkdir(out, { recursive: true });
    const copies = `${target.host}/${id}`;
    const words = command({ host, out, target: copies });
    const insecure = {
      crane: ['--insecure'],
      regctl: [host, target.host].flatMap((each) => ['--host', `reg=${each},tls=disabled`]),
    } as Partial<Record<GoToolName, readonly string[]>>;
    const result = await run([goTool(tool), ...words, ...(insecure[tool] ?? [])], {
      env: environment(),
      timeout: 60_000,
    });
    const tidy = (text: string): string =>
      text
        .replaceAll(copies, 'TARGET')
        .replaceAll(host, 'HOST')
        .replaceAll(out, 'OUT')
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z|\b[\d.]+m?s\b/g, 'TIME')
        .replaceAll(MIRROR_HEADERS, '');
    // Transfers run beside one another, and their lines come in any order.
    const isCopy = words.some((word) => word.includes(out) || word.includes(copies));
    const stdout = tidy(result.stdout);
    const files = await filesUnder(out);
    await rm(out, { recursive: true });
    return {
      code: result.code,
      stdout: isCopy ? stdout.split('\n').sort().join('\n') : stdout,
      kind: result.code === 0 ? '' : tidy(kindOf(result)),
      // An archive and the index of a layout name where the image came from.
      files: files.map(
        ([path, bytes]) => `${tidy(path)} ${digestOf(Buffer.from(sorted(path, tidy(bytes.toString('latin1')))))}`,
      ),
      copied: await copiedTo(id),
    };
  }

  /** Tags and digests that a command brought to the other registry. */
  async function copiedTo(id: string): Promise<string[]> {
    const { repositories } = (await (await fetch(`${target.url}/v2/_catalog?n=1000`)).json()) as {
      repositories: string[];
    };
    const ours = repositories.filter((repository) => repository.startsWith(`${id}/`));
    const lists = ours.map(async (repository) => {
      const { tags } = (await (await fetch(`${target.url}/v2/${repository}/tags/list`)).json()) as {
        tags: string[] | null;
      };
      return Promise.all(
        (tags ?? []).sort().map(async (tag) => {
          const headers = { accept: [image.index.mediaType, child.manifest.mediaType].join(', ') };
          const answer = await fetch(`${target.url}/v2/${repository}/manifests/${tag}`, { headers });
          return `${repository.slice(id.length)}:${tag} ${digestOf(Buffer.from(await answer.arrayBuffer()))}`;
        }),
      );
    });
    return (await Promise.all(lists)).flat();
  }

  /** Compares each command of a table. Cold and warm: what came from the upstream, and what comes from the cache. */
  function compare(
    tool: GoToolName,
    rows: readonly Row[],
    { hosts }: { hosts: () => { straight: string; mirrored: string } },
  ): void {
    for (const row of rows) {
      const [title] = row;
      test(title, async () => {
        const { straight, mirrored } = hosts();
        const id = `${tool}-${title.replaceAll(/\W+/g, '-').toLowerCase()}`;
        const expected = await outcome(tool, row, { host: straight, id: `${id}/straight` });
        for (const time of ['cold', 'warm']) {
          const found = await outcome(tool, row, { host: mirrored, id: `${id}/${time}` });
          assert.deepEqual(found, expected, time);
        }
      });
    }
  }

  const onRegistry = { hosts: () => ({ straight: registry.host, mirrored: mirror }) };

  describe('crane', needsGoTools('crane'), () => compare('crane', CRANE, onRegistry));

  describe('regctl', needsGoTools('regctl'), () => compare('regctl', REGCTL, onRegistry));

  describe('oras', needsGoTools('oras'), () => {
    before(async () => {
      await workspace.file('artifact/a.txt', 'a\n');
      await workspace.file('artifact/b.txt', 'b\n');
      const name = `${registry.host}/team/artifact:1.0`;
      // In the directory of the files: their paths become their names.
      const oras = (...args: string[]): Promise<string> =>
        check(['sh', '-c', 'cd "$0" && exec "$@"', workspace.path('artifact'), goTool('oras'), ...args]);
      await oras('push', '--plain-http', '--no-tty', '--artifact-type=application/vnd.example', name, 'a.txt', 'b.txt');
      // docker-registry does not list referrers: the client keeps a list of them under the fallback tag.
      for (const type of ['application/vnd.example.note', 'application/vnd.example.sbom'])
        await oras('attach', '--plain-http', '--no-tty', `--artifact-type=${type}`, name, 'a.txt');
    });
    compare('oras', ORAS, onRegistry);

    describe('of an image that cosign signed', () => {
      before(async () => {
        await registry.push(image, 'team/signed:1.0');
        const repository = `${registry.host}/team/signed`;
        const directory = workspace.path('artifact');
        const oras = (...args: string[]): Promise<string> =>
          check(['sh', '-c', 'cd "$0" && exec "$@"', directory, goTool('oras'), ...args]);
        await workspace.file('artifact/config.json', '{"architecture":"","os":"","config":{}}');
        const config = '--config=config.json:application/vnd.oci.image.config.v1+json';
        for (const [suffix, type] of Object.entries(COSIGN_TAGS)) {
          await workspace.file(`artifact/${suffix}.json`, JSON.stringify({ of: image.index.digest, suffix }));
          const tag = `${repository}:${cosignTag(suffix)}`;
          await oras('push', '--plain-http', '--no-tty', config, tag, `${suffix}.json:${type}`);
        }
        const type = '--artifact-type=application/vnd.example.note';
        await oras('attach', '--plain-http', '--no-tty', type, `${repository}:1.0`, 'a.txt');
      });
      compare('oras', SIGNED, onRegistry);

      test('lists what is attached, and none of cosign’s', async () => {
        const arguments_ = ['discover', '--plain-http', '--format=json', signed(mirror)];
        const found = JSON.parse(await check([goTool('oras'), ...arguments_], { env: environment() })) as {
          referrers: { artifactType: string }[];
        };
        assert.deepEqual(
          found.referrers.map(({ artifactType }) => artifactType),
          ['application/vnd.example.note'],
        );
      });
    });
  });

  describe('helm', needsGoTools('helm'), () => {
    before(async () => {
      await workspace.file('demo/Chart.yaml', 'apiVersion: v2\nname: demo\nversion: 0.1.0\n');
      await workspace.file('demo/templates/map.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo}\n');
      const env = environment();
      await check([goTool('helm'), 'package', workspace.path('demo'), '--destination', workspace.dir], { env });
      await check(
        [goTool('helm'), 'push', '--plain-http', workspace.path('demo-0.1.0.tgz'), `oci://${registry.host}/charts`],
        { env },
      );
    });
    compare('helm', HELM, onRegistry);
  });

  describe('a registry that lists referrers itself', needsGoTools('oras', 'regctl'), () => {
    let hosts = { straight: '', mirrored: '' };
    before(async () => {
      const upstream = await startScriptedUpstream({ personality: 'plain' });
      workspace.defer(() => upstream.stop());
      upstream.add(image, 'team/app', ['1.0']);
      const sbom = buildReferrer(image.index, { artifactType: 'application/vnd.example.sbom' });
      for (const blob of sbom.blobs) upstream.library.addBlob('team/app', blob);
      upstream.library.addManifest('team/app', sbom.manifest);
      hosts = { straight: upstream.host, mirrored: await mirrorOf(upstream.url) };
    });
    const referrers = (rows: readonly Row[]): readonly Row[] => rows.filter(([title]) => /referrers/.test(title));
    compare('regctl', referrers(REGCTL), { hosts: () => hosts });
    compare(
      'oras',
      [
        ['a discovery', ({ host }) => ['discover', '--plain-http', '--format=json', app(host)]],
        ['a copy with them', ({ host, out }) => intoLayout(app(host), out, '-r')],
      ],
      { hosts: () => hosts },
    );
  });
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly kind: string;
  readonly files: readonly string[];
  readonly copied: readonly string[];
}

/** What went wrong, in the words all these clients share: the code of the error, or the status. Their sentences name URLs. */
function kindOf({ stdout, stderr }: RunResult): string {
  const text = stdout + stderr;
  const code = /\b(?:manifest|name|blob|tag|digest)[_ ](?:unknown|invalid)\b/i
    .exec(text)?.[0]
    .replace(' ', '_')
    .toUpperCase();
  const status = /\b(?:40\d|50\d|unsupported|not found)\b/i.exec(text)?.[0]?.toLowerCase();
  return code ?? status ?? text.trim().split('\n').at(-1) ?? '';
}

/** The index of a layout lists manifests in the order in which they arrived. */
function sorted(path: string, text: string): string {
  if (!path.endsWith('/index.json')) return text;
  const { manifests, ...index } = JSON.parse(text) as { manifests: unknown[] };
  return JSON.stringify({ ...index, manifests: manifests.map((each) => JSON.stringify(each)).sort() });
}

/** Every file below a directory with its content, sorted. */
async function filesUnder(directory: string): Promise<[string, Buffer][]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.sort().map(async (file): Promise<[string, Buffer]> => [file, await readFile(file)]));
}
