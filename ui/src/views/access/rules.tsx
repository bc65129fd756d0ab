import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { Icon } from '../../parts/icons.tsx';
import { Section } from '../../parts/page.tsx';
import { Badge } from '../../parts/values.tsx';
import { words } from '../../words/index.ts';

/** The rules in effect, in their order, with their places. */
export function RuleList({ known }: { readonly known: Answer<'accessRules'> }): JSX.Element {
  const { access: w } = words.value;
  const { rules, groups, audit } = known;
  return (
    <>
      {audit && (
        <p class="note note-warn">
          <Icon name="warning" />
          <span>{w.auditOn}</span>
        </p>
      )}
      <Section title={w.rules}>
        {rules.length === 0 ? (
          <p class="quiet">{w.noRules}</p>
        ) : (
          <div class="table-scroll">
            <table class="plain-table">
              <thead>
                <tr>
                  {[w.rule, w.who, w.may, w.on, w.place].map((title) => (
                    <th key={title} scope="col">
                      {title}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rules.map(({ who, may, on, private: isPrivate, place }, at) => (
                  <tr key={at}>
                    <th scope="row">
                      <code>access.rules[{at}]</code>
                    </th>
                    <td>{who.join(', ')}</td>
                    <td>
                      {may.join(', ')} {isPrivate && <Badge tone="warn" text={w.private} />}
                    </td>
                    <td>
                      {on.length === 0
                        ? '—'
                        : on.map((pattern) => (
                            <div key={pattern}>
                              <code>{pattern}</code>
                            </div>
                          ))}
                    </td>
                    <td class="quiet">{place}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
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
