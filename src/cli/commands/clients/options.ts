import type { SetupClient } from '../../../clients/index.ts';
import type { ConfigFlags } from '../../../config/index.ts';
import { type Machine, usesUserFiles } from '../../../setup/index.ts';
import type { Output } from '../../output.ts';

/** The options of `entrepot setup`. */
export interface SetupOptions {
  readonly flags: ConfigFlags;
  readonly client?: SetupClient | undefined;
  readonly server?: string;
  readonly registries?: readonly string[];
  readonly ca?: string;
  readonly apply?: boolean;
  readonly undo?: boolean;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly restart?: boolean;
  readonly user?: boolean;
  readonly system?: boolean;
  readonly root?: string;
  readonly output?: string;
  readonly json?: boolean;
}

/** What the command has around it; a test gives its own. */
export interface SetupSurroundings {
  /** @default the process's own streams */
  readonly output?: Output;
  /** Asks a yes-or-no question; undefined where there is no terminal. @default by the terminal, if there is one */
  readonly ask?: ((question: string) => Promise<boolean>) | undefined;
  /** @default the user's home directory */
  readonly home?: string;
  /** @default whether the process is root */
  readonly isRoot?: boolean;
}

export interface SetupContext {
  readonly options: SetupOptions;
  readonly surroundings: SetupSurroundings;
}

/** Whether the files are the user's, by the flags or by who runs the command. */
export function isUser(machine: Machine, client: SetupClient, { options, surroundings }: SetupContext): boolean {
  if (options.user !== undefined) return options.user;
  if (options.system === true) return false;
  return usesUserFiles(machine, client, surroundings.isRoot ?? process.getuid?.() === 0);
}
