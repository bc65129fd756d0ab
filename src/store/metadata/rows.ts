import type { SQLOutputValue } from 'node:sqlite';
import { type Digest, parseDigest, type Repository, type Visibility } from '../../oci/index.ts';
import { MetadataCorruptError } from './error.ts';
import type { BlobRecord, MemberRecord, TagRecord, UrlName, UrlRecord } from './metadata-store.ts';

export type Row = Record<string, SQLOutputValue>;

/** Makes records of the rows of a database. What no release wrote there is a {@link MetadataCorruptError}. */
export class RowReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  tag(row: Row): TagRecord {
    return { ...this.pointed(row), checkedAt: row['checked_at'] as number };
  }

  /** Where a tag points, pointed or is held. */
  pointed(row: Row): Omit<TagRecord, 'checkedAt'> {
    return {
      digest: this.digest(row),
      mediaType: row['media_type'] as string,
      size: row['size'] as number,
      upstream: row['upstream'] as string,
      visibility: row['visibility'] as Visibility,
    };
  }

  member(row: Row): MemberRecord {
    return {
      digest: this.digest(row),
      kind: row['kind'] as MemberRecord['kind'],
      mediaType: row['media_type'] as string,
      size: (row['size'] as number | null) ?? undefined,
      visibility: row['visibility'] as Visibility,
      ...(row['transient'] === 1 ? { transient: true } : {}),
    };
  }

  url(row: Row): UrlRecord {
    return {
      digest: this.digest(row),
      size: row['size'] as number,
      headers: this.#headers(row),
      checkedAt: row['checked_at'] as number,
      freshUntil: row['fresh_until'] as number,
    };
  }

  blob(row: Row): BlobRecord {
    return {
      digest: this.digest(row),
      size: row['size'] as number,
      kind: row['kind'] as BlobRecord['kind'],
      storedAt: row['stored_at'] as number,
      verifiedAt: (row['verified_at'] as number | null) ?? undefined,
    };
  }

  #headers(row: Row): Readonly<Record<string, string>> {
    try {
      return JSON.parse(row['headers'] as string) as Record<string, string>;
    } catch (cause) {
      throw new MetadataCorruptError(this.#file, { found: 'it holds malformed headers', cause });
    }
  }

  /** Parsed again: paths are built from it, and the file may have been edited. */
  digest(row: Row): Digest {
    const digest = parseDigest(String(row['digest']));
    if (digest === undefined) throw new MetadataCorruptError(this.#file, { found: 'it holds a malformed digest' });
    return digest;
  }
}

/** The columns that name a repository. */
export function repositoryOf(row: Row): Repository {
  return { registry: row['registry'] as string, repository: row['repository'] as string };
}

/** The columns that name a URL. */
export function urlNameOf(row: Row): UrlName {
  return { route: row['route'] as string, url: row['url'] as string };
}
