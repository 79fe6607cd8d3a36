"""What the tester cannot know of itself: how bytes are sent."""

import schemathesis


@schemathesis.serializer("application/wasm", "text/csv")
def as_it_is(_context, value):
    """The value's own bytes, of whatever type the tester came up with."""
    return value if isinstance(value, bytes) else str(value).encode()
