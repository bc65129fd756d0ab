import { joinedQuestions } from '../../../test/suites/joined-questions.ts';
import { TokenCache } from './token-cache.ts';

joinedQuestions('a token', async (origin) => {
  const tokens = new TokenCache(() => 0);
  const fetch = async () => {
    await origin();
    return { token: 'x', life: 60_000, private: false };
  };
  return { ask: (signal) => tokens.get('key', fetch, signal), forget: () => tokens.refuse('key', 'x') };
});
