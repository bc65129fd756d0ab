import type { ServerAddress } from './client.ts';
import { CLIENTS } from './clients.ts';

/** One client on the help page. */
export interface ClientSetup {
  readonly client: string;
  /** The file to write `text` to; undefined where it is commands. */
  readonly file: string | undefined;
  readonly text: string;
  readonly note: string;
}

/** A snippet for each client that this server is set up for. */
export function clientSetups(server: ServerAddress): readonly ClientSetup[] {
  return CLIENTS.flatMap(({ name, instructions }) => {
    const found = instructions(server);
    if (found === undefined) return [];
    const { files = [], commands = [], restart, notes } = found;
    const text = [...files.map(({ content }) => content), ...commands].join('\n');
    const last = restart === undefined ? [] : [`Then: ${restart}.`];
    return [{ client: name, file: files[0]?.path, text, note: [...notes, ...last].join(' ') }];
  });
}
