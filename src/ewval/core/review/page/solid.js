// Bodies in 3D, turned by dragging and picked by clicking.
import { normalsOf, plainPainter, turning, webglPainter } from "./painters.js";

const AWAY = 2.05;

export function readMeshes(buffer, size) {
  const words = new DataView(buffer), bodies = new Map(), longest = Math.max(...size);
  for (let at = 0; at < buffer.byteLength;) {
    const [id, points, triangles] = [0, 4, 8].map((offset) => words.getUint32(at + offset, true));
    at += 12;
    const steps = new Uint16Array(buffer, at, points * 3);
    at += Math.ceil(points * 3 / 2) * 4;
    const faces = new Uint32Array(buffer, at, triangles * 3);
    at += triangles * 12;
    const positions = new Float32Array(points * 3);
    for (let i = 0; i < positions.length; i++) positions[i] = (steps[i] / 65535 - 0.5) * size[i % 3] / longest;
    bodies.set(id, { positions, normals: normalsOf(positions, faces), faces });
  }
  return bodies;
}

export class Solid {
  // size: nanometres of the cube along x, y, z. on: {pick(id), under(id)}.
  constructor(canvas, size, on) {
    Object.assign(this, { canvas, size, on, bodies: new Map(), colourOf: () => null, at: [128, 128, 128] });
    this.eye = { yaw: -0.6, pitch: 0.45, distance: AWAY };
    this.painter = webglPainter(canvas) || plainPainter(canvas);
    this.name = this.painter.name;
    this.wanted = false;
    this.listen();
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
  }

  load(bodies) {
    this.painter.forget([...this.bodies.keys()]);
    this.bodies = bodies;
    this.draw();
  }

  add(bodies) {
    for (const [id, body] of bodies) this.bodies.set(id, body);
    this.draw();
  }

  turn(yaw, pitch) {
    this.eye.yaw += yaw;
    this.eye.pitch = Math.max(-1.5, Math.min(1.5, this.eye.pitch + pitch));
    this.draw();
  }

  shown() {
    return [...this.bodies].flatMap(([id, body]) => {
      const colour = body.faces.length ? this.colourOf(id) : null;
      return colour ? [{ id, body, colour }] : [];
    });
  }

  draw() {
    if (this.wanted) return;
    this.wanted = true;
    requestAnimationFrame(() => {
      this.wanted = false;
      const scale = Math.min(2, window.devicePixelRatio || 1), { canvas } = this;
      const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale].map((edge) => Math.max(1, Math.round(edge)));
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      this.painter.draw(this.shown(), turning(this.eye), this.eye.distance, this.lines());
    });
  }

  // The cube's edges and the planes of the cross-hair, as pairs of corners.
  lines() {
    const half = this.size.map((edge) => edge / Math.max(...this.size) / 2), box = [], planes = [];
    const corner = (bits) => [0, 1, 2].map((axis) => (bits >> axis & 1 ? half[axis] : -half[axis]));
    for (let a = 0; a < 8; a++) for (const bit of [1, 2, 4]) if (!(a & bit)) box.push(corner(a), corner(a | bit));
    const place = [2, 1, 0].map((axis, k) => (this.at[axis] / 255 * 2 - 1) * half[k]);
    for (let axis = 0; axis < 3; axis++) {
      const [low, high] = [[...place], [...place]];
      [low[axis], high[axis]] = [-half[axis], half[axis]];
      planes.push(low, high);
    }
    return { box, planes };
  }

  pickAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) / box.width * this.canvas.width);
    const y = Math.floor((event.clientY - box.top) / box.height * this.canvas.height);
    return this.painter.pick(x, y, this.shown(), turning(this.eye), this.eye.distance);
  }

  listen() {
    const { canvas } = this;
    let grip = null;
    canvas.addEventListener("pointerdown", (event) => {
      grip = { x: event.clientX, y: event.clientY, moved: 0 };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!grip) return this.on.under(this.pickAt(event));
      const [x, y] = [event.clientX - grip.x, event.clientY - grip.y];
      Object.assign(grip, { x: event.clientX, y: event.clientY, moved: grip.moved + Math.hypot(x, y) });
      if (grip.moved > 4) this.turn(x * 0.008, y * 0.008);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (grip && grip.moved <= 4) {
        const id = this.pickAt(event);
        if (id) this.on.pick(id);
      }
      grip = null;
    });
    canvas.addEventListener("pointercancel", () => { grip = null; });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.eye.distance = Math.max(1.1, Math.min(5, this.eye.distance * Math.exp(event.deltaY * 0.001)));
      this.draw();
    }, { passive: false });
  }
}
