// The list of motions: which ones are shown. One click shows one, its box adds it to those shown.

import { button, make } from "./elements.js";

/** Rows of the page as a list to choose from; calls onChoose(set of row indices). */
export class Shelf {
  constructor(rows, most, onChoose) {
    Object.assign(this, { rows, most, onChoose, chosen: new Set() });
    this.items = rows.map((row, index) => this._item(row, index));
    this.list = make("ul", { class: "rows" }, this.items.map((item) => item.element));
    this.count = make("p", { class: "quiet" });
    const heading = make("h2", {}, "Motions");
    this.element = make("section", { class: "shelf", "aria-label": "Motions" }, heading, this._search(), this.list, this.count);
  }

  _search() {
    if (this.rows.length < 8) return null;
    const field = make("input", { type: "search", placeholder: "Filter", "aria-label": "Filter motions by name" });
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase();
      this.items.forEach(({ element, text }) => (element.hidden = !text.includes(words)));
    });
    return field;
  }

  _item(row, index) {
    const box = make("input", { type: "checkbox", "aria-label": `Show ${row.label}, ${row.detail}` });
    box.addEventListener("change", () => this._toggle(index, box.checked));
    const swatch = row.colour && make("i", { class: "swatch", "aria-hidden": "true" });
    if (swatch) swatch.style.background = row.colour;
    const only = button([swatch, make("b", {}, row.label), make("span", {}, row.detail)], () => this.choose([index]), {
      class: "only",
      title: "Show this one alone",
    });
    const text = `${row.label} ${row.detail}`.toLowerCase();
    return { element: make("li", {}, box, only), box, only, text };
  }

  _toggle(index, on) {
    const chosen = [...this.chosen].filter((other) => other !== index);
    if (on) chosen.push(index);
    if (!chosen.length) chosen.push(index); // something is always shown
    this.choose(chosen.slice(-this.most));
  }

  /** Show these rows. */
  choose(indices) {
    this.chosen = new Set(indices);
    this.items.forEach(({ element, box, only }, index) => {
      box.checked = this.chosen.has(index);
      element.classList.toggle("shown", box.checked);
      if (box.checked && this.chosen.size === 1) only.setAttribute("aria-current", "true");
      else only.removeAttribute("aria-current");
    });
    const limit = this.rows.length > this.most ? `, at most ${this.most} at once` : "";
    this.count.textContent = `${this.chosen.size} of ${this.rows.length} shown${limit}`;
    this.onChoose([...this.chosen].sort((a, b) => a - b));
  }

  /** Show the row after (or before) the one shown. */
  step(by) {
    const [first] = [...this.chosen].sort((a, b) => a - b);
    const next = (first + by + this.rows.length) % this.rows.length;
    this.choose([next]);
    this.items[next].element.scrollIntoView({ block: "nearest" });
  }
}
