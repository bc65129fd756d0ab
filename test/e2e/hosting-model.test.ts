import { hostingModelSuite } from '../suites/hosting-model.ts';

hostingModelSuite({ cases: 10_000 });
