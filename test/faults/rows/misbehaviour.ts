import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, type Content, content, noise, platformOf } from '../../support/image.ts';
import { type RawRequest, startRawServer } from '../../support/raw-server.ts';
import { Gate } from '../../support/scripted/faults.ts';
import type { ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { MiB, memoryOf } from '../lib/process-figures.ts';
import { type Pulled, type PullOptions, pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl, manifestUrl, REPOSITORY, type Stage } from '../lib/stage.ts';

const SIZE = 200_000;
/** An upstream that was left alone for its failures is asked again after seconds. */
const WELL_WITHIN = 15_000;
const TIMEOUT = 1000;

/** What one case has: an upstream of its own, and the server that knows it by the case's name. */
interface Scene {
  readonly upstream: ScriptedUpstream;
  readonly blob: Content;
  readonly url: (what: Content | string) => string;
  readonly pull: (what: Content | string, options?: PullOptions) => Promise<Pulled>;
}

interface Case {
  readonly name: string;
  /** Plays it. The answer says what is wrong with what came; undefined where it is as it should be. */
  readonly play: (scene: Scene) => Promise<string | undefined>;
}

/** The pull must succeed, whatever was done to it. */
function whole(arrange: (scene: Scene) => unknown): Case['play'] {
  return async (scene) => {
    arrange(scene);
    const pulled = await scene.pull(scene.blob);
    return pulled.ok ? undefined : pulled.ending;
  };
}

/** The pull may be cut or refused; a client that asks again when all is well again must have it. */
function wholeOrCut(arrange: (scene: Scene) => unknown): Case['play'] {
  return async (scene) => {
    arrange(scene);
    const pulled = await scene.pull(scene.blob);
    return pulled.wrong ? pulled.ending : undefined;
  };
}

function refused(statuses: readonly number[], arrange: (scene: Scene) => unknown, what?: string): Case['play'] {
  return async (scene) => {
    arrange(scene);
    const pulled = await scene.pull(what ?? scene.blob);
    return statuses.includes(pulled.status) ? undefined : pulled.ending;
  };
}

const IMAGE = buildImage({ seed: 'misbehaviour', layers: [2000], architectures: ['amd64'] });
const LIMIT_TEXT = 'You have reached your pull rate limit. You may increase the limit by authenticating.';

const CASES: readonly Case[] = [
  { name: 'stall in the middle', play: whole(({ upstream, blob }) => strike(upstream, blob, { stallAt: SIZE / 2 })) },
  { name: 'stall before the first byte', play: whole(({ upstream, blob }) => strike(upstream, blob, { stallAt: 0 })) },
  { name: 'cut three times', play: whole(({ upstream, blob }) => cutThrice(upstream, blob)) },
  { name: 'slow drip', play: whole(({ upstream, blob }) => upstream.fault(blob.digest, { bytesPerSecond: 80_000 })) },
  { name: 'chunked, no length', play: whole(({ upstream, blob }) => upstream.fault(blob.digest, { chunked: true })) },
  { name: 'reset once', play: whole(({ upstream, blob }) => strike(upstream, blob, { reset: true })) },
  { name: '503 once', play: whole(({ upstream, blob }) => strike(upstream, blob, { status: 503 })) },
  {
    name: 'signed URL expires in the middle',
    play: (scene) => expireInTheMiddle(scene, ({ upstream }) => upstream.expireSignatures()),
  },
  {
    name: 'token revoked in the middle',
    play: (scene) => expireInTheMiddle(scene, ({ upstream }) => upstream.revokeTokens()),
  },
  { name: 'flipped bit', play: wholeOrCut(({ upstream, blob }) => strike(upstream, blob, { flipAt: SIZE / 3 })) },
  { name: 'last byte flipped', play: wholeOrCut(({ upstream, blob }) => strike(upstream, blob, { flipAt: SIZE - 1 })) },
  { name: 'short chunked', play: wholeOrCut(({ upstream, blob }) => strike(upstream, blob, { endAt: SIZE / 2 })) },
  {
    name: 'length too large',
    play: wholeOrCut(({ upstream, blob }) => strike(upstream, blob, { contentLength: SIZE + 100 })),
  },
  {
    name: 'length too small',
    play: wholeOrCut(({ upstream, blob }) => strike(upstream, blob, { contentLength: SIZE - 100 })),
  },
  {
    name: 'wrong digest header',
    play: wholeOrCut(({ upstream, blob }) =>
      upstream.fault(blob.digest, { headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } }),
    ),
  },
  { name: '5xx burst', play: wholeOrCut(({ upstream, blob }) => upstream.fault(blob.digest, { status: 502 })) },
  {
    name: 'refuses every connection',
    play: refused([502, 503, 504], ({ upstream }) => upstream.fault({}, { reset: true })),
  },
  {
    name: 'black hole',
    play: refused([502, 503, 504], ({ upstream }) => upstream.hold({})),
  },
  {
    name: '429 in JSON, nothing cached',
    play: refused([429], ({ upstream }) => upstream.fault({ kind: 'manifest' }, { status: 429 }), 'latest'),
  },
  {
    name: '429 in plain text, nothing cached',
    play: refused(
      [429],
      ({ upstream }) => upstream.fault({ kind: 'manifest' }, { status: 429, body: LIMIT_TEXT }),
      'latest',
    ),
  },
  {
    name: '429 in plain text, cached',
    play: async ({ upstream, pull }) => {
      const first = await pull('latest');
      await sleep(150);
      upstream.fault({ kind: 'manifest' }, { status: 429, body: LIMIT_TEXT });
      const second = await pull('latest');
      return first.ok && second.ok ? undefined : `${first.ending}; ${second.ending}`;
    },
  },
  {
    name: 'a manifest of another digest',
    play: async ({ upstream, pull }) => {
      const { manifest } = platformOf(IMAGE, 'amd64');
      upstream.fault(manifest.digest, { flipAt: 10 });
      const pulled = await pull(manifest);
      return pulled.status === 502 ? undefined : pulled.ending;
    },
  },
];

