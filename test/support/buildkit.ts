import { goTool } from './go-tools.ts';
import { check, type Workspace } from './processes.ts';

/** A buildkitd of its own, with its content in a workspace. */
export interface Buildkit {
  /** Builds a folder that has a Dockerfile. @param output as `--output` of buildctl has it */
  build(folder: string, output: string): Promise<void>;
  stop(): Promise<number>;
}

interface BuildkitOptions {
  /** Names its files in the workspace. */
  readonly name: string;
  /** `stargz` mounts layers and fetches of them what is read; it needs FUSE. @default 'native' */
  readonly snapshotter?: 'native' | 'stargz';
  /** A buildkitd.toml. @default an empty one */
  readonly config?: string;
}

/** Starts buildkitd, as `scripts/go-tools.ts` builds it. It needs root, and runc on the PATH. */
export async function startBuildkit(
  workspace: Workspace,
  { name, snapshotter = 'native', config = '' }: BuildkitOptions,
): Promise<Buildkit> {
  const address = `unix://${workspace.path(`${name}.sock`)}`;
  const buildctl = (...args: string[]): Promise<string> => check([goTool('buildctl'), '--addr', address, ...args]);
  const process = await workspace.start(
    [
      goTool('buildkitd'),
      `--addr=${address}`,
      `--root=${workspace.path(name)}`,
      `--config=${await workspace.file(`${name}.toml`, config)}`,
      `--oci-worker-snapshotter=${snapshotter}`,
      '--containerd-worker=false',
    ],
    { within: 60_000, ready: async () => (await buildctl('debug', 'workers')) !== '' },
  );
  return {
    async build(folder, output) {
      const from = [`--local=context=${folder}`, `--local=dockerfile=${folder}`, '--frontend=dockerfile.v0'];
      await buildctl('build', '--progress=plain', ...from, `--output=${output}`);
    },
    stop: () => process.stop(),
  };
}
