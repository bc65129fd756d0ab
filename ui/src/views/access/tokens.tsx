import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId } from 'preact/hooks';
import { type Answer, change } from '../../api.ts';
import { Dialog } from '../../parts/confirm.tsx';
import { Snippet } from '../../parts/copy.tsx';
import { Loaded, toast } from '../../parts/feedback.tsx';
import { textIn } from '../../parts/form.ts';
import { Icon } from '../../parts/icons.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { Prose, Section } from '../../parts/page.tsx';
import { type PlainRow, PlainTable } from '../../parts/plain-table.tsx';
import { Badge, Time, type Tone } from '../../parts/values.tsx';
import { useRead } from '../../resource.ts';
import { words } from '../../words/index.ts';
import { FormDialog } from '../images/rollback.tsx';
import { Patterns } from './rules.tsx';
import { RowButton } from './users.tsx';

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
      title={w.tokens}
      {...(mayChange() && {
        aside: (
          <button
            type="button"
            class="button button-main"
            onClick={() => {
              isCreating.value = true;
            }}
          >
            {w.createToken}
          </button>
        ),
      })}
    >
      <Loaded of={tokens}>
        {({ tokens: all }) =>
          all.length === 0 ? (
            <p class="quiet">{w.noTokens}</p>
          ) : (
            <PlainTable
              label={w.tokens}
              titles={[w.name, w.state, w.owner, w.may, w.on, w.expires, w.used]}
              rows={all.map((token) =>
                rowOf(token, () => {
                  revoking.value = token.name;
                }),
              )}
            />
          )
        }
      </Loaded>
      {isCreating.value && (
        <CreateToken
          close={() => {
            isCreating.value = false;
          }}
          done={(made) => {
            created.value = made;
            tokens.reload();
          }}
        />
      )}
      {created.value !== undefined && (
        <Secret
          created={created.value}
          close={() => {
            created.value = undefined;
          }}
        />
      )}
      {revoking.value !== undefined && (
        <Revoke
          name={revoking.value}
          done={tokens.reload}
          close={() => {
            revoking.value = undefined;
          }}
        />
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
    actions: mayChange() && <RowButton text={w.revoke} act={revoke} />,
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
  const id = useId();
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
      <div class="field">
        <label for={`${id}-name`}>{w.name}</label>
        <input
          id={`${id}-name`}
          name="name"
          required
          maxLength={128}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
        />
      </div>
      <div class="field">
        <label for={`${id}-owner`}>{w.owner}</label>
        <select id={`${id}-owner`} name="owner" aria-describedby={`${id}-owner-hint`}>
          <option value="">{w.ownToken}</option>
          {stored.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <p class="quiet" id={`${id}-owner-hint`}>
          <Prose text={w.ownerHint} />
        </p>
      </div>
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
      <div class="field">
        <label for={`${id}-on`}>{w.on}</label>
        <textarea id={`${id}-on`} name="on" rows={3} spellcheck={false} aria-describedby={`${id}-on-hint`} />
        <p class="quiet" id={`${id}-on-hint`}>
          <Prose text={w.onHint} />
        </p>
      </div>
      <div class="field">
        <label for={`${id}-expiry`}>{w.expires}</label>
        <select id={`${id}-expiry`} name="expiry" defaultValue="quarter">
          {(Object.keys(EXPIRIES) as Expiry[]).map((each) => (
            <option key={each} value={each} selected={each === 'quarter'}>
              {w.expiry[each]}
            </option>
          ))}
        </select>
      </div>
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
          <p key={warning} class="note note-warn">
            <Icon name="warning" />
            <span>{warning}</span>
          </p>
        ))}
      </div>
      <div class="dialog-foot">
        <button type="button" class="button button-main" onClick={close}>
          {w.done}
        </button>
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
