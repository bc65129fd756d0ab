import type { OperationContext } from '../../admin/index.ts';
import type { RunningServer } from '../running-server.ts';

export function pullsOf(_server: RunningServer): OperationContext['pulls'] {
  const none = (): never => {
    throw new Error('not there yet');
  };
  return { list: none, find: none, figures: none };
}
