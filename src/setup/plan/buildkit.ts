import { clientNamed, isLoopback } from '../../clients/index.ts';
import { isMap, valueAt } from '../edit/index.ts';
import { type ClientPlanner, COMMON_REGISTRIES, found, textsOf } from './wanted.ts';

/** buildkitd, and the builders of `docker buildx`. Source: BuildKit's docs/buildkitd.toml.md. */
export const buildkit: ClientPlanner = {
  plan(_, { server, choices }) {
    const instructions = clientNamed('buildkit').instructions(server, {
      ...choices,
      registries: choices.registries ?? COMMON_REGISTRIES,
    });
    return {
      files: instructions?.files ?? [],
      refusals: [],
      notes: [
        'Builders that exist keep the configuration they were created with. The builder within Docker itself uses daemon.json: entrepot setup docker.',
        ...(isLoopback(server)
          ? [
              `A builder of docker buildx runs in a container, where ${server.host} is the container itself: name an address that it can reach with --server, or create the builder with --driver-opt network=host.`,
            ]
          : []),
      ],
      restart: instructions?.restart,
      verify: instructions?.verify,
    };
  },

  find: (machine, user) =>
    found(machine, {
      path: user ? '~/.config/buildkit/buildkitd.toml' : '/etc/buildkit/buildkitd.toml',
      format: 'toml',
      read: ({ registry }) =>
        Object.entries(isMap(registry) ? registry : {}).flatMap(([name, table]) =>
          textsOf(valueAt(table, ['mirrors'])).map((server) => ({ registry: name, server })),
        ),
    }),
};
