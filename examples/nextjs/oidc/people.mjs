/** Who can sign in: three people, and anybody who enters a name and an address. */

export const people = [
  { sub: "ada", name: "Ada Lovelace", email: "ada@example.com" },
  { sub: "grace", name: "Grace Hopper", email: "grace@example.com" },
  { sub: "alan", name: "Alan Turing", email: "alan@example.com" },
];

const known = new Map(people.map((one) => [one.sub, one]));

/** The account that a login form chose, `undefined` when it is not filled in. */
export function person(form) {
  const chosen = form.get("sub");
  if (chosen !== null) return known.has(chosen) ? chosen : undefined;
  const name = (form.get("name") ?? "").trim();
  const email = (form.get("email") ?? "").trim();
  if (name === "" || !/^[^\s@]+@[^\s@]+$/.test(email)) return undefined;
  // The address makes the account: whoever enters it again is the same user, by whatever name.
  const sub = `entered:${email.toLowerCase()}`;
  known.set(sub, { sub, name, email });
  return sub;
}

export function claimsOf(sub) {
  const { name, email } = known.get(sub) ?? {};
  return { sub, name, email, email_verified: email === undefined ? undefined : true };
}
