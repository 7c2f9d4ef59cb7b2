// Pictures as SVG: attention maps, strips of numbers, bars. Colours come from the style sheet (light and dark).

import { shown, svg } from "./dom.js";

// Attention of one head: one row per query, one column per key. Values are probabilities in [0, 1].
export function attentionMap(map, tokens, { size, labels = false, selected = -1, onselect = null }) {
  const margin = labels ? 92 : 0;
  const cell = (size - margin) / tokens.length;
  const root = svg("svg", {
    viewBox: `0 0 ${size} ${size}`, class: "map", role: "img",
    "aria-label": labels ? "Attention of the selected head: rows look at columns" : null, "aria-hidden": labels ? null : true,
  });
  root.append(svg("rect", { x: margin, y: margin, width: size - margin, height: size - margin, class: "ground" }));
  map.forEach((row, query) => row.forEach((weight, key) => {
    if (weight >= 0.004) {
      root.append(svg("rect", {
        x: margin + key * cell, y: margin + query * cell, width: cell, height: cell, class: "ink",
        "fill-opacity": Math.min(1, Math.sqrt(weight)).toFixed(3),
      }, labels ? svg("title", {}, `${shown(tokens[query])} → ${shown(tokens[key])}: ${weight.toFixed(3)}`) : null));
    }
  }));
  if (labels) {
    const font = Math.max(7, Math.min(13, cell * 0.8));
    tokens.forEach((token, index) => {
      const middle = margin + (index + 0.5) * cell;
      root.append(
        svg("text", { x: margin - 4, y: middle, "text-anchor": "end", "dominant-baseline": "central", "font-size": font }, shown(token)),
        svg("text", { x: 0, y: 0, "font-size": font, "dominant-baseline": "central", transform: `translate(${middle} ${margin - 4}) rotate(-90)` }, shown(token)));
    });
    if (selected >= 0) {
      root.append(svg("rect", { x: margin, y: margin + selected * cell, width: size - margin, height: cell, class: "frame" }));
    }
    if (onselect) {
      tokens.forEach((token, index) => root.append(svg("rect", {
        x: 0, y: margin + index * cell, width: size, height: cell, class: "hit",
        onmouseenter: () => onselect(index), onclick: () => onselect(index),
      })));
    }
  }
  return root;
}

// A strip of signed numbers, one cell each: blue below zero, orange above, white at zero.
export function strip(values, scale, label) {
  const width = 6;
  return svg("svg", { viewBox: `0 0 ${values.length * width} 14`, class: "strip", role: "img", "aria-label": label, preserveAspectRatio: "none" },
    svg("rect", { width: values.length * width, height: 14, class: "ground" }),
    values.map((value, index) => svg("rect", {
      x: index * width, width, height: 14, class: value < 0 ? "negative" : "positive",
      "fill-opacity": Math.min(1, Math.abs(value) / scale).toFixed(2),
    })));
}

// Horizontal bars; values may be negative. `format` writes the number at the end of each bar.
export function bars(labels, values, format, label) {
  const [height, width, name, number] = [22, 480, 120, 64];
  const low = Math.min(0, ...values), high = Math.max(0, ...values);
  const left = name + (low < 0 ? number : 0);
  const unit = (width - left - (high > 0 ? number : 0)) / (high - low || 1);
  const zero = left - low * unit;
  return svg("svg", { viewBox: `0 0 ${width} ${values.length * height}`, class: "bars", role: "img", "aria-label": label },
    values.map((value, index) => {
      const end = zero + value * unit, middle = (index + 0.5) * height;
      return [
        svg("text", { x: name - 8, y: middle, "text-anchor": "end", "dominant-baseline": "central" }, shown(labels[index])),
        svg("rect", {
          x: Math.min(zero, end), y: index * height + 3, width: Math.max(Math.abs(end - zero), 0.5), height: height - 6,
          class: value < 0 ? "negative" : "positive",
        }),
        svg("text", {
          x: value < 0 ? end - 4 : end + 4, y: middle, "text-anchor": value < 0 ? "end" : "start", "dominant-baseline": "central", class: "number",
        }, format(value)),
      ];
    }),
    svg("line", { x1: zero, x2: zero, y1: 0, y2: values.length * height, class: "axis" }));
}

// A grid of signed numbers with row and column names, such as layers by heads.
export function grid(rows, columns, values, format, label) {
  const [left, top, width] = [96, columns.some((name) => name.length > 3) ? 40 + 5 * Math.min(16, Math.max(...columns.map((name) => name.length))) : 20, 640];
  const cell = Math.min(48, (width - left) / columns.length), height = Math.min(30, Math.max(14, cell));
  const scale = Math.max(1e-9, ...values.flat().map(Math.abs));
  const [across, down] = [left + cell * columns.length + 24, top + height * rows.length + 2];
  return svg("svg", { viewBox: `0 0 ${across} ${down}`, width: across * 1.2, class: "grid", role: "img", "aria-label": label },
    columns.map((name, column) => svg("text", top > 20
      ? { transform: `translate(${left + (column + 0.5) * cell} ${top - 4}) rotate(-60)`, "font-size": 11 }
      : { x: left + (column + 0.5) * cell, y: top - 6, "text-anchor": "middle", "font-size": 11 }, shown(name))),
    values.map((row, index) => [
      svg("text", { x: left - 6, y: top + (index + 0.5) * height, "text-anchor": "end", "dominant-baseline": "central", "font-size": 11 }, rows[index]),
      row.map((value, column) => [
        svg("rect", { x: left + column * cell, y: top + index * height, width: cell, height, class: "ground edge" }),
        svg("rect", {
          x: left + column * cell, y: top + index * height, width: cell, height, class: value < 0 ? "negative" : "positive",
          "fill-opacity": (Math.abs(value) / scale).toFixed(2),
        }, svg("title", {}, `${rows[index]}, ${shown(columns[column])}: ${format(value)}`)),
      ]),
    ]));
}
