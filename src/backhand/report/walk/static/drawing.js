// Pictures: the network, curves, pixels and planes. It knows of no page beyond the place it draws in.
const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function number(value, digits = 4) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "–" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e6)
    ? size.toExponential(digits - 1).replace("e-", "e−").replace("e+", "e")
    : String(Number(size.toPrecision(digits)));
  return value < 0 ? `−${text}` : text;
}

const short = (value) => number(value, 2);
const shade = (value, most) => ({
  fill: value < 0 ? "var(--minus)" : "var(--plus)",
  "fill-opacity": most > 0 ? Math.min(1, Math.abs(value) / most).toFixed(3) : 0,
});

function pressed(element, label, act) {
  element.setAttribute("role", "button");
  element.setAttribute("tabindex", "0");
  element.setAttribute("aria-label", label);
  element.classList.add("press");
  element.addEventListener("click", act);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); }
  });
}

// The network for the row that it has run. `chosen` is { layer, k, m }; `choose` is told another.
export function drawNetwork(place, net, { image, names, labels, chosen, choose }) {
  const layers = net.plan.layers, top = 46, line = 36, at = [];
  const room = (place.parentElement.clientWidth - (image ? 350 : 270)) / Math.max(1, layers.length - (image ? 1 : 0));
  const gap = Math.max(128, Math.min(290, room));
  const most = (values) => values.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
  const picture = (j) => j === 0 && image !== null;
  const shownOf = (j) => {
    const layer = layers[j], always = chosen.layer === j && chosen.k !== null ? [chosen.k] : [];
    const units = layer.width <= 12 ? Array.from({ length: layer.width }, (_, k) => k) : layer.shown;
    return [...new Set([...units, ...always])].sort((a, b) => a - b);
  };
  const edges = svg("g"), units = svg("g");
  let height = 0, x = 30;
  layers.forEach((layer, j) => {
    const m = Math.min(chosen.m, layer.members - 1);
    const name = layer.buffers[layer.buffers.length - 1], slope = layer.gradients[layer.gradients.length - 1];
    const all = Array.from({ length: layer.width }, (_, k) => net.value(name, k, m)), largest = most(all);
    const column = { x, units: new Map(), values: all };
    at.push(column);
    units.append(svg("text", { x: x - 14, y: 16, class: "title" }, layer.title));
    units.append(svg("text", { x: x - 14, y: 31, class: "slope" }, `${layer.width} ${layer.width === 1 ? "unit" : "units"}${layer.members > 1 ? ` × ${layer.members}` : ""}`));
    let y = top + 12;
    const cell = (k, cx, cy, size) => {
      const square = svg("rect", { x: cx, y: cy, width: size, height: size, stroke: "var(--edge)", "stroke-width": .5, ...shade(all[k], largest), class: "press" }, svg("title", {}, `${nameOf(k)}: ${number(all[k])}`));
      if (chosen.layer === j && chosen.k === k) { square.setAttribute("stroke", "var(--ink)"); square.setAttribute("stroke-width", 2); }
      square.addEventListener("click", () => choose(j, k));
      return square;
    };
    const nameOf = (k) => j === 0 ? names[k] : j === layers.length - 1 && labels && labels.length === layer.width ? labels[k] : `${name}[${k}]`;
    if (picture(j)) {
      const [rows, columns] = image, size = Math.max(4, Math.floor(176 / columns));
      for (let k = 0; k < layer.width; k++) {
        const cx = x - 14 + (k % columns) * size, cy = y - 10 + Math.floor(k / columns) * size;
        units.append(cell(k, cx, cy, size));
        column.units.set(k, [cx + size / 2, cy + size / 2]);
      }
      height = Math.max(height, y + rows * size);
      x += columns * size + 60;
      return;
    }
    const wide = j === 0 ? 100 : 0;
    for (const k of shownOf(j)) {
      const d = slope === null || slope === undefined ? NaN : net.value(slope, k, m);
      const one = svg("g", {},
        svg("circle", { cx: x, cy: y, r: 12, fill: "var(--card)" }),
        svg("circle", { cx: x, cy: y, r: 12, class: "edge", ...shade(all[k], largest) }),
        svg("text", { x: x + 17, y: y }, j === 0 || j === layers.length - 1 ? `${clip(nameOf(k), 11)} ${short(all[k])}` : short(all[k])),
        svg("text", { x: x + 17, y: y + 12, class: "slope" }, Number.isNaN(d) ? "" : `d ${short(d)}`));
      if (chosen.layer === j && chosen.k === k) one.classList.add("chosen");
      pressed(one, `${layer.title}, ${nameOf(k)}: ${number(all[k])}, derivative ${number(d)}`, () => choose(j, k));
      units.append(one);
      column.units.set(k, [x, y]);
      y += line;
    }
    if (layer.width > column.units.size) {
      units.append(svg("text", { x: x - 14, y: y + 4, class: "slope" }, `all ${layer.width}:`));
      const size = 8, across = 10;
      for (let k = 0; k < layer.width; k++) units.append(cell(k, x - 14 + (k % across) * size, y + 10 + Math.floor(k / across) * size, size));
      y += 10 + Math.ceil(layer.width / across) * size;
    }
    height = Math.max(height, y);
    x += gap + wide;
  });
  const loss = svg("g", {}, svg("rect", { x: x - 20, y: top - 4, width: 84, height: 44, rx: 8, fill: "var(--soft)", class: "edge" }),
    svg("text", { x: x - 10, y: top + 13 }, "loss"), svg("text", { x: x - 10, y: top + 31, class: "title" }, number(net.loss, 3)));
  if (chosen.layer === layers.length) loss.classList.add("chosen");
  pressed(loss, `The loss: ${number(net.loss)}`, () => choose(layers.length, 0));
  units.append(loss);
  drawEdges(edges, net, at, chosen, picture);
  const width = x + 80;
  height += 12;
  place.setAttribute("viewBox", `0 0 ${width} ${height}`);
  place.setAttribute("width", width);
  place.setAttribute("height", height);
  place.replaceChildren(edges, units);
}

