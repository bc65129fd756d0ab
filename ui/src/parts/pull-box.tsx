import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { pullWith, TOOLS, type Tool } from '../pull-with.ts';
import { remember, remembered } from '../storage.ts';
import { words } from '../words/index.ts';
import { Snippet } from './copy.tsx';
import { Select } from './field.tsx';

const stored = remembered('tool');
/** Chosen once, for every image. */
const tool = signal<Tool>(TOOLS.find((each) => each === stored) ?? 'docker');

/** The pull command to copy, for the tool that the reader uses. */
export function PullBox({ image }: { readonly image: string }): JSX.Element {
  const { images: w } = words.value;
  const { host, protocol } = location;
  return (
    <div class="pull-box">
      <Select
        aria-label={w.tool}
        value={tool.value}
        options={TOOLS.map((each) => [each, each] as const)}
        change={(chosen) => {
          tool.value = chosen;
          remember('tool', chosen);
        }}
      />
      <Snippet code={pullWith(tool.value, { image, host, plain: protocol === 'http:' })} what={w.pullCommand} />
    </div>
  );
}
