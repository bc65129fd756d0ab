/**
 * Shows what entrepot does, in ten seconds and without the internet: `npm run demo`.
 *
 * A registry that behaves like Docker Hub (tokens, blobs from another host) runs in this process, with a small image for two
 * platforms. The server stands before it as a user would start it. A little client pulls, checks every digest, and
 * reports what came from where. Exits with 1 where anything was not as it should be.
 */
import { type Digest, digestOf, MEDIA_TYPES } from '../src/oci/index.ts';
import { startEntrepot } from '../test/support/app.ts';
import { buildImage, type Content, platformOf } from '../test/support/image.ts';
import { Workspace } from '../test/support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../test/support/scripted-upstream.ts';

const REPOSITORY = 'library/hello';
const HERD = 20;
const MiB = 1024 * 1024;
const ACCEPT = [MEDIA_TYPES.ociIndex, MEDIA_TYPES.ociManifest, MEDIA_TYPES.dockerList, MEDIA_TYPES.dockerManifest];
/** The whole demo takes a few seconds; what hangs is not to hang for ever. */
const TIME_LIMIT = 60_000;

/** Something that was pulled, and where the server says it had it. */
interface Pulled {
  readonly what: string;
  readonly digest: Digest;
  readonly size: number;
  readonly cache: string;
  readonly ms: number;
}

const isColourful = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const bold = paint(1);
const dim = paint(2);
const green = paint(32);
const red = paint(31);

const timer = setTimeout(() => {
  console.error(`The demo did not end within ${TIME_LIMIT / 1000} s.`);
  process.exit(1);
}, TIME_LIMIT);
try {
  await demo();
} catch (error) {
  console.error(`\n${red('✗')} ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  clearTimeout(timer);
}

async function demo(): Promise<void> {
  const began = performance.now();
  await using workspace = await Workspace.open();
  const upstream = await startScriptedUpstream({ personality: 'dockerHub' });
  workspace.defer(() => upstream.stop());
  const image = buildImage({ seed: 'demo', layers: [8 * MiB, 2 * MiB, 64 * 1024] });
  upstream.add(image, REPOSITORY, ['latest']);

  const entrepot = await startEntrepot(workspace, {
    // Registries on this machine stand for public ones, so that redirects to them are allowed.
    registries: { 'hub.example': { upstreams: [upstream.url] } },
    default_registry: 'hub.example',
    log: { level: 'info', format: 'json' },
    transport: { allow_private: ['127.0.0.0/8'] },
  });
  console.log(bold('entrepot: a registry, a mirror before it, and clients, all on this machine'));
  console.log(`  upstream  ${upstream.url}  like Docker Hub: tokens, blobs from another host`);
  console.log(`  mirror    ${entrepot.url}  bin/entrepot serve, with an empty cache`);
  console.log(`  image     ${REPOSITORY}:latest, ${image.platforms.length} platforms, ${image.blobs.length} blobs`);

  heading(1, 'A first pull: nothing is in the cache');
  const cold = await pullImage(entrepot.url, 'amd64');
  const coldRequests = upstream.requests.length;
  report(cold, `the upstream was asked ${plural(coldRequests, 'time')}, tokens and redirects included`);

  heading(2, 'The same again');
  upstream.forget();
  const warm = await pullImage(entrepot.url, 'amd64');
  report(warm, `the upstream was asked ${plural(upstream.requests.length, 'time')}`);
  expect(upstream.requests.length === 0, 'a pull of what is in the cache asked the upstream');

  heading(3, `${HERD} clients at once, for a layer that is not cached`);
  // The other platform's layers: they are still to be had.
  const [large, middle] = platformOf(image, 'arm64').layers;
  if (large === undefined || middle === undefined) throw new TypeError('The image of the demo has too few layers');
  await showHerd(entrepot.url, upstream, large);

  heading(4, 'An upstream that sends one wrong byte');
  await showCorruption(entrepot.url, upstream, middle);

  const code = await entrepot.stop();
  expect(code === 0, `the server ended with ${code}`);
  console.log(`\n${green('✓')} Everything was as it should be, in ${seconds(performance.now() - began)}.`);
  console.log(dim('  Now the real thing: npm start, and then for instance'));
  console.log(dim('  skopeo inspect --tls-verify=false docker://127.0.0.1:5000/alpine'));
}

/** Index, manifest of one platform, config and layers: what an engine does. */
async function pullImage(url: string, architecture: string): Promise<readonly Pulled[]> {
  const base = `${url}/v2/${REPOSITORY}`;
  const index = await pull('index', `${base}/manifests/latest`);
  const { manifests = [] } = readJson(index.bytes);
  const chosen = manifests.find(({ platform }) => platform?.architecture === architecture);
  if (chosen === undefined) throw new Error(`The index names no manifest for linux/${architecture}`);
  const manifest = await pull(`linux/${architecture}`, `${base}/manifests/${chosen.digest}`, chosen.digest);
  const { config, layers = [] } = readJson(manifest.bytes);
  if (config === undefined) throw new Error('The manifest names no config');
  const blobs = await Promise.all([
    pull('config', `${base}/blobs/${config.digest}`, config.digest),
    ...layers.map(({ digest }, i) => pull(`layer ${i + 1}`, `${base}/blobs/${digest}`, digest)),
  ]);
  return [index, manifest, ...blobs];
}

interface Descriptor {
  readonly digest: Digest;
  readonly platform?: { readonly architecture: string };
}

function readJson(bytes: Buffer): { manifests?: Descriptor[]; config?: Descriptor; layers?: Descriptor[] } {
  return JSON.parse(bytes.toString()) as ReturnType<typeof readJson>;
}

/** Fetches one thing and checks it against the digest it was asked by, or else the one the server tells. */
async function pull(what: string, url: string, digest?: Digest): Promise<Pulled & { readonly bytes: Buffer }> {
  const began = performance.now();
  const response = await fetch(url, { headers: { accept: ACCEPT.join(', ') } });
  const bytes = Buffer.from(await response.arrayBuffer());
  const ms = performance.now() - began;
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}: ${bytes.toString().slice(0, 500)}`);
  const found = digestOf(bytes);
  const wanted = digest ?? response.headers.get('docker-content-digest');
  expect(found === wanted, `${what} is ${found}, not ${wanted ?? 'what any digest names'}`);
  return { what, digest: found, size: bytes.length, cache: response.headers.get('x-cache') ?? 'unknown', ms, bytes };
}

