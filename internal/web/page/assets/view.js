// What part of the graph is seen: dragged with a pointer, zoomed with the wheel,
// with two fingers, or by keys.

const least = 0.04;
const most = 2.5;
const margin = 28;

export class View {
  x = 0;
  y = 0;
  k = 1;
  fitted = false; // it shows all, and nobody has moved it since
  dragged = false; // by the pointer that is about to click
  #root;
  #moved;
  #pointers = new Map();

  // moved(view) is called whenever another part is seen.
  constructor(root, moved) {
    this.#root = root;
    this.#moved = moved;
    root.addEventListener('wheel', (event) => {
      event.preventDefault();
      const box = root.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    root.addEventListener('pointerdown', (event) => {
      this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
      if (this.#pointers.size === 1) this.dragged = false;
    });
    root.addEventListener('pointermove', (event) => this.#drag(event));
    for (const name of ['pointerup', 'pointercancel']) {
      root.addEventListener(name, (event) => this.#pointers.delete(event.pointerId));
    }
  }

  #drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    if (!this.dragged && Math.hypot(dx, dy) < 5) return;
    if (!this.dragged) this.#root.setPointerCapture(event.pointerId);
    this.dragged = true;
    const spread = () => {
      const [a, b] = [...this.#pointers.values()];
      return Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
    };
    const old = this.#pointers.size === 2 ? spread() : 0;
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (old) {
      const box = this.#root.getBoundingClientRect();
      const [a, b] = [...this.#pointers.values()];
      this.zoom(spread() / old, (a[0] + b[0]) / 2 - box.left, (a[1] + b[1]) / 2 - box.top);
    } else {
      this.move(dx, dy);
    }
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#moved(this);
  }

  // zoom keeps the point of the screen where it is, the middle if none is given.
  zoom(by, px = this.size().width / 2, py = this.size().height / 2) {
    if (!this.#root.clientWidth) return;
    const k = Math.min(most, Math.max(least, this.k * by));
    this.x = px - ((px - this.x) * k) / this.k;
    this.y = py - ((py - this.y) * k) / this.k;
    this.k = k;
    this.fitted = false;
    this.#moved(this);
  }

  // fit shows all of a box.
  fit(box) {
    this.fitted = true; // if it is not shown, it is fitted when it is
    if (!this.#root.clientWidth) return;
    const size = this.size();
    const k = Math.min((size.width - 2 * margin) / (box.right - box.left), (size.height - 2 * margin) / (box.bottom - box.top), 1.25);
    this.k = Math.min(most, Math.max(least, k));
    this.x = (size.width - (box.left + box.right) * this.k) / 2;
    this.y = (size.height - (box.top + box.bottom) * this.k) / 2;
    this.#moved(this);
  }

  // reveal moves as little as is needed to see a box. What is not shown at all, as
  // behind the table, stays as it is.
  reveal(box) {
    if (!this.#root.clientWidth) return;
    const size = this.size();
    const along = (at, low, high, room) => {
      if (high * this.k + at > room - margin) at = room - margin - high * this.k;
      if (low * this.k + at < margin) at = margin - low * this.k;
      return at;
    };
    const [x, y] = [along(this.x, box.left, box.right, size.width), along(this.y, box.top, box.bottom, size.height)];
    if (x !== this.x || y !== this.y) this.move(x - this.x, y - this.y);
  }

  size() {
    return { width: Math.max(1, this.#root.clientWidth), height: Math.max(1, this.#root.clientHeight) };
  }
}
