// A person with a browser, reduced to what the issuer's pages need: follows redirects, keeps
// cookies, fills in the login form, presses "allow" on the consent form.

const MOST_PAGES = 12;
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };

/** Text of an HTML attribute. */
function decode(html) {
  return html.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (whole, name) => {
    if (/^#x/i.test(name)) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(parseInt(name.slice(1), 10));
    return ENTITIES[name.toLowerCase()] ?? whole;
  });
}

/** The attributes of one tag. */
function attributes(tag) {
  const found = {};
  const pattern = /([a-z][\w-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/gi;
  for (const [, name, double, single, bare] of tag.matchAll(pattern)) {
    found[name.toLowerCase()] = decode(double ?? single ?? bare ?? '');
  }
  return found;
}

/** The forms of a page: where they go, and their controls in order. */
export function forms(html) {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, tag, inside]) => ({
    ...attributes(tag),
    controls: [...inside.matchAll(/<(input|button)\b([^>]*)>([^<]*)/gi)].map(
      ([, kind, rest, label]) => ({
        type: kind === 'button' ? 'submit' : 'text',
        label,
        ...attributes(rest),
      }),
    ),
  }));
}

/** Somebody with an account at the issuer. */
export class Person {
  #cookies = new Map();
  /** What was answered on the way, newest last: `GET /login → 200`. */
  trail = [];

  constructor(account, password) {
    this.account = account;
    this.password = password;
  }

  /** Opens `url` and goes on until the browser would leave for `redirectUri`; returns that URL. */
  async authorize(url, redirectUri) {
    this.trail = [];
    let request = { url: new URL(url), method: 'GET' };
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const response = await this.#open(request);
      const location = response.headers.get('location');
      if (location) {
        const next = new URL(location, request.url);
        if (next.href.startsWith(redirectUri)) return next;
        request = { url: next, method: 'GET' };
      } else {
        request = this.#answer(await response.text(), request.url, response.status);
      }
    }
    throw new Error(`no end to the pages of ${url}`);
  }

  /**
   * Opens the page of a device, with its code filled in, goes on, and says yes; returns the text of
   * the last page.
   */
  async connect(url) {
    this.trail = [];
    let request = { url: new URL(url), method: 'GET' };
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const response = await this.#open(request);
      const location = response.headers.get('location');
      if (location) {
        request = { url: new URL(location, request.url), method: 'GET' };
        continue;
      }
      const html = await response.text();
      if (response.ok && forms(html).length === 0) return text(html);
      request = this.#answer(html, request.url, response.status);
    }
    throw new Error(`no end to the pages of ${url}`);
  }

  async #open({ url, method, body }) {
    const response = await fetch(url, {
      method,
      body,
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        // As a browser would: forms are posted from the issuer's own pages.
        ...(method === 'POST' && { origin: url.origin, 'sec-fetch-site': 'same-origin' }),
      },
    });
    this.trail.push(`${method} ${url.pathname} → ${response.status}`);
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (name === undefined) continue;
      if (/;\s*max-age=0/i.test(line)) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return response;
  }

  /** Fills in the page's form. */
  #answer(html, url, status) {
    const page = forms(html);
    const login = page.find(({ controls }) => controls.some(({ type }) => type === 'password'));
    const form = login ?? page.find(({ controls }) => allow(controls)) ?? page[0];
    if (!form) {
      const said = text(html).slice(0, 300);
      throw new Error(`${url.pathname} answered ${status} without a form: ${said}`);
    }
    const data = new URLSearchParams();
    for (const control of form.controls) {
      if (control.name && this.#keeps(control)) data.append(control.name, this.#value(control));
    }
    const button = allow(form.controls);
    if (button?.name) data.append(button.name, button.value ?? '');
    const action = new URL(form.action || url.href, url);
    if ((form.method ?? 'get').toLowerCase() === 'post') {
      return { url: action, method: 'POST', body: data };
    }
    action.search = data.toString();
    return { url: action, method: 'GET' };
  }

  /** Buttons are chosen apart; boxes for scopes are all ticked. */
  #keeps({ type, checked }) {
    if (type === 'submit' || type === 'reset' || type === 'button') return false;
    return type !== 'radio' || checked !== undefined;
  }

  #value({ type, value, name }) {
    if (type === 'password') return this.password;
    if (type === 'checkbox') return value ?? 'on';
    if (type === 'hidden' || name === 'user_code') return value ?? '';
    if (value && !/user|name|login|email/i.test(name)) return value;
    return this.account;
  }
}

/** What a page says. */
function text(html) {
  return html.replace(/<style[\s\S]*?<\/style>|<[^>]*>|\s+/g, ' ').trim();
}

/** The button that says yes. */
function allow(controls) {
  return controls.find(
    ({ type, value, label }) =>
      type === 'submit' && /allow|approve|accept|grant|yes/i.test(`${value ?? ''} ${label}`),
  );
}
