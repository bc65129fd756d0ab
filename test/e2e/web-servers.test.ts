import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { makeCertificate, type TestCertificate } from '../support/certificates.ts';
import { inDirectory, skopeo, startNginx } from '../support/engines.ts';
import { buildImage } from '../support/image.ts';
import { check, freePort, type Need, needs, type RunningProcess, run, Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

/** A layer larger than every buffer of a web server. */
const image = buildImage({ seed: 'behind a web server', layers: [20 * 1024 * 1024, 1024], architectures: ['amd64'] });

const PACKED = gzipSync('packed by the site');

/** The files that docs/deployment/web-servers.md offers, each started as it is shipped but for addresses and certificates. */
const WEB_SERVERS: Readonly<
  Record<string, { readonly tool: Need; readonly start: (place: Place) => Promise<RunningProcess> }>
> = {
  'deploy/nginx/entrepot.conf': { tool: 'nginx', start: startShippedNginx },
  'deploy/caddy/Caddyfile': { tool: 'caddy', start: startShippedCaddy },
  'deploy/haproxy/haproxy.cfg': { tool: 'haproxy', start: startShippedHaproxy },
};

for (const [file, { tool, start }] of Object.entries(WEB_SERVERS))
  describe(file, needs(tool, 'skopeo', 'curl', 'openssl'), () => {
    let workspace: Workspace;
    let certificate: TestCertificate;
    let upstream: ScriptedUpstream;
    let site: Site;
    let entrepot: RunningEntrepot;
    let webServer: RunningProcess;
    let host: string;

    before(async () => {
      workspace = await Workspace.open();
      certificate = await makeCertificate(workspace, tool);
      upstream = await startScriptedUpstream({ personality: 'dockerHub' });
      workspace.defer(() => upstream.stop());
      upstream.add(image, 'library/app', ['latest']);
      site = await startSite();
      workspace.defer(async () => site[Symbol.asyncDispose]());
      const socket = workspace.path('entrepot.sock');
      const [https, http] = [await freePort(), await freePort()];
      host = `127.0.0.1:${https}`;
      entrepot = await startEntrepot(workspace, {
        listen: ['127.0.0.1:0', `unix:${socket}`],
        trusted_proxies: ['unix'],
        public_url: `https://${host}`,
        registries: { 'docker.io': { upstreams: [upstream.url] } },
        mirrors: [{ name: 'site', prefix: '/site', upstream: site.url }],
      });
      webServer = await start({ workspace, http, https, socket, certificate });
    });
    after(() => workspace.close());

    /** curl through the web server; returns its standard output. */
    function curl(...args: string[]): Promise<string> {
      const path = args.pop() ?? '/';
      return check([
        'curl',
        '--silent',
        '--show-error',
        '--path-as-is',
        '--cacert',
        certificate.caFile,
        ...args,
        `https://${host}${path}`,
      ]);
    }

    test('skopeo pulls through it, and no layer is buffered on its disk', async () => {
      const trusted = workspace.path('trusted');
      await mkdir(trusted);
      await copyFile(certificate.caFile, `${trusted}/ca.crt`);
      for (const time of ['cold', 'warm']) {
        const copy = workspace.path(time);
        const name = `docker://${host}/library/app:latest`;
        await skopeo('copy', '--all', '--preserve-digests', `--src-cert-dir=${trusted}`, name, `dir:${copy}`);
        assert.ok((await readFile(`${copy}/manifest.json`)).equals(image.index.bytes));
        for (const { digest, bytes } of image.blobs) {
          assert.ok((await readFile(inDirectory(copy, digest).blob)).equals(bytes), digest);
        }
      }
      assert.equal(upstream.blobBodies().length, image.blobs.length, upstream.journal());
      assert.doesNotMatch(webServer.output(), /buffered to a temporary file/);
    });

    test('the log names the client that the web server saw, whatever the client claims', async () => {
      const claims = ['X-Forwarded-For: 203.0.113.9', 'Forwarded: for=203.0.113.9', 'X-Forwarded-Host: ghcr.io'];
      const request = claims.flatMap((claim) => ['-H', claim]);
      assert.equal(await curl('-o', '/dev/null', '-w', '%{http_code}', ...request, '/v2/library/app/tags/list'), '200');
      await eventually(() => {
        const line = entrepot.accessLog().findLast(({ path }) => path.endsWith('/tags/list'));
        assert.equal(line?.['client'], '127.0.0.1');
        assert.equal(line?.registry, 'docker.io');
      });
    });

    test('/metrics stays inside', async () => {
      assert.equal(await curl('-o', '/dev/null', '-w', '%{http_code}', '/metrics'), '404');
      assert.equal((await fetch(`${entrepot.url}/metrics`)).status, 200);
    });

    test('a URL reaches a mirrored site as the client wrote it', async () => {
      for (const path of ['/a%2Fb/c', "/it's%20here?q=%27", '/x//y', '/%E6%96%87?a=b&a=%26']) {
        await curl(`/site${path}`);
        assert.equal(site.visits.at(-1)?.url, path);
      }
    });

    test('a large body reaches a mirrored site', async () => {
      const body = workspace.path('body');
      await check(['truncate', '--size=3M', body]);
      await curl('--data-binary', `@${body}`, '/site/upload');
      assert.equal(site.visits.at(-1)?.bytes, 3 * 1024 * 1024);
    });

    test('a mirrored site does not direct the web server to another answer', async () => {
      assert.equal(await curl('/site/accelerated'), 'of the site');
    });

    test('an answer that a mirrored site packed stays packed', async () => {
      const file = workspace.path('packed');
      await curl('-o', file, '/site/packed');
      assert.ok((await readFile(file)).equals(PACKED));
    });

    test('what entrepot refuses reaches the client as entrepot said it', async () => {
      const answer = JSON.parse(await curl('-X', 'PUT', '/v2/library/app/manifests/new')) as {
        errors: { code: string }[];
      };
      assert.equal(answer.errors[0]?.code, 'UNSUPPORTED');
    });
  });

interface Place {
  readonly workspace: Workspace;
  readonly http: number;
  readonly https: number;
  /** Where entrepot listens. */
  readonly socket: string;
  readonly certificate: TestCertificate;
}

async function startShippedNginx({ workspace, http, https, socket, certificate }: Place): Promise<RunningProcess> {
  const text = await shipped('nginx/entrepot.conf', [
    ['listen 80;', `listen 127.0.0.1:${http};`],
    ['listen [::]:80;', ''],
    ['listen 443 ssl;', `listen 127.0.0.1:${https} ssl;`],
    ['listen [::]:443 ssl;', ''],
    ['unix:/run/entrepot/entrepot.sock', `unix:${socket}`],
    ['/etc/entrepot/tls/fullchain.pem', certificate.certFile],
    ['/etc/entrepot/tls/privkey.pem', certificate.keyFile],
  ]);
  const nginx = await startNginx(workspace, { port: http, http: text });
  assert.doesNotMatch(nginx.output(), /\[(?:warn|error|crit|alert|emerg)\]/);
  const redirect = await fetch(`http://127.0.0.1:${http}/v2/?n=1`, { redirect: 'manual' });
  assert.equal(redirect.status, 308);
  assert.equal(redirect.headers.get('location'), 'https://127.0.0.1/v2/?n=1');
  return nginx;
}

async function startShippedCaddy({ workspace, https, socket, certificate }: Place): Promise<RunningProcess> {
  const { certFile, keyFile } = certificate;
  const text = await shipped('caddy/Caddyfile', [
    ['mirror.example.com {', `https://127.0.0.1:${https} {\nbind 127.0.0.1\ntls ${certFile} ${keyFile}`],
    ['unix//run/entrepot/entrepot.sock', `unix/${socket}`],
  ]);
  const file = await workspace.file('Caddyfile', `{\nadmin off\nauto_https disable_redirects\n}\n${text}`);
  const command = ['caddy', 'run', '--adapter', 'caddyfile', '--config', file];
  const env = { ...process.env, XDG_DATA_HOME: workspace.path('data'), XDG_CONFIG_HOME: workspace.path('config') };
  const address = `https://127.0.0.1:${https}/healthz`;
  const ready = async (): Promise<boolean> => (await run(['curl', '--silent', '--insecure', address])).code === 0;
  return workspace.start(command, { env, ready });
}

async function startShippedHaproxy({ workspace, http, https, socket, certificate }: Place): Promise<RunningProcess> {
  const pem = await workspace.file('haproxy.pem', `${certificate.cert}${certificate.key}`);
  const text = await shipped('haproxy/haproxy.cfg', [
    // Started by root for a test, it stays root: another user may not look into the workspace.
    ['    user haproxy\n    group haproxy\n', ''],
    // It asks for two descriptors for each, which a test may not have.
    ['maxconn 10000', 'maxconn 500'],
    ['bind :80\n', `bind 127.0.0.1:${http}\n`],
    ['    bind :::80 v6only\n', ''],
    ['bind :443 ssl crt /etc/entrepot/tls/haproxy.pem', `bind 127.0.0.1:${https} ssl crt ${pem}`],
    ['    bind :::443 v6only ssl crt /etc/entrepot/tls/haproxy.pem alpn h2,http/1.1 ssl-min-ver TLSv1.2\n', ''],
    ['unix@/run/entrepot/entrepot.sock', `unix@${socket}`],
  ]);
  const file = await workspace.file('haproxy.cfg', text);
  assert.doesNotMatch(await check(['haproxy', '-c', '-f', file]), /WARNING|ALERT/);
  const redirect = (): Promise<Response> => fetch(`http://127.0.0.1:${http}/v2/?n=1`, { redirect: 'manual' });
  const haproxy = await workspace.start(['haproxy', '-db', '-f', file], {
    ready: async () => (await redirect()).status === 308,
  });
  assert.equal((await redirect()).headers.get('location'), `https://127.0.0.1:${http}/v2/?n=1`);
  return haproxy;
}

/** A file of deploy/ with the addresses and files of a test in place of its own. */
async function shipped(file: string, changes: readonly (readonly [from: string, to: string])[]): Promise<string> {
  let text = await readFile(new URL(`../../deploy/${file}`, import.meta.url), 'utf8');
  for (const [from, to] of changes) {
    assert.equal(text.split(from).length, 2, `${from} stands once in ${file}`);
    text = text.replace(from, to);
  }
  return text;
}

interface Site extends AsyncDisposable {
  readonly url: string;
  /** URLs as they came, and how long the body was. */
  readonly visits: { readonly url: string; readonly bytes: number }[];
}

/** A site that notes what it is asked. `/accelerated` tells a web server in front to answer something else, and `/packed` is gzip. */
async function startSite(): Promise<Site> {
  const visits: { url: string; bytes: number }[] = [];
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    visits.push({ url: request.url ?? '', bytes: await lengthOf(request) });
    if (request.url === '/accelerated') response.setHeader('X-Accel-Redirect', '/healthz');
    if (request.url !== '/packed') return void response.end('of the site');
    response.setHeader('Content-Encoding', 'gzip').end(PACKED);
  }
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    visits,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function lengthOf(request: IncomingMessage): Promise<number> {
  let bytes = 0;
  for await (const chunk of request) bytes += (chunk as Buffer).length;
  return bytes;
}
