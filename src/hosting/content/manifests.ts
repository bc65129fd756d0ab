import { inTurns } from '../../lib/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  type ManifestReference,
  OciError,
  type Reference,
  type Repository,
  readPushedManifest,
} from '../../oci/index.ts';
import type { HostedManifest, HostedStore, PutManifestOptions, PutManifestOutcome } from '../../store/index.ts';
import { formatBytes, type Telemetry } from '../../telemetry/index.ts';
import type { DigestLocks } from '../digest-locks.ts';
import type { HostingRules } from '../rules.ts';
import type { Actor } from './actor.ts';
import { type Condition, hasCondition, requireCondition } from './condition.ts';
import type { HostedFiles } from './files.ts';
import { conditionFailed, deleteRefused, onDisk, pushConflicts } from './refusals.ts';

interface HostedManifestsOptions {
  readonly files: HostedFiles;
  readonly records: HostedStore;
  readonly locks: DigestLocks;
  readonly rules: () => HostingRules;
  readonly telemetry: Telemetry;
  readonly now: () => number;
}

/** A manifest that a client sends. */
export interface ManifestPush extends Actor {
  /** Where it was sent to. */
  readonly reference: Reference;
  /** The exact bytes. */
  readonly bytes: Buffer;
  /** The `Content-Type` header. */
  readonly contentType: string | undefined;
  /** More tags for it; each is a valid one. */
  readonly tags: readonly string[];
  readonly condition: Condition;
}

/** A manifest that was stored. */
export interface StoredManifest {
  readonly digest: Digest;
  /** The subject that it refers to, where it has one. */
  readonly subject: Digest | undefined;
}

/** A manifest that is read. */
export interface FoundManifest {
  readonly manifest: HostedManifest;
  /** Undefined where the client wants the head alone. */
  readonly bytes: Buffer | undefined;
}

const ALLOW = 'GET, HEAD, PUT';

/** The manifests and tags of hosted repositories. */
export class HostedManifests {
  readonly #options: HostedManifestsOptions;

  constructor(options: HostedManifestsOptions) {
    this.#options = options;
  }

  /**
   * A manifest by tag or digest. The head of one counts as a use: a client that hears that it exists does not push it.
   *
   * @throws {OciError} MANIFEST_UNKNOWN
   */
  async read(
    repository: Repository,
    reference: Reference,
    { head }: { readonly head: boolean },
  ): Promise<FoundManifest> {
    const { records, files, now } = this.#options;
    const digest = await this.#digestOf(repository, reference);
    if (digest === undefined) throw unknown(repository, reference);
    const manifest = head
      ? await records.useManifest(repository, digest, now())
      : await records.getManifest(repository, digest);
    if (manifest === undefined) throw unknown(repository, reference);
    if (head && (await files.has(repository, manifest))) return { manifest, bytes: undefined };
    const bytes = head ? undefined : await files.manifest(repository, digest);
    if (bytes === undefined) throw unknown(repository, reference);
    return { manifest, bytes };
  }

