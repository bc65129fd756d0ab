import { type Finding, ok, warning } from './finding.ts';

/** What the files of one client on this machine say. */
export interface ClientReport {
  /** As `entrepot setup` names it. */
  readonly client: string;
  /** `partly`: some of its pulls go to the server. */
  readonly state: 'configured' | 'partly' | 'not-configured' | 'unparseable';
  readonly files: readonly {
    readonly path: string;
    readonly mirrors: readonly { readonly registry: string; readonly server: string }[];
    /** Why it could not be understood; ends the sentence "FILE …". */
    readonly problem?: string | undefined;
  }[];
}

/** @param server its URL, as the client should have it */
export function clientFinding({ client, state, files }: ClientReport, server: string): Finding {
  const about = { id: 'client.config', what: client } as const;
  const setup = setupCommand(client, server);
  switch (state) {
    case 'configured':
      return ok({ ...about, found: `pulls by ${server}, according to ${listed(files)}` });
    case 'partly':
      return warning(
        { ...about, found: `some pulls go to ${server}, according to ${listed(files)}` },
        `\`${setup}\` shows what is missing; --apply changes it.`,
      );
    case 'not-configured':
      return warning(
        { ...about, found: `is installed, and does not pull by ${server}` },
        `If it should, \`${setup}\` shows the change; --apply makes it.`,
      );
    case 'unparseable': {
      const problems = files.flatMap(({ path, problem }) => (problem === undefined ? [] : [`${path} ${problem}`]));
      return warning(
        { ...about, found: `its files cannot be understood: ${problems.join('; ')}` },
        'Correct the file, then run this command again.',
      );
    }
  }
}

export function setupCommand(client: string, server: string): string {
  return `entrepot setup ${client} --server ${server}`;
}

/** The registry whose pulls prove that the client uses its mirror: Docker Hub, if it has a mirror, or the first that has. */
export function provingRegistry({ files }: Pick<ClientReport, 'files'>): string {
  const registries = files.flatMap(({ mirrors }) => mirrors).map(({ registry }) => registry);
  const named = registries.filter((registry) => registry !== '*' && registry !== '_default');
  return named.length === 0 || named.length < registries.length || named.includes('docker.io')
    ? 'docker.io'
    : (named[0] ?? 'docker.io');
}

function listed(files: ClientReport['files']): string {
  return files.map(({ path }) => path).join(', ');
}
