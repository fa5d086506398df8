// The page: what is chosen, and what that shows. Mathematics is in the generated modules.
const data = JSON.parse(document.getElementById("data").textContent);
const imported = new Map();
function load(name) {
  if (!imported.has(name)) {
    const text = document.querySelector(`script[data-module="${CSS.escape(name)}"]`).textContent;
    imported.set(name, import(URL.createObjectURL(new Blob([text], { type: "text/javascript" }))));
  }
  return imported.get(name);
}
const { Network, unpacked, nodesOf } = await load("rows");
const { svg, number, drawNetwork, drawLines, drawInk, drawPixels, drawPlane, legend } = await load("drawing");
const { tour } = await load("tour");

const by = (id) => document.getElementById(id);
const palette = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `--c${n}`);
const TRAINED = "trained here", TERMS = 6, PLANE = 36;

function make(tag, properties = {}, ...children) {
  const { dataset, ...rest } = properties, made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset ?? {});
  made.append(...children);
  return made;
}
const fill = (select, entries, chosen) => {
  select.replaceChildren(...entries.map(([value, text]) => make("option", { value, textContent: text })));
  if (chosen !== undefined) select.value = chosen;
  select.disabled = entries.length < 2;
};

const state = { network: 0, scheme: "learned", activation: data.networks[0].own, row: 0, cells: [], t: [], chosen: { layer: 1, k: 0, m: 0 }, pixel: null, curve: [], next: 0 };
let net, xs, trained = null, origin = null; // where training here has come to, and where it began
const entry = () => data.networks[state.network];

// what is chosen -----------------------------------------------------------------------------------
const nets = new Map();
async function networkOf(place, activation) {
  const key = `${place} ${activation}`, plan = data.networks[place].plans[activation];
  if (!nets.has(key)) nets.set(key, new Network(await load(plan.module), plan));
  return nets.get(key);
}

const first = Object.keys(data.schemes)[0];
function parametersOf(scheme) {
  if (scheme === TRAINED) return trained;
  const all = entry().params, base = all[first];
  return Object.fromEntries(Object.entries({ ...all.learned, ...all[scheme] }).map(([name, packed]) =>
    [name, unpacked(packed, base?.[name] && unpacked(base[name]))]));
}

async function chooseNetwork() {
  net = await networkOf(state.network, state.activation);
  net.setParameters(parametersOf(state.scheme));
  if (data.labels) data.labels = net.labels;
  xs = data.rows.map((row) => net.module.prepare(asRow(row)));
  const last = net.plan.layers.length;
  state.chosen.layer = Math.min(state.chosen.layer, last);
  settleUnit();
  offer();
}

function offer() {
  const names = { learned: "learned", ...data.schemes };
  const schemes = Object.keys(entry().params).map((name) => [name, names[name]]);
  if (trained) schemes.push([TRAINED, TRAINED]);
  for (const id of ["choose-scheme", "layers-scheme", "training-scheme"]) fill(by(id), schemes, state.scheme);
  const activations = Object.keys(entry().plans).map((name) => [name, name === "own" ? "as learned" : `${name}${name === entry().own ? " (as learned)" : ""}`]);
  for (const id of ["choose-activation", "layers-activation"]) fill(by(id), activations, state.activation);
  const titles = net.plan.layers.map((layer, i) => [i, layer.title]);
  fill(by("choose-layer"), [...titles, [titles.length, "loss"]], state.chosen.layer);
}

function settleUnit() {
  const layer = net.plan.layers[state.chosen.layer], { chosen } = state;
  if (!layer) Object.assign(chosen, { k: 0, m: 0 });
  else {
    chosen.k = Math.max(0, Math.min(layer.width - 1, chosen.k || 0));
    chosen.m = Math.max(0, Math.min(layer.members - 1, chosen.m || 0));
  }
  by("choose-layer").value = chosen.layer;
  by("choose-unit").value = chosen.k;
  by("choose-unit").disabled = !layer;
  by("choose-unit").max = layer ? layer.width - 1 : 0;
  by("choose-member").value = chosen.m;
  by("choose-member").max = layer ? layer.members - 1 : 0;
  by("choose-member").parentElement.hidden = !layer || layer.members < 2;
}

// the row ------------------------------------------------------------------------------------------
const asRow = (cells) => data.columns.length ? Object.fromEntries(data.columns.map((c, i) => [c.name, cells[i]])) : cells;
const columns = data.columns.length ? data.columns : data.features.map((name) => ({ name, kind: "number", values: [] }));
const known = (i) => data.rows.map((row) => row[i]).filter((v) => typeof v === "number");
const extent = columns.map((_, i) => { const all = known(i); return all.length ? [Math.min(...all), Math.max(...all)] : [0, 1]; });
const ink = Math.max(...data.rows.slice(0, 50).flat().filter((v) => typeof v === "number"), 1e-9);
const targetText = (i) => data.labels ? data.labels[entry().t[i][0]] : number(data.actual ? data.actual[i] : entry().t[i][0], 6);

