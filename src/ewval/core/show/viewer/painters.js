// Bodies in 3D, as the report and the review draw them: by WebGL, or by a small painter where there is none.
//
// A painter draws `shown`, a list of { id, body: { positions, normals, faces }, colour: [r, g, b] of 0 to 255 }, and
// `lines`, the pairs of corners of { box, planes }; pick() gives the id at a pixel, where ids are numbers.
const SCALE = 2.7;

// From the angles of an eye to a 3 x 3 turning; image rows run downwards, so y is mirrored, and z goes into the screen.
export function turning({ yaw, pitch }) {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return [[cy, 0, sy], [sy * sp, -cp, -cy * sp], [-sy * cp, -sp, cy * cp]];
}

export function normalsOf(positions, faces) {
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

export function webglPainter(canvas) {
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
export function plainPainter(canvas) {
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
