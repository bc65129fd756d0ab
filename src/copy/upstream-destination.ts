import type { PullThrough } from '../cache/index.ts';
import { TaskError } from '../jobs/index.ts';
import { inTurns } from '../lib/index.ts';
import {
  type Digest,
  isMediaType,
  isOriginFailure,
  MEDIA_TYPES,
  OciError,
  type OpenUpload,
  type PushFailure,
  type PushOrigin,
  parseManifest,
  type Reference,
  type Repository,
} from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { isAbsent, orAbsent } from './absent.ts';
import { BlobBody } from './blob-body.ts';
import type { BlobToSend, CopyDestination, Referrer } from './destination.ts';
import type { CopiedManifest } from './source.ts';

export interface UpstreamDestinationOptions {
  readonly origin: PushOrigin;
  readonly cache: { readonly pushed: Pick<PullThrough['pushed'], 'blob' | 'manifest'> };
  readonly telemetry: Telemetry;
  readonly isImmutable: (tag: string) => boolean;
  /** Who copies, as rules write it. */
  readonly by: string;
}

/** Pages of the referrers of one manifest. */
const MAX_PAGES = 20;

/** A repository of the upstream that takes the pushes of its registry. What it has taken is known here, so that a pull finds it at once. */
export class UpstreamDestination implements CopyDestination {
  readonly repository: Repository;
  readonly registry: string;
  readonly #options: UpstreamDestinationOptions;
  /** Subjects for which the upstream has confirmed a referrer (`OCI-Subject`): it lists them by itself. */
  readonly #listed = new Set<Digest>();

  constructor(repository: Repository, options: UpstreamDestinationOptions) {
    this.repository = repository;
    this.registry = repository.registry;
    this.#options = options;
  }

  async hasBlob(digest: Digest, size: number | undefined, signal: AbortSignal): Promise<boolean> {
    const { origin } = this.#options;
    return (await said(orAbsent(origin.headBlob(this.repository, digest, { size, signal })))) !== undefined;
  }

  async find(reference: Reference, signal: AbortSignal): Promise<Digest | undefined> {
    const { origin } = this.#options;
    return (await said(orAbsent(origin.headManifest(this.repository, reference, { signal }))))?.digest;
  }

  async sendBlob({ digest, size, source, open, onBytes, signal }: BlobToSend): Promise<'mounted' | 'sent'> {
    const { origin, cache } = this.#options;
    const { visibility } = origin;
    const isSame = source.repository.repository === this.repository.repository;
    const isBeside = !source.isHosted && source.repository.registry === this.registry && !isSame;
    const started = await this.#start(isBeside ? { digest, from: source.repository } : undefined, signal);
    if (started === 'mounted') {
      await cache.pushed.blob(this.repository, { digest, visibility });
      return 'mounted';
    }
    const giveUp = (): void => void origin.cancelUpload(this.repository, started.place).catch(() => undefined);
    const blob = await open().catch((error: unknown) => {
      giveUp();
      throw error;
    });
    const body = new BlobBody(blob.reader, { onBytes, signal });
    try {
      const sent = { length: blob.size ?? size, source: body };
      await origin.finishUpload(this.repository, started.place, { digest, body: sent, signal });
    } catch (error) {
      giveUp();
      // The upload is gone: another one may succeed.
      if (isAbsent(error)) throw new TaskError(messageOf(error), { isPassing: true });
      throw refusalOf(error);
    } finally {
      await body.release();
    }
    await cache.pushed.blob(this.repository, { digest, visibility });
    return 'sent';
  }

  async putManifest(reference: Reference, manifest: CopiedManifest, signal: AbortSignal): Promise<void> {
    const { origin, cache, telemetry, by } = this.#options;
    const { digest, bytes, mediaType } = manifest;
    const tags = reference.kind === 'tag' ? [reference.tag] : [];
    await this.#requireMovable(tags, digest, signal);
    const stored = await said(origin.putManifest(this.repository, reference, { bytes, mediaType, signal }));
    if (stored.subject !== undefined) this.#listed.add(stored.subject);
    if ((stored.digest ?? digest) !== digest) {
      const message = `${origin.upstream} has stored another manifest, ${stored.digest}, in place of ${digest}`;
      throw new TaskError(message, { isPassing: false });
    }
    if (!isMediaType(mediaType)) return;
    const { upstream, visibility } = origin;
    const size = bytes.length;
    const kept = { bytes, digest, mediaType, size, upstream, visibility };
    const before = await cache.pushed.manifest(this.repository, kept, tags);
    telemetry.publish('manifest.pushed', { ...this.repository, digest, mediaType, size, tags, by, client: '' });
    for (const [tag, from] of before) {
      if (from !== digest) telemetry.publish('tag.moved', { ...this.repository, tag, digest, from, by, client: '' });
    }
  }