  /**
   * Stores a manifest: its file first, and then its record with its tags, or nothing of it.
   *
   * @throws {OciError} MANIFEST_INVALID; DIGEST_INVALID where its bytes have another digest; MANIFEST_BLOB_UNKNOWN where something that
   * it names is missing; DENIED with 403 over the quota, 409 for an immutable tag, 412 where a condition does not hold; UNAVAILABLE on a
   * full disk
   */
  put(repository: Repository, push: ManifestPush): Promise<StoredManifest> {
    return onDisk(this.#options.telemetry, () => this.#put(repository, push));
  }

  async #put(repository: Repository, push: ManifestPush): Promise<StoredManifest> {
    const { files, records, locks, rules, telemetry, now } = this.#options;
    const { reference, bytes, by, client } = push;
    const pushed = await inTurns(readPushedManifest(bytes, push.contentType));
    const digest = digestOf(bytes, reference.kind === 'digest' ? digestAlgorithm(reference.digest) : 'sha256');
    if (reference.kind === 'digest' && reference.digest !== digest) {
      throw new OciError(
        'DIGEST_INVALID',
        `the manifest was pushed as ${reference.digest}, and its digest is ${digest}`,
      );
    }
    const { mediaType, subject, artifactType } = pushed;
    // A list of referrers is the only reader of annotations.
    const annotations = subject === undefined ? undefined : pushed.annotations;
    const size = bytes.length;
    const spec = rules().specOf(repository.registry);
    const options: PutManifestOptions = {
      at: now(),
      by,
      tags: await this.#tagsOf(repository, push),
      quota: spec?.quota,
      ...(spec?.sparse === true ? { sparse: ['blob', 'manifest'] } : {}),
    };
    const references = await this.#referencesOf(repository, pushed.references);
    const outcome = await locks.run(digest, async () => {
      await files.writeManifest(digest, bytes);
      const put = await records
        .putManifest(repository, { digest, mediaType, size, subject, artifactType, annotations, references }, options)
        .catch(async (error: unknown) => {
          await files.deleteUnreferenced(digest).catch(() => {});
          throw error;
        });
      if (put.outcome !== 'stored') await files.deleteUnreferenced(digest);
      return put;
    });
    if (outcome.outcome !== 'stored') throw await this.#refusalOf(repository, outcome, size);
    const tags = options.tags.map(({ tag }) => tag);
    telemetry.publish('manifest.pushed', { ...repository, digest, mediaType, size, tags, by, client });
    for (const { tag, from } of outcome.moved) {
      telemetry.publish('tag.moved', { ...repository, tag, digest, from, by, client });
    }
    return { digest, subject };
  }

  /**
   * Deletes a manifest with its tags, or a tag alone.
   *
   * @throws {OciError} MANIFEST_UNKNOWN; DENIED with 405 where an index needs it or a tag is immutable, 412
   */
  async delete(
    repository: Repository,
    reference: Reference,
    how: Actor & { readonly condition: Condition },
  ): Promise<void> {
    if (reference.kind === 'tag') await this.#deleteTag(repository, reference.tag, how);
    else await this.#deleteManifest(repository, reference.digest, how);
  }

