// Draws the network as SVG: seeds as boxes, states as pills, and what is known of
// them in a second line. It can be dragged and zoomed, and walked with the arrow
// keys.

import { place, extent, bends } from './layout.js';
import { isError } from './model.js';
import { count, rate, cut, plural, unloaded } from './text.js';
import { View } from './view.js';

const NS = 'http://www.w3.org/2000/svg';
export const wide = 172;
export const high = 46;
const far = 0.42; // below this scale, writing is left out
const readable = 0.7; // what is looked for is shown at this scale at least
const large = 300; // vertices of a graph that takes long to draw
const restFrames = 8; // without a move, until it is drawn anew

// The distance between two layers, and between two vertices of one.
const across = { layer: wide + 84, next: high + 22 };
const down = { layer: high + 62, next: wide + 22 };

export class Graph {
  #model;
  #open;
  #svg;
  #world;
  #edgeLayer;
  #vertexLayer;
  #items = new Map(); // by vertex
  #lines = new Map(); // by edge
  #places = new Map();
  #shape = '';
  #upright = null;
  #current = ''; // the vertex that the keyboard is at
  #selected = '';
  #match = null;
  #drawn = { x: 0, y: 0, k: 1 }; // what part the picture was drawn for
  #rest = 0; // frames to wait

  // root is where it is drawn; open(vertex) is called for what was chosen.
  constructor(root, model, open) {
    this.#model = model;
    this.#open = open;
    this.#svg = make('svg', { role: 'group', 'aria-label': 'The network as a graph. Arrow keys move along it, Enter shows details.' });
    this.#world = make('g', {});
    const defs = make('defs', {});
    for (const name of ['rests', 'flows', 'fails']) {
      const head = make('marker', { id: 'head-' + name, class: name, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: 'userSpaceOnUse', orient: 'auto' });
      head.append(make('path', { d: 'M0 0L8 4L0 8z' }));
      defs.append(head);
    }
    this.#edgeLayer = make('g', { class: 'edges', 'aria-hidden': 'true' });
    this.#vertexLayer = make('g', { class: 'vertices' });
    this.#world.append(this.#edgeLayer, this.#vertexLayer);
    this.#svg.append(defs, this.#world);
    root.prepend(this.#svg);
    this.view = new View(root, (v) => this.#see(v));
    this.#svg.addEventListener('click', (event) => {
      const id = event.target.closest?.('[data-id]')?.dataset.id;
      if (id && !this.view.dragged) this.#choose(id);
    });
    this.#svg.addEventListener('keydown', (event) => this.#key(event));
    this.#svg.addEventListener('focusin', (event) => {
      const id = event.target.closest?.('[data-id]')?.dataset.id;
      if (id) this.#walkTo(id, false);
    });
    new ResizeObserver(() => this.#resized()).observe(root);
  }

  // update draws what the model says now.
  update() {
    if (this.#model.shape !== this.#shape) this.#lay(false);
    for (const [id, item] of this.#items) this.#fill(id, item);
    for (const [id, line] of this.#lines) this.#flow(id, line);
  }

  // tidy places everything anew.
  tidy() {
    this.#lay(true);
    this.update();
    this.fit();
  }

  fit() {
    const e = this.#bounds();
    if (e) this.view.fit(e);
  }

  // select marks a vertex, and brings it into view.
  select(id) {
    this.#items.get(this.#selected)?.g.classList.remove('selected');
    this.#selected = id;
    this.#items.get(id)?.g.classList.add('selected');
    if (this.#items.has(id)) this.#walkTo(id, true);
  }

  // focus gives the keyboard to the vertex where it was last.
  focus() {
    this.#items.get(this.#current)?.g.focus();
  }

  // search dims what does not have the text in its name, and gives what has.
  search(text) {
    text = text.trim().toLowerCase();
    this.#match = text ? (id) => id.slice(id.indexOf(':') + 1).toLowerCase().includes(text) : null;
    const found = [];
    for (const [id, item] of this.#items) {
      const hit = !this.#match || this.#match(id);
      item.g.classList.toggle('dim', !hit);
      if (this.#match && hit) found.push(id);
    }
    this.#svg.classList.toggle('searching', Boolean(this.#match));
    if (found.length) this.#walkTo(found[0], true);
    return found;
  }

  // show brings a vertex into view and to the keyboard.
  show(id) {
    if (this.view.k < readable) this.view.zoom(readable / this.view.k);
    this.#walkTo(id, true);
    this.focus();
  }

  // paths are the edges that something flows along, for the dots.
  *paths() {
    for (const [id, line] of this.#lines) {
      const speed = this.#model.rate(id);
      if (speed > 0) yield { id, points: (line.points ??= sample(line.path)), speed, failed: line.failed };
    }
  }

  #lay(anew) {
    const first = this.#items.size === 0;
    this.#shape = this.#model.shape;
    const edges = [...this.#model.edges.values()].map((e) => [e.from, e.to]);
    const box = this.view.size();
    this.#upright = box.width < box.height * 0.9;
    const step = this.#upright ? down : across;
    const aspect = (box.width / box.height) * (step.next / step.layer);
    this.#places = place([...this.#model.vertices.keys()], edges, anew ? new Map() : this.#places, this.#upright ? 1 / aspect : aspect);
    this.#draw();
    if (first || this.view.fitted) this.fit();
  }

  // #see shows another part. To draw a large graph takes longer than a frame: while it
  // moves, its picture is moved, and drawn anew when it rests.
  #see(v) {
    if (this.#items.size < large) {
      this.#settle(v);
      return;
    }
    const r = v.k / this.#drawn.k;
    this.#svg.style.transform = `translate(${v.x - this.#drawn.x * r}px, ${v.y - this.#drawn.y * r}px) scale(${r})`;
    if (this.#rest === 0) requestAnimationFrame(() => this.#wait());
    this.#rest = restFrames;
  }

  // #wait counts frames, not time: of slow ones few fit in, and drawing would make
  // them slower.
  #wait() {
    if (--this.#rest > 0) requestAnimationFrame(() => this.#wait());
    else this.#settle(this.view);
  }

  #settle(v) {
    this.#drawn = { x: v.x, y: v.y, k: v.k };
    this.#svg.style.transform = '';
    this.#world.setAttribute('transform', `translate(${v.x} ${v.y}) scale(${v.k})`);
    this.#svg.classList.toggle('far', v.k < far);
  }

  // #draw makes and moves what is to be seen of the places.
  #draw() {
    for (const [id, item] of this.#items) {
      if (!this.#model.vertices.has(id)) {
        const focused = document.activeElement === item.g;
        item.g.remove();
        this.#items.delete(id);
        if (this.#current === id) this.#current = '';
        if (focused) this.#svg.querySelector('[data-id]')?.focus();
      }
    }
    for (const v of this.#model.vertices.values()) {
      let item = this.#items.get(v.id);
      if (!item) {
        item = vertex(v);
        this.#items.set(v.id, item);
        this.#vertexLayer.append(item.g);
        if (this.#match) item.g.classList.toggle('dim', !this.#match(v.id));
      }
      const p = this.#point(v.id);
      set(item, 'at', `translate(${p.x} ${p.y})`, (text) => item.g.setAttribute('transform', text));
    }
    if (!this.#items.has(this.#current)) this.#current = this.#firstVertex();
    for (const [id, item] of this.#items) item.g.tabIndex = id === this.#current ? 0 : -1;
    for (const [id, line] of this.#lines) {
      if (!this.#model.edges.has(id)) {
        line.g.remove();
        this.#lines.delete(id);
      }
    }
    for (const e of this.#model.edges.values()) {
      let line = this.#lines.get(e.id);
      if (!line) {
        line = edge(e);
        this.#lines.set(e.id, line);
        this.#edgeLayer.append(line.g);
      }
      const path = this.#route(e);
      const text = path.map((p, i) => (i ? `C${p.join(' ')}` : `M${p.join(' ')}`)).join('');
      set(line, 'd', text, () => {
        line.curve.setAttribute('d', text);
        line.path = path;
        line.points = null;
        const all = sample(path);
        const mid = all[all.length >> 1];
        line.label.setAttribute('x', mid[0]);
        line.label.setAttribute('y', mid[1] - 4);
      });
    }
  }

  #point(key) {
    const p = this.#places.get(key);
    return this.#upright ? { x: p.offset * down.next, y: p.rank * down.layer } : { x: p.rank * across.layer, y: p.offset * across.next };
  }

  // #route is the way of an edge: a start, and cubic curves from there.
  #route(e) {
    const from = this.#point(e.from);
    const to = this.#point(e.to);
    const stops = bends(this.#places, e.from, e.to).map((key) => this.#point(key));
    const main = this.#upright ? 'y' : 'x';
    const half = (this.#upright ? high : wide) / 2;
    const start = { ...from };
    const end = { ...to };
    start[main] += half;
    end[main] -= half;
    const back = to[main] <= from[main];
    const sense = back ? -1 : 1;
    const all = [start, ...stops, end];
    const path = [[start.x, start.y]];
    for (let i = 1; i < all.length; i++) {
      const [a, b] = [{ ...all[i - 1] }, { ...all[i] }];
      const pull = Math.max(back ? half + 20 : 24, Math.abs(b[main] - a[main]) / 2);
      a[main] += pull * (i === 1 ? 1 : sense);
      b[main] -= pull * (i === all.length - 1 ? 1 : sense);
      path.push([a.x, a.y, b.x, b.y, all[i].x, all[i].y]);
    }
    return path;
  }

  #bounds() {
    if (this.#items.size === 0) return null;
    const seen = new Map([...this.#items.keys()].map((id) => [id, this.#places.get(id)]));
    const e = extent(seen);
    const step = this.#upright ? down : across;
    const ranks = e.rank.map((r) => r * step.layer);
    const offsets = e.offset.map((o) => o * step.next);
    const [x, y] = this.#upright ? [offsets, ranks] : [ranks, offsets];
    return { left: x[0] - wide / 2, right: x[1] + wide / 2, top: y[0] - high / 2, bottom: y[1] + high / 2 };
  }

  #resized() {
    const box = this.view.size();
    if (this.#items.size === 0 || box.width < 2) return;
    if (this.#upright !== box.width < box.height * 0.9) this.tidy();
    else if (this.view.fitted) this.fit();
    else if (this.#items.has(this.#selected)) this.#walkTo(this.#selected, true);
  }

  #firstVertex() {
    let first = '';
    let least = Infinity;
    for (const id of this.#items.keys()) {
      const p = this.#places.get(id);
      if (p.rank * 1e6 + p.offset < least) [first, least] = [id, p.rank * 1e6 + p.offset];
    }
    return first;
  }

  #walkTo(id, show) {
    const before = this.#items.get(this.#current);
    if (before) before.g.tabIndex = -1;
    this.#current = id;
    this.#items.get(id).g.tabIndex = 0;
    const p = this.#point(id);
    if (show || this.#svg.matches(':focus-within')) this.view.reveal({ left: p.x - wide / 2, right: p.x + wide / 2, top: p.y - high / 2, bottom: p.y + high / 2 });
  }

  #choose(id) {
    this.#walkTo(id, false);
    this.focus();
    this.#open(this.#model.vertices.get(id));
  }

  #key(event) {
    const id = event.target.closest?.('[data-id]')?.dataset.id;
    if (!id || event.ctrlKey || event.metaKey || event.altKey) return;
    const ways = this.#upright
      ? { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }
      : { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    if (event.key === 'Enter' || event.key === ' ') {
      this.#choose(id);
    } else if (event.key === 'Home') {
      this.show(this.#firstVertex());
    } else if (ways[event.key]) {
      const next = this.#neighbour(id, ...ways[event.key]);
      if (next) this.show(next);
    } else {
      return;
    }
    event.preventDefault();
  }

  // #neighbour is where an arrow key leads: along an edge, or beside in the layer.
  #neighbour(id, along, beside) {
    const here = this.#places.get(id);
    const { before, after } = this.#model.neighbours(id);
    const ids = along ? (along > 0 ? after : before) : this.#items.keys();
    let best = null;
    let least = Infinity;
    for (const other of ids) {
      const p = this.#places.get(other);
      if (other === id || (beside && (p.offset - here.offset) * beside <= 0)) continue;
      const d = along ? Math.abs(p.offset - here.offset) : Math.abs(p.offset - here.offset) + Math.abs(p.rank - here.rank) * 1000;
      if (d < least) [best, least] = [other, d];
    }
    return best;
  }

  // #fill writes what is known of a vertex.
  #fill(id, item) {
    const about = item.vertex.kind === 'seed' ? this.#seed(item.vertex.name) : this.#state(item.vertex.name);
    set(item, 'line', about.line, (text) => {
      item.line.textContent = text;
      item.name.setAttribute('y', text ? -3 : 5);
    });
    set(item, 'badge', about.badge, (text) => {
      item.badge.textContent = text;
      const width = 12 + text.length * 6.5;
      item.badgeBox.setAttribute('width', width);
      item.badgeBox.setAttribute('x', wide / 2 - width + 8);
      item.badge.setAttribute('x', wide / 2 + 8 - width / 2);
      item.g.classList.toggle('has-badge', text !== '');
    });
    // What is seen comes first, so that it can be said to choose it.
    const seen = [item.name.textContent, about.line, about.badge].filter(Boolean).join(' ');
    set(item, 'label', `${seen}: ${about.label}`, (text) => item.g.setAttribute('aria-label', text));
    for (const name of ['flows', 'paused', 'failed', 'waits', 'silent']) {
      set(item, name, Boolean(about[name]), (on) => item.g.classList.toggle(name, on));
    }
  }

  #seed(name) {
    const s = this.#model.seeds.get(name);
    const nodes = s.replicas.map((r) => r.node);
    const speed = this.#model.rate('seed:' + name);
    const silent = s.replicas.length > 0 && nodes.every((n) => this.#model.silent(n));
    const paused = s.paused > 0 && s.paused >= s.replicas.length;
    const where = nodes.length > 2 ? `${nodes.length} nodes` : nodes.join(', ');
    const missing = unloaded(s);
    const line = (missing ? missing + ' · ' : paused ? 'paused · ' : speed > 0 ? rate(speed) + ' · ' : '') + where;
    return {
      line: cut(line, 26), badge: s.ahead > 0 ? count(s.ahead) : '',
      label: `seed ${name}, ${s.contract}, on ${plural(nodes.length, 'node')}${missing ? ', ' + missing : ''}${paused ? ', paused' : ''}` +
        (speed > 0 ? `, ${rate(speed)}` : '') + (s.ahead ? `, backlog ${count(s.ahead)}` : '') + (s.gave_up ? `, ${count(s.gave_up)} failed` : ''),
      flows: speed > 0, paused, silent, failed: s.replicas.some((r) => r.not_loaded || recent(r.errors)),
    };
  }

  #state(name) {
    const s = this.#model.states.get(name);
    const speed = this.#model.through(name);
    const waits = s.waiting > 0;
    let line = speed > 0 ? rate(speed) : '';
    if (waits) line = isError(name) ? 'failed' : s.acceptors.length ? 'waits' : s.nearest ? 'nearest: ' + s.nearest : 'no seed accepts it';
    return {
      line: cut(line, 26), badge: waits ? count(s.waiting) : '',
      label: `state ${name}` + (speed > 0 ? `, ${rate(speed)}` : '') + (waits ? `, ${plural(s.waiting, 'packet')} ${isError(name) ? 'failed' : 'waiting'}` : '') +
        (s.nearest ? `, nearest accepted: ${s.nearest}` : ''),
      flows: speed > 0, waits: waits && !isError(name), failed: waits && isError(name),
    };
  }

  #flow(id, line) {
    const speed = this.#model.rate(id);
    set(line, 'text', speed > 0 ? rate(speed) : '', (text) => { line.label.textContent = text; });
    set(line, 'flows', speed > 0, (on) => line.g.classList.toggle('flows', on));
  }
}

// recent tells whether a seed has failed in the last minute.
function recent(errors) {
  return Boolean(errors?.length) && Date.now() - Date.parse(errors[0].at) < 60000;
}

function make(name, attributes, text) {
  const e = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  if (text !== undefined) e.textContent = text;
  return e;
}

// set does something when a value is another than before.
function set(item, key, value, change) {
  if (item.was.get(key) === value) return;
  item.was.set(key, value);
  change(value);
}

function vertex(v) {
  const g = make('g', { class: v.kind + (v.kind === 'state' && isError(v.name) ? ' error' : ''), role: 'button', tabindex: '-1', 'data-id': v.id });
  const shown = cut(v.name, 23);
  const box = make('rect', { class: 'box', x: -wide / 2, y: -high / 2, width: wide, height: high, rx: v.kind === 'seed' ? 3 : high / 2 });
  const name = make('text', { class: 'name', y: -3 }, shown);
  const line = make('text', { class: 'line', y: 14 });
  const badgeBox = make('rect', { class: 'badge-box', y: -high / 2 - 9, height: 18, rx: 9 });
  const badge = make('text', { class: 'badge', y: -high / 2 + 4 });
  if (shown !== v.name) g.append(make('title', {}, v.name));
  g.append(box, name, ' ', line, ' ', badgeBox, badge); // read out as words
  return { vertex: v, g, name, line, badge, badgeBox, was: new Map() };
}

function edge(e) {
  const failed = e.counts === 'gave_up';
  const g = make('g', { class: failed ? 'edge error' : 'edge' });
  const curve = make('path', {});
  const label = make('text', { class: 'rate' });
  g.append(curve, label);
  return { g, curve, label, failed, was: new Map(), path: [], points: null };
}

// sample is points along a path, for what moves on it.
function sample(path) {
  const points = [path[0]];
  for (let i = 1; i < path.length; i++) {
    const [x0, y0] = points[points.length - 1];
    const [x1, y1, x2, y2, x3, y3] = path[i];
    for (let k = 1; k <= 12; k++) {
      const t = k / 12;
      const u = 1 - t;
      points.push([
        u * u * u * x0 + 3 * u * u * t * x1 + 3 * u * t * t * x2 + t * t * t * x3,
        u * u * u * y0 + 3 * u * u * t * y1 + 3 * u * t * t * y2 + t * t * t * y3,
      ]);
    }
  }
  return points;
}
