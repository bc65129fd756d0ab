import type { JSX } from 'preact';
import { type Answer, session } from '../../api.ts';
import { Loaded } from '../../parts/feedback.tsx';
import { SearchField } from '../../parts/field.tsx';
import { Icon } from '../../parts/icons.tsx';
import { Link, Prose } from '../../parts/page.tsx';
import { Badge, Bytes, Time, type Tone } from '../../parts/values.tsx';
import { useRead } from '../../resource.ts';
import { place, setQuery } from '../../router.ts';
import type { Words } from '../../words/en.ts';
import { formats, words } from '../../words/index.ts';
import { Outcome } from '../outcome.tsx';
import { HealthBadge } from '../registries/health.tsx';

type ImageExplanation = NonNullable<Answer<'explain'>['image']>;
type Access = NonNullable<ImageExplanation['access']>;

const TONES: Readonly<Record<Access['verdict'], Tone>> = { allowed: 'good', 'if-public': 'warn', refused: 'bad' };

/** How an image would be pulled now: how its name is understood, who may pull it, what of it is stored, and which upstreams are asked. */
export function Explanation({ image }: { readonly image: string }): JSX.Element {
  const { images: w } = words.value;
  const { who } = place.value.query;
  const hasRules = session.value?.mode === 'rules';
  const explained = useRead('explain', { of: image, who }, { on: ['tag', 'health'] });
  // What rules say of others is for those who may change the server; for all others the explanation has what is theirs to know.
  const question = { who: who ?? explained.data?.image?.accessOf ?? 'anonymous', action: 'pull', image } as const;
  const asked = useRead('accessExplain', question, { when: hasRules, fresh: false });
  return (
    <>
      {hasRules && (
        <div class="toolbar">
          <SearchField label={w.who} value={who ?? ''} change={(value) => setQuery({ who: value })} />
          <p class="quiet">
            <Prose text={w.whoHint} />
          </p>
        </div>
      )}
      <Loaded of={explained} lines={6}>
        {({ image: found }) =>
          found === undefined ? null : <Explained found={found} access={asked.data ?? found.access} />
        }
      </Loaded>
    </>
  );
}

function Explained({
  found,
  access,
}: {
  readonly found: ImageExplanation;
  readonly access: Access | undefined;
}): JSX.Element {
  const { images: w } = words.value;
  const { namedBy, cache, upstreams, pulls } = found;
  const named = w.named[namedBy as keyof Words['images']['named']] ?? w.named.path;
  return (
    <div class="stack">
      <p class="big">{sayPlan(found, w)}</p>
      <ul class="reasons">
        <li>
          <Icon name="registries" size={16} />
          <span>
            <Prose text={named} /> <code>{found.image}</code>
          </span>
        </li>
        {access !== undefined && (
          <li>
            <Icon name="access" size={16} />
            <span>
              <Badge tone={TONES[access.verdict]} text={w.verdicts[access.verdict]} />{' '}
              {access.rule === undefined ? (
                <span class="quiet">
                  <Prose text={access.text} />
                </span>
              ) : (
                <>
                  <code>{access.rule}</code> <span class="quiet">{access.place}</span>
                </>
              )}
            </span>
          </li>
        )}
        {cache.plan.resting !== undefined && (
          <li>
            <Icon name="warning" size={16} />
            <span>{w.resting(cache.plan.resting)}</span>
          </li>
        )}
        {cache.cooling !== undefined && cache.plan.cooled === true && (
          <li>
            <Icon name="warning" size={16} />
            <span>{w.cooled(formats.value.time(cache.cooling.until))}</span>
          </li>
        )}
      </ul>
      {upstreams.length > 0 && (
        <>
          <h3>{w.upstreams}</h3>
          <ol class="plain-list">
            {upstreams.map(({ name, url, health }) => (
              <li key={name}>
                <HealthBadge health={health} /> <strong>{name}</strong> <span class="quiet">{url}</span>
              </li>
            ))}
          </ol>
        </>
      )}
      <h3>{w.lastPulls}</h3>
      {pulls.length === 0 ? (
        <p class="quiet">{w.noPulls}</p>
      ) : (
        <ul class="plain-list">
          {pulls.map(({ id, at, client, user, outcome, running, bytes, reference }) => (
            <li key={id}>
              <Outcome pull={{ outcome, ...(running === undefined ? {} : { running }) }} />{' '}
              <Link to={`pulls/${id}`}>
                <Time at={at} />
              </Link>{' '}
              <span>{user ?? client}</span> <code>{reference.slice(0, 19)}</code> <Bytes value={bytes} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** What the next pull does, in the language of the page. */
function sayPlan({ cache: { plan, state } }: ImageExplanation, w: Words['images']): JSX.Element {
  const { kind, upstream = w.noUpstream } = plan;
  const said = w.plan[kind];
  const text = typeof said === 'string' ? said : said(upstream);
  const isAllHere = state === 'stored' && (kind === 'fresh' || kind === 'by-digest' || kind === 'held');
  return (
    <>
      <Prose text={text} />
      {isAllHere && ` ${w.allStored}`}
    </>
  );
}
