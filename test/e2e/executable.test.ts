import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import bcrypt from 'bcryptjs';
import { buildImage } from '../support/image.ts';
import { check, needs, type RunningProcess, Workspace } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

describe('the single executable', () => {
  let workspace: Workspace;
  before(async () => {
    workspace = await Workspace.open();
    await build(process.arch);
  });
  after(() => workspace.close());

  async function build(architecture: string): Promise<void> {
    await check(
      ['sh', `${root}bin/pinned-node`, `${root}scripts/executable.ts`, '--arch', architecture, '--out', workspace.dir],
      { timeout: 300_000 },
    );
  }

  function executable(architecture: string = process.arch): string {
    return workspace.path(`entrepot-linux-${architecture}`);
  }

  /** Without anything of this checkout: no Node on the PATH, and another working directory. */
  function serve(config: Readonly<Record<string, unknown>>): Promise<RunningProcess> {
    const env = { PATH: '/nowhere', HOME: workspace.dir, ENTREPOT_CONFIG: JSON.stringify(config) };
    return workspace.start(['/usr/bin/env', '--chdir', workspace.dir, executable(), 'serve'], {
      env,
      ready: ({ lines }) => lines().some((line) => line.includes('"listening"')),
    });
  }

  test('says its version and build, and lies beside its hash, licences and parts list', async () => {
    const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { version: string };
    const said = await check([executable(), '--version'], { env: { HOME: workspace.dir } });
    assert.match(said, new RegExp(`^entrepot ${version.replaceAll('.', '\\.')} \\(commit \\w+, built 2`));
    const hash = createHash('sha256')
      .update(await readFile(executable()))
      .digest('hex');
    assert.equal(await readFile(`${executable()}.sha256`, 'utf8'), `${hash}  entrepot-linux-${process.arch}\n`);
    const licences = await readFile(workspace.path('THIRD-PARTY-LICENSES'), 'utf8');
    for (const each of ['Node.js ', 'zod ', 'commander ', 'bcryptjs ']) assert.ok(licences.includes(each), each);
    const parts = JSON.parse(await readFile(workspace.path('sbom.cdx.json'), 'utf8')) as {
      readonly bomFormat: string;
      readonly components: readonly { readonly name: string; readonly version: string }[];
    };
    assert.equal(parts.bomFormat, 'CycloneDX');
    const names = parts.components.map(({ name, version }) => `${name} ${version}`).sort();
    // As the licences have it: each package that is in the file, and no other platform's.
    const heads = licences.split(`${'-'.repeat(80)}\n\n`).map((text) => text.slice(0, text.indexOf('\n')));
    const held = heads.filter((head) => /^\S+ \d+\.\d+\.\d+$/.test(head));
    const node = `node-linux-${process.arch} ${held.find((name) => name.startsWith('Node.js '))?.slice(8)}`;
    assert.deepEqual(names, [...held.filter((name) => !name.startsWith('Node.js ')), node].sort());
  });

  test('mirrors images from one file, and starts again after a crash', needs('strace'), async () => {
    const image = buildImage({ seed: 'single executable', layers: [3 * 1024 * 1024], architectures: ['amd64'] });
    await using upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    upstream.add(image, 'library/app', ['1']);
    const config = {
      listen: '127.0.0.1:0',
      log: { format: 'json' },
      cache: { dir: workspace.path('cache') },
      registries: { 'docker.io': { upstreams: [upstream.url] } },
      access: {
        htpasswd: await workspace.file('htpasswd', `alice:${bcrypt.hashSync('correct horse', 4)}\n`),
        rules: [{ who: ['anonymous', 'alice'], may: ['pull'], on: ['docker.io/**'] }],
      },
    };
    const layer = image.blobs.find(({ bytes }) => bytes.length > 1024 * 1024);
    assert.ok(layer);
    const addressOf = (server: RunningProcess): string =>
      (JSON.parse(server.lines()[0] ?? '{}') as { address: string }).address;
    const logIn = async (server: RunningProcess, password: string): Promise<number> => {
      const authorization = `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`;
      return (await fetch(`http://${addressOf(server)}/v2/`, { headers: { authorization } })).status;
    };
    const pull = async (server: RunningProcess): Promise<void> => {
      const address = addressOf(server);
      const manifest = await fetch(`http://${address}/v2/library/app/manifests/1`);
      assert.equal(manifest.status, 200);
      const blob = await fetch(`http://${address}/v2/library/app/blobs/${layer.digest}`);
      assert.ok(layer.bytes.equals(Buffer.from(await blob.arrayBuffer())));
    };
    const first = await serve(config);
    await pull(first);
    // Hashed in a thread, whose program comes from the executable.
    assert.deepEqual([await logIn(first, 'correct horse'), await logIn(first, 'wrong')], [200, 401]);
    first.kill('SIGKILL');
    await first.exited;
    // The start after a crash checks the database in a thread, whose program comes from the executable too.
    const second = await serve(config);
    const trace = workspace.path('trace');
    const tracing = await workspace.start(
      ['strace', '--follow-forks', '--trace=sendfile', '--output', trace, '--attach', String(second.pid)],
      { ready: ({ output }) => output().includes('attached') },
    );
    await pull(second);
    await pull(second);
    await tracing.stop();
    assert.match(await readFile(trace, 'utf8'), /sendfile\(/, 'warm blobs are sent by the kernel, as node:ffi works');
    assert.equal(await second.stop(), 0);
    const problems = second.lines().filter((line) => /"level":"(warn|error)"/.test(line));
    assert.deepEqual(problems, []);
  });

  test('runs on arm64', { ...needs('qemu-aarch64-static'), timeout: 300_000 }, async () => {
    await build('arm64');
    const emulator = ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu'];
    const said = await check([...emulator, executable('arm64'), '--version'], { env: { HOME: workspace.dir } });
    assert.match(said, /^entrepot \d/);
  });
});
