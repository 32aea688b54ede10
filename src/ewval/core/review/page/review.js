// One task at a time: what the person does goes to the server at once, and what is shown is what the server answered.
import { Slices } from "./slices.js";
import { Solid, readMeshes } from "./solid.js";

const element = (id) => document.getElementById(id);
const IDLE_S = 30;  // longer pauses are not time spent on a task
const VOLUMES = 2;  // the one that is looked at and the next
const PASSED = 100;
const RAMP = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];  // cividis
const volumes = new Map();
const trail = [];  // tasks in the order in which they were opened
let info, slices, solid, upcoming = null, sending = Promise.resolve();
let doc = null, bodies = null, byId = new Map(), here = 0, seen = 0, looked = { at: performance.now(), seconds: 0 };
const mode = { probability: false };

async function ask(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  const reply = await fetch(`api/${path}`, options);
  if (!reply.ok && reply.status !== 409) {
    const told = reply.headers.get("Content-Type")?.includes("json") ? (await reply.json()).problem : reply.statusText;
    throw Object.assign(new Error(told), { status: reply.status });
  }
  return reply;
}

function say(text, isTrouble = false) {
  element("status").textContent = text;
  element("status").classList.toggle("trouble", isTrouble);
}

// ---- time spent ---------------------------------------------------------------------------------------------------
function spend() {
  const now = performance.now(), passed = (now - looked.at) / 1000;
  if (!document.hidden) looked.seconds += Math.min(passed, IDLE_S);
  looked.at = now;
}
for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "visibilitychange"]) document.addEventListener(kind, spend, { passive: true });

// ---- loading ------------------------------------------------------------------------------------------------------
function loadVolume(id, edge) {
  if (!volumes.has(id)) {
    while (volumes.size >= VOLUMES) volumes.delete([...volumes.keys()].find((other) => other !== doc?.volume) ?? volumes.keys().next().value);
    volumes.set(id, ask(`volume/${id}`).then((reply) => reply.arrayBuffer()).then((buffer) => ({
      edge, image: new Uint8Array(buffer, 0, edge ** 3), labels: new Uint16Array(buffer, edge ** 3, edge ** 3),
    })));
    volumes.get(id).catch(() => volumes.delete(id));
  }
  return volumes.get(id);
}

async function loadMeshes(task, ids) {
  const found = new Map();
  for (let start = 0; start < ids.length; start += 400) {
    const reply = await ask(`task/${task}/meshes?ids=${ids.slice(start, start + 400).join(",")}`);
    for (const [id, body] of readMeshes(await reply.arrayBuffer(), info.size)) found.set(id, body);
  }
  return found;
}

async function load(task) {
  const document_ = await (await ask(`task/${task}`)).json();
  const [volume, meshes] = await Promise.all([
    loadVolume(document_.volume, document_.edge),
    loadMeshes(task, [0, ...document_.segments.map((segment) => segment.id)]),
  ]);
  return { document: document_, volume, meshes };
}

async function prefetch() {
  const passed = [...new Set([...trail.slice(-PASSED), doc.task])];
  const { task } = await (await ask(`next?without=${passed.join(",")}`)).json();
  if (task === null) return null;
  return { task, ...await load(task) };
}

async function goTo(task, ready = null) {
  say("loading");
  try {
    const { document: document_, volume, meshes } = ready ?? await load(task);
    if (trail.at(-1) !== task) trail.push(task);
    seen = trail.length - 1;
    open(document_, volume, meshes);
  } catch (error) {
    say(error.message, true);
    return;
  }
  upcoming = prefetch().catch(() => null);
}

async function forward() {
  if (seen < trail.length - 1) return goBack(1);
  const ready = await upcoming;
  if (ready) return goTo(ready.task, ready);
  const { task } = await (await ask(`next?without=${doc ? [...trail.slice(-PASSED)].join(",") : ""}`)).json();
  if (task !== null) return goTo(task);
  const { task: passed } = await (await ask("next")).json();  // what was passed over comes again at the end
  return passed === null || passed === doc?.task ? finish() : goTo(passed);
}

