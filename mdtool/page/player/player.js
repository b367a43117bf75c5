// The player: what is shown, at what time, and the controls around it.

import { button, icon, make, toggle } from "./elements.js";
import { listen } from "./keys.js";
import { arrange } from "./layout.js";
import { Shelf } from "./shelf.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2];
const MOST_TILES = 12;
const PAINTS = ["floor", "line", "shadow", "left", "right", "middle", "target", "later", "obstacle", "way"];
const COLUMN_COLOURS = ["#5a90e0", "#ee9557", "#52b394", "#b982cd", "#dcb64c", "#df747f"];
const ROW_COLOURS = [...COLUMN_COLOURS, "#4fb0c4", "#8f96e6", "#9bb45d", "#93a0b4"];
const OPTIONS = {
  follow: ["Follow", "The camera follows the body"],
  contacts: ["Contacts", "Rings under the feet that carry the body"],
  trails: ["Trails", "Where head, hands and feet were in the last 1.5 s"],
  targets: ["Targets", "What the edit was told: targets, ways and obstacles"],
  captions: ["Names", "Names in the picture"],
  overlay: ["Overlay", "The second, translucent, over the first"],
};
let made = 0;

/** One player in one element of the page. */
export class Player {
  constructor(root, data, body, clips) {
    Object.assign(this, { root, clips, columns: data.columns, time_s: 0, speed: 1, drawn: 0 });
    this.id = `player${made++}`;
    this.still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.options = { follow: true, contacts: true, trails: false, targets: true, captions: true, overlay: false, ...data.options };
    this.rows = data.rows.map((row) => ({ ...row, detail: this._detail(row), colour: this._colour(data.rows, row) }));
    this.playing = false;
    this._build(root);
    this.stage = new Stage(this.canvas, this.surface, body, () => this.wake());
    this.help = listen(this, "embedded" in root.dataset ? root : document);
    root.append(this.help);
    if ("embedded" in root.dataset) this._leaveWheelToPage();
    this._watch();
    this.shelf.choose(this._first());
    if (!this.still) this.play();
  }

  _detail(row) {
    const clip = this.clips[row.clips.find((index) => index != null)];
    return `${row.note} · ${(clip.frames / clip.fps).toFixed(1)} s`;
  }

  _colour(rows, row) {
    if (this.columns.length > 1) return null; // colours tell columns apart
    const labels = [...new Set(rows.map(({ label }) => label))];
    return ROW_COLOURS[labels.indexOf(row.label) % ROW_COLOURS.length];
  }

  /** Rows shown at first: one where columns are compared or the page is narrow, else six, of six labels if there are. */
  _first() {
    if (this.columns.length > 1 || this.root.clientWidth < 700) return [0];
    const places = this.rows.map((_, index) => index);
    const labels = this.rows.map(({ label }) => label);
    const leading = places.filter((index) => labels.indexOf(labels[index]) === index);
    return [...new Set([...leading, ...places])].slice(0, 6);
  }

  _build(root) {
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.captions = make("div", { class: "captions", "aria-hidden": "true" });
    this.surface = make("div", {
      class: "surface",
      tabindex: 0,
      role: "img",
      "aria-describedby": `${this.id}-hint`,
    });
    const hint = make("p", { class: "unseen", id: `${this.id}-hint` }, "Shift and the arrows turn the camera, question mark lists all keys.");
    const stage = make("div", { class: "stage" }, this.canvas, this.captions, this.surface, hint);
    this.timeline = new Timeline((time_s) => this.seek(time_s));
    this.clock = make("output", { class: "clock", "aria-hidden": "true" });
    this.playButton = button("Play", () => this.toggle(), { glyph: "play", class: "primary" });
    const speeds = SPEEDS.map((value) => make("option", { value, selected: value === 1 }, `${value} ×`));
    this.speedSelect = make("select", { "aria-label": "Speed", onchange: () => this.setSpeed(Number(this.speedSelect.value)) }, speeds);
    const transport = make(
      "div",
      { class: "transport" },
      button("One frame back", () => this.step(-1), { glyph: "back" }),
      this.playButton,
      button("One frame on", () => this.step(1), { glyph: "forward" }),
      this.clock,
      this.speedSelect,
    );
    const known = Object.keys(OPTIONS).filter((name) => this.has(name));
    this.toggles = Object.fromEntries(
      known.map((name) => [name, toggle(OPTIONS[name][0], this.options[name], (on) => this.set(name, on), OPTIONS[name][1])]),
    );
    const view = make(
      "div",
      { class: "view", role: "group", "aria-label": "View" },
      Object.values(this.toggles).map(({ element }) => element),
      button("Reset", () => this.home(), { title: "Back to the first view" }),
      button("?", () => this.help.showModal(), { "aria-haspopup": "dialog", "aria-label": "Keys and gestures", title: "Keys and gestures" }),
    );
    this.live = make("p", { class: "unseen", role: "status", "aria-live": "polite" });
    this.shelf = new Shelf(this.rows, Math.max(1, Math.floor(MOST_TILES / this.columns.length)), (rows) => this._show(rows));
    const panel = make("div", { class: "panel" }, this.timeline.element, make("div", { class: "controls" }, transport, view));
    root.setAttribute("role", "region");
    root.setAttribute("aria-label", "Motion player");
    root.replaceChildren(make("div", { class: "theatre" }, stage, panel), this.shelf.element, this.live);
  }

