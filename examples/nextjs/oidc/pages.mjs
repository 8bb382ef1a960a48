import { people } from "./people.mjs";

export function loginPage(client, problem) {
  const choices = people.map(
    ({ sub, name, email }) => `<button name="sub" value="${escape(sub)}" class="person" formnovalidate><b>${escape(name)}</b><span>${escape(email)}</span></button>`,
  );
  return page(
    "Who are you?",
    `<p>A sign-in for development, asked for by <b>${escape(client)}</b>. Nobody checks who you are.</p>
${problem === undefined ? "" : `<p class="problem" role="alert">${escape(problem)}</p>`}
<form method="post" class="stack" aria-label="Choose a person">${choices.join("\n")}</form>
<form method="post" class="stack" aria-label="Somebody else">
<h2>Somebody else</h2>
<label>Name <input name="name" autocomplete="off" required></label>
<label>E-mail <input name="email" type="email" autocomplete="off" required></label>
<button>Continue</button>
<button name="cancel" value="1" formnovalidate class="quiet">Cancel</button>
</form>`,
  );
}

export function errorPage(message) {
  return page("That did not work", `<p role="alert">${escape(message)}</p><p>Go back to the app and begin again.</p>`);
}

function page(title, body) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --line: light-dark(#d6d9de, #3a404a); --ground: light-dark(#eef0f3, #14171c); --card: light-dark(#fff, #1d2127); --quiet: light-dark(#5a6270, #a3abb8); }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground); font: 1rem/1.5 system-ui, sans-serif }
main { width: min(26rem, 100%); padding: 1.75rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px }
h1 { margin: 0 0 .5rem; font-size: 1.4rem } h2 { margin: 1rem 0 0; font-size: 1rem } p { margin: 0 0 1rem; color: var(--quiet) }
.stack { display: grid; gap: .6rem }
label { display: grid; gap: .2rem; font-size: .9rem }
input, button { font: inherit; padding: .55rem .75rem; border: 1px solid var(--line); border-radius: 8px; background: transparent; color: inherit }
button { cursor: pointer } button:hover { border-color: currentColor }
.person { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 .75rem; text-align: left } .person span { color: var(--quiet) }
@media (max-width: 26rem) { .person { flex-direction: column } }
.quiet { border-color: transparent; color: var(--quiet) }
.problem { color: light-dark(#a11, #f99) }
</style>
<main><h1>${title}</h1>${body}</main>
</html>`;
}

function escape(text) {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
