import * as z from 'zod';
import { flag } from '../fields.ts';
import { optionMeta } from '../meta.ts';
import { options } from '../options.ts';
import { platform } from '../platform.ts';
import { due, imageName, MAX_IMAGES, MAX_PLATFORMS, MAX_SCHEDULES, scheduleName } from './fields.ts';

const image = options({
  from: imageName('cold.example/team/app:1').describe(
    'What is copied, as `entrepot copy` takes it: `cold.example/team/app:1`; with `all_tags` a repository.',
  ),
  to: imageName('hot/team/app').describe(
    'Where it goes: a repository that is hosted here, or one of a registry with `push`. Without a tag it gets that of `from`.',
  ),
  all_tags: flag.prefault(false).describe('Copy every tag that the repository has when the schedule runs.'),
});

const entry = options({
  name: scheduleName('Where the first image goes'),
  images: z
    .array(image)
    .min(1)
    .max(MAX_IMAGES)
    .register(optionMeta, {
      type: 'list',
      expected: `a list of 1 to ${MAX_IMAGES} images, each such as {from: cold.example/team/app:1, to: hot/team/app}`,
    })
    .describe('Where each image comes from, and where it goes.'),
  ...due,
  platforms: z
    .array(platform)
    .max(MAX_PLATFORMS)
    .prefault([])
    .describe('Platforms that are copied of each image: with one, the tag gets that image alone. By default all.'),
});

/** Images that are copied by a schedule: a part of the one definition, see schema.ts. */
export const copy = z
  .array(entry)
  .max(MAX_SCHEDULES)
  .register(optionMeta, {
    type: 'list',
    expected: `a list of at most ${MAX_SCHEDULES} schedules, each such as {images: [{from: cold.example/team/app:1, to: hot/team/app}], schedule: "@daily"}`,
  });