async function goBack(step = -1) {
  const place = seen + step;
  if (place < 0 || place >= trail.length) return say("there is no task before this one");
  say("loading");
  const { document: document_, volume, meshes } = await load(trail[place]);
  seen = place;
  open(document_, volume, meshes);
}

async function finish() {
  const { left, failed } = await (await ask("queue")).json();
  if (left) return say(`${left} tasks were passed over and are still open`);
  element("desk").hidden = true;
  element("done").hidden = false;
  element("failed").replaceChildren(...failed.map(({ task, problem }) => Object.assign(document.createElement("li"), { textContent: `task ${task}: ${problem}` })));
  document.body.dataset.ready = "done";
  say("");
}

function open(document_, volume, meshes) {
  element("desk").hidden = false;
  element("done").hidden = true;
  bodies = meshes;
  doc = null;
  slices.load(volume);
  take(document_);
  solid.load(bodies);
  slices.go(doc.start);
  here = doc.questions[0] ?? 0;
  listQuestions();
  paint();
  looked = { at: performance.now(), seconds: 0 };
  say(doc.state === "open" ? "" : `this task is ${doc.state}; a change opens it again`);
  document.body.dataset.ready = String(doc.task);
}

// What the server says of a task replaces all that was known of it.
function take(document_) {
  doc = document_;
  byId = new Map(doc.segments.map((segment) => [segment.id, segment]));
  doc.sets = Object.fromEntries(["seed", "answer", "yes", "no", "consensus"].map((name) => [name, new Set(doc[name] ?? [])]));
  element("heading").textContent = `task ${doc.task}`;
  const worth = doc.priority === null ? "" : `, priority ${doc.priority.toFixed(2)}`;
  const packed = doc.edge === 256 ? "" : ", packed volume";
  element("about").textContent = `cell ${doc.cell ?? "unknown"}, volume ${doc.volume}${worth}${packed}; ${doc.left} left; ${doc.model}; ${info.who}`;
  Object.assign(document.body.dataset, { state: doc.state, strokes: String(doc.strokes), answer: doc.answer.join(",") });
}

// ---- what the person does -----------------------------------------------------------------------------------------
function stroke(kind, segment = null) {
  sending = sending.then(() => send(kind, segment)).catch((error) => say(error.message, true));
  return sending;
}

async function send(kind, segment) {
  spend();
  let reply;
  try {
    reply = await ask(`task/${doc.task}`, { kind, segment, seconds: looked.seconds, after: doc.strokes });
  } catch (error) {
    say(error.status ? error.message : "not kept: the server does not answer; start `ewval review` again, all before this is kept", true);
    return false;
  }
  const isStale = reply.status === 409;
  if (!isStale) looked.seconds = 0;
  if (!isStale && ["accept", "skip"].includes(kind)) return true;
  const before = doc.questions.indexOf(here);
  take(await reply.json());
  if (!doc.questions.includes(here)) here = doc.questions[Math.min(Math.max(before, 0), doc.questions.length - 1)] ?? 0;
  listQuestions();
  paint();
  await addMeshes(doc.segments.map((each) => each.id));
  if (isStale) say("this task was changed in another window; shown is how it stands now", true);
  else say(kind === "undo" ? "undone" : "");
  return !isStale;
}

async function addMeshes(ids) {
  const missing = ids.filter((id) => !solid.bodies.has(id));
  if (missing.length) solid.add(await loadMeshes(doc.task, missing));
}

function toggle(id) {
  if (!id || !doc) return;
  if (doc.sets.seed.has(id)) return say(`segment ${id} is given`);
  here = id;
  stroke(doc.sets.answer.has(id) ? "no" : "yes", id);
}

