import assert from 'node:assert/strict';
import { digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';

/** Puts a manifest with one blob into a registry, as cosign and oras do. @param tag empty: it has its digest alone */
export async function attach(
  registry: { readonly url: string },
  { name, tag, more }: { readonly name: string; readonly tag: string; readonly more: object },
): Promise<Buffer> {
  const bytes = Buffer.from(`blob of ${tag}`);
  const begun = await fetch(`${registry.url}/v2/${name}/blobs/uploads/`, { method: 'POST' });
  const place = new URL(begun.headers.get('location') ?? '', registry.url);
  place.searchParams.set('digest', digestOf(bytes));
  assert.equal((await fetch(place, { method: 'PUT', body: new Uint8Array(bytes) })).status, 201);
  const blob = { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: bytes.length };
  const config = { ...blob, mediaType: 'application/vnd.oci.image.config.v1+json' };
  const value = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [blob], ...more };
  const manifest = Buffer.from(JSON.stringify(value));
  await putManifest(registry, `${name}/manifests/${tag === '' ? digestOf(manifest) : tag}`, { bytes: manifest });
  return manifest;
}

/** @param path `team/app/manifests/1` */
export async function putManifest(
  registry: { readonly url: string },
  path: string,
  { bytes, mediaType = MEDIA_TYPES.ociManifest }: { readonly bytes: Buffer; readonly mediaType?: string },
): Promise<void> {
  const headers = { 'content-type': mediaType };
  const put = await fetch(`${registry.url}/v2/${path}`, { method: 'PUT', headers, body: new Uint8Array(bytes) });
  assert.equal(put.status, 201, await put.text());
}

/** An SBOM of an image, with the list of referrers that registries without one of their own have (distribution-spec, "Referrers Tag Schema"). */
export async function attachSbom(
  registry: { readonly url: string },
  name: string,
  { mediaType, digest, size }: { readonly mediaType: string; readonly digest: string; readonly size: number },
): Promise<{ readonly sbom: Buffer; readonly fallbackTag: string }> {
  const subject = { mediaType, digest, size };
  const fallbackTag = digest.replace(':', '-');
  const sbom = await attach(registry, { name, tag: '', more: { subject, artifactType: 'application/spdx+json' } });
  const listed = { mediaType: MEDIA_TYPES.ociManifest, digest: digestOf(sbom), size: sbom.length };
  const list = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [listed] };
  const bytes = Buffer.from(JSON.stringify(list));
  await putManifest(registry, `${name}/manifests/${fallbackTag}`, { bytes, mediaType: MEDIA_TYPES.ociIndex });
  return { sbom, fallbackTag };
}
