// The page: a sentence walks through the model, from its text to the five most likely words.
// `page` is the object that distilroberta_np/explain/walk.py makes; its docstring describes every field.

import { attentionMap, bars, grid, strip } from "./charts.js";
import { choice, details, html, percent, shown, signed, table } from "./dom.js";

// What the reader has selected, and who redraws when it changes.
function selection(page) {
  const listeners = [];
  const state = { token: page.mask, layer: 0, head: 0 };
  return {
    ...state,
    set(changes) {
      Object.assign(this, changes);
      listeners.forEach((listener) => listener(this));
    },
    follow(listener) {
      listeners.push(listener);
      listener(this);
    },
  };
}

const names = (page) => page.tokens.map((token) => token.text);
const layerNames = (page) => page.layers.map((_, index) => `layer ${index + 1}`);

function section(id, title, formula, ...content) {
  return html("section", { id, "aria-labelledby": `${id}-title` },
    html("h2", { id: `${id}-title` }, title), formula && html("p", { class: "formula" }, formula), ...content);
}

// The lines of reference/roberta.py that compute this part.
function source(page, ...functions) {
  return functions.filter((name) => page.source[name]).map((name) => {
    const { first, lines, marked } = page.source[name];
    return details(`reference/roberta.py: ${name}, line ${first}`,
      html("pre", { class: "code", tabindex: 0 }, html("code", {}, lines.map((line, index) =>
        html("span", { class: marked.includes(first + index) ? "line marked" : "line" }, `${String(first + index).padStart(3)}  ${line}\n`)))));
  });
}

function shapes(...rows) {
  return html("ul", { class: "shapes", "aria-label": "Shapes" }, rows.map(([name, shape]) =>
    html("li", {}, html("span", {}, name), " ", html("code", {}, `[${shape.join(" × ")}]`))));
}

// Rows of buttons, one per token or layer; the selected one decides what the other parts show.
function tokenChoice(page, state, label) {
  const group = choice(label, names(page).map(shown), state.token, (token) => state.set({ token }));
  state.follow(() => group.mark(state.token));
  return group;
}

function layerChoice(page, state) {
  const group = choice("Layer", page.layers.map((_, index) => String(index + 1)), state.layer, (layer) => state.set({ layer }));
  state.follow(() => group.mark(state.layer));
  return group;
}

function textPart(page, state) {
  const merges = html("div", { class: "merges", "aria-live": "polite" });
  state.follow(() => {
    const token = page.tokens[state.token];
    merges.replaceChildren(html("p", {}, `How “${shown(token.text)}” came about:`), html("ol", {}, token.merges.map((subwords) =>
      html("li", {}, subwords.map((subword) => html("span", { class: "subword" }, shown(subword)))))));
  });
  return section("text", "1. Text to tokens", "bytes → characters → the merge with the lowest rank first, until none applies",
    html("p", {}, "The model reads token ids. Byte-level BPE starts from single bytes and joins the pair that was learned earliest, again and again."),
    html("p", { class: "sentence" }, page.text),
    tokenChoice(page, state, "Token"), merges,
    details("Tokens as a table", table("Tokens, their ids, and the characters they cover", ["token", "id", "characters"],
      page.tokens.map((token, index) => [index, shown(token.text), token.id, token.end > token.start ? `${token.start}–${token.end}` : "none"]))));
}

function embeddingPart(page, state) {
  const { strips, norms, dimensions } = page.embeddings;
  const kinds = Object.keys(strips);
  const picture = html("div", {});
  state.follow(() => {
    const scale = Math.max(...kinds.flatMap((kind) => strips[kind][state.token].map(Math.abs)));
    picture.replaceChildren(html("table", { class: "strips" }, html("tbody", {}, kinds.map((kind) => html("tr", {},
      html("th", { scope: "row" }, kind),
      html("td", {}, strip(strips[kind][state.token], kind === "layer norm" ? Math.max(...strips[kind][state.token].map(Math.abs)) : scale, `${kind}: first ${dimensions} numbers`)),
      html("td", { class: "number" }, `norm ${norms[kind][state.token].toFixed(2)}`))))));
  });
  const [S, H] = [page.tokens.length, page.model.hidden];
  return section("embeddings", "2. Embeddings", "x = LayerNorm(word[id] + position[i + 2] + type[0])",
    html("p", {}, `Each token becomes ${H} numbers: the sum of what it is, where it stands and one shared row, normalized. The picture shows the first ${dimensions} numbers of the selected token; blue is negative, orange positive.`),
    tokenChoice(page, state, "Token"), picture,
    shapes(["word embeddings", [page.model.vocabulary, H]], ["x", [S, H]]),
    details("Norms as a table", table("Euclidean norms of the embeddings", kinds,
      page.tokens.map((token, index) => [shown(token.text), ...kinds.map((kind) => norms[kind][index].toFixed(3))]))),
    source(page, "embeddings", "layer_norm"));
}

