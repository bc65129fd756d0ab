import { observationStoreSuite } from '../../../test/suites/observation-store.ts';
import { MemoryObservationStore } from './memory.ts';

observationStoreSuite('memory', (_, options) =>
  Promise.resolve(new MemoryObservationStore({ ...options, since: 5000 })),
);
