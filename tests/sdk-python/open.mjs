// Opens an authorization URL as tests/demo's person and prints the callback URL.
//   node open.mjs URL REDIRECT_URI
import { Person } from '../demo/lib/person.mjs';

const [url, redirectUri] = process.argv.slice(2);
const person = new Person(process.env.DEMO_ACCOUNT, process.env.DEMO_PASSWORD);
console.log((await person.authorize(url, redirectUri)).href);
