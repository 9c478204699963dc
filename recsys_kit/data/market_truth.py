from __future__ import annotations
from dataclasses import dataclass
from recsys_kit.data.market_world import World
@dataclass(frozen=True, eq=False)
class Truth:
    world: World
    user_ids: object
    item_ids: object
