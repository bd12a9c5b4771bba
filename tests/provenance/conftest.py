"""Settings for tests that draw examples."""

from hypothesis import settings

# A machine that is busy is no reason to call an example slow.
settings.register_profile("countermark", deadline=None)
settings.load_profile("countermark")
