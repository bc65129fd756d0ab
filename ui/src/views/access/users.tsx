import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { type Answer, change } from '../../api.ts';
import { Button } from '../../parts/button.tsx';
import { Loaded, toast } from '../../parts/feedback.tsx';
import { AS_TYPED, Field } from '../../parts/field.tsx';
import { textIn } from '../../parts/form.ts';
import { FormDialog } from '../../parts/form-dialog.tsx';
import { mayChange } from '../../parts/may-change.tsx';
import { Section } from '../../parts/page.tsx';
import { type PlainRow, PlainTable } from '../../parts/plain-table.tsx';
import { Badge, Time } from '../../parts/values.tsx';
import { textOf } from '../../reason.ts';
import { useRead } from '../../resource.ts';
import { words } from '../../words/index.ts';

type User = Answer<'users'>['users'][number];

/** Which dialog is open, and for whom. */
type Asked =
  | { readonly kind: 'add' }
  | { readonly kind: 'password'; readonly name: string }
  | { readonly kind: 'remove'; readonly name: string };

/** The users that may log in: those stored here can be changed. */
export function UserList(): JSX.Element {
  const { access: w } = words.value;
  const users = useRead('users', {});
  const asked = useSignal<Asked | undefined>(undefined);
  const ask = (what: Asked | undefined): void => {
    asked.value = what;
  };
  const setDisabled = async (name: string, disabled: boolean): Promise<void> => {
    try {
      await change(disabled ? 'userDisable' : 'userEnable', { name });
      toast((disabled ? w.disabledDone : w.enabledDone)(name));
    } catch (reason) {
      toast(textOf(reason), 'bad');
    }
    users.reload();
  };
  return (
    <Section
      title={w.tabs.users}
      {...(mayChange() && {
        aside: (
          <Button look="button button-main" act={() => ask({ kind: 'add' })}>
            {w.addUser}
          </Button>
        ),
      })}
    >
      <Loaded of={users}>
        {({ users: all }) =>
          all.length === 0 ? (
            <p class="quiet">{w.noUsers}</p>
          ) : (
            <PlainTable
              label={w.tabs.users}
              titles={[w.name, w.state, w.origin, w.passwordSet]}
              rows={all.map((user) =>
                rowOf(user, { ask, setDisabled: (disabled) => void setDisabled(user.name, disabled) }),
              )}
            />
          )
        }
      </Loaded>
      {asked.value !== undefined && <UserDialog asked={asked.value} close={() => ask(undefined)} done={users.reload} />}
    </Section>
  );
}

function rowOf(
  { name, from, disabled, unused, passwordAt }: User,
  { ask, setDisabled }: { readonly ask: (what: Asked) => void; readonly setDisabled: (disabled: boolean) => void },
): PlainRow {
  const { access: w } = words.value;
  return {
    key: `${from} ${name}`,
    cells: [
      name,
      unused === true ? (
        <span class="quiet">{w.unused}</span>
      ) : (
        <Badge tone={disabled ? 'warn' : 'good'} text={disabled ? w.disabled : w.enabled} />
      ),
      <span class="nowrap">{w.from[from as keyof typeof w.from] ?? from}</span>,
      passwordAt === undefined ? '—' : <Time at={passwordAt} />,
    ],
    actions: mayChange() && from === 'stored' && (
      <>
        <Button look="link-button" act={() => ask({ kind: 'password', name })}>
          {w.setPassword}
        </Button>
        <Button look="link-button" act={() => setDisabled(!disabled)}>
          {disabled ? w.enable : w.disable}
        </Button>
        <Button look="link-button" act={() => ask({ kind: 'remove', name })}>
          {w.remove}
        </Button>
      </>
    ),
  };
}

function UserDialog({
  asked,
  close,
  done,
}: {
  readonly asked: Asked;
  readonly close: () => void;
  readonly done: () => void;
}): JSX.Element {
  const { access: w } = words.value;
  if (asked.kind === 'remove') return <RemoveUser name={asked.name} close={close} done={done} />;
  if (asked.kind === 'password') {
    return (
      <FormDialog
        title={w.setPasswordOf(asked.name)}
        action={w.setPasswordAction}
        act={async (data) => {
          await change('userPasswd', { name: asked.name, password: textIn(data, 'password') });
          toast(w.passwordDone(asked.name));
          done();
        }}
        close={close}
      >
        <PasswordField />
      </FormDialog>
    );
  }
  return <AddUser close={close} done={done} />;
}

function AddUser({ close, done }: { readonly close: () => void; readonly done: () => void }): JSX.Element {
  const { access: w } = words.value;
  return (
    <FormDialog
      title={w.addUserTitle}
      action={w.add}
      act={async (data) => {
        const name = textIn(data, 'name').trim();
        const { warnings } = await change('userAdd', { name, password: textIn(data, 'password') });
        toast(w.userAdded(name));
        for (const warning of warnings) toast(warning, 'bad');
        done();
      }}
      close={close}
    >
      <NameField />
      <PasswordField />
    </FormDialog>
  );
}

/** The name of a user or a token. */
export function NameField(): JSX.Element {
  return (
    <Field label={words.value.access.name}>
      {(ids) => <input {...ids} {...AS_TYPED} name="name" required maxLength={128} />}
    </Field>
  );
}

/** A password that its setter sees, as it has to be handed on. */
function PasswordField(): JSX.Element {
  const { access: w } = words.value;
  const value = useSignal('');
  return (
    <Field label={w.password} hint={w.passwordHint}>
      {(ids) => (
        <span class="with-button">
          <input
            {...ids}
            name="password"
            required
            minLength={8}
            maxLength={1024}
            autocomplete="new-password"
            spellcheck={false}
            value={value.value}
            onInput={({ currentTarget }) => (value.value = currentTarget.value)}
          />
          <Button act={() => (value.value = newPassword())}>{w.generate}</Button>
        </span>
      )}
    </Field>
  );
}

/** Without letters and digits that look alike. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';

/** Twenty random characters: 116 bits. */
function newPassword(): string {
  let password = '';
  while (password.length < 20) {
    for (const byte of crypto.getRandomValues(new Uint8Array(32))) {
      // Above the last whole multiple, some characters would be more likely.
      const letter = byte < 256 - (256 % ALPHABET.length) ? ALPHABET[byte % ALPHABET.length] : undefined;
      if (letter !== undefined && password.length < 20) password += letter;
    }
  }
  return password;
}

function RemoveUser({
  name,
  close,
  done,
}: {
  readonly name: string;
  readonly close: () => void;
  readonly done: () => void;
}): JSX.Element {
  const { access: w } = words.value;
  const tokens = useRead('tokens', {});
  const own = tokens.data?.tokens.filter(({ owner }) => owner === name) ?? [];
  return (
    <FormDialog
      title={w.removeTitle(name)}
      action={w.removeAction}
      danger
      act={async () => {
        await change('userRemove', { name });
        toast(w.removeDone(name));
        done();
      }}
      close={close}
    >
      <Loaded of={tokens} lines={1}>
        {() => (
          <>
            <p>{own.length === 0 ? w.removeNone : w.removeText}</p>
            <ul class="names">
              {own.map((token) => (
                <li key={token.name}>
                  <code>{token.name}</code>
                </li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </FormDialog>
  );
}
