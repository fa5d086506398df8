// What happens to rows in a network: values, slopes, statistics and steps. It knows of no page.
// All formulas are those of a generated module; here their results are only looked at and added up.

// The numbers of a parameter as Python packed them.
export function unpacked(packed, base) {
  if (Array.isArray(packed)) return Float64Array.from(packed, Number);
  if ("zeros" in packed) return new Float64Array(packed.zeros);
  if ("factor" in packed) return Float64Array.from(base, (v) => packed.factor * v);
  const code = atob(packed.f4 ?? packed.f2);
  const bytes = new DataView(new ArrayBuffer(code.length));
  for (let i = 0; i < code.length; i++) bytes.setUint8(i, code.charCodeAt(i));
  const size = packed.f4 ? 4 : 2, found = new Float64Array(code.length / size);
  const read = packed.f4 ? (at) => bytes.getFloat32(at, true) : (at) => half(bytes.getUint16(at, true));
  for (let i = 0; i < found.length; i++) found[i] = read(i * size);
  return found;
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, part = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + part / 1024) : 2 ** -14 * (part / 1024));
}

const EPSILON = 2 ** -52;
const SAFETY = 8; // a sum of n roundings is nearly never further off than this times its sqrt(n)

// A network with its plan and its parameters, and all that is between for one row.
export class Network {
  constructor(module, plan) {
    this.module = module;
    this.plan = plan;
    this.code = module.networks[0];
    this.params = this.code.parameters; // predictions of the module follow them
    this.b = this.code.buffers(this.params);
    this.gradients = plan.parameters.filter((p) => p.gradient !== null);
  }

  // The classes as texts, as predictions are compared with.
  get labels() {
    return this.module.describe().classes.map(String);
  }

  setParameters(values) {
    for (const [name, array] of Object.entries(this.params)) array.set(values[name]);
  }

  copyOfParameters() {
    return Object.fromEntries(Object.entries(this.params).map(([name, a]) => [name, a.slice()]));
  }

  // Forward, through the loss, and back, for a prepared row and its target.
  run(x, t) {
    this.forward(x, t);
    for (let i = this.plan.lossNode + 1; i < this.code.nodes.length; i++) this.code.nodes[i](this.b);
    return this.loss;
  }

  forward(x, t) {
    this.b[this.plan.x].set(x);
    this.b[this.plan.t].set(t);
    this.#from(0);
    return this.loss;
  }

