/** The password of the user of a bench. */
export const PASSWORD = 'correct horse';

/** Logs the user `alice` in. Returns the `Authorization` header with a signed token, which lasts five minutes. */
export async function tokenOf(url: string): Promise<string> {
  const authorization = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`;
  const response = await fetch(`${url}/token`, { headers: { authorization } });
  if (!response.ok) throw new Error(`${url}/token answered ${response.status}`);
  const { token } = (await response.json()) as { token: string };
  return `Bearer ${token}`;
}
