"use strict";
// Draws every specification; a string such as "--ink" in it is a CSS variable, looked up when drawing, so that
// light mode, dark mode and print each get their own colours.
(() => {
  const root = document.documentElement;
  window.addEventListener("error", (event) => { root.dataset.error = event.message; });
  const specs = [...document.querySelectorAll("script.spec")].map((node) => ({
    node: document.getElementById(node.dataset.for),
    spec: JSON.parse(node.textContent),
  }));
  const resolve = (value, style) => {
    if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return value.map((item) => resolve(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, style)]));
    }
    return value;
  };
  const draw = () => {
    const style = getComputedStyle(root);
    for (const { node, spec } of specs) {
      const { data, layout } = resolve(spec, style);
      Plotly.newPlot(node, data, { ...layout, width: node.clientWidth }, { displayModeBar: false });
    }
    root.dataset.drawn = String(specs.length);
  };
  for (const { node } of specs) node.replaceChildren();
  draw();
  let waiting = 0;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 120); });
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    window.matchMedia(query).addEventListener("change", draw);
  }
})();
