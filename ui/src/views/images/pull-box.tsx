import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId } from 'preact/hooks';
import { Snippet } from '../../parts/copy.tsx';
import { remember, remembered } from '../../storage.ts';
import { words } from '../../words/index.ts';

/** The clients whose command is shown. */
export const TOOLS = ['docker', 'podman', 'nerdctl', 'crane', 'skopeo'] as const;
type Tool = (typeof TOOLS)[number];

const stored = remembered('tool');
/** Chosen once, for every image. */
const tool = signal<Tool>(TOOLS.find((each) => each === stored) ?? 'docker');

/**
 * The command that pulls an image through this server.
 *
 * @param host as the reader's browser reached it
 * @param plain without TLS: clients other than Docker, which has a setting of its own, are told so
 */
export function pullWith(
  chosen: Tool,
  { image, host, plain }: { readonly image: string; readonly host: string; readonly plain: boolean },
): string {
  const name = `${host}/${image}`;
  switch (chosen) {
    case 'docker':
      return `docker pull ${name}`;
    case 'podman':
      return `podman pull ${plain ? '--tls-verify=false ' : ''}${name}`;
    case 'nerdctl':
      return `nerdctl pull ${plain ? '--insecure-registry ' : ''}${name}`;
    case 'crane':
      return `crane pull ${plain ? '--insecure ' : ''}${name} image.tar`;
    case 'skopeo':
      return `skopeo copy ${plain ? '--src-tls-verify=false ' : ''}docker://${name} oci:image`;
  }
}

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
