import { isMap, isSet } from '../edit/index.ts';
import type { Machine } from '../machine.ts';
import { type FoundFile, found, listed, readData } from './wanted.ts';

/** The files `DIRECTORY/REGISTRY/hosts.toml`, and the hosts that they name. */
export function findHostsFiles(machine: Machine, directory: string): readonly FoundFile[] {
  return registriesIn(machine, directory).flatMap((registry) =>
    found(machine, {
      path: `${directory}/${registry}/hosts.toml`,
      format: 'toml',
      read: ({ host }) =>
        isMap(host)
          ? Object.keys(host).map((server) => ({ registry: registry === '_default' ? '*' : registry, server }))
          : [],
    }),
  );
}

/** The note about registries whose own directory counts in place of `_default` and does not lead to the server. */
export function shadowNote(
  machine: Machine,
  {
    directory,
    url,
    registries,
    command,
  }: {
    readonly directory: string;
    readonly url: string;
    readonly registries: readonly string[];
    readonly command: string;
  },
): readonly string[] {
  if (!registries.includes('_default')) return [];
  const others = registriesIn(machine, directory).filter((registry) => {
    if (registries.includes(registry)) return false;
    const file = readData(machine, 'toml', `${directory}/${registry}/hosts.toml`);
    return file.kind === 'data' && !isSet(file.data, { at: ['host', url, 'capabilities'], set: ['pull', 'resolve'] });
  });
  if (others.length === 0) return [];
  const remedy = `${command} --registries ${['_default', ...others].join(',')}`;
  return [
    `${listed(others)} ${others.length === 1 ? 'has a directory of its own, which counts' : 'have directories of their own, which count'} in place of ${directory}/_default. To include ${others.length === 1 ? 'it' : 'them'}: ${remedy}`,
  ];
}

function registriesIn(machine: Machine, directory: string): readonly string[] {
  return machine.list(directory).filter((registry) => machine.has(`${directory}/${registry}/hosts.toml`));
}