const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function drawEdges(place, net, at, chosen, picture) {
  net.plan.layers.forEach((layer, j) => {
    const edge = layer.edges;
    if (!edge) return;
    const left = at[j - 1], right = at[j], weights = net.b[edge.right], many = left.values.length;
    const base = net.plan.buffers[edge.right].shape.length === 3 ? Math.min(chosen.m, layer.members - 1) * many * layer.width : 0;
    const lines = [];
    for (const [k, to] of right.units) {
      if (picture(j - 1) && !(chosen.layer === j && chosen.k === k)) continue;
      for (const [i, from] of left.units) lines.push([left.values[i] * weights[base + i * layer.width + k] * edge.scale, from, to, chosen.layer === j && chosen.k === k]);
    }
    const largest = lines.reduce((a, [v]) => Math.max(a, Math.abs(v)), 0);
    if (picture(j - 1)) lines.sort((a, b) => Math.abs(b[0]) - Math.abs(a[0])).splice(16);
    for (const [value, [x1, y1], [x2, y2], own] of lines) {
      const part = largest > 0 ? Math.abs(value) / largest : 0;
      if (part < 0.02) continue;
      place.append(svg("line", { x1: picture(j - 1) ? x1 : x1 + 12, y1, x2: x2 - 12, y2, stroke: value < 0 ? "var(--minus)" : "var(--plus)", "stroke-width": (0.4 + 3.6 * part).toFixed(2), "stroke-opacity": own ? 0.9 : 0.28 }));
    }
  });
}

