import { accessModelSuite } from '../suites/access-model.ts';

// The long form is in the end-to-end ring.
accessModelSuite({ cases: 400 });
