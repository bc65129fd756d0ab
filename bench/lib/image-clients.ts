import { rm } from 'node:fs/promises';
import { skopeo, startContainerd } from '../../test/support/engines.ts';
import { isInstalled } from './machine.ts';
import type { Place } from './subjects.ts';

/** Layers that a kubelet's containerd fetches at once: the default of its `max_concurrent_downloads`. ctr itself has no bound. */
const LAYERS_AT_ONCE = 3;

/** A program that pulls whole images and checks every digest. */
export interface ImageClient {
  /** As the table says it. */
  readonly name: string;
  /** What else its pulls take time for. */
  readonly note?: string;
  /** Pulls `127.0.0.1:PORT/REPOSITORY:TAG`, and forgets it again. Returns the seconds that the pull took; rejects where it fails. */
  pull(image: string): Promise<number>;
}

/** The clients that are installed and can be started here. */
export async function startImageClients(place: Place): Promise<readonly ImageClient[]> {
  const clients = [openSkopeo(place), await startCtr(place)].filter((client) => client !== undefined);
  if (clients.length > 0) return clients;
  throw new Error('Cannot pull images: install skopeo, or containerd where the bench runs as root');
}

/** Fetches six layers at once, and writes them to an OCI layout as they are. For `dir:` it would fetch one after the other. */
function openSkopeo({ workspace }: Place): ImageClient | undefined {
  if (!isInstalled('skopeo')) return undefined;
  const directory = workspace.path('pulled');
  const options = ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false'];
  return {
    name: 'skopeo',
    async pull(image) {
      const seconds = await timed(() => skopeo(...options, `docker://${image}`, `oci:${directory}:image`));
      await rm(directory, { recursive: true });
      return seconds;
    },
  };
}

/** Fetches as a kubelet's containerd does, and unpacks. containerd itself must be started by root. */
async function startCtr({ workspace }: Place): Promise<ImageClient | undefined> {
  if (!isInstalled('containerd') || !isInstalled('ctr') || process.getuid?.() !== 0) return undefined;
  const containerd = await startContainerd(workspace);
  // `native` copies all lower layers for each layer: where it is what there is, unpacking takes longer than fetching.
  const plugins = await containerd.ctr('plugins', 'ls');
  const snapshotter = /\boverlayfs\b.*\bok\b/.test(plugins) ? 'overlayfs' : 'native';
  const flags = ['--plain-http', '--snapshotter', snapshotter, '--max-concurrent-downloads', String(LAYERS_AT_ONCE)];
  return {
    name: 'containerd',
    note: `with unpacking (${snapshotter}), which no mirror makes faster`,
    async pull(image) {
      const seconds = await timed(() => containerd.ctr('images', 'pull', ...flags, image));
      await containerd.ctr('images', 'rm', '--sync', image);
      const left = await containerd.content();
      if (left.length > 0)
        throw new Error(`containerd keeps content of ${image}, so that its next pull would not be a whole one`);
      return seconds;
    },
  };
}

async function timed(pull: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await pull();
  return (performance.now() - began) / 1000;
}
