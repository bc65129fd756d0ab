import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';

/** What a pushing process is told, as JSON in its first argument. */
export interface PushJob {
  /** `http://127.0.0.1:PORT/v2/REPOSITORY`; images of a run go to repositories of their own. */
  readonly url: string;
  /** @default no such header */
  readonly authorization?: string | undefined;
  /** One blob, sent as Docker does: POST, one PATCH without a length, an empty PUT. The file holds its bytes. */
  readonly blob?: string | undefined;
  /** Images pushed at the same time, as containerd does: HEAD, POST, PUT with the body, for config and layer; then the manifest. */
  readonly images?: { readonly count: number; readonly bytes: number } | undefined;
}

/** What it says at the end, as JSON on standard output. Milliseconds. */
export interface PushReport {
  readonly wall: number;
  readonly bytes: number;
  readonly errors: number;
  /** What the first of them said. */
  readonly firstError?: string | undefined;
}

const AGENT = new Agent({ keepAlive: true, maxSockets: 256 });
const PIECE = 64 * 1024;
const job = JSON.parse(process.argv[2] ?? '{}') as PushJob;
process.stdout.write(JSON.stringify(await work()));
AGENT.destroy();

async function work(): Promise<PushReport> {
  if (job.blob !== undefined) {
    const bytes = readFileSync(job.blob);
    const digest = digestOf(bytes);
    const began = performance.now();
    await pushStreamed(bytes, digest);
    return { wall: performance.now() - began, bytes: bytes.length, errors: 0 };
  }
  const { count, bytes } = job.images ?? { count: 0, bytes: 0 };
  const images = Array.from({ length: count }, (_, number) => imageOf(number, bytes));
  let errors = 0;
  let firstError: string | undefined;
  const began = performance.now();
  await Promise.all(
    images.map((image) =>
      pushImage(image).catch((error: unknown) => {
        errors += 1;
        firstError ??= String(error);
      }),
    ),
  );
  return { wall: performance.now() - began, bytes: count * bytes, errors, firstError };
}

interface Image {
  readonly repository: string;
  readonly layer: Buffer;
  readonly config: Buffer;
  readonly manifest: Buffer;
}

/** Made before the clock runs. */
function imageOf(number: number, size: number): Image {
  const layer = randomBytes(size);
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', id: randomBytes(8).toString('hex') }),
  );
  const descriptor = (bytes: Buffer, type: string) => ({
    mediaType: `application/vnd.oci.image.${type}`,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor(config, 'config.v1+json'),
    layers: [descriptor(layer, 'layer.v1.tar')],
  };
  return { repository: `${job.url}/image-${number}`, layer, config, manifest: Buffer.from(JSON.stringify(manifest)) };
}

async function pushImage({ repository, layer, config, manifest }: Image): Promise<void> {
  await pushWhole(repository, layer);
  await pushWhole(repository, config);
  const type = 'application/vnd.oci.image.manifest.v1+json';
  await send('PUT', `${repository}/manifests/latest`, {
    body: [manifest],
    headers: { 'content-type': type },
    expected: [201],
  });
}

async function pushWhole(repository: string, bytes: Buffer): Promise<void> {
  const digest = digestOf(bytes);
  const found = await send('HEAD', `${repository}/blobs/${digest}`, { expected: [200, 404] });
  if (found.status === 200) return;
  const { location } = await send('POST', `${repository}/blobs/uploads/`, { expected: [202] });
  const headers = { 'content-length': String(bytes.length), 'content-type': 'application/octet-stream' };
  await send('PUT', withDigest(location, digest), { body: [bytes], headers, expected: [201] });
}

async function pushStreamed(bytes: Buffer, digest: string): Promise<void> {
  const { location } = await send('POST', `${job.url}/blobs/uploads/`, { expected: [202] });
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += PIECE) pieces.push(bytes.subarray(at, at + PIECE));
  const patched = await send('PATCH', location, {
    body: pieces,
    headers: { 'content-type': 'application/octet-stream' },
    expected: [202],
  });
  await send('PUT', withDigest(patched.location, digest), { expected: [201] });
}

interface Sending {
  /** @default none */
  readonly body?: readonly Buffer[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly expected: readonly number[];
}

/** @throws {Error} for another status */
function send(
  method: string,
  url: string,
  { body = [], headers = {}, expected }: Sending,
): Promise<{ readonly status: number; readonly location: string }> {
  return new Promise((resolve, reject) => {
    const login = job.authorization === undefined ? {} : { authorization: job.authorization };
    const none = body.length === 0 && method !== 'HEAD' ? { 'content-length': '0' } : {};
    const asked = request(url, { method, agent: AGENT, headers: { ...login, ...none, ...headers } }, (answer) => {
      const { statusCode: status = 0 } = answer;
      let said = '';
      answer.setEncoding('utf8').on('data', (text: string) => void (said += text));
      answer.on('end', () => {
        if (!expected.includes(status))
          return reject(new Error(`${method} ${url} answered ${status}: ${said.slice(0, 500)}`));
        resolve({ status, location: new URL(answer.headers.location ?? '', url).href });
      });
      answer.on('error', reject);
    });
    asked.on('error', reject);
    let next = 0;
    const write = (): void => {
      while (next < body.length) {
        const hasRoom = asked.write(body[next]);
        next += 1;
        if (!hasRoom) return void asked.once('drain', write);
      }
      asked.end();
    };
    write();
  });
}

function withDigest(location: string, digest: string): string {
  const url = new URL(location);
  url.searchParams.set('digest', digest);
  return url.href;
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
