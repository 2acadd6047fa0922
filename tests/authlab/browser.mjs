// The browser that mcp-authlab opens: tests/demo's person logs in, consents, and follows the redirect back
// to the scanner.
//   BROWSER="node browser.mjs %s"
import { Person } from '../demo/lib/person.mjs';

const url = process.argv[2];
const redirectUri = new URL(url).searchParams.get('redirect_uri');
const person = new Person(process.env.DEMO_ACCOUNT, process.env.DEMO_PASSWORD);
const answer = await fetch(await person.authorize(url, redirectUri));
if (!answer.ok) throw new Error(`the callback answered ${answer.status}`);
