import { hostingModelSuite } from '../suites/hosting-model.ts';

// The long form is in the end-to-end ring.
hostingModelSuite({ cases: 400 });
