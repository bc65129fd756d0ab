import type { OperationContext } from '../../admin/index.ts';
import type { RunningServer } from '../running-server.ts';

export function warmOf(_server: RunningServer): OperationContext['warm'] {
  const none = (): never => {
    throw new Error('not there yet');
  };
  return { start: none, list: none, cancel: none, onChange: none };
}
