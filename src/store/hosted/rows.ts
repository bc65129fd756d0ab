import type { SQLOutputValue } from 'node:sqlite';
import { type Digest, parseDigest, type Repository } from '../../oci/index.ts';
import { HostedStoreError } from './error.ts';
import type { HostedBlob, HostedManifest, HostedMove, HostedTag } from './hosted-store.ts';

export type Row = Record<string, SQLOutputValue>;

/** Makes records of the rows of the file. What no release wrote there is a {@link HostedStoreError}. */
export class RowReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  blob(row: Row): HostedBlob {
    return { digest: this.digest(row), size: row['size'] as number };
  }

  manifest(row: Row): HostedManifest {
    return {
      digest: this.digest(row),
      mediaType: row['media_type'] as string,
      size: row['size'] as number,
      pushedAt: row['pushed_at'] as number,
      subject: row['subject'] === null ? undefined : this.digest(row, 'subject'),
      artifactType: (row['artifact_type'] as string | null) ?? undefined,
      annotations: row['annotations'] === null ? undefined : this.#annotations(row),
    };
  }

  tag(row: Row): HostedTag {
    return {
      tag: row['tag'] as string,
      digest: this.digest(row),
      mediaType: row['media_type'] as string,
      size: row['size'] as number,
      movedAt: row['moved_at'] as number,
    };
  }

  move(row: Row): HostedMove {
    return {
      digest: row['digest'] === null ? undefined : this.digest(row),
      at: row['at'] as number,
      by: row['by'] as string,
    };
  }

  /** Parsed again: paths are built from it, and the file may have been edited. */
  digest(row: Row, column = 'digest'): Digest {
    const digest = parseDigest(String(row[column]));
    if (digest === undefined) throw new HostedStoreError(this.#file, { found: 'it holds a malformed digest' });
    return digest;
  }

  #annotations(row: Row): Readonly<Record<string, string>> {
    try {
      return JSON.parse(String(row['annotations'])) as Record<string, string>;
    } catch (cause) {
      throw new HostedStoreError(this.#file, { found: 'it holds malformed annotations', cause });
    }
  }
}

/** The columns that name a repository. */
export function repositoryOf(row: Row): Repository {
  return { registry: row['registry'] as string, repository: row['repository'] as string };
}