/** Whatever else an upstream may come up with: one case after another, all at the same time, an upstream for each. */
export const misbehaviour: Row = {
  id: 'upstreams',
  what: 'upstreams that stall, lie, refuse, throttle or never end',
  reach: '0 wrong bodies; right as soon as the upstream is',
  async run(stage) {
    const scenes = await Promise.all(
      CASES.map(async ({ name }, i) => {
        const upstream = await stage.upstream();
        upstream.add(IMAGE, REPOSITORY, ['latest']);
        const blob = content('application/octet-stream', noise(`misbehaviour, ${name}`, SIZE));
        upstream.addBlob(REPOSITORY, blob);
        return { name: `case-${i}`, upstream, blob };
      }),
    );
    const endless = await startEndless(stage);
    const chatty = await startChatty(stage);
    const server = await stage.server(
      { url: '' },
      {
        registries: Object.fromEntries([
          ...scenes.map(({ name, upstream }) => [name, { upstreams: [upstream.url] }]),
          ['endless', { upstreams: [endless] }],
          ['chatty', { upstreams: [chatty.url] }],
        ]),
        cache: { tags: { fresh_for: '100ms' } },
        transport: { body_idle_timeout: `${TIMEOUT}ms`, response_header_timeout: `${TIMEOUT}ms` },
      },
    );
    const urlIn = (registry: string, what: Content | string): string => {
      const isManifest = typeof what === 'string' || IMAGE.manifests.includes(what);
      const url = !isManifest
        ? blobUrl(server, what)
        : manifestUrl(server, typeof what === 'string' ? what : what.digest);
      return url.replace('/up/v2/', `/${registry}/v2/`);
    };
    const misses = new Misses();
    stage.progress(`${CASES.length} cases at once`);
    await Promise.all(
      CASES.map(async ({ name, play }, i) => {
        const { name: registry, upstream, blob } = scenes[i] as (typeof scenes)[number];
        const url = (what: Content | string): string => urlIn(registry, what);
        const bytesOf = (what: Content | string): Buffer => (typeof what === 'string' ? IMAGE.index.bytes : what.bytes);
        const scene: Scene = {
          upstream,
          blob,
          url,
          pull: (what, options) => pull(url(what), { expected: bytesOf(what), timeout: 20_000, ...options }),
        };
        const problem = await play(scene);
        misses.expect(problem === undefined, `${name}: ${problem}`);
        upstream.heal();
        const again = await untilWell(() => scene.pull(blob));
        misses.expect(again.ok, `${name}, when all is well again: ${again.ending}`);
        misses.expect(upstream.leaks().length === 0, `${name}: ${upstream.leaks()[0]}`);
      }),
    );

    stage.progress('an endless body');
    const before = memoryOf(server.process.pid)?.now ?? 0;
    const manifest = await pull(urlIn('endless', 'latest'), { timeout: 20_000 });
    const grown = (memoryOf(server.process.pid)?.peak ?? 0) - before;
    misses.expect(manifest.status >= 500 && manifest.took < 15_000, `an endless manifest: ${manifest.ending}`);

    stage.progress('bytes that were not asked for');
    for (const blob of chatty.blobs) {
      const pulled = await pull(urlIn('chatty', blob), { expected: blob.bytes });
      misses.expect(pulled.ok, `after bytes on an idle socket: ${pulled.ending}`);
      await sleep(50);
    }
    misses.expect((await server.stop()) === 0, 'it did not stop cleanly');
    const cases = CASES.length + 2;
    return {
      figure: `${cases} kinds, ${misses.count} misses`,
      misses: misses.list(),
      figures: { cases, grownAtEndlessManifestMiB: Math.round(grown / MiB) },
    };
  },
};

