// The skin: one mesh, stored once and posed anew for every view in which it appears.

import * as THREE from "three";
import { numbers } from "./decode.js";

/** Geometry of a body in one of its shapes, with its markings and the light that reaches each vertex. */
export function bodyGeometry(body, shape) {
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(numbers(shape.vertices), 3));
  geometry.setIndex(new THREE.BufferAttribute(numbers(body.faces), 1));
  geometry.setAttribute("skinIndex", new THREE.BufferAttribute(numbers(body.skin_index), 4));
  geometry.setAttribute("skinWeight", new THREE.BufferAttribute(numbers(body.skin_weight), 4, true));
  geometry.setAttribute("accent", new THREE.BufferAttribute(numbers(body.accent), 1));
  geometry.setAttribute("openness", new THREE.BufferAttribute(numbers(body.openness), 1, true));
  geometry.computeVertexNormals();
  return geometry;
}

/** A body in the scene whose bones follow a rig. */
export class Figure {
  constructor(geometry, rig, { ghost = false } = {}) {
    this.rig = rig;
    this.bones = rig.rest.map(() => Object.assign(new THREE.Bone(), { matrixAutoUpdate: false }));
    const inverses = rig.rest.map(([x, y, z]) => new THREE.Matrix4().makeTranslation(-x, -y, -z));
    this.skeleton = new THREE.Skeleton(this.bones, inverses);
    this.material = material(ghost);
    this.object = new THREE.Group();
    if (ghost) {
      // Depth first, so that a translucent body shows its outer skin only.
      const veil = new THREE.MeshBasicMaterial({ colorWrite: false });
      this.object.add(this._mesh(geometry, veil, 1), this._mesh(geometry, this.material, 2));
    } else {
      const mesh = this._mesh(geometry, this.material, 0);
      mesh.castShadow = mesh.receiveShadow = true;
      this.object.add(mesh);
    }
  }

  _mesh(geometry, skin, order) {
    const mesh = new THREE.SkinnedMesh(geometry, skin);
    mesh.bind(this.skeleton, new THREE.Matrix4());
    mesh.frustumCulled = false; // its bounds are those of the rest pose
    mesh.renderOrder = order;
    return mesh;
  }

  /** Take the pose of a clip at a fractional frame. */
  pose(clip, frame) {
    this.rig.pose(clip, frame);
    const { rotation, position } = this.rig;
    const turn = new THREE.Quaternion();
    const place = new THREE.Vector3();
    const one = new THREE.Vector3(1, 1, 1);
    this.bones.forEach((bone, k) => {
      turn.set(rotation[k * 4 + 1], rotation[k * 4 + 2], rotation[k * 4 + 3], rotation[k * 4]);
      place.fromArray(position, k * 3);
      bone.matrixWorld.compose(place, turn, one);
    });
  }
}

/** Matt skin; the markings' edge is as sharp as the screen allows at any distance. */
function material(ghost) {
  const skin = new THREE.MeshStandardMaterial({ roughness: 0.58, metalness: 0 });
  if (ghost) Object.assign(skin, { transparent: true, opacity: 0.5 });
  skin.onBeforeCompile = (shader) => {
    const declared = "varying float vAccent;\nvarying float vOpenness;\n";
    shader.vertexShader = `attribute float accent;\nattribute float openness;\n${declared}${shader.vertexShader}`.replace(
      "#include <begin_vertex>",
      "#include <begin_vertex>\nvAccent = accent;\nvOpenness = openness;",
    );
    shader.fragmentShader = (declared + shader.fragmentShader)
      .replace(
        "#include <color_fragment>",
        `#include <color_fragment>
        float edge = max(fwidth(vAccent), 1e-5);
        diffuseColor.rgb = mix(vec3(0.024, 0.028, 0.036), diffuseColor.rgb, smoothstep(-edge, edge, vAccent));`,
      )
      .replace(
        "#include <aomap_fragment>",
        `reflectedLight.indirectDiffuse *= vOpenness;
        reflectedLight.directDiffuse *= mix(1.0, vOpenness, 0.35);
        float rim = pow(1.0 - clamp(dot(normalize(vViewPosition), normal), 0.0, 1.0), 3.0);
        reflectedLight.indirectDiffuse += rim * vOpenness * 0.16;`,
      );
  };
  return skin;
}