function attentionPart(page, state) {
  const heads = html("div", { class: "heads" });
  const large = html("div", { class: "large" });
  const looks = html("div", { class: "looks", "aria-live": "polite" });
  const full = (layer) => page.layers[layer].attention;
  const buttons = Array.from({ length: page.model.heads }, (_, head) => {
    const button = html("button", { type: "button", class: "head", onclick: () => state.set({ head }) });
    heads.append(button);
    return button;
  });
  let drawn = -1;
  state.follow(() => {
    const tokens = names(page);
    const maps = full(state.layer);
    if (drawn !== state.layer) {
      buttons.forEach((button, head) => button.replaceChildren(
        maps ? attentionMap(maps[head], tokens, { size: 96 }) : html("span", {}), html("span", {}, `head ${head + 1}`)));
      drawn = state.layer;
    }
    buttons.forEach((button, head) => button.setAttribute("aria-pressed", head === state.head));
    const row = maps ? maps[state.head][state.token] : page.layers[state.layer].attention_of_mask[state.head];
    const query = maps ? state.token : page.mask;
    large.replaceChildren(maps
      ? attentionMap(maps[state.head], tokens, { size: 460, labels: true, selected: state.token, onselect: (token) => token !== state.token && state.set({ token }) })
      : html("p", {}, "The maps are left out of this page (see the end); the table shows where the mask looks."));
    const order = row.map((weight, key) => [weight, key]).sort((a, b) => b[0] - a[0]).slice(0, 12);
    looks.replaceChildren(table(`Layer ${state.layer + 1}, head ${state.head + 1}: where “${shown(tokens[query])}” (position ${query}) looks`,
      ["position", "probability"], order.map(([weight, key]) => [shown(tokens[key]), key, weight.toFixed(3)]), { class: "numbers" }));
  });
  const { heads: A, head_size: D, hidden: H } = page.model, S = page.tokens.length;
  return section("attention", "3. Attention, layer by layer", "softmax(Q Kᵀ / √D) V in each head, side by side, then an affine map",
    html("p", {}, "Each token asks (query), every token answers (key), and the values are mixed in proportion. Darker cells are higher probabilities; each row sums to 1."),
    layerChoice(page, state),
    html("div", { role: "group", "aria-label": "Heads of the layer" }, heads),
    tokenChoice(page, state, "Query"),
    html("div", { class: "columns" }, large, looks),
    shapes(["Q, K, V", [A, S, D]], ["probabilities", [A, S, S]], ["output", [S, H]]),
    source(page, "attention", "softmax"));
}

function residualPart(page, state) {
  const picture = html("div", { "aria-live": "polite" });
  const rows = ["residual", "attention_output", "feed_forward_output", "output"];
  state.follow(() => {
    const layer = page.layers[state.layer];
    picture.replaceChildren(
      html("h3", {}, `Layer ${state.layer + 1}, “${shown(page.tokens[state.token].text)}”`),
      bars(["comes in", "attention adds", "feed-forward adds", "goes out"], rows.map((name) => layer[name][state.token]), (norm) => norm.toFixed(2),
        "Norms of what comes in, what attention and feed-forward add, and what goes out"),
      table("What the head would say at the mask after each half of this layer", ["1", "2", "3", "4", "5"],
        [["after attention", layer.lens_attention], ["after feed-forward", layer.lens]].map(([name, words]) =>
          [name, ...words.map(([word, probability]) => `${shown(word)} ${percent(probability)}`)])));
  });
  const { hidden: H, feed_forward: F } = page.model, S = page.tokens.length;
  return section("residual", "4. Residual stream and feed-forward", "x = LayerNorm(x + Attention(x));  x = LayerNorm(x + W₂ GELU(W₁ x + b₁) + b₂)",
    html("p", {}, "Each half of a layer adds to what came in and normalises the sum. The bars are Euclidean norms."),
    layerChoice(page, state),
    tokenChoice(page, state, "Token"), picture,
    shapes(["hidden", [S, F]], ["x", [S, H]]),
    details("Norms of every layer as a table", table(`Norms at the mask`, ["comes in", "attention adds", "feed-forward adds", "goes out"],
      page.layers.map((layer, index) => [`layer ${index + 1}`, ...rows.map((name) => layer[name][page.mask].toFixed(2))]))),
    source(page, "layer", "feed_forward", "gelu"));
}

function lensPart(page) {
  const answer = shown(page.answers[0][0]);
  return section("lens", "5. The logit lens", "softmax(head(x)) after each layer",
    html("p", {}, "The head is made for the last layer. Applied to earlier ones it shows the answer taking form."),
    table("The five most likely words at the mask after each layer", ["1", "2", "3", "4", "5", `rank of ${answer}`, `probability of ${answer}`],
      [["embeddings", page.lens], ...page.layers.map((layer, index) => [`layer ${index + 1}`, layer])].map(([name, { lens, rank, probability }]) =>
        [name, ...lens.map(([word, p]) => html("span", { class: shown(word) === answer ? "answer" : null }, `${shown(word)} ${percent(p)}`)), rank, percent(probability)])),
    source(page, "lm_head"));
}

