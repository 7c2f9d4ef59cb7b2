// Small helpers to build HTML and SVG. Text always goes through text nodes, so it is shown and never parsed.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-") && typeof value === "boolean") node.setAttribute(name, String(value));
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) node.append(child);
  }
  return node;
}

export function html(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

// A table with a caption, column headers and one row header per row. Cells are strings, numbers or nodes.
export function table(caption, columns, rows, attributes = {}) {
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    html("table", attributes,
      html("caption", {}, caption),
      html("thead", {}, html("tr", {}, html("td", {}), columns.map((name) => html("th", { scope: "col" }, name)))),
      html("tbody", {}, rows.map(([head, ...cells]) => html("tr", {},
        html("th", { scope: "row" }, head), cells.map((cell) => html("td", {}, cell)))))));
}

// A table folded away under its picture: the same numbers for those who do not see the picture.
export function details(summary, ...children) {
  return html("details", {}, html("summary", {}, summary), ...children);
}

// A group of toggle buttons of which one is pressed. Arrow keys move within the group.
export function choice(label, names, selected, choose) {
  const group = html("div", { class: "choice", role: "radiogroup", "aria-label": label });
  const buttons = names.map((name, index) => html("button", {
    type: "button", role: "radio", "aria-checked": index === selected, tabindex: index === selected ? 0 : -1,
    onclick: () => { mark(index); choose(index); },
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = (index + step + buttons.length) % buttons.length;
      mark(next);
      buttons[next].focus();
      choose(next);
    },
  }, name));
  function mark(index) {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-checked", at === index);
      button.setAttribute("tabindex", at === index ? 0 : -1);
    });
  }
  group.append(html("span", { class: "label", "aria-hidden": "true" }, label), ...buttons);
  group.mark = mark;
  return group;
}

export const percent = (probability) => `${(100 * probability).toFixed(probability < 0.0995 ? 2 : 1)}%`;
export const signed = (number, digits = 2) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(digits);
// A token as it is printed: the space before a word shows as "␣", other invisible characters as their code.
export const shown = (text) => text.replace(/^ /, "␣").replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g,
  (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