function chooseRow(place) {
  state.row = (place + data.rows.length) % data.rows.length;
  state.cells = [...data.rows[state.row]];
  state.t = [...entry().t[state.row]];
  by("choose-row").value = state.row;
  showCells();
  flow();
}

// The row with the largest loss: of those that are answered well there is nothing to learn.
function hardest() {
  const losses = xs.map((x, i) => net.forward(x, entry().t[i]));
  return losses.indexOf(losses.filter(Number.isFinite).reduce((a, v) => Math.max(a, v), -Infinity));
}

function setCell(i, value) {
  state.cells[i] = value;
  flow();
}

function showCells() {
  const target = targetControl();
  by("cells").replaceChildren(...(data.image ? pixels() : [make("div", { className: "cells" }, ...columns.flatMap(control))]), target);
}

function targetControl() {
  const id = "target", many = data.labels && (net.plan.byClass || data.labels.length === 2);
  const input = many ? make("select", { id }) : make("input", { id, type: "number", step: "any", value: state.t[0] });
  if (many) fill(input, data.labels.map((text, i) => [i, text]), state.t[0]);
  input.addEventListener("change", () => { state.t = [Number(input.value)]; flow(); });
  const text = many ? `${data.target === "target" ? "It is" : `${data.target} is`} ` : `${data.target}, as the network learns it `;
  return make("div", { className: "controls", style: "margin: .9rem 0 0" }, make("label", { htmlFor: id }, text, input));
}

function control(column, i) {
  const id = `cell-${i}`, label = make("label", { htmlFor: id, textContent: column.name }), value = state.cells[i];
  if (column.kind === "category") {
    const select = make("select", { id, className: "over" });
    const texts = [...column.values];
    if (value !== null && !texts.includes(value)) texts.push(value);
    fill(select, [["", "missing"], ...texts.map((text, k) => [k, text])], value === null ? "" : texts.indexOf(value));
    select.addEventListener("change", () => setCell(i, select.value === "" ? null : texts[select.value]));
    return [label, select];
  }
  if (column.kind === "date") {
    const date = make("input", { id, type: "date", className: "over", value: value === null ? "" : value.slice(0, 10) });
    date.addEventListener("change", () => setCell(i, date.value || null));
    return [label, date];
  }
  const [low, high] = extent[i];
  const slider = make("input", { type: "range", min: low, max: high, step: (high - low) / 200 || 1, value: value ?? low, ariaLabel: `${column.name}, slider` });
  const exact = make("input", { id, type: "number", step: "any", value: value ?? "", placeholder: "missing" });
  slider.addEventListener("input", () => { exact.value = Number(Number(slider.value).toPrecision(5)); setCell(i, Number(exact.value)); });
  exact.addEventListener("input", () => { if (exact.value !== "") slider.value = exact.value; setCell(i, exact.value === "" ? null : Number(exact.value)); });
  return [label, slider, exact];
}

function pixels() {
  const [rows, across] = data.image, canvas = make("canvas", { ariaLabel: "The picture; draw on it", role: "img" });
  const draw = () => drawInk(canvas, state.cells, data.image, ink);
  const slider = make("input", { id: "pixel-value", type: "range", min: 0, max: ink, step: ink / 16 });
  const which = make("input", { id: "pixel", type: "number", min: 0, max: rows * across - 1, value: state.pixel ?? Math.floor(rows / 2) * across + Math.floor(across / 2) });
  const show = () => { state.pixel = Number(which.value); slider.value = state.cells[state.pixel] ?? 0; };
  const paint = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (v, first, size, many) => Math.max(0, Math.min(many - 1, Math.floor(((v - first) * many) / size)));
    which.value = at(event.clientY, box.top, box.height, rows) * across + at(event.clientX, box.left, box.width, across);
    state.cells[which.value] = event.shiftKey ? 0 : ink;
    show(); draw(); flow();
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); paint(event); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) paint(event); });
  which.addEventListener("input", show);
  slider.addEventListener("input", () => { state.cells[state.pixel] = Number(slider.value); draw(); flow(); });
  const clear = make("button", { type: "button", textContent: "Clear" });
  clear.addEventListener("click", () => { state.cells.fill(0); show(); draw(); flow(); });
  show(); draw();
  return [canvas, make("div", { className: "controls", style: "margin: .6rem 0 0" }, make("label", { htmlFor: "pixel" }, "Pixel ", which), make("label", { htmlFor: "pixel-value" }, "Ink ", slider), clear)];
}

// forward and back ---------------------------------------------------------------------------------
let waiting = false;
function flow() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; show(); });
}

function show() {
  const x = net.module.prepare(asRow(state.cells));
  net.run(x, state.t);
  showAnswer(x);
  showDrawing();
  showUnit();
  later(showPlane);
}