function headPart(page) {
  const { hidden: H, vocabulary: V } = page.model;
  return section("head", "6. Head, softmax and the five words", "logits = LayerNorm(GELU(W x + b)) Eᵀ + c;  p = softmax(logits)",
    html("p", {}, "The output matrix is the word embeddings again: each logit says how well the mask's hidden state agrees with a word."),
    bars(page.logits.map(([word]) => word), page.logits.map(([, logit]) => logit), (logit) => logit.toFixed(2), "The ten largest logits"),
    shapes(["x at the mask", [H]], ["logits", [V]]),
    table("The five most likely words", ["word", "probability"], page.answers.map(([word, probability], index) => [index + 1, shown(word), percent(probability)]), { class: "numbers", id: "answers" }),
    details("Logits as a table", table("The ten largest logits", ["logit", "probability"], page.logits.map(([word, logit, p]) => [shown(word), logit.toFixed(3), percent(p)]))),
    source(page, "lm_head", "softmax", "fill_mask"));
}

function whyPart(page) {
  const why = page.why;
  if (!why) return null;
  const tokens = names(page).map((name, index) => `${index} ${name}`);
  const change = (value) => signed(value, 3);
  const answer = shown(why.answer);
  const part = section("why", "7. Why this word?", null,
    html("p", {}, `Each picture asks what “${answer}” (${percent(Math.exp(why.log_probability))}) depends on. Changes are of its natural log-probability: orange raises it, blue lowers it.`),
    html("h3", {}, "One head left out"),
    grid(layerNames(page), Array.from({ length: page.model.heads }, (_, head) => String(head + 1)), why.heads, change, "Change of the log-probability when a head is left out"),
    details("Heads as a table", table("Change of the log-probability when a head is left out", Array.from({ length: page.model.heads }, (_, head) => `head ${head + 1}`),
      why.heads.map((row, index) => [`layer ${index + 1}`, ...row.map(change)]))),
    html("h3", {}, "One feed-forward block left out"),
    bars(layerNames(page), why.feed_forward, change, "Change of the log-probability when a feed-forward block is left out"));
  if (why.tokens) {
    part.append(
      html("h3", {}, "One token left out"),
      bars(tokens, why.tokens, change, "Change of the log-probability when a token is left out"),
      html("h3", {}, "Attribution"),
      html("p", {}, `Integrated gradients share out the difference between this sentence and one with every token masked: ${signed(why.difference, 3)}. Their sum is off by ${why.completeness_error.toExponential(1)}, the error of the numerical integral.`),
      bars(tokens, why.integrated_gradients, change, "Integrated gradients of the answer by token"),
      details("Tokens as a table", table("What each token contributes", ["left out", "gradient × input", "integrated gradients"],
        tokens.map((token, index) => [shown(token), change(why.tokens[index]), change(why.gradient_times_input[index]), change(why.integrated_gradients[index])]))));
  }
  return part;
}

function comparePart(pages, compare) {
  const [first, second] = pages.map((page) => page.tokens.map((token) => shown(token.text)));
  const tokens = first.map((token, index) => `${index} ${token}${token === second[index] ? "" : ` / ${second[index]}`}`);
  const [p, q] = [compare.log_probability, compare.source_log_probability].map((value) => percent(Math.exp(value)));
  return section("compare", "8. Which hidden state carries the difference?", null,
    html("p", {}, `“${shown(compare.target)}” has a probability of ${p} in the first sentence and ${q} in the second. One hidden state of the first is replaced by that of the second, and the rest is computed again: 0 changes nothing, 1 moves the log-probability all the way.`),
    grid(compare.states, tokens, compare.effects, (value) => value.toFixed(2), "Effect of replacing one hidden state, by layer and position"),
    details("As a table", table("Effect of replacing one hidden state", tokens, compare.effects.map((row, index) => [compare.states[index], ...row.map((value) => value.toFixed(3))]))));
}

// One sentence as a list of sections.
export function walk(page) {
  const state = selection(page);
  return html("div", { class: "walk" },
    html("h1", {}, page.text), html("p", { class: "lead" }, "The five most likely words: ", page.answers.map(([word, p], index) => [
      index ? ", " : "", html("strong", {}, shown(word).replace("␣", "")), ` ${percent(p)}`])),
    textPart(page, state), embeddingPart(page, state), attentionPart(page, state), residualPart(page, state), lensPart(page), headPart(page), whyPart(page),
    page.left_out.length ? section("left-out", "Left out of this page", null, html("ul", {}, page.left_out.map((reason) => html("li", {}, reason)))) : null);
}

// The whole page: one sentence, or two side by side with the map of what carries their difference.
export function show(root, { pages, compare }) {
  const walks = pages.map(walk);
  for (const node of walks[1]?.querySelectorAll("[id], [aria-labelledby]") ?? []) {
    for (const name of ["id", "aria-labelledby"]) {
      if (node.hasAttribute(name)) node.setAttribute(name, `${node.getAttribute(name)}-2`);
    }
  }
  root.replaceChildren(
    html("div", { class: pages.length > 1 ? "side" : "single" }, walks), compare ? comparePart(pages, compare) : "");
}
