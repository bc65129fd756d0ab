import type { ClientInstructions, LocalText, ServerAddress, SetupClient } from './client.ts';
import { CLIENTS } from './clients.ts';

/** One client on the help page. */
export interface ClientSetup {
  /** For programs: it does not change. */
  readonly client: string;
  readonly title: LocalText;
  /** Its name for `entrepot setup`. */
  readonly setup?: SetupClient | undefined;
  readonly instructions: ClientInstructions;
}

/** How to set up each client that this server is set up for. */
export function clientSetups(server: ServerAddress): readonly ClientSetup[] {
  return CLIENTS.flatMap(({ name, title = { en: name, zh: name }, setup, instructions: instruct }) => {
    const instructions = instruct(server);
    return instructions === undefined ? [] : [{ client: name, title, setup, instructions }];
  });
}

/** The command that points a client at this server, on the client's machine. */
export function setupCommand(client: SetupClient, url: string): string {
  return `entrepot setup ${client} --server ${url}`;
}
