import * as z from 'zod';
import { optionMeta } from './meta.ts';

/**
 * Names that `uname` and distributions have for architectures, with the name that images have: that of Go
 * (image-spec, `image-index.md`). A filter with the name on the left would match no image.
 */
export const FOREIGN_ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  x64: 'amd64',
  x86: '386',
  i386: '386',
  i686: '386',
  aarch64: 'arm64',
  arm64v8: 'arm64',
  armhf: 'arm/v7',
  armv7: 'arm/v7',
  armv7l: 'arm/v7',
  arm32v7: 'arm/v7',
  armv6: 'arm/v6',
  armv6l: 'arm/v6',
  armel: 'arm/v6',
  ppc64el: 'ppc64le',
  powerpc64le: 'ppc64le',
};

/** `os/architecture` or `os/architecture/variant`. */
export const platform = z
  .string()
  .regex(/^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/)
  .refine((text) => !Object.hasOwn(FOREIGN_ARCHITECTURES, text.split('/')[1] ?? ''))
  .register(optionMeta, { type: 'platform', expected: 'a platform such as linux/amd64 or linux/arm/v7' });
