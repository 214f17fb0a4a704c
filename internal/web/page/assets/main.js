// Puts the page together: what the feed tells goes to the model, and what has
// changed is drawn with the next frame.

import { follow } from './feed.js';
import { Model } from './model.js';
import { Graph } from './graph.js';
import { Dots } from './dots.js';
import { Frames } from './frames.js';
import { Bar } from './bar.js';
import { Panel } from './panel.js';
import { News } from './news.js';
import { drawTable } from './table.js';
import { startTheme } from './theme.js';
import { vertexRoute } from './route.js';

const model = new Model();
const frames = new Frames();
const parts = Object.fromEntries(['bar', 'graph', 'dots', 'table', 'empty', 'panel', 'news', 'ask'].map((id) => [id, document.getElementById(id)]));

const graph = new Graph(parts.graph, model, (vertex) => { location.hash = vertexRoute(vertex); });
const dots = new Dots(parts.dots, graph, frames);
const panel = new Panel(parts.panel, model, frames, graph);
const news = new News(parts.news);
const bar = new Bar(parts.bar, model, graph, { table: showTable, changed: update });
let asTable = false;

function showTable(on) {
  asTable = on;
  parts.table.hidden = !on;
  parts.graph.hidden = on;
  update();
  if (on) parts.table.focus();
  else graph.focus();
}

// update draws everything with the next frame, however often it is called before.
let due = false;
function update() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    bar.update(asTable);
    if (asTable) drawTable(parts.table, model, bar.text);
    else graph.update();
    dots.update();
    panel.update();
    const nothing = model.nodes.length > 0 && model.vertices.size === 0;
    parts.empty.hidden = !nothing;
    if (nothing) parts.empty.textContent = 'No node of the network hosts a seed, and no packet waits. Add a seed to a folder that a node watches: it appears here.';
  });
}

function route() {
  const hash = location.hash.slice(1);
  if (hash === 'table') {
    showTable(true);
    history.replaceState(null, '', panel.hash ? '#' + panel.hash : location.pathname);
    return;
  }
  panel.open(hash);
}

startTheme();
addEventListener('hashchange', route);
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !parts.ask.open && panel.isOpen) {
    panel.close();
    return;
  }
  if (event.target.matches?.('input, textarea, select') || event.ctrlKey || event.metaKey || event.altKey || parts.ask.open) return;
  const keys = {
    '/': () => bar.search(),
    '+': () => graph.view.zoom(1.25),
    '-': () => graph.view.zoom(0.8),
    0: () => graph.fit(),
    t: () => showTable(!asTable),
    n: () => { location.hash = 'nodes'; },
  };
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});

// What a test or a curious person may ask the page itself.
window.pumpkin = { frames: () => frames.report(), resetFrames: () => frames.reset(), shape: () => ({ seeds: model.seeds.size, states: model.states.size, nodes: model.nodes.length }) };

follow({
  network(all) {
    model.network(all);
    update();
  },
  counters(some) {
    model.counters(some);
    update();
  },
  changes(list) {
    news.add(list);
    panel.changed();
  },
  state(state, why) {
    bar.state(state, why);
    update();
  },
});
route();
update();