const timers = new Map();
function later(act) {
  clearTimeout(timers.get(act));
  timers.set(act, setTimeout(act, 120));
}

function showAnswer(x) {
  const found = net.module.predictPrepared(x), place = by("answer");
  const loss = make("p", { className: "faint" }, "Loss of this row: ", make("b", { id: "loss", dataset: { value: net.loss }, textContent: number(net.loss) }));
  if (!data.labels) {
    place.replaceChildren(make("p", { className: "lead" }, `${data.target}: `, make("b", { dataset: { value: found }, textContent: number(found, 6) })),
      ...(data.actual ? [make("p", {}, `Row ${data.numbers[state.row]} of the table has: `, make("b", { id: "actual", textContent: targetText(state.row) }))] : []), loss);
    return;
  }
  const largest = String(found.label);
  const order = data.labels.map((_, i) => i);
  if (order.length > 12) order.sort((a, b) => found.probabilities[b] - found.probabilities[a]).splice(12);
  place.replaceChildren(
    make("p", { className: "lead" }, "Answered ", make("b", { id: "label", textContent: largest })),
    make("div", { className: "bars" }, ...order.flatMap((i) => [
      make("span", { textContent: `${data.labels[i]}${i === state.t[0] ? " (true)" : ""}`, className: i === state.t[0] ? "true" : "" }),
      make("i", { style: `width: ${100 * found.probabilities[i]}%` }),
      make("span", { dataset: { probability: found.probabilities[i] }, textContent: `${(100 * found.probabilities[i]).toFixed(1)} %` })])),
    loss);
}

function showDrawing() {
  drawNetwork(by("drawing"), net, { image: data.image, names: data.features, labels: data.labels, chosen: state.chosen, choose: (layer, k) => select(layer, k, true) });
}

function select(layer, k, focus = false) {
  Object.assign(state.chosen, { layer, k });
  settleUnit();
  showDrawing();
  showUnit();
  if (focus) by("drawing").querySelector(".chosen")?.focus({ preventScroll: true });
}

// one unit -----------------------------------------------------------------------------------------
const labelOf = (name, k, m = 0) => {
  const { size, width } = net.plan.buffers[name];
  return size === 1 ? name : size > width ? `${name}[${m}, ${k}]` : `${name}[${k}]`;
};

// Where a unit's number lies in what a node writes: { name, k, m } in terms of that; or none.
function located(node, unit, frames) {
  const { plan } = net, home = plan.buffers[unit.name].home, at = net.offset(unit.name, unit.k, unit.m);
  for (const name of node.writes) {
    const b = plan.buffers[name], from = at - b.first, m = Math.floor(from / b.apart), k = from - m * b.apart;
    if (b.home === home && from >= 0 && m < b.size / b.width && k < b.width) return { name, k, m };
  }
  for (const frame of frames) {
    for (const name of node.writes) {
      const b = plan.buffers[name];
      if (b.width === frame.width && b.size / b.width === frame.members) return { name, k: frame.k, m: frame.m };
      if (b.width === 1 && b.size === frame.members && frame.members > 1) return { name, k: 0, m: frame.m };
    }
  }
  return null;
}

function showUnit() {
  const { plan } = net, { layer: place, k, m } = state.chosen, layer = plan.layers[place];
  by("h-unit").textContent = layer ? `${layer.title}, ${place === 0 ? data.features[k] : `unit ${k}`}` : "The loss";
  if (!layer) return showLoss();
  const found = nodesOf(plan, place), frames = [{ width: layer.width, members: layer.members, k, m }];
  const units = [...layer.buffers, ...layer.gradients.filter((g) => g)].map((name) => ({ name, k, m }));
  const cards = (which) => which.flatMap((i) => {
    const node = plan.nodes[i];
    for (const unit of units) {
      const at = located(node, unit, frames);
      if (!at) continue;
      const b = plan.buffers[at.name], frame = { width: b.width, members: b.size / b.width, k: at.k, m: at.m };
      if (!frames.some((f) => f.width === frame.width && f.members === frame.members)) frames.push(frame);
      return [card(i, at)];
    }
    return node.kind === "outer" || node.kind === "sum" ? [card(i, parameterAt(node, layer, k, m))] : [];
  });
  const forward = cards(found.forward), backward = cards(found.backward);
  const start = make("p", {}, `${labelOf(layer.buffers[0], k, m)} = `, valueOf(net.value(layer.buffers[0], k, m)), " is a number that goes in.");
  by("forward").replaceChildren(...(forward.length ? forward : [start]));
  by("backward").replaceChildren(...(backward.length ? backward : [make("p", { className: "faint", textContent: "Nothing goes back to it." })]));
  by("check-all").hidden = false;
  by("checked-all").textContent = "";
  by("checks").tBodies[0].replaceChildren(...derivativesOf(place, TERMS).map(check));
}

