// Places the vertices of a graph in layers: what gives stands before what takes.
// It is pure: a graph goes in, places come out.
//
// A place has a rank, the number of its layer, and an offset along the layer; who
// draws turns both into x and y. Edges that go back and those over several layers
// are no trouble: the former are turned around while layers are found, the latter
// have a stand-in in each layer between, which keeps room for them.

// The sizes that layers are made of, in the units of offset.
export const gap = 1; // between two vertices of a layer
const bendGap = 0.45; // around a stand-in
const apart = 0.6; // between two parts that nothing connects
const sweeps = 12;
const shuffles = 8;

// place gives every vertex its place, as a Map of {rank, offset}. Those that have
// one in before keep it, unless most are new: then all are placed anew. The
// stand-ins of long edges have places as well, under [bend].
export function place(vertices, edges, before = new Map(), aspect = 1) {
  const kept = new Map();
  for (const v of vertices) if (before.has(v)) kept.set(v, before.get(v));
  if (kept.size * 2 < vertices.length || kept.size === 0) return placeAll(vertices, edges, aspect);
  for (const [a, b] of edges) {
    if (!kept.has(a) || !kept.has(b)) continue;
    for (const key of bends(before, a, b)) kept.set(key, before.get(key));
  }
  return placeNew(vertices, edges, kept, aspect);
}

// bends are the keys of the stand-ins of an edge that have places, in its
// direction.
export function bends(places, a, b) {
  const far = places.get(b).rank - places.get(a).rank;
  const keys = [];
  for (let step = 1; step < Math.abs(far); step++) {
    const key = far > 0 ? bend(a, b, step) : bend(b, a, step);
    if (places.has(key)) keys.push(key);
  }
  return far > 0 ? keys : keys.reverse();
}

// bend is the key of the stand-in of an edge so many layers behind its beginning.
function bend(a, b, step) {
  return a + '\n' + b + '\n' + step;
}

// placeAll places all vertices, one connected part beside the other.
function placeAll(vertices, edges, aspect) {
  const parts = connected(vertices, edges).map((part) => placePart(part.vertices, part.edges));
  return pack(parts, aspect);
}

// connected splits a graph into parts that nothing connects.
function connected(vertices, edges) {
  const root = new Map(vertices.map((v) => [v, v]));
  const find = (v) => {
    while (root.get(v) !== v) {
      root.set(v, root.get(root.get(v)));
      v = root.get(v);
    }
    return v;
  };
  for (const [a, b] of edges) root.set(find(a), find(b));
  const parts = new Map();
  for (const v of vertices) {
    const r = find(v);
    if (!parts.has(r)) parts.set(r, { vertices: [], edges: [] });
    parts.get(r).vertices.push(v);
  }
  for (const e of edges) parts.get(find(e[0])).edges.push(e);
  return [...parts.values()];
}

// placePart places one connected part; its offsets and ranks begin at 0.
function placePart(vertices, edges) {
  const forward = acyclic(vertices, edges);
  const rank = ranks(vertices, forward);
  const layers = [];
  const cells = new Map();
  const cell = (key, r, bend) => {
    const c = { key, rank: r, bend, up: [], down: [], offset: 0 };
    (layers[r] ??= []).push(c);
    cells.set(key, c);
    return c;
  };
  for (const v of depthFirst(vertices, forward)) cell(v, rank.get(v), false);
  for (const [a, b] of forward) {
    let from = cells.get(a);
    const to = cells.get(b);
    const first = from.rank;
    for (let r = first + 1; r < to.rank; r++) {
      const between = cell(bend(a, b, r - first), r, true);
      join(from, between);
      from = between;
    }
    join(from, to);
  }
  order(layers);
  straighten(layers);
  const least = Math.min(...[...cells.values()].map((c) => c.offset));
  return new Map([...cells].map(([key, c]) => [key, { rank: c.rank, offset: c.offset - least }]));
}

function join(from, to) {
  from.down.push(to);
  to.up.push(from);
}

