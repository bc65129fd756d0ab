import type { OperationContext } from '../../admin/index.ts';
import type { RunningServer } from '../running-server.ts';

export function inventoryOf(_server: RunningServer): OperationContext['inventory'] {
  const none = (): never => {
    throw new Error('not there yet');
  };
  return { repositories: none, tags: none, image: none, pin: none };
}