function showLoss() {
  const { plan } = net, last = plan.layers[plan.layers.length - 1], k = net.plan.byClass ? state.t[0] : 0;
  const name = last.gradients[last.gradients.length - 1], shared = (i) => plan.nodes[i].kind === "formula";
  const logits = Math.max(...plan.nodes.map((n, i) => (i <= plan.lossNode && n.writes.includes(last.buffers[last.buffers.length - 1]) ? i : -1)));
  const back = plan.nodes.findIndex((n) => n.writes.includes(name));
  const span = (a, b) => Array.from({ length: b - a + 1 }, (_, i) => a + i).filter(shared);
  const at = (i) => ({ name: plan.nodes[i].writes[0], k, m: 0 });
  by("forward").replaceChildren(...span(logits + 1, plan.lossNode).map((i) => card(i, at(i))));
  by("backward").replaceChildren(...span(plan.lossNode + 1, back).map((i) => card(i, at(i))));
  by("check-all").hidden = true;
  by("checked-all").textContent = "";
  by("checks").tBodies[0].replaceChildren(...derivativesOf(plan.layers.length - 1, 0, true).map(check));
}

// Of a layer's unit: each derivative { gradient, name, k, m }; of its weights those of `most` inputs.
function derivativesOf(place, most, whole = false) {
  const { plan } = net, layer = plan.layers[place], { k, m } = state.chosen, found = [];
  const categories = place === 0 && plan.categories.includes(k);
  layer.buffers.forEach((name, i) => {
    const gradient = layer.gradients[i], units = whole ? Array.from({ length: layer.width }, (_, u) => u) : [k];
    if (gradient && !categories) for (const u of units) found.push({ gradient, name, k: u, m: whole ? 0 : m });
  });
  if (whole) return found;
  for (const p of nodesOf(plan, place).learned) {
    for (const flat of places(p, layer, k, m, most)) found.push({ gradient: p.gradient, name: p.name, k: flat, m: 0, flat });
  }
  return found;
}

// Places in a parameter that belong to a unit: for weights, of the inputs that are largest.
function places(parameter, layer, k, m, most) {
  const { shape, name } = parameter, width = layer.width;
  if (shape.length === 1 && shape[0] === width) return [k];
  if (shape.length === 2 && shape[0] === layer.members && shape[1] === width && layer.members > 1) return [m * width + k];
  const product = net.plan.nodes.find((n) => n.kind === "product" && n.right === name && !n.transposed);
  if (!product || shape[shape.length - 1] !== width) return [];
  const depth = shape[shape.length - 2], base = shape.length === 3 ? m * depth * width : 0;
  return largest(depth, (i) => net.value(product.left, i, several(product.left) ? m : 0), most).map((i) => base + i * width + k);
}

const several = (name) => net.plan.buffers[name].size > net.plan.buffers[name].width;
const largest = (many, of, most) => Array.from({ length: many }, (_, i) => i).sort((a, b) => Math.abs(of(b)) - Math.abs(of(a))).slice(0, most);
const flatLabel = (name, flat) => {
  const parameter = net.plan.parameters.find((p) => p.name === name), at = [];
  for (const size of [...parameter.shape].reverse()) { at.unshift(flat % size); flat = Math.floor(flat / size); }
  return `${name}[${at.join(", ")}]`;
};

function check(one) {
  const found = net.checked(one.gradient, one.name, one.k, one.m);
  const label = one.flat === undefined ? labelOf(one.name, one.k, one.m) : flatLabel(one.name, one.flat);
  const nothing = Math.max(Math.abs(found.derivative), Math.abs(found.slope)) <= found.tolerance;
  const [mark, kind, says] = found.agrees === null ? ["∠ corner", "corner", "there is a corner here, and no slope"]
    : !found.agrees ? ["✗", "no", "does not agree"] : nothing ? ["✓ ≈ 0", "yes", "agrees: too small to tell from 0"] : ["✓", "yes", "agrees"];
  const cell = (text) => make("td", { className: "n", textContent: text }), digits = innerWidth < 720 ? 5 : 7;
  return make("tr", { dataset: { name: label, derivative: found.derivative, slope: found.slope, agrees: String(found.agrees) } },
    make("th", { scope: "row", textContent: `d${label}` }),
    make("td", { className: `verdict-mark ${kind}` }, mark, make("span", { className: "hidden", textContent: ` ${says}` })),
    cell(number(found.derivative, digits)), cell(number(found.slope, digits)), cell(number(found.tolerance, 2)));
}

function parameterAt(node, layer, k, m) {
  return { name: node.writes[0], k, m, of: layer };
}

const valueOf = (value) => make("b", { dataset: { value }, textContent: number(value) });
const inBrackets = (text, before = "× ") => (text.startsWith("−") && /[×/−+] ?$/.test(before) ? `(${text})` : text);

