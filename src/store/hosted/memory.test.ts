import { hostedStoreSuite } from '../../../test/suites/hosted-store.ts';
import { MemoryHostedStore } from './memory.ts';

hostedStoreSuite('memory', () => Promise.resolve(new MemoryHostedStore()));
