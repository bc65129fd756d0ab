import type { Digest } from '../../../src/oci/index.ts';
import { type Content, content, descriptor, type TestImage } from '../image.ts';

interface Shelf {
  readonly tags: Map<string, Digest>;
  readonly manifests: Map<string, Content>;
  readonly blobs: Map<string, Content>;
}

/** What a scripted registry holds, by repository. */
export class Library {
  readonly #shelves = new Map<string, Shelf>();

  addImage(image: TestImage, place: { repository: string; tags: readonly string[] }): void {
    for (const manifest of image.manifests) this.addManifest(place.repository, manifest);
    for (const blob of image.blobs) this.addBlob(place.repository, blob);
    for (const tag of place.tags) this.tag(place.repository, { tag, digest: image.index.digest });
  }

  addManifest(repository: string, manifest: Content): void {
    this.#shelf(repository).manifests.set(manifest.digest, manifest);
  }

  addBlob(repository: string, blob: Content): void {
    this.#shelf(repository).blobs.set(blob.digest, blob);
  }

  /** Moves or removes a tag. */
  tag(repository: string, { tag, digest }: { tag: string; digest: Digest | undefined }): void {
    if (digest === undefined) this.#shelf(repository).tags.delete(tag);
    else this.#shelf(repository).tags.set(tag, digest);
  }

  remove(repository: string, digest: string): void {
    this.#shelves.get(repository)?.manifests.delete(digest);
    this.#shelves.get(repository)?.blobs.delete(digest);
  }

  has(repository: string): boolean {
    return this.#shelves.has(repository);
  }

  manifest(repository: string, reference: string): Content | undefined {
    const shelf = this.#shelves.get(repository);
    return shelf?.manifests.get(shelf.tags.get(reference) ?? reference);
  }

  blob(repository: string, digest: string): Content | undefined {
    return this.#shelves.get(repository)?.blobs.get(digest);
  }

  /** Sorted, as the specification wants them. */
  tags(repository: string): string[] | undefined {
    const shelf = this.#shelves.get(repository);
    return shelf === undefined ? undefined : [...shelf.tags.keys()].sort();
  }

  repositories(): string[] {
    return [...this.#shelves.keys()].sort();
  }

  /** The referrers index of a digest (distribution-spec, "Listing Referrers"). */
  referrers(repository: string, { digest, artifactType }: { digest: string; artifactType: string | null }): Content {
    const manifests = [...(this.#shelves.get(repository)?.manifests.values() ?? [])].flatMap((each) => {
      const value = JSON.parse(each.bytes.toString()) as { subject?: { digest: string }; artifactType?: string };
      if (value.subject?.digest !== digest) return [];
      if (artifactType !== null && value.artifactType !== artifactType) return [];
      return [{ ...descriptor(each), artifactType: value.artifactType }];
    });
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    return content(mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })));
  }

  #shelf(repository: string): Shelf {
    let shelf = this.#shelves.get(repository);
    if (shelf === undefined) {
      shelf = { tags: new Map(), manifests: new Map(), blobs: new Map() };
      this.#shelves.set(repository, shelf);
    }
    return shelf;
  }
}
