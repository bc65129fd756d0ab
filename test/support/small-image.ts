import { MEDIA_TYPES } from '../../src/oci/index.ts';
import { type Content, content, noise } from './image.ts';

/** An image of one platform, made of given layers: images that share some can be made. */
export interface SmallImage {
  readonly manifest: Content;
  readonly config: Content;
  readonly layers: readonly Content[];
  /** Manifest, config and layers. */
  readonly parts: readonly Content[];
}

/** A layer of so many bytes. */
export function smallLayer(seed: string, size = 10_000): Content {
  return content('application/vnd.oci.image.layer.v1.tar', noise(seed, size));
}

export function smallImage(seed: string, layers: readonly Content[]): SmallImage {
  const config = content('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify({ seed })));
  const manifest = content(
    MEDIA_TYPES.ociManifest,
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociManifest,
        config: descriptor(config),
        layers: layers.map(descriptor),
      }),
    ),
  );
  return { manifest, config, layers, parts: [manifest, config, ...layers] };
}

/** An index of images, each with its platform (`linux/arm/v7`). */
export function smallIndex(images: Readonly<Record<string, SmallImage>>): Content {
  const manifests = Object.entries(images).map(([name, { manifest }]) => {
    const [os, architecture, variant] = name.split('/');
    return { ...descriptor(manifest), platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
  });
  const value = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests };
  return content(MEDIA_TYPES.ociIndex, Buffer.from(JSON.stringify(value)));
}

function descriptor({ mediaType, digest, size }: Content) {
  return { mediaType, digest, size };
}
