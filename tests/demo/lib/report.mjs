// Prints the demo's steps for a person, and remembers whether each went as it must.
import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
const [bold, green, red, grey] = [paint(1), paint(32), paint(31), paint(90)];

/** A step that went differently. */
export class Unexpected extends Error {}

/** Throws unless `actual` is what must be. */
export function expect(what, actual, fits) {
  const good = typeof fits === 'function' ? fits(actual) : actual === fits;
  if (!good) {
    const wanted = typeof fits === 'function' ? '' : `, not ${JSON.stringify(fits)}`;
    throw new Unexpected(`${what} is ${JSON.stringify(actual)}${wanted}`);
  }
}

/** Numbers the steps and counts the outcomes. */
export class Report {
  #number = 0;
  passed = 0;
  failed = 0;

  /** Runs one step; `work` returns the lines to show below its title. */
  async step(title, work) {
    this.#number += 1;
    const number = String(this.#number).padStart(2);
    let lines;
    let mark = green('✓');
    try {
      lines = await work();
      this.passed += 1;
    } catch (error) {
      this.failed += 1;
      mark = red('✗');
      lines = [red(error instanceof Unexpected ? error.message : (error.stack ?? String(error)))];
    }
    console.log(`${mark} ${bold(`${number}. ${title}`)}`);
    for (const line of lines ?? []) if (line) console.log(`      ${line}`);
    return this.failed === 0;
  }
}

/** Lines that describe an HTTP exchange: request → status, reason, challenge. */
export function wire(exchange, reason) {
  const operation = exchange.operation ? ` ${exchange.operation}` : '';
  const status = `HTTP ${exchange.status}`;
  return [
    `${exchange.method} ${exchange.path}${operation} → ${status}${reason ? `, reason ${reason}` : ''}`,
    exchange.challenge ? grey(`WWW-Authenticate: ${exchange.challenge}`) : '',
  ];
}

/** Reads the reason codes that the filter logs. */
export class ReasonLog {
  constructor(path) {
    this.path = path;
    this.mark();
  }

  /** From here on. */
  mark() {
    this.offset = this.path ? statSync(this.path).size : 0;
  }

  /** The first reason since the mark; the log is written by another process, so wait a little. */
  async next() {
    for (let tries = 0; this.path && tries < 40; tries += 1) {
      const found = /\breason=([a-z0-9_]+)/.exec(readFileSync(this.path).subarray(this.offset));
      if (found) return found[1];
      await sleep(50);
    }
    return undefined;
  }
}
