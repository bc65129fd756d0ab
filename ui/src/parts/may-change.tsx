import type { JSX } from 'preact';
import { session } from '../api.ts';
import { words } from '../words/index.ts';
import { Prose } from './page.tsx';

/** Whether this session may change something. A component that reads it is drawn again with another session. */
export function mayChange(): boolean {
  return session.value?.canChange === true;
}

/** Says why nothing can be changed here; nothing where it can. */
export function ReadOnly(): JSX.Element | null {
  if (mayChange()) return null;
  const { change } = words.value;
  return (
    <p class="quiet">
      <Prose text={session.value?.mode === 'rules' ? change.readOnlyRules : change.readOnly} />
    </p>
  );
}
