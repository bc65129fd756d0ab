import { accessStoreSuite } from '../../../test/suites/access-store.ts';
import { MemoryAccessStore } from './memory.ts';

accessStoreSuite('memory', () => Promise.resolve(new MemoryAccessStore()));
