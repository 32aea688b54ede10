// Three orthogonal slices of one volume: scrolled, zoomed and moved together, with colours over the image.
const PLANES = {
  xy: { across: 2, down: 1, along: 0 },
  xz: { across: 2, down: 0, along: 1 },
  yz: { across: 0, down: 1, along: 2 },
};
const DRAG = 4;  // pixels that a pointer may move in a click

export class Slices {
  // canvases: by plane. voxel: nanometres along z, y, x. on: {pick(id), look(), under(id)}.
  constructor(canvases, voxel, on) {
    Object.assign(this, { canvases, voxel, on, volume: null, at: [128, 128, 128], zoom: 1, active: "xy", milliseconds: 0 });
    this.tuning = { contrast: 1, brightness: 0 };
    this.colours = new Uint32Array(65536);  // by segment: alpha, blue, green, red; 0 is no colour
    this.lines = new Uint8Array(65536);  // by segment: 1 where only its outline is drawn
    this.shift = { xy: [0, 0], xz: [0, 0], yz: [0, 0] };
    this.hidden = false;
    this.buffers = {};
    for (const name of Object.keys(PLANES)) this.listen(name);
    new ResizeObserver(() => this.draw()).observe(canvases.xy.parentElement);
  }

  load(volume) {
    this.volume = volume;
    for (const name of Object.keys(PLANES)) {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = volume.edge;
      const pen = canvas.getContext("2d");
      this.buffers[name] = { canvas, pen, picture: pen.createImageData(volume.edge, volume.edge), ids: new Uint16Array(volume.edge ** 2) };
    }
    this.reset();
  }

  reset() {
    this.zoom = 1;
    for (const name of Object.keys(PLANES)) this.shift[name] = [0, 0];
    this.draw();
  }

  // Positions are voxels of the volume at full resolution, z y x.
  go(place) {
    this.at = place.map((value) => Math.max(0, Math.min(255, Math.round(value))));
    this.on.look();
    this.draw();
  }

  scroll(name, steps) {
    const place = [...this.at];
    place[PLANES[name].along] += steps * (256 / this.volume.edge);
    this.go(place);
  }

  step(name, across, down) {
    const place = [...this.at], plane = PLANES[name], size = 256 / this.volume.edge;
    place[plane.across] += across * size;
    place[plane.down] += down * size;
    this.go(place);
  }

  closer(factor) {
    this.zoom = Math.max(0.5, Math.min(16, this.zoom * factor));
    this.centre();
  }

  centre() {
    for (const [name, plane] of Object.entries(PLANES)) {
      const frame = this.frame(name, [0, 0]);
      const x = (this.at[plane.across] + 0.5) / 256 * frame.width, y = (this.at[plane.down] + 0.5) / 256 * frame.height;
      this.shift[name] = this.zoom <= 1 ? [0, 0] : [frame.width / 2 - x, frame.height / 2 - y];
    }
    this.draw();
  }

  // Where the slice lies on its canvas, in canvas pixels; the voxels' shape is kept.
  frame(name, shift = this.shift[name]) {
    const { canvas, plane } = { canvas: this.canvases[name], plane: PLANES[name] };
    const shape = [this.voxel[plane.across], this.voxel[plane.down]];
    const unit = Math.min(canvas.width / shape[0], canvas.height / shape[1]) * this.zoom;
    const [width, height] = [shape[0] * unit, shape[1] * unit];
    return { left: (canvas.width - width) / 2 + shift[0], top: (canvas.height - height) / 2 + shift[1], width, height };
  }

  segmentAt(place) {
    const { edge, labels } = this.volume, [z, y, x] = place.map((value) => Math.floor(value * edge / 256));
    return labels[(z * edge + y) * edge + x];
  }

  placeOf(name, event) {
    const canvas = this.canvases[name], box = canvas.getBoundingClientRect(), frame = this.frame(name), plane = PLANES[name];
    const x = (event.clientX - box.left) / box.width * canvas.width, y = (event.clientY - box.top) / box.height * canvas.height;
    const place = [...this.at];
    place[plane.across] = Math.floor((x - frame.left) / frame.width * 256);
    place[plane.down] = Math.floor((y - frame.top) / frame.height * 256);
    return place.some((value) => value < 0 || value > 255) ? null : place;
  }

