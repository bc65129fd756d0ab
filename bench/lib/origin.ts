import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../src/oci/index.ts';
import { buildImage, content, noise, type TestImage } from '../../test/support/image.ts';
import type { Workspace } from '../../test/support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../../test/support/scripted-upstream.ts';

/** The repository everything is in. */
export const REPOSITORY = 'library/app';

/** A blob the origin has. */
export interface OriginBlob {
  readonly digest: string;
  readonly size: number;
  /** Path of its URL, at the origin and at everyone before it. */
  readonly path: string;
  /** A file with its bytes, for clients to compare with. */
  readonly file: string;
  /** The origin, and the disk, forget it. */
  remove(): Promise<void>;
}

/**
 * The registry all others pull from. It runs in the process of the bench, with the clients, so that its work is not counted
 * as those of any server.
 */
export interface Origin {
  readonly upstream: ScriptedUpstream;
  readonly url: string;
  /** A folder laid out like its URLs, for a server of plain files. */
  readonly files: string;
  addBlob(size: number): Promise<OriginBlob>;
  /** Adds an image index of a few KiB under the tag `latest`, as the larger images of Docker Hub have it. */
  addImage(): Promise<{ readonly image: TestImage; readonly path: string }>;
  /** Adds an image for this machine with layers of these sizes, which no other image has. */
  addWholeImage(layers: readonly number[]): OriginImage;
}

/** An image that is pulled whole. */
export interface OriginImage {
  /** `library/app:1` */
  readonly name: string;
  /** Bytes of all that it has: index, manifest, config, layers. */
  readonly size: number;
  /** The origin forgets it. */
  remove(): void;
}

let seeds = 0;

/** Starts the origin; it ends with the workspace. */
export async function startOrigin(workspace: Workspace): Promise<Origin> {
  const upstream = await startScriptedUpstream();
  workspace.defer(() => upstream.stop());
  const files = workspace.path('files');
  await mkdir(join(files, 'v2', REPOSITORY, 'blobs'), { recursive: true });
  await mkdir(join(files, 'v2', REPOSITORY, 'manifests'), { recursive: true });
  return {
    upstream,
    url: upstream.url,
    files,
    async addBlob(size) {
      seeds += 1;
      const bytes = noise(`bench/${seeds}`, size);
      const digest = upstream.addBlob(REPOSITORY, content('application/octet-stream', bytes));
      const path = `/v2/${REPOSITORY}/blobs/${digest}`;
      const file = join(files, path);
      await writeFile(file, bytes);
      return {
        digest,
        size,
        path,
        file,
        async remove() {
          upstream.library.remove(REPOSITORY, digest);
          await rm(file, { force: true });
        },
      };
    },
    async addImage() {
      const architectures = ['amd64', '386', 'arm64', 'arm', 'ppc64le', 'riscv64', 's390x', 'mips64le'];
      const image = buildImage({ architectures, layers: [1024] });
      upstream.add(image, REPOSITORY, ['latest']);
      return { image, path: `/v2/${REPOSITORY}/manifests/latest` };
    },
    addWholeImage(layers) {
      seeds += 1;
      const tag = String(seeds);
      const architectures = [process.arch === 'arm64' ? 'arm64' : 'amd64'];
      const image = buildImage({ seed: `bench/${seeds}`, architectures, layers });
      upstream.add(image, REPOSITORY, [tag]);
      const contents = [...image.manifests, ...image.blobs];
      return {
        name: `${REPOSITORY}:${tag}`,
        size: contents.reduce((sum, { size }) => sum + size, 0),
        remove() {
          for (const { digest } of contents) upstream.library.remove(REPOSITORY, digest);
        },
      };
    },
  };
}

/** Fetches a manifest and checks that it is the one. @throws {Error} where it is not */
export async function checkManifest(url: string, { index }: TestImage, authorization?: string): Promise<void> {
  const headers = { accept: index.mediaType, ...(authorization !== undefined && { authorization }) };
  const response = await fetch(url, { headers });
  const found = digestOf(Buffer.from(await response.arrayBuffer()));
  if (response.status === 200 && found === index.digest) return;
  throw new Error(`${url} answered ${response.status} with ${found}, not 200 with ${index.digest}`);
}