  async #deleteTag(
    repository: Repository,
    tag: string,
    { by, client, condition }: Actor & { readonly condition: Condition },
  ): Promise<void> {
    const { records, rules, telemetry, now } = this.#options;
    const current = (await records.getTag(repository, tag))?.digest;
    if (current === undefined) throw unknown(repository, { kind: 'tag', tag });
    requireCondition(condition, current);
    if (rules().isImmutable(repository, tag)) {
      throw deleteRefused(`the tag ${tag} is immutable (immutable_tags), so it stays`, ALLOW);
    }
    const expected = hasCondition(condition) ? current : undefined;
    const deleted = await records.deleteTag(repository, tag, { at: now(), by, expected });
    if (deleted === undefined) throw unknown(repository, { kind: 'tag', tag });
    if (deleted === 'conflict') throw conditionFailed(`the tag ${tag} has just moved; pull it and try again`);
    telemetry.publish('tag.deleted', { ...repository, tag, digest: deleted.digest, by, client });
  }

  async #deleteManifest(
    repository: Repository,
    digest: Digest,
    { by, client, condition }: Actor & { readonly condition: Condition },
  ): Promise<void> {
    const { files, records, locks, rules, telemetry, now } = this.#options;
    if ((await records.getManifest(repository, digest)) === undefined)
      throw unknown(repository, { kind: 'digest', digest });
    requireCondition(condition, digest);
    const immutable = (tag: string): boolean => rules().isImmutable(repository, tag);
    const outcome = await locks.run(digest, async () => {
      const deleted = await records.deleteManifest(repository, digest, { at: now(), by, immutable });
      if (deleted?.outcome === 'deleted') await files.deleteUnreferenced(digest);
      return deleted;
    });
    if (outcome === undefined) throw unknown(repository, { kind: 'digest', digest });
    if (outcome.outcome === 'needed') {
      throw deleteRefused(`the index ${outcome.by} names this manifest; delete the index first`, ALLOW);
    }
    if (outcome.outcome === 'immutable') {
      throw deleteRefused(`the tag ${outcome.tag} is immutable (immutable_tags) and points to it, so it stays`, ALLOW);
    }
    telemetry.publish('manifest.deleted', { ...repository, digest, tags: outcome.tags, by, client });
  }

  async #digestOf(repository: Repository, reference: Reference): Promise<Digest | undefined> {
    if (reference.kind === 'digest') return reference.digest;
    return (await this.#options.records.getTag(repository, reference.tag))?.digest;
  }

  /** The tags of a push, each with where it has to point before, if the request says so. */
  async #tagsOf(repository: Repository, push: ManifestPush): Promise<PutManifestOptions['tags']> {
    const { records, rules } = this.#options;
    const { reference, condition } = push;
    const conditional = hasCondition(condition);
    const immutable = (tag: string): boolean => rules().isImmutable(repository, tag);
    const more = (without?: string) =>
      [...new Set(push.tags)].filter((tag) => tag !== without).map((tag) => ({ tag, immutable: immutable(tag) }));
    if (reference.kind === 'digest') {
      const { digest } = reference;
      // The manifest of a digest is there or not, and changes never: the condition needs no guard.
      if (conditional) requireCondition(condition, (await records.getManifest(repository, digest))?.digest);
      return more();
    }
    const { tag } = reference;
    if (!conditional) return [{ tag, immutable: immutable(tag) }, ...more(tag)];
    const current = (await records.getTag(repository, tag))?.digest;
    requireCondition(condition, current);
    // It may move between this look and the record: then the record refuses.
    return [{ tag, immutable: immutable(tag), expected: current ?? null }, ...more(tag)];
  }

  /** What has to be there: everything but foreign layers that are not. */
  async #referencesOf(
    repository: Repository,
    references: readonly ManifestReference[],
  ): Promise<readonly { readonly digest: Digest; readonly kind: 'blob' | 'manifest' }[]> {
    const { records } = this.#options;
    const required: { digest: Digest; kind: 'blob' | 'manifest' }[] = [];
    for (const { digest, kind, isForeign } of references) {
      if (kind === 'unknown') {
        const isManifest = (await records.getManifest(repository, digest)) !== undefined;
        required.push({ digest, kind: isManifest ? 'manifest' : 'blob' });
      } else if (!isForeign || (await records.getBlob(repository, digest)) !== undefined) {
        required.push({ digest, kind });
      }
    }
    return required;
  }

  async #refusalOf(
    repository: Repository,
    outcome: Exclude<PutManifestOutcome, { readonly outcome: 'stored' }>,
    size: number,
  ): Promise<OciError> {
    switch (outcome.outcome) {
      case 'missing': {
        const { references } = outcome;
        const shown = references.slice(0, MAX_SHOWN).join(', ');
        const more = references.length > MAX_SHOWN ? `, and ${references.length - MAX_SHOWN} more` : '';
        return new OciError('MANIFEST_BLOB_UNKNOWN', `the repository does not have ${shown}${more}; push it first`);
      }
      case 'conflict': {
        const now = outcome.digest === undefined ? 'does not exist' : `points to ${outcome.digest}`;
        return conditionFailed(`the tag ${outcome.tag} has just moved: it ${now}; pull it and try again`);
      }
      case 'immutable':
        return pushConflicts(
          `the tag ${outcome.tag} is immutable (immutable_tags) and points to ${outcome.digest}; push under another tag`,
        );
      case 'over quota': {
        const { bytes } = await this.#options.records.usage(repository);
        const quota = this.#options.rules().specOf(repository.registry)?.quota ?? 0;
        return overQuota(repository, { bytes, added: size, quota });
      }
    }
  }
}

/** Missing references that a message lists. */
const MAX_SHOWN = 5;

/** The refusal of a manifest that a repository has no room for; all in bytes. */
function overQuota(
  { registry, repository }: Repository,
  { bytes, added, quota }: { readonly bytes: number; readonly added: number; readonly quota: number },
): OciError {
  return new OciError(
    'DENIED',
    `quota: ${registry}/${repository} has ${formatBytes(bytes)} of ${formatBytes(quota)}, and this manifest has ${formatBytes(added)}; have the quota raised, or delete images: what they alone need counts for another day`,
  );
}

function unknown({ registry, repository }: Repository, reference: Reference): OciError {
  const what = reference.kind === 'tag' ? `tag ${reference.tag}` : `manifest ${reference.digest}`;
  return new OciError('MANIFEST_UNKNOWN', `${registry}/${repository} has no ${what}`);
}