  listen(name) {
    const canvas = this.canvases[name], pointers = new Map();
    let start = null, spread = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      this.active = name;
      start = pointers.size === 1 ? { x: event.clientX, y: event.clientY, shift: [...this.shift[name]], moved: false } : null;
      spread = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.volume) return;
      const place = this.placeOf(name, event);
      this.on.under(place ? this.segmentAt(place) : 0);
      if (!pointers.has(event.pointerId)) return;
      pointers.set(event.pointerId, event);
      if (pointers.size === 2) {
        const [a, b] = [...pointers.values()], now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
        if (spread) this.closer(now / spread);
        spread = now;
      } else if (start) {
        const [x, y] = [event.clientX - start.x, event.clientY - start.y], ratio = canvas.width / canvas.clientWidth;
        start.moved ||= Math.hypot(x, y) > DRAG;
        if (start.moved) this.shift[name] = [start.shift[0] + x * ratio, start.shift[1] + y * ratio];
        this.draw();
      }
    });
    const release = (event) => {
      pointers.delete(event.pointerId);
      if (event.type === "pointerup" && start && !start.moved && this.volume) {
        const place = this.placeOf(name, event);
        if (place) {
          this.go(place);
          if (event.button === 0 && !event.shiftKey) this.on.pick(this.segmentAt(place));
        }
      }
      start = null;
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("focus", () => { this.active = name; this.draw(); });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey) this.closer(Math.exp(-event.deltaY * 0.003));
      else this.scroll(name, Math.sign(event.deltaY));
    }, { passive: false });
  }

  draw() {
    if (!this.volume) return;
    const began = performance.now(), grey = this.greys();
    for (const name of Object.keys(PLANES)) {
      this.paint(name, grey);
      this.show(name);
    }
    this.milliseconds = performance.now() - began;
  }

  greys() {
    const { contrast, brightness } = this.tuning, table = new Uint8Array(256);
    for (let value = 0; value < 256; value++) table[value] = Math.max(0, Math.min(255, (value - 128) * contrast + 128 + brightness));
    return table;
  }

  paint(name, grey) {
    const { edge, image, labels } = this.volume, plane = PLANES[name], { picture, pen, ids } = this.buffers[name];
    const strides = [edge * edge, edge, 1], [across, down] = [strides[plane.across], strides[plane.down]];
    const base = Math.floor(this.at[plane.along] * edge / 256) * strides[plane.along], out = new Uint32Array(picture.data.buffer);
    for (let row = 0, to = 0; row < edge; row++) {
      for (let column = 0, from = base + row * down; column < edge; column++, to++, from += across) {
        const id = ids[to] = labels[from], value = grey[image[from]], colour = this.hidden ? 0 : this.colours[id];
        if (!colour) {
          out[to] = 0xff000000 | value << 16 | value << 8 | value;
          continue;
        }
        const isEdge = (column > 0 && ids[to - 1] !== id) || (row > 0 && ids[to - edge] !== id);
        const weight = isEdge ? 230 : this.lines[id] ? 0 : colour >>> 24, rest = (255 - weight) * value;
        const red = (colour & 255) * weight + rest, green = (colour >> 8 & 255) * weight + rest, blue = (colour >> 16 & 255) * weight + rest;
        out[to] = 0xff000000 | (blue >> 8) << 16 | (green >> 8) << 8 | red >> 8;
      }
    }
    pen.putImageData(picture, 0, 0);
  }

  show(name) {
    const canvas = this.canvases[name], scale = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [Math.max(1, width), Math.max(1, height)];
    const pen = canvas.getContext("2d"), frame = this.frame(name), plane = PLANES[name];
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.buffers[name].canvas, frame.left, frame.top, frame.width, frame.height);
    const x = frame.left + (this.at[plane.across] + 0.5) / 256 * frame.width, y = frame.top + (this.at[plane.down] + 0.5) / 256 * frame.height;
    pen.strokeStyle = "rgba(255, 255, 255, 0.55)";
    pen.lineWidth = scale;
    pen.beginPath();
    for (const [a, b, c, d] of [[0, y, x - 7, y], [x + 7, y, canvas.width, y], [x, 0, x, y - 7], [x, y + 7, x, canvas.height]]) {
      pen.moveTo(a, b);
      pen.lineTo(c, d);
    }
    pen.stroke();
    canvas.classList.toggle("active", name === this.active);
  }
}
