import { type RunningEntrepot, type StartEntrepotOptions, startEntrepot } from '../../support/app.ts';
import { type Content, content, noise } from '../../support/image.ts';
import { Workspace } from '../../support/processes.ts';
import {
  type ScriptedUpstream,
  type ScriptedUpstreamOptions,
  startScriptedUpstream,
} from '../../support/scripted-upstream.ts';

/** How much of everything: the short form any number of times over, or the long one, which is the table's own. */
export type Rounds = number | 'long';

export interface StageOptions {
  readonly rounds: Rounds;
  /** What chances come from that are to come again. @default 0 */
  readonly seed?: number;
  /** Says what is being done, to the person who watches. */
  readonly progress: (text: string) => void;
  /** Ends when the row's time is over. */
  readonly signal: AbortSignal;
}

/** Repository of everything that is pulled here. */
export const REPOSITORY = 'team/app';

/** What a row has to work with: a workspace of its own, whose processes end with it. */
export class Stage implements AsyncDisposable {
  readonly workspace: Workspace;
  readonly rounds: Rounds;
  readonly seed: number;
  readonly progress: (text: string) => void;
  readonly signal: AbortSignal;
  #made = 0;

  private constructor(workspace: Workspace, { rounds, seed = 0, progress, signal }: StageOptions) {
    this.workspace = workspace;
    this.rounds = rounds;
    this.seed = seed;
    this.progress = progress;
    this.signal = signal;
  }

  static async open(options: StageOptions): Promise<Stage> {
    return new Stage(await Workspace.open(), options);
  }

  /** How often, or for how many seconds: `short` times the rounds, or `long`. */
  amount({ short, long }: { readonly short: number; readonly long: number }): number {
    return this.rounds === 'long' ? long : short * this.rounds;
  }

  async upstream(options: ScriptedUpstreamOptions = { personality: 'dockerHub' }): Promise<ScriptedUpstream> {
    const upstream = await startScriptedUpstream(options);
    this.workspace.defer(() => upstream.stop());
    return upstream;
  }

  /** Starts the server as a user would; `up` is the registry of this upstream. */
  async server(
    upstream: { readonly url: string },
    config: Readonly<Record<string, unknown>> = {},
    options: StartEntrepotOptions = {},
  ): Promise<RunningEntrepot> {
    const whole = {
      log: { level: 'info', format: 'json', access: false },
      registries: { up: { upstreams: [upstream.url] } },
      ...config,
    };
    return startEntrepot(this.workspace, whole, { ...options, env: { ...quietEnvironment(), ...options.env } });
  }

  /** A blob that was never pulled, held by the upstream. */
  blob(upstream: ScriptedUpstream, size: number): Content {
    this.#made += 1;
    const blob = content('application/octet-stream', noise(`fault ${this.#made} of ${process.pid}`, size));
    upstream.addBlob(REPOSITORY, blob);
    return blob;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.workspace.close();
  }
}

export function blobUrl(server: { readonly url: string }, { digest }: Pick<Content, 'digest'>): string {
  return `${server.url}/up/v2/${REPOSITORY}/blobs/${digest}`;
}

export function manifestUrl(server: { readonly url: string }, reference: string): string {
  return `${server.url}/up/v2/${REPOSITORY}/manifests/${reference}`;
}

/** The environment without what would configure the server behind the suite's back. */
function quietEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:ENTREPOT_|DEBUG$|PORT$|NODE_OPTIONS$|FAULTS_)/.test(name) && !/_proxy$/i.test(name),
  );
  return Object.fromEntries(kept);
}