// From the keyboard: on to the next question, which is shown at once.
async function settle(kind) {
  if (!here || !doc || doc.sets.seed.has(here)) return;
  await stroke(kind, here);
  if (here) look(here);
}

async function end(kind) {
  if (!doc) return;
  const task = doc.task;
  const isKept = await (sending = sending.then(() => send(kind, null)));
  if (isKept && doc.task === task) await forward();
}

function jump(step) {
  const at = doc.questions.indexOf(here), next = doc.questions[Math.max(0, Math.min(doc.questions.length - 1, at + step))];
  if (next) look(next);
}

function look(id) {
  here = id;
  const segment = byId.get(id);
  if (segment) slices.go(segment.place);
  listQuestions();
  paint();
}

// ---- colours ------------------------------------------------------------------------------------------------------
function kindOf(id) {
  const { seed, answer, no, consensus } = doc.sets;
  if (seed.has(id) || id === 0) return "seed";
  if (answer.has(id)) return "added";
  const chance = byId.get(id)?.probability ?? 0;
  if (no.has(id)) return "doubted";
  if (consensus.has(id)) return chance < doc.thresholds[1] ? "doubted" : "players";
  return chance >= doc.thresholds[1] ? "maybe" : null;
}

function ramp(chance) {
  const place = chance * (RAMP.length - 1), low = Math.min(RAMP.length - 2, Math.floor(place));
  return RAMP[low].map((part, k) => Math.round(part + (RAMP[low + 1][k] - part) * (place - low)));
}

function colourOf(id) {
  const kind = kindOf(id), chance = byId.get(id)?.probability;
  if (mode.probability && kind !== "seed" && chance !== undefined && chance !== null) return ramp(chance);
  return kind ? info.colours[kind] : id === here ? [255, 255, 255] : null;
}

function solidColour(id) {
  const kind = kindOf(id), colour = colourOf(id);
  if (id === here) return (colour ?? [255, 255, 255]).map((part) => Math.round(part * 0.45 + 255 * 0.55));
  return kind && !info.off.has(kind) && !doc.sets.no.has(id) ? colour : null;
}

function paint() {
  slices.colours.fill(0);
  slices.lines.fill(0);
  for (const id of [...doc.seed, ...byId.keys()]) {
    const plain = colourOf(id), kind = kindOf(id);
    const colour = plain && id === here ? plain.map((part) => Math.round(part * 0.45 + 255 * 0.55)) : plain;
    if (!colour || (info.off.has(kind) && id !== here)) continue;
    const weight = id === here ? 140 : doc.sets.answer.has(id) ? 95 : 60;
    slices.colours[id] = weight << 24 | colour[2] << 16 | colour[1] << 8 | colour[0];
    slices.lines[id] = kind === "players" || (kind === "doubted" && id !== here) ? 1 : 0;
  }
  slices.draw();
  solid.colourOf = solidColour;
  solid.draw();
}

function describe(id) {
  if (!doc || !id) return "";
  const chance = byId.get(id)?.probability, kind = kindOf(id);
  return `${id}${kind ? ` ${kind}` : ""}${chance === undefined || chance === null ? "" : ` ${chance.toFixed(2)}`}`;
}

function under(id) {
  if (!info) return;
  element("under").textContent = describe(id);
  element("under").dataset.id = String(id || "");
}

// ---- the list -----------------------------------------------------------------------------------------------------
function listQuestions() {
  const settled = [...doc.yes, ...doc.no];
  element("count").textContent = `Open questions: ${doc.questions.length}${doc.more ? ` of ${doc.questions.length + doc.more}` : ""}, most useful first`;
  const rows = [...doc.questions.map((id) => row(id, false)), ...settled.map((id) => row(id, true))];
  element("questions").replaceChildren(...rows);
  element("questions").querySelector(".here")?.scrollIntoView({ block: "nearest" });
}