// A node with this row's numbers.
function card(i, at) {
  const node = net.plan.nodes[i], box = make("div", { className: "node" }, make("div", { className: "what", textContent: node.text }));
  if (node.kind === "product") box.append(...product(node, at));
  else if (node.kind === "outer") box.append(...outer(node, at));
  else if (node.kind === "formula") box.append(...formula(i, node, at));
  else if (node.kind === "sum") box.append(line(`${labelOf(node.writes[0], at.k)} = ${labelOf(node.source, at.k, at.m)}`, "", net.value(node.source, at.k, at.m)));
  else box.append(line(labelOf(at.name, at.k, at.m), "", net.value(at.name, at.k, at.m)));
  return box;
}

function line(names, numbers, value) {
  return make("div", { className: "formula" }, names, ...(numbers ? [make("span", { className: "numbers", textContent: ` = ${numbers}` })] : []), " = ", valueOf(value));
}

function formula(i, node, at) {
  const values = net.code.lines[i](net.b, at.m), pick = (a) => (a.length > 1 ? a[at.k] : a[0]);
  const own = node.lines.map((l, n) => [l, n]).filter(([l]) => l.output === null || node.writes.length === 1 || node.writes[l.output] === at.name || l.name);
  return own.map(([l, n]) => {
    const name = l.output === null ? l.name : labelOf(node.writes[l.output], at.k, at.m);
    const width = (of) => net.plan.buffers[of].width, place = (of) => (width(of) > 1 ? at.k : 0);
    const text = (numbers) => l.parts.map(([kind, of], n) => {
      const before = n > 0 ? String(l.parts[n - 1][1]) : "";
      if (kind === "text") return of;
      if (kind === "column") return numbers ? at.k : "k";
      if (kind === "input" && before.endsWith("of all ")) return of;
      if (kind === "input") return numbers ? inBrackets(number(net.value(of, place(of), several(of) ? at.m : 0)), before) : labelOf(of, place(of), at.m);
      return numbers ? inBrackets(number(pick(values[of])), before) : node.lines[of].name || labelOf(node.writes[node.lines[of].output], at.k, at.m);
    }).join("");
    const whole = l.parts.some(([kind, of]) => kind === "text" && /of all/.test(of)), alone = l.parts.length === 1 && l.parts[0][0] !== "text";
    return line(`${name} = ${text(false)}`, whole || alone ? "" : text(true), pick(values[n]));
  });
}

// A sum of products: the largest of them, and the rest together.
function product(node, { name, k, m }) {
  const { plan } = net, right = plan.buffers[node.right], weights = net.b[right.home], many = plan.buffers[node.left].width, width = plan.buffers[node.out ?? name].width;
  const base = right.shape.length === 3 ? m * many * width : 0, at = (i) => base + (node.transposed ? k * many + i : i * width + k);
  const left = (i) => net.value(node.left, i, several(node.left) ? m : 0), term = (i) => node.scale * left(i) * weights[at(i)];
  const bias = node.bias ? net.value(node.bias, k, several(node.bias) ? m : 0) : 0, sum = net.value(name, k, m);
  const shown = largest(many, term, TERMS);
  const rest = Array.from({ length: many }, (_, i) => i).filter((i) => !shown.includes(i)).reduce((a, i) => a + term(i), 0);
  const by_ = node.scale === 1 ? "" : `${number(node.scale)} × `;
  const row = (names, numbers, value) => make("tr", {}, make("td", { textContent: names }), make("td", { className: "numbers", textContent: numbers }), make("td", { className: "n", textContent: number(value) }));
  const rows = shown.map((i) => row(`${by_}${labelOf(node.left, i, m)} × ${flatLabel(node.right, at(i))}`, `${by_}${inBrackets(number(left(i)))} × ${inBrackets(number(weights[at(i)]))}`, term(i)));
  if (many > shown.length) rows.push(row(`${many - shown.length} more`, "", rest));
  if (node.bias) rows.push(row(labelOf(node.bias, k, m), "", bias));
  return [make("div", { className: "formula", textContent: `${labelOf(name, k, m)} is the sum of` }), make("div", { className: "scroll" }, make("table", { className: "terms" }, make("tbody", {}, ...rows))), line(labelOf(name, k, m), "", sum)];
}

function outer(node, { k, m, of }) {
  const b = net.plan.buffers[node.writes[0]], depth = b.shape[b.shape.length - 2], width = b.shape[b.shape.length - 1];
  if (of && width !== of.width) return [];
  const base = b.shape.length === 3 ? m * depth * width : 0, left = (i) => net.value(node.left, i, several(node.left) ? m : 0);
  const weight = net.plan.parameters.find((p) => p.gradient === node.writes[0]).name, slope = net.value(node.right, k, several(node.right) ? m : 0);
  const by_ = node.scale === 1 ? "" : `${number(node.scale)} × `;
  return largest(depth, left, TERMS / 2).map((i) => line(`d${flatLabel(weight, base + i * width + k)} = ${by_}${labelOf(node.left, i, m)} × ${labelOf(node.right, k, m)}`, `${by_}${inBrackets(number(left(i)))} × ${inBrackets(number(slope))}`, net.b[b.home][b.first + base + i * width + k]));
}

