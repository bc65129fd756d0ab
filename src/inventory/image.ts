import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Digest, parseDigest, type Repository } from '../oci/index.ts';
import type { ImageParts, Node } from './entries.ts';
import type { Measure } from './measure.ts';
import { type Budget, type ManifestReader, mayBeIndex, platformText } from './parts.ts';
import type { Root, Shelf, ShelfTag } from './shelf.ts';

export interface ImageRequest {
  readonly repository: Repository;
  readonly shelf: Shelf;
  readonly measure: Measure;
  readonly reader: ManifestReader;
  readonly budget: Budget;
  readonly root: ShelfTag;
}

const MAX_NODES = 200;
const MAX_LAYERS = 500;

/** Manifests of a repository that are looked at for those that refer to an image. */
const MAX_CANDIDATES = 500;

/** The parts of an image, as far as its manifests are stored. */
export async function describeImage(
  request: ImageRequest,
): Promise<Pick<ImageParts, 'children' | 'layers' | 'referrers' | 'created' | 'hold'>> {
  const { repository, shelf, measure, reader, budget, root } = request;
  const parts = await measure.parts(root);
  const children: Node[] = [];
  for (const child of parts?.children.slice(0, MAX_NODES) ?? []) {
    children.push(await nodeOf(child, measure, platformText(child.platform)));
  }
  const layers: ImageParts['layers'][number][] = [];
  for (const { digest, mediaType, size } of parts?.blobs.slice(0, MAX_LAYERS) ?? []) {
    const stored = await measure.storedSize(digest);
    const bytes = stored ?? size;
    layers.push({ digest, mediaType, ...(bytes === undefined ? {} : { bytes }), stored: stored !== undefined });
  }
  const config = parts?.config ?? (await configBelow(request, parts?.children ?? []));
  const facts = config === undefined ? undefined : await reader.facts(shelf, repository, { digest: config, budget });
  const created = facts?.created;
  const { hold } = root;
  return {
    children,
    layers,
    referrers: await referrersOf(request),
    ...(created === undefined ? {} : { created }),
    ...(hold === undefined
      ? {}
      : {
          hold: {
            digest: hold.digest,
            since: hold.heldAt,
            ...(hold.until === undefined ? {} : { until: hold.until }),
            reason: hold.reason,
          },
        }),
  };
}

/** The config of the first image of an index that is stored: its images are made together. */
async function configBelow(
  { measure }: ImageRequest,
  children: readonly { readonly digest: Digest; readonly mediaType: string }[],
): Promise<Digest | undefined> {
  for (const child of children.slice(0, MAX_NODES)) {
    const config = (await measure.parts(child))?.config;
    if (config !== undefined && (await measure.storedSize(config)) !== undefined) return config;
  }
  return undefined;
}

async function nodeOf(
  root: Root,
  measure: Measure,
  platform: string | undefined,
  artifactType?: string,
): Promise<Node> {
  const { stored, complete, bytes, storedBytes, platforms } = await measure.image(root);
  const type = artifactType ?? (await measure.parts(root))?.artifactType;
  const runsOn = platform ?? (mayBeIndex(root.mediaType) ? undefined : platforms[0]);
  return {
    digest: root.digest,
    mediaType: root.mediaType,
    ...(type === undefined ? {} : { artifactType: type }),
    ...(runsOn === undefined ? {} : { platform: runsOn }),
    stored,
    complete,
    ...(bytes === undefined ? {} : { bytes }),
    storedBytes,
  };
}

/**
 * What refers to an image, as far as it is here: what the records of hosted content list; what the tags list that old clients
 * push (distribution-spec, "Referrers Tag Schema": `sha256-…`; cosign: `sha256-….sig`, `.att`, `.sbom`); stored manifests of the
 * repository whose subject it is.
 */
async function referrersOf(request: ImageRequest): Promise<readonly Node[]> {
  const { repository, shelf, measure, root } = request;
  const found = new Map<string, Node>();
  const add = async (each: Root, artifactType?: string): Promise<void> => {
    if (found.size >= MAX_NODES || found.has(each.digest) || each.digest === root.digest) return;
    found.set(each.digest, await nodeOf(each, measure, undefined, artifactType));
  };
  const listed = await shelf.referrers(repository, root.digest, MAX_NODES);
  for (const each of listed ?? []) await add(each, each.artifactType);
  const fallback = root.digest.replace(':', '-');
  const list = await shelf.tag(repository, fallback);
  const parts = list && (await measure.parts(list));
  for (const child of parts?.isIndex === true ? parts.children : []) {
    if (parseDigest(child.digest) !== undefined) await add(child);
  }
  for (const suffix of ['.sig', '.att', '.sbom']) {
    const attached = await shelf.tag(repository, `${fallback}${suffix}`);
    if (attached !== undefined) await add(attached);
  }
  if (listed !== undefined) return [...found.values()];
  let looked = 0;
  for (let after: Digest | undefined; looked < MAX_CANDIDATES; ) {
    const page = await shelf.manifests(repository, { after, limit: MAX_CANDIDATES - looked });
    for (const each of page.found) {
      looked += 1;
      if ((await measure.parts(each))?.subject === root.digest) await add(each);
    }
    after = page.next;
    if (after === undefined) break;
    await nextTurn();
  }
  return [...found.values()];
}
