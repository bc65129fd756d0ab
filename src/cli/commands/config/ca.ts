import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { authorityPlaceOf } from '../../../app/index.ts';
import { type ConfigFlags, loadConfig } from '../../../config/index.ts';
import {
  type AuthorityFiles,
  authorityFilesIn,
  readAuthority,
  readAuthorityCertificate,
  writeAuthority,
} from '../../../forward/index.ts';
import { claimDirectory } from '../../../store/index.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import type { Output } from '../../output.ts';

export interface CaOptions {
  /** They lead to the directory of the server's authority, unless `dir` names another. */
  readonly flags: ConfigFlags;
  readonly dir?: string | undefined;
}

/** `entrepot ca init`: creates the authority that signs for the hosts of decrypted tunnels. */
export async function initCa(options: CaOptions, output: Output): Promise<number> {
  return withPlace(options, output, async (place) => {
    if (!('dir' in place)) {
      const named = `${place.certFile} and ${place.keyFile}`;
      output.err(`The configuration names ${named}; to create others, name a directory with --dir.\n`);
      return EXIT.failure;
    }
    // The place of the server's authority is in the cache directory, which must be a cache or become one.
    if (place.cacheDir !== undefined) await claimDirectory(place.cacheDir, { create: true });
    const files = await writeAuthority(place.dir, { host: hostname() });
    const { fingerprint, notAfter } = await readAuthority(files);
    output.out(
      `Created a certificate authority, valid until ${notAfter.toISOString().slice(0, 10)}:\n` +
        `  ${files.certFile}   for clients to trust; the server serves it at /ca.crt\n` +
        `  ${files.keyFile}   secret: its holder can pose as any host to those clients\n` +
        `SHA-256 fingerprint: ${fingerprint}\n`,
    );
    return EXIT.ok;
  });
}

/** `entrepot ca print`: prints the certificate, in the form clients take. */
export async function printCa(options: CaOptions, output: Output): Promise<number> {
  return withPlace(options, output, async (place) => {
    const files = 'dir' in place ? authorityFilesIn(place.dir) : place;
    output.out(await readAuthorityCertificate(files));
    return EXIT.ok;
  });
}

type Place = AuthorityFiles | { readonly dir: string; readonly cacheDir?: string };

function withPlace({ flags, dir }: CaOptions, output: Output, use: (place: Place) => Promise<number>): Promise<number> {
  return reportErrors(output, async () => {
    if (dir !== undefined) return await use({ dir: resolve(dir) });
    // `init` creates the files, so they need not exist yet.
    const { config } = await loadConfig({ flags, checkReferences: false });
    const place = authorityPlaceOf(config);
    return await use('dir' in place && config.cache !== 'off' ? { ...place, cacheDir: config.cache.dir } : place);
  });
}
