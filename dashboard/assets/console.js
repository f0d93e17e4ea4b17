// The console's own script: pages are whole without it. It mounts figures in the theme's colours,
// switches the theme, submits filters when they change, and listens to a few keys.

const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// ---- theme: kept in a cookie, so that the server sends the next page in it
const choices = all("[data-theme-choice]");

function showTheme() {
  const theme = root.dataset.theme || "";
  choices.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme)));
}

choices.forEach((button) =>
  button.addEventListener("click", () => {
    const theme = button.dataset.themeChoice;
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `signalbox_theme=${theme}; path=/; max-age=${theme ? 31536000 : 0}; samesite=lax${secure}`;
    showTheme();
    drawAll();
  }),
);
showTheme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());

// ---- figures: built by the server; only colours are filled in here
const probe = document.body.appendChild(document.createElement("span"));
probe.hidden = true;

function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

function painted(figure) {
  const data = figure.data.map((trace) => {
    const hue = colour(trace.meta.colour);
    if (trace.type === "heatmap") return { ...trace, colorscale: [[0, colour("sunken")], [1, hue]] };
    const marker = { ...trace.marker, color: hue };
    return trace.type === "bar" ? { ...trace, marker } : { ...trace, marker, line: { ...trace.line, color: hue } };
  });
  const font = { family: getComputedStyle(document.body).fontFamily, size: 11, color: colour("ink-3") };
  const layout = {
    ...figure.layout,
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font,
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line-strong"), font: { ...font, size: 12, color: colour("ink") } },
    xaxis: { ...figure.layout.xaxis, linecolor: colour("line"), showline: true, tickcolor: colour("line"), ticks: "outside", ticklen: 4 },
    yaxis: { ...figure.layout.yaxis, gridcolor: colour("line") },
  };
  return [data, layout];
}

function draw(element) {
  const source = document.getElementById(element.dataset.figure);
  const [data, layout] = painted(JSON.parse(source.textContent));
  return Plotly.react(element, data, layout, { displayModeBar: false, responsive: true });
}

const drawn = new Set();
function drawAll() {
  drawn.forEach((element) => draw(element));
}

// Figures below the fold cost nothing until they come near the window.
const near = new IntersectionObserver(
  (entries) =>
    entries
      .filter((entry) => entry.isIntersecting)
      .forEach(({ target }) => {
        near.unobserve(target);
        drawn.add(target);
        draw(target);
      }),
  { rootMargin: "200px" },
);
if (window.Plotly) all("[data-figure]").forEach((element) => near.observe(element));

// ---- forms that only read submit when they change; empty fields stay out of the URL
all("form[data-submit-on-change]").forEach((form) => form.addEventListener("change", () => form.requestSubmit()));
all("form[method=get]").forEach((form) =>
  form.addEventListener("submit", () => {
    all("select, input", form).forEach((field) => (field.disabled = field.value === ""));
  }),
);
// A page that comes back out of the browser's cache has its fields again.
addEventListener("pageshow", () => all("form[method=get] :disabled").forEach((field) => (field.disabled = false)));

// ---- the time range: a date chooses "Dates", and the browser's own zone is offered
all("[data-chooses]").forEach((field) =>
  field.addEventListener("input", () => (field.form.querySelector(`[value="${field.dataset.chooses}"]`).checked = true)),
);
all("[data-zones]").forEach((select) => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (own && !all("option", select).some((option) => option.textContent.replaceAll(" ", "_").startsWith(own)))
    select.options[0].after(new Option(`${own.replaceAll("_", " ")} (of this browser)`, own));
});

// ---- popovers close on Escape and on a click elsewhere
const open = () => all("details[data-menu][open], details.how[open]");
addEventListener("click", (event) =>
  open().forEach((details) => details.contains(event.target) || (details.open = false)),
);

// ---- copy
all("[data-copy]").forEach((button) => {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("[data-copy-text]").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
});