function row(id, isSettled) {
  const segment = byId.get(id) ?? { probability: null, voxels: 0 }, item = document.createElement("li");
  const part = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });
  const box = Object.assign(part("input", ""), { type: "checkbox", checked: doc.sets.answer.has(id), tabIndex: -1 });
  box.setAttribute("aria-label", `segment ${id} belongs to the neuron`);
  const bar = part("span", "bar"), filled = part("b", ""), half = part("u", "");
  filled.style.width = `${100 * (segment.probability ?? 0)}%`;
  filled.style.background = `rgb(${ramp(segment.probability ?? 0).join(",")})`;
  half.style.left = "50%";
  bar.title = segment.probability === null ? "the model did not reach it" : `probability ${segment.probability.toFixed(3)}`;
  bar.append(filled, half);
  const go = Object.assign(part("button", "go", "go"), { type: "button", title: "look at it", tabIndex: -1 });
  go.addEventListener("click", (event) => { event.stopPropagation(); look(id); });
  item.dataset.id = id;
  item.className = `${id === here ? "here" : ""} ${isSettled ? "settled" : ""}`;
  if (id === here) item.setAttribute("aria-current", "true");
  item.title = `${doc.sets.consensus.has(id) ? "the players chose it; " : ""}${segment.voxels.toLocaleString("en")} voxels`;
  item.append(box, part("span", "", `${id}${doc.sets.consensus.has(id) ? "\u2022" : ""}`), bar, part("span", "size", short(segment.voxels)), go);
  item.addEventListener("click", () => toggle(id));
  return item;
}

const short = (voxels) => (voxels >= 1e6 ? `${(voxels / 1e6).toFixed(1)}M` : voxels >= 1e4 ? `${Math.round(voxels / 1e3)}k` : String(voxels));

// ---- keys ---------------------------------------------------------------------------------------------------------
const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = [
  ["Enter", "accept and go on", () => end("accept")],
  ["s", "skip: nobody can tell", () => end("skip")],
  ["n", "next task; this one stays open", forward],
  ["p", "previous task", () => goBack()],
  ["u", "undo", () => stroke("undo")],
  ["j", "next question", () => jump(1)],
  ["k", "previous question", () => jump(-1)],
  [" ", "add or remove the question's segment", () => settle(doc.sets.answer.has(here) ? "no" : "yes")],
  ["y", "it belongs: settled", () => settle("yes")],
  ["x", "it does not belong: settled", () => settle("no")],
  ["t", "add or remove the segment at the cross-hair", () => toggle(slices.segmentAt(slices.at))],
  ["[", "one slice back", () => slices.scroll(slices.active, -1)],
  ["]", "one slice on", () => slices.scroll(slices.active, 1)],
  ["1", "work in xy", () => activate("xy")],
  ["2", "work in yz", () => activate("yz")],
  ["3", "work in xz", () => activate("xz")],
  ["+", "nearer", () => slices.closer(1.4)],
  ["-", "farther", () => slices.closer(1 / 1.4)],
  ["0", "all of it", () => slices.reset()],
  [".", "more contrast", () => tune("contrast", 0.2)],
  [",", "less contrast", () => tune("contrast", -0.2)],
  [">", "brighter", () => tune("brightness", 10)],
  ["<", "darker", () => tune("brightness", -10)],
  ["c", "colours: verdict or probability", () => { mode.probability = !mode.probability; legend(); paint(); }],
  ["h", "hide or show all colours", () => { slices.hidden = !slices.hidden; slices.draw(); }],
  ["?", "these keys", () => element("keys").showModal()],
];

function activate(name) {
  slices.active = name;
  slices.draw();
}

function tune(name, step) {
  element(name).value = Number(element(name).value) + step;
  retune();
}

function retune() {
  slices.tuning = { contrast: Number(element("contrast").value), brightness: Number(element("brightness").value) };
  slices.draw();
}

