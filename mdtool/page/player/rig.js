// Forward kinematics in the browser: local quaternions of a frame → world rotation and position of every bone.

const SCALE = 1 / 32767;

/** The joints of a body in one of its shapes and the helper joints that spread a limb's twist; poses them at any fractional frame. */
export class Rig {
  constructor({ parents, helpers }, { joints }) {
    this.parents = parents;
    this.helpers = helpers;
    this.offsets = joints.map((joint, k) => joint.map((value, axis) => value - joints[Math.max(parents[k], 0)][axis]));
    this.rest = [...joints, ...helpers.map((helper) => joints[helper.joint])];
    this.local = new Float64Array(joints.length * 4);
    /** World quaternions (w, x, y, z) and positions of joints, then helpers. */
    this.rotation = new Float64Array(this.rest.length * 4);
    this.position = new Float64Array(this.rest.length * 3);
  }

  /** Pose the rig; between two frames rotations turn along the shorter arc. */
  pose(clip, frame) {
    const first = Math.floor(frame);
    const second = Math.min(first + 1, clip.frames - 1);
    const share = frame - first;
    const { parents, local, rotation, position, offsets } = this;
    const joints = parents.length;
    for (let joint = 0; joint < joints; joint++) {
      blend(clip.rotations, (first * joints + joint) * 4, (second * joints + joint) * 4, share, local, joint * 4);
      const parent = parents[joint];
      if (parent < 0) {
        for (let k = 0; k < 4; k++) rotation[joint * 4 + k] = local[joint * 4 + k];
        for (let k = 0; k < 3; k++) {
          position[k] = clip.root[first * 3 + k] * (1 - share) + clip.root[second * 3 + k] * share;
        }
        continue;
      }
      multiply(rotation, parent * 4, local, joint * 4, rotation, joint * 4);
      const [x, y, z] = turned(rotation, parent * 4, offsets[joint]);
      position[joint * 3] = position[parent * 3] + x;
      position[joint * 3 + 1] = position[parent * 3 + 1] + y;
      position[joint * 3 + 2] = position[parent * 3 + 2] + z;
    }
    this.helpers.forEach((helper, k) => this._untwist(helper, joints + k));
  }

  /** A helper follows its joint, turned back about the bone by what is not its share of the twist. */
  _untwist({ joint, axis, share, least }, place) {
    const { local, rotation, position } = this;
    const sign = local[joint * 4] < 0 ? -1 : 1;
    const along = axis[0] * local[joint * 4 + 1] + axis[1] * local[joint * 4 + 2] + axis[2] * local[joint * 4 + 3];
    const full = 2 * Math.PI;
    const beyond = 2 * Math.atan2(sign * along, sign * local[joint * 4]) - least;
    const twist = least + (((beyond % full) + full) % full);
    const half = (twist * (share - 1)) / 2;
    const back = [Math.cos(half), ...axis.map((value) => value * Math.sin(half))];
    multiply(rotation, joint * 4, back, 0, rotation, place * 4);
    for (let k = 0; k < 3; k++) position[place * 3 + k] = position[joint * 3 + k];
  }

  /** Path of some joints over a whole clip: [frames × joints × 3]. */
  paths(clip, joints) {
    const path = new Float32Array(clip.frames * joints.length * 3);
    for (let frame = 0; frame < clip.frames; frame++) {
      this.pose(clip, frame);
      joints.forEach((joint, place) => {
        for (let k = 0; k < 3; k++) path[(frame * joints.length + place) * 3 + k] = this.position[joint * 3 + k];
      });
    }
    return path;
  }
}

/** Normalised linear interpolation of two stored quaternions. */
function blend(stored, first, second, share, out, place) {
  let dot = 0;
  for (let k = 0; k < 4; k++) dot += stored[first + k] * stored[second + k];
  const towards = dot < 0 ? -share : share;
  let squared = 0;
  for (let k = 0; k < 4; k++) {
    const value = (stored[first + k] * (1 - share) + stored[second + k] * towards) * SCALE;
    out[place + k] = value;
    squared += value * value;
  }
  const length = Math.sqrt(squared) || 1;
  for (let k = 0; k < 4; k++) out[place + k] /= length;
}

/** Hamilton product, which may write over its left factor. */
function multiply(left, i, right, j, out, place) {
  const [a, b, c, d] = [left[i], left[i + 1], left[i + 2], left[i + 3]];
  const [e, f, g, h] = [right[j], right[j + 1], right[j + 2], right[j + 3]];
  out[place] = a * e - b * f - c * g - d * h;
  out[place + 1] = a * f + b * e + c * h - d * g;
  out[place + 2] = a * g - b * h + c * e + d * f;
  out[place + 3] = a * h + b * g - c * f + d * e;
}

/** A vector turned by a unit quaternion. */
function turned(rotation, place, [x, y, z]) {
  const [w, a, b, c] = [rotation[place], rotation[place + 1], rotation[place + 2], rotation[place + 3]];
  const u = 2 * (b * z - c * y);
  const v = 2 * (c * x - a * z);
  const s = 2 * (a * y - b * x);
  return [x + w * u + b * s - c * v, y + w * v + c * u - a * s, z + w * s + a * v - b * u];
}
