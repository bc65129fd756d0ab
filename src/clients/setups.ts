import type { ClientInstructions, LocalText, ServerAddress } from './client.ts';
import { CLIENTS } from './clients.ts';

/** One client on the help page. */
export interface ClientSetup {
  /** For programs: it does not change. */
  readonly client: string;
  readonly title: LocalText;
  readonly instructions: ClientInstructions;
}

/** How to set up each client that this server is set up for. */
export function clientSetups(server: ServerAddress): readonly ClientSetup[] {
  return CLIENTS.flatMap(({ name, title = { en: name, zh: name }, instructions: instruct }) => {
    const instructions = instruct(server);
    return instructions === undefined ? [] : [{ client: name, title, instructions }];
  });
}