document.addEventListener("keydown", (event) => {
  if (element("keys").open || !info || event.altKey) return;
  if ((event.ctrlKey || event.metaKey) && event.key !== "z") return;
  const inside = event.target instanceof Element ? event.target.tagName : "";
  if (["Enter", " "].includes(event.key) && inside === "BUTTON") return;
  if (arrows[event.key] && inside === "INPUT") return;
  const done = () => event.preventDefault();
  if (event.ctrlKey || event.metaKey) return done(stroke("undo"));
  if (!doc && event.key !== "?") return;
  if (arrows[event.key]) {
    const [across, down] = arrows[event.key];
    if (event.shiftKey) solid.turn(across * 0.15, down * 0.15);
    else slices.step(slices.active, across, down);
    return done();
  }
  const key = { PageUp: "[", PageDown: "]", "=": "+" }[event.key] ?? event.key;
  const found = KEYS.find(([name]) => name === key);
  if (found) done(found[2]());
});

// ---- the page -----------------------------------------------------------------------------------------------------
function legend() {
  const parts = mode.probability
    ? [0, 0.25, 0.5, 0.75, 1].map((chance) => [String(chance), ramp(chance), null])
    : Object.entries(info.colours).map(([kind, colour]) => [kind, colour, kind]);
  element("legend").replaceChildren(...parts.map(([text, colour, kind]) => {
    const label = document.createElement("label"), patch = document.createElement("i");
    patch.style.background = `rgb(${colour.join(",")})`;
    if (kind) {
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !info.off.has(kind) });
      box.addEventListener("change", () => { info.off[box.checked ? "delete" : "add"](kind); paint(); });
      label.append(box);
    }
    label.append(patch, text);
    return label;
  }));
}

function tellKeys() {
  const rows = [...KEYS.map(([key, text]) => [key === " " ? "space" : key, text]), ["arrows", "move the cross-hair"], ["shift + arrows", "turn the bodies"],
    ["mouse", "click adds or removes, shift + click only looks, drag moves, wheel scrolls, ctrl + wheel zooms"]];
  element("key-table").replaceChildren(...rows.map(([key, text]) => {
    const line = document.createElement("tr"), [left, right] = [document.createElement("td"), document.createElement("td")];
    left.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    right.textContent = text;
    line.append(left, right);
    return line;
  }));
}

function looks() {
  for (const [name, axis] of [["xy", 0], ["xz", 1], ["yz", 2]]) {
    element(`${name}-at`).textContent = String(slices.at[axis]);
    element(`${name}-slide`).value = slices.at[axis];
  }
  solid.at = slices.at;
  solid.draw();
}

async function begin() {
  info = await (await ask("queue")).json();
  info.off = new Set();
  slices = new Slices({ xy: element("xy"), xz: element("xz"), yz: element("yz") }, [...info.size].reverse(), { pick: toggle, look: looks, under });
  solid = new Solid(element("solid"), info.size, { pick: toggle, under });
  document.body.dataset.solid = solid.name;
  for (const [name, axis] of [["xy", 0], ["xz", 1], ["yz", 2]]) {
    const slide = Object.assign(element(`${name}-slide`), { min: 0, max: 255, step: 1 });
    slide.addEventListener("input", () => { const place = [...slices.at]; place[axis] = Number(slide.value); slices.go(place); });
  }
  const buttons = { previous: () => goBack(), next: forward, undo: () => stroke("undo"), skip: () => end("skip"), accept: () => end("accept"), help: () => element("keys").showModal() };
  for (const [name, act] of Object.entries(buttons)) element(name).addEventListener("click", (event) => { event.currentTarget.blur(); act(); });
  for (const name of ["contrast", "brightness"]) element(name).addEventListener("input", retune);
  legend();
  tellKeys();
  await forward();
}
window.addEventListener("unhandledrejection", (event) => { event.preventDefault(); say(event.reason?.message ?? "failed", true); });
begin();
