// Base64 typed arrays of the page → numbers, and clips with the arithmetic that time needs.

const KINDS = { f4: Float32Array, i2: Int16Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };

/** {kind, data} as the page stores arrays → typed array. Numbers are little-endian, as every browser's machine is. */
export function numbers({ kind, data }) {
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new KINDS[kind](bytes.buffer);
}

/** One motion: quaternions (w, x, y, z) in 1/32767, pelvis path in metres, feet that carry the body as four bits. */
export class Clip {
  constructor(stored) {
    Object.assign(this, stored);
    this.rotations = numbers(stored.rotations);
    this.root = numbers(stored.root);
    this.contacts = numbers(stored.contacts);
  }

  /** Seconds from the first frame to the last. */
  get seconds() {
    return (this.frames - 1) / this.fps;
  }

  /** Frame at a time, fractional; the last one after the end. */
  frameAt(time_s) {
    return Math.min(Math.max(time_s * this.fps, 0), this.frames - 1);
  }

  /** Where a camera that follows the body looks at: the path averaged over a second, [frames × (x, z)]. */
  get followed() {
    if (!this._followed) {
      const reach = Math.max(1, Math.round(this.fps / 2));
      this._followed = new Float32Array(this.frames * 2);
      for (let frame = 0; frame < this.frames; frame++) {
        // The window shrinks alike on both sides near the ends, so that the average does not lag there.
        const half = Math.min(reach, frame, this.frames - 1 - frame);
        let x = 0;
        let z = 0;
        for (let k = frame - half; k <= frame + half; k++) {
          x += this.root[k * 3];
          z += this.root[k * 3 + 2];
        }
        this._followed[frame * 2] = x / (2 * half + 1);
        this._followed[frame * 2 + 1] = z / (2 * half + 1);
      }
    }
    return this._followed;
  }

  /** Centre (x, z) and half diagonal of the path on the floor, metres. */
  get extent() {
    if (!this._extent) {
      const low = [Infinity, Infinity];
      const high = [-Infinity, -Infinity];
      for (let frame = 0; frame < this.frames; frame++) {
        [this.root[frame * 3], this.root[frame * 3 + 2]].forEach((value, axis) => {
          low[axis] = Math.min(low[axis], value);
          high[axis] = Math.max(high[axis], value);
        });
      }
      const reach = Math.hypot(high[0] - low[0], high[1] - low[1]) / 2;
      this._extent = { x: (low[0] + high[0]) / 2, z: (low[1] + high[1]) / 2, reach };
    }
    return this._extent;
  }

  /** Stretches of frames [first, last] in which any of the foot bits of `mask` is set. */
  stretches(mask) {
    const found = [];
    for (let frame = 0; frame < this.frames; frame++) {
      if (!(this.contacts[frame] & mask)) continue;
      const latest = found[found.length - 1];
      if (latest && latest[1] === frame - 1) latest[1] = frame;
      else found.push([frame, frame]);
    }
    return found;
  }
}
