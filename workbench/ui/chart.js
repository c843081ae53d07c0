// Everything a chart does in the browser. Runs once per page, after BokehJS, with that private BokehJS as `Bokeh`.
// A chart is {item, data, read, fit, detail, tips, parallel, live}: what `json_item` made, its data, and what should happen when the reader
// moves or zooms. Its host says which one it is: `data-chart` holds it, packed, and `data-name` its name, if it has one.
(Bokeh => {
  const {Document} = Bokeh.require("document");
  const {add_document_standalone} = Bokeh.require("embed/standalone");
  const live = new Set();   // charts on this page: {host, doc, home, update, write}
  const find = host => [...live].find(c => c.host === host);

  const inflate = async text => {
    const raw = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    return new Response(new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  // ---- data: columns travel as [digits, whole steps from one value to the next]; null is a missing value
  const unpack = (doc, data, detail) => {
    for (const [source, columns] of Object.entries(data)) {
      const made = {};
      for (const [name, [digits, steps]] of Object.entries(columns)) {
        const values = new Float64Array(steps.length), scale = 10 ** Math.abs(digits);
        let sum = 0;
        steps.forEach((step, i) => {
          if (step === null) { values[i] = NaN; return }
          sum += step; values[i] = digits < 0 ? sum * scale : sum / scale;
        });
        made[name] = values;
      }
      doc.get_model_by_name(source).data = complete(made, source, detail);
    }
  };
  // What candles are drawn with follows from their prices: the open of those that rose and of those that fell, the close of those
  // that did neither, and the two ends of that one's dash.
  const complete = (data, source, detail) => {
    if (!detail || !detail.candles || source != detail.candles.source) return data;
    const {ts, open, close, width} = data, pick = want => open.map((v, i) => want(close[i] - v) ? v : NaN);
    return {...data, up: pick(d => d > 0), down: pick(d => d < 0), flat: pick(d => d === 0),
      ts0: ts.map((t, i) => t - width[i] / 2), ts1: ts.map((t, i) => t + width[i] / 2)};
  };

  // ---- colours: models tagged {paint: {property: token}} get the page's computed token colours
  const probe = (host, token, cache) => {
    if (cache.has(token)) return cache.get(token);
    const el = document.createElement("i");
    el.style.cssText = `display:none;color:var(--wb-${token})`;
    host.append(el);
    const colour = getComputedStyle(el).color;
    el.remove(); cache.set(token, colour);
    return colour;
  };
  const paint = (doc, host) => {
    const cache = new Map();
    for (const model of doc._all_models.values()) {
      for (const tag of model.tags ?? []) {
        if (!tag || !tag.paint) continue;
        const values = {};
        for (const [name, token] of Object.entries(tag.paint)) {
          const colour = probe(host, token, cache), now = model[name];
          values[name] = now !== null && typeof now == "object" && !Array.isArray(now) ? {value: colour} : colour;
        }
        model.setv(values);
      }
    }
  };
  const repaint = () => { for (const c of live) if (c.host.isConnected) paint(c.doc, c.host) };
  new MutationObserver(() => { repaint(); setTimeout(repaint, 400) })   // the theme's own style sheet may load later
    .observe(document.body, {attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"]});
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

  // ---- numbers and times, as the tables write them
  const number = (v, digits) => {
    const text = Math.abs(v).toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
    return v < 0 && /[1-9]/.test(text) ? "\u2212" + text : text;
  };
  const format = (v, field) => {
    if (v === null || v === undefined || Number.isNaN(v)) return "\u2014";
    const text = number(v, field.digits ?? 2), sign = field.signed && v > 0 ? "+" : "";
    return sign + text + (field.unit ? " " + field.unit : "");
  };
  const stamp = (ms, seconds) => new Date(ms).toISOString().replace("T", " ").slice(0, seconds ? 19 : 16);

  const column = (doc, source, name) => doc.get_model_by_name(source).data[name] ?? [];
  const lower = (xs, x) => { let a = 0, b = xs.length; while (a < b) { const m = (a + b) >> 1; if (xs[m] < x) a = m + 1; else b = m } return a };
  const nearest = (xs, x) => { const i = lower(xs, x); return i > 0 && (i == xs.length || x - xs[i-1] < xs[i] - x) ? i - 1 : i };

  // ---- the line of values above a chart, at the crosshair or (pointer away) at the last row
  const addReadout = (doc, host, spec) => {
    const line = document.createElement("div"); line.className = "wb-read"; host.prepend(line);
    const width = spec.fields.map(() => 0);
    const write = x => {
      line.textContent = "";
      const time = document.createElement("time"); line.append(time); let shown = null;
      spec.fields.forEach((field, k) => {
        const xs = column(doc, field.source, field.x), ys = column(doc, field.source, field.y);
        if (!xs.length) return;
        const i = x === null ? xs.length - 1 : nearest(xs, x), v = ys[i];
        if (shown === null) shown = xs[i];
        const item = document.createElement("span"), value = document.createElement("b");
        value.textContent = format(v, field);
        width[k] = Math.max(width[k], value.textContent.length); value.style.minWidth = width[k] + "ch";   // nothing jumps
        if (field.signed && v) value.className = v > 0 ? "up" : "down";
        if (field.token) { const swatch = document.createElement("i"); swatch.style.background = `var(--wb-${field.token})`; item.append(swatch) }
        item.append(field.label + " ", value); line.append(item);
      });
      time.textContent = shown === null ? "" : stamp(shown, spec.seconds) + " UTC";
    };
    let at = null;
    write(null);
    for (const name of spec.figures) {
      const figure = doc.get_model_by_name(name);
      figure.on_event("mousemove", e => write(at = e.x)); figure.on_event("mouseleave", () => write(at = null));
    }
    return () => write(at);
  };

  // ---- the value axis follows what is visible in time
  const fitValues = (doc, spec) => {
    const figure = doc.get_model_by_name(spec.figure), {start, end} = figure.x_range;
    let low = Infinity, high = -Infinity;
    for (const line of spec.lines) {
      if (line.when && !doc.get_model_by_name(line.when).visible) continue;
      const xs = column(doc, line.source, line.x), ys = column(doc, line.source, line.y);
      const a = Math.max(0, lower(xs, start) - 1), b = Math.min(xs.length - 1, lower(xs, end));
      for (let i = a; i <= b; i++) { const v = ys[i]; if (v < low) low = v; if (v > high) high = v }
    }
    if (!(low <= high)) return;
    if (spec.top !== undefined && spec.top !== null) high = spec.top;
    if (spec.floor !== undefined) low = Math.min(low, spec.floor);
    const pad = (high - low || Math.abs(high) * 1e-4 || 1) * 0.06;
    figure.y_range.setv({start: low - pad, end: spec.top === undefined || spec.top === null ? high + pad : high + pad * 0.5});
  };

  // ---- the name of a line stands at its right end, wherever the reader has zoomed to, and clear of the other names
  const placeEnds = (doc, ends) => {
    if (!ends || !ends.length) return;
    const figure = doc.get_model_by_name(ends[0].figure), {start, end} = figure.x_range, {start: low, end: high} = figure.y_range;
    const step = 18 * (high - low) / (figure.properties.inner_height.is_unset ? 230 : figure.inner_height), shown = [];
    for (const spec of ends) {
      const label = doc.get_model_by_name(spec.label), xs = column(doc, spec.source, spec.x), ys = column(doc, spec.source, spec.y);
      let i = lower(xs, end);
      if (i == xs.length || xs[i] > end) i--;
      while (i > 0 && Number.isNaN(ys[i])) i--;
      if (i < 0 || xs[i] < start || Number.isNaN(ys[i])) { label.visible = false; continue }
      shown.push({label, x: i == xs.length - 1 ? xs[i] : end, y: Math.min(Math.max(ys[i], low), high)});
    }
    shown.sort((a, b) => b.y - a.y);
    let roof = high - step;   // a name stands on its line
    for (const one of shown) { one.y = Math.min(one.y, roof); roof = one.y - step }
    let floor = low;
    for (const one of shown.reverse()) { one.y = Math.max(one.y, floor); floor = one.y + step }
    for (const {label, x, y} of shown) label.setv({x, y, visible: true});
  };

  // ---- detail by zoom: candles when few bars are visible, markers small and faint when there are many
  const setDetail = (doc, spec) => {
    const figure = doc.get_model_by_name(spec.figure), {start, end} = figure.x_range;
    if (spec.candles) {
      const xs = column(doc, spec.candles.source, "ts"), few = lower(xs, end) - lower(xs, start) <= spec.candles.most;
      const [wide] = column(doc, spec.candles.source, "width");
      const width = Math.max(1, (wide ?? 0) * (figure.properties.inner_width.is_unset ? 1000 : figure.inner_width) / (end - start));
      for (const name of spec.candles.bodies) doc.get_model_by_name(name).line_width = {value: width};
      for (const name of spec.candles.show) doc.get_model_by_name(name).visible = few;
      for (const name of spec.candles.hide) doc.get_model_by_name(name).visible = !few;
    }
    let count = 0;
    for (const m of spec.markers) { const xs = column(doc, m.source, "ts"); count += lower(xs, end) - lower(xs, start) }
    const size = count > 600 ? 4 : count > 150 ? 6 : 9, alpha = count > 600 ? 0.5 : count > 150 ? 0.8 : 1;
    for (const m of spec.markers)
      doc.get_model_by_name(m.glyph).setv({size: {value: size}, fill_alpha: {value: alpha}, line_alpha: {value: count > 600 ? 0 : 1}});
    for (const name of spec.spans)
      doc.get_model_by_name(name).setv({line_alpha: {value: alpha * 0.8}, line_width: {value: count > 600 ? 1 : 1.5}});
  };
  // A BUY points up from below its price, a SELL points down from above it: the price itself stays readable.
  const triangle = way => (model, {r}) => {
    const path = new Path2D();
    path.moveTo(0, way * 2); path.lineTo(r, way * (2 + 1.7 * r)); path.lineTo(-r, way * (2 + 1.7 * r)); path.closePath();
    return path;
  };
  const shapeMarkers = (doc, spec) => {
    for (const m of spec.markers)
      doc.get_model_by_name(m.glyph).setv({defs: {"@fill": triangle(m.way)}, marker: {value: "@fill"}});
  };

  // ---- what the pointer is on: a fill (size, price, time) or the span of a position (entry, exit, PnL)
  const addTips = (doc, host, spec) => {
    const tip = document.createElement("div"); tip.className = "wb-tip"; tip.hidden = true; host.append(tip);
    const figure = doc.get_model_by_name(spec.figure);
    const line = (text, kind) => { const el = document.createElement("div"); el.textContent = text; if (kind) el.className = kind; tip.append(el) };
    const amount = v => v.toLocaleString("en-US", {maximumFractionDigits: spec.size_digits});
    const find = e => {
      const {start, end} = figure.x_range, {start: low, end: high} = figure.y_range;
      const kx = figure.inner_width / (end - start), ky = figure.inner_height / (high - low);
      let best = null, near = 9;
      for (const m of spec.fills) {
        const xs = column(doc, m.source, "ts"), ys = column(doc, m.source, "px");
        for (let i = lower(xs, e.x - 9 / kx), n = lower(xs, e.x + 9 / kx); i < n; i++) {
          const d = Math.hypot((xs[i] - e.x) * kx, (ys[i] - e.y) * ky - m.way * 7);
          if (d < near) { near = d; best = {m, i} }
        }
      }
      if (best) return best;
      near = 5;
      for (const m of spec.spans) {
        const {ts, ts1, y0, y1} = doc.get_model_by_name(m.source).data;
        for (let i = 0; i < ts.length && ts[i] <= e.x; i++) {
          if (ts1[i] < e.x) continue;
          const y = y0[i] + (y1[i] - y0[i]) * (ts1[i] > ts[i] ? (e.x - ts[i]) / (ts1[i] - ts[i]) : 0), d = Math.abs(y - e.y) * ky;
          if (d < near) { near = d; best = {m, i} }
        }
      }
      return best;
    };
    const hide = () => { tip.hidden = true };
    figure.on_event("mousemove", e => {
      const hit = find(e); tip.textContent = "";
      if (!hit) return hide();
      const {m, i} = hit, d = doc.get_model_by_name(m.source).data;
      if (m.side) {
        line(`${m.side} ${amount(d.qty[i])} @ ${number(d.px[i], spec.price_digits)}`, m.side == "BUY" ? "up" : "down");
        line(stamp(d.ts[i], true) + " UTC");
      } else {
        line(`${d.is_long[i] ? "LONG" : "SHORT"} ${amount(d.qty[i])}: ${number(d.y0[i], spec.price_digits)} to ${number(d.y1[i], spec.price_digits)}`);
        line(`net ${format(d.pnl[i], {digits: 2, signed: true, unit: spec.currency})}`, d.pnl[i] > 0 ? "up" : d.pnl[i] < 0 ? "down" : "");
        line(`${stamp(d.ts[i], true)} to ${stamp(d.ts1[i], true)} UTC`, "mute");
      }
      tip.hidden = false;
      const left = Math.min(e.sx + 14, host.clientWidth - tip.offsetWidth - 8), top = e.sy + host.querySelector(".wb-plot").offsetTop + 16;
      tip.style.left = Math.max(0, left) + "px"; tip.style.top = top + "px";
    });
    figure.on_event("mouseleave", hide);
    return e => { const hit = find(e); return hit ? doc.get_model_by_name(hit.m.source).data.ts[hit.i] : null };
  };

  // ---- parallel coordinates: lines from the places of the trials, one under the pointer, ranges kept by dragging along an axis
  const addParallel = (doc, host, spec) => {
    const figure = doc.get_model_by_name(spec.figure), places = doc.get_model_by_name("trials").data;
    const axes = spec.names.map((_, k) => places["axis" + k]), count = axes[0].length, ranges = new Map();
    const xs = axes.map((_, k) => k), line = i => axes.map(a => a[i]);
    let kept = [];
    const fill = (name, rows) => { doc.get_model_by_name(name).data = {xs: rows.map(() => xs), ys: rows.map(line)} };
    const draw = () => {
      kept = [];
      for (let i = 0; i < count; i++)
        if ([...ranges].every(([k, [low, high]]) => axes[k][i] >= low && axes[k][i] <= high)) kept.push(i);
      fill("others", kept.filter(i => i >= spec.best)); fill("best", kept.filter(i => i < spec.best).reverse()); fill("hovered", []);
      doc.get_model_by_name("brushes").data = {x: [...ranges.keys()], y0: [...ranges.values()].map(r => r[0]), y1: [...ranges.values()].map(r => r[1])};
    };
    draw();
    const axis = doc.get_model_by_name("parallel_names");
    const write = () => {
      const room = Math.max(4, Math.floor((figure.properties.inner_width.is_unset ? 900 : figure.inner_width) / (axes.length - 0.1) / 7.4) - 1);
      axis.major_label_overrides = new Map(spec.names.map((n, k) => [k, n.length > room ? n.slice(0, room - 1) + "\u2026" : n]));
    };
    write(); figure.properties.inner_width.change.connect(write);
    const tip = document.createElement("div"); tip.className = "wb-tip"; tip.hidden = true; host.append(tip);
    const find = e => {
      const k = Math.min(Math.max(Math.floor(e.x), 0), axes.length - 2), t = Math.min(Math.max(e.x - k, 0), 1);
      const scale = figure.inner_height / (figure.y_range.end - figure.y_range.start);
      let best = null, near = 8;
      if (axes.length < 2) return best;
      for (const i of kept) {
        const d = Math.abs(axes[k][i] * (1 - t) + axes[k + 1][i] * t - e.y) * scale;
        if (d < near) { near = d; best = i }
      }
      return best;
    };
    let shown = null;
    const hide = () => { if (shown !== null) { shown = null; fill("hovered", []) } tip.hidden = true };
    figure.on_event("mousemove", e => {
      const i = find(e);
      if (i === null) return hide();
      if (i !== shown) {
        shown = i; fill("hovered", [i]); tip.textContent = "";
        for (const text of [`trial ${spec.trials[i]}`, ...spec.names.map((name, k) => `${name} ${spec.texts[k][i]}`)]) {
          const el = document.createElement("div"); el.textContent = text; tip.append(el);
        }
        tip.firstChild.className = "mute"; tip.lastChild.style.fontWeight = 600;
      }
      tip.hidden = false;
      const beside = e.sx + 16 + tip.offsetWidth > host.clientWidth ? e.sx - tip.offsetWidth - 16 : e.sx + 16;
      tip.style.left = Math.max(0, beside) + "px";
      tip.style.top = Math.max(0, Math.min(e.sy + 8, host.clientHeight - tip.offsetHeight - 4)) + "px";
    });
    figure.on_event("mouseleave", hide);
    let brush = null;
    figure.on_event("panstart", e => {
      const k = Math.round(e.x), width = figure.inner_width / (figure.x_range.end - figure.x_range.start);
      brush = k >= 0 && k < axes.length && Math.abs(e.x - k) * width < 14 ? {k, from: e.y} : null;
    });
    figure.on_event("pan", e => {
      if (!brush) return;
      ranges.set(brush.k, [Math.min(brush.from, e.y), Math.max(brush.from, e.y)]); draw();
    });
    figure.on_event("panend", () => { brush = null });
    figure.on_event("doubletap", () => { ranges.clear(); draw() });
    figure.on_event("tap", e => { const i = find(e); if (i !== null) tell(host, "wb-pick", {name: host.dataset.name, ts: i}) });
  };

  // ---- a page that is being scrolled past a chart keeps scrolling: the wheel zooms once the pointer has moved on the chart
  let scrolled = 0;
  addEventListener("scroll", () => { scrolled = performance.now() }, {capture: true, passive: true});
  const guardWheel = host => {
    let armed = false;
    host.addEventListener("pointermove", () => { if (performance.now() - scrolled > 300) armed = true }, {capture: true, passive: true});
    host.addEventListener("pointerleave", () => { armed = false });
    host.addEventListener("wheel", e => { if (!armed) e.stopPropagation() }, {capture: true, passive: true});
  };

  // ---- double click and keys: Home or Escape shows all, + and - zoom, the arrows move
  const addKeys = (doc, host, names, home) => {
    const range = doc.get_model_by_name(names[0]).x_range;
    const reset = () => range.setv({start: home.start, end: home.end});
    const move = (share, factor) => {
      const {start: first, end: last} = home;
      const half = Math.min((range.end - range.start) * factor, last - first) / 2;
      const middle = (range.start + range.end) / 2 + share * 2 * half;
      const centre = Math.min(Math.max(middle, first + half), last - half);
      range.setv({start: centre - half, end: centre + half});
    };
    const keys = {Home: reset, Escape: reset, "+": () => move(0, 0.7), "=": () => move(0, 0.7), "-": () => move(0, 1 / 0.7),
                  ArrowLeft: () => move(-0.2, 1), ArrowRight: () => move(0.2, 1)};
    for (const name of names) doc.get_model_by_name(name).on_event("doubletap", reset);
    host.tabIndex = 0; host.setAttribute("role", "group");
    host.setAttribute("aria-label", "Chart; plus and minus zoom in time, arrow keys move, Home shows all");
    host.addEventListener("keydown", e => {
      if (!keys[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
      keys[e.key](); e.preventDefault(); e.stopPropagation();   // not a command of the notebook
    });
    // The focus belongs to the whole chart, not to the layer inside of it that takes pointer events.
    const quiet = el => {
      for (const layer of el.querySelectorAll(".bk-events")) { layer.removeAttribute("tabindex"); layer.style.outline = "none" }
      for (const child of el.querySelectorAll("*")) if (child.shadowRoot) quiet(child.shadowRoot);
    };
    quiet(host);
  };

  // ---- a span of time lit up in the charts of the page: a row with `data-span` under the pointer or the focus
  const light = (start, end, only) => {
    for (const {host, doc} of live) {
      if (!host.isConnected || (only && host !== only)) continue;
      for (const box of doc._all_models.values()) {
        if (!(box.tags ?? []).includes("lit")) continue;
        if (start === null) { box.visible = false; continue }
        const figure = doc.get_model_by_name(box.name.slice(4)), {x_range} = figure;
        const least = figure.properties.inner_width.is_unset ? 0 : 3 * (x_range.end - x_range.start) / figure.inner_width;
        const rest = Math.max(0, least - (end - start)) / 2;   // a span of a minute in a year is still seen
        box.setv({left: start - rest, right: end + rest, visible: true});
      }
    }
  };
  const point = e => {
    const row = e.target.closest?.("[data-span]");
    if (row) light(...row.dataset.span.split(",").map(Number)); else light(null, null);
  };
  addEventListener("pointerover", point, {passive: true}); addEventListener("focusin", point);

  const tell = (host, what, detail) => host.dispatchEvent(new CustomEvent(what, {bubbles: true, detail}));

  // ---- what is visible is asked for in finer detail: one question at a time, the last one wins
  const ask = (chart, range) => {
    let waits = false;
    const send = () => {
      waits = false;
      const left = chart.asked ? chart.asked + 2000 - performance.now() : 0;
      if (left > 0) { if (!chart.again) { chart.again = send; setTimeout(() => { if (chart.again) { chart.again = null; send() } }, left) } return }
      chart.asked = performance.now();
      tell(chart.host, "wb-view", {name: chart.host.dataset.name, start: range.start, end: range.end});
    };
    return () => { if (!waits) { waits = true; setTimeout(send, 10) } };
  };
  const answered = chart => { chart.asked = 0; const {again} = chart; chart.again = null; again?.() };

  // ---- data that come later: a new line for what is visible, or rows at the end of it
  const setData = (host, source, columns, mode, rollover) => {
    const chart = find(host);
    if (!chart) return;
    const {doc, home, range} = chart, model = doc.get_model_by_name(source);
    if (!model) return;
    if (mode == "append") model.stream(columns, rollover ?? undefined);
    else { model.data = complete(columns, source, chart.detail); answered(chart) }
    const xs = chart.grows ? model.data.ts ?? [] : [], first = xs[0] ?? Infinity, last = xs[xs.length - 1] ?? -Infinity;
    if (first < home.start || last > home.end) {
      // A view of all, or of the end, stays one.
      const follows = range.end >= home.end, whole = follows && range.start <= home.start;
      home.start = Math.min(home.start, first); home.end = Math.max(home.end, last);
      const span = home.end - home.start, pad = span * 0.02;
      const start = whole ? home.start : follows ? range.start + home.end - range.end : range.start;
      range.bounds = [home.start - pad, home.end + pad];
      if (follows) range.setv({start, end: home.end});
    }
    if (mode == "append") chart.later(); else { chart.update(); chart.write() }   // what was asked for is drawn at once
  };
  const setRange = (host, start, end) => { const chart = find(host); if (chart) chart.range.setv({start, end}) };
  const drop = host => {
    const chart = find(host);
    if (chart) { live.delete(chart); chart.isOver = true; chart.doc.clear() }   // a frame that was asked for may still come
  };

  const show = async host => {
    const text = host.dataset.chart;
    const {item, data, read, fit, detail, tips, parallel, live: asks} = JSON.parse(await inflate(text));
    if (host.dataset.shown || host.dataset.chart !== text) return;   // the same output, run twice by the page
    host.dataset.shown = "1";
    drop(host);
    const doc = Document.from_json(item.doc), root = doc.roots()[0];
    unpack(doc, data, detail);
    paint(doc, host);
    if (detail) shapeMarkers(doc, detail);
    const place = document.createElement("div"); place.className = "wb-plot";
    host.replaceChildren(place);
    const setTicks = figures => {
      for (const name of figures) {
        const figure = doc.get_model_by_name(name);
        if (figure.properties.inner_width.is_unset) continue;
        const wanted = Math.max(2, Math.min(8, Math.floor(figure.inner_width / 105)));
        for (const axis of figure.below) if (axis.ticker && axis.ticker.desired_num_ticks != wanted) axis.ticker.desired_num_ticks = wanted;
      }
    };
    const update = () => {
      if (read) setTicks(read.figures);
       if (detail) setDetail(doc, detail); for (const f of fit ?? []) fitValues(doc, f); placeEnds(doc, read?.ends) };
    let waits = false;
    const later = () => { if (!waits) { waits = true; requestAnimationFrame(() => { waits = false; if (!chart.isOver) { update(); chart.write() } }) } };
    const chart = {host, doc, detail, update, later, write: () => {}, pick: e => e.x, grows: !detail};
    update();
    if (read && read.figures.length) {
      const figure = doc.get_model_by_name(read.figures[0]), range = chart.range = figure.x_range;
      chart.home = {start: range.start, end: range.end};
      const finer = asks ? ask(chart, range) : () => {};
      for (const name of ["start", "end"]) { range.properties[name].change.connect(later); range.properties[name].change.connect(finer) }
      figure.properties.inner_width.change.connect(later);
      for (const name of read.figures)
        doc.get_model_by_name(name).on_event("tap", e => {
          const ts = chart.pick(e); if (ts !== null) tell(host, "wb-pick", {name: host.dataset.name, ts});
        });
    }
    await add_document_standalone(doc, place, {[root.id]: place});
    if (chart.range) {
      chart.write = addReadout(doc, host, read);
      addKeys(doc, host, read.figures, chart.home);
      guardWheel(host);
    }
    if (tips) chart.pick = addTips(doc, host, tips);
    if (parallel) addParallel(doc, host, parallel);
    live.add(chart);
    host.dataset.ready = "1";
    tell(host, "wb-shown", {name: host.dataset.name});
  };
  return {show, repaint, live, light, setData, setRange, drop};
})
