"""Interest strata (用户兴趣分层): groups of users who want alike, how many there are, how sure we are, and what sets them apart."""

from recsys_kit.strata.result import NOISE, Strata

__all__ = ["NOISE", "Strata"]
