"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const by = (name) => document.querySelector(`[data-chart="${name}"]`);
  const palette = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `var(--c${n})`);
  const colour = (n) => palette[n % palette.length];
  const number = (v, digits = 4) => {
    if (v === null || v === undefined || Number.isNaN(v)) return "–";
    if (v !== 0 && (Math.abs(v) < 1e-4 || Math.abs(v) >= 1e7)) return v.toExponential(digits - 1);
    if (Math.abs(v) >= 10 ** (digits - 1)) return Math.round(v).toLocaleString("en");
    return String(Number(v.toPrecision(digits)));
  };
  const share = (v) => (v === null || Number.isNaN(v) ? "–" : `${(100 * v).toFixed(1)} %`);
  const day = (v) => new Date(v * 864e5);

  // Each chart is a function of the width that it has; each table its header and rows.
  const charts = {}, tables = {}, legends = {};
  const state = { threshold: 0, network: 0, layer: 0 };

  function draw(name) {
    const at = by(name);
    if (!at || !charts[name]) return;
    const width = Math.max(240, Math.floor(at.clientWidth));
    const made = [];
    if (legends[name]) {
      const legend = document.createElement("div");
      legend.className = "legend";
      for (const [text, of] of legends[name]()) {
        const one = document.createElement("span");
        one.textContent = text;
        one.style.setProperty("--of", of);
        legend.append(one);
      }
      made.push(legend);
    }
    made.push(charts[name](width));
    at.replaceChildren(...made);
  }
  const plot = (width, height, options) =>
    Plot.plot({ width, height, style: { background: "none", color: "var(--ink)" }, marginLeft: 48, marginBottom: 38, ...options });
  const percent = { tickFormat: (v) => `${Math.round(100 * v)} %` };

  function fill(details) {
    const found = tables[details.dataset.table];
    if (!found) return;
    const [head, rows] = found();
    const table = document.createElement("table");
    const line = table.createTHead().insertRow();
    for (const text of head) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      line.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const one = body.insertRow();
      for (const value of row) {
        const cell = one.insertCell();
        cell.textContent = typeof value === "number" ? number(value) : value ?? "–";
        if (typeof value === "number") cell.className = "n";
      }
    }
    details.querySelector("div").replaceChildren(table);
  }

  // classes -----------------------------------------------------------------------------------------
  if (data.classes) {
    const curves = data.classes.curves;
    const two = data.labels.length === 2 && curves.length === 1;
    for (const c of curves) {
      c.points = c.thresholds.map((t, i) => ({
        label: c.label, threshold: t, hits: c.hits[i], alarms: c.alarms[i],
        recall: c.positives ? c.hits[i] / c.positives : NaN,
        alarm: c.negatives ? c.alarms[i] / c.negatives : NaN,
        precision: c.hits[i] + c.alarms[i] ? c.hits[i] / (c.hits[i] + c.alarms[i]) : 1,
      }));
    }
    const points = curves.flatMap((c) => c.points);
    const mark = (x, y) => (two ? [Plot.dot([curves[0].points[state.threshold]], { x, y, r: 6, fill: "var(--c2)", stroke: "var(--card)", strokeWidth: 2 })] : []);
    const stroke = (d) => colour(curves.findIndex((c) => c.label === d.label));
    const lines = (x, y) => curves.map((c, i) => Plot.line(c.points, { x, y, stroke: colour(i), strokeWidth: 2 }));
    const told = (of) => () => curves.map((c, i) => [`${c.label} (${of === "auc" ? "AUC" : "average precision"} ${number(c[of])})`, colour(i)]);
    legends.roc = told("auc");
    charts.roc = (width) => plot(width, Math.min(width, 340), {
      x: { label: "false alarms", domain: [0, 1], ...percent }, y: { label: "found", domain: [0, 1], ...percent },
      marks: [Plot.ruleY([0]), Plot.line([[0, 0], [1, 1]], { stroke: "var(--faint)", strokeDasharray: "4 4" }), ...lines("alarm", "recall"), ...mark("alarm", "recall"),
        Plot.tip(points, Plot.pointer({ x: "alarm", y: "recall", title: (d) => `${d.label}\nthreshold ${number(d.threshold)}\nfound ${share(d.recall)}\nfalse alarms ${share(d.alarm)}`, stroke }))],
    });
    legends.pr = told("average_precision");
    charts.pr = (width) => plot(width, Math.min(width, 340), {
      x: { label: "recall", domain: [0, 1], ...percent }, y: { label: "precision", domain: [0, 1], ...percent },
      marks: [Plot.ruleY([0]), ...(two ? [Plot.ruleY([curves[0].positives / (curves[0].positives + curves[0].negatives)], { stroke: "var(--faint)", strokeDasharray: "4 4" })] : []),
        ...lines("recall", "precision"), ...mark("recall", "precision"),
        Plot.tip(points, Plot.pointer({ x: "recall", y: "precision", title: (d) => `${d.label}\nthreshold ${number(d.threshold)}\nrecall ${share(d.recall)}\nprecision ${share(d.precision)}`, stroke }))],
    });
    tables.roc = () => [["class", "threshold", "found", "false alarms"], points.map((p) => [p.label, p.threshold, share(p.recall), share(p.alarm)])];
    tables.pr = () => [["class", "threshold", "recall", "precision"], points.map((p) => [p.label, p.threshold, share(p.recall), share(p.precision)])];
    const c = data.classes.calibration;
    const bins = c.said.map((said, i) => ({ said, found: c.found[i], low: c.low[i], high: c.high[i], rows: c.rows[i] }));
    charts.calibration = (width) => plot(width, 320, {
      x: { label: "the model says", domain: [0, 1], ...percent }, y: { label: "came true", domain: [0, 1], ...percent },
      marks: [Plot.line([[0, 0], [1, 1]], { stroke: "var(--faint)", strokeDasharray: "4 4" }), Plot.line(bins, { x: "said", y: "found", stroke: "var(--c1)" }),
        Plot.ruleX(bins, { x: "said", y1: "low", y2: "high", stroke: "var(--c1)", strokeWidth: 2 }),
        Plot.dot(bins, { x: "said", y: "found", fill: "var(--c1)", r: 4, tip: true, title: (d) => `says ${share(d.said)}\ncame true ${share(d.found)}\n${share(d.low)} to ${share(d.high)}\n${d.rows} rows` })],
    });
    tables.calibration = () => [["says", "came true", "from", "to", "rows"], bins.map((b) => [share(b.said), share(b.found), share(b.low), share(b.high), b.rows])];

    if (two) {
      const curve = curves[0], all = curve.positives + curve.negatives;
      const slider = document.getElementById("threshold");
      const costs = ["cost-alarm", "cost-miss"].map((id) => document.getElementById(id));
      const cost = (p) => (costs[0].valueAsNumber * p.alarms + costs[1].valueAsNumber * (curve.positives - p.hits)) / all;
      const model = curve.thresholds.indexOf(data.classes.threshold);
      // thresholds fall; between two of them nothing changes
      const nearest = (t) => Math.max(0, d3.bisector((d) => -d.threshold).right(curve.points, -t) - 1);
      const show = () => {
        const p = curve.points[state.threshold];
        const tp = p.hits, fp = p.alarms, fn = curve.positives - tp, tn = curve.negatives - fp;
        const cells = { tp, fp, fn, tn };
        for (const [name, value] of Object.entries(cells)) {
          const cell = document.querySelector(`[data-cell="${name}"]`);
          cell.textContent = value.toLocaleString("en");
          const of = name === "tp" || name === "fn" ? curve.positives : curve.negatives;
          cell.style.background = `rgba(var(--heat), ${of ? (0.75 * value / of).toFixed(2) : 0})`;
        }
        const rates = { accuracy: share((tp + tn) / all), recall: share(tp / curve.positives), precision: share(tp + fp ? tp / (tp + fp) : NaN), alarm: share(fp / curve.negatives), cost: number(cost(p)) };
        for (const [name, value] of Object.entries(rates)) document.querySelector(`[data-rate="${name}"]`).textContent = value;
        const text = number(Math.min(1, p.threshold)) + (state.threshold === model ? " (as the model)" : "");
        document.getElementById("threshold-value").textContent = text;
        slider.setAttribute("aria-valuetext", text);
        ["roc", "pr", "cost"].forEach(draw);
      };
      const set = (at) => { state.threshold = at; slider.value = Math.min(1, curve.points[at].threshold); show(); };
      charts.cost = (width) => plot(width, 200, {
        x: { label: `threshold of ${curve.label}`, domain: [0, 1] }, y: { label: "cost of a row", zero: true },
        marks: [Plot.ruleY([0]), Plot.line(curve.points, { x: (d) => Math.min(1, d.threshold), y: cost, stroke: "var(--c1)", strokeWidth: 2, curve: "step-before" }), Plot.ruleX([Math.min(1, curve.points[state.threshold].threshold)], { stroke: "var(--c2)", strokeDasharray: "4 3", strokeWidth: 2 })],
      });
      tables.cost = () => [["threshold", "false alarms", "missed", "cost of a row"], curve.points.map((p) => [Math.min(1, p.threshold), p.alarms, curve.positives - p.hits, cost(p)])];
      slider.addEventListener("input", () => { state.threshold = nearest(slider.valueAsNumber); show(); });
      costs.forEach((one) => one.addEventListener("input", show));
      document.getElementById("cheapest").addEventListener("click", () => set(d3.minIndex(curve.points, cost)));
      document.getElementById("as-model").addEventListener("click", () => set(model));
      set(model < 0 ? d3.minIndex(curve.points, cost) : model);
    }
  }

  // numbers -----------------------------------------------------------------------------------------
  if (data.values) {
    const v = data.values;
    const rows = v.predicted.map((p, i) => ({ predicted: p, actual: v.actual[i] }));
    const cells = v.density.map(([x1, x2, y1, y2, rows]) => ({ x1, x2, y1, y2, rows }));
    const span = cells.length ? [d3.min(cells, (d) => Math.min(d.x1, d.y1)), d3.max(cells, (d) => Math.max(d.x2, d.y2))] : d3.extent(rows.flatMap((d) => [d.predicted, d.actual]));
    charts.actual = (width) => plot(width, Math.min(width, 380), {
      marginLeft: 60, x: { label: "predicted", domain: span, nice: true }, y: { label: "actual", domain: span, nice: true },
      marks: [
        ...(cells.length
          ? [Plot.rect(cells, { x1: "x1", x2: "x2", y1: "y1", y2: "y2", fill: "var(--c1)", fillOpacity: (d) => 0.12 + 0.88 * Math.log1p(d.rows) / Math.log1p(d3.max(cells, (c) => c.rows)), tip: true, title: (d) => `${d.rows} rows\npredicted ${number(d.x1)} to ${number(d.x2)}\nactual ${number(d.y1)} to ${number(d.y2)}` })]
          : [Plot.dot(rows, { x: "predicted", y: "actual", r: 2.5, fill: "var(--c1)", fillOpacity: 0.55, tip: true })]),
        Plot.line([[span[0], span[0]], [span[1], span[1]]], { stroke: "var(--c2)", strokeDasharray: "5 4" }),
      ],
    });
    tables.actual = () => [["predicted", "actual"], rows.map((r) => [r.predicted, r.actual])];
    const bars = v.errors.map((n, i) => ({ from: v.edges[i], to: v.edges[i + 1], n }));
    charts.errors = (width) => plot(width, Math.min(width, 380), {
      marginLeft: 60, x: { label: "predicted − actual" }, y: { label: "rows" },
      marks: [Plot.rect(bars, { x1: "from", x2: "to", y1: 0, y2: "n", fill: "var(--c1)", inset: 0.5, tip: true, title: (d) => `${number(d.from)} to ${number(d.to)}\n${d.n} rows` }), Plot.ruleY([0]), Plot.ruleX([0], { stroke: "var(--c2)", strokeDasharray: "5 4" })],
    });
    tables.errors = () => [["from", "to", "rows"], bars.map((b) => [b.from, b.to, b.n])];
    charts.coverage = (width) => plot(width, 280, {
      x: { label: "promised", ...percent }, y: { label: "found", ...percent },
      marks: [Plot.line([[0.45, 0.45], [1, 1]], { stroke: "var(--faint)", strokeDasharray: "4 4" }), Plot.ruleX(v.coverage, { x: "promised", y1: "low", y2: "high", stroke: "var(--c1)", strokeWidth: 2 }), Plot.dot(v.coverage, { x: "promised", y: "found", fill: "var(--c1)", r: 4, tip: true, title: (d) => `promised ${share(d.promised)}\nfound ${share(d.found)}\n± ${number(d.half_width)}` })],
    });
    tables.coverage = () => [["promised", "found", "from", "to", "interval ±"], v.coverage.map((c) => [share(c.promised), share(c.found), share(c.low), share(c.high), c.half_width])];
  }

  // columns -----------------------------------------------------------------------------------------
  if (data.columns) {
    const all = data.columns.importances, most = all.slice(0, 25);
    const cut = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);
    charts.importance = (width) => {
      const room = width < 500 ? 110 : 190;
      return plot(width, 40 + 24 * most.length, {
        marginLeft: room, marginRight: 24, x: { label: `${data.columns.metric} gets worse by`, grid: true }, y: { label: null, domain: most.map((d) => d.column), tickFormat: (t) => cut(t, width < 500 ? 15 : 26), tickSize: 0 },
        marks: [Plot.barX(most, { y: "column", x: "mean", fill: "var(--c1)", fillOpacity: 0.8, insetTop: 3, insetBottom: 3 }),
          Plot.ruleY(most, { y: "column", x1: (d) => d.mean - d.deviation, x2: (d) => d.mean + d.deviation, stroke: "var(--ink)", strokeWidth: 1.5 }),
          Plot.tip(most, Plot.pointerY({ y: "column", x: "mean", title: (d) => `${d.column}\n${number(d.mean)} ± ${number(d.deviation)}` })), Plot.ruleX([0])],
      });
    };
    tables.importance = () => [["column", "gets worse by", "standard deviation"], all.map((d) => [d.column, d.mean, d.deviation])];
    if (data.image) {
      const [height, across] = data.image;
      const names = Object.fromEntries(all.map((d) => [d.column, d.mean]));
      const ordered = [...all].sort((a, b) => a.column.localeCompare(b.column, "en", { numeric: true }));
      const cells = ordered.map((d, i) => ({ x: i % across, y: Math.floor(i / across), v: names[d.column] }));
      const top = d3.max(cells, (d) => d.v) || 1;
      charts.pixels = (width) => plot(Math.min(width, 320), Math.min(width, 320) * height / across, {
        margin: 2, marginLeft: 2, marginBottom: 2, axis: null, x: { type: "band", padding: 0 }, y: { type: "band", padding: 0 },
        marks: [Plot.cell(cells, { x: "x", y: "y", fill: "var(--c1)", fillOpacity: (d) => Math.max(0.04, d.v / top), tip: true, title: (d) => `row ${d.y}, column ${d.x}: ${number(d.v)}` })],
      });
      tables.pixels = () => [["row", "column", "gets worse by"], cells.map((c) => [c.y, c.x, c.v])];
    }
    (data.columns.dependences || []).forEach((d, place) => {
      const name = `dependence-${place}`, many = d.lines.length > 1;
      const at = d.at.map((v, i) => (d.kind === "category" ? d.labels[i] : d.kind === "date" ? day(v) : v));
      const rows = d.lines.flatMap((line, k) => at.map((x, i) => ({ line, k, x, told: d.labels[i], y: d.answers[i][k], low: d.low[i][k], high: d.high[i][k] })));
      const spread = many ? d3.extent(rows, (r) => r.y) : [d3.min(rows, (r) => r.low), d3.max(rows, (r) => r.high)];
      const tall = spread[1] - spread[0] || 1, floor = spread[0] - 0.04 * tall, under = floor - 0.16 * tall;
      const bars = d.kind === "category" ? d.density.map((n, i) => ({ x: at[i], n })) : d.density.map(([a, b, n]) => ({ a: d.kind === "date" ? day(a) : a, b: d.kind === "date" ? day(b) : b, n }));
      const full = d3.max(bars, (b) => b.n) || 1;
      const height = (b) => under + 0.16 * tall * (b.n / full);
      const y = { label: data.classes ? "probability" : data.target, domain: [under, spread[1] + 0.03 * tall], grid: true, ...(data.classes ? percent : {}) };
      const title = (r) => `${r.told}\n${many ? r.line + " " : ""}${data.classes ? share(r.y) : number(r.y)}\nmiddle 80 %: ${data.classes ? share(r.low) : number(r.low)} to ${data.classes ? share(r.high) : number(r.high)}`;
      if (many) legends[name] = () => d.lines.map((line, k) => [line, colour(k)]);
      const stroke = (r) => colour(r.k);
      charts[name] = (width) => d.kind === "category"
        ? plot(width, 260, {
            marginLeft: 54, marginBottom: 62, x: { type: "point", domain: at, label: null, tickRotate: at.length > 4 ? -30 : 0, tickFormat: (t) => cut(t, 14), padding: 0.6 }, y,
            marks: [Plot.ruleX(bars, { x: "x", y1: under, y2: height, stroke: "var(--faint)", strokeOpacity: 0.5, strokeWidth: Math.max(4, Math.min(22, width / at.length / 2)) }),
              ...(many ? [] : [Plot.ruleX(rows, { x: "x", y1: "low", y2: "high", stroke: "var(--c1)", strokeOpacity: 0.35, strokeWidth: 6 })]),
              ...d.lines.map((_, k) => Plot.dot(rows.filter((r) => r.k === k), { x: "x", y: "y", fill: colour(k), r: 5 })), Plot.tip(rows, Plot.pointer({ x: "x", y: "y", title, stroke }))],
          })
        : plot(width, 260, {
            marginLeft: 54, x: { label: d.column, ...(d.kind === "date" ? { type: "utc" } : {}) }, y,
            marks: [Plot.rect(bars, { x1: "a", x2: "b", y1: under, y2: height, fill: "var(--faint)", fillOpacity: 0.45, inset: 0.5 }),
              ...(many ? [] : [Plot.areaY(rows, { x: "x", y1: "low", y2: "high", fill: "var(--c1)", fillOpacity: 0.16 })]),
              ...d.lines.map((_, k) => Plot.line(rows.filter((r) => r.k === k), { x: "x", y: "y", stroke: colour(k), strokeWidth: 2.2 })), Plot.tip(rows, Plot.pointer({ x: "x", y: "y", title, stroke }))],
          });
      tables[name] = () => [[d.column, "line", "mean answer", "10 %", "90 %"], rows.map((r) => [r.told, r.line, r.y, r.low, r.high])];
    });
  }

  // pictures of rows --------------------------------------------------------------------------------
  for (const at of document.querySelectorAll("[data-pictures]")) {
    const one = data.mistakes[Number(at.dataset.pictures)];
    const paint = (values, text, of) => {
      const box = document.createElement("figure");
      const svg = d3.create("svg").attr("viewBox", `0 0 ${values[0].length} ${values.length}`).attr("role", "img").attr("aria-label", text);
      svg.selectAll("rect").data(values.flatMap((line, y) => line.map((v, x) => ({ x, y, ...of(v) })))).join("rect").attr("x", (d) => d.x).attr("y", (d) => d.y).attr("width", 1.02).attr("height", 1.02).attr("fill", (d) => d.fill).attr("fill-opacity", (d) => d.opacity);
      const note = document.createElement("figcaption");
      note.className = "faint";
      note.textContent = text;
      box.append(svg.node(), note);
      return box;
    };
    const [low, high] = d3.extent(one.pixels.flat());
    const most = d3.max(one.heat.flat(), Math.abs) || 1;
    at.append(paint(one.pixels, "the picture", (v) => ({ fill: "var(--ink)", opacity: (v - low) / (high - low || 1) })),
      paint(one.heat, `blue: for ${one.predicted}, orange: against it`, (v) => ({ fill: v >= 0 ? "var(--plus)" : "var(--minus)", opacity: Math.abs(v) / most })));
  }

  // training ----------------------------------------------------------------------------------------
  if (data.course) {
    const lines = data.course.trainings.flatMap((t, n) => t.epochs.map((e) => ({ ...e, n, kept: e.epoch === t.row.best_epoch })));
    const curves = (field, dash) => data.course.trainings.map((_, n) => Plot.line(lines.filter((d) => d.n === n && d[field] !== null), { x: "epoch", y: field, stroke: colour(n), strokeWidth: dash ? 1.2 : 2, strokeDasharray: dash ? "4 3" : null, strokeOpacity: dash ? 0.8 : 1 }));
    const kept = (field) => Plot.dot(lines.filter((d) => d.kept && d[field] !== null), { x: "epoch", y: field, fill: (d) => colour(d.n), r: 4.5, stroke: "var(--card)", strokeWidth: 1.5 });
    const tip = (field, name) => Plot.tip(lines.filter((d) => d[field] !== null), Plot.pointer({ x: "epoch", y: field, title: (d) => `network ${d.n + 1}, epoch ${d.epoch}\n${name} ${number(d[field])}` }));
    const names = () => data.course.trainings.map((t, n) => [`${n + 1}: ${t.row.kind}`, colour(n)]);
    const positive = lines.every((d) => d.loss > 0 && (d.validation_loss === null || d.validation_loss > 0));
    const validated = lines.some((d) => d.validation_loss !== null);
    legends.losses = names;
    charts.losses = (width) => plot(width, 320, { marginLeft: 60, x: { label: "epoch" }, y: { label: "loss", type: positive ? "log" : "linear", tickFormat: (v) => number(v, 2), ticks: 6, grid: true }, marks: [...curves("loss", true), ...curves("validation_loss", false), kept(validated ? "validation_loss" : "loss"), tip(validated ? "validation_loss" : "loss", validated ? "validation loss" : "loss")] });
    charts.validation = (width) => plot(width, 320, { marginLeft: 60, x: { label: "epoch" }, y: { label: data.course.score, grid: true }, marks: [...curves("validation_score", false), kept("validation_score"), tip("validation_score", data.course.score)] });
    charts.rate = (width) => plot(width, 180, { marginLeft: 60, x: { label: "epoch" }, y: { label: "learning rate", zero: true, grid: true }, marks: [...curves("learning_rate", false), tip("learning_rate", "learning rate")] });
    const table = (field) => () => [["network", "epoch", field.replace("_", " ")], lines.map((d) => [d.n + 1, d.epoch, d[field]])];
    tables.losses = () => [["network", "epoch", "training loss", "validation loss"], lines.map((d) => [d.n + 1, d.epoch, d.loss, d.validation_loss])];
    tables.validation = table("validation_score");
    tables.rate = table("learning_rate");
  }

  // health ------------------------------------------------------------------------------------------
  if (data.health && data.health.length) {
    const network = document.getElementById("health-network"), layer = document.getElementById("health-layer");
    const edges = data.edges, middle = (i) => (edges[i] + edges[i + 1]) / 2;
    const looks = () => data.health[state.network].looks;
    const rows = () => looks().flatMap((look) => look.layers.map((one) => ({ epoch: look.epoch, ...one })));
    const whole = (all) => (new Set(all.map((d) => d.epoch)).size < 6 ? { ticks: [...new Set(all.map((d) => d.epoch))], tickFormat: "d" } : {});
    const few = () => looks().length < 2;
    const series = (field, options) => (width) => {
      const all = rows().filter((d) => d[field] !== null && d[field] !== undefined && (options.type !== "log" || d[field] > 0));
      const layers = [...new Set(all.map((d) => d.layer))];
      return plot(width, 260, {
        marginLeft: 60, x: { label: "epoch", ...whole(all) }, y: { grid: true, ...options },
        marks: [...layers.map((n, i) => (few() ? Plot.dot : Plot.lineY)(all.filter((d) => d.layer === n), { x: "epoch", y: field, stroke: colour(i), ...(few() ? { fill: colour(i), r: 5 } : { strokeWidth: 2, marker: "dot" }) })),
          Plot.tip(all, Plot.pointer({ x: "epoch", y: field, title: (d) => `layer ${d.layer}, epoch ${d.epoch}\n${number(d[field])}` }))],
      });
    };
    const named = () => [...new Set(rows().map((d) => d.layer))].map((n, i) => [`layer ${n}`, colour(i)]);
    for (const name of ["dead", "gradients", "updates"]) legends[name] = named;
    charts.dead = series("dead", { label: "units", zero: true, domain: [0, Math.max(4, d3.max(data.health.flatMap((h) => h.looks.flatMap((l) => l.layers.map((d) => d.dead)))))], ticks: 4 });
    const log = { type: "log", tickFormat: (v) => number(v, 2), ticks: 5 };
    charts.gradients = series("dz_std", { label: "gradient", ...log });
    charts.updates = series("update", { label: "change in an epoch", ...log });
    charts.spread = (width) => {
      const one = rows().filter((d) => d.layer === state.layer);
      const bars = few() ? Plot.ruleX : Plot.areaY;
      return plot(width, 260, {
        marginLeft: 60, x: { label: "epoch", ...whole(one) }, y: { label: `z of layer ${state.layer}`, grid: true },
        marks: [bars(one, { x: "epoch", y1: (d) => d.z_mean - d.z_std, y2: (d) => d.z_mean + d.z_std, ...(few() ? { stroke: "var(--c1)", strokeWidth: 6, strokeOpacity: 0.35 } : { fill: "var(--c1)", fillOpacity: 0.22 }) }), (few() ? Plot.dot : Plot.lineY)(one, { x: "epoch", y: "z_mean", stroke: "var(--c1)", strokeWidth: 2, fill: few() ? "var(--c1)" : "none" }), Plot.ruleY([0], { stroke: "var(--faint)" })],
      });
    };
    charts.histogram = (width) => {
      const cells = rows().filter((d) => d.layer === state.layer).flatMap((d) => d.histogram.map((n, i) => ({ epoch: d.epoch, i, n, from: edges[i], to: edges[i + 1] })));
      const most = d3.max(cells, (d) => d.n) || 1;
      const scale = document.getElementById("histogram-scale");
      scale.innerHTML = "";
      const ramp = document.createElement("i");
      ramp.style.background = "linear-gradient(90deg, rgba(var(--heat), .02), rgba(var(--heat), 1))";
      scale.append("0", ramp, `${most.toLocaleString("en")} outputs (logarithmic)`);
      const used = cells.filter((d) => d.n > 0);
      const [low, high] = [d3.min(used, (d) => d.i), d3.max(used, (d) => d.i)];
      const inside = cells.filter((d) => d.i >= low && d.i <= high);
      const epochs = [...new Set(cells.map((d) => d.epoch))];
      const step = Math.ceil(epochs.length / (width / 46));
      return plot(width, 300, {
        marginLeft: 60, x: { type: "band", padding: 0, label: "epoch", ticks: epochs.filter((_, i) => i % step === 0), domain: epochs },
        y: { type: "band", padding: 0, reverse: true, label: `outputs y of layer ${state.layer}`, domain: d3.range(low, high + 1), ticks: d3.range(low, high + 1).filter((i) => (i - 20) % 4 === 0), tickFormat: (i) => number(edges[i], 2) },
        marks: [Plot.cell(inside, { x: "epoch", y: "i", fill: "rgb(var(--heat))", fillOpacity: (d) => Math.log1p(d.n) / Math.log1p(most), tip: true, title: (d) => `epoch ${d.epoch}\n${number(d.from)} to ${number(d.to)}\n${d.n} outputs` })],
      });
    };
    tables.histogram = () => [["epoch", "from", "to", "outputs"], rows().filter((d) => d.layer === state.layer).flatMap((d) => d.histogram.map((n, i) => [d.epoch, edges[i], edges[i + 1], n]).filter((r) => r[3]))];
    const list = (...fields) => () => [["epoch", "layer", ...fields.map((f) => f.replace("_", " "))], rows().map((d) => [d.epoch, d.layer, ...fields.map((f) => d[f])])];
    tables.spread = list("z_mean", "z_std");
    tables.dead = list("dead", "units");
    tables.gradients = list("dz_std");
    tables.updates = list("update");
    const choose = () => {
      state.network = Number(network.value);
      const layers = looks()[looks().length - 1].layers;
      layer.replaceChildren(...layers.map((one, i) => new Option(`${one.layer}${i === layers.length - 1 ? " (the last one)" : ""}`, one.layer)));
      if (!layers.some((one) => one.layer === state.layer)) state.layer = layers[0].layer;
      layer.value = state.layer;
      const body = document.querySelector("#layers tbody");
      body.replaceChildren();
      for (const one of layers) {
        const line = body.insertRow();
        const values = [one.layer, one.units, one.dead, one.z_mean, one.z_std, one.y_std, share(one.flat), one.dz_std, one.update === null ? "–" : share(one.update)];
        for (const value of values) Object.assign(line.insertCell(), { className: "n", textContent: typeof value === "number" ? number(value, 3) : value });
      }
      redraw();
    };
    const redraw = () => ["histogram", "spread", "dead", "gradients", "updates"].forEach(draw);
    network.addEventListener("change", choose);
    layer.addEventListener("change", () => { state.layer = Number(layer.value); redraw(); });
    choose();
  }

  // the page ----------------------------------------------------------------------------------------
  for (const details of document.querySelectorAll("[data-table]")) {
    details.addEventListener("toggle", () => { if (details.open) fill(details); });
    if (!charts[details.dataset.table]) details.remove();
  }
  const all = () => Object.keys(charts).forEach(draw);
  all();
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; all(); } });
  const theme = document.getElementById("theme"), root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  label();
  const links = [...document.querySelectorAll("nav a")];
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) for (const link of links) link.classList.toggle("here", link.hash === `#${entry.target.id}`);
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("section").forEach((one) => seen.observe(one));
  document.body.dataset.ready = "yes";
})();
