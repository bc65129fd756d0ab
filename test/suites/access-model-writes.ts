import { digestOf } from '../../src/oci/index.ts';
import type { Content } from '../support/image.ts';

const ABSENT = digestOf(Buffer.from('what no repository has'));

/** A request that changes a hosted repository, or looks at an upload of it. */
export interface Write {
  readonly method: string;
  readonly path: string;
  readonly action: 'push' | 'delete';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The status where it is allowed. */
  readonly status: number;
  /** The repository that it mounts from: where the client may not pull there, it is an upload (202). */
  readonly from?: string | undefined;
}

/** Every kind of change of a hosted repository that has an image, and has it afterwards too. */
export function writesOf(
  base: string,
  { index, layer, sources }: { readonly index: Content; readonly layer: Content; readonly sources: readonly string[] },
): readonly Write[] {
  const plain = { headers: {}, body: Buffer.alloc(0) };
  const manifest = { headers: { 'content-type': index.mediaType }, body: index.bytes };
  return [
    { ...plain, method: 'POST', path: `${base}/blobs/uploads/`, action: 'push', status: 202 },
    { ...plain, method: 'GET', path: `${base}/blobs/uploads/absent`, action: 'push', status: 404 },
    { ...plain, method: 'DELETE', path: `${base}/blobs/uploads/absent`, action: 'push', status: 404 },
    { ...manifest, method: 'PUT', path: `${base}/manifests/latest`, action: 'push', status: 201 },
    {
      ...manifest,
      method: 'PUT',
      path: `${base}/manifests/${index.digest}?tag=latest&tag=b`,
      action: 'push',
      status: 201,
    },
    { ...plain, method: 'DELETE', path: `${base}/manifests/absent`, action: 'delete', status: 404 },
    { ...plain, method: 'DELETE', path: `${base}/manifests/${ABSENT}`, action: 'delete', status: 404 },
    { ...plain, method: 'DELETE', path: `${base}/blobs/${ABSENT}`, action: 'delete', status: 404 },
    ...sources.map((from) => ({
      ...plain,
      method: 'POST',
      path: `${base}/blobs/uploads/?mount=${layer.digest}&from=${from}`,
      action: 'push' as const,
      status: 201,
      from,
    })),
  ];
}
