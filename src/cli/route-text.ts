import type { Route } from '../admin/index.ts';
import { count } from './format.ts';

/** `docker.io, fastest: near (answers in 12 ms), far (not measured in the last half hour)` */
export function formatRoute({ registry, by, tags, plugin, upstreams }: Route): string {
  const order = upstreams.map(({ upstream, why }) => `${upstream} (${why})`).join(', ');
  return `${registry}, ${plugin === undefined ? by : sayPlugin(plugin)}${tags ? ', tags too' : ''}: ${order}`;
}

function sayPlugin({ file, state, failures, lastFault }: NonNullable<Route['plugin']>): string {
  if (failures === 0) return file;
  const last = lastFault === undefined ? '' : `, the last time it ${lastFault}`;
  return `${file} [${state}, failed ${count(failures, 'time')}${last}]`;
}