// layers -------------------------------------------------------------------------------------------
function showLayers() {
  const schemes = Object.keys(entry().params).concat(trained ? [TRAINED] : []), names = { learned: "learned", ...data.schemes };
  const now = net.copyOfParameters(), lines = [];
  const layers = net.plan.layers.filter((l) => l.title !== "inputs");
  let own = null;
  schemes.forEach((scheme, i) => {
    net.setParameters(parametersOf(scheme));
    const found = net.statistics(xs, entry().t);
    if (scheme === state.scheme) own = found;
    lines.push({ name: names[scheme] ?? scheme, colour: `var(${palette[i]})`, thick: scheme === state.scheme, values: layers.flatMap((l) => l.buffers.map((b) => found.get(b).std)) });
  });
  net.setParameters(now);
  net.run(net.module.prepare(asRow(state.cells)), state.t);
  drawLines(by("spread"), lines, { names: layers.flatMap((l) => l.buffers), label: "Spread of each layer for each way to begin; the numbers of the chosen one stand in the table below." });
  legend(by("spread-legend"), lines.map((l) => [l.name, l.colour]));
  const most = Math.max(...[...own.values()].map((s) => s.std));
  const cell = (text) => make("td", { className: "n", textContent: text });
  by("statistics").tBodies[0].replaceChildren(...[...own].map(([name, s]) => make("tr", { dataset: { name, mean: s.mean, std: s.std, zeros: s.zeros, dead: s.dead } },
    make("th", { scope: "row", textContent: name }), cell(s.units), cell(number(s.mean, 3)), cell(number(s.std, 3)),
    make("td", { ariaHidden: "true" }, make("div", { className: "bar" }, make("i", { style: `left: 0; width: ${(100 * s.std) / most}%` }))),
    cell(`${(100 * s.zeros).toFixed(0)} %`), cell(s.dead ? `${s.dead} of ${s.units}` : "none"))));
}

// training -----------------------------------------------------------------------------------------
const rate = () => 10 ** Number(by("rate").value);
function showRate() {
  by("rate-value").textContent = number(rate(), 2);
  by("rate").setAttribute("aria-valuetext", number(rate(), 2));
}

async function train(steps) {
  const size = Math.max(1, Math.min(xs.length, Math.round(Number(by("batch").value) || 1))), ts = entry().t;
  for (const id of ["one-step", "many-steps", "begin-again"]) by(id).disabled = true;
  if (state.scheme !== TRAINED) {
    origin = net.copyOfParameters();
    Object.assign(state, { curve: [], next: 0 });
  }
  for (let done = 0, start = performance.now(); done < steps; done++) {
    const rows = Array.from({ length: size }, (_, i) => (state.next + i) % xs.length);
    state.next = (state.next + size) % xs.length;
    state.curve.push(net.step(rows.map((i) => xs[i]), rows.map((i) => ts[i]), rate()));
    if (performance.now() - start > 80) {
      showCurve();
      await new Promise((go) => setTimeout(go));
      start = performance.now();
    }
  }
  for (const id of ["one-step", "many-steps", "begin-again"]) by(id).disabled = false;
  trained = net.copyOfParameters();
  state.scheme = TRAINED;
  offer();
  showAll();
}

function showCurve() {
  drawLines(by("curve"), [{ colour: "var(--c1)", thick: false, values: state.curve }], { names: state.curve.map((_, i) => (i === 0 ? "step 1" : i === state.curve.length - 1 ? `step ${i + 1}` : "")), label: `The loss of ${state.curve.length} steps` });
}

function showScore() {
  const { loss, right } = net.score(xs, entry().t, data.labels);
  const share = right === null ? "" : `, ${(100 * right).toFixed(1)} % right`;
  by("trained").textContent = `All ${xs.length} rows: loss ${number(loss)}${share}${Number.isFinite(loss) ? "" : ": it has flown off; begin again with a lower rate"}`;
  Object.assign(by("trained").dataset, { loss, right });
  net.run(net.module.prepare(asRow(state.cells)), state.t);
}

// weights and the boundary -------------------------------------------------------------------------
function showPictures() {
  const layer = net.plan.layers[1], edge = layer?.edges, place = by("pictures");
  if (!place || !edge || edge.left !== net.plan.x) return place?.replaceChildren(make("p", { className: "faint", textContent: "The first layer is not of weights for pixels." }));
  const weights = net.b[edge.right], many = Math.min(layer.width, 60), side = data.image;
  const before = state.scheme === TRAINED ? origin[edge.right] : null;
  by("added").hidden = before === null;
  place.replaceChildren(...Array.from({ length: many }, (_, k) => {
    const own = data.features.map((_, i) => weights[i * layer.width + k] - (before?.[i * layer.width + k] ?? 0)), canvas = make("canvas", { ariaHidden: "true" });
    drawPixels(canvas, own, side, own.reduce((a, v) => Math.max(a, Math.abs(v)), 0));
    const button = make("button", { type: "button", ariaLabel: `Weights of unit ${k}` }, canvas, `unit ${k}`);
    button.addEventListener("click", () => { select(1, k); by("unit").scrollIntoView(); });
    return button;
  }));
}

