import type { JSX } from 'preact';
import { Snippet } from '../parts/copy.tsx';
import { Loaded } from '../parts/feedback.tsx';
import { ReadOnly } from '../parts/may-change.tsx';
import { Heading, Prose, Section } from '../parts/page.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { useRead } from '../resource.ts';
import { navigate } from '../router.ts';
import { words } from '../words/index.ts';
import { AskRules } from './access/ask.tsx';
import { Audit } from './access/audit.tsx';
import { RuleList } from './access/rules.tsx';
import { TokenList } from './access/tokens.tsx';
import { UserList } from './access/users.tsx';
import type { ViewProps } from './view.ts';

const TABS = ['users', 'tokens', 'rules', 'ask', 'audit'] as const;

/** As a beginning: what is public for every client, and one repository for a user. */
const EXAMPLE = `access:
  rules:
    - {who: anonymous, may: [pull], on: ["docker.io/**"]}
    - {who: alice, may: [pull, status, admin], on: ["**"]}`;

/** Users, tokens and rules; and what the rules say to a question. */
export function Access({ rest }: ViewProps): JSX.Element {
  const { access: w } = words.value;
  const rules = useRead('accessRules', {}, { on: ['reloaded'] });
  const chosen = TABS.find((each) => each === rest) ?? 'users';
  return (
    <>
      <Heading title={words.value.nav.access} />
      <Loaded of={rules} lines={6}>
        {(known) =>
          known.configured ? (
            <>
              <ReadOnly />
              <Tabs
                label={w.sections}
                chosen={chosen}
                choose={(tab) => navigate(tab === 'users' ? 'access' : `access/${tab}`)}
                tabs={TABS.map((name) => ({ name, title: w.tabs[name] }))}
              >
                {chosen === 'users' && <UserList />}
                {chosen === 'tokens' && <TokenList />}
                {chosen === 'rules' && <RuleList known={known} />}
                {chosen === 'ask' && <AskRules />}
                {chosen === 'audit' && <Audit />}
              </Tabs>
            </>
          ) : (
            <Section title={w.offTitle}>
              <p>
                <Prose text={w.offText} />
              </p>
              <Snippet code={EXAMPLE} />
              <p class="quiet">
                <Prose text={w.offMore} />
              </p>
            </Section>
          )
        }
      </Loaded>
    </>
  );
}
