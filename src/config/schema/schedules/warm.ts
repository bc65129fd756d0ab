import * as z from 'zod';
import { optionMeta } from '../meta.ts';
import { options } from '../options.ts';
import { platform } from '../platform.ts';
import { due, imageName, MAX_IMAGES, MAX_PLATFORMS, MAX_SCHEDULES, scheduleName } from './fields.ts';

const entry = options({
  name: scheduleName('The first image'),
  images: z
    .array(imageName('nginx:1.27'))
    .min(1)
    .max(MAX_IMAGES)
    .describe('As `entrepot warm` takes them: `nginx:1.27`, `ghcr.io/owner/app@sha256:…`.'),
  ...due,
  platforms: z
    .array(platform)
    .max(MAX_PLATFORMS)
    .prefault([])
    .describe('Platforms that each image must have. By default those of `cache.platforms`, or all.'),
});

/** Images that are fetched by a schedule: a part of the one definition, see schema.ts. */
export const warm = z
  .array(entry)
  .max(MAX_SCHEDULES)
  .register(optionMeta, {
    type: 'list',
    expected: `a list of at most ${MAX_SCHEDULES} schedules, each such as {images: [nginx:1.27], schedule: "@daily"}`,
  });
