import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { type ClientInstructions, LANGUAGES, type ServerAddress } from './client.ts';
import { CLIENTS } from './clients.ts';
import { nodesUndoManifest } from './kubernetes.ts';
import { clientSetups } from './setups.ts';

const server: ServerAddress = { host: 'm.example:5000', url: 'http://m.example:5000', defaultRegistry: 'docker.io' };

function setupOf(client: string, more: Partial<ServerAddress> = {}): ClientInstructions {
  const setup = clientSetups({ ...server, ...more }).find((each) => each.client === client);
  return setup?.instructions ?? assert.fail(client);
}

function textOf(client: string, more: Partial<ServerAddress> = {}): string {
  return setupOf(client, more).commands?.join('\n') ?? assert.fail(client);
}

describe('clientSetups()', () => {
  test('shows the forward proxy and its authority only where the server has them', () => {
    const shown = (more: Partial<ServerAddress>) => clientSetups({ ...server, ...more }).length;
    assert.equal(shown({}), 9);
    assert.equal(shown({ forward: { credential: false, mitm: false } }), 10);
    assert.equal(shown({ forward: { credential: false, mitm: true } }), CLIENTS.length);
  });

  for (const [name, forward, address] of [
    ['at the same port', { credential: false }, 'http://m.example:5000'],
    ['at a port of its own', { credential: true, port: 3128 }, 'http://USER:PASSWORD@m.example:3128'],
    ['by TLS', { credential: false, port: 3129, secure: true }, 'https://m.example:3129'],
  ] as const) {
    test(`names the forward proxy ${name}`, () => {
      const text = textOf('forward proxy', { forward: { mitm: false, ...forward } });
      assert.equal(text, `export HTTPS_PROXY=${address} HTTP_PROXY=${address}`);
    });
  }

  test('tells what to run after the file is written', () => {
    const { files, restart } = setupOf('docker daemon');
    assert.equal(files?.[0]?.path, '/etc/docker/daemon.json');
    assert.equal(restart, 'systemctl reload docker');
  });

  test('leads each client to a file that it reads, with what makes it read the file', () => {
    const paths = (client: string) => setupOf(client).files?.map(({ path }) => path);
    // k3s writes the configuration of its containerd itself, and does not look at /etc/containerd.
    assert.deepEqual(paths('k3s'), ['/etc/rancher/k3s/registries.yaml']);
    const containerd = setupOf('containerd').files ?? [];
    assert.deepEqual(
      containerd.filter(({ content }) => content.includes('config_path')).map(({ where }) => where?.en),
      ['containerd 2', 'containerd 1'],
    );
    assert.match(setupOf('buildkit').files?.[0]?.content ?? '', /\[registry\."m\.example:5000"\]\n {2}http = true$/);
    const secure = setupOf('buildkit', { host: 'm.example', url: 'https://m.example' }).files?.[0]?.content;
    assert.equal(
      secure,
      '[registry."docker.io"]\n  mirrors = ["m.example/docker.io"]\n\n[registry."ghcr.io"]\n  mirrors = ["m.example/ghcr.io"]',
    );
  });

  test('YAML files are YAML, and the DaemonSet writes the very file of containerd', () => {
    const { mirrors } = parse(setupOf('k3s').files?.[0]?.content ?? '');
    assert.deepEqual(mirrors, { '*': { endpoint: ['http://m.example:5000'] } });
    const content = setupOf('kubernetes nodes').files?.[0]?.content ?? '';
    const [config, daemonSet] = parseAllDocuments(content).map((each) => each.toJS());
    const hosts = `${setupOf('containerd').files?.[0]?.content}\n`;
    assert.equal(config.data['hosts.toml'], `# Written by entrepot.\n${hosts}`);
    assert.equal(daemonSet.spec.template.spec.volumes[0].hostPath.path, '/etc/containerd/certs.d');
    const undo = parse(nodesUndoManifest({}));
    assert.equal(undo.metadata.name, daemonSet.metadata.name);
    // A change of the files has to run the pods again.
    const other = setupOf('kubernetes nodes', { url: 'https://other.example' }).files?.[0]?.content ?? '';
    const hashOf = (text: string): string => /entrepot\/content: "(\w+)"/.exec(text)?.[1] ?? assert.fail(text);
    assert.notEqual(hashOf(other), hashOf(content));
  });

  for (const { client, title, instructions } of clientSetups({
    ...server,
    forward: { credential: true, mitm: true },
  })) {
    test(`${client}: every text is there in both languages, with the same code`, () => {
      const texts = [title, ...instructions.notes, ...(instructions.files ?? []).flatMap(({ where }) => where ?? [])];
      for (const text of texts) {
        for (const language of LANGUAGES) assert.notEqual(text[language].trim(), '');
        const code = ({ en, zh }: typeof text) => [en, zh].map((each) => each.match(/`[^`]+`/g)?.sort());
        const [english, chinese] = code(text);
        assert.deepEqual(chinese, english);
      }
      for (const { zh } of instructions.notes) assert.match(zh, /\p{Script=Han}/u);
    });
  }
});
