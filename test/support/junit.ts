/** What one case of a JUnit report says. */
export interface Verdict {
  /** `passed`, `failed` or `failure`, `skipped`. */
  readonly status: string;
  /** What the case said, cut short. */
  readonly report: string;
}

/** The cases of a JUnit report by name. A suite gives one name to several, in an order that changes from run to run. */
export function readJunit(xml: string): ReadonlyMap<string, readonly Verdict[]> {
  const cases = Array.from(
    xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g),
    ([, attributes = '', body = '']) => ({
      name: attributeOf(attributes, 'name'),
      status: attributeOf(attributes, 'status'),
      report: body.slice(0, 1500),
    }),
  );
  return Map.groupBy(cases, ({ name }) => name);
}

function attributeOf(attributes: string, name: string): string {
  return new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? '';
}