function offerPlane() {
  const numbers = columns.map((c, i) => [i, c.name]).filter(([i]) => columns[i].kind === "number" && extent[i][0] < extent[i][1]);
  by("boundary").hidden = numbers.length < 2;
  document.querySelector('nav a[href="#boundary"]').hidden = numbers.length < 2;
  if (numbers.length < 2) return;
  const slope = net.plan.layers[0].gradients[0], moves = numbers.map(([i]) => i);
  if (data.image && slope) moves.sort((i, j) => Math.abs(net.value(slope, j)) - Math.abs(net.value(slope, i)));
  fill(by("across"), numbers, moves[0]);
  fill(by("up"), numbers, moves[1]);
}

function showPlane() {
  if (by("boundary").hidden) return;
  const a = Number(by("across").value), b = Number(by("up").value), cells = [...state.cells];
  const at = (i, part) => extent[i][0] + part * (extent[i][1] - extent[i][0]), answers = [];
  for (let row = 0; row < PLANE; row++) for (let column = 0; column < PLANE; column++) {
    cells[a] = at(a, (column + 0.5) / PLANE);
    cells[b] = at(b, (row + 0.5) / PLANE);
    answers.push(net.module.predict(asRow(cells)));
  }
  net.run(net.module.prepare(asRow(state.cells)), state.t);
  const canvas = make("canvas", { role: "img", ariaLabel: `Answers over ${columns[a].name} and ${columns[b].name}` });
  let key;
  if (data.labels) {
    const places = answers.map(({ label }) => data.labels.indexOf(String(label)));
    drawPlane(canvas, answers.map(({ probabilities }, i) => [places[i], probabilities[places[i]]]), PLANE, palette);
    key = [...new Set(places)].sort((p, q) => p - q).map((i) => [data.labels[i], `var(${palette[i % palette.length]})`]);
  } else {
    const low = Math.min(...answers), high = Math.max(...answers);
    drawPlane(canvas, answers.map((v) => [0, high > low ? (v - low) / (high - low) : 0]), PLANE, palette);
    key = [[`${data.target} from ${number(low, 3)}, where it is pale, to ${number(high, 3)}`, `var(${palette[0]})`]];
  }
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect(), digits = (v) => Number(v.toPrecision(5));
    state.cells[a] = digits(at(a, (event.clientX - box.left) / box.width));
    state.cells[b] = digits(at(b, 1 - (event.clientY - box.top) / box.height));
    showCells();
    flow();
  });
  const share = (i, v) => (v - extent[i][0]) / (extent[i][1] - extent[i][0]);
  const marks = svg("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" });
  if (!data.image) data.rows.forEach((row, i) => {
    if (typeof row[a] !== "number" || typeof row[b] !== "number") return;
    const which = data.labels ? entry().t[i][0] : 0;
    marks.append(svg("circle", { cx: 100 * share(a, row[a]), cy: 100 - 100 * share(b, row[b]), r: 0.9, fill: `var(${palette[which % palette.length]})`, stroke: "var(--paper)", "stroke-width": 0.3 }));
  });
  if (state.cells[a] !== null && state.cells[b] !== null) marks.append(svg("circle", { cx: 100 * share(a, state.cells[a]), cy: 100 - 100 * share(b, state.cells[b]), r: 2.2, fill: "none", stroke: "var(--ink)", "stroke-width": 0.9 }));
  const text = `${columns[a].name} from ${number(extent[a][0])} to ${number(extent[a][1])} across, ${columns[b].name} from ${number(extent[b][0])} to ${number(extent[b][1])} up. The ring is the chosen row${data.image ? "" : "; dots are all rows, by what they really are"}. The paler, the less sure.`;
  by("plane").replaceChildren(make("div", { className: "plane" }, canvas, marks), make("p", { className: "faint", textContent: text }));
  legend(by("boundary-legend"), key);
}

// all of it ----------------------------------------------------------------------------------------
function showAll() {
  show();
  showLayers();
  if (state.curve.length) showCurve(); else by("curve").replaceChildren(make("p", { className: "faint", textContent: "Take a step to see it." }));
  showScore();
  showPictures();
}

async function change(changes) {
  Object.assign(state, changes);
  await chooseNetwork();
  showAll();
}