async function showHerd(url: string, upstream: ScriptedUpstream, layer: Content): Promise<void> {
  upstream.forget();
  const began = performance.now();
  const pulls = await Promise.all(
    Array.from({ length: HERD }, (_, i) => {
      return pull(`client ${i + 1}`, `${url}/v2/${REPOSITORY}/blobs/${layer.digest}`, layer.digest);
    }),
  );
  const ms = performance.now() - began;
  const outcomes = Object.entries(Object.groupBy(pulls, ({ cache }) => cache)).map(
    ([cache, those = []]) => `${those.length} × ${cache}`,
  );
  const gets = upstream.blobBodies(layer.digest).length;
  console.log(`  ${HERD} × ${size(layer.size)} in ${Math.round(ms)} ms: ${outcomes.join(', ')}`);
  console.log(`  ${green('✓')} ${HERD} digests are right; the layer left the upstream ${plural(gets, 'time')}`);
  expect(gets === 1, `${HERD} clients made ${gets} upstream GETs of one layer`);
}

async function showCorruption(url: string, upstream: ScriptedUpstream, layer: Content): Promise<void> {
  const address = `${url}/v2/${REPOSITORY}/blobs/${layer.digest}`;
  const repair = upstream.fault(layer.digest, { flipAt: layer.size >> 1 });
  const received = await pullAnything(address);
  const missing = plural(layer.size - received, 'byte');
  console.log(`  the client got ${size(received)}, and then a broken connection, ${missing} before the end`);
  expect(received < layer.size, 'a wrong body was delivered whole');
  repair();
  const again = await pull('layer', address, layer.digest);
  console.log(
    `  ${green('✓')} no complete wrong body, and nothing of it was cached: the next request got the right layer (${again.cache})`,
  );
}

/** Reads a body until it breaks off; the bytes that came. */
async function pullAnything(url: string): Promise<number> {
  let received = 0;
  try {
    const response = await fetch(url);
    if (response.status !== 200) return 0;
    for await (const chunk of response.body ?? []) received += chunk.length;
  } catch {
    // Cut: that is what is to be seen.
  }
  return received;
}

function report(pulls: readonly Pulled[], about: string): void {
  for (const { what, digest, size: bytes, cache, ms } of pulls) {
    const name = `${digest.slice(0, 19)}…`;
    const from = (cache === 'HIT' ? green : bold)(cache.padEnd(5));
    console.log(
      `  ${what.padEnd(12)} ${dim(name)}  ${size(bytes).padStart(9)}  ${from} ${`${ms.toFixed(1)} ms`.padStart(9)}`,
    );
  }
  const total = pulls.reduce((sum, pulled) => sum + pulled.size, 0);
  // Config and layers run side by side; index and manifest before them.
  const [index, manifest, ...blobs] = pulls;
  const ms = (index?.ms ?? 0) + (manifest?.ms ?? 0) + Math.max(...blobs.map((blob) => blob.ms));
  const rate = total / MiB / (ms / 1000);
  console.log(
    `  ${green('✓')} ${pulls.length} digests are right: ${size(total)} in ${Math.round(ms)} ms, ${Math.round(rate)} MiB/s`,
  );
  console.log(`    ${about}`);
}

function heading(number: number, text: string): void {
  console.log(`\n${bold(`${number}  ${text}`)}`);
}

function expect(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(`That is wrong: ${otherwise}.`);
}

function size(bytes: number): string {
  return bytes >= MiB ? `${(bytes / MiB).toFixed(1)} MiB` : `${(bytes / 1024).toFixed(1)} KiB`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function paint(code: number): (text: string) => string {
  return (text) => (isColourful ? `\x1b[${code}m${text}\x1b[0m` : text);
}
