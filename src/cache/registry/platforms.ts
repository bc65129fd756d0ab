import type { Platform } from '../../oci/index.ts';

/** Says whether what runs on a platform is to be kept; undefined: the index does not say what it runs on. */
export type PlatformFilter = (platform: Platform | undefined) => boolean;

/**
 * Compiles a list of platforms, each `os/architecture` (any variant) or `os/architecture/variant`.
 *
 * What names no platform, or calls it `unknown` as attestations do, is always kept: it is small and belongs to them all.
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

/** The variant that is meant where an index names none (containerd, platforms/database.go). */
function usualVariant(architecture: string): string | undefined {
  if (architecture === 'arm64') return 'v8';
  return architecture === 'arm' ? 'v7' : undefined;
}