// ---- exports: fetched here to show how far they are, as long as they fit into memory; else the browser's download
const EXPORT_ROWS_MAX = 200000;
all("[data-export]").forEach((link) =>
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const shown = link.closest("ul").querySelector("[data-progress]");
    const [bar, words] = [shown.querySelector("progress"), shown.querySelector("span")];
    const leave = new AbortController();
    const answer = await fetch(link.href, { signal: leave.signal }).catch(() => null);
    const rows = Number(answer?.headers.get("x-signalbox-rows"));
    if (!answer?.ok || rows > EXPORT_ROWS_MAX) {
      leave.abort();
      location.assign(link.href);
      return;
    }
    shown.hidden = false;
    bar.removeAttribute("value");
    const parts = [];
    let bytes = 0;
    try {
      for (const reader = answer.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        bytes += value.length;
        words.textContent = `${(bytes / 1e6).toFixed(1)} MB of ${rows.toLocaleString("en")} rows`;
      }
    } catch {
      words.textContent = "The export was cut. Try again.";
      return;
    }
    bar.value = 1;
    words.textContent = `${rows.toLocaleString("en")} rows, ${(bytes / 1e6).toFixed(1)} MB`;
    const save = document.createElement("a");
    save.href = URL.createObjectURL(new Blob(parts, { type: answer.headers.get("content-type") }));
    save.download = link.pathname.split("/").pop();
    save.click();
    setTimeout(() => URL.revokeObjectURL(save.href), 60000);
  }),
);

// ---- lists: a click anywhere on a line opens it, unless text is being selected
all("[data-list] tbody tr").forEach((row) =>
  row.addEventListener("click", (event) => {
    if (event.target.closest("a, button, select") || String(getSelection())) return;
    row.querySelector("a.open").click();
  }),
);

function step(by) {
  const links = all("[data-list] a.open");
  const place = links.indexOf(document.activeElement);
  links[Math.max(0, Math.min(links.length - 1, place + by))]?.focus();
}

// ---- the palette: pages by name, a request by its id
const palette = document.getElementById("palette");
if (palette) {
  const wanted = palette.querySelector("input");
  const rows = all("li", palette);
  const shown = () => rows.filter((row) => !row.hidden);

  const select = (row) => {
    rows.forEach((one) => one.setAttribute("aria-selected", String(one === row)));
    if (row) wanted.setAttribute("aria-activedescendant", row.id);
    row?.scrollIntoView({ block: "nearest" });
  };
  const narrow = () => {
    const words = wanted.value.trim().toLowerCase();
    const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(words);
    rows.forEach((row) => {
      row.hidden = row.dataset.request ? !isId : isId || !row.textContent.toLowerCase().includes(words);
      if (row.dataset.request && isId) {
        row.querySelector("a").href = row.dataset.request + words;
        row.querySelector("[data-wanted]").textContent = words;
      }
    });
    palette.querySelector("[data-none]").hidden = shown().length > 0;
    select(shown()[0]);
  };
  wanted.addEventListener("input", narrow);
  wanted.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const place = shown().findIndex((row) => row.getAttribute("aria-selected") === "true");
    if (by) select(shown()[(place + by + shown().length) % shown().length]);
    if (event.key === "Enter") shown()[place]?.querySelector("a").click();
    if (by || event.key === "Enter") event.preventDefault();
  });
  const openPalette = () => {
    wanted.value = "";
    narrow();
    palette.showModal();
  };
  all("[data-palette]").forEach((button) => {
    button.hidden = false;
    if (!/Mac|iP/.test(navigator.platform)) button.querySelector("kbd").textContent = "Ctrl K";
    button.addEventListener("click", openPalette);
  });
  addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    palette.open ? palette.close() : openPalette();
  });
}

// ---- keys; who works by voice or a switch can turn the single letters off
const keysOff = document.querySelector("[data-keys-off]");
const KEYS_OFF = "signalbox_keys_off";
if (keysOff) {
  keysOff.checked = localStorage.getItem(KEYS_OFF) === "1";
  keysOff.addEventListener("change", () => localStorage.setItem(KEYS_OFF, keysOff.checked ? "1" : "0"));
}
let isGoing = false;
addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    open().forEach((details) => {
      details.open = false;
      details.querySelector("summary").focus();
    });
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  if (keysOff?.checked) return;
  if (isGoing) {
    isGoing = false;
    document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
    return;
  }
  const keys = {
    g: () => {
      isGoing = true;
      setTimeout(() => (isGoing = false), 1500);
    },
    j: () => step(1),
    k: () => step(-1),
    t: () => document.querySelector(".segmented [aria-current], .segmented a")?.focus(),
    "/": () => document.querySelector("[data-filters] select, [data-submit-on-change] select")?.focus(),
    ".": () => document.querySelector("[data-live]")?.click(),
    "?": () => document.getElementById("keys")?.showModal(),
  };
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
