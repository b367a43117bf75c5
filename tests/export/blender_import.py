"""Run by Blender's Python (`pip install bpy`): where Blender puts our joints, how it turns them, and a GLB of its own.

Arguments: FILE.glb FILE.bvh EXPECTED.json AGAIN.glb
"""

import json
import sys

import bpy


def armature():
    return next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")


def worst_m(clip, first_frame, frames_per_key):
    """Greatest distance from the expected joints; Blender is z up."""
    rig, scene, worst = armature(), bpy.context.scene, 0.0
    for index, joints in enumerate(clip["joints"]):
        frame = first_frame + index * frames_per_key
        scene.frame_set(int(frame), subframe=frame - int(frame))
        for name, (x, y, z) in joints.items():
            head = rig.matrix_world @ rig.pose.bones[name].head
            worst = max(worst, sum((a - b) ** 2 for a, b in zip(head, (x, -z, y), strict=True)) ** 0.5)
    return worst


glb, bvh, expected, again = sys.argv[-4:]
with open(expected, encoding="utf-8") as stream:
    clips = json.load(stream)
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = 30
bpy.ops.import_scene.gltf(filepath=glb)
told = {"version": bpy.app.version_string, "glb_m": []}
for track in armature().animation_data.nla_tracks:
    track.mute = True
for clip in clips:
    action = bpy.data.actions[clip["name"]]
    armature().animation_data.action = action
    armature().animation_data.action_slot = action.slots[0]
    told["glb_m"].append(worst_m(clip, action.frame_range[0], 30 / clip["fps"]))
bpy.ops.export_scene.gltf(filepath=again, export_format="GLB")
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_anim.bvh(filepath=bvh, update_scene_fps=True)
told["bvh_m"] = worst_m(clips[0], 1, 1)
told["mode"] = armature().pose.bones["left_knee"].rotation_mode
print("told " + json.dumps(told))
