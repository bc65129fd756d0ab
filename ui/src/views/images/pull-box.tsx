import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId } from 'preact/hooks';
import { Snippet } from '../../parts/copy.tsx';
import { remember, remembered } from '../../storage.ts';
import { words } from '../../words/index.ts';
import { pullWith, TOOLS, type Tool } from './pull-with.ts';

const stored = remembered('tool');
/** Chosen once, for every image. */
const tool = signal<Tool>(TOOLS.find((each) => each === stored) ?? 'docker');

/** The pull command to copy, for the tool that the reader uses. */
export function PullBox({ image }: { readonly image: string }): JSX.Element {
  const { images: w } = words.value;
  const id = useId();
  const { host, protocol } = location;
  return (
    <div class="pull-box">
      <label class="hidden" for={id}>
        {w.tool}
      </label>
      <select
        id={id}
        value={tool.value}
        onChange={({ currentTarget: { value } }) => {
          tool.value = TOOLS.find((each) => each === value) ?? 'docker';
          remember('tool', tool.value);
        }}
      >
        {TOOLS.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
      <Snippet code={pullWith(tool.value, { image, host, plain: protocol === 'http:' })} what={w.pullCommand} />
    </div>
  );
}
