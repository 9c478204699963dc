"""Interest that moves: the layered state of a shop's users, and the detector that notices when somebody's taste has changed."""
