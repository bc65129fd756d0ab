import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { type Digest, digestAlgorithm, digestHex, digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { startBuildkit } from './buildkit.ts';
import { type Content, content } from './image.ts';
import { check, type Workspace } from './processes.ts';

/** An image whose one layer can be read before it is there (eStargz). */
export interface LazyImage {
  readonly manifest: Content;
  readonly config: Content;
  readonly layer: Content;
}

/** Has buildkit make an image of files, whose one layer is eStargz. */
export async function buildLazyImage(
  workspace: Workspace,
  files: Readonly<Record<string, Buffer>>,
): Promise<LazyImage> {
  const folder = workspace.path('estargz');
  await workspace.file('estargz/Dockerfile', 'FROM scratch\nCOPY files /files\n');
  for (const [name, bytes] of Object.entries(files)) await workspace.file(`estargz/files/${name}`, bytes);
  const buildkit = await startBuildkit(workspace, { name: 'estargz-maker' });
  const archive = workspace.path('estargz.tar');
  await buildkit.build(
    folder,
    `type=oci,dest=${archive},compression=estargz,force-compression=true,oci-mediatypes=true`,
  );
  await buildkit.stop();
  const layout = workspace.path('estargz-layout');
  await check(['mkdir', layout]);
  await check(['tar', '-C', layout, '-xf', archive]);
  const read = async (digest: Digest, mediaType: string): Promise<Content> =>
    content(mediaType, await readFile(`${layout}/blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`));
  const index = JSON.parse(await readFile(`${layout}/index.json`, 'utf8')) as { manifests: { digest: Digest }[] };
  const [named] = index.manifests;
  if (named === undefined) throw new Error('buildkit has made no image');
  const manifest = await read(named.digest, MEDIA_TYPES.ociManifest);
  const said = JSON.parse(manifest.bytes.toString()) as {
    config: { digest: Digest; mediaType: string };
    layers: { digest: Digest; mediaType: string }[];
  };
  const [layer] = said.layers;
  if (layer === undefined) throw new Error('buildkit has made no layer');
  return {
    manifest,
    config: await read(said.config.digest, said.config.mediaType),
    layer: await read(layer.digest, layer.mediaType),
  };
}

/** A part of a file, where it lies in the layer. `end` is exclusive. */
export interface LazyChunk {
  readonly start: number;
  readonly end: number;
  /** Bytes of the file. */
  readonly size: number;
  readonly digest: string;
}

/** Bytes of the footer, which says where the table of contents begins. */
export const FOOTER = 51;

/** Where the table of contents begins (estargz.md, "The TOC and footer"). @param footer the last {@link FOOTER} bytes */
export function tocOffset(footer: Buffer): number {
  // A gzip member without content. Its extra field: SG, the length, sixteen digits, STARGZ.
  const extra = /SG[^]{2}([0-9a-f]{16})STARGZ/.exec(footer.toString('latin1'));
  if (extra === null) throw new Error('That is no footer of eStargz');
  return Number.parseInt(extra[1] ?? '', 16);
}

interface TocEntry {
  readonly type: string;
  readonly size?: number;
  readonly offset?: number;
  readonly chunkSize?: number;
  readonly chunkDigest?: string;
}

/** The chunks of a layer. @param toc what lies between the files and the footer @param offset of it in the layer */
export function readToc(toc: Buffer, offset: number): readonly LazyChunk[] {
  const archive = gunzipSync(toc);
  // One file in an archive, behind a block that names it.
  const size = Number.parseInt(archive.toString('latin1', 124, 135), 8);
  const { entries } = JSON.parse(archive.toString('utf8', 512, 512 + size)) as { entries: readonly TocEntry[] };
  const starts = entries.flatMap((entry) => entry.offset ?? []).sort((one, other) => one - other);
  return entries.flatMap(({ type, offset: start, chunkSize, size: whole, chunkDigest: digest }) => {
    if ((type !== 'reg' && type !== 'chunk') || start === undefined || digest === undefined) return [];
    const end = starts.find((each) => each > start) ?? offset;
    return { start, end, size: chunkSize || (whole ?? 0), digest };
  });
}

/** Whether the bytes of a chunk, as they lie in the layer, are right. */
export function isRight(bytes: Buffer, { size, digest }: LazyChunk): boolean {
  // The head of the next file may follow in the same piece.
  return digestOf(gunzipSync(bytes).subarray(0, size)) === digest;
}