// Lines over the same places; each { name, colour, values, thick }; by logarithms.
export function drawLines(place, lines, { names, label }) {
  const width = Math.max(260, place.clientWidth), height = width < 500 ? 200 : 250, left = 58, bottom = 34, right = 16, top = 12;
  const values = lines.flatMap((l) => [...l.values]).filter((v) => v > 0 && Number.isFinite(v));
  const count = Math.max(...lines.map((l) => l.values.length), 2);
  let low = Math.floor(Math.log10(Math.min(...values, 1))), high = Math.ceil(Math.log10(Math.max(...values, 1)));
  if (!values.length) [low, high] = [-1, 1];
  if (low === high) low -= 1;
  const x = (i) => left + (i * (width - left - right)) / (count - 1);
  const y = (v) => v > 0 ? top + ((high - Math.min(high, Math.log10(v))) * (height - top - bottom)) / (high - low) : height - bottom;
  const made = svg("svg", { width, height, class: "plot", role: "img", "aria-label": label });
  const every = Math.max(1, Math.ceil((high - low) / 5));
  for (let e = low; e <= high; e += every) made.append(
    svg("line", { x1: left, x2: width - right, y1: y(10 ** e), y2: y(10 ** e), class: "grid" }),
    svg("text", { x: left - 8, y: y(10 ** e) + 4, "text-anchor": "end" }, number(10 ** e, 1)));
  names.forEach((name, i) => { if (name !== "") made.append(svg("text", { x: x(i), y: height - 10, "text-anchor": i === 0 ? "start" : i === count - 1 ? "end" : "middle" }, name)); });
  for (const line of lines) {
    const points = [...line.values].map((v, i) => [v, i]).filter(([v]) => Number.isFinite(v)).map(([v, i]) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
    made.append(svg("polyline", { points: points.join(" "), fill: "none", stroke: line.colour, "stroke-width": line.thick ? 3.5 : 1.6, "stroke-linejoin": "round" }));
    if (points.length < 30) for (const point of points) {
      const [cx, cy] = point.split(",");
      made.append(svg("circle", { cx, cy, r: line.thick ? 4 : 2.5, fill: line.colour }));
    }
  }
  place.replaceChildren(made);
}

export function legend(place, entries) {
  place.replaceChildren(...entries.map(([text, colour]) => {
    const one = document.createElement("span");
    one.textContent = text;
    one.style.setProperty("--of", colour);
    return one;
  }));
}

const colourOf = (name) => {
  const [r, g, b] = getComputedStyle(document.documentElement).getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((v) => parseInt(v, 16));
  return [r, g, b];
};

// Numbers as squares: from one colour through the paper's to the other.
export function drawPixels(canvas, values, [rows, columns], most) {
  canvas.width = columns;
  canvas.height = rows;
  const plus = colourOf("--plus"), minus = colourOf("--minus"), paper = colourOf("--paper");
  const data = new Uint8ClampedArray(4 * rows * columns);
  values.forEach((v, i) => {
    const share = most > 0 ? Math.min(1, Math.abs(v) / most) : 0, to = v < 0 ? minus : plus;
    for (let c = 0; c < 3; c++) data[4 * i + c] = paper[c] + share * (to[c] - paper[c]);
    data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(new ImageData(data, columns, rows), 0, 0);
}

// Ink as it is: from paper to the text's colour.
export function drawInk(canvas, values, [rows, columns], most) {
  canvas.width = columns;
  canvas.height = rows;
  const ink = colourOf("--ink"), paper = colourOf("--paper");
  const data = new Uint8ClampedArray(4 * rows * columns);
  values.forEach((v, i) => {
    const share = Math.max(0, Math.min(1, v / most));
    for (let c = 0; c < 3; c++) data[4 * i + c] = paper[c] + share * (ink[c] - paper[c]);
    data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(new ImageData(data, columns, rows), 0, 0);
}

// A plane of answers, each [place of a colour, how sure from 0 to 1], bottom row first.
export function drawPlane(canvas, answers, size, palette) {
  canvas.width = canvas.height = size;
  const paper = colourOf("--paper"), colours = palette.map((name) => colourOf(name));
  const data = new Uint8ClampedArray(4 * size * size);
  answers.forEach(([which, sure], i) => {
    const at = 4 * ((size - 1 - Math.floor(i / size)) * size + (i % size)), to = colours[which % colours.length];
    for (let c = 0; c < 3; c++) data[at + c] = paper[c] + (0.12 + 0.7 * sure) * (to[c] - paper[c]);
    data[at + 3] = 255;
  });
  canvas.getContext("2d").putImageData(new ImageData(data, size, size), 0, 0);
}
