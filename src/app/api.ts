import type { ApiHost, Serving } from '../api/index.ts';
import type { RunningServer } from './running-server.ts';

interface ApiParts {
  /** Resolves once the server has started. */
  readonly server: Promise<RunningServer>;
  readonly loadOperating: () => Promise<typeof import('./operating/index.ts')>;
}

/** What answers the API of a server, made at the first request. */
export function openApi({ server, loadOperating }: ApiParts): ApiHost {
  let serving: Promise<Serving> | undefined;
  let isEnded = false;
  async function open(): Promise<Serving> {
    const { openServing } = await loadOperating();
    const made = await openServing(await server);
    if (isEnded) made.endStreams();
    return made;
  }
  return {
    serving() {
      serving ??= open().catch((error: unknown) => {
        serving = undefined;
        throw error;
      });
      return serving;
    },
    endStreams() {
      isEnded = true;
      serving?.then(({ endStreams }) => endStreams()).catch(() => {});
    },
  };
}