type Once = Omit<Parameters<ScriptedUpstream['fault']>[1], 'times'>;

function strike(upstream: ScriptedUpstream, { digest }: Content, fault: Once): void {
  upstream.fault({ reference: digest, method: 'GET' }, { ...fault, times: 1 });
}

function cutThrice(upstream: ScriptedUpstream, { digest }: Content): void {
  for (const cutAt of [1000, SIZE / 2, SIZE - 1]) upstream.fault(digest, { cutAt, times: 1 });
}

/** Something that was given for the transfer stops being valid while it runs, and then it breaks. */
async function expireInTheMiddle(scene: Scene, expire: (scene: Scene) => void): Promise<string | undefined> {
  const { upstream, blob } = scene;
  const gate = new Gate();
  upstream.fault(blob.digest, { stallAt: 65_536, stallGate: gate, cutAt: 131_072, times: 1 });
  const pulling = scene.pull(blob);
  await Promise.race([gate.arrived(), pulling]);
  expire(scene);
  gate.open();
  const pulled = await pulling;
  return pulled.ok ? undefined : pulled.ending;
}

async function untilWell(ask: () => Promise<Pulled>): Promise<Pulled> {
  const deadline = performance.now() + WELL_WITHIN;
  for (;;) {
    const pulled = await ask();
    if (pulled.ok || pulled.wrong || performance.now() > deadline) return pulled;
    await sleep(200);
  }
}

/** A registry whose manifests never end. */
async function startEndless(stage: Stage): Promise<string> {
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
  const server = await startRawServer(({ socket }: RawRequest) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/vnd.oci.image.index.v1+json\r\n');
    socket.write('transfer-encoding: chunked\r\n\r\n');
    const go = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', go);
    go();
  });
  stage.workspace.defer(() => server.close());
  return `http://127.0.0.1:${server.port}`;
}

/** A registry that answers rightly, and then says more than it was asked on the connection that is kept. */
async function startChatty(stage: Stage): Promise<{ readonly url: string; readonly blobs: readonly Content[] }> {
  const blobs = Array.from({ length: 6 }, (_, i) => content('application/octet-stream', noise(`chatty ${i}`, 5000)));
  const server = await startRawServer(({ socket, text }: RawRequest) => {
    const blob = blobs.find(({ digest }) => text.includes(digest));
    if (blob === undefined) {
      socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: ${blob.size}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), blob.bytes]));
    setTimeout(() => {
      if (!socket.destroyed) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\nnot what you asked for');
    }, 10);
  });
  stage.workspace.defer(() => server.close());
  return { url: `http://127.0.0.1:${server.port}`, blobs };
}
