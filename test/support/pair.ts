import type { TestImage } from './image.ts';
import { type Mirror, startMirror } from './mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from './scripted-upstream.ts';

/** One upstream with an image, and a server in front of it. */
export interface Pair extends AsyncDisposable {
  readonly upstream: ScriptedUpstream;
  readonly mirror: Mirror;
}

interface PairOptions {
  readonly image: TestImage;
  readonly repository: string;
  /** @default latest */
  readonly tags?: readonly string[];
  /** More of the configuration. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
}

/** Starts both. The registry is called `up`, and its upstream `hub`. */
export async function startPairOf({ image, repository, tags = ['latest'], config = {} }: PairOptions): Promise<Pair> {
  const upstream = await startScriptedUpstream();
  upstream.add(image, repository, [...tags]);
  const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } };
  const mirror = await startMirror({ registries, ...config });
  return {
    upstream,
    mirror,
    async [Symbol.asyncDispose]() {
      upstream.heal();
      await mirror.stop();
      await upstream.stop();
    },
  };
}