  #from(first) {
    for (let i = first; i <= this.plan.lossNode; i++) this.code.nodes[i](this.b);
  }

  get loss() {
    return this.b[this.plan.loss][0];
  }

  // Where element k of member m of a buffer lies, in the array of its home.
  offset(name, k, m = 0) {
    const at = this.plan.buffers[name];
    return at.first + m * at.apart + k;
  }

  value(name, k, m = 0) {
    return this.b[this.plan.buffers[name].home][this.offset(name, k, m)];
  }

  values(name) {
    const at = this.plan.buffers[name], home = this.b[at.home];
    if (at.apart === at.width) return home.subarray(at.first, at.first + at.size);
    const members = at.size / at.width;
    return Float64Array.from({ length: at.size }, (_, i) =>
      this.value(name, i % at.width, Math.floor(i / at.width) % members));
  }

  // The slope of the loss by one number, measured: (L(a + h) - L(a - h)) / 2h. `tolerance` is how
  // far it may be from the derivative: what rounding does to it, and how much it changes from h to
  // 2h. Of some h the one with the least tolerance is taken; none if the number lies in a corner.
  measured(name, k, m = 0) {
    const home = this.b[this.plan.buffers[name].home], place = this.offset(name, k, m);
    const after = this.plan.after[name], was = home[place];
    const at = (value) => {
      home[place] = value;
      this.#from(after);
      return this.loss;
    };
    const middle = at(was), sides = this.#sides();
    const size = Math.max(1, Math.abs(middle), this.#largestLogit());
    const rounding = SAFETY * Math.sqrt(this.plan.depth) * EPSILON * size;
    let best = null;
    for (const step of [1e-3, 1e-4, 1e-5, 1e-6]) {
      const h = step * Math.max(1, Math.abs(was));
      let corner = false;
      const pair = [h, 2 * h].map((d) => {
        const above = at(was + d);
        corner ||= this.#sides() !== sides;
        const below = at(was - d);
        corner ||= this.#sides() !== sides;
        return (above - below) / (was + d - (was - d));
      });
      if (corner) continue;
      const tolerance = Math.abs(pair[1] - pair[0]) + rounding / h;
      if (best === null || tolerance < best.tolerance) best = { slope: pair[0], tolerance, h };
    }
    at(was);
    return best;
  }

  // A derivative beside its measurement; `agrees` is null where there is no slope to measure.
  checked(gradient, name, k, m = 0) {
    const derivative = this.value(gradient, k, m), found = this.measured(name, k, m);
    if (found === null) return { derivative, slope: NaN, tolerance: NaN, agrees: null };
    return { derivative, ...found, agrees: Math.abs(derivative - found.slope) <= found.tolerance };
  }

  // On which side of each corner the numbers lie, and what is looked up, as one number.
  #sides() {
    let found = 0;
    const add = (v) => { found = (Math.imul(found, 31) + v) | 0; };
    for (const [name, corners] of this.plan.kinks) {
      const values = this.values(name);
      for (const corner of corners) for (const v of values) add(v > corner ? 1 : v < corner ? 2 : 3);
    }
    for (const name of this.plan.lookups) for (const v of this.values(name)) add(v);
    return found;
  }

  #largestLogit() {
    const layer = this.plan.layers[this.plan.layers.length - 1];
    return this.values(layer.buffers[layer.buffers.length - 1]).reduce((a, z) => Math.max(a, Math.abs(z)), 0);
  }

  // Of each array of each layer, forward and back: mean, spread, zeros, and units that never differ.
  statistics(xs, ts) {
    const { layers } = this.plan, slopes = layers.flatMap((l) => l.gradients).filter((g) => g !== null);
    const names = [...layers.flatMap((l) => l.buffers), ...slopes.reverse()];
    const seen = new Map(names.map((name) => [name, []]));
    xs.forEach((x, i) => {
      this.run(x, ts[i]);
      for (const [name, rows] of seen) rows.push(this.values(name).slice());
    });
    return new Map([...seen].map(([name, rows]) => [name, summary(rows)]));
  }

  // One step of plain gradient descent on the mean loss of some rows, which it returns.
  step(xs, ts, rate) {
    const sums = Object.fromEntries(
      this.gradients.map((p) => [p.name, new Float64Array(this.params[p.name].length)]));
    let loss = 0;
    xs.forEach((x, i) => {
      loss += this.run(x, ts[i]) / xs.length;
      for (const p of this.gradients) {
        const from = this.b[this.plan.buffers[p.gradient].home], to = sums[p.name];
        const first = this.plan.buffers[p.gradient].first;
        for (let j = 0; j < to.length; j++) to[j] += from[first + j] / xs.length;
      }
    });
    this.code.sgdStep(sums, rate, this.params);
    return loss;
  }

  // The mean loss of rows, and, of classes, the share that is right.
  score(xs, ts, labels) {
    let loss = 0, right = 0;
    xs.forEach((x, i) => {
      loss += this.forward(x, ts[i]) / xs.length;
      if (labels) right += (String(this.module.predictPrepared(x).label) === labels[ts[i][0]]) / xs.length;
    });
    return { loss, right: labels ? right : null };
  }
}

function summary(rows) {
  const units = rows[0].length, many = rows.length * units;
  let sum = 0, zeros = 0;
  for (const row of rows) for (const v of row) { sum += v; zeros += v === 0; }
  const mean = sum / many;
  let squares = 0;
  for (const row of rows) for (const v of row) squares += (v - mean) ** 2;
  let dead = 0;
  for (let k = 0; k < units; k++) dead += rows.every((row) => row[k] === rows[0][k]);
  return { mean, std: Math.sqrt(squares / many), zeros: zeros / many, dead, units };
}

// The nodes that say how a unit of a layer comes about, and how its derivatives do.
export function nodesOf(plan, place) {
  const layer = plan.layers[place], within = (i, first, last) => i >= first && i <= last;
  const writers = (name, from, to) => plan.nodes.map((_, i) => i).filter((i) =>
    within(i, from, to) && plan.nodes[i].writes.some((w) => overlaps(plan, w, name)));
  const end = plan.nodes.length - 1;
  const forward = layer.buffers.flatMap((name) => writers(name, 0, plan.lossNode));
  const back = layer.gradients.filter((g) => g !== null).flatMap((name) => writers(name, plan.lossNode + 1, end));
  const span = (found) => found.length ? plan.nodes.map((_, i) => i).filter((i) =>
    within(i, Math.min(...found), Math.max(...found))) : [];
  const ahead = span(forward);
  const own = new Set(ahead.flatMap((i) => plan.nodes[i].reads));
  const learned = plan.parameters.filter((p) => p.gradient !== null && own.has(p.name));
  const ofLoss = place === plan.layers.length - 1 && back.length > 0; // with what comes from the loss
  const down = span(ofLoss ? [plan.lossNode + 1, ...back] : back);
  const ofParameters = learned.flatMap((p) => writers(p.gradient, plan.lossNode + 1, end));
  return { forward: ahead, backward: [...new Set([...down, ...ofParameters])], learned };
}

export function overlaps(plan, one, other) {
  const a = plan.buffers[one], b = plan.buffers[other];
  if (!a || !b || a.home !== b.home) return false;
  const end = (c) => c.first + (c.size / c.width - 1) * c.apart + c.width;
  return a.first < end(b) && b.first < end(a);
}
