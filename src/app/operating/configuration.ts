import type { ClientsAnswer, ConfigurationAnswer } from '../../admin/index.ts';
import type { RunningServer } from '../running-server.ts';

export function configurationOf(_server: RunningServer): Promise<ConfigurationAnswer> {
  throw new Error('not there yet');
}

export function clientsOf(_server: RunningServer, _host: string | undefined): Promise<ClientsAnswer> {
  throw new Error('not there yet');
}
