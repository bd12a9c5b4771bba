"""Settings for tests that call compiled code."""

from hypothesis import settings

# The first call of a kernel compiles it, which is no reason to call an example slow.
settings.register_profile("countermark", deadline=None)
settings.load_profile("countermark")
