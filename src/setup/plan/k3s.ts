import { clientNamed, K3S_DIRECTORY, RKE2_DIRECTORY, rancherFiles } from '../../clients/index.ts';
import { isMap, valueAt } from '../edit/index.ts';
import type { Machine } from '../machine.ts';
import { type ClientPlanner, found, listed, readData, textsOf } from './wanted.ts';

/** k3s and RKE2. Source: docs.k3s.io, "Private Registry Configuration". */
export const k3s: ClientPlanner = {
  plan(machine, { server, choices }) {
    const { directory, unit } = installation(machine);
    const file = readData(machine, 'yaml', `${directory}/registries.yaml`);
    const instructions = clientNamed('k3s').instructions(server, choices);
    const mirrors = file.kind === 'data' ? file.data['mirrors'] : undefined;
    const chosen = choices.registries ?? ['*'];
    const others = Object.keys(isMap(mirrors) ? mirrors : {}).filter(
      (registry) =>
        !chosen.includes(registry) && !textsOf(valueAt(mirrors, [registry, 'endpoint'])).includes(server.url),
    );
    const remedy = `entrepot setup k3s --registries ${[...chosen.map((each) => (each === '*' ? "'*'" : each)), ...others].join(',')}`;
    return {
      files: rancherFiles(server, choices, directory),
      refusals: [],
      notes:
        others.length === 0 || !chosen.includes('*')
          ? []
          : [
              `${listed(others)} ${others.length === 1 ? 'has an entry of its own and does' : 'have entries of their own and do'} not use "*". To include ${others.length === 1 ? 'it' : 'them'}: ${remedy}`,
            ],
      restart: `systemctl restart ${unit}`,
      verify: unit.startsWith('rke2') ? undefined : instructions?.verify,
    };
  },

  find: (machine) =>
    [K3S_DIRECTORY, RKE2_DIRECTORY].flatMap((directory) =>
      found(machine, {
        path: `${directory}/registries.yaml`,
        format: 'yaml',
        read: ({ mirrors }) =>
          Object.entries(isMap(mirrors) ? mirrors : {}).flatMap(([registry, mirror]) =>
            textsOf(valueAt(mirror, ['endpoint'])).map((server) => ({ registry, server })),
          ),
      }),
    ),
};

/** RKE2 where only that is there. */
function installation(machine: Machine): { readonly directory: string; readonly unit: string } {
  const hasK3s = machine.has(K3S_DIRECTORY) || machine.hasProgram('k3s');
  const isRke2 = !hasK3s && (machine.has(RKE2_DIRECTORY) || machine.hasProgram('rke2'));
  const hasUnit = (name: string): boolean =>
    UNIT_DIRECTORIES.some((directory) => machine.has(`${directory}/${name}.service`));
  if (isRke2)
    return {
      directory: RKE2_DIRECTORY,
      unit: hasUnit('rke2-agent') && !hasUnit('rke2-server') ? 'rke2-agent' : 'rke2-server',
    };
  return { directory: K3S_DIRECTORY, unit: hasUnit('k3s-agent') && !hasUnit('k3s') ? 'k3s-agent' : 'k3s' };
}

const UNIT_DIRECTORIES = ['/etc/systemd/system', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system'];
