"""Run a command where no network is: `unshare -rn python3 offline.py COMMAND...`.

A new network namespace has its loopback device down. Tests may serve to themselves, so it is
brought up; then nothing else may be reachable, or this refuses to run the command.
"""

import errno
import fcntl
import os
import socket
import struct
import sys

SIOCGIFFLAGS = 0x8913  # linux/sockios.h
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1  # linux/if.h
IFREQ = "16sH14x"  # struct ifreq, as far as flags go.

# RFC 5737 and RFC 3849: addresses that are never anybody's.
NOBODY = [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")]


def bring_up_loopback() -> None:
    """Set IFF_UP on `lo`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        reply = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack(IFREQ, b"lo", 0))
        flags = struct.unpack(IFREQ, reply)[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack(IFREQ, b"lo", flags | IFF_UP))


def has_route(family: socket.AddressFamily, address: str) -> bool:
    """Tell whether the kernel would send a packet to `address`; none is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError as e:
        if e.errno in (errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return False
        raise
    return True


def main() -> None:
    """Prepare the namespace and become the command."""
    bring_up_loopback()
    reachable = [address for family, address in NOBODY if has_route(family, address)]
    if reachable:
        sys.exit(f"offline.py: there is a route to {reachable}: this is not an empty namespace")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is the point.


if __name__ == "__main__":
    main()
