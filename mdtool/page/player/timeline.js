// The shared timeline: a slider over all clips shown, and when each foot of the first one carries the body, and when
// its targets are due.

import { draw, make } from "./elements.js";

const LANES = [
  { name: "left foot", mask: 0b0011, side: "left" },
  { name: "right foot", mask: 0b1100, side: "right" },
  { name: "targets", side: "told" },
];

/** Slider and lanes; calls onSeek(time in seconds) when a person moves the slider. */
export class Timeline {
  constructor(onSeek) {
    this.slider = make("input", { type: "range", min: 0, step: "any", "aria-label": "Time" });
    this.slider.addEventListener("input", () => onSeek(Number(this.slider.value)));
    this.rows = LANES.map(() => draw("svg", { class: "lane", preserveAspectRatio: "none", "aria-hidden": "true" }));
    this.lanes = make(
      "div",
      { class: "lanes" },
      LANES.map(({ name, side }, k) => make("div", { class: `lane-row ${side}` }, make("span", {}, name), this.rows[k])),
    );
    this.told = this.lanes.lastElementChild;
    this.whose = make("p", { class: "whose" });
    this.element = make("div", { class: "timeline" }, this.slider, this.lanes, this.whose);
  }

  /** Show the length of all clips, and the contacts and targets of one; `whose` names it where there are others. */
  load(clip, seconds, whose) {
    this.slider.max = seconds;
    this.whose.textContent = whose && `planted feet of ${whose}`;
    const told = clip.marks?.points.map(({ frame }) => [frame, frame]) ?? [];
    this.told.hidden = !told.length;
    LANES.forEach(({ mask }, k) => {
      const row = this.rows[k];
      row.setAttribute("viewBox", `0 0 ${Math.max(seconds, 1e-3)} 1`);
      const bars = (mask ? clip.stretches(mask) : told).map(([first, last]) => {
        const start = Math.max((first - 0.5) / clip.fps, 0);
        const end = Math.min((last + 0.5) / clip.fps, clip.seconds);
        return draw("rect", { x: start, y: 0, width: Math.max(end - start, 0.001), height: 1 });
      });
      row.replaceChildren(draw("rect", { class: "bed", width: clip.seconds, height: 1 }), ...bars);
    });
  }

  /** Move to a time; `words` are what a screen reader says. */
  show(time_s, words) {
    this.slider.value = time_s;
    this.slider.setAttribute("aria-valuetext", words);
    const share = Number(this.slider.max) ? time_s / Number(this.slider.max) : 0;
    this.element.style.setProperty("--share", share.toFixed(4));
  }
}
