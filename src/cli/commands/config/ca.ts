import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { authorityPlaceOf, SettingsError } from '../../../app/index.ts';
import { ConfigError, type ConfigFlags, loadConfig } from '../../../config/index.ts';
import {
  AuthorityError,
  type AuthorityFiles,
  authorityFilesIn,
  readAuthority,
  readAuthorityCertificate,
  writeAuthority,
} from '../../../forward/index.ts';
import { reportConfigError } from '../../config-error.ts';
import { EXIT } from '../../exit-code.ts';
import type { Output } from '../../output.ts';

export interface CaOptions {
  /** They lead to the place the server looks in, where `dir` does not say another. */
  readonly flags: ConfigFlags;
  readonly dir?: string | undefined;
}

/** `entrepot ca init`: makes the authority that signs for hosts whose tunnels are looked into. */
export async function initCa(options: CaOptions, output: Output): Promise<number> {
  return withPlace(options, output, async (place) => {
    if (!('dir' in place)) {
      const named = `${place.certFile} and ${place.keyFile}`;
      output.err(`The configuration names ${named}; say where to make others with --dir.\n`);
      return EXIT.failure;
    }
    const files = await writeAuthority(place.dir, { host: hostname() });
    const { fingerprint, notAfter } = await readAuthority(files);
    output.out(
      `Made a certificate authority, good until ${notAfter.toISOString().slice(0, 10)}:\n` +
        `  ${files.certFile}   for clients to trust; the server shows it at /ca.crt\n` +
        `  ${files.keyFile}   to be kept: whoever has it can be any host to those clients\n` +
        `SHA-256 fingerprint: ${fingerprint}\n`,
    );
    return EXIT.ok;
  });
}

/** `entrepot ca print`: its certificate, as clients take it. */
export async function printCa(options: CaOptions, output: Output): Promise<number> {
  return withPlace(options, output, async (place) => {
    const files = 'dir' in place ? authorityFilesIn(place.dir) : place;
    output.out(await readAuthorityCertificate(files));
    return EXIT.ok;
  });
}

type Place = AuthorityFiles | { readonly dir: string };

async function withPlace(
  { flags, dir }: CaOptions,
  output: Output,
  use: (place: Place) => Promise<number>,
): Promise<number> {
  try {
    const place = dir === undefined ? authorityPlaceOf(await placeConfig(flags)) : { dir: resolve(dir) };
    return await use(place);
  } catch (error) {
    if (error instanceof ConfigError) {
      reportConfigError(error, output);
      return EXIT.config;
    }
    if (!(error instanceof AuthorityError) && !(error instanceof SettingsError)) throw error;
    output.err(`${error.message}\n`);
    return error instanceof SettingsError ? EXIT.config : EXIT.failure;
  }
}

/** The files an authority is made of need not be there yet. */
async function placeConfig(flags: ConfigFlags) {
  return (await loadConfig({ flags, checkReferences: false })).config;
}
