import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type CanaryClient, type Finding, RUNNABLE_CLIENTS } from '../../../doctor/index.ts';

/** The machine whose clients are examined. */
export interface ClientSurroundings {
  /** Whether a program is installed. @default searched in `PATH` */
  readonly hasProgram?: (name: string) => boolean;
}

/** The clients of this machine, and what their files say. @param only these, where names are given */
export function clientsToProve(
  _server: string,
  only: readonly string[] | undefined,
  { hasProgram = isInstalled }: ClientSurroundings,
): { readonly clients: readonly CanaryClient[]; readonly findings: readonly Finding[] } {
  const names = only ?? RUNNABLE_CLIENTS.filter((name) => hasProgram(name));
  return { clients: names.map((client) => ({ client, registry: 'docker.io' })), findings: [] };
}

export function isInstalled(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return directory !== '';
    } catch {
      return false;
    }
  });
}
