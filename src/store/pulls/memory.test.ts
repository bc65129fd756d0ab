import { pullStoreSuite } from '../../../test/suites/pull-store.ts';
import { MemoryPullStore } from './memory.ts';

pullStoreSuite('memory', (_, options) => Promise.resolve(new MemoryPullStore({ ...options, since: 5000 })));
