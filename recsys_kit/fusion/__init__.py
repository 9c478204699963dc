"""Blocks of what is known about users, fused into few numbers, topics and the portrait (用户画像)."""

from recsys_kit.fusion.blocks import UserBlocks
from recsys_kit.fusion.fuse import Fusion
from recsys_kit.fusion.portrait import Portrait, portrait
from recsys_kit.fusion.separating import separating
from recsys_kit.fusion.topics import Topics

__all__ = ["Fusion", "Portrait", "Topics", "UserBlocks", "portrait", "separating"]
