import { OciError } from '../oci/index.ts';
import type { Door } from '../server/index.ts';

const RESERVED = /^\/(api|ui)(?:\/|$)/;

/** Keeps the paths of the HTTP API and the console from being read as names of registries where they are not served. */
export const reservedDoor: Door = {
  open({ path }) {
    const name = RESERVED.exec(path)?.[1];
    if (name === undefined) return undefined;
    return {
      takesSlot: true,
      parse() {
        throw new OciError('UNSUPPORTED', `/${name} is reserved, and nothing is served there; images are under /v2/`, {
          status: 404,
          // The request may have a body that is not read.
          headers: { connection: 'close' },
        });
      },
      answer: () => {},
      fail: () => false,
    };
  },
};
