"""The words of the simulated market: departments, their leaf categories, and nouns and styles that titles are made of."""

from __future__ import annotations

#: department -> leaf category -> nouns that only titles of this leaf use
DEPARTMENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "home": {"candles": ("candle", "tealight", "lantern"), "cushions": ("cushion", "bolster", "throw"),
             "lamps": ("lamp", "lampshade", "nightlight"), "clocks": ("clock", "hourglass", "timer"),
             "frames": ("frame", "poster", "mirror")},
    "kitchen": {"mugs": ("mug", "teacup", "beaker"), "pans": ("pan", "wok", "casserole"),
                "knives": ("knife", "peeler", "cleaver"), "baking": ("whisk", "cake tin", "rolling pin"),
                "jars": ("jar", "canister", "bottle")},
    "fashion": {"scarves": ("scarf", "shawl", "bandana"), "shoes": ("sneaker", "boot", "sandal"),
                "bags": ("bag", "purse", "rucksack"), "jewellery": ("ring", "necklace", "brooch"),
                "hats": ("hat", "beanie", "beret")},
    "electronics": {"headphones": ("headphones", "earbuds", "headset"), "cables": ("cable", "adapter", "charger"),
                    "cameras": ("camera", "lens", "tripod"), "keyboards": ("keyboard", "mouse", "trackpad"),
                    "speakers": ("speaker", "soundbar", "radio")},
    "sport": {"yoga": ("mat", "yoga block", "strap"), "running": ("running belt", "headband", "pedometer"),
              "cycling": ("helmet", "pedal", "pump"), "camping": ("tent", "sleeping bag", "stove"),
              "climbing": ("harness", "carabiner", "chalk bag")},
    "garden": {"pots": ("pot", "planter", "trough"), "seeds": ("seeds", "bulbs", "seedlings"),
               "tools": ("spade", "rake", "secateurs"), "birds": ("feeder", "nest box", "birdbath"),
               "furniture": ("deckchair", "bench", "hammock")},
    "toys": {"puzzles": ("puzzle", "jigsaw", "brainteaser"), "dolls": ("doll", "puppet", "teddy"),
             "blocks": ("blocks", "marble run", "construction set"), "games": ("board game", "card game", "dice"),
             "trains": ("train", "wagon", "rail set")},
    "beauty": {"soaps": ("soap", "shower gel", "bath salt"), "creams": ("cream", "lotion", "balm"),
               "perfumes": ("perfume", "cologne", "body mist"), "brushes": ("brush", "comb", "sponge"),
               "nails": ("nail polish", "nail file", "manicure set")},
}

#: one style per vector dimension: the title's first word follows the item's strongest dimension
STYLES = ("vintage", "modern", "rustic", "floral", "minimal", "playful", "elegant", "sturdy", "nordic", "retro",
          "botanical", "industrial")

#: words that say nothing about taste
MATERIALS = ("wooden", "metal", "glass", "cotton", "ceramic", "linen", "bamboo", "recycled", "leather", "steel")
COLOURS = ("red", "blue", "green", "black", "white", "grey", "yellow", "pink", "brown", "orange")
