import type { Platform } from '../../oci/index.ts';

/** Whether the image of a platform is kept; undefined: the index names no platform. */
export type PlatformFilter = (platform: Platform | undefined) => boolean;

/**
 * Compiles a list of platforms, each `os/architecture` (any variant) or `os/architecture/variant`.
 *
 * An entry without a platform, or with `unknown` as attestations have it, is always kept: it is small and belongs to every
 * image.
 */
export function platformFilter(platforms: readonly string[] | undefined): PlatformFilter {
  if (platforms === undefined) return () => true;
  const wanted = platforms.map((text) => {
    const [os, architecture, variant] = text.split('/');
    return { os, architecture, variant };
  });
  return (platform) => {
    if (platform === undefined || platform.os === 'unknown') return true;
    return wanted.some(
      ({ os, architecture, variant }) =>
        os === platform.os &&
        architecture === platform.architecture &&
        (variant === undefined || variant === (platform.variant ?? usualVariant(platform.architecture))),
    );
  };
}

/** The variant that an index means where it names none (containerd, platforms/database.go). */
function usualVariant(architecture: string): string | undefined {
  if (architecture === 'arm64') return 'v8';
  return architecture === 'arm' ? 'v7' : undefined;
}