// acyclic turns around the edges that lead back to where a walk came from.
function acyclic(vertices, edges) {
  const out = lists(vertices, edges, 0, 1);
  const into = lists(vertices, edges, 1, 0);
  const seen = new Map(); // 1: on the way to here; 2: done
  const back = new Set();
  const starts = [...vertices].sort((a, b) => into.get(a).length - into.get(b).length);
  for (const start of starts) {
    if (seen.has(start)) continue;
    const stack = [[start, 0]];
    seen.set(start, 1);
    while (stack.length) {
      const top = stack[stack.length - 1];
      const next = out.get(top[0])[top[1]++];
      if (next === undefined) {
        seen.set(top[0], 2);
        stack.pop();
      } else if (!seen.has(next)) {
        seen.set(next, 1);
        stack.push([next, 0]);
      } else if (seen.get(next) === 1) {
        back.add(top[0] + '\n' + next);
      }
    }
  }
  const both = new Set();
  const forward = [];
  for (const [a, b] of edges) {
    if (a === b) continue;
    const e = back.has(a + '\n' + b) ? [b, a] : [a, b];
    const key = e.join('\n');
    if (!both.has(key)) forward.push(e);
    both.add(key);
  }
  return forward;
}

function lists(vertices, edges, from, to) {
  const all = new Map(vertices.map((v) => [v, []]));
  for (const e of edges) all.get(e[from]).push(e[to]);
  return all;
}

// ranks are the layers: the longest way from a start, where starts stand right
// before what they lead to.
function ranks(vertices, edges) {
  const out = lists(vertices, edges, 0, 1);
  const into = lists(vertices, edges, 1, 0);
  const open = new Map(vertices.map((v) => [v, into.get(v).length]));
  const rank = new Map(vertices.map((v) => [v, 0]));
  const ready = vertices.filter((v) => open.get(v) === 0);
  for (let i = 0; i < ready.length; i++) {
    for (const next of out.get(ready[i])) {
      rank.set(next, Math.max(rank.get(next), rank.get(ready[i]) + 1));
      open.set(next, open.get(next) - 1);
      if (open.get(next) === 0) ready.push(next);
    }
  }
  for (const v of ready.reverse()) {
    const next = out.get(v);
    if (into.get(v).length === 0 && next.length > 0) rank.set(v, Math.min(...next.map((n) => rank.get(n))) - 1);
  }
  return rank;
}

// depthFirst is an order in which what belongs together is together.
function depthFirst(vertices, edges) {
  const out = lists(vertices, edges, 0, 1);
  const into = lists(vertices, edges, 1, 0);
  const seen = new Set();
  const all = [];
  for (const start of [...vertices].sort((a, b) => into.get(a).length - into.get(b).length)) {
    const stack = [start];
    while (stack.length) {
      const v = stack.pop();
      if (seen.has(v)) continue;
      seen.add(v);
      all.push(v);
      stack.push(...out.get(v).filter((n) => !seen.has(n)).reverse());
    }
  }
  return all;
}

// order puts each layer into the order of the means of its neighbours, forth and
// back, and keeps the best that was seen.
function order(layers) {
  let best = null;
  let least = Infinity;
  const number = (layer) => layer.forEach((c, i) => { c.i = i; });
  layers.forEach(number);
  for (let s = 0; s < shuffles; s++) {
    const down = s % 2 === 0;
    const way = down ? layers : [...layers].reverse();
    for (const layer of way) {
      for (const c of layer) {
        const near = down ? c.up : c.down;
        c.mean = near.length ? near.reduce((sum, n) => sum + n.i, 0) / near.length : c.i;
      }
      layer.sort((a, b) => a.mean - b.mean || a.i - b.i);
      number(layer);
    }
    const crossed = crossings(layers);
    if (crossed < least) {
      least = crossed;
      best = layers.map((layer) => [...layer]);
    }
    if (least === 0) break;
  }
  best.forEach((layer, r) => {
    layers[r] = layer;
    number(layer);
  });
}

// crossings counts the edges that cross, between all neighbouring layers, with a
// tree of counts.
function crossings(layers) {
  let crossed = 0;
  for (let r = 1; r < layers.length; r++) {
    const tree = new Int32Array(layers[r].length + 1);
    let put = 0;
    for (const c of layers[r - 1]) {
      const ends = c.down.map((d) => d.i).sort((a, b) => a - b);
      for (const end of ends) {
        let below = 0;
        for (let i = end + 1; i > 0; i -= i & -i) below += tree[i];
        crossed += put - below;
      }
      for (const end of ends) {
        for (let i = end + 1; i < tree.length; i += i & -i) tree[i]++;
        put++;
      }
    }
  }
  return crossed;
}

// straighten gives offsets: each vertex wants to be where its neighbours are in
// the mean, and the order and the room between two are kept.
function straighten(layers) {
  for (const layer of layers) spread(layer, (c) => c.i);
  for (let s = 0; s < sweeps; s++) {
    const down = s % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      spread(layer, (c) => {
        const near = s > sweeps - 3 ? [...c.up, ...c.down] : down ? c.up : c.down;
        return near.length ? near.reduce((sum, n) => sum + n.offset, 0) / near.length : c.offset;
      });
    }
  }
}

