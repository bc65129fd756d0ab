import type { JSX } from 'preact';
import { Image } from './images/image.tsx';
import { isImage } from './images/name.ts';
import { Repositories } from './images/repositories.tsx';
import { RepositoryTags } from './images/repository.tsx';
import type { ViewProps } from './view.ts';

/** What is cached and hosted: registries and repositories, the tags of one, one image. */
export function Images({ rest }: ViewProps): JSX.Element {
  if (!rest.includes('/')) return <Repositories registry={rest} />;
  return isImage(rest) ? <Image key={rest} image={rest} /> : <RepositoryTags key={rest} repository={rest} />;
}
