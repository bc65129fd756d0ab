import { joinedQuestions } from '../../test/suites/joined-questions.ts';
import { abortable } from './abortable.ts';
import { SingleFlight } from './single-flight.ts';

joinedQuestions('an operation for a key', async (origin) => {
  const flights = new SingleFlight<void>();
  return { ask: (signal) => abortable(flights.run('key', origin), signal) };
});
