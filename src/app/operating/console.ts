import type { ConsoleAnswer } from '../../admin/index.ts';
import type { RunningServer } from '../running-server.ts';

export function openConsole(_server: RunningServer): Promise<ConsoleAnswer> {
  throw new Error('not there yet');
}
