"""A member's photo made safe and small: bytes in, two clean JPEGs out. Callers use `isolation`."""
