import { accessModelSuite } from '../suites/access-model.ts';

accessModelSuite({ cases: 10_000 });
