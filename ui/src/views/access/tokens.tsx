import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { type Answer, change } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { Dialog } from '../../parts/confirm.tsx';
import { Snippet } from '../../parts/copy.tsx';
import { Loaded, toast } from '../../parts/feedback.tsx';
import { Field, SelectField } from '../../parts/field.tsx';
import { textIn } from '../../parts/form.ts';
import { FormDialog } from '../../parts/form-dialog.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { Note } from '../../parts/note.tsx';
import { Section } from '../../parts/page.tsx';
import { type PlainRow, PlainTable } from '../../parts/plain-table.tsx';
import { Badge, Time, type Tone } from '../../parts/values.tsx';
import { useRead } from '../../resource.ts';
import { words } from '../../words/index.ts';
import { Patterns } from './rules.tsx';
import { NameField } from './users.tsx';

type Token = Answer<'tokens'>['tokens'][number];
type Created = Answer<'tokenCreate'>;

const ACTIONS = ['pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy'] as const;
const DAY = 86_400_000;
const EXPIRIES = { day: DAY, month: 30 * DAY, quarter: 90 * DAY, year: 365 * DAY, never: undefined } as const;
type Expiry = keyof typeof EXPIRIES;

const TONES: Readonly<Record<string, Tone>> = { valid: 'good', expired: 'quiet', disabled: 'warn' };

/** The tokens: passwords for programs. */
export function TokenList(): JSX.Element {
  const { access: w } = words.value;
  const tokens = useRead('tokens', {});
  const isCreating = useSignal(false);
  const revoking = useSignal<string | undefined>(undefined);
  const created = useSignal<Created | undefined>(undefined);
  return (
    <Section
      title={w.tabs.tokens}
      {...(mayChange() && {
        aside: (
          <Button look="button button-main" act={() => (isCreating.value = true)}>
            {w.createToken}
          </Button>
        ),
      })}
    >
      <Loaded of={tokens}>
        {({ tokens: all }) =>
          all.length === 0 ? (
            <p class="quiet">{w.noTokens}</p>
          ) : (
            <PlainTable
              label={w.tabs.tokens}
              titles={[w.name, w.state, w.owner, w.may, w.on, w.expires, w.used]}
              rows={all.map((token) => rowOf(token, () => (revoking.value = token.name)))}
            />
          )
        }
      </Loaded>
      {isCreating.value && (
        <CreateToken
          close={() => (isCreating.value = false)}
          done={(made) => {
            created.value = made;
            tokens.reload();
          }}
        />
      )}
      {created.value !== undefined && <Secret created={created.value} close={() => (created.value = undefined)} />}
      {revoking.value !== undefined && (
        <Revoke name={revoking.value} done={tokens.reload} close={() => (revoking.value = undefined)} />
      )}
    </Section>
  );
}

function rowOf({ name, state, owner, may, on, expiresAt, usedAt }: Token, revoke: () => void): PlainRow {
  const { access: w } = words.value;
  return {
    key: name,
    cells: [
      name,
      <Badge tone={TONES[state] ?? 'quiet'} text={w.tokenState[state as keyof typeof w.tokenState] ?? state} />,
      owner ?? <span class="quiet">{w.ownToken}</span>,
      may.join(', '),
      on.length === 0 ? <span class="quiet">{w.everything}</span> : <Patterns of={on} />,
      expiresAt === undefined ? w.neverExpires : <Time at={expiresAt} />,
      usedAt === undefined ? w.neverUsed : <Time at={usedAt} />,
    ],
    actions: mayChange() && (
      <Button look="link-button" act={revoke}>
        {w.revoke}
      </Button>
    ),
  };
}

function CreateToken({
  close,
  done,
}: {
  readonly close: () => void;
  readonly done: (created: Created) => void;
}): JSX.Element {
  const { access: w } = words.value;
  const users = useRead('users', {});
  const stored = users.data?.users.filter(({ from }) => from === 'stored') ?? [];
  const act = async (data: FormData): Promise<void> => {
    const lasts = EXPIRIES[textIn(data, 'expiry').trim() as Expiry];
    const owner = textIn(data, 'owner').trim();
    const created = await change('tokenCreate', {
      name: textIn(data, 'name').trim(),
      ...(owner !== '' && { owner }),
      may: ACTIONS.filter((action) => data.getAll('may').includes(action)),
      on: textIn(data, 'on')
        .trim()
        .split(/\s+/)
        .filter((pattern) => pattern !== ''),
      ...(lasts !== undefined && { expiresAt: Date.now() + lasts }),
    });
    done(created);
  };
  return (
    <FormDialog title={w.createTokenTitle} action={w.create} act={act} close={close}>
      <NameField />
      <SelectField
        name="owner"
        label={w.owner}
        hint={w.ownerHint}
        value=""
        options={[['', w.ownToken], ...stored.map(({ name }) => [name, name] as const)]}
      />
      <fieldset class="field">
        <legend>{w.may}</legend>
        <div class="checks">
          {ACTIONS.map((action) => (
            <label key={action} class="check">
              <input type="checkbox" name="may" value={action} defaultChecked={action === 'pull'} />
              {action}
            </label>
          ))}
        </div>
      </fieldset>
      <Field label={w.on} hint={w.onHint}>
        {(ids) => <textarea {...ids} name="on" rows={3} spellcheck={false} />}
      </Field>
      <SelectField
        name="expiry"
        label={w.expires}
        value="quarter"
        options={(Object.keys(EXPIRIES) as Expiry[]).map((each) => [each, w.expiry[each]] as const)}
      />
    </FormDialog>
  );
}

/** The secret of a new token. It is gone when the dialog closes. */
function Secret({ created, close }: { readonly created: Created; readonly close: () => void }): JSX.Element {
  const { access: w } = words.value;
  const { name, token, warnings } = created;
  return (
    <Dialog title={w.tokenMade(name)} close={close}>
      <div class="dialog-body stack">
        <p>{w.tokenOnce}</p>
        <Snippet code={token} what={w.tokenMade(name)} />
        <p class="quiet">{w.tokenUse}</p>
        {warnings.map((warning) => (
          <Note key={warning} text={warning} />
        ))}
      </div>
      <div class="dialog-foot">
        <Button look="button button-main" act={close}>
          {w.done}
        </Button>
      </div>
    </Dialog>
  );
}

function Revoke({
  name,
  done,
  close,
}: {
  readonly name: string;
  readonly done: () => void;
  readonly close: () => void;
}): JSX.Element {
  const { access: w } = words.value;
  return (
    <FormDialog
      title={w.revokeTitle(name)}
      action={w.revokeAction}
      danger
      act={async () => {
        await change('tokenRevoke', { name });
        toast(w.revokeDone(name));
        done();
      }}
      close={close}
    >
      <p>{w.revokeText}</p>
    </FormDialog>
  );
}
