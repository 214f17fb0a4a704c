// Tells in one line what has happened last, read out by screen readers.

const kept = 50;
const quietTime = 2000; // ms between two lines: they are read out
let all = [];

// news is what has happened, the newest first.
export const news = () => all;

export class News {
  #root;
  #due = 0;
  #told = 0; // how many of the line were not told yet

  constructor(root) {
    this.#root = root;
  }

  add(list) {
    const at = new Date();
    const told = list.map((c) => ({ at, text: sentence(c), bad: ['failed', 'silent', 'waits'].includes(c.change) }));
    if (told.length === 0) return;
    all = [...told.reverse(), ...all].slice(0, kept);
    this.#told += told.length;
    if (this.#due) return;
    this.#tell();
    this.#due = setTimeout(() => {
      this.#due = 0;
      this.#tell();
    }, quietTime);
  }

  #tell() {
    if (this.#told === 0) return;
    this.#root.textContent = this.#told > 1 ? `${all[0].text} (and ${this.#told - 1} more)` : all[0].text;
    this.#told = 0;
  }
}

function sentence(c) {
  const text = c.text ? ': ' + c.text : '';
  const words = { came: 'came', gone: 'has gone', changed: 'has a new version', paused: 'is paused', resumed: 'runs again', failed: 'failed', leaving: 'is leaving', silent: 'does not answer', answers: 'answers again' };
  switch (c.kind) {
    case 'node': return `Node ${c.node} ${words[c.change] ?? c.change}${c.change === 'came' ? '' : text}`;
    case 'seed': return `Seed ${c.seed} ${words[c.change] ?? c.change} on ${c.node}${c.change === 'failed' || c.change === 'came' ? text : ''}`;
  }
  return c.change === 'waits' ? `Packets wait in ${c.state}${text}` : `Nothing waits in ${c.state} any more`;
}
