// One request for each line over TLS, with a client certificate or without, each on a connection of its own.
// node mtls.mjs PORT CERTIFICATES < JSON lines of { as, token, path, host }; prints the statuses, one a line.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';

const [port, folder] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);
if (process.argv[4] === 'digest') {
  // RFC 8705 §3.1: SHA-256 of the certificate as DER, as base64url.
  for (const name of ['client', 'other']) {
    const hex = new X509Certificate(read(`${name}.pem`)).fingerprint256.replaceAll(':', '');
    console.log(Buffer.from(hex, 'hex').toString('base64url'));
  }
} else {
  const lines = readFileSync(0, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  for (const { as, token, headers } of lines) {
    const status = await new Promise((resolve) => {
      const options = {
        host: '127.0.0.1',
        port,
        path: '/mcp',
        agent: false,
        servername: 'mcp.example.com',
        ca: read('server.pem'),
        ...(as && { cert: read(`${as}.pem`), key: read(`${as}-key.pem`) }),
        headers: { host: 'mcp.example.com', authorization: `Bearer ${token}`, ...headers },
      };
      const sent = request(options, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode));
      });
      sent.on('error', (error) => resolve(error.code));
      sent.end();
    });
    console.log(status);
  }
}