  /** In a report the wheel scrolls the page; with Ctrl it zooms. */
  _leaveWheelToPage() {
    this.surface.addEventListener("wheel", (event) => event.ctrlKey || event.stopImmediatePropagation(), { capture: true });
  }

  _watch() {
    const repaint = () => {
      const style = getComputedStyle(this.root);
      const colours = Object.fromEntries(PAINTS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
      this.stage.paint(colours, window.matchMedia("(prefers-color-scheme: dark)").matches);
      this.wake();
    };
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    new ResizeObserver(() => {
      this.stage.resize();
      this._layout();
      this._draw(); // at once, since a resized canvas is empty
    }).observe(this.surface);
    repaint();
  }

  _show(rows) {
    this.shown = rows.map((index) => this.rows[index]);
    const clips = this.shown.flatMap((row) => row.clips.filter((index) => index != null));
    this.seconds = Math.max(...clips.map((index) => this.clips[index].seconds));
    this.lead = this.clips[clips[0]];
    this.time_s = Math.min(this.time_s, this.seconds);
    const [row] = this.shown;
    this.timeline.load(this.lead, this.seconds, clips.length > 1 ? `${row.label}, ${this._source(row)}` : "");
    const names = this.shown.map((row) => row.label).join(", ");
    this.surface.setAttribute("aria-label", `3D view: ${names}`);
    this.root.dataset.shown = rows.join(",");
    this.say(`Showing ${names}`);
    this._layout();
    this.wake();
  }

  /** Which of several motions the lanes of the timeline tell of. */
  _source(row) {
    return this.columns.length > 1 ? this.columns[row.clips.findIndex((index) => index != null)].name : row.note;
  }

  _layout() {
    if (!this.shown || !this.stage) return;
    const columns = this.columns.length;
    const tiles = this.shown.flatMap((row) => {
      const cells = row.clips.map((index, column) => ({
        row,
        column,
        clip: this.clips[index],
        colour: columns > 1 ? COLUMN_COLOURS[column % COLUMN_COLOURS.length] : row.colour,
      }));
      const there = cells.filter(({ clip }) => clip);
      if (!this.options.overlay || columns !== 2 || there.length < 2) return there;
      return [{ ...there[0], ghost: there[1] }];
    });
    const { clientWidth, clientHeight } = this.canvas;
    const together = columns > 1 && !this.options.overlay ? columns : 1;
    this.tiles = arrange(tiles.length, clientWidth, clientHeight, together).map((cell, k) => ({ ...tiles[k], ...cell }));
    this.captions.replaceChildren(...(this.options.captions ? this.tiles.map((tile) => this._caption(tile)) : []));
  }

  _caption(tile) {
    const compared = this.columns.length > 1;
    const name = tile.ghost ? "both" : this.columns[tile.column].name;
    const lines = [make("b", {}, tile.row.label), make("span", {}, compared ? name : tile.row.note)];
    const caption = make("div", { class: "caption" }, compared ? this._key(tile) : null, make("div", {}, lines));
    Object.assign(caption.style, { left: `${tile.left}px`, top: `${tile.top}px`, width: `${tile.width}px` });
    return caption;
  }

  _key(tile) {
    const dots = [tile, tile.ghost].filter(Boolean).map(({ colour }) => {
      const dot = make("i", { class: "swatch" });
      dot.style.background = colour;
      return dot;
    });
    return make("div", { class: "dots" }, dots);
  }

  /** Draw soon; again and again while playing. */
  wake() {
    this.waiting ??= requestAnimationFrame((now_ms) => this._tick(now_ms));
  }

  _tick(now_ms) {
    this.waiting = null;
    if (this.playing) {
      const passed_s = Math.min(Math.max(now_ms - this.last_ms, 0) / 1000, 0.25) * this.speed;
      this.last_ms = now_ms;
      this.time_s += passed_s;
      // A short rest on the last frame, so that a loop does not blink.
      if (this.time_s > this.seconds + 0.4) this.time_s = 0;
      this.wake();
    }
    this._draw();
  }

  _draw() {
    const time_s = Math.min(this.time_s, this.seconds);
    this.stage.clear();
    for (const tile of this.tiles) this.stage.draw(tile, { ...this.options, time_s });
    const frame = Math.round(this.lead.frameAt(time_s));
    const words = `${time_s.toFixed(2)} s, frame ${frame + 1} of ${this.lead.frames}`;
    this.timeline.show(time_s, words);
    this.clock.replaceChildren(make("b", {}, time_s.toFixed(2)), ` / ${this.seconds.toFixed(2)} s`, make("span", {}, `frame ${frame + 1}/${this.lead.frames}`));
    Object.assign(this.root.dataset, { time: time_s.toFixed(3), frame, drawn: ++this.drawn, playing: this.playing });
  }

  /** Run from here, or from the start when at the end. */
  play() {
    if (this.time_s >= this.seconds) this.time_s = 0;
    this.last_ms = performance.now();
    this._setPlaying(true);
  }

  /** Stop here. */
  pause() {
    this._setPlaying(false);
  }

  /** Play, or pause. */
  toggle() {
    this.playing ? this.pause() : this.play();
    this.say(this.playing ? `Playing at ${this.speed} times` : `Paused at ${this.time_s.toFixed(2)} seconds`);
  }

  _setPlaying(on) {
    this.playing = on;
    this.playButton.setAttribute("aria-label", on ? "Pause" : "Play");
    this.playButton.title = on ? "Pause" : "Play";
    this.playButton.replaceChildren(icon(on ? "pause" : "play"));
    this.wake();
  }

  /** Go to a time and stay there. */
  seek(time_s) {
    this.time_s = Math.min(Math.max(time_s, 0), this.seconds);
    if (this.playing) this.pause();
    this.wake();
  }

  /** Go some frames on, as the first clip shown counts them. */
  step(frames) {
    this.seek((Math.round(this.lead.frameAt(this.time_s)) + frames) / this.lead.fps);
    this.say(`Frame ${Math.round(this.lead.frameAt(this.time_s)) + 1}`);
  }

  /** Set the speed, 1 being life. */
  setSpeed(speed) {
    this.speed = speed;
    this.speedSelect.value = speed;
    this.say(`Speed ${speed} times`);
  }

  /** The next faster or slower speed. */
  changeSpeed(by) {
    const place = SPEEDS.indexOf(this.speed) + by;
    this.setSpeed(SPEEDS[Math.min(Math.max(place, 0), SPEEDS.length - 1)]);
  }

  /** Whether an option of the view has anything to switch here. */
  has(name) {
    if (name === "targets") return this.clips.some(({ marks }) => marks);
    return name !== "overlay" || this.columns.length === 2;
  }

  /** Switch an option of the view. */
  set(name, on) {
    this.options[name] = on;
    this.toggles[name].box.checked = on;
    this.root.dataset[name] = on;
    this._layout();
    this.wake();
  }

  /** The same from the keyboard. */
  flip(name) {
    this.set(name, !this.options[name]);
    this.say(`${OPTIONS[name][0]} ${this.options[name] ? "on" : "off"}`);
  }

  /** First view. */
  home() {
    this.stage.home();
    this.say("First view");
    this.wake();
  }

  /** Turn the camera, radians, and come closer by a factor. */
  turn(azimuth, polar, closer) {
    this.stage.turn(azimuth, polar, closer);
    this.wake();
  }

  /** Tell those who listen. */
  say(words) {
    this.live.textContent = words;
  }
}
