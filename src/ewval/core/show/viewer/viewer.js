// Draws one report: slices with overlays, and the bodies of the segments in 3D. Loads nothing from anywhere.
(() => {
  const element = (id) => document.getElementById(id);
  const report = JSON.parse(element("data").textContent);
  const COLOURS = report.colours;
  const BODIES = ["seed", "add", "maybe", "doubted"];
  const BITS = { seed: 1, add: 2, maybe: 4, doubted: 8, consensus: 16 };
  const LAYERS = { seed: true, add: true, maybe: true, doubted: true, consensus: true, probability: false, uncertainty: false };
  // Hundreds of unsure segments would hide all others: they begin switched off.
  const few = report.tasks.every((task) => task.document.maybe.length <= 100);
  const shown = { layers: { ...LAYERS, maybe: few }, bodies: { seed: true, add: true, maybe: few, doubted: true, box: true } };
  const volumes = new Map();
  let current = null;

  async function unpack(text, Kind) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Kind(await new Response(stream).arrayBuffer());
  }

  async function loadVolume(id) {
    if (!volumes.has(id)) {
      const packed = report.volumes[id];
      const jpeg = Uint8Array.from(atob(packed.image), (letter) => letter.charCodeAt(0));
      const image = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      volumes.set(id, { ...packed, image, labels: await unpack(packed.labels, Uint16Array) });
    }
    return volumes.get(id);
  }

  // ---- one task -------------------------------------------------------------------------------------------------
  async function choose(index) {
    const packed = report.tasks[index];
    const volume = await loadVolume(packed.document.volume);
    const bodies = {};
    for (const name of BODIES) {
      const mesh = packed.meshes[name];
      if (mesh) bodies[name] = withNormals(await unpack(mesh.vertices, Uint16Array), await unpack(mesh.faces, Uint32Array));
    }
    current = { ...packed, volume, bodies, probability: await unpack(packed.probability, Uint8Array), kinds: kindsOf(packed.document), marked: 0 };
    element("z").max = volume.depth - 1;
    element("z").value = Math.min(packed.start, volume.depth - 1);
    describe();
    listSegments();
    drawSlice();
    solid.load(bodies);
    document.querySelectorAll("#tasks tbody tr").forEach((row) => row.classList.toggle("chosen", Number(row.dataset.index) === index));
    document.body.dataset.ready = String(packed.document.task);
  }

  function kindsOf(answer) {
    const kinds = new Uint8Array(65536);
    const lists = { seed: answer.seed, add: answer.add, maybe: answer.maybe, doubted: answer.remove, consensus: answer.consensus || [] };
    for (const [name, ids] of Object.entries(lists)) for (const id of ids) kinds[id] |= BITS[name];
    return kinds;
  }

  function describe() {
    const answer = current.document;
    element("heading").textContent = report.list.length > 1 ? `Task ${answer.task}` : "";
    const named = (ids) => ids.slice(0, 24).join(", ") + (ids.length > 24 ? ` and ${ids.length - 24} more` : "");
    const add = answer.add.length ? `Add ${named(answer.add)}` : "Nothing to add";
    const look = answer.maybe.length ? `; look at ${named(answer.maybe)}` : "";
    const doubt = answer.remove.length ? `; doubted: ${named(answer.remove)}` : "";
    element("sentence").textContent = `${add}${look}${doubt}.`;
    const players = answer.agreement === null ? "no players' consensus" : `agreement with the players ${answer.agreement.toFixed(2)}`;
    const sizes = answer.resolution === "packed" ? "; scored at 64^3, sizes are estimates" : "";
    const known = answer.familiarity == null ? "" : `; familiarity of the volume ${answer.familiarity.toFixed(2)}`;
    element("notes").textContent = `Volume ${answer.volume}, cell ${answer.cell ?? "unknown"}; ${players}; review priority ${answer.review_priority.toFixed(2)}${known}${sizes}.`;
  }

  // ---- slices ---------------------------------------------------------------------------------------------------
  const slice = element("slice");
  const overlay = document.createElement("canvas");

  function drawSlice() {
    const { volume } = current;
    const z = Number(element("z").value);
    element("z-value").textContent = String(z * volume.stride);
    const pen = slice.getContext("2d");
    const column = z % volume.columns, row = Math.floor(z / volume.columns);
    pen.imageSmoothingEnabled = true;
    const side = volume.image_edge;
    pen.drawImage(volume.image, column * side, row * side, side, side, 0, 0, slice.width, slice.height);
    drawHeat(pen, z);
    overlay.width = overlay.height = volume.edge;
    overlay.getContext("2d").putImageData(paint(z), 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(overlay, 0, 0, slice.width, slice.height);
  }

  function paint(z) {
    const { edge, labels } = current.volume;
    const picture = new ImageData(edge, edge);
    const start = z * edge * edge;
    const kindAt = (at) => current.kinds[labels[start + at]];
    for (let y = 0; y < edge; y++) {
      for (let x = 0; x < edge; x++) {
        const at = y * edge + x;
        const kind = kindAt(at);
        if (!kind) continue;
        const edgeOf = (bit) => (x > 0 && !(kindAt(at - 1) & bit)) || (x < edge - 1 && !(kindAt(at + 1) & bit)) ||
          (y > 0 && !(kindAt(at - edge) & bit)) || (y < edge - 1 && !(kindAt(at + edge) & bit));
        const marked = current.marked && labels[start + at] === current.marked;
        for (const name of BODIES) {
          if (kind & BITS[name] && shown.layers[name]) put(picture, at, COLOURS[name], marked ? 0.75 : edgeOf(BITS[name]) ? 0.8 : 0.36);
        }
        if (marked && !(kind & 15)) put(picture, at, [255, 255, 255], 0.6);
        if (kind & BITS.consensus && shown.layers.consensus && edgeOf(BITS.consensus)) put(picture, at, COLOURS.consensus, 0.95);
      }
    }
    return picture;
  }

  function put(picture, at, colour, alpha) {
    const under = picture.data[at * 4 + 3] / 255;
    const total = alpha + under * (1 - alpha);
    for (let part = 0; part < 3; part++) {
      const below = picture.data[at * 4 + part];
      picture.data[at * 4 + part] = (colour[part] * alpha + below * under * (1 - alpha)) / total;
    }
    picture.data[at * 4 + 3] = total * 255;
  }

  function drawHeat(pen, z) {
    if (!shown.layers.probability && !shown.layers.uncertainty) return;
    const edge = 64, layer = Math.min(edge - 1, Math.floor(z * edge / current.volume.depth));
    const heat = new ImageData(edge, edge);
    for (let at = 0; at < edge * edge; at++) {
      const chance = current.probability[layer * edge * edge + at] / 255;
      const value = shown.layers.uncertainty ? 1 - Math.abs(2 * chance - 1) : chance;
      const colour = shown.layers.uncertainty ? [255, 90 + 150 * value, 40 + 160 * value ** 3] : [60 + 180 * value, 220 * value, 255 - 120 * value];
      heat.data.set([...colour, 200 * Math.sqrt(value)], at * 4);
    }
    overlay.width = overlay.height = edge;
    overlay.getContext("2d").putImageData(heat, 0, 0);
    pen.drawImage(overlay, 0, 0, slice.width, slice.height);
  }

  slice.addEventListener("pointermove", (event) => {
    if (!current) return;
    const { edge, labels } = current.volume;
    const box = slice.getBoundingClientRect();
    const x = Math.min(edge - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * edge)));
    const y = Math.min(edge - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * edge)));
    const id = labels[Number(element("z").value) * edge * edge + y * edge + x];
    const score = current.document.segments.find((segment) => segment.id === id);
    const chance = score ? `, probability ${score.probability.toFixed(3)}, ${score.verdict}` : "";
    element("under").textContent = id ? `segment ${id}${current.document.seed.includes(id) ? ", seed" : chance}` : " ";
  });
  slice.addEventListener("wheel", (event) => {
    event.preventDefault();
    element("z").value = Number(element("z").value) + Math.sign(event.deltaY);
    refresh();
  }, { passive: false });
  element("z").addEventListener("input", () => refresh());

  function refresh() {
    if (!current) return;
    drawSlice();
    solid.draw();
  }

  // ---- the table of segments ------------------------------------------------------------------------------------
  function cell(row, text, className) {
    const box = row.insertCell();
    box.textContent = text;
    if (className) box.className = className;
    return box;
  }

  function listSegments() {
    const answer = current.document;
    const body = element("segments").tBodies[0];
    body.replaceChildren();
    const reasons = new Map(answer.doubts.map((doubt) => [doubt.id, doubt.reason]));
    const rows = answer.segments.filter((segment, place) => segment.verdict !== "reject" || reasons.has(segment.id) || place < 40);
    for (const segment of rows) {
      const row = body.insertRow();
      row.className = "open";
      cell(row, segment.id);
      const doubted = answer.remove.includes(segment.id);
      const tag = document.createElement("span");
      tag.className = `tag ${doubted ? "doubted" : segment.verdict}`;
      tag.textContent = doubted ? "doubted" : segment.verdict;
      cell(row, "").append(tag);
      const bar = document.createElement("span");
      bar.className = "bar";
      bar.append(document.createElement("b"));
      bar.firstChild.style.width = `${100 * segment.probability}%`;
      cell(row, "").append(bar, segment.probability.toFixed(3));
      cell(row, segment.uncertainty.toFixed(3));
      cell(row, segment.voxels.toLocaleString("en"));
      cell(row, answer.consensus === null ? "-" : answer.consensus.includes(segment.id) ? "yes" : "no");
      cell(row, reasons.get(segment.id) || (answer.missing.includes(segment.id) ? "the players lack it" : ""));
      row.addEventListener("click", () => mark(segment.id));
    }
    const left = answer.segments.length - rows.length;
    element("rest").textContent = left ? `${left} more rejected segments are left out here.` : "";
  }

  function mark(id) {
    const { edge, depth, labels } = current.volume;
    current.marked = id;
    let best = -1, most = 0;
    for (let z = 0; z < depth; z++) {
      let count = 0;
      for (let at = z * edge * edge; at < (z + 1) * edge * edge; at++) count += labels[at] === id;
      if (count > most) [best, most] = [z, count];
    }
    if (best >= 0) element("z").value = best;
    refresh();
  }

  // ---- bodies ---------------------------------------------------------------------------------------------------
  function withNormals(steps, faces) {
    const longest = Math.max(...report.size);  // nanometres along x, y, z
    const positions = new Float32Array(steps.length);
    for (let at = 0; at < steps.length; at++) positions[at] = (steps[at] / 65535 - 0.5) * report.size[at % 3] / longest;
    return { positions, normals: normalsOf(positions, faces), faces };
  }

  function frameLines() {
    const half = report.size.map((edge) => edge / Math.max(...report.size) / 2);
    const corners = [];
    for (const x of [-1, 1]) for (const y of [-1, 1]) for (const z of [-1, 1]) corners.push([x * half[0], y * half[1], z * half[2]]);
    const lines = [];
    for (let a = 0; a < 8; a++) for (const bit of [1, 2, 4]) if (!(a & bit)) lines.push(corners[a], corners[a | bit]);
    const depth = ((Number(element("z").value) + 0.5) / current.volume.depth * 2 - 1) * half[2];
    const plane = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => [x * half[0], y * half[1], depth]);
    const planes = plane.flatMap((corner, place) => [corner, plane[(place + 1) % 4]]);
    return { box: lines, planes };
  }

  const canvas = element("solid");
  const eye = { yaw: -0.6, pitch: 0.45, distance: 2.3 };
  const painter = webglPainter(canvas) || plainPainter(canvas);
  document.body.dataset.solid = painter.name;
  let bodies = {};
  const solid = {
    load(given) {
      painter.forget(Object.keys(bodies));
      bodies = given;
      this.draw();
    },
    draw() {
      const visible = Object.entries(bodies).filter(([name]) => shown.bodies[name]);
      const coloured = visible.map(([name, body]) => ({ id: name, body, colour: COLOURS[name] }));
      painter.draw(coloured, turning(eye), eye.distance, shown.bodies.box ? frameLines() : { box: [], planes: [] });
    },
  };
  let grip = null;
  canvas.addEventListener("pointerdown", (event) => {
    grip = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!grip || !current) return;
    eye.yaw += (event.clientX - grip[0]) * 0.008;
    eye.pitch = Math.max(-1.5, Math.min(1.5, eye.pitch + (event.clientY - grip[1]) * 0.008));
    grip = [event.clientX, event.clientY];
    solid.draw();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (grip = null));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    eye.distance = Math.max(1.3, Math.min(5, eye.distance * Math.exp(event.deltaY * 0.001)));
    if (current) solid.draw();
  }, { passive: false });
  element("reset").addEventListener("click", () => {
    Object.assign(eye, { yaw: 0, pitch: 0, distance: 2.3 });
    if (current) solid.draw();
  });

  // ---- switches and the list of tasks ---------------------------------------------------------------------------
  function addSwitches(parent, states, redraw) {
    for (const name of Object.keys(states)) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = states[name];
      box.dataset.layer = name;
      box.addEventListener("change", () => {
        states[name] = box.checked;
        redraw();
      });
      label.append(box);
      if (COLOURS[name]) {
        const patch = document.createElement("i");
        patch.style.background = `rgb(${COLOURS[name].join(",")})`;
        label.append(patch);
      }
      label.append(name);
      parent.append(label);
    }
  }
  addSwitches(element("layers"), shown.layers, () => refresh());
  addSwitches(element("bodies"), shown.bodies, () => refresh());

  function listTasks() {
    if (report.list.length < 2) return;
    element("tasks").hidden = false;
    const places = new Map(report.tasks.map((task, place) => [task.document.task, place]));
    for (const answer of report.list) {
      const row = element("tasks").querySelector("tbody").insertRow();
      for (const text of [answer.task, answer.cell ?? "-", answer.volume, answer.add, answer.maybe, answer.remove]) cell(row, text);
      cell(row, answer.agreement === null ? "-" : answer.agreement.toFixed(2));
      cell(row, answer.review_priority.toFixed(2));
      if (places.has(answer.task)) {
        row.className = "open";
        row.dataset.index = places.get(answer.task);
        row.addEventListener("click", () => choose(places.get(answer.task)));
      }
    }
    const hidden = report.list.length - report.tasks.length;
    element("left-out").textContent = hidden ? `The ${report.tasks.length} tasks with the highest review priority can be opened; click a row.` : "Click a row to open its task.";
  }

  listTasks();
  if (report.tasks.length) choose(0);
})();
