"""The methods that can be trained, by the name that settings, files and commands use."""

from .motion_director import MotionDirector

OBJECTIVES = {MotionDirector.name: MotionDirector}
