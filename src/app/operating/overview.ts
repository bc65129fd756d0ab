import type { Caller, Overview } from '../../admin/index.ts';
import type { RunningServer } from '../running-server.ts';

export function overviewOf(_server: RunningServer, _caller: Caller): Promise<Overview> {
  throw new Error('not there yet');
}
