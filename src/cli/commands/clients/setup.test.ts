import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { writeAuthority } from '../../../forward/index.ts';
import { run } from '../../program.ts';
import type { SetupOptions, SetupSurroundings } from './options.ts';
import { setup } from './setup.ts';

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function command(...argv: readonly string[]): Promise<Result> {
  const { output, said: result } = captureOutput();
  return { code: await run(['setup', ...argv], { output }), ...result };
}

async function direct(options: Omit<SetupOptions, 'flags'>, surroundings: SetupSurroundings): Promise<Result> {
  const { output, said: result } = captureOutput();
  return { code: await setup({ flags: {}, ...options }, { output, ...surroundings }), ...result };
}

/** As a user who may write nothing here; the tests may run as root, who may write everywhere. */
async function withoutRoot<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.setegid?.(65_534);
  process.seteuid?.(65_534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

function rootWith(context: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'entrepot-setup-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const DAEMON = '/etc/docker/daemon.json';
const SERVER = ['--server', 'https://m.example'];

describe('entrepot setup', () => {
  test('shows the change and writes nothing; --apply writes it; --undo brings back what was before', async (context) => {
    const root = rootWith(context, { [DAEMON]: '{"debug": true}\n' });
    const shown = await command('docker', '--root', root, ...SERVER);
    assert.equal(shown.code, 0);
    assert.equal(
      shown.out,
      `--- ${DAEMON}\n+++ ${DAEMON}\n@@ -1,1 +1,1 @@\n-{"debug": true}\n+{"debug": true, "registry-mirrors": ["https://m.example"]}\n`,
    );
    assert.match(shown.err, /Nothing was written\. Add --apply to write it\./);
    assert.equal(readFileSync(join(root, DAEMON), 'utf8'), '{"debug": true}\n');

    const applied = await command('docker', '--root', root, ...SERVER, '--apply');
    assert.equal(applied.out, shown.out);
    assert.match(applied.err, /Written\. To take it back: entrepot setup docker --undo/);
    assert.match(readFileSync(join(root, DAEMON), 'utf8'), /m\.example/);
    assert.match(
      (await command('docker', '--root', root, ...SERVER, '--apply')).err,
      /Nothing has to change: docker is set up/,
    );

    const dry = await command('docker', '--root', root, '--undo', '--dry-run');
    assert.match(dry.out, /^\+\{"debug": true\}$/m);
    assert.match(readFileSync(join(root, DAEMON), 'utf8'), /m\.example/);
    const undone = await command('docker', '--root', root, '--undo');
    assert.equal(undone.code, 0, undone.err);
    assert.equal(readFileSync(join(root, DAEMON), 'utf8'), '{"debug": true}\n');
    assert.match((await command('docker', '--root', root, '--undo')).err, /Nothing to undo/);
  });

  test('--undo asks where the file has been changed since, and without a terminal wants --force', async (context) => {
    const root = rootWith(context, { [DAEMON]: '{}' });
    const changed = async (): Promise<void> => {
      await command('docker', '--root', root, ...SERVER, '--apply');
      writeFileSync(join(root, DAEMON), '{"mine": 1}');
    };
    await changed();
    const questions: string[] = [];
    const undo = { client: 'docker', root, undo: true } as const;
    const refused = await direct(undo, { ask: async (question) => questions.push(question) < 0 });
    assert.equal(refused.code, 1);
    assert.match(refused.err, /has been changed since; undoing it also removes that change/);
    assert.match(refused.out, /^-\{"mine": 1\}$/m);
    assert.deepEqual(questions, ['Undo it all the same?']);
    const alone = await command('docker', '--root', root, '--undo');
    assert.equal(alone.code, 1);
    assert.match(alone.err, /Nothing was written\. Add --force to undo it all the same/);
    assert.equal(readFileSync(join(root, DAEMON), 'utf8'), '{"mine": 1}');
    assert.equal((await direct(undo, { ask: () => Promise.resolve(true) })).code, 0);
    assert.equal(readFileSync(join(root, DAEMON), 'utf8'), '{}');
    await changed();
    assert.equal((await command('docker', '--root', root, '--undo', '--force')).code, 0);
    assert.equal(readFileSync(join(root, DAEMON), 'utf8'), '{}');
  });

  test('leaves alone what it does not understand, says what to do, and exits with 1', async (context) => {
    const root = rootWith(context, { [DAEMON]: '{\n  // mine\n}' });
    const { code, out, err } = await command('docker', '--root', root, ...SERVER, '--apply');
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /daemon\.json is not valid JSON: .* at position .*\nnote: [\s\S]*Nothing was written\.\n$/);
    assert.equal(readFileSync(join(root, DAEMON), 'utf8'), '{\n  // mine\n}');
  });

  test('prints JSON', async (context) => {
    const root = rootWith(context);
    const plan = JSON.parse((await command('containerd', '--root', root, ...SERVER, '--json')).out);
    assert.equal(plan.applied, false);
    assert.deepEqual(
      plan.files.map(({ path, action }: { path: string; action: string }) => `${action} ${path}`),
      ['create /etc/containerd/certs.d/_default/hosts.toml', 'create /etc/containerd/config.toml'],
    );
    assert.equal(plan.restart, 'systemctl restart containerd');
    assert.equal(
      JSON.parse((await command('containerd', '--root', root, ...SERVER, '--json', '--apply')).out).applied,
      true,
    );
    const undone = JSON.parse((await command('containerd', '--root', root, '--undo', '--json')).out);
    assert.deepEqual([undone.undone, undone.files.length, undone.files[0].changed_since], [true, 2, false]);
  });

  test('without a client, lists those of the machine', async (context) => {
    const root = rootWith(context, { [DAEMON]: '{"registry-mirrors": ["https://m.example"]}', '/etc/crio/x': '' });
    const { out, code } = await command('--root', root, ...SERVER);
    assert.equal(code, 0);
    assert.match(out, /^docker +yes +configured$/m);
    assert.match(out, /^cri-o +yes +not configured +\/etc\/containers\/registries\.conf\.d\/50-entrepot\.conf$/m);
    assert.match(out, /^k3s +no +not configured/m);
    const { clients } = JSON.parse((await command('--root', root, ...SERVER, '--json')).out);
    assert.deepEqual(clients[0], { client: 'docker', installed: true, state: 'configured', changes: [] });
  });

  test('takes the address of the server from its configuration', async (context) => {
    const root = rootWith(context);
    const addressWith = async (config: object): Promise<string> => {
      writeFileSync(join(root, 'c.json'), JSON.stringify({ cache: 'off', ...config }));
      const { out, err } = await command('docker', '--root', root, '--config', join(root, 'c.json'), '--json');
      return out === '' ? err : JSON.parse(out).server;
    };
    assert.equal(await addressWith({}), 'http://127.0.0.1:5000');
    assert.equal(await addressWith({ listen: ['unix:/x', ':80'] }), 'http://127.0.0.1');
    assert.equal(await addressWith({ listen: '[::1]:7' }), 'http://[::1]:7');
    assert.equal(await addressWith({ public_url: 'https://m.example/' }), 'https://m.example');
    assert.match(
      await addressWith({ listen: 'unix:/x' }),
      /names no address that clients reach; name it with --server/,
    );
  });

  test('gives clients the certificate of a private authority, and never its key', async (context) => {
    const root = rootWith(context);
    const { certFile, keyFile } = await writeAuthority(join(root, 'ca'), { host: 'x' });
    const applied = await command('k3s', '--root', root, ...SERVER, '--ca', certFile, '--apply');
    assert.equal(applied.code, 0, applied.err);
    assert.equal(readFileSync(join(root, '/etc/rancher/k3s/entrepot-ca.crt'), 'utf8'), readFileSync(certFile, 'utf8'));
    const both = join(root, 'both.pem');
    writeFileSync(both, readFileSync(certFile, 'utf8') + readFileSync(keyFile, 'utf8'));
    assert.match((await command('k3s', '--root', root, ...SERVER, '--ca', both)).err, /has a private key/);
    assert.match(
      (await command('k3s', '--root', root, ...SERVER, '--ca', '/etc/hostname')).err,
      /no certificate in PEM/,
    );
    const plain = await command('k3s', '--root', root, '--server', 'http://m:1', '--ca', certFile);
    assert.match(plain.err, /--ca is for a server with TLS/);
  });

  test('kubernetes: prints a manifest, writes it with -o, and prints another that takes it back', async (context) => {
    const root = rootWith(context);
    const { out, err, code } = await command('kubernetes', ...SERVER);
    assert.equal(code, 0);
    assert.deepEqual(
      parseAllDocuments(out).map((each) => each.toJS().kind),
      ['ConfigMap', 'DaemonSet'],
    );
    assert.match(err, /Nothing on this machine was changed[\s\S]*kubectl apply -f -/);
    const file = join(root, 'x.yaml');
    assert.equal((await command('kubernetes', ...SERVER, '-o', file)).out, '');
    assert.equal(readFileSync(file, 'utf8'), out);
    const undo = await command('kubernetes', '--undo');
    assert.match(undo.out, /^kind: DaemonSet$[\s\S]*rm "\$file"/m);
    assert.match(undo.err, /kubectl delete daemonset,configmap entrepot-hosts/);
    const loopback = await command('kubernetes', '--server', 'http://127.0.0.1:5000');
    assert.equal(loopback.code, 1);
    assert.match(loopback.err, /nodes of a cluster cannot reach http:\/\/127\.0\.0\.1:5000/);
  });

  test('says what a user without the rights can do, and leaves no half of a change', async (context) => {
    const root = rootWith(context, { [DAEMON]: '{}' });
    for (const directory of ['', 'etc', 'etc/docker']) chmodSync(join(root, directory), 0o555);
    const applied = await withoutRoot(() => command('docker', '--root', root, ...SERVER, '--apply'));
    chmodSync(join(root, DAEMON), 0o600);
    const unread = await withoutRoot(() => command('docker', '--root', root, ...SERVER));
    for (const directory of ['', 'etc', 'etc/docker']) chmodSync(join(root, directory), 0o755);
    assert.equal(applied.code, 1);
    assert.match(applied.err, /needs more rights than this user has; run the command with sudo\. Nothing was changed/);
    assert.equal(readFileSync(join(root, DAEMON), 'utf8'), '{}');
    if (process.getuid?.() === 0) assert.match(unread.err, /daemon\.json needs more rights/);
  });

  for (const [argv, reason] of [
    [['dockr'], /Expected one of docker, containerd/],
    [['docker', '--apply', '--undo'], /cannot be used with option '--apply'/],
    [['docker', '--apply', '--dry-run'], /cannot be used with/],
    [['--apply'], /name the client to set up/],
    [['docker', '--restart'], /--restart goes with --apply or --undo/],
    [['docker', '--apply', '--restart', '--root', '/x'], /--restart is for the files of this machine/],
    [['docker', '--force'], /--force goes with --undo/],
    [['docker', '-o', 'x'], /--output is for kubernetes/],
    [['kubernetes', '--apply'], /kubectl apply -f -/],
    [['k3s', '--registries', '_default'], /which is \* for k3s/],
    [['podman', '--registries', '*,ghcr.io'], /podman needs them by name/],
    [['docker', '--root', '/nowhere'], /--root \/nowhere is no directory; name one that exists/],
    [['docker', '--registries', '../x'], /Found "\.\.\/x"; expected names such as/],
  ] as const) {
    test(`${argv.join(' ')} is a wrong command line`, async () => {
      const { code, err } = await command(...argv);
      assert.equal(code, 2);
      assert.match(err, reason);
    });
  }

  for (const server of ['m.example:5000', 'https://m.example/path', 'https://u:p@m.example', 'ftp://m.example']) {
    test(`${server} is no address of a server`, async (context) => {
      const { code, err } = await command('docker', '--root', rootWith(context), '--server', server);
      assert.equal(code, 2);
      assert.match(
        err,
        /^error: --server .* is no address; expected http:\/\/ or https:\/\/, a host and perhaps a port/,
      );
    });
  }
});