for (const id of ["choose-scheme", "layers-scheme", "training-scheme"]) by(id).addEventListener("change", () => change({ scheme: by(id).value }));
for (const id of ["choose-activation", "layers-activation"]) by(id).addEventListener("change", () => change({ activation: by(id).value }));
by("choose-network").addEventListener("change", async () => {
  trained = null;
  const network = Number(by("choose-network").value);
  await change({ network, scheme: "learned", activation: data.networks[network].own, curve: [] });
  chooseRow(state.row);
});
by("choose-row").addEventListener("change", () => chooseRow(Number(by("choose-row").value)));
by("previous-row").addEventListener("click", () => chooseRow(state.row - 1));
by("next-row").addEventListener("click", () => chooseRow(state.row + 1));
by("choose-layer").addEventListener("change", () => select(Number(by("choose-layer").value), 0));
by("choose-unit").addEventListener("change", () => select(state.chosen.layer, Math.round(Number(by("choose-unit").value))));
by("choose-member").addEventListener("change", () => { state.chosen.m = Math.round(Number(by("choose-member").value)); select(state.chosen.layer, state.chosen.k); });
by("check-all").addEventListener("click", () => {
  const all = derivativesOf(state.chosen.layer, Infinity).map((one) => [one, net.checked(one.gradient, one.name, one.k, one.m).agrees]);
  const agree = all.filter(([, a]) => a).length, corner = all.filter(([, a]) => a === null).length, not = all.filter(([, a]) => a === false);
  by("checked-all").textContent = `${not.length ? "✗" : "✓"} ${agree} of ${all.length} agree${corner ? `, ${corner} lie in a corner` : ""}${not.length ? `; not d${not[0][0].flat === undefined ? labelOf(not[0][0].name, not[0][0].k) : flatLabel(not[0][0].name, not[0][0].flat)}` : ""}`;
});
by("rate").addEventListener("input", showRate);
by("one-step").addEventListener("click", () => train(1));
by("many-steps").addEventListener("click", () => train(100));
by("begin-again").addEventListener("click", () => {
  trained = null;
  change({ scheme: first in entry().params ? Object.keys(entry().params)[2] ?? first : "learned", curve: [], next: 0 });
});
for (const id of ["across", "up"]) by(id).addEventListener("change", showPlane);
by("theme").addEventListener("click", () => {
  const root = document.documentElement, dark = (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  root.dataset.theme = dark ? "light" : "dark";
  nameTheme();
  showCells(); showAll();
});
function nameTheme() {
  const dark = (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  by("theme").textContent = dark ? "Light" : "Dark";
}

// the tour -----------------------------------------------------------------------------------------
const steps = tour(data);
let here = -1;
async function visit(place) {
  document.querySelector(".spot")?.classList.remove("spot");
  here = place;
  const step = steps[place], over = !step;
  by("tour").hidden = over;
  document.body.classList.toggle("touring", !over);
  if (over) return by("start-tour").focus();
  const { scheme, activation, select: where, steps: many } = step.set, changes = {};
  if (scheme && scheme in entry().params) changes.scheme = scheme;
  if (activation) changes.activation = activation in entry().plans ? activation : entry().own;
  if (Object.keys(changes).length) await change(changes);
  if (where !== undefined) {
    const last = net.plan.layers.length - 1, layer = { logits: last, loss: last + 1 }[where] ?? (where < 0 ? Math.max(0, last + 1 + where) : where);
    select(layer, where === "logits" && net.plan.byClass ? state.t[0] : net.plan.layers[layer]?.shown[0] ?? 0);
  }
  if (many) await train(many);
  by("tour-place").textContent = `Step ${place + 1} of ${steps.length}`;
  by("tour-title").textContent = step.title;
  by("tour-text").textContent = step.text;
  by("tour-back").disabled = place === 0;
  by("tour-next").textContent = place === steps.length - 1 ? "Done" : "Next";
  const spot = by(step.at);
  (spot.closest(".card") ?? spot).classList.add("spot");
  spot.scrollIntoView({ block: "start" });
  by("tour-title").focus({ preventScroll: true });
}
by("start-tour").addEventListener("click", () => visit(0));
by("tour-next").addEventListener("click", () => visit(here + 1));
by("tour-back").addEventListener("click", () => visit(here - 1));
by("tour-end").addEventListener("click", () => visit(-1));
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && here >= 0) visit(-1); });

let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; later(showAll); } });

fill(by("choose-network"), data.networks.map((one, i) => [i, `${one.name} (${one.summary})`]), 0);
by("choose-network").parentElement.hidden = data.networks.length < 2;
showRate();
nameTheme();
await chooseNetwork();
fill(by("choose-row"), data.rows.map((_, i) => [i, `${data.numbers[i]}: ${targetText(i)}`]));
state.chosen = { layer: Math.max(0, net.plan.layers.findIndex((layer) => layer.edges)), k: 0, m: 0 };
state.chosen.k = net.plan.layers[state.chosen.layer].shown[0];
settleUnit();
offer();
chooseRow(hardest());
show();
offerPlane();
showAll();
showPlane();
document.body.dataset.ready = "yes";
