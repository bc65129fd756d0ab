import { deliveryStoreSuite } from '../../../test/suites/delivery-store.ts';
import { MemoryDeliveryStore } from './memory.ts';

deliveryStoreSuite('memory', () => Promise.resolve(new MemoryDeliveryStore()));
