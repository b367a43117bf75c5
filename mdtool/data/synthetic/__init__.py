"""Procedural exercises, so that everything can be tried without a data set: ten actions in the spirit of UESTC's.

from mdtool.data.synthetic import synthesise
motions = synthesise(clips_per_action=40, seed=0)
"""

from mdtool.data.synthetic.company import ACTIONS, synthesise

__all__ = ["ACTIONS", "synthesise"]