// spread gives a layer the offsets that are nearest to what is wanted, in its
// order and with the room that is due: neighbours that would be too close move
// together as a block to the mean of what they want.
function spread(layer, want) {
  const blocks = [];
  let due = 0;
  layer.forEach((c, i) => {
    if (i > 0) due += c.bend || layer[i - 1].bend ? (gap + bendGap) / 2 : gap;
    c.due = due;
    let block = { sum: want(c) - due, count: 1 };
    while (blocks.length && blocks[blocks.length - 1].sum / blocks[blocks.length - 1].count >= block.sum / block.count) {
      const last = blocks.pop();
      block = { sum: last.sum + block.sum, count: last.count + block.count };
    }
    blocks.push(block);
  });
  let i = 0;
  for (const b of blocks) {
    for (let k = 0; k < b.count; k++, i++) layer[i].offset = b.sum / b.count + layer[i].due;
  }
}

// extent is how much room places take.
export function extent(places) {
  const e = { rank: [Infinity, -Infinity], offset: [Infinity, -Infinity] };
  for (const p of places.values()) {
    e.rank = [Math.min(e.rank[0], p.rank), Math.max(e.rank[1], p.rank)];
    e.offset = [Math.min(e.offset[0], p.offset), Math.max(e.offset[1], p.offset)];
  }
  return e;
}

// pack puts parts on shelves, the largest first, so that ranks to offsets are
// about as aspect says.
function pack(parts, aspect) {
  const boxes = parts.map((places) => {
    const e = extent(places);
    return { places, ranks: e.rank[1] - e.rank[0] + 1, offsets: e.offset[1] - e.offset[0] + gap, from: e.rank[0] };
  });
  boxes.sort((a, b) => b.ranks * b.offsets - a.ranks * a.offsets || b.ranks - a.ranks);
  const area = boxes.reduce((sum, b) => sum + b.ranks * (b.offsets + apart), 0);
  const long = Math.max(Math.ceil(Math.sqrt(area * aspect)), ...boxes.map((b) => b.ranks));
  const all = new Map();
  let shelf = { at: 0, high: 0, used: 0 };
  for (const b of boxes) {
    if (shelf.used > 0 && shelf.used + b.ranks > long) shelf = { at: shelf.at + shelf.high + apart, high: 0, used: 0 };
    for (const [v, p] of b.places) all.set(v, { rank: p.rank - b.from + shelf.used, offset: p.offset + shelf.at });
    shelf.used += b.ranks;
    shelf.high = Math.max(shelf.high, b.offsets);
  }
  return all;
}

// placeNew leaves what has a place where it is, and puts each new vertex next to
// its neighbours, where there is room.
function placeNew(vertices, edges, places, aspect) {
  const out = lists(vertices, edges, 0, 1);
  const into = lists(vertices, edges, 1, 0);
  const taken = new Map(); // the offsets in each rank
  const take = (v, p) => {
    places.set(v, p);
    if (!taken.has(p.rank)) taken.set(p.rank, []);
    taken.get(p.rank).push(p.offset);
  };
  for (const [v, p] of places) take(v, p);
  const free = (rank, offset) => (taken.get(rank) ?? []).every((o) => Math.abs(o - offset) > gap * 0.95);
  let left = vertices.filter((v) => !places.has(v));
  for (let found = true; found;) {
    found = false;
    for (const v of left) {
      const up = into.get(v).filter((n) => places.has(n)).map((n) => places.get(n));
      const down = out.get(v).filter((n) => places.has(n)).map((n) => places.get(n));
      const near = [...up, ...down];
      if (near.length === 0) continue;
      const rank = up.length ? Math.max(...up.map((p) => p.rank)) + 1 : Math.min(...down.map((p) => p.rank)) - 1;
      const mean = near.reduce((sum, p) => sum + p.offset, 0) / near.length;
      for (let k = 0; ; k++) {
        const offset = mean + (k % 2 ? 1 : -1) * Math.ceil(k / 2) * (gap / 2);
        if (free(rank, offset)) {
          take(v, { rank, offset });
          break;
        }
      }
      found = true;
    }
    left = left.filter((v) => !places.has(v));
  }
  if (left.length) { // parts that nothing connects with what was there
    const here = new Set(left);
    const below = extent(places);
    for (const [v, p] of placeAll(left, edges.filter(([a]) => here.has(a)), aspect)) {
      places.set(v, { rank: p.rank + below.rank[0], offset: p.offset + below.offset[1] + gap + apart });
    }
  }
  return places;
}