  /** A registry without such a list is given one under the fallback tag (distribution-spec, "Referrers Tag Schema"). */
  async listReferrers(subject: Digest, referrers: readonly Referrer[], signal: AbortSignal): Promise<number> {
    if (this.#listed.has(subject)) return 0;
    const found = await this.#referrersOf(subject, signal);
    const missing = referrers.filter(({ digest }) => !found.has(digest));
    if (missing.length === 0) return 0;
    const manifests = [...found.values(), ...missing];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests }));
    const [algorithm = '', encoded = ''] = subject.split(':');
    const reference = { kind: 'tag', tag: `${algorithm}-${encoded.slice(0, MAX_ENCODED)}` } as const;
    const index = { bytes, mediaType: MEDIA_TYPES.ociIndex, signal };
    await said(this.#options.origin.putManifest(this.repository, reference, index));
    return bytes.length;
  }

  async #referrersOf(subject: Digest, signal: AbortSignal): Promise<ReadonlyMap<Digest, object>> {
    const found = new Map<Digest, object>();
    let page: string | undefined;
    for (let count = 0; count < MAX_PAGES; count += 1) {
      const asked = this.#options.origin.listReferrers(this.repository, subject, { page, signal });
      const list = await said(orAbsent(asked));
      if (list === undefined) break;
      const { manifests } = await inTurns(parseManifest(list.bytes, MEDIA_TYPES.ociIndex));
      const { manifests: written } = JSON.parse(list.bytes.toString()) as { readonly manifests: readonly Referrer[] };
      const known = new Set(manifests.map(({ digest }) => digest));
      for (const each of written) if (known.has(each.digest)) found.set(each.digest, each);
      if (list.next === undefined) break;
      page = list.next;
    }
    return found;
  }

  async #start(
    mount: { readonly digest: Digest; readonly from: Repository } | undefined,
    signal: AbortSignal,
  ): Promise<OpenUpload | 'mounted'> {
    const { origin } = this.#options;
    if (mount !== undefined) {
      try {
        const mounted = await origin.startUpload(this.repository, { mount, signal });
        return mounted.kind === 'stored' ? 'mounted' : mounted;
      } catch (error) {
        // A registry that refuses to mount may take an upload.
        const isOver = isOriginFailure(error) && (error.kind === 'throttled' || error.kind === 'unavailable');
        if (signal.aborted || isOver || !isOriginFailure(error)) throw error;
      }
    }
    const started = await said(origin.startUpload(this.repository, { signal }));
    if (started.kind === 'open') return started;
    throw new TaskError(`${origin.upstream} has mounted a blob that was to be sent`, { isPassing: false });
  }

  async #requireMovable(tags: readonly string[], digest: Digest, signal: AbortSignal): Promise<void> {
    for (const tag of tags.filter((each) => this.#options.isImmutable(each))) {
      const found = await this.find({ kind: 'tag', tag }, signal);
      if (found === undefined || found === digest) continue;
      const message = `the tag ${tag} is immutable (immutable_tags) and points to ${found}; copy to another tag`;
      throw new OciError('DENIED', message);
    }
  }
}

/** Characters of a digest in its fallback tag. */
const MAX_ENCODED = 64;

/** The answer of an upstream, or its refusal in its own words. */
async function said<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw refusalOf(error);
  }
}

function refusalOf(error: unknown): unknown {
  if (!isOriginFailure(error) || error.kind === 'throttled' || error.kind === 'unavailable') return error;
  return new TaskError(messageOf(error), { isPassing: false });
}

function messageOf(error: unknown): string {
  if (!isOriginFailure(error)) return error instanceof Error ? error.message : String(error);
  const { upstream, message, kind, said: refusal }: PushFailure = error;
  if (kind === 'denied') {
    return `${upstream} takes no push with the credential of this server, or has none of it; set credentials that may push for this upstream (${message})`;
  }
  const words = [refusal?.code, refusal?.message].filter((each) => each !== undefined && each !== '').join(': ');
  const isSparse = /MANIFEST_BLOB_UNKNOWN|manifest unknown to registry|MANIFEST_UNKNOWN/.test(words);
  const remedy = isSparse ? '; where it takes no index without all of its images, copy without --platform' : '';
  return words === '' ? message : `${upstream} refuses it: ${words}${remedy}`;
}
