import type { JSX } from 'preact';
import type { Answer } from '../../api.ts';
import { Snippet } from '../../parts/copy.tsx';
import { Loaded } from '../../parts/feedback.tsx';
import { Note } from '../../parts/note.tsx';
import { Section } from '../../parts/page.tsx';
import { PlainTable } from '../../parts/plain-table.tsx';
import { Time } from '../../parts/values.tsx';
import { useRead } from '../../resource.ts';
import { formats, words } from '../../words/index.ts';

type Observed = NonNullable<Answer<'suggest'>['observed']>;

const THIRTY_DAYS = 30 * 86_400_000;
const SHOWN = 50;

/** What the rules refuse, or would without audit mode; and the rules that would allow what was answered. */
export function Audit(): JSX.Element {
  const { access: w } = words.value;
  const suggested = useRead('suggest', { within: THIRTY_DAYS, generalize: true });
  return (
    <Loaded of={suggested}>
      {({ audit, observed }) => (
        <>
          {audit && <Note text={w.auditOn} />}
          {observed === null ? <p class="quiet">{w.auditOff}</p> : <AuditParts observed={observed} />}
        </>
      )}
    </Loaded>
  );
}

function AuditParts({ observed }: { readonly observed: Observed }): JSX.Element {
  const { access: w } = words.value;
  const { rules, refused, refusedCount, since } = observed;
  const { number } = formats.value;
  const audited = rules.flatMap(({ who, may, on }) =>
    on
      .filter((each) => each.audited > 0)
      .map(({ pattern, audited: requests, lastAt }) => ({
        principal: who.join(', '),
        action: may.join(', '),
        target: pattern,
        requests,
        lastAt,
      })),
  );
  return (
    <>
      <p class="lead">
        {w.auditText} {w.since(formats.value.time(since))}.
      </p>
      {audited.length === 0 && refused.length === 0 && <p class="quiet">{w.auditNone}</p>}
      {audited.length > 0 && (
        <Section title={w.wouldDeny}>
          <Requests rows={audited} />
        </Section>
      )}
      {refused.length > 0 && (
        <Section title={w.refused} aside={number(refusedCount)}>
          <Requests rows={refused} />
        </Section>
      )}
      {rules.length > 0 && (
        <Section title={w.suggested}>
          <Snippet code={yamlOf(rules)} what={w.suggested} />
        </Section>
      )}
    </>
  );
}

function Requests({
  rows,
}: {
  readonly rows: readonly Pick<
    Observed['refused'][number],
    'principal' | 'action' | 'target' | 'requests' | 'lastAt'
  >[];
}): JSX.Element {
  const { access: w } = words.value;
  const { number } = formats.value;
  return (
    <>
      <PlainTable
        label={w.tabs.audit}
        titles={[w.who, w.action, w.on, w.requests, w.last]}
        rows={rows.slice(0, SHOWN).map(({ principal, action, target, requests, lastAt }) => ({
          key: `${principal} ${action} ${target}`,
          cells: [principal, action, <code>{target}</code>, number(requests), <Time at={lastAt} />],
        }))}
      />
      {rows.length > SHOWN && <p class="quiet">{words.value.images.purgeMore(number(rows.length - SHOWN))}</p>}
    </>
  );
}

/** As `entrepot access suggest` writes them, without its comments. */
function yamlOf(rules: Observed['rules']): string {
  const list = (texts: readonly string[]): string => `[${texts.map((text) => JSON.stringify(text)).join(', ')}]`;
  const lines = rules.map(({ who, may, on, private: isPrivate }) => {
    const patterns = on.map(({ pattern }) => pattern).filter((pattern) => pattern !== '');
    const where = patterns.length === 0 ? '' : `, on: ${list(patterns)}`;
    return `    - {who: ${list(who)}, may: ${list(may)}${where}${isPrivate === true ? ', private: true' : ''}}`;
  });
  return `access:\n  rules:\n${lines.join('\n')}`;
}
