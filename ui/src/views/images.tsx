import type { JSX } from 'preact';
import { Heading } from '../parts/page.tsx';
import { words } from '../words/index.ts';
import type { ViewProps } from './view.ts';

export function Images(_: ViewProps): JSX.Element {
  return <Heading title={words.value.images.title} />;
}
