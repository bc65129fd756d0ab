import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { type Answer, type Asked, read } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { AS_TYPED, Field, SelectField } from '../../parts/field.tsx';
import { textIn } from '../../parts/form.ts';
import { Note } from '../../parts/note.tsx';
import { Prose, Section } from '../../parts/page.tsx';
import { Badge, type Tone } from '../../parts/values.tsx';
import { textOf } from '../../reason.ts';
import { words } from '../../words/index.ts';

type Question = Asked<'accessExplain'>;
type Verdict = Answer<'accessExplain'>;

const ACTIONS = ['pull', 'catalog', 'push', 'delete', 'status', 'proxy'] as const;
/** Actions that concern no image. */
const OF_SERVER: ReadonlySet<string> = new Set(['status', 'proxy']);
const TONES: Readonly<Record<Verdict['verdict'], Tone>> = { allowed: 'good', 'if-public': 'warn', refused: 'bad' };

/** Asks which rule decides. */
export function AskRules(): JSX.Element {
  const { access: w } = words.value;
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
    <Section title={w.tabs.ask}>
      <p class="quiet">{w.askText}</p>
      <form class="toolbar ask" onSubmit={(event) => void ask(event)}>
        <Field label={w.who}>
          {(ids) => (
            <input
              {...ids}
              {...AS_TYPED}
              name="who"
              required
              maxLength={200}
              defaultValue="anonymous"
              title={words.value.images.whoHint.replaceAll('`', '')}
            />
          )}
        </Field>
        <SelectField
          label={w.action}
          value={action.value}
          options={ACTIONS.map((each) => [each, each] as const)}
          change={(chosen) => (action.value = chosen)}
        />
        {!OF_SERVER.has(action.value) && (
          <Field label={w.image}>
            {(ids) => (
              <input
                {...ids}
                {...AS_TYPED}
                class="ask-image"
                name="image"
                required
                maxLength={1000}
                placeholder="docker.io/library/nginx"
              />
            )}
          </Field>
        )}
        <Button look="button button-main">{w.askButton}</Button>
      </form>
      <div role="status">{found.value !== undefined && <Found {...found.value} />}</div>
    </Section>
  );
}

function Found({ verdict, error }: { readonly verdict?: Verdict; readonly error?: string }): JSX.Element {
  const { access: w } = words.value;
  if (verdict === undefined) return <Note text={error ?? ''} bad />;
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
