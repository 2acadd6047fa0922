// A browser for programs that open one: a person with an account at the issuer logs in, allows what is
// asked, and is sent back.
//
//   BROWSER="node browser.mjs" program …        (account in DEMO_ACCOUNT/_PASSWORD)
import { Person } from './lib/person.mjs';

const url = new URL(process.argv.at(-1));
const redirectUri = url.searchParams.get('redirect_uri');
const callback = await new Person(process.env.DEMO_ACCOUNT, process.env.DEMO_PASSWORD).authorize(url, redirectUri);
await (await fetch(callback)).text();
