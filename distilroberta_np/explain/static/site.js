// The classroom: a sentence to type, the model's source to change, and the page that shows what happens.

import { html } from "./dom.js";
import { walk } from "./page.js";

const settings = await (await fetch("site.json")).json();
const original = await (await fetch(settings.code)).text();

const status = html("p", { role: "status", "aria-live": "polite" });
const result = html("div", { id: "result" });
const sentence = html("input", { id: "sentence", type: "text", value: settings.sentence, autocomplete: "off" });
const code = html("textarea", { id: "code", rows: 24, spellcheck: "false", autocapitalize: "off", "aria-describedby": "code-help" });
code.value = original;
const run = html("button", { type: "submit", id: "run", disabled: true }, "Run");
const reset = html("button", { type: "button", id: "reset", onclick: () => { code.value = original; submit(); } }, "Reset");
const stop = html("button", { type: "button", id: "stop", disabled: true, onclick: () => { worker.terminate(); begin(); } }, "Stop");

let worker, ready, started;

function begin() {
  ready = false;
  run.disabled = true;
  stop.disabled = true;
  worker = new Worker(`worker.js?pyodide=${encodeURIComponent(settings.pyodide)}`);
  worker.onerror = (event) => { status.textContent = `Python could not be loaded: ${event.message || settings.pyodide}`; };
  worker.onmessage = ({ data }) => {
    if (data.step) status.textContent = data.step;
    if (data.failed) status.textContent = `Loading failed: ${data.failed}`;
    if (data.ready) {
      ready = true;
      run.disabled = false;
      submit();
    }
    if (data.result) show(data.result);
  };
}

function submit() {
  if (!ready || !stop.disabled) return;
  run.disabled = true;
  stop.disabled = false;
  started = performance.now();
  status.textContent = "Computing …";
  worker.postMessage({ text: sentence.value, code: code.value });
}

function show({ page, error }) {
  run.disabled = false;
  stop.disabled = true;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  status.textContent = error ?? `Computed in ${seconds} s${code.value === original ? "" : " with your changes"}.`;
  status.classList.toggle("error", Boolean(error));
  if (page) result.replaceChildren(walk(page));
}

// Tab indents in the editor; Escape, then Tab, leaves it.
let leaving = false;
code.addEventListener("keydown", (event) => {
  if (event.key === "Tab" && !event.shiftKey && !leaving) {
    event.preventDefault();
    code.setRangeText("    ", code.selectionStart, code.selectionEnd, "end");
  }
  leaving = event.key === "Escape";
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
});

document.getElementById("page").replaceChildren(
  html("form", { class: "live", onsubmit: (event) => { event.preventDefault(); submit(); } },
    html("label", { for: "sentence" }, "A sentence with one <mask>"),
    html("div", { class: "row" }, sentence, run, stop, reset),
    html("details", { open: true }, html("summary", {}, "The model: reference/roberta.py"),
      html("p", { id: "code-help" }, "Change a line, run, and see what breaks: drop a residual, swap the GELU, mask a head. Ctrl+Enter runs; Escape, then Tab leaves the editor."),
      code)),
  status, result);
begin();
