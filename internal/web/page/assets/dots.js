// Moves dots along the edges where packets flow, and only then: without a flow, in
// a tab that is not seen, or for who wants no motion, nothing is drawn at all.

const mostDots = 600; // of all edges
const mostOnEdge = 6;
const sparse = 14; // pixels between two at least
const speed = 90; // units of the graph a second

export class Dots {
  #canvas;
  #graph;
  #frames;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');
  #running = false;
  #paths = [];
  #phase = new Map(); // how far the first dot of an edge is to the place of the next
  #last = 0;

  constructor(canvas, graph, frames) {
    this.#canvas = canvas;
    this.#graph = graph;
    this.#frames = frames;
    this.#calm.addEventListener('change', () => this.update());
  }

  // update looks where something flows now.
  update() {
    this.#paths = this.#calm.matches ? [] : [...this.#graph.paths()].map(measure);
    const here = new Set(this.#paths.map((p) => p.id));
    for (const id of this.#phase.keys()) if (!here.has(id)) this.#phase.delete(id);
    if (this.#paths.length && !this.#running) {
      this.#running = true;
      this.#last = 0;
      requestAnimationFrame((now) => this.#frame(now));
    }
  }

  #frame(now) {
    const context = this.#canvas.getContext('2d');
    const ratio = Math.min(2, devicePixelRatio || 1);
    const { width, height } = this.#graph.view.size();
    if (this.#canvas.width !== Math.round(width * ratio) || this.#canvas.height !== Math.round(height * ratio)) {
      this.#canvas.width = Math.round(width * ratio);
      this.#canvas.height = Math.round(height * ratio);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (this.#paths.length === 0) {
      this.#running = false;
      this.#frames.pause();
      return;
    }
    const passed = this.#last ? Math.min(0.1, (now - this.#last) / 1000) : 0;
    this.#last = now;
    this.#frames.note(now);
    const view = this.#graph.view;
    const style = getComputedStyle(this.#canvas);
    const color = style.color;
    const failed = style.borderTopColor;
    context.setTransform(view.k * ratio, 0, 0, view.k * ratio, view.x * ratio, view.y * ratio);
    const radius = Math.min(3, Math.max(1.5, 3 * view.k)) / Math.min(1, view.k);
    const seen = { left: -view.x / view.k, top: -view.y / view.k, right: (width - view.x) / view.k, bottom: (height - view.y) / view.k };
    let left = mostDots;
    for (const p of this.#paths) {
      const dots = Math.max(1, Math.min(p.dots, Math.floor((p.length * view.k) / sparse)));
      const phase = ((this.#phase.get(p.id) ?? Math.random()) + passed * speed * (dots / Math.max(60, p.length))) % 1;
      this.#phase.set(p.id, phase);
      context.fillStyle = p.failed ? failed : color;
      for (let i = 0; i < dots && left > 0; i++) {
        const [x, y] = at(p, ((i + phase) / dots) * p.length);
        if (x < seen.left || x > seen.right || y < seen.top || y > seen.bottom) continue;
        context.beginPath();
        context.arc(x, y, radius, 0, 7);
        context.fill();
        left--;
      }
    }
    requestAnimationFrame((next) => this.#frame(next));
  }
}

// at is the point that far along a path.
function at(p, way) {
  let low = 0;
  let high = p.ends.length - 1;
  while (high - low > 1) {
    const mid = (low + high) >> 1;
    if (p.ends[mid] <= way) low = mid;
    else high = mid;
  }
  const t = (way - p.ends[low]) / Math.max(1e-6, p.ends[high] - p.ends[low]);
  const [a, b] = [p.points[low], p.points[high]];
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t];
}

// measure is how long a path is, and how many dots it takes.
function measure(p) {
  let length = 0;
  const ends = [0];
  for (let i = 1; i < p.points.length; i++) {
    length += Math.hypot(p.points[i][0] - p.points[i - 1][0], p.points[i][1] - p.points[i - 1][1]);
    ends.push(length);
  }
  // More packets are more dots, but not by as much: ten times is two more.
  const dots = Math.max(1, Math.min(mostOnEdge, Math.round(1 + 1.6 * Math.log10(Math.max(1, p.speed)))));
  return { ...p, ends, length, dots };
}
