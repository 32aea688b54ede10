// Bodies in 3D, turned by dragging: by WebGL, or by a small painter of its own where there is none.
const AWAY = 2.05, SCALE = 2.7;

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

function normalsOf(positions, faces) {
  const normals = new Float32Array(positions.length);
  for (let face = 0; face < faces.length; face += 3) {
    const a = faces[face] * 3, b = faces[face + 1] * 3, c = faces[face + 2] * 3;
    const ux = positions[b] - positions[a], uy = positions[b + 1] - positions[a + 1], uz = positions[b + 2] - positions[a + 2];
    const vx = positions[c] - positions[a], vy = positions[c + 1] - positions[a + 1], vz = positions[c + 2] - positions[a + 2];
    const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
    for (const corner of [a, b, c]) {
      normals[corner] += x;
      normals[corner + 1] += y;
      normals[corner + 2] += z;
    }
  }
  for (let at = 0; at < normals.length; at += 3) {
    const length = Math.hypot(normals[at], normals[at + 1], normals[at + 2]) || 1;
    for (let k = 0; k < 3; k++) normals[at + k] /= length;
  }
  return normals;
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

  rotation() {
    const [cy, sy, cp, sp] = [Math.cos(this.eye.yaw), Math.sin(this.eye.yaw), Math.cos(this.eye.pitch), Math.sin(this.eye.pitch)];
    return [[cy, 0, sy], [sy * sp, -cp, -cy * sp], [-sy * cp, -sp, cy * cp]];  // y is mirrored: image rows run down
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
      this.painter.draw(this.shown(), this.rotation(), this.eye.distance, this.lines());
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
    return this.painter.pick(x, y, this.shown(), this.rotation(), this.eye.distance);
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

function webglPainter(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
  if (!gl) return null;
  const compile = (kind, source) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    return shader;
  };
  const program = gl.createProgram();
  gl.attachShader(program, compile(gl.VERTEX_SHADER, `#version 300 es
    in vec3 place; in vec3 normal; uniform mat3 turn; uniform float away; uniform vec2 wide; out vec3 facing; out float depth;
    void main() {
      vec3 seen = turn * place; facing = turn * normal; depth = seen.z;
      gl_Position = vec4(seen.xy * ${SCALE.toFixed(1)} * wide, seen.z * 0.5, seen.z + away);
    }`));
  gl.attachShader(program, compile(gl.FRAGMENT_SHADER, `#version 300 es
    precision highp float; in vec3 facing; in float depth; uniform vec3 colour; uniform float lit; out vec4 result;
    void main() {
      vec3 n = normalize(facing + vec3(1e-6));
      float light = 0.32 + 0.66 * abs(dot(n, normalize(vec3(-0.35, 0.5, -0.8))));
      float haze = clamp(1.05 - 0.35 * (depth + 0.6), 0.55, 1.0);
      result = vec4(colour * mix(1.0, light * haze, lit), 1.0);
    }`));
  gl.linkProgram(program);
  gl.useProgram(program);
  const at = Object.fromEntries(["turn", "away", "wide", "colour", "lit"].map((name) => [name, gl.getUniformLocation(program, name)]));
  const [place, normal] = ["place", "normal"].map((name) => gl.getAttribLocation(program, name));
  const buffers = new Map(), lineBuffer = gl.createBuffer();
  const target = { frame: null, layers: [], width: 0, height: 0, pixels: null };
  const upload = (kind, content) => {
    const buffer = gl.createBuffer();
    gl.bindBuffer(kind, buffer);
    gl.bufferData(kind, content, gl.STATIC_DRAW);
    return buffer;
  };
  const held = (id, body) => {
    if (!buffers.has(id)) buffers.set(id, [upload(gl.ARRAY_BUFFER, body.positions), upload(gl.ARRAY_BUFFER, body.normals), upload(gl.ELEMENT_ARRAY_BUFFER, body.faces)]);
    return buffers.get(id);
  };
  const look = (rotation, away) => {
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.uniformMatrix3fv(at.turn, false, [0, 1, 2].flatMap((column) => rotation.map((row) => row[column])));
    gl.uniform1f(at.away, away);
    const narrow = Math.min(canvas.width, canvas.height);
    gl.uniform2f(at.wide, narrow / canvas.width, narrow / canvas.height);
  };
  const fill = (id, body, colour) => {
    const [positions, normals, faces] = held(id, body);
    for (const [slot, buffer] of [[place, positions], [normal, normals]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(slot);
      gl.vertexAttribPointer(slot, 3, gl.FLOAT, false, 0, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, faces);
    gl.uniform3f(at.colour, ...colour.map((part) => part / 255));
    gl.drawElements(gl.TRIANGLES, body.faces.length, gl.UNSIGNED_INT, 0);
  };
  return {
    name: "WebGL",
    forget(ids) {
      for (const id of ids) (buffers.get(id) || []).forEach((buffer) => gl.deleteBuffer(buffer));
      buffers.clear();
    },
    draw(shown, rotation, away, lines) {
      target.pixels = null;
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      gl.clearColor(0.043, 0.051, 0.067, 1);
      look(rotation, away);
      gl.uniform1f(at.lit, 0);
      gl.disableVertexAttribArray(normal);
      for (const [corners, colour] of [[lines.box, [84, 97, 117]], [lines.planes, [200, 205, 214]]]) {
        gl.bindBuffer(gl.ARRAY_BUFFER, lineBuffer);
        gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(corners.flat()), gl.DYNAMIC_DRAW);
        gl.enableVertexAttribArray(place);
        gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
        gl.uniform3f(at.colour, ...colour.map((part) => part / 255));
        gl.drawArrays(gl.LINES, 0, corners.length);
      }
      gl.uniform1f(at.lit, 1);
      for (const { id, body, colour } of shown) fill(id, body, colour);
    },
    // The bodies once more, each in the colour of its number, where nobody sees it: once for each view, read as a whole.
    pick(x, y, shown, rotation, away) {
      if (!target.pixels) this.number(shown, rotation, away);
      const at = ((canvas.height - 1 - y) * canvas.width + x) * 4;
      return target.pixels[at + 2] === 255 ? target.pixels[at] | target.pixels[at + 1] << 8 : 0;
    },
    number(shown, rotation, away) {
      if (target.width !== canvas.width || target.height !== canvas.height) {
        for (const layer of target.layers) gl.deleteRenderbuffer(layer);
        gl.deleteFramebuffer(target.frame);
        Object.assign(target, { frame: gl.createFramebuffer(), width: canvas.width, height: canvas.height, layers: [] });
        gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
        for (const [kind, slot] of [[gl.RGBA8, gl.COLOR_ATTACHMENT0], [gl.DEPTH_COMPONENT24, gl.DEPTH_ATTACHMENT]]) {
          const layer = gl.createRenderbuffer();
          target.layers.push(layer);
          gl.bindRenderbuffer(gl.RENDERBUFFER, layer);
          gl.renderbufferStorage(gl.RENDERBUFFER, kind, canvas.width, canvas.height);
          gl.framebufferRenderbuffer(gl.FRAMEBUFFER, slot, gl.RENDERBUFFER, layer);
        }
      }
      gl.bindFramebuffer(gl.FRAMEBUFFER, target.frame);
      gl.clearColor(0, 0, 0, 0);
      look(rotation, away);
      gl.uniform1f(at.lit, 0);
      for (const { id, body } of shown) fill(id, body, [id & 255, id >> 8, 255]);
      target.pixels = new Uint8Array(canvas.width * canvas.height * 4);
      gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, target.pixels);
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    },
  };
}

// Vertices as small squares with a depth for every pixel: plain, but any browser draws it, and every pixel knows its body.
function plainPainter(canvas) {
  const pen = canvas.getContext("2d");
  let numbers = new Uint16Array(0);
  return {
    name: "canvas",
    forget() {},
    draw(shown, rotation, away, lines) {
      const { width, height } = canvas, picture = pen.createImageData(width, height), out = new Uint32Array(picture.data.buffer);
      const depths = new Float32Array(width * height).fill(Infinity), narrow = Math.min(width, height) / 2;
      numbers = new Uint16Array(width * height);
      out.fill(0xff110d0b);
      const onScreen = (x, y, z) => {
        const [sx, sy, sz] = rotation.map((row) => row[0] * x + row[1] * y + row[2] * z), scale = SCALE / (sz + away) * narrow;
        return [width / 2 + sx * scale, height / 2 - sy * scale, sz];
      };
      for (const { id, body: { positions, normals }, colour } of shown) {
        for (let i = 0; i < positions.length; i += 3) {
          const [x, y, z] = onScreen(positions[i], positions[i + 1], positions[i + 2]);
          const n = rotation.map((row) => row[0] * normals[i] + row[1] * normals[i + 1] + row[2] * normals[i + 2]);
          const light = 0.32 + 0.66 * Math.abs(-0.35 * n[0] + 0.5 * n[1] - 0.8 * n[2]);
          const ink = 0xff000000 | colour[2] * light << 16 | colour[1] * light << 8 | colour[0] * light;
          const reach = Math.ceil(narrow / 64);
          for (let v = Math.max(0, Math.round(y) - reach); v <= Math.min(height - 1, Math.round(y) + reach); v++) {
            for (let u = Math.max(0, Math.round(x) - reach); u <= Math.min(width - 1, Math.round(x) + reach); u++) {
              const at = v * width + u;
              if (z < depths[at]) [depths[at], numbers[at], out[at]] = [z, id + 1, ink];
            }
          }
        }
      }
      pen.putImageData(picture, 0, 0);
      for (const [corners, ink] of [[lines.box, "#546175"], [lines.planes, "#c8cdd6"]]) {
        pen.strokeStyle = ink;
        pen.beginPath();
        for (let at = 0; at < corners.length; at += 2) {
          pen.moveTo(...onScreen(...corners[at]).slice(0, 2));
          pen.lineTo(...onScreen(...corners[at + 1]).slice(0, 2));
        }
        pen.stroke();
      }
    },
    pick(x, y) {
      const found = numbers[y * canvas.width + x] || 0;
      return found ? found - 1 : 0;
    },
  };
}
