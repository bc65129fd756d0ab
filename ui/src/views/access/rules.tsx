import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { Note } from '../../parts/note.tsx';
import { Section } from '../../parts/page.tsx';
import { PlainTable } from '../../parts/plain-table.tsx';
import { Badge } from '../../parts/values.tsx';
import { words } from '../../words/index.ts';

/** The rules in effect, in their order, with their places. */
export function RuleList({ known }: { readonly known: Answer<'accessRules'> }): JSX.Element {
  const { access: w } = words.value;
  const { rules, groups, audit } = known;
  return (
    <>
      {audit && <Note text={w.auditOn} />}
      <Section title={w.tabs.rules}>
        {rules.length === 0 ? (
          <p class="quiet">{w.noRules}</p>
        ) : (
          <PlainTable
            label={w.tabs.rules}
            titles={[w.rule, w.who, w.may, w.on, w.place]}
            rows={rules.map(({ who, may, on, private: isPrivate, place }, at) => ({
              key: String(at),
              cells: [
                <code>access.rules[{at}]</code>,
                who.join(', '),
                <>
                  {may.join(', ')} {isPrivate && <Badge tone="warn" text={w.private} />}
                </>,
                on.length === 0 ? '—' : <Patterns of={on} />,
                <span class="quiet">{place}</span>,
              ],
            }))}
          />
        )}
      </Section>
      {groups.length > 0 && (
        <Section title={w.groups}>
          <dl class="facts">
            {groups.map(({ name, members }) => (
              <>
                <dt>@{name}</dt>
                <dd>{members.join(', ')}</dd>
              </>
            ))}
          </dl>
        </Section>
      )}
    </>
  );
}

/** Patterns of repositories, one a line. */
export function Patterns({ of }: { readonly of: readonly string[] }): JSX.Element {
  return (
    <>
      {of.map((pattern) => (
        <div key={pattern}>
          <code>{pattern}</code>
        </div>
      ))}
    </>
  );
}
