import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId } from 'preact/hooks';
import { type Answer, type Asked, read } from '../../api.ts';
import { textIn } from '../../parts/form.ts';
import { Prose, Section } from '../../parts/page.tsx';
import { Badge, type Tone } from '../../parts/values.tsx';
import { words } from '../../words/index.ts';
import { textOf } from '../images/actions.tsx';

type Question = Asked<'accessExplain'>;
type Verdict = Answer<'accessExplain'>;

const ACTIONS = ['pull', 'catalog', 'push', 'delete', 'status', 'proxy'] as const;
/** Actions that concern no image. */
const OF_SERVER: ReadonlySet<string> = new Set(['status', 'proxy']);
const TONES: Readonly<Record<Verdict['verdict'], Tone>> = { allowed: 'good', 'if-public': 'warn', refused: 'bad' };

/** Asks which rule decides. */
export function AskRules(): JSX.Element {
  const { access: w, images } = words.value;
  const id = useId();
  const action = useSignal<Question['action']>('pull');
  const found = useSignal<{ readonly verdict?: Verdict; readonly error?: string } | undefined>(undefined);
  const ask = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const image = textIn(data, 'image').trim();
    try {
      const question = { who: textIn(data, 'who').trim(), action: action.value };
      found.value = { verdict: await read('accessExplain', image === '' ? question : { ...question, image }) };
    } catch (reason) {
      found.value = { error: textOf(reason) };
    }
  };
  return (
    <Section title={w.ask}>
      <p class="quiet">{w.askText}</p>
      <form class="toolbar ask" onSubmit={(event) => void ask(event)}>
        <div class="field">
          <label for={`${id}-who`}>{w.who}</label>
          <input
            id={`${id}-who`}
            name="who"
            required
            maxLength={200}
            defaultValue="anonymous"
            autocapitalize="none"
            spellcheck={false}
            title={images.whoHint.replaceAll('`', '')}
          />
        </div>
        <div class="field">
          <label for={`${id}-action`}>{w.action}</label>
          <select
            id={`${id}-action`}
            value={action.value}
            onChange={({ currentTarget }) => {
              action.value = ACTIONS.find((each) => each === currentTarget.value) ?? 'pull';
            }}
          >
            {ACTIONS.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </div>
        {!OF_SERVER.has(action.value) && (
          <div class="field ask-image">
            <label for={`${id}-image`}>{w.image}</label>
            <input
              id={`${id}-image`}
              name="image"
              required
              maxLength={1000}
              placeholder="docker.io/library/nginx"
              autocapitalize="none"
              spellcheck={false}
            />
          </div>
        )}
        <button type="submit" class="button button-main">
          {w.askButton}
        </button>
      </form>
      <div role="status">{found.value !== undefined && <Found {...found.value} />}</div>
    </Section>
  );
}

function Found({ verdict, error }: { readonly verdict?: Verdict; readonly error?: string }): JSX.Element {
  const { access: w } = words.value;
  if (verdict === undefined) return <p class="note note-bad">{error}</p>;
  return (
    <div class="stack">
      <p class="big">
        <Badge tone={TONES[verdict.verdict]} text={w.verdicts[verdict.verdict]} />{' '}
        {verdict.rule !== undefined && <code>{verdict.rule}</code>}{' '}
        {verdict.place !== undefined && <span class="quiet">{verdict.place}</span>}
      </p>
      <p class="quiet">
        <Prose text={verdict.text} />
      </p>
    </div>
  );
}
