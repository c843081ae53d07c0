// A page that Python renders: its HTML is morphed in place, so that focus, caret and scroll stay, and what the reader does goes
// back as actions. `Idiomorph` is the library of that name, put in front of this file.
const MOST_BYTES = 5_000_000, ARMED_MS = 5_000, TYPING_MS = 300, ASK_MS = 15_000, REVEAL_MS = 4_000;

const floats = buffers => buffers.map(b => new Float64Array(b.buffer ? b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) : b));
const inflate = async b => {
  const stream = new Blob([b]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};
const runtimeOf = key => window[key] ??= (() => { let ok; const ready = new Promise(r => ok = r); return {ready, ok, begun: false} })();

// What grows while it loads is brought into sight until it rests or the reader scrolls; what can be seen already stays.
const reveal = box => {
  const place = () => {
    const {top, bottom} = box.getBoundingClientRect();
    if (top < 0 || (top > innerHeight / 2 && bottom > innerHeight)) box.scrollIntoView({block: "start"});
  };
  const sizes = new ResizeObserver(() => requestAnimationFrame(place)), kinds = ["wheel", "pointerdown", "keydown", "touchmove"];
  const stop = () => { sizes.disconnect(); for (const kind of kinds) removeEventListener(kind, stop, true) };
  // Whoever came by keyboard goes on from there, not from the row of a long table.
  if (document.activeElement?.matches(":focus-visible")) { box.tabIndex = -1; box.focus({preventScroll: true}) }
  sizes.observe(box); setTimeout(stop, REVEAL_MS);
  for (const kind of kinds) addEventListener(kind, stop, true);
};

// ---- the end of the kernel: what is on the page is old then, nobody hears what is clicked, and the page has to say so
const ENDS = new Set(["dead", "restarting", "autorestarting", "terminating"]);
const watchKernel = (kernel, isEnded, isLost) => {
  if (!kernel) return () => {};   // a page without one, such as a test's
  const onStatus = (_, status) => { if (ENDS.has(status)) isEnded() };
  const onConnection = (_, status) => isLost(status != "connected");
  kernel.statusChanged.connect(onStatus); kernel.connectionStatusChanged.connect(onConnection); kernel.disposed.connect(isEnded);
  if (kernel.isDisposed) isEnded(); else onStatus(kernel, kernel.status);
  return () => {
    kernel.statusChanged.disconnect(onStatus); kernel.connectionStatusChanged.disconnect(onConnection);
    kernel.disposed.disconnect(isEnded);
  };
};
// One notice for all pieces of an output: it stands above the first.
const NOTICES = {
  ended: ["The kernel has ended.", "Nothing here is brought up to date any more."],
  lost: ["The connection to the kernel is lost.", "It is tried again all the time."],
};
const notify = (area, state, heardAt) => {
  let bar = area.querySelector(":scope > .wb-gone");
  if (!state) { bar?.remove(); return }
  if (!bar) {
    bar = document.createElement("div");
    bar.className = "wb wb-gone"; bar.setAttribute("role", "alert"); bar.dataset.at = "0";
    bar.append(document.createElement("b"), document.createElement("span"));
    area.prepend(bar);
  }
  const at = bar.dataset.at = Math.max(Number(bar.dataset.at), heardAt);
  const isApp = document.body.dataset.voila !== undefined, [what, how] = NOTICES[state];
  const next = state != "ended" || isApp ? "" : " Run the notebook's cells again.";
  bar.dataset.state = state; bar.children[0].textContent = what;
  bar.children[1].textContent = `What you see is from ${new Date(at).toISOString().slice(11, 19)} UTC. ${how}${next}`;
  if (isApp && !bar.children[2]) {
    const button = document.createElement("button");
    button.type = "button"; button.className = "wb-btn"; button.textContent = "Reload the page";
    button.addEventListener("click", () => location.reload()); bar.append(button);
  }
};

export default {
  render({model, el}) {
    el.classList.add("wb", "wb-live");
    // Keys that are typed here are no commands of the notebook. It looks at the element that has the focus alone.
    const KEEP = "data-lm-suppress-shortcuts";
    el.setAttribute(KEEP, "true");
    el.addEventListener("focusin", e => e.target.setAttribute(KEEP, "true"));
    const problem = document.createElement("div"), root = document.createElement("div");
    problem.className = "wb-problem"; problem.setAttribute("role", "alert"); problem.hidden = true;
    el.append(problem, root);
    let gone = "", heardAt = Date.now();
    const send = (name, key = "", value = null) => { if (!gone) model.send({type: "action", name, key, value}) };
    const chartOf = name => root.querySelector(`.wb-chart[data-name="${CSS.escape(name)}"]`);
    let runtime = null, isOver = false;

    // ---- charts: the page's runtime comes once, from whoever is asked first
    let asking = 0, asked = null;
    const askFor = page => {
      clearTimeout(asking);
      if (page.begun) return;
      if (!(page.asked && performance.now() - page.asked < ASK_MS)) {
        page.asked = performance.now(); asked = page; model.send({type: "runtime"});
      }
      asking = setTimeout(askFor, 300, page);   // whoever was asked may be gone before it has answered
    };
    const showCharts = () => {
      const hosts = [...root.querySelectorAll(".wb-chart:not([data-shown])")];
      const key = model.get("runtime_key");
      if (!hosts.length || !key) return;
      const page = runtimeOf(key);
      askFor(page);
      page.ready.then(r => { runtime = r; for (const host of hosts) showChart(host) });
    };
    // A view is rendered before it is put into the page, and a chart needs to know its width.
    const showChart = host => {
      if (isOver || !root.contains(host) || host.dataset.shown) return;
      if (!host.isConnected) { requestAnimationFrame(() => showChart(host)); return }
      runtime.show(host).catch(e => {
        host.innerHTML = '<div class="wb-wait wb-fail" role="alert"></div>';
        host.firstChild.textContent = "This chart could not be drawn: " + e;
      });
    };

    const callbacks = {
      // A chart stays as it is while it is the same; another one takes its place.
      beforeNodeMorphed: (old, fresh) => {
        if (old.dataset && old.dataset.armed) return false;
        if (!old.classList || !old.classList.contains("wb-chart")) return true;
        if (!fresh.classList.contains("wb-chart") || old.dataset.chart === fresh.dataset.chart) return false;
        old.dataset.chart = fresh.dataset.chart; old.style.cssText = fresh.style.cssText;
        delete old.dataset.shown; delete old.dataset.ready;
        return false;
      },
      beforeNodeRemoved: node => {
        if (runtime && node.querySelectorAll) {
          for (const host of [node, ...node.querySelectorAll(".wb-chart")]) runtime.drop(host);
        }
        return true;
      },
      // What the reader opened stays open.
      beforeAttributeUpdated: (name, node) => name != KEEP && !(name == "open" && (node.tagName == "DETAILS" || node.tagName == "DIALOG")),
    };
    const draw = () => {
      heardAt = Date.now();
      const html = model.get("html");
      if (root.firstChild) {
        // It would leave out all that is inside what has the focus: the count on a tab, the cells of a row.
        const ignoreActiveValue = !!document.activeElement?.matches("input,textarea,select");
        Idiomorph.morph(root, html, {morphStyle: "innerHTML", ignoreActiveValue, callbacks});
      } else root.innerHTML = html;
      for (const dialog of root.querySelectorAll("dialog[data-modal]:not([open])")) dialog.showModal();
      showCharts();
    };
    const complain = () => { problem.textContent = model.get("problem"); problem.hidden = !problem.textContent };

    // ---- what the reader does
    const disarm = button => { button.textContent = button.dataset.armed; delete button.dataset.armed; button.classList.remove("armed") };
    root.addEventListener("click", e => {
      const target = e.target.closest("[data-copy],[data-action]");
      if (!target || !root.contains(target) || (gone && target.dataset.copy === undefined) || target.disabled || target.getAttribute("aria-disabled") == "true") return;
      if (target.matches("input,select,textarea")) return;
      if (target.dataset.copy !== undefined) {
        navigator.clipboard?.writeText(target.dataset.copy); target.classList.add("copied");
        setTimeout(() => target.classList.remove("copied"), 1200); e.stopPropagation(); return;
      }
      if (target.tagName == "TR" && e.target.closest("a,button,input,select,summary,pre")) return;
      if (target.dataset.confirm && !target.dataset.armed) {
        target.dataset.armed = target.textContent; target.textContent = target.dataset.confirm; target.classList.add("armed");
        setTimeout(() => { if (target.dataset.armed) disarm(target) }, ARMED_MS);
        return;
      }
      if (target.dataset.armed) disarm(target);
      send(target.dataset.action, target.dataset.key);
    });
    root.addEventListener("keydown", e => {
      const row = e.target.closest("tr[data-action],[role=button][data-action],[role=option][data-action],[role=tab][data-action]");
      if (row && e.target === row && (e.key == "Enter" || e.key == " ")) { e.preventDefault(); send(row.dataset.action, row.dataset.key) }
      if (row && e.target === row && (e.key == "ArrowDown" || e.key == "ArrowUp")) {
        let next = row;
        do next = e.key == "ArrowDown" ? next.nextElementSibling : next.previousElementSibling; while (next && next.tabIndex < 0);
        if (next) { e.preventDefault(); next.focus() }
      }
      const way = {ArrowLeft: -1, ArrowRight: 1}[e.key];
      if (way && e.target.matches("[role=tablist] [role=tab]")) {
        const tabs = [...e.target.closest("[role=tablist]").querySelectorAll("[role=tab]")];
        e.preventDefault(); tabs[(tabs.indexOf(e.target) + way + tabs.length) % tabs.length].focus();
      }
      // Ctrl+Enter is the button of the page that says so; what is being typed counts already.
      const first = e.key == "Enter" && (e.ctrlKey || e.metaKey) && root.querySelector("[data-shortcut='ctrl+enter']");
      if (first) {
        e.preventDefault(); e.stopPropagation();
        if (e.target.matches("input[type=text][data-action],textarea[data-action]")) commit(e.target);
        first.click();
      }
      if (e.key == "Escape") {
        const armed = root.querySelector("[data-armed]"); if (armed) disarm(armed);
        const menu = e.target.closest(".wb-menu[open]");
        if (menu) { menu.open = false; menu.querySelector("summary").focus() }
      }
    });
    // A menu that floats over the page closes when the reader goes on elsewhere.
    const leave = e => { for (const menu of root.querySelectorAll(".wb-menu[open]")) if (!menu.contains(e.target)) menu.open = false };
    document.addEventListener("pointerdown", leave);
    root.addEventListener("focusout", e => { const menu = e.target.closest(".wb-menu[open]"); if (menu && e.relatedTarget && !menu.contains(e.relatedTarget)) menu.open = false });
    const typing = new Map();
    const commit = input => {
      clearTimeout(typing.get(input)); typing.delete(input);
      const {action, key} = input.dataset;
      if (input.type == "file") {
        const [file] = input.files;
        if (!file) return;
        if (file.size > MOST_BYTES) { problem.textContent = `${file.name} is larger than 5 MB: too large to be read here`; problem.hidden = false; return }
        file.text().then(text => { send(action, key ?? file.name, text); input.value = "" });
        return;
      }
      if (input.type == "radio" && !input.checked) return;
      const value = input.type == "checkbox" ? input.checked
        : input.multiple ? [...input.selectedOptions].map(o => o.value) : input.value;
      send(action, key, value);
    };
    root.addEventListener("change", e => { if (e.target.dataset.action) commit(e.target) });
    root.addEventListener("input", e => {
      const input = e.target;
      if (!input.dataset.action || input.dataset.live === undefined) return;
      clearTimeout(typing.get(input)); typing.set(input, setTimeout(() => commit(input), TYPING_MS));
    });
    let under = null;
    root.addEventListener("pointerover", e => {
      const row = e.target.closest("[data-hover]");
      if (row === under) return;
      if (row) send(row.dataset.hover, row.dataset.key); else if (under) send(under.dataset.hover);
      under = row;
    });
    root.addEventListener("pointerleave", () => { if (under) { send(under.dataset.hover); under = null } });
    root.addEventListener("wb-view", e => send("view", e.detail.name, [e.detail.start, e.detail.end]));
    root.addEventListener("wb-pick", e => send("pick", e.detail.name, e.detail.ts));
    root.addEventListener("wb-shown", e => { if (e.detail.name) send("shown", e.detail.name) });

    // ---- what Python sends besides HTML
    const hear = async (message, buffers) => {
      heardAt = Date.now();
      if (message.type == "runtime") {
        const page = runtimeOf(message.key);
        if (page.begun) return;
        page.begun = true;
        page.ok(new Function(await inflate(buffers[0])).call({}));
      } else if (message.type == "download") {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([buffers[0]], {type: message.media_type}));
        link.download = message.name; document.body.append(link); link.click(); link.remove();
        setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      } else if (message.type == "focus") {
        root.querySelector(message.selector)?.focus();
      } else if (message.type == "reveal") {
        reveal(el.parentElement);
      } else if (runtime && message.type == "data") {
        const host = chartOf(message.chart), arrays = floats(buffers);
        if (host) runtime.setData(host, message.source, Object.fromEntries(message.columns.map((c, i) => [c, arrays[i]])), message.mode, message.rollover);
      } else if (runtime && message.type == "range") {
        const host = chartOf(message.chart); if (host) runtime.setRange(host, message.start, message.end);
      } else if (runtime && message.type == "light") {
        const host = chartOf(message.chart); if (host) runtime.light(message.start, message.end, host);
      }
    };
    model.on("change:html", draw); model.on("change:problem", complain); model.on("msg:custom", hear);
    draw(); complain();

    // ---- without a kernel
    let area = null;
    const stifled = [];
    const settle = () => {
      if (isOver) return;
      if (!el.isConnected) { requestAnimationFrame(settle); return }
      el.classList.toggle("is-gone", !!gone);
      area = el.closest(".jp-OutputArea-output") ?? el.parentElement;
      notify(area, gone, heardAt);
      if (gone) {
        for (const field of root.querySelectorAll(":is(button,input,select,textarea)[data-action]:not(:disabled)")) {
          field.disabled = true; stifled.push(field);
        }
      } else for (const field of stifled.splice(0)) field.disabled = false;
    };
    const unwatch = watchKernel(
      model.widget_manager?.kernel,
      () => { gone = "ended"; settle() },
      isLost => { if (gone != "ended" && isLost != (gone == "lost")) { gone = isLost ? "lost" : ""; settle() } },
    );
    return () => {
      isOver = true; unwatch(); document.removeEventListener("pointerdown", leave);
      if (area && ![...area.querySelectorAll(".wb-live.is-gone")].some(other => other !== el)) notify(area, "");
      clearTimeout(asking);
      if (asked && !asked.begun) asked.asked = 0;   // the answer would come to nobody: let another one ask
      model.off("change:html", draw); model.off("change:problem", complain); model.off("msg:custom", hear);
      for (const timer of typing.values()) clearTimeout(timer);
      if (runtime) for (const host of root.querySelectorAll(".wb-chart")) runtime.drop(host);
    };
  },
};
