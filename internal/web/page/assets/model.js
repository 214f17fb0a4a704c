// What is known of the network, and how fast it moves.

const rateTime = 1.2; // seconds over which a rate is smoothed
const leastRate = 0.05;

// A Model is the network as it was told last. vertices and edges are the graph
// that it makes: states are places, seeds are transitions.
export class Model {
  nodes = [];
  seeds = new Map();
  states = new Map();
  outsiders = [];
  ignored = {};
  copied = '';
  vertices = new Map(); // 'seed:NAME' and 'state:TYPE:NAME'
  edges = new Map();
  shape = ''; // another one: the graph has other vertices or edges
  #rates = new Map();
  #through = new Map();
  #silent = new Set();

  // network takes all of it.
  network(all) {
    this.nodes = all.nodes ?? [];
    this.seeds = new Map((all.seeds ?? []).map((s) => [s.name, s]));
    this.states = new Map((all.states ?? []).map((s) => [s.state, s]));
    this.outsiders = all.outsiders ?? [];
    this.ignored = all.ignored ?? {};
    this.copied = all.copied ?? '';
    this.#silent = new Set(this.nodes.filter((n) => n.trouble).map((n) => n.node));
    this.#graph();
    this.#move();
  }

  // counters takes what has changed of it.
  counters(some) {
    for (const s of some.seeds ?? []) if (this.seeds.has(s.name)) Object.assign(this.seeds.get(s.name), s);
    for (const s of some.states ?? []) if (this.states.has(s.state)) Object.assign(this.states.get(s.state), s);
    for (const n of some.nodes ?? []) {
      const node = this.nodes.find((m) => m.node === n.node);
      if (node) {
        node.load = n.load;
        node.store.used = n.used;
      }
    }
    this.#move();
  }

  #graph() {
    const vertices = new Map();
    const edges = new Map();
    for (const s of this.seeds.values()) vertices.set('seed:' + s.name, { id: 'seed:' + s.name, kind: 'seed', name: s.name });
    for (const s of this.states.values()) vertices.set('state:' + s.state, { id: 'state:' + s.state, kind: 'state', name: s.state });
    const edge = (from, to, counts, state) => {
      const id = from + '>' + to;
      if (vertices.has(from) && vertices.has(to)) edges.set(id, { id, from, to, counts, state });
    };
    for (const s of this.seeds.values()) {
      const seed = 'seed:' + s.name;
      for (const state of s.inputs ?? []) edge('state:' + state, seed, 'in_states', state);
      for (const state of s.outputs ?? []) edge(seed, 'state:' + state, 'out_states', state);
      edge(seed, 'state:Error:' + s.name, 'gave_up');
    }
    this.vertices = vertices;
    this.edges = edges;
    this.shape = [...vertices.keys()].sort().join('\n') + '\n\n' + [...edges.keys()].sort().join('\n');
    for (const key of this.#rates.keys()) if (!edges.has(key) && !vertices.has(key)) this.#rates.delete(key);
  }

  // #move works out the rates from the counts.
  #move() {
    const now = performance.now();
    const count = (key, value) => {
      const r = this.#rates.get(key);
      if (!r) {
        this.#rates.set(key, { value, at: now, rate: 0 });
        return;
      }
      const seconds = (now - r.at) / 1000;
      if (seconds < 0.05) return;
      const fresh = Math.max(0, value - r.value) / seconds;
      r.rate += (fresh - r.rate) * (1 - Math.exp(-seconds / rateTime));
      if (fresh === 0 && r.rate < leastRate) r.rate = 0;
      r.value = value;
      r.at = now;
    };
    for (const s of this.seeds.values()) {
      count('seed:' + s.name, (s.inputs ?? []).length ? s.in : s.out);
    }
    for (const e of this.edges.values()) {
      const name = e.from.startsWith('seed:') ? e.from.slice(5) : e.to.slice(5);
      const s = this.seeds.get(name);
      count(e.id, e.counts === 'gave_up' ? s.gave_up : s[e.counts]?.[e.state] ?? 0);
    }
    const into = new Map();
    this.#through = new Map();
    for (const e of this.edges.values()) { // every seed gets a copy of what goes out
      if (e.from.startsWith('state:')) this.#through.set(e.from, Math.max(this.#through.get(e.from) ?? 0, this.rate(e.id)));
      else into.set(e.to, (into.get(e.to) ?? 0) + this.rate(e.id));
    }
    for (const [id, speed] of into) this.#through.set(id, Math.max(this.#through.get(id) ?? 0, speed));
  }

  // rate is how many packets a second go along an edge or through a seed.
  rate(id) {
    return this.#rates.get(id)?.rate ?? 0;
  }

  // through is how many packets a second come into a state or go out of it,
  // whichever is more.
  through(state) {
    return this.#through.get('state:' + state) ?? 0;
  }

  // behind gives how many packets more there are each second ahead of a seed than it
  // does, 0 when it keeps up, and since when.
  behind(seed) {
    let growth = 0;
    let since = '';
    for (const n of this.nodes) {
      for (const b of n.behind ?? []) {
        if (b.seed !== seed) continue;
        growth += b.growth;
        if (!since || b.since < since) since = b.since;
      }
    }
    return { growth, since };
  }

  // silent tells whether a node does not answer.
  silent(node) {
    return this.#silent.has(node);
  }

  // neighbours are the vertices before and after one.
  neighbours(id) {
    const before = [];
    const after = [];
    for (const e of this.edges.values()) {
      if (e.to === id) before.push(e.from);
      if (e.from === id) after.push(e.to);
    }
    return { before, after };
  }

  // totals counts the packets that wait, those that have failed, and those that are
  // ahead of seeds.
  totals() {
    const t = { waiting: 0, failed: 0, ahead: 0 };
    for (const s of this.states.values()) {
      t[isError(s.state) ? 'failed' : 'waiting'] += s.waiting;
    }
    for (const o of this.orphans()) t.waiting += o.packets;
    for (const s of this.seeds.values()) t.ahead += s.ahead;
    return t;
  }

  // orphans are the inboxes of seeds that no node hosts, with their packets.
  orphans() {
    const by = new Map();
    for (const n of this.nodes) {
      for (const w of n.waiting ?? []) {
        if (!w.seed) continue;
        const o = by.get(w.seed) ?? { seed: w.seed, packets: 0, why: w.why };
        o.packets += w.packets;
        by.set(w.seed, o);
      }
    }
    return [...by.values()];
  }
}

// isError tells whether packets of the state have failed.
export function isError(state) {
  return state.startsWith('Error:');
}
