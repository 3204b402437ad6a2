"""Switch and measure circuits by drivers: what one is, how its options are read, and how it is found.

A driver is one module: its options, a class with the methods of `Driver`, and `create = with_options(...)`. It knows
circuits and a clock, no VTN and no store. `docs/examples/driver` is one of another package.
"""

from ven.drivers.interface import CircuitState, Driver, Factory
from ven.drivers.options import DriverOptions, with_options
from ven.drivers.registry import GROUP, find_driver

__all__ = ["GROUP", "CircuitState", "Driver", "DriverOptions", "Factory", "find_driver", "with_options"]
