import { Access } from './access.tsx';
import { Clients } from './clients.tsx';
import { Configuration } from './configuration.tsx';
import { Images } from './images.tsx';
import { Now } from './now.tsx';
import { Pulls } from './pulls.tsx';
import { Registries } from './registries.tsx';
import type { ViewEntry } from './view.ts';

/** The views, in the order of the navigation. */
export const VIEWS: readonly ViewEntry[] = [
  { path: '', title: 'now', icon: 'now', View: Now },
  { path: 'images', title: 'images', icon: 'images', View: Images },
  { path: 'pulls', title: 'pulls', icon: 'pulls', View: Pulls },
  { path: 'registries', title: 'registries', icon: 'registries', View: Registries },
  { path: 'clients', title: 'clients', icon: 'clients', View: Clients },
  {
    path: 'configuration',
    title: 'configuration',
    shortTitle: 'configurationShort',
    icon: 'configuration',
    View: Configuration,
  },
  { path: 'access', title: 'access', icon: 'access', View: Access },
];
